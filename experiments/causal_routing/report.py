"""A study's folder: results.jsonl, table.md, table.tex, report.md, and figures as PNG and PDF."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.causal_routing.parts import Part, Record, candidates, everywhere, parts
from experiments.causal_routing.prose import Figure, report
from experiments.causal_routing.roles import ARCHITECTURES, BASE, CEILING, TRAINED, yardsticks
from experiments.causal_routing.summary import summary
from routerjax.reports.latex import to_latex
from routerjax.reports.plots import cost_quality, sag, utility_by_cost_weight
from routerjax.reports.published_scores import CAPTION, PUBLISHED
from routerjax.reports.scores import scores
from routerjax.reports.selection import (
    Results,
    between_weights,
    cost_weights_of,
    methods_of,
    off_grid,
    on_grid,
    where,
)
from routerjax.reports.share_plots import ORACLE, mean_shares, routing_shares
from routerjax.reports.style import MOST
from routerjax.reports.tables import (
    Sheet,
    cost_weight_sheet,
    metric_table,
    score_sheet,
    to_markdown,
)
from routerjax.reports.trends import settings, trend, winners_curse
from routerjax.support.atomic import new_folder, write_text
from routerjax.support.provenance import dumps

MARKER, SUMMARY = "results.jsonl", "summary.md"
DRAWN = (
    "rm-interval-dr",
    "rm-softmax-dr",
    "rm-classification-dr",
    "rm-softmax-direct",
    "regression-plug-in",
    "knn-plug-in",
    BASE,
)
WHERE = (
    "Every table is in table.md and table.tex, every number in results.jsonl, whose first line "
    "holds configuration, versions, commit and data fingerprint. Figures are there as PDF too."
)
UPPER = (CEILING,)
"""References that the figures show beside the candidates; the oracle would set their scale."""


def write(
    out: Path,
    records: Sequence[Record],
    *,
    head: Mapping[str, Any],
    name: str,
    notices: Sequence[str],
    references: Collection[str],
    base: str = BASE,
    trained: str = TRAINED,
    drawn: Sequence[str] = DRAWN,
    overwrite: bool = False,
    preset: str | None = None,
) -> list[Path]:
    """Write everything that the records allow, whole or not at all.

    Args:
      out: the folder to be; an older one of a study is replaced if `overwrite`.
      records: results (no "record" field, or "result"), "reference" and "label_error".
      head: provenance, the first line of results.jsonl.
      name: of the table, for titles.
      notices: sentences every report and figure must carry.
      references: methods that know what no log tells; never bold, grey in figures.
      base: the method that others are set against.
      trained: the method trained at every cost weight, those between grid points too.
      drawn: methods that figures show first; others fill what room is left.
      overwrite: whether an older folder of a study may be replaced.
      preset: name of the configuration; it says which table or figure the outputs stand for.

    Returns:
      The files written, in `out`.

    Raises:
      InputError: `out` is taken, or the records lack what they must hold.
    """
    study, references = parts(records), yardsticks(references, trained)
    with new_folder(out, marker=MARKER, overwrite=overwrite) as folder:
        write_text(folder / MARKER, results_lines(records, head))
        write_text(
            folder / "table.md",
            tables(records, name=name, notices=notices, references=references, base=base),
        )
        write_text(folder / "table.tex", latex(study, references=references, base=base))
        figures = {
            part.logging: draw(
                folder,
                part,
                name=name,
                notices=notices,
                references=references,
                base=base,
                trained=trained,
                drawn=drawn,
            )
            for part in study
        }
        text = report(
            records,
            name=name,
            notices=notices,
            references=references,
            base=base,
            trained=trained,
            figures=figures,
        )
        first = summary(records, references=references, preset=preset)
        write_text(folder / SUMMARY, "\n\n".join([*notices, first]))
        title, _, rest = text.partition("\n\n")
        write_text(folder / "report.md", f"{title}\n\n{first}\n{rest}\n{WHERE}\n")
        names = sorted(path.name for path in folder.iterdir())
    return [out / file for file in names]


def results_lines(records: Sequence[Record], head: Mapping[str, Any]) -> str:
    """JSON lines: the provenance, then every record."""
    lines = [{"record": "provenance", **head}, *({"record": "result", **r} for r in records)]
    return "".join(dumps(line) + "\n" for line in lines)


def tables(
    records: Sequence[Record],
    *,
    name: str,
    notices: Sequence[str],
    references: Collection[str],
    base: str = BASE,
) -> str:
    """The study's tables in Markdown, a section per logging policy."""
    text = [f"# Causal LLM routing on {name}", *notices]
    for part in parts(records):
        text.append(f"## Logging policy: {part.logging}")
        for sheet in sheets(part, references=references, base=base):
            text += [sheet.caption, to_markdown(sheet)]
        grid = on_grid(part.results)
        text += [
            "Mean quality:",
            metric_table(grid, metric="quality"),
            "Mean cost, US dollars per 1,000 queries:",
            metric_table(grid, metric="cost", scale=1000.0),
        ]
    return "\n\n".join(text) + "\n"


def latex(study: Sequence[Part], *, references: Collection[str], base: str = BASE) -> str:
    """The same sheets as LaTeX floats, labelled tab:<logging>-<number>."""
    return "\n".join(
        to_latex(sheet, label=f"tab:{part.logging}-{number}")
        for part in study
        for number, sheet in enumerate(sheets(part, references=references, base=base), start=1)
    )


