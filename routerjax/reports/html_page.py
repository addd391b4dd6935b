"""The page of an evaluation as one HTML file that needs no other."""

from __future__ import annotations

import base64
import html
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from routerjax.evaluation.intervals import Interval
from routerjax.pipelines.lines import Evaluation, Line
from routerjax.reports.evidence_plot import plot_evidence
from routerjax.reports.words import costs
from routerjax.support.atomic import write_text

STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
p.first { font-size: 1.15rem; font-weight: 600; }
figure { margin: 1.5rem 0; } img { width: 100%; background: white; }
div.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid #8884; }
th:first-child, td:first-child { text-align: left; }
footer { margin-top: 3rem; font-size: .8rem; opacity: .75; overflow-wrap: anywhere; }
"""


def write_page(
    evaluation: Evaluation, path: Path, *, about: Mapping[str, Any], warnings: Sequence[str] = ()
) -> None:
    """Write the verdict, the figure, the tables and where they come from.

    On a table all is known and there is no policy of today: the router stands beside the best
    single model.

    Args:
      evaluation: on a log or a table.
      path: of the HTML file.
      about: what the foot says: the router's folder, versions, commit, fingerprints.
      warnings: of the data, which stand above the verdict.

    Raises:
      InputError: a place that cannot be written.
    """
    with tempfile.TemporaryDirectory() as folder:
        plot_evidence(evaluation, Path(folder) / "figure.png")
        figure = base64.b64encode((Path(folder) / "figure.png").read_bytes()).decode()
    write_text(path, page(evaluation, figure=figure, about=about, warnings=warnings))


def page(
    evaluation: Evaluation, *, figure: str, about: Mapping[str, Any], warnings: Sequence[str] = ()
) -> str:
    """The HTML, with a PNG in base64."""
    is_log = evaluation.kind == "log"
    notes = "".join(f"<li>{_text(note)}</li>" for note in evaluation.notes)
    known = f"<h2>To be known</h2><ul>{notes}</ul>" if notes else ""
    foot = "<br>".join(f"{_text(name)}: {_text(value)}" for name, value in about.items())
    beside = "today's policy" if is_log else "the best single model"
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Router on {_text(evaluation.source)}</title><style>{STYLE}</style></head><body>
<h1>A router beside {beside}</h1>
<p>{_text(evaluation.source)}: {evaluation.rows:,} rows of {evaluation.groups:,} independent groups,
{evaluation.left_out:,} left out.</p>
{_warnings(warnings)}{_verdict(evaluation)}
<figure><img alt="Quality against cost, and the router's utility over {beside}"
src="data:image/png;base64,{figure}"></figure>
<h2>The router by cost weight</h2>
{(_by_weight if is_log else _known_by_weight)(evaluation.of("router"))}
<h2>Every policy</h2>
{_policies(evaluation)}
{_of_log(evaluation) if is_log else ""}
{known}
<footer>{foot}</footer>
</body></html>
"""


def _warnings(warnings: Sequence[str]) -> str:
    """What the data were warned of; nothing where nothing was."""
    said = "".join(f"<li>{_text(each)}</li>" for each in warnings)
    head = "<p class=first>Read the values below with these warnings:</p>"
    return f"{head}<ul>{said}</ul>" if said else ""


def _verdict(evaluation: Evaluation) -> str:
    """The sentences that the numbers support; of a table, how it was evaluated."""
    first, *others = evaluation.verdict or (
        "Every model's answer to every query is known: means are of the cells themselves, and "
        "intervals say how far they would differ on other queries of this kind.",
    )
    sentences = "".join(f"<li>{_text(sentence)}</li>" for sentence in others)
    return f'<p class="first">{_text(first)}</p>' + (f"\n<ul>{sentences}</ul>" if others else "")


def _of_log(evaluation: Evaluation) -> str:
    return f"""<h2>One model for every query</h2>
{_singles(evaluation)}
<h2>What the log covers</h2>
{_overlap(evaluation.overlap or {})}"""


def _by_weight(lines: Sequence[Line]) -> str:
    head = (
        "cost weight",
        "verdict",
        "utility",
        "over today, all at once",
        "over best single",
        "quality",
        "$ per 1,000",
        "no support",
        "mostly",
    )
    rows = (
        (
            f"{line.cost_weight:g}",
            line.verdict,
            _interval(line.utility),
            _ends(line.over_today, line.band),
            _interval(line.advantage),
            _interval(line.quality),
            f"{1000 * line.cost.mean:.3g}",
            f"{line.unsupported or 0:.1%}",
            "" if line.mostly is None else f"{line.mostly[0]} ({line.mostly[1]:.0%})",
        )
        for line in lines
    )
    return _table(head, rows)


def _known_by_weight(lines: Sequence[Line]) -> str:
    """The same of a table, where the oracle is known and there is no policy of today."""
    head = ("cost weight", "utility", "over best single", "below oracle", "quality", "$ per 1,000")
    rows = (
        (
            f"{line.cost_weight:g}",
            _interval(line.utility),
            _interval(line.advantage),
            "" if line.regret is None else _interval(line.regret),
            _interval(line.quality),
            f"{1000 * line.cost.mean:.3g}",
        )
        for line in lines
    )
    return _table(head, rows)


def _policies(evaluation: Evaluation) -> str:
    weights = sorted({line.cost_weight for line in evaluation.lines})
    methods = list(dict.fromkeys(line.method for line in evaluation.lines))
    by = {(line.method, line.cost_weight): line for line in evaluation.lines}
    rows = (
        (method, *(_interval(by[method, weight].utility) for weight in weights))
        for method in methods
    )
    return _table(("utility at cost weight", *(f"{weight:g}" for weight in weights)), rows)


def _singles(evaluation: Evaluation) -> str:
    rows = (
        (
            single.model,
            _interval(single.quality),
            costs(single),
            f"{single.unsupported:.0%}",
        )
        for single in evaluation.singles
    )
    return _table(("model", "quality", "$ per 1,000", "no support"), rows)


def _overlap(overlap: Mapping[str, Any]) -> str:
    names = ("models", "arm_rows", "effective_sample_size", "unsupported", "calibration")
    rows = (
        (model, f"{rows:,}", f"{size:.0f}", f"{without:.0%}", f"{mean:.2f}")
        for model, rows, size, without, mean in zip(*(overlap[name] for name in names), strict=True)
    )
    return _table(("model", "rows", "effective", "no support", "calibration"), rows)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    top = "".join(f"<th>{_text(cell)}</th>" for cell in head)
    body = "".join(f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="wide"><table><tr>{top}</tr>{body}</table></div>'


def _interval(interval: Interval) -> str:
    return _ends(interval, (interval.low, interval.high))


def _ends(interval: Interval | None, ends: tuple[float, float] | None) -> str:
    if interval is None or ends is None:
        return ""
    if interval.standard_error == 0 and interval.mean == 0:
        return "the same"
    if not np.isfinite(ends).all():
        return "cannot tell"
    return f"{interval.mean:.3f} ({ends[0]:.3f} to {ends[1]:.3f})"


def _text(value: Any) -> str:
    return html.escape(str(value))
