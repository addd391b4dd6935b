"""The figure of a setting, and the published curves of Figure 1(a) behind it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from experiments.meta_router.protocol import RATIOS
from routerjax.reports.plots import COLOURS

PUBLISHED = Path(__file__).parent / "published_figure.json"
DASHES = ("-", "--", "-.", ":")


class Published(NamedTuple):
    """Curves that were read off a published figure.

    Attributes:
      source: paper and figure.
      ratio: usage ratios.
      curves: method → area, peak, at (its ratio) and efficiency at the ratios.
    """

    source: str
    ratio: np.ndarray
    curves: Mapping[str, Mapping[str, Any]]


def published_curves() -> Published:
    """The curves of Figure 1(a), read off point by point."""
    found = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    return Published(found["source"], np.asarray(found["ratio"]), found["curves"])


def draw(
    methods: Mapping[str, np.ndarray],
    path: Path,
    *,
    title: str,
    divided: bool,
    published: bool,
) -> None:
    """Efficiency against usage ratio, a band of ± 2 standard errors over runs.

    Args:
      methods: name → [r, 61] curves of the runs.
      path: of the PNG.
      title: of the figure.
      divided: whether curves are divided by the mean gold gain.
      published: whether the published curves are drawn behind, in grey, named at their end.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8.6, 4.6), layout="constrained")
    if published:
        known = published_curves()
        for name, curve in known.curves.items():
            axes.plot(known.ratio, curve["efficiency"], color="0.75", linewidth=2.4, zorder=1)
            last = (known.ratio[-1], curve["efficiency"][-1])
            axes.annotate(name.replace("_", " "), last, color="0.5", fontsize=6, va="center")
    for place, (name, curves) in enumerate(methods.items()):
        colour, style = COLOURS[place % len(COLOURS)], DASHES[place % len(DASHES)]
        mean = curves.mean(axis=0)
        reach = 2 * curves.std(axis=0, ddof=1) / np.sqrt(len(curves))
        axes.plot(RATIOS, mean, style, color=colour, label=name, linewidth=1.6, zorder=3)
        axes.fill_between(RATIOS, mean - reach, mean + reach, color=colour, alpha=0.15, linewidth=0)
    axes.set_xlabel("share of queries sent to the primary model")
    axes.set_ylabel("gain over a random choice" + (" / mean gold gain" if divided else ", a query"))
    behind = "; grey: the published Figure 1(a)" if published else ""
    axes.set_title(f"{title}\nbands: ± 2 standard errors over runs{behind}", fontsize=9)
    figure.legend(fontsize=8, loc="outside right upper")
    figure.savefig(path, dpi=150)
    plt.close(figure)
