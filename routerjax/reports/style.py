"""How every figure looks: colours, markers, lines, sizes for a paper's columns, axes, files."""

from __future__ import annotations

import contextlib
import textwrap
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from routerjax.reports.selection import band, short
from routerjax.support.atomic import new_file

# Okabe and Ito's palette, told apart by every common kind of colour vision; grey for yellow
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F7F7F")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
LINES = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (6, 1.5, 1, 1.5)), (0, (3, 1)), "-.", "--", ":")
REFERENCE = "#666666"
FAINT = "#999999"

MOST = 7
"""Methods of one figure that are no references: as many as there are colours beside grey."""

COLUMN, PAGE = 3.4, 7.0
"""Widths in inches of a column and of both."""

WEIGHT = "cost weight λ, quality per dollar"
CHARACTER = 0.058
"""Inches that a digit of a tick's label takes."""

SETTINGS: dict[Any, Any] = {
    "font.size": 7.5,
    "axes.titlesize": 8,
    "axes.labelsize": 7.5,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "legend.handlelength": 3.2,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.5,
    "hatch.linewidth": 0.4,
    "pdf.fonttype": 42,
    "savefig.dpi": 300,
}


class Look(NamedTuple):
    """Colour, marker and line of one method."""

    colour: str
    marker: str
    line: Any


def looks(methods: Sequence[str], *, references: Collection[str] = ()) -> dict[str, Look]:
    """A look for every method: colours for candidates in order, greys for references."""
    found, candidates, others = {}, 0, 0
    for method in methods:
        if method in references:
            found[method] = Look(REFERENCE, "x+1234"[others % 6], LINES[(others + 1) % len(LINES)])
            others += 1
        else:  # eight markers and lines on seven colours: a colour comes back with other ones
            found[method] = Look(
                COLOURS[candidates % MOST],
                MARKERS[candidates % len(MARKERS)],
                LINES[candidates % len(LINES)],
            )
            candidates += 1
    return found


@contextlib.contextmanager
def drawing(path: Path, *, size: tuple[float, float], note: str = "") -> Iterator[Any]:
    """An empty matplotlib figure, written to `files(path)` if the block ends well.

    Args:
      path: a .png, .pdf or .svg, or a name without suffix for both PNG and PDF.
      size: width and height in inches.
      note: small print at the foot.
    """
    import matplotlib
    from matplotlib.figure import Figure  # not pyplot: no window, no state left behind

    with matplotlib.rc_context(SETTINGS):
        drawn = Figure(figsize=size, layout="constrained")
        yield drawn
        if note:
            text = textwrap.fill(note, round(23 * size[0]))
            drawn.supxlabel(text, fontsize=5.5, color=REFERENCE, x=0.01, ha="left")
        for file in files(path):
            with new_file(file) as temporary:
                undated = {"CreationDate": None} if file.suffix == ".pdf" else {}
                drawn.savefig(temporary, metadata=undated)
            drawn.set_layout_engine("none")  # the next file keeps the first one's layout


def files(path: Path) -> list[Path]:
    """What a figure is written to: the path if it names a format, else PNG and PDF beside it."""
    if path.suffix in (".png", ".pdf", ".svg"):
        return [path]
    return [path.with_name(path.name + suffix) for suffix in (".png", ".pdf")]


def legend(drawn: Any, axes: Any, *, columns: int = 2, hollow: bool = False) -> None:
    """The axes' legend above the figure, outside of the data; `hollow` explains open markers."""
    if hollow:
        axes.plot(
            [], [], "o", color=REFERENCE, markerfacecolor="white", label="λ between grid points"
        )
    handles, labels = axes.get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside upper left", ncols=columns, columnspacing=1.2)


def title(axes: Any, text: str) -> None:
    """A title at the left of the axes, broken where the figure ends."""
    width = axes.figure.get_figwidth() - 0.7
    axes.set_title(textwrap.fill(text, round(14 * width)), loc="left")


