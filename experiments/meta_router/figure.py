"""The figure of a setting, and the published curves of Figure 1(a) behind it."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from experiments.meta_router.protocol import RATIOS
from routerjax.reports.style import FAINT, PAGE, drawing, looks, title

PUBLISHED = Path(__file__).parent / "published_figure.json"
NOTE = "Lines: means over runs. Bands: ± 2 standard errors over runs."
APART = 0.045
"""Between the names of published curves, in their unit."""
BEHIND = " Grey, named at their ends: the published Figure 1(a)."


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
    heading: str,
    references: Collection[str],
    divided: bool,
    published: bool,
) -> None:
    """Efficiency against usage ratio, a band of ± 2 standard errors over runs.

    Args:
      methods: name → [r, 61] curves of the runs.
      path: of the PNG.
      heading: of the figure.
      references: names of methods that are drawn in grey.
      divided: whether curves are divided by the mean gold gain.
      published: whether the published curves are drawn behind, in grey, named at their end.
    """
    look = looks(list(methods), references=references)
    with drawing(path, size=(PAGE, 3.6), note=NOTE + BEHIND * published) as drawn:
        axes = drawn.subplots()
        if published:
            _behind(axes)
        for name, curves in methods.items():
            mean = curves.mean(axis=0)
            reach = 2 * curves.std(axis=0, ddof=1) / np.sqrt(len(curves))
            colour, line = look[name].colour, look[name].line
            axes.plot(RATIOS, mean, linestyle=line, color=colour, label=name, zorder=3)
            edges = (mean - reach, mean + reach)
            axes.fill_between(RATIOS, *edges, color=colour, alpha=0.12, linewidth=0)
        axes.set_xlabel("share of queries sent to the primary model")
        unit = " / mean gold gain" if divided else ", a query"
        axes.set_ylabel(f"gain over a random choice{unit}")
        title(axes, heading)
        drawn.legend(loc="outside right upper")


def _behind(axes: Any) -> None:
    """The published curves, each with its name at its end."""
    known = published_curves()
    height = -np.inf
    for name, curve in sorted(known.curves.items(), key=lambda item: item[1]["efficiency"][-1]):
        axes.plot(known.ratio, curve["efficiency"], color="0.75", linewidth=2, zorder=1)
        height = max(curve["efficiency"][-1], height + APART)
        text, at = name.replace("_", " "), (known.ratio[-1] + 0.005, height)
        axes.annotate(text, at, color=FAINT, fontsize=5.5, va="center")
