"""A study's files: results.jsonl, table.md, report.md and a figure a setting."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.meta_router.config import PUBLISHED_PEAKS, MetaRouterConfig
from experiments.meta_router.methods import method_name
from experiments.meta_router.protocol import RATIOS
from experiments.meta_router.run import Outcome
from routerjax.data.io.gain_labels import AUTHORS_FILE
from routerjax.pipelines.cate_heads import STYLES
from routerjax.pipelines.regressions import LEARNERS
from routerjax.reports.plots import COLOURS
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
}
SIMPLE = ("gold_only", "pooled")
DASHES = ("-", "--", "-.", ":")


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


def table(outcome: Outcome) -> str:
    """Markdown: area and peak of every method, and its paired difference to the simple ones."""
    head = ["method", "area", *(f"less {NAMES[base]}" for base in SIMPLE), "peak", "at ρ", "mean ω"]
    lines = [" | ".join(head), " | ".join("---" for _ in head)]
    for method, areas in outcome.areas.items():
        curve = outcome.curves[method].mean(axis=0)
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
        if outcome.source.published:
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
    """Markdown: peaks of the mean curves beside those read off the published figure."""
    lines = ["| method | published peak | peak here |", "| --- | --- | --- |"]
    for method in filter(outcome.curves.__contains__, PUBLISHED_PEAKS):
        here = outcome.curves[method].mean(axis=0).max()
        peak = PUBLISHED_PEAKS[method]
        lines.append(f"| {NAMES[method]} | {peak:.2f} | {here:.2f} |")
    return "\n".join(lines)


def figure_name(outcome: Outcome, outcomes: Sequence[Outcome]) -> str:
    """File name of a setting's figure."""
    return f"curve_{list(outcomes).index(outcome) + 1}.png"


def draw(outcome: Outcome, path: Path) -> None:
    """Efficiency against usage ratio, a band of ± 2 standard errors over runs."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7.2, 4.6), layout="constrained")
    for place, (method, curves) in enumerate(outcome.curves.items()):
        colour, style = COLOURS[place % len(COLOURS)], DASHES[place % len(DASHES)]
        mean = curves.mean(axis=0)
        reach = 2 * curves.std(axis=0, ddof=1) / np.sqrt(len(curves))
        axes.plot(RATIOS, mean, style, color=colour, label=NAMES[method], linewidth=1.6)
        axes.fill_between(RATIOS, mean - reach, mean + reach, color=colour, alpha=0.15, linewidth=0)
    axes.set_xlabel("share of queries sent to the primary model")
    divided = outcome.source.mean_gain != 1.0
    axes.set_ylabel("gain over a random choice" + (" / mean gold gain" if divided else ", a query"))
    axes.set_title(title(outcome), fontsize=10)
    axes.legend(fontsize=8, ncols=2)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def write(folder: Path, outcomes: Sequence[Outcome], config: MetaRouterConfig) -> None:
    """Write every file of a study into `folder`."""
    (folder / "results.jsonl").write_text(results_file(outcomes, config))
    (folder / "table.md").write_text(tables(outcomes))
    (folder / "report.md").write_text(report(outcomes, config))
    for outcome in outcomes:
        draw(outcome, folder / figure_name(outcome, outcomes))
