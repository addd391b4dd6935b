"""When a policy changed: periods of a log within which its models keep their shares.

A period is parted where the likelihood of two periods, each of its own shares, is larger than that
of one by more than a penalty; then each part anew. Nothing is parted where nothing changed.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int

MOST_PERIODS = 12
LEAST_ROWS = 50
"""Rows of a period at least."""
PENALTY = 1.5
"""Log rows per degree of freedom by which the log likelihood must grow: half of one is the
criterion of Schwarz, the rest pays for the choice among all places."""


def periods_of(
    time: Float[np.ndarray, " n"], arms: Int[np.ndarray, " n"], *, rows_a_group: float = 1.0
) -> Float[np.ndarray, " p_1"]:
    """First times of every period but the first, rising; none where the shares stay as they are.

    Args:
      time: [n] when each row was logged.
      arms: [n] model that answered.
      rows_a_group: rows that say the same, by which the penalty grows.
    """
    order = np.argsort(time, kind="stable")
    answered = np.eye(int(arms.max(initial=0)) + 1)[arms[order]]
    freedom = rows_a_group * max(answered.shape[1] - 1, 1)
    return parted(time[order], answered, _multinomial, freedom=freedom)


def level_changes(
    time: Float[np.ndarray, " n"], values: Float[np.ndarray, " n"], *, rows_a_group: float = 1.0
) -> Float[np.ndarray, " p_1"]:
    """First times of every period but the first, within which the mean of `values` stays.

    Arguments as in `periods_of`.
    """
    order = np.argsort(time, kind="stable")
    scale = float(values.std()) or 1.0
    own = (values[order] - values.mean())[:, None] / scale
    return parted(time[order], own, _normal, freedom=rows_a_group)


Likelihood = Callable[[np.ndarray, np.ndarray], np.ndarray]


def parted(
    time: Float[np.ndarray, " n"],
    rows: Float[np.ndarray, "n c"],
    likelihood: Likelihood,
    *,
    freedom: float,
) -> Float[np.ndarray, " p_1"]:
    """Binary segmentation of rows [n, c] in the order of `time` [n].

    Args:
      time: rising.
      rows: what is summed.
      likelihood: sums [.., c] and counts [..] of rows → log likelihood, of constant parameters.
      freedom: parameters of a period, times the rows that say the same.

    Reference: Scott and Knott (1974); Vostrikova (1981), binary segmentation.
    """
    sums = np.concatenate([np.zeros((1, rows.shape[1])), np.cumsum(rows, axis=0)])
    penalty = PENALTY * freedom * np.log(max(len(rows), 2))
    # equal times are not parted
    places = np.flatnonzero(np.diff(time) > 0) + 1
    found: list[int] = []
    open_parts = [(0, len(rows))]
    while open_parts and len(found) < MOST_PERIODS - 1:
        best = [_best(sums, places, first, last, likelihood) for first, last in open_parts]
        which = int(np.argmax([gain for gain, _ in best]))
        gain, place = best[which]
        if gain <= penalty:
            break
        first, last = open_parts.pop(which)
        found.append(place)
        open_parts += [(first, place), (place, last)]
    edges: np.ndarray = time[np.sort(np.array(found, int))]
    return edges


def _best(
    sums: np.ndarray, places: np.ndarray, first: int, last: int, likelihood: Likelihood
) -> tuple[float, int]:
    """What the best place between two adds to the log likelihood, and that place."""
    inside = places[(places >= first + LEAST_ROWS) & (places <= last - LEAST_ROWS)]
    if not len(inside):
        return -np.inf, first
    left, right = sums[inside] - sums[first], sums[last] - sums[inside]
    whole = likelihood(sums[last] - sums[first], np.asarray(last - first))
    gains = likelihood(left, inside - first) + likelihood(right, last - inside) - whole
    best = int(gains.argmax())
    return float(gains[best]), int(inside[best])


def _multinomial(sums: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Σ n_m log(n_m / n)."""
    share = np.where(sums > 0, sums / np.asarray(count)[..., None], 1.0)
    found: np.ndarray = (sums * np.log(share)).sum(axis=-1)
    return found


def _normal(sums: np.ndarray, count: np.ndarray) -> np.ndarray:
    """n·mean²/2 of values of variance 1, up to what does not depend on where they are parted."""
    found: np.ndarray = (sums**2).sum(axis=-1) / (2 * np.asarray(count))
    return found


def written(seconds: float) -> str:
    """A time as it reads, "2024-05-01 12:00"; UTC."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%d %H:%M")
