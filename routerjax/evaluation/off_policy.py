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
Transform = Callable[[Weights], np.ndarray]
"""Importance weights [n] to those used, [n], or to several candidates [k, n]."""

PARAMETERS = 20
"""How many values of a parameter are tried, beside the weights as they are."""


def unchanged(weights: Weights) -> Weights:
    """The weights as they are."""
    return weights


class OffPolicy(NamedTuple):
    """An estimator of a policy's value.

    Attributes:
      weights: g, from importance weights [n] to those used, [n], or to candidates [k, n], the
        first of which has the least bias; of several, that of least estimated mean squared error
        is used (`least_error`).
      baseline: Whether outcome predictions ŷ stand under the rows; else ŷ = 0.
      normalised: Whether the weighted residuals are divided by the mean weight.
    """

    weights: Transform = unchanged
    baseline: bool = True
    normalised: bool = False


def switched(weights: Weights) -> Float[np.ndarray, "k n"]:
    """Candidates w·1{w ≤ τ}: rows above τ use the outcome model alone.

    τ = ∞ comes first; the others lie evenly in the logarithm between the 5 % and the 95 %
    quantile of the weights above 0. Those quantiles are as in the paper.

    Reference: Wang, Agarwal, Dudík (2017), Optimal and Adaptive Off-policy Evaluation in
    Contextual Bandits, eq. 7.
    """
    thresholds = _spread(weights, low=1.0, high=1.0, power=1) * (1 + 1e-9)  # equal but for rounding
    return np.stack([weights, *(np.where(weights <= each, weights, 0.0) for each in thresholds)])


def shrunk(weights: Weights) -> Float[np.ndarray, "k n"]:
    """Candidates λ·w/(w² + λ), which rise like w, are at most √λ/2 and fall again.

    λ = ∞, the weights as they are, comes first; the others lie evenly in the logarithm between
    a hundredth of the squared 5 % quantile and a hundredfold of the squared 95 % quantile of the
    weights above 0.

    Reference: Su, Dimakopoulou, Krishnamurthy, Dudík (2020), Doubly Robust Off-policy Evaluation
    with Shrinkage, section 3.
    """
    strengths = _spread(weights, low=0.01, high=100.0, power=2)
    return np.stack([weights, *(each * weights / (weights**2 + each) for each in strengths)])


def _spread(weights: Weights, *, low: float, high: float, power: int) -> np.ndarray:
    """Parameters from low·(5 % quantile)^power to high·(95 % quantile)^power, if any is above 0."""
    above = weights[weights > 0]
    if len(above) == 0:
        return np.empty(0)
    ends = np.quantile(above, [0.05, 0.95]) ** power * np.array([low, high])
    return np.geomspace(ends[0], ends[1], PARAMETERS)


OFF_POLICY: dict[str, OffPolicy] = {
    "direct": OffPolicy(weights=np.zeros_like),
    "ips": OffPolicy(baseline=False),
    "snips": OffPolicy(baseline=False, normalised=True),
    "dr": OffPolicy(),
    "sndr": OffPolicy(normalised=True),
    "switch-dr": OffPolicy(weights=switched),
    "dros": OffPolicy(weights=shrunk),
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
    """The estimator's candidates for the weights of these rows; one, where g has no parameter.

    Raises:
      InputError: the transform does not give finite weights of every row.
    """
    used = np.asarray(estimator.weights(weights), np.float64)
    if used.ndim not in (1, 2) or used.shape[-1] != len(weights) or 0 in used.shape:
        problem = f"gives shape {used.shape}; it must be [{len(weights)}] or [k, {len(weights)}]"
        raise InputError(f"the transform of {len(weights)} weights {problem}")
    if not np.isfinite(used).all():
        raise InputError("the transform gives weights that are not finite")
    return np.atleast_2d(used)


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


def least_error(
    candidates: list[Float[np.ndarray, "k n"]],
    scales: list[float],
    groups: np.ndarray | None,
) -> int:
    """Which of k candidates has the least estimated mean squared error, over all outcomes.

    Error = clustered variance of the mean + (mean − mean of the first candidate)². The second
    part estimates the squared bias against the weights as they are, which have none. It is too
    large by its own variance, on average, and so errs towards the first candidate. Outcomes are
    added up in units of their own variance. (Wang et al. take a bound of the bias from the range
    of outcomes, Su et al. the least of several bounds; both need the propensity of every model.)

    Args:
      candidates: [k, n] scores of every candidate, for quality and for cost.
      scales: variance of each outcome, 0 where it does not vary; it then has no say.
      groups: [n] as of `mean_interval`; with one group nothing is known, and the first is taken.
    """
    total = np.zeros(len(candidates[0]))
    for scores, scale in zip(candidates, scales, strict=True):
        means = scores.mean(axis=1)
        sums = group_sums(scores - means[:, None], groups)
        count = sums.shape[1]
        if count < 2:
            return 0
        variance = count / (count - 1) * (sums**2).sum(axis=1) / scores.shape[1] ** 2
        total += (variance + (means - means[0]) ** 2) / scale if scale > 0 else 0.0
    return int(total.argmin())
