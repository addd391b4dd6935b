"""The figure of the study: where each way wins, a panel for every factor and every table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.end_to_end.compare import CONFIDENCE, Cell, cells_of, difference
from experiments.end_to_end.config import CENTRE, CROSSED, EMBEDDED, FACTORS, FULL, Setting
from experiments.end_to_end.methods import COLD, FULL_COLD, WARM
from routerjax.reports.style import PAGE, REFERENCE, Look, drawing, looks

Record = dict[str, Any]

LABELS = {
    WARM: "from the log, plug-in's start",
    COLD: "from the log, random start",
    FULL_COLD: "full feedback, random start",
}
TITLES = {
    "rows": "rows of the log",
    "arms": "arms",
    "noise": "noise of scores",
    "logging": "overlap",
    "outcomes": "outcome model",
    "width": "router's hidden units",
    "dimensions": "width of the encoder",
    "spread": "spread of costs",
    "propensities": "propensities",
}
ACROSS = 4
CROWDED = 24
"""Characters of a panel's labels from which they are turned, where they take one line each."""
NOTE = (
    "Utility of a router trained by softmax regret less that of predict-then-choose with the same "
    "outcome model, mean over cost weights; above 0 end to end wins. Log: dr utilities. Bars: "
    f"{CONFIDENCE:.0%} intervals over draws, on tables with the part of their own queries; those "
    "of few draws run past the panel. One factor varies at a time around the centre (2,500 rows, "
    "biased logging, hierarchical outcome model, 11 arms). Each panel has a scale of its own."
)

Panel = tuple[str, list[tuple[str, Cell]]]


def panels(cells: Sequence[Cell]) -> list[Panel]:
    """Title and labelled cells of every panel that has any."""
    embedded = {each.setting: each for each in cells if each.table == EMBEDDED}
    found: list[Panel] = []
    for factor, levels in FACTORS.items():
        names = [(str(level), Setting(**{factor: level}).name) for level in levels]  # type: ignore[arg-type]
        own = [(label, embedded[name]) for label, name in names if name in embedded]
        if len(own) > 1:
            found.append((TITLES[factor], own))
    crossed = [(_label(each.name), embedded.get(each.name)) for each in CROSSED]
    kept = [(label, cell) for label, cell in crossed if cell is not None]
    if kept:
        found.append(("two factors", kept))
    if not found and CENTRE in embedded:
        found.append(("embedded", [(CENTRE, embedded[CENTRE])]))
    for table in dict.fromkeys(each.table for each in cells if each.table != EMBEDDED):
        found.append((table, [(_label(c.setting), c) for c in cells if c.table == table]))
    return found


def _label(setting: str) -> str:
    """The levels of a setting without the factors' names, a line each."""
    return "\n".join(part.partition("=")[2] or part for part in setting.split(", "))


def plot(results: Record, path: Path) -> None:
    """Draw the differences with intervals, a panel for every factor and every table."""
    cells = cells_of(results)
    names = [name for name in LABELS if name in cells[0].methods]
    look = looks(names, references=[name for name in names if f", {FULL}, " in name])
    drawn_panels = panels(cells)
    down = -(-len(drawn_panels) // ACROSS)
    with drawing(path, size=(PAGE, 0.8 + 1.6 * down), note=NOTE) as drawn:
        axes = drawn.subplots(down, ACROSS, squeeze=False).ravel()
        for place, (title, labelled) in zip(axes, drawn_panels, strict=False):
            place.set_title(title, loc="left")
            _panel(place, labelled, names, look)
        for place in axes[len(drawn_panels) :]:
            place.set_visible(False)
        for first in axes[::ACROSS]:
            first.set_ylabel("difference")
        handles, labels = axes[0].get_legend_handles_labels()
        drawn.legend(handles, labels, loc="outside upper left", ncols=len(names))


def _panel(
    axes: Any, labelled: list[tuple[str, Cell]], names: list[str], look: dict[str, Look]
) -> None:
    axes.axhline(0.0, color=REFERENCE, linewidth=0.6)
    reach = 0.002
    for shift, name in enumerate(names):
        found = [difference(cell, name) for _, cell in labelled]
        places = [place + 0.2 * (shift - (len(names) - 1) / 2) for place in range(len(found))]
        reach = max(reach, *(abs(each.mean) for each in found))
        axes.errorbar(
            places,
            [each.mean for each in found],
            yerr=[each.margin for each in found],
            color=look[name].colour,
            marker=look[name].marker,
            linestyle="none",
            elinewidth=0.8,
            label=LABELS[name],
        )
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, -1.6 * reach), min(high, 1.6 * reach))
    axes.set_xticks(range(len(labelled)), [label for label, _ in labelled])
    axes.set_xlim(-0.5, len(labelled) - 0.5)
    if sum(len(label) for label, _ in labelled if "\n" not in label) > CROWDED:
        axes.tick_params(axis="x", labelrotation=60)
