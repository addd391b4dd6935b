"""Methods against the best single model from the same log, over draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from experiments.log_size.methods import BEST, BEST_FIT, FIT, FULL

Record = dict[str, Any]
Key = tuple[str, str, int]
"""Table, logging policy, rows."""
FAR = 0.03
"""Advantage, either way, of a draw that somebody would remember."""


def cells(draws: Sequence[Record]) -> dict[Key, list[Record]]:
    """Draws by table, logging policy and rows, in the order in which tables first come."""
    found: dict[Key, list[Record]] = {}
    for each in draws:
        found.setdefault((each["table"], each["logging"], each["rows"]), []).append(each)
    tables = list(dict.fromkeys(key[0] for key in found))
    policies = list(dict.fromkeys(key[1] for key in found))
    order = sorted(found, key=lambda key: (tables.index(key[0]), policies.index(key[1]), key[2]))
    return {key: sorted(found[key], key=lambda each: each["seed"]) for key in order}


def advantages(draws: Sequence[Record], method: str, *, over: str = BEST) -> Float[Any, "s w"]:
    """Utility of a method less that of another, draw by draw and cost weight by cost weight."""
    pairs = [(each["values"][method], each["values"][over]) for each in draws]
    return np.array([np.subtract(own, other) for own, other in pairs])


def mean_and_error(values: Float[Any, " s"]) -> tuple[float, float]:
    """Mean, and its standard error over draws, NaN of one draw."""
    many = len(values) > 1
    return float(values.mean()), float(values.std(ddof=1) / len(values) ** 0.5) if many else np.nan


def below(values: Float[Any, " s"]) -> bool:
    """Whether the mean of paired differences is below 0 by more than its standard error."""
    mean, error = mean_and_error(values)
    return bool(mean < -error)


class Comparison(NamedTuple):
    """A method against the best single model from the same log, over the cells that have it.

    Attributes:
      mean: advantage, mean over cells of the mean over draws and cost weights.
      error: its standard error over seeds; NaN where cells have other seeds than others.
      worst: lowest advantage of a draw, mean over cost weights.
      draws: number of draws.
      lost: share of the draws with an advantage below 0.
      far_below, far_above: number of draws with an advantage below −`FAR`, and above it.
      recovered: mean advantage over that of full feedback in the same cells.
      cells: number of cells.
      below: of them with an advantage below 0 by more than one paired standard error.
      weights: number of cells × cost weights.
      weights_below: of them below by the same.
    """

    mean: float
    error: float
    worst: float
    draws: int
    lost: float
    far_below: int
    far_above: int
    recovered: float
    cells: int
    below: int
    weights: int
    weights_below: int


def compare(found: dict[Key, list[Record]], method: str) -> Comparison | None:
    """A method over cells; None where none has it."""
    own = [draws for draws in found.values() if all(method in each["values"] for each in draws)]
    if not own:
        return None
    by_weight = [advantages(draws, method) for draws in own]
    every = [each.mean(axis=1) for each in by_weight]
    flat = np.concatenate(every)
    seeds = {tuple(each["seed"] for each in draws) for draws in own}
    mean = float(np.mean([each.mean() for each in every]))
    full = float(np.mean([advantages(draws, FULL).mean() for draws in own]))
    columns = [column for each in by_weight for column in each.T]
    return Comparison(
        mean=mean,
        error=mean_and_error(np.mean(every, axis=0))[1] if len(seeds) == 1 else np.nan,
        worst=float(flat.min()),
        draws=len(flat),
        lost=float((flat < 0).mean()),
        far_below=int((flat < -FAR).sum()),
        far_above=int((flat > FAR).sum()),
        recovered=mean / full if full > 0 else np.nan,
        cells=len(own),
        below=sum(map(below, every)),
        weights=len(columns),
        weights_below=sum(map(below, columns)),
    )


class Expectation(NamedTuple):
    """Draws × cost weights where a router kept its best single model, or did not.

    Attributes:
      places: number of draws × cost weights.
      expected: mean advantage over that model that was expected beforehand.
      came: method → its mean advantage over that model on the test rows.
      above: share of the places where `fit` came out above that model by more than 0.01.
    """

    places: int
    expected: float
    came: dict[str, float]
    above: float


ABOVE = 0.01
"""Advantage of a router that was worth having."""


def expectation(found: dict[Key, list[Record]], *, kept: bool) -> Expectation | None:
    """What was expected of routers that kept their best single model, or of the others.

    None where no draw says what was expected, or none is of the kind.
    """
    draws = [each for own in found.values() for each in own if "expected" in each]
    masks = [np.asarray(each["expected"]["kept"], bool) == kept for each in draws]
    if not any(mask.any() for mask in masks):
        return None

    def picked(values: Sequence[Float[Any, " w"]]) -> Float[Any, " p"]:
        pairs = zip(values, masks, strict=True)
        return np.concatenate([np.asarray(own, np.float64)[mask] for own, mask in pairs])

    names = set.intersection(*(set(each["values"]) for each in draws)) - {BEST_FIT}
    over = {name: picked(list(advantages(draws, name, over=BEST_FIT))) for name in sorted(names)}
    return Expectation(
        places=len(over[FIT]),
        expected=float(picked([each["expected"]["advantage"] for each in draws]).mean()),
        came={name: float(own.mean()) for name, own in over.items()},
        above=float((over[FIT] > ABOVE).mean()),
    )


def seconds(draws: Sequence[Record], method: str, *, first: bool) -> float:
    """Median CPU seconds of a method's fit; first calls of a shape apart from later ones."""
    own = [
        each["seconds"][method]
        for each in draws
        if method in each["seconds"] and (method in each["first"]) == first
    ]
    return float(np.median(own)) if own else np.nan
