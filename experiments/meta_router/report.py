"""A study's files: results.jsonl, table.md, report.md and a figure a setting."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.meta_router.config import PUBLISHED_GOLD, MetaRouterConfig
from experiments.meta_router.figure import draw, published_curves
from experiments.meta_router.methods import method_name
from experiments.meta_router.protocol import RATIOS
from experiments.meta_router.run import Outcome
from routerjax.data.io.gain_labels import AUTHORS_FILE
from routerjax.pipelines.cate_heads import STYLES
from routerjax.pipelines.regressions import LEARNERS
from routerjax.support.provenance import dumps, provenance

NAMES = {
    "r_learner": "R-learner",
    "dr_learner": "DR-learner",
    **{method_name(f"{style}-head"): f"{style.upper()}-head" for style in STYLES},
    "gold_only": "gold only",
    "pooled": "pooled",
    "preference_only": "preference only",
    "all_gold": "all gold (upper reference)",
    "random": "random",
    "script_r": "authors' script, R",
    "script_dr": "authors' script, DR",
    "shifted": "mean shift, then pooled",
}
NAMES |= {f"{name}_alone": f"{NAMES[name]}, ω = 1" for name in map(method_name, LEARNERS)}
NAMES |= {
    f"{name}_unscaled": f"{NAMES[name]}, ω = 1, no scaling" for name in map(method_name, LEARNERS)
}
NAMES["pooled_unscaled"] = "pooled, no scaling"
MOST_ROWS = 10
FIRST = (
    *("all_gold", "r_learner", "r_learner_alone", "dr_learner", "dr_learner_alone"),
    *("gold_only", "pooled", "shifted", "preference_only", "dr_learner_unscaled"),
)
"""What is printed first, in the order in which the table has room."""
SIMPLE = ("gold_only", "pooled")
SUMMARY = "summary.md"


def mean_and_error(values: np.ndarray) -> tuple[float, float]:
    """Mean and standard error over runs [r]."""
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


def records(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """One record a run and method, and one a method with its mean curve."""
    found = []
    for outcome in outcomes:
        setting = {"data": outcome.source.name, "gold_rows": outcome.gold_rows}
        for method, areas in outcome.areas.items():
            curves, omega = outcome.curves[method], outcome.omega[method]
            error = curves.std(axis=0, ddof=1) / np.sqrt(len(curves))
            found.append(
                {
                    "kind": "curve",
                    **setting,
                    "method": method,
                    "ratio": RATIOS,
                    "mean": curves.mean(axis=0),
                    "standard_error": error,
                }
            )
            found += [
                {
                    "kind": "run",
                    **setting,
                    "method": method,
                    "run": run,
                    "area": areas[run],
                    "omega": omega[run],
                }
                for run in range(len(areas))
            ]
    return found


def results_file(outcomes: Sequence[Outcome], config: MetaRouterConfig) -> str:
    """JSON lines: provenance first, then the records."""
    prints = ",".join(dict.fromkeys(outcome.source.fingerprint for outcome in outcomes))
    first = {"kind": "provenance", **provenance(config=config, seed=config.seed, data=prints)}
    return "".join(dumps(record) + "\n" for record in [first, *records(outcomes)])


def shown(outcome: Outcome) -> list[str]:
    """The methods of the table that is printed, at most ten, in the order of the study."""
    first = ranked(outcome.curves)[:MOST_ROWS]
    return [name for name in outcome.curves if name in first]


def ranked(methods: Collection[str]) -> list[str]:
    """Methods in the order in which a table has room for them."""
    first = [name for name in FIRST if name in methods]
    return [*first, *(name for name in methods if name not in first)]


def summary(outcomes: Sequence[Outcome], config: MetaRouterConfig, *, preset: str) -> str:
    """Markdown: what is printed first, a table of at most ten rows and three sentences."""
    text = [_stands_for(outcomes, config, preset)]
    for outcome in outcomes:
        text += [f"**{title(outcome)}**", table(outcome, methods=shown(outcome))]
        text.append(" ".join(sentences(outcome, config)))
    return "\n\n".join(each for each in text if each) + "\n"


STANDS_FOR = {
    "smoke": "smoke: numbers mean nothing.",
    "quick": "It stands for no figure of Meta-Router (arXiv 2509.25535): the labels are synthetic.",
}


def _stands_for(outcomes: Sequence[Outcome], config: MetaRouterConfig, preset: str) -> str:
    """Which figure of the paper an output stands for, or that it stands for none."""
    if config.labels is None:
        return STANDS_FOR.get(preset, STANDS_FOR["quick"])
    if any(outcome.source.published for outcome in outcomes):
        return (
            "It stands for Figure 1(a) of Meta-Router (arXiv 2509.25535) at 100 gold rows; the "
            "paper's values at other numbers of gold rows are not known to us."
        )
    return (
        "It stands for no figure of Meta-Router (arXiv 2509.25535) whose values are known to us: "
        "the labels are not those of Figure 1(a)."
    )


def sentences(outcome: Outcome, config: MetaRouterConfig) -> list[str]:
    """Scale, the learners against the simple methods, and the mixture against ω = 1."""
    factor = outcome.factor
    how = "left as they are" if config.scale == "none" else f"multiplied by {factor.mean():.3g}"
    spread = "" if config.scale == "none" else f" ({config.scale}, {factor.std():.2g} over runs)"
    found = [f"Preference labels are {how}{spread}."]
    learnt = [method_name(learner) for learner in config.learners]
    lead = max(learnt, key=lambda name: outcome.areas[name].mean())
    simple = max((*SIMPLE, "shifted"), key=lambda name: outcome.areas[name].mean())
    found.append(_told(outcome, lead, simple))
    if f"{lead}_alone" in outcome.areas:
        found.append(_told(outcome, lead, f"{lead}_alone"))
    return found


def _told(outcome: Outcome, one: str, other: str) -> str:
    """Whether one method's area exceeds another's beyond two standard errors, as a sentence."""
    mean, error = mean_and_error(outcome.areas[one] - outcome.areas[other])
    sure = abs(mean) > 2 * error
    word = "is not told apart from" if not sure else "is above" if mean > 0 else "is below"
    return f"The {NAMES[one]} {word} {NAMES[other]} ({_signed(mean, error)} in area)."


def table(outcome: Outcome, methods: Sequence[str] | None = None) -> str:
    """Markdown: area and peak of methods, and their paired differences to the simple ones."""
    head = ["method", "area", *(f"less {NAMES[base]}" for base in SIMPLE), "peak", "at ρ", "mean ω"]
    lines = [" | ".join(head), " | ".join("---" for _ in head)]
    for method in outcome.curves if methods is None else methods:
        areas, curve = outcome.areas[method], outcome.curves[method].mean(axis=0)
        omega = outcome.omega[method]
        cells = [NAMES[method], _signed(*mean_and_error(areas), sign="")]
        for base in SIMPLE:
            difference = areas - outcome.areas[base]
            cells.append("" if method == base else _signed(*mean_and_error(difference)))
        cells += [f"{curve.max():.3f}", f"{RATIOS[curve.argmax()]:.2f}"]
        cells.append("" if np.isnan(omega).all() else f"{omega.mean():.2f}")
        lines.append(" | ".join(cells))
    return "\n".join(f"| {line} |" for line in lines)


def _signed(mean: float, error: float, *, sign: str = "+") -> str:
    return f"{mean:{sign}.4f} ± {error:.4f}"


def title(outcome: Outcome) -> str:
    """Name of a setting."""
    return f"{outcome.source.name}: {outcome.gold_rows} gold rows"


def tables(outcomes: Sequence[Outcome]) -> str:
    """All settings' tables, each under its name."""
    return "\n\n".join(f"## {title(outcome)}\n\n{table(outcome)}" for outcome in outcomes) + "\n"


