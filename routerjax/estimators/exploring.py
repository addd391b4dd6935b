"""A logit of a policy that is sharp but for some exploration.

A router that runs already asks the model of the highest score of nearly every query, and now and
then one at random. A plain logit must explain the random ones as well: few of them, far from an
edge, keep its scores flat and blur all edges. Here a part of the queries is drawn at random,

    π(m | x) = w_0 · p_m + w_m,   p = softmax(b + x·B),   w_0 + Σ_m w_m = 1,

p over the arms that could be asked, and B is of the numbers of the query that discriminants are
sums of, all of them up to 512. Discriminants are where it begins.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from routerjax.estimators.calibration import likelihood_gain
from routerjax.estimators.logit import MOST_ROWS, Logit
from routerjax.estimators.softmax import softmax
from routerjax.estimators.trees import NEVER
from routerjax.records.on_disk import Stored, read

SPREADS = (0.3, 1.0, 3.0, 10.0)
"""Standard deviations of B that are tried, per standard deviation of a number of the query; one
after the other while they foretell better."""
SHARP = 0.3
"""A policy is sharp where a logit on discriminants names the arm of other rows more often than the
arm of most answers would, by this share of the rows that the latter misses."""
ERRORS = 2.0
"""Standard errors by which it must foretell better than the logit on discriminants."""
RANDOM = 0.05
"""Share drawn at random from which the search begins."""
PRIOR_HITS = 0.5
"""Answers of each arm, drawn at random, that are added: none has a share of 0."""
STEPS = 200
TINY = 1e-300
"""A chance of 0, which has a logarithm."""


class _Rows(NamedTuple):
    """Rows to fit to: features [r, c], arm that answered [r] and arms that could [r, m].

    Features are in single precision, since products with them are most of the work.
    """

    x: Float[np.ndarray, "r c"]
    arms: Int[np.ndarray, " r"]
    could: Bool[np.ndarray, "r m"]

    def of(self, rows: Bool[np.ndarray, " r"]) -> _Rows:
        """Some of them."""
        return _Rows(*(each[rows] for each in self))


class _Fitted(NamedTuple):
    """b [m] above B [c, m], and logits of w_1 … w_m, that of w_0 being 0."""

    slopes: Float[np.ndarray, "c1 m"]
    drawn: Float[np.ndarray, " m"]

    @property
    def shares(self) -> tuple[float, Float[np.ndarray, " m"]]:
        """w_0 and w."""
        most = max(float(self.drawn.max()), 0.0)
        first, rest = np.exp(-most), np.exp(self.drawn - most)
        return float(first / (first + rest.sum())), rest / (first + rest.sum())


def explored_logit(
    logit: Logit,
    x: Float[np.ndarray, "n d"] | Stored,
    arms: Int[np.ndarray, " n"],
    could: Bool[np.ndarray, "n m"],
    of_row: Int[np.ndarray, " n"],
    groups: Int[np.ndarray, " n"],
) -> Logit | None:
    """Fit B, b and w outside every fold; None where they do not foretell better.

    What is least is −Σ log(π(t | x) / Σ_{a could} π(a | x)) + |B|² / 2τ² − ½ Σ_m log w_m over the
    rows outside the fold, by L-BFGS. It is tried where the policy is `SHARP`. The rows of the first
    fold choose τ among `SPREADS`, by what is fitted outside it, and the other folds are fitted with
    that τ. It is kept where all rows are foretold better by their own fold's than by the logit on
    discriminants, by `ERRORS` standard errors (`likelihood_gain`, groups counting once).

    Args:
      logit: on discriminants, where the search begins.
      x: [n, d] scaled embeddings.
      arms: [n] arm that answered.
      could: [n, m] True where the policy could have chosen it; a row without any is left out.
      of_row: [n] fold of each row.
      groups: [n] numbers of what is independent.

    Reference: Copas (1988), Binary Regression Models for Contaminated Data, of a logit a part of
    whose answers are drawn whatever the odds.
    """
    chosen = np.flatnonzero(could.any(axis=1))
    chosen = chosen[:: max(1, -(-len(chosen) // MOST_ROWS))]
    columns = np.flatnonzero(np.asarray(logit.coefficients).any(axis=(0, 2)))
    features = np.asarray(read(x[chosen]), np.float32)[:, columns]
    spread = features.var(axis=0, dtype=np.float64)
    unit = float(np.sqrt(spread.mean())) if len(columns) else 0.0
    apart = of_row[chosen] == 0
    if not unit > 0 or not apart.any():
        return None
    every = _Rows(features / np.float32(unit), arms[chosen], could[chosen])
    starts = [_start(logit, fold, columns, unit) for fold in range(len(logit.intercepts))]
    if not _sharp(every, starts, of_row[chosen]):
        return None
    first, width = _along(every.of(~apart), every.of(apart), starts[0])
    others = [
        _fit(every.of(of_row[chosen] != fold), start, width)
        for fold, start in enumerate(starts)
        if fold > 0
    ]
    nothing = np.full(could.shape[1], -np.inf)
    before, after = (
        _of_own_fold(own, every, of_row[chosen])
        for own in ([each._replace(drawn=nothing) for each in starts], [first, *others])
    )
    if not likelihood_gain(before, after, groups=groups[chosen]).errors > ERRORS:
        return None
    return _as_logit([first, *others], logit, columns, unit)


def _start(logit: Logit, fold: int, columns: Int[np.ndarray, " c"], unit: float) -> _Fitted:
    """Where the search of a fold begins: its logit on discriminants, and `RANDOM`."""
    slopes = np.asarray(logit.coefficients[fold], np.float64)[columns] * unit
    both = np.concatenate([np.asarray(logit.intercepts[fold], np.float64)[None], slopes])
    models = both.shape[1]
    return _Fitted(both, np.full(models, np.log(RANDOM / models / (1 - RANDOM))))


def _sharp(rows: _Rows, starts: list[_Fitted], of_row: Int[np.ndarray, " r"]) -> bool:
    """Whether the likeliest arm, by the logit of the row's own fold, answered so often."""
    hits = 0
    for fold, start in enumerate(starts):
        own = rows.of(of_row == fold)
        hits += int((_softmax(start.slopes, own).argmax(axis=1) == own.arms).sum())
    answers = np.bincount(rows.arms, minlength=rows.could.shape[1])
    most = int(((rows.could * (answers + 1)).argmax(axis=1) == rows.arms).sum())
    return hits - most > SHARP * (len(rows.arms) - most)


