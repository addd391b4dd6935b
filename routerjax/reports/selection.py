"""From result records to arrays by seed and cost weight."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from routerjax.errors import InputError
from routerjax.evaluation.intervals import student_quantile

Results = Sequence[dict[str, Any]]


def by_seed(
    results: Results,
    method: str,
    *,
    metric: str,
    seeds: Sequence[int] | None = None,
    cost_weights: Sequence[float] | None = None,
) -> np.ndarray:
    """[s, w] a metric of one method by seed and cost weight, NaN where there is no record.

    Args:
      results: records with method, seed, cost_weight and the metric.
      method: whose records.
      metric: name of a number in them; of a list (shares), the result is [s, w, ·].
      seeds, cost_weights: rows and columns; by default the method's own, rising.

    Raises:
      InputError: a record lacks the metric, or two tell the same seed and cost weight.
    """
    own = [r for r in results if r["method"] == method]
    seeds = sorted({r["seed"] for r in own}) if seeds is None else list(seeds)
    cost_weights = cost_weights_of(own) if cost_weights is None else list(cost_weights)
    found: dict[tuple[int, int], Any] = {}
    for r in own:
        if r["seed"] not in seeds or r["cost_weight"] not in cost_weights:
            continue
        place = (seeds.index(r["seed"]), cost_weights.index(r["cost_weight"]))
        where = f"{method}, seed {r['seed']}, cost weight {r['cost_weight']:g}"
        if metric not in r:
            raise InputError(f"no {metric} in the record of {where}", source="results")
        if place in found:
            problem = f"two records of {where}; select one logging, strength and number of rows"
            raise InputError(problem, source="results")
        found[place] = r[metric]
    values = np.full(
        (len(seeds), len(cost_weights), *np.shape(next(iter(found.values()), 0.0))), np.nan
    )
    for place, value in found.items():
        values[place] = value
    return values


def methods_of(results: Results) -> list[str]:
    """Methods in the order in which they first occur."""
    return list(dict.fromkeys(r["method"] for r in results))


def cost_weights_of(results: Results) -> list[float]:
    """Cost weights, rising."""
    return sorted({r["cost_weight"] for r in results})


def seeds_of(results: Results) -> list[int]:
    """Seeds, rising."""
    return sorted({r["seed"] for r in results})


def between_weights(results: Results) -> set[float]:
    """Cost weights at which some method was evaluated without training on them (`held_out`)."""
    return {r["cost_weight"] for r in results if r.get("held_out", False)}


def on_grid(results: Results) -> Results:
    """Records at the cost weights of the grid, without those between its points."""
    between = between_weights(results)
    return [r for r in results if r["cost_weight"] not in between]


def off_grid(results: Results) -> Results:
    """Records at cost weights between grid points, of methods trained there or not."""
    between = between_weights(results)
    return [r for r in results if r["cost_weight"] in between]


def where(results: Results, **equal: Any) -> Results:
    """Records whose fields equal the given ones; a record without a field is left out."""
    absent = object()
    found = list(results)
    for name, value in equal.items():
        found = [r for r in found if r.get(name, absent) == value]
    return found


def short(value: float) -> str:
    """Whole numbers as they are, others to three digits: 1000, 22.4."""
    return str(int(value)) if float(value).is_integer() else f"{value:.3g}"


class Band(NamedTuple):
    """Mean over seeds with a confidence interval, arrays of one shape; NaN for one seed."""

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def band(values: np.ndarray, *, confidence: float = 0.95) -> Band:
    """Mean over the first axis and Student's interval at every place of the others.

    Args:
      values: [s, ...] by seed; NaN where a seed was not run.
      confidence: coverage of each interval by itself.
    """
    known = np.isfinite(values)
    count = known.sum(axis=0)
    total = np.where(known, values, 0.0).sum(axis=0)
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    squares = np.where(known, (values - mean) ** 2, 0.0).sum(axis=0)
    error = np.sqrt(squares / np.maximum(count - 1, 1) / np.maximum(count, 1))
    degrees = {
        int(n): student_quantile(0.5 + confidence / 2, int(n) - 1)
        for n in np.unique(count)
        if n > 1
    }
    reach = error * np.vectorize(lambda n: degrees.get(int(n), np.nan), otypes=[float])(count)
    return Band(mean, mean - reach, mean + reach)