def report(outcomes: Sequence[Outcome], config: MetaRouterConfig) -> str:
    """The result section, its numbers filled in."""
    omega = "settled on held-out gold" if config.omega is None else f"{config.omega:g}"
    parts = [
        "# Meta-Router: few gold labels, many biased ones",
        f"{config.runs} runs; nuisances, bias and gain by {config.nuisance}; ω {omega}. Area under "
        "the efficiency curve over usage ratios 0.2 to 0.8, mean ± standard error over runs; "
        "differences are paired by run. Efficiency is the gold gain of the queries sent to the "
        "primary model, less that of a random choice, over the mean gold gain.",
    ]
    if config.labels is None:
        parts.append("Every label here is synthetic, from a generator whose truth is known.")
    else:
        parts.append(
            "Runs redraw roles from one file, so that standard errors tell what another draw of "
            "roles would change, not another file."
        )
    for outcome in outcomes:
        parts += [f"## {title(outcome)}", outcome.source.note, table(outcome), verdict(outcome)]
        parts.append(f"![{title(outcome)}]({figure_name(outcome, outcomes)})")
        if outcome.source.published and outcome.gold_rows == PUBLISHED_GOLD:
            parts += ["### Beside the published figure", published(outcome)]
    if config.labels is None:
        parts.append(f"The authors' own labels are the file {AUTHORS_FILE}; `--labels` takes it.")
    return "\n\n".join(parts) + "\n"