def _of_own_fold(
    fitted: list[_Fitted], rows: _Rows, of_row: Int[np.ndarray, " r"]
) -> Float[np.ndarray, " r"]:
    """`_chances` by what was fitted outside each row's fold."""
    found = np.empty(len(rows.arms))
    for fold, own in enumerate(fitted):
        inside = of_row == fold
        found[inside] = _chances(own, rows.of(inside))
    return found


def _along(rows: _Rows, others: _Rows, start: _Fitted) -> tuple[_Fitted, float]:
    """What foretells other rows best, and its τ, going up `SPREADS` while that gets better."""
    found, spread, best = start, SPREADS[0], -np.inf
    for each in SPREADS:
        start = _fit(rows, start, each)
        likelihood = float(np.log(_chances(start, others)).sum())
        if likelihood <= best:
            break
        found, spread, best = start, each, likelihood
    return found, spread


def _fit(rows: _Rows, start: _Fitted, spread: float) -> _Fitted:
    """Of some rows, with τ = `spread`."""
    from scipy.optimize import minimize

    shape = start.slopes.shape
    first = np.concatenate([start.slopes.ravel(), start.drawn])
    options = {"maxiter": STEPS, "ftol": 1e-6}
    best = minimize(_loss, first, (rows, spread), "L-BFGS-B", jac=True, options=options).x
    return _Fitted(best[: -shape[1]].reshape(shape), best[-shape[1] :])


def _chances(fitted: _Fitted, rows: _Rows) -> Float[np.ndarray, " r"]:
    """Of the arms that answered, among those that could."""
    (first, rest), p = fitted.shares, _softmax(fitted.slopes, rows)
    found = (first * p + rest) * rows.could
    own = found[np.arange(len(found)), rows.arms] / found.sum(axis=1)
    least: np.ndarray = np.maximum(own, TINY)
    return least


def _softmax(slopes: Float[np.ndarray, "c1 m"], rows: _Rows) -> Float[np.ndarray, "r m"]:
    """p, 0 of arms that could not be asked."""
    linear = np.asarray(rows.x @ slopes[1:].astype(rows.x.dtype), np.float64)
    odds = np.where(rows.could, slopes[0] + linear, NEVER)
    return softmax(odds)


def _loss(parameters: np.ndarray, rows: _Rows, spread: float) -> tuple[float, np.ndarray]:
    """What `explored_logit` minimises, and its gradient."""
    models, places = rows.could.shape[1], np.arange(len(rows.arms))
    fitted = _Fitted(parameters[:-models].reshape(-1, models), parameters[-models:])
    (first, rest), p = fitted.shares, _softmax(fitted.slopes, rows)
    both = (first * p + rest) * rows.could
    answered, total = both[places, rows.arms], both.sum(axis=1)
    slope = rows.could / total[:, None]
    slope[places, rows.arms] -= 1 / answered
    by_odds = first * p * (slope - (slope * p).sum(axis=1, keepdims=True))
    prior = fitted.slopes[1:] / spread**2
    by_share = np.append(slope.sum(axis=0) - PRIOR_HITS / rest, (slope * p).sum())
    shares = np.append(rest, first)
    by_drawn = (shares * (by_share - shares @ by_share))[:-1]
    value = np.log(total).sum() - np.log(answered).sum() - PRIOR_HITS * np.log(rest).sum()
    value += 0.5 * (prior * fitted.slopes[1:]).sum()
    by_slopes = rows.x.T @ by_odds.astype(rows.x.dtype) + prior
    gradient = [by_odds.sum(axis=0), by_slopes.ravel(), by_drawn]
    return float(value), np.concatenate(gradient)


def _as_logit(
    fitted: list[_Fitted], logit: Logit, columns: Int[np.ndarray, " c"], unit: float
) -> Logit:
    """Of all folds, on all numbers of the query as they are."""
    coefficients = np.zeros(np.shape(logit.coefficients))
    coefficients[:, columns] = [each.slopes[1:] / unit for each in fitted]
    found = coefficients, [each.slopes[0] for each in fitted], [each.shares[1] for each in fitted]
    return Logit(*(np.asarray(each, np.float32) for each in found))
