"""A cut through the queries: logistic regression with a ceiling, for one arm of a log's policy.

A policy that never asks an arm on one side of a cut does not always ask it on the other: there it
chooses among several. Plain logistic regression, or a discriminant, takes the rows that other arms
answered there for rows on the wrong side, and finds the cut in the wrong direction.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

STRENGTHS = (1e-3, 1e-2, 0.1)
"""Ridge strengths tried, in units of the features' mean square."""
STEPS = 60
STEEPNESS = 1.7
"""Logits per standard deviation of the first direction: a logistic that is nearly a normal."""
LEAST = 1e-9


class Cut(NamedTuple):
    """Of K folds the distance of a query from the cut, (x·w + b) / |w|, positive where asked.

    Attributes:
      directions: [k, d] w / |w|.
      offsets: [k] b / |w|.
    """

    directions: Float[np.ndarray, "k d"]
    offsets: Float[np.ndarray, " k"]

    def distances(self, x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "k n"]:
        """Of queries x from every fold's cut."""
        found: np.ndarray = self.directions @ x.T + self.offsets[:, None]
        return found

    def standard_error(self, x: Float[np.ndarray, "n d"]) -> float:
        """Of a query's distance, by what leaving a fold out changes (delete-a-group jackknife).

        σ² = (K − 1)/K · Σ_k mean_i (s_ki − s_i)², s_i the mean of the folds' distances s_ki of
        query i.
        """
        distances = self.distances(x)
        away = distances - distances.mean(axis=0)[None]
        count = len(distances)
        return float(np.sqrt((count - 1) / count * (away**2).mean(axis=1).sum()))


def along(directions: Float[np.ndarray, "k d"]) -> Cut:
    """Distances along given directions, of any length, from the origin."""
    length = np.maximum(np.linalg.norm(directions, axis=1), 1e-30)
    return Cut(directions / length[:, None], np.zeros(len(directions)))


class Slope(NamedTuple):
    """How often an arm answers along a direction: π(s) = c / (1 + exp(−1.7 (s − e) / τ)).

    Attributes:
      middle: e.
      width: τ; infinite where π does not rise.
    """

    middle: float
    width: float


def slope_along(distances: Float[np.ndarray, " n"], asked: Bool[np.ndarray, " n"]) -> Slope:
    """The slope of an arm's answers along given distances, by maximum likelihood."""
    steepness, offset, _ = _fitted(distances[:, None], asked, np.ones(1), 0.0)
    if not steepness > 0:
        return Slope(float("inf"), float("inf"))
    return Slope(float(-offset / steepness), float(STEEPNESS / steepness))


def fit_cut(
    x: Float[np.ndarray, "n d"],
    asked: Bool[np.ndarray, " n"],
    of_row: np.ndarray,
    starts: Float[np.ndarray, "k d"],
) -> Cut:
    """Fit π(x) = c / (1 + exp(−x·w − b)) of one arm outside every fold.

    w, b and the ceiling c in (0, 1) minimise the mean of −log π over rows that the arm answered and
    −log(1 − π) over the others, plus α·v·|w|²/2, v the mean square of the features, by L-BFGS.
    The likelihood has several maxima, so that a start near the best one is needed. One α
    serves all folds: that of the best likelihood of the largest fold's rows.

    Args:
      x: [n, d] features, about 0.
      asked: [n] whether the arm answered.
      of_row: [n] fold of each row, 0 to K − 1.
      starts: [k, d] a direction for every fold, fitted without it. A fold that holds every row,
        so that none is outside, keeps its start.

    Reference: Elkan and Noto (2008), Learning Classifiers from Only Positive and Unlabeled Data,
    for a constant ceiling; Ward et al. (2009), Presence-Only Data and the EM Algorithm.
    """
    largest = int(np.bincount(of_row, minlength=len(starts)).argmax())
    x = np.asarray(x, np.float32)  # products with it are most of the work, and wait for memory

    @functools.cache
    def fitted(fold: int, strength: float) -> Float[np.ndarray, " d_plus_2"]:
        outside = of_row != fold
        if not outside.any():
            return np.concatenate([starts[fold], [0.0, 0.0]])
        return _fitted(x[outside], asked[outside], starts[fold], strength)

    def missed(strength: float) -> float:
        own = of_row == largest
        return _loss(fitted(largest, strength), x[own], asked[own], 0.0)[0]

    best = min(STRENGTHS, key=missed)
    every = np.stack([fitted(fold, best) for fold in range(len(starts))])
    length = np.maximum(np.linalg.norm(every[:, :-2], axis=1), 1e-30)
    return Cut(every[:, :-2] / length[:, None], every[:, -2] / length)


def _fitted(
    x: np.ndarray, asked: np.ndarray, start: np.ndarray, strength: float
) -> Float[np.ndarray, " d_plus_2"]:
    """w, b and the logit of c, from a start whose ceiling is what its upper half says."""
    from scipy.optimize import minimize

    along = x @ start
    upper = along > np.median(along)
    top = np.clip(asked[upper].mean(), 0.01, 0.99)
    steep = STEEPNESS / max(float(along.std()), 1e-30)
    begin = np.r_[start * steep, -steep * np.median(along), np.log(top / (1 - top))]
    penalty = strength * float((x**2).mean())
    result = minimize(
        _loss, begin, (x, asked, penalty), "L-BFGS-B", jac=True, options={"maxiter": STEPS}
    )
    found: np.ndarray = result.x
    return found


def _loss(
    parameters: np.ndarray, x: np.ndarray, asked: np.ndarray, penalty: float
) -> tuple[float, Float[np.ndarray, " d_plus_2"]]:
    """What `fit_cut` minimises and its gradient."""
    from scipy.special import expit

    slopes, offset, ceiling = parameters[:-2], parameters[-2], expit(parameters[-1])
    side = expit(np.asarray(x @ slopes.astype(x.dtype), np.float64) + offset)
    chance = np.clip(ceiling * side, LEAST, 1 - LEAST)
    own = np.where(asked, chance, 1 - chance)
    loss = -np.log(own).mean()
    rise = np.where(asked, -1.0, 1.0) / (own * len(x))  # of the loss, in π
    inner = rise * chance * (1 - side)
    gradient = np.r_[
        inner.astype(x.dtype) @ x + penalty * slopes,
        inner.sum(),
        (rise * chance).sum() * (1 - ceiling),
    ]
    return float(loss + 0.5 * penalty * slopes @ slopes), gradient