def verdict(outcome: Outcome) -> str:
    """One sentence a learner: beyond, within or below two standard errors of the simple methods."""
    sentences = []
    learners = set(map(method_name, LEARNERS))
    for method in filter(learners.__contains__, outcome.curves):
        words = []
        for base in SIMPLE:
            mean, error = mean_and_error(outcome.areas[method] - outcome.areas[base])
            ratio = mean / max(error, 1e-12)
            side = "beats" if ratio > 2 else "loses to" if ratio < -2 else "is level with"
            words.append(f"{side} {NAMES[base]} ({ratio:+.1f} standard errors)")
        sentences.append(f"The {NAMES[method]} {' and '.join(words)}.")
    return " ".join(sentences)


def published(outcome: Outcome) -> str:
    """Markdown: areas and peaks of the mean curves beside those of the published figure."""
    head = ["method", "published area", "area here", "published peak", "peak here"]
    lines = [head, ["---"] * len(head)]
    for method, curve in published_curves().curves.items():
        if method in outcome.curves:
            area, peak = outcome.areas[method], outcome.curves[method].mean(axis=0).max()
            cells = [f"{curve['area']:.3f}", _signed(*mean_and_error(area), sign="")]
            lines.append([NAMES[method], *cells, f"{curve['peak']:.2f}", f"{peak:.2f}"])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def figure_name(outcome: Outcome, outcomes: Sequence[Outcome]) -> str:
    """File name of a setting's figure."""
    return f"curve_{list(outcomes).index(outcome) + 1}.png"


def write(
    folder: Path, outcomes: Sequence[Outcome], config: MetaRouterConfig, *, preset: str = ""
) -> None:
    """Write every file of a study into `folder`."""
    (folder / SUMMARY).write_text(summary(outcomes, config, preset=preset))
    (folder / "results.jsonl").write_text(results_file(outcomes, config))
    (folder / "table.md").write_text(tables(outcomes))
    (folder / "report.md").write_text(report(outcomes, config))
    for outcome in outcomes:
        methods = {NAMES[name]: outcome.curves[name] for name in shown(outcome)}
        draw(
            methods,
            folder / figure_name(outcome, outcomes),
            heading=title(outcome),
            references=[NAMES["all_gold"]],
            divided=outcome.source.mean_gain != 1.0,
            published=outcome.source.published and outcome.gold_rows == PUBLISHED_GOLD,
        )
