"""Estimators of a policy's value from a log: a transform of the weights, and with or without ŷ.

The importance weight of a row is w = p(t | x) / max(π(t | x), floor): how much more often the
policy asks the model that answered than the log's policy did. An estimator says how far a row is
trusted (g), whether an outcome model stands under it (the baseline), and whether the weights are
divided by their mean (normalised):

  V = mean_i B_i + g(w_i)·r_i,   B_i = Σ_m p(m | x_i)·ŷ(x_i, m),   r_i = y_i − ŷ(x_i, t_i)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from routerjax.errors import InputError
from routerjax.evaluation.intervals import group_sums
from routerjax.support.own_code import named

Weights = Float[np.ndarray, " n"]
Grid = Callable[[Weights], Float[np.ndarray, " k"]]
"""Importance weights [n] to the values of a parameter that are tried."""

TRIED = 20
"""How many values of a parameter are tried, beside the one that leaves the weights as they are."""


def unchanged(weights: Weights) -> Weights:
    """The weights as they are."""
    return weights


class OffPolicy(NamedTuple):
    """An estimator of a policy's value.

    Attributes:
      weights: g, from importance weights to those used, of any shape: g(w), or g(w, parameter).
      baseline: Whether outcome predictions ŷ stand under the rows; else ŷ = 0.
      normalised: Whether the weighted residuals are divided by the mean weight.
      parameters: from the weights of the rows to the values tried, where g has a parameter. The
        one of least estimated mean squared error is taken (`least_error`).
    """

    weights: Callable[..., np.ndarray] = unchanged
    baseline: bool = True
    normalised: bool = False
    parameters: Grid | None = None


def switched(weights: np.ndarray, threshold: float) -> np.ndarray:
    """w·1{w ≤ τ}: rows above the threshold τ use the outcome model alone.

    Reference: Wang, Agarwal, Dudík (2017), Optimal and Adaptive Off-policy Evaluation in
    Contextual Bandits, eq. 7.
    """
    return np.where(weights <= threshold, weights, 0.0)


def thresholds(weights: Weights) -> Float[np.ndarray, " k"]:
    """τ = ∞, and others evenly in the logarithm between the weights' 5 % and 95 % quantile."""
    ends = _quantiles(weights)
    return np.append(np.inf, np.geomspace(ends[0], ends[1], TRIED) * (1 + 1e-9))  # but for rounding


def shrunk(weights: np.ndarray, strength: float) -> np.ndarray:
    """ξ·w/(w² + ξ), optimistic shrinkage: it rises like w, is at most √ξ/2 and falls again.

    Reference: Su, Dimakopoulou, Krishnamurthy, Dudík (2020), Doubly Robust Off-policy Evaluation
    with Shrinkage, section 3.
    """
    return weights / (1 + weights**2 / strength)


def strengths(weights: Weights) -> Float[np.ndarray, " k"]:
    """ξ = ∞, and others from a hundredth of the squared 5 % quantile to 100 times the 95 % one."""
    ends = _quantiles(weights) ** 2
    return np.append(np.inf, np.geomspace(0.01 * ends[0], 100 * ends[1], TRIED))


def _quantiles(weights: Weights) -> np.ndarray:
    """The 5 % and the 95 % quantile of the weights above 0; 1 if there are none."""
    above = weights[weights > 0]
    if len(above) == 0:
        return np.ones(2)
    ends: np.ndarray = np.quantile(above, [0.05, 0.95], method="inverted_cdf")
    return ends  # the same where every row is there twice


OFF_POLICY: dict[str, OffPolicy] = {
    "direct": OffPolicy(weights=np.zeros_like),
    "ips": OffPolicy(baseline=False),
    "snips": OffPolicy(baseline=False, normalised=True),
    "dr": OffPolicy(),
    "sndr": OffPolicy(normalised=True),
    "switch-dr": OffPolicy(weights=switched, parameters=thresholds),
    "dros": OffPolicy(weights=shrunk, parameters=strengths),
}
"""The library's own. One that is added here is held to every property that the shared tests ask
of all."""