def name_of_point(
    axes: Any,
    text: str,
    at: tuple[float, float],
    *,
    offset: tuple[float, float],
    left: bool = False,
) -> None:
    """Write a point's name beside it, in a halo that keeps it legible where curves pass.

    Args:
      axes: to write on.
      text: as it is, dollar signs too.
      at: the point.
      offset: of the text from it, in points.
      left: whether the text ends there, and does not begin.
    """
    from matplotlib import patheffects

    axes.annotate(
        text.replace("$", r"\$"),
        at,
        xytext=offset,
        textcoords="offset points",
        fontsize=5.5,
        color=REFERENCE,
        ha="right" if left else "left",
        zorder=4,
        path_effects=[patheffects.withStroke(linewidth=1.5, foreground="white", alpha=0.9)],
    )


def weight_axis(
    axes: Any,
    cost_weights: Sequence[float],
    *,
    between: Collection[float] = (),
    label: str = WEIGHT,
) -> None:
    """An x axis of cost weights that holds λ = 0: linear to the smallest above it, then log.

    Args:
      axes: of matplotlib.
      cost_weights: all that are drawn; as many are labelled as have room.
      between: those of them between grid points, labelled after the others.
      label: name of the axis.
    """
    positive = [cost_weight for cost_weight in cost_weights if cost_weight > 0]
    if positive and max(positive) > 10 * min(positive):
        axes.set_xscale("symlog", linthresh=min(positive), linscale=0.4)
    scale = axes.xaxis.get_transform()
    low, high = scale.transform(np.array([min(cost_weights), max(cost_weights)], np.float64))
    margin = 0.04 * (high - low) or 1.0
    axes.set_xlim(scale.inverted().transform(np.array([low - margin, high + margin])))
    ticks(axes, cost_weights, last=between)
    axes.set_xlabel(label)


def ticks(axes: Any, values: Sequence[float], *, last: Collection[float] = ()) -> None:
    """Ticks at the values drawn, labelled where the label does not crowd a neighbour's.

    The ends are labelled first, those of `last` after the others.
    """
    from matplotlib.ticker import FixedLocator

    values = sorted(values)
    middle = sum(axes.get_ylim()) / 2
    places = axes.transData.transform([(value, middle) for value in values])[:, 0]
    texts = [short(value) for value in values]

    def crowd(i: int, j: int) -> bool:
        width = (len(texts[i]) + len(texts[j])) / 2 + 1
        return abs(places[i] - places[j]) < width * CHARACTER * axes.figure.dpi

    kept: list[int] = []
    inner = sorted(range(1, len(values) - 1), key=lambda i: values[i] in last)
    for i in (0, len(values) - 1, *inner):
        if not any(crowd(i, j) for j in kept):
            kept.append(i)
    kept.sort()
    axes.xaxis.set_major_locator(FixedLocator([values[i] for i in kept]))
    axes.set_xticklabels([texts[i] for i in kept])
    others = [value for i, value in enumerate(values) if i not in kept]
    axes.xaxis.set_minor_locator(FixedLocator(others))


def shade(axes: Any, x: Sequence[float] | np.ndarray, values: np.ndarray, *, look: Look) -> None:
    """The 95 % band of values [s, k] over seeds; of two seeds it would fill the figure, so none."""
    if len(values) > 2:
        found = band(values)
        axes.fill_between(x, found.low, found.high, color=look.colour, alpha=0.15, linewidth=0)


def line(
    axes: Any,
    x: Sequence[float],
    values: np.ndarray,
    *,
    look: Look,
    label: str,
    hollow: Collection[float] = (),
) -> None:
    """Mean over seeds with its 95 % band.

    Args:
      axes: of matplotlib.
      x: [k] places, rising.
      values: [s, k] by seed.
      look, label: of the method.
      hollow: places whose markers are left open: those that were not trained on.
    """
    found = band(values)
    faces = ["white" if place in hollow else look.colour for place in x]
    axes.plot(x, found.mean, linestyle=look.line, color=look.colour, zorder=3)
    shade(axes, x, values, look=look)
    for face in sorted(set(faces)):
        some = [i for i, own in enumerate(faces) if own == face]
        axes.plot(
            np.asarray(x)[some],
            found.mean[some],
            linestyle="none",
            marker=look.marker,
            color=look.colour,
            markerfacecolor=face,
            markeredgewidth=0.8,
            zorder=4,
        )
    axes.plot([], [], linestyle=look.line, color=look.colour, marker=look.marker, label=label)
