"""Figure: whom each router asks, by cost weight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from routerjax.reports.selection import Results, by_seed, cost_weights_of, where
from routerjax.reports.style import COLOURS, PAGE, drawing, files, weight_axis

TOP = 7
HATCHES = ("", "////", "....", "\\\\\\\\", "xxxx", "----", "oooo")
OTHERS = "#DDDDDD"
ORACLE = "oracle"


def mean_shares(
    results: Results, references: Results, methods: Sequence[str]
) -> dict[str, tuple[list[float], np.ndarray]]:
    """Method → (cost weights, [w, m] share of queries by model), means over seeds.

    "oracle" is read off the reference records where no result bears its name.
    """
    found = {}
    for method in methods:
        own = where(results, method=method)
        if own:
            found[method] = (
                cost_weights_of(own),
                by_seed(own, method, metric="shares").mean(axis=0),
            )
        elif method == ORACLE and references:
            mean = np.mean([r["oracle_shares"] for r in references], axis=0)
            found[method] = (list(references[0]["cost_weights"]), mean)
    return found


def most_asked(found: Mapping[str, tuple[list[float], np.ndarray]]) -> list[int]:
    """The seven models most asked, on average over methods and their cost weights."""
    total = np.sum([values.mean(axis=0) for _, values in found.values()], axis=0)
    return [int(i) for i in np.argsort(-total, kind="stable")[:TOP]]


def routing_shares(
    results: Results,
    references: Results,
    path: Path,
    *,
    methods: Sequence[str],
    title: str = "",
    note: str = "",
) -> list[Path]:
    """Draw the share of queries each model gets against λ, stacked, a panel a method.

    The cheapest model lies at the bottom. Models beyond the seven most asked over all panels
    are one grey band, "others".

    Args:
      results: records with method, seed, cost_weight, shares, of one setting.
      references: reference records of the same seeds, for names and the oracle.
      path: file, or name without suffix for PNG and PDF.
      methods: one to four panels; "oracle" is read off the references if need be.
      title, note: above and below the axes.
    """
    found = mean_shares(results, references, methods)
    names = [name.rsplit("/", maxsplit=1)[-1] for name in references[0]["models"]]
    top = sorted(most_asked(found), key=lambda i: references[0]["mean_cost"][i])
    with drawing(path, size=(PAGE, 2.7), note=note) as drawn:
        panels = drawn.subplots(1, len(found), sharey=True, squeeze=False)[0]
        for axes, (method, (cost_weights, values)) in zip(panels, found.items(), strict=True):
            bands = [100 * values[:, i] for i in top]
            labels = [names[i] for i in top]
            if len(top) < len(names):
                bands.append(100 - np.sum(bands, axis=0))
                labels.append("others")
            axes.stackplot(
                cost_weights,
                *bands,
                labels=labels,
                colors=[*COLOURS[: len(top)], OTHERS],
                hatch=[*HATCHES[: len(top)], ""],
                edgecolor="white",
                linewidth=0.4,
            )
            axes.grid(False)
            axes.set_ylim(0, 100)
            weight_axis(axes, cost_weights, label="cost weight λ")
            axes.set_xlim(min(cost_weights), max(cost_weights))
            axes.set_title(method, loc="left")
        panels[0].set_ylabel("share of queries, %")
        handles, labels = panels[0].get_legend_handles_labels()
        drawn.legend(handles[::-1], labels[::-1], loc="outside right upper", title=title or None)
    return files(path)
