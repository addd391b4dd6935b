"""Results of the study on disk: results.jsonl, table.md and a cost–quality plot per log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from experiments.causal_routing.config import StudyConfig
from experiments.causal_routing.data import Source
from routerjax.atomic import write_text
from routerjax.counterfactual import Overlap
from routerjax.provenance import dumps, provenance
from routerjax.reports.plots import cost_quality
from routerjax.reports.tables import methods_of, metric_table, utility_table

BASE = "best-single-log"
DRAWN = (
    "rm-softmax-dr", "rm-softmax-direct", "rm-classification-dr", "rm-softmax-full-feedback",
    "regression-plug-in", "knn-plug-in", "oracle",
)  # fmt: skip


def write_results(
    out: Path, results: list[dict[str, Any]], config: StudyConfig, source: Source
) -> Path:
    """JSON lines: first the provenance, then a record per method, seed and cost weight."""
    head = {"record": "provenance"} | provenance(
        config=config, seed=0, data=source.table.fingerprint
    )
    head["seeds"] = list(range(config.seeds))
    lines = [head, *({"record": "result"} | result for result in results)]
    path = out / "results.jsonl"
    write_text(path, "".join(dumps(line) + "\n" for line in lines))
    return path


def tables(
    results: list[dict[str, Any]],
    overlaps: dict[str, Overlap],
    config: StudyConfig,
    source: Source,
) -> str:
    """The study's tables in Markdown, one section per logging policy."""
    parts = [f"# Causal LLM routing on {name_of(source)}", *source.notices]
    for logging in config.logging:
        some = [r for r in results if r["logging"] == logging]
        ceiling = "rm-softmax-full-feedback"
        parts += [
            f"## Logging policy: {logging}",
            _log_sentence(overlaps[logging], config),
            "Mean utility u = q − λ·c on test rows by cost weight λ (quality per dollar), mean ± "
            f"standard error over {config.seeds} seeds. The last columns: mean over the cost "
            f"weights, its paired difference to {BASE}, and the share of the gap from there to "
            f"{ceiling}.",
            utility_table(
                some, base=BASE, ceiling=ceiling if ceiling in methods_of(some) else None
            ),
            "Mean quality:",
            metric_table(some, metric="quality"),
            "Mean cost, US dollars per 1,000 queries:",
            metric_table(some, metric="cost", scale=1000.0),
        ]
    return "\n\n".join(parts) + "\n"


def name_of(source: Source) -> str:
    """The table's name without its folder."""
    return source.table.source.rsplit("/", maxsplit=1)[-1]


def _log_sentence(overlap: Overlap, config: StudyConfig) -> str:
    model, size = overlap.weakest
    known = "recorded" if config.record_propensities else "estimated"
    return (
        f"{overlap.rows} rows logged a seed, propensities {known}. Seed 0: smallest propensity "
        f"{overlap.smallest_propensity:.3g}, {overlap.share_clipped:.1%} below the floor "
        f"{overlap.floor:g}; least covered is {model}, {size:.0f} effective rows."
    )


def draw(
    out: Path, results: list[dict[str, Any]], config: StudyConfig, source: Source
) -> list[Path]:
    """One cost–quality plot per logging policy."""
    judged_by = source.judged_by
    models = list(
        zip(source.table.models, np.mean(judged_by.cost, axis=0).tolist(),
            np.mean(judged_by.quality, axis=0).tolist(), strict=True)
    )  # fmt: skip
    paths = []
    for logging in config.logging:
        some = [r for r in results if r["logging"] == logging]
        path = out / f"cost_quality_{logging}.png"
        cost_quality(
            some,
            path,
            methods=[method for method in DRAWN if method in methods_of(some)],
            models=models,
            title=f"{name_of(source)}, {logging} logging, {config.seeds} seeds",
            note=" ".join(source.notices),
        )
        paths.append(path)
    return paths