def sheets(part: Part, *, references: Collection[str], base: str = BASE) -> list[Sheet]:
    """Utility × cost weights, scores, and utility × the cost weights between grid points."""
    methods = methods_of(part.results)
    ceiling = CEILING if CEILING in methods and base in methods else None
    setting = f"{part.logging} logging, {part.rows} rows, {part.seeds} seeds"
    bold = "Bold: best beyond the 95 % interval of its paired difference to the next."
    found = [
        cost_weight_sheet(
            on_grid(part.results),
            base=base if base in methods else None,
            ceiling=ceiling,
            references=references,
            caption=f"Mean utility u = q − λ·c on test rows by cost weight λ, ± one standard error "
            f"over seeds ({setting}). {bold}",
        ),
        score_sheet(
            scores(part.results, part.references),
            references=references,
            caption="Means over the cost weights, area under the cost–quality curve from the "
            "per-query cheapest to the per-query dearest cost, its peak, cost of reaching the best "
            f"single model's quality, and share of queries on the most used model, in percent, "
            f"also less the oracle's ({setting}). {bold}",
        ),
    ]
    if part.references:
        found.append(
            score_sheet(
                scores(part.results, part.references, columns=PUBLISHED),
                columns=PUBLISHED,
                references=references,
                caption=f"{CAPTION} ({setting}). {bold}",
            )
        )
    if between_weights(part.results):
        caption = f"Mean utility at cost weights between those of the grid ({setting}). {bold}"
        found.append(
            cost_weight_sheet(off_grid(part.results), references=references, caption=caption)
        )
    return found


def draw(
    folder: Path,
    part: Part,
    *,
    name: str,
    notices: Sequence[str],
    references: Collection[str],
    base: str = BASE,
    trained: str = TRAINED,
    drawn: Sequence[str] = DRAWN,
) -> list[Figure]:
    """Draw the figures that a logging policy's records allow; returns PNGs with captions."""
    title, note = f"{name}, {part.logging} logging, {part.seeds} seeds", " ".join(notices)
    found: list[Figure] = []

    def path(stem: str, caption: str) -> Path:
        found.append(Figure(f"{stem}_{part.logging}.png", f"{caption}, {part.logging} logging"))
        return folder / f"{stem}_{part.logging}"

    results, grid = part.results, on_grid(part.results)
    shown = shown_methods(results, references, drawn)
    upper = [method for method in UPPER if method in methods_of(results)]
    if part.references and len({r["cost"] for r in grid}) > 1:
        cost_quality(
            grid,
            part.references,
            path("cost_quality", "Cost and quality"),
            methods=[*shown, *upper],
            upper=upper,
            title=title,
            note=note,
        )
    if len(cost_weights_of(results)) > 1 and base in methods_of(results):
        utility_by_cost_weight(
            results,
            path("utility", "Utility by cost weight"),
            base=base,
            methods=[*shown, *upper],
            upper=upper,
            title=title,
            note=note,
        )
    own = [method for method in ARCHITECTURES if method in methods_of(off_grid(results))]
    if own and trained in methods_of(off_grid(results)):
        sag(
            results,
            path("sag", "Utility between grid points"),
            methods=own,
            trained=trained,
            title=title,
            note=note,
        )
    panels = share_panels(part, shown)
    if panels and len(cost_weights_of(results)) > 1:
        routing_shares(
            results,
            part.references,
            path("shares", "Whom each router asks"),
            methods=panels,
            title=f"{part.logging} logging",
            note=note,
        )
    for varied, over, stem, caption in (
        (part.by_rows, "rows", "learning", "Utility by logged rows"),
        (part.by_strength, "strength", "strength", "Utility by strength of the logging policy"),
    ):
        varied = on_grid(varied)
        methods = everywhere(varied, over)
        if len(settings(varied, over)) > 1 and base in methods:
            some = shown_methods(where_any(varied, methods), references, drawn)
            high = [method for method in upper if method in methods]
            trend(
                varied,
                path(stem, caption),
                over=over,
                methods=[*some, *high],
                base=base,
                upper=high,
                title=title,
                note=note,
            )
    if part.labels:
        winners_curse(
            part.labels,
            path("winners_curse", "Errors of classification labels"),
            over=part.labels_over,
            title=title,
            note=note,
        )
    return found


def where_any(results: Results, methods: Collection[str]) -> Results:
    """Results of the methods named."""
    return [r for r in results if r["method"] in methods]


def shown_methods(
    results: Results, references: Collection[str], drawn: Sequence[str] = DRAWN
) -> list[str]:
    """As many methods as a figure holds: those named, then others in order; no references."""
    own = candidates(results, references)
    first = [method for method in drawn if method in own]
    return [*first, *(method for method in own if method not in first)][:MOST]


def share_panels(part: Part, shown: Sequence[str]) -> list[str]:
    """Up to three methods whose shares are known, and the oracle."""
    if not part.references:
        return []
    known = [
        method for method in shown if all("shares" in r for r in where(part.results, method=method))
    ]
    return [*known[:3], *mean_shares([], part.references, [ORACLE])] if known else []