def resolve_off_policy(estimator: str | OffPolicy) -> OffPolicy:
    """Find an estimator of a policy's value by name, or a user's own by ``file.py:name``.

    Args:
      estimator: a key of `OFF_POLICY`; a path to a Python file, a colon and a name in it; or an
        `OffPolicy`. A function in a file is a transform of the weights above the baseline.

    Raises:
      InputError: no such estimator, file or name.
    """
    if isinstance(estimator, OffPolicy):
        return estimator
    found = named(estimator, OFF_POLICY, kind="estimator of a value", record=OffPolicy)
    return found if isinstance(found, OffPolicy) else OffPolicy(weights=found)


def transformed(estimator: OffPolicy, weights: Weights) -> Float[np.ndarray, "k n"]:
    """The weights used, for every value of the parameter; k = 1 where there is none.

    Raises:
      InputError: the transform does not give a finite weight of every row.
    """
    given = () if estimator.parameters is None else estimator.parameters(weights)
    tried = [estimator.weights(weights, each) for each in given]
    used = np.array(tried or [estimator.weights(weights)], np.float64)
    if used.shape[1:] != weights.shape:
        shape = f"gives weights of shape {used.shape[1:]} for rows of shape {weights.shape}"
        raise InputError(f"the transform of the weights {shape}")
    if not np.isfinite(used).all():
        raise InputError("the transform of the weights gives some that are not finite")
    return used


def weighted(
    base: Weights, residual: Weights, weights: Float[np.ndarray, "k n"], *, normalised: bool
) -> Float[np.ndarray, "k n"]:
    """Per-row scores B + w·r, or the influence values of the ratio where it is normalised.

    Normalised, V = mean B + R with R = Σ w·r / Σ w, and the scores are B + R + w·(r − R) / w̄:
    their mean is V and their spread that of V. Weights that are all 0 leave the baseline.

    Args:
      base, residual: [n] B and r.
      weights: [k, n] weights used.
      normalised: Whether to divide by the mean weight.
    """
    if not normalised:
        plain: np.ndarray = base + weights * residual
        return plain
    total = weights.sum(axis=1, keepdims=True)
    total = np.where(total == 0, 1.0, total)  # all weights are 0, and so is what is divided
    ratio = (weights @ residual)[:, None] / total
    scores: np.ndarray = base + ratio + weights * (residual - ratio) * (weights.shape[1] / total)
    return scores


def given_up(
    estimator: OffPolicy, weights: Weights, met: np.ndarray, shares: np.ndarray
) -> Float[np.ndarray, " k"]:
    """Share of the policy's choices whose weight the transform takes away, E_π[w − g(w)], [k].

    Args:
      estimator: with a parameter.
      weights: [n] of the rows, which settle the values tried.
      met: [n, …] weights of what the logging policy might have asked on every query.
      shares: [n, …] how often it asks that, or 1 where `met` is what it did ask.
    """
    assert estimator.parameters is not None
    return np.array(
        [
            (shares * (met - estimator.weights(met, each))).sum() / len(weights)
            for each in estimator.parameters(weights)
        ]
    )


def least_error(
    scores: list[Float[np.ndarray, "k n"]],
    spreads: list[float],
    lost: Float[np.ndarray, " k"],
    groups: np.ndarray | None,
) -> int:
    """Which of k values of a parameter has the least estimated mean squared error.

    For each outcome, in units of its variance σ²: clustered variance of the mean of the scores,
    and (2·lost)², the square of what the bias can be if the outcome model errs by no more than
    2 σ, the width of a fair coin, on the choices given up. A bias estimated from the same
    residuals would be as noisy as what it is to save: the choice would fall on the outcome model
    alone far too often, and its interval cover far too little.

    Args:
      scores: [k, n] for quality and for cost.
      spreads: σ of each, 0 where the outcome does not vary; it then has no say.
      lost: [k] share of the policy's choices given up.
      groups: [n] as of `mean_interval`; with one group nothing is known, and 0 is returned.

    Reference: Wang, Agarwal, Dudík (2017), section 4: variance and a bound of the bias from the
    range of outcomes.
    """
    total = np.zeros(len(lost))
    for each, spread in zip(scores, spreads, strict=True):
        sums = group_sums(each - each.mean(axis=1, keepdims=True), groups)
        count = sums.shape[1]
        if count < 2:
            return 0
        variance = count / (count - 1) * (sums**2).sum(axis=1) / each.shape[1] ** 2
        total += variance / spread**2 + (2 * lost) ** 2 if spread > 0 else 0.0
    return int(total.argmin())
