"""Figures: the cost–quality plot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from routerjax.atomic import new_file
from routerjax.reports.tables import Results, by_seed

# Okabe and Ito's palette, told apart by every common kind of colour vision
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F7F7F")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


def cost_quality(
    results: Results,
    path: Path,
    *,
    methods: Sequence[str],
    models: Sequence[tuple[str, float, float]],
    title: str,
    note: str,
) -> None:
    """Draw each method's mean quality against its mean cost, one point a cost weight.

    Curves come from the cost weights as trained, joined in their order, never from the best
    points picked on test rows; crosses are ± one standard error over seeds.

    Args:
      results: records with method, seed, cost_weight, quality, cost.
      path: .png to write.
      methods: to draw, at most eight.
      models: (name, mean cost, mean quality) of every single model.
      title, note: above and below the axes.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8.4, 4.6), layout="constrained")
    for name, dollars, score in models:
        axes.plot(1000 * dollars, score, marker=".", color="#AAAAAA", zorder=1)
        axes.annotate(
            name.rsplit("/", maxsplit=1)[-1], (1000 * dollars, score), textcoords="offset points",
            xytext=(4, -8), fontsize=6, color="#777777",
        )  # fmt: skip
    for method, colour, marker in zip(methods, COLOURS, MARKERS, strict=False):
        cost = 1000 * by_seed(results, method, metric="cost")
        quality = by_seed(results, method, metric="quality")
        axes.errorbar(
            cost.mean(axis=0), quality.mean(axis=0), xerr=_error(cost), yerr=_error(quality),
            label=method, color=colour, marker=marker, markersize=4, linewidth=1.2,
            elinewidth=0.6, zorder=2,
        )  # fmt: skip
    axes.set_xscale("log")
    axes.set_xlabel("mean cost, US dollars per 1,000 queries")
    axes.set_ylabel("mean quality")
    axes.set_title(title, fontsize=10)
    axes.grid(alpha=0.25)
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    figure.text(0.01, -0.02, note, fontsize=6, va="top", wrap=True)
    with new_file(path) as temporary:
        figure.savefig(temporary, dpi=160, bbox_inches="tight")
    plt.close(figure)


def _error(values: np.ndarray) -> np.ndarray:
    """Standard error over seeds, 0 where there is one seed."""
    if len(values) < 2:
        return np.zeros(values.shape[1])
    return values.std(axis=0, ddof=1) / np.sqrt(len(values))
