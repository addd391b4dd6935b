"""Counterfactual estimates: the quality and cost of every arm from a log of one arm a row.

Estimators are written for one row and vmapped. Quality and cost are estimated apart, once;
utility is affine in the cost weight, so the same two matrices serve every cost weight.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from routerjax.errors import InputError
from routerjax.records.tables import Estimates, Log

ESTIMATORS = ("direct", "ips", "dr")

DEFAULT_FLOOR = 0.01
"""Propensities are clipped from below here unless the caller says otherwise."""


def doubly_robust(
    predicted: Float[Array, " m"],
    arm: Int[Array, ""],
    observed: Float[Array, ""],
    weight: Float[Array, ""],
) -> Float[Array, " m"]:
    """Estimate one row's outcome under every arm, right if either nuisance is.

    ỹ_m = ŷ_m + 1{m = t}·w·(y − ŷ_t)

    With w = 1/π(t | x) it is the dr estimate; with ŷ = 0 it is ips; with w = 0 it is direct.

    Args:
      predicted: [m] outcome model's ŷ(x, m), which must not have seen this row.
      arm: t, the arm that answered.
      observed: y, its outcome.
      weight: w, in units of 1/probability.

    Returns:
      [m] estimates in the unit of y.

    Reference: Causal LLM Routing (arXiv 2505.16037), doubly robust utilities;
    Dudík, Langford, Li (2011), Doubly Robust Policy Evaluation and Learning.

    >>> doubly_robust(jnp.array([0.5, 0.5]), jnp.array(1), jnp.array(1.0), jnp.array(4.0)).tolist()
    [0.5, 2.5]
    """
    return predicted + jax.nn.one_hot(arm, predicted.shape[0]) * weight * (
        observed - predicted[arm]
    )


@jax.jit
def _every_row(predicted, arms, observed, weights):
    return jax.vmap(doubly_robust)(predicted, arms, observed, weights)


def estimate(
    log: Log,
    predicted: Estimates,
    propensities: Float[np.ndarray, " n"],
    *,
    estimator: str,
    floor: float = DEFAULT_FLOOR,
) -> Estimates:
    """Fill in quality and cost of every arm for every row of a log.

    direct: q̃ = q̂(x, m);  ips: q̃ = 1{m = t}·q / π̂(t | x);
    dr: q̃ = q̂(x, m) + 1{m = t}·(q − q̂(x, t)) / π̂(t | x); the same for cost.

    Args:
      log: n rows, m models.
      predicted: [n, m] cross-fitted outcome predictions: row i's never saw row i.
      propensities: [n] probability of the arm that answered.
      estimator: "direct", "ips" or "dr".
      floor: propensities below it are taken as it; the share is in the overlap report.

    Returns:
      Estimates [n, m], float32.

    Raises:
      InputError: an unknown estimator.
    """
    if estimator not in ESTIMATORS:
        raise InputError(f"no estimator {estimator!r}; known are {', '.join(ESTIMATORS)}")
    if estimator == "direct":
        return predicted
    weights = jnp.asarray(importance_weights(propensities, floor=floor))
    if estimator == "ips":
        predicted = jax.tree.map(jnp.zeros_like, predicted)
    quality, cost = (
        _every_row(jnp.asarray(values), log.arms, jnp.asarray(observed), weights)
        for values, observed in ((predicted.quality, log.quality), (predicted.cost, log.cost))
    )
    return Estimates(quality=np.asarray(quality), cost=np.asarray(cost))


def importance_weights(
    propensities: Float[np.ndarray, " n"], *, floor: float = DEFAULT_FLOOR
) -> Float[np.ndarray, " n"]:
    """Inverse propensities 1 / max(π, floor), [n]."""
    return 1.0 / np.maximum(np.asarray(propensities), floor)


@dataclasses.dataclass(frozen=True)
class Overlap:
    """How well a log covers its arms.

    Attributes:
      rows: n.
      models: m names.
      arm_rows: rows that each model answered.
      effective_sample_size: per arm, (Σ w)² / Σ w² over its rows, w = 1 / max(π, floor).
      smallest_propensity: before clipping.
      floor: where propensities are clipped from below.
      share_clipped: share of rows whose propensity lay below the floor.
      source: "recorded" or "estimated" propensities.
    """

    rows: int
    models: tuple[str, ...]
    arm_rows: tuple[int, ...]
    effective_sample_size: tuple[float, ...]
    smallest_propensity: float
    floor: float
    share_clipped: float
    source: str

    @property
    def weakest(self) -> tuple[str, float]:
        """The model with the smallest effective sample size, and that size."""
        arm = int(np.argmin(self.effective_sample_size))
        return self.models[arm], self.effective_sample_size[arm]


def overlap(
    log: Log,
    propensities: Float[np.ndarray, " n"],
    *,
    floor: float = DEFAULT_FLOOR,
) -> Overlap:
    """Report smallest propensity, share clipped and effective sample size per arm of a log.

    Args:
      log: n rows.
      propensities: [n] probability of the arm that answered, recorded or estimated.
      floor: the clipping floor the estimates will use.
    """
    values = np.asarray(propensities)
    weights = importance_weights(values, floor=floor)
    total = np.bincount(log.arms, weights=weights, minlength=len(log.models))
    squares = np.bincount(log.arms, weights=weights**2, minlength=len(log.models))
    return Overlap(
        rows=len(log),
        models=log.models,
        arm_rows=tuple(int(count) for count in log.arm_counts),
        effective_sample_size=tuple((total**2 / np.maximum(squares, 1e-30)).tolist()),
        smallest_propensity=float(values.min()),
        floor=floor,
        share_clipped=_share(values < floor),
        source="estimated" if log.propensities is None else "recorded",
    )


def _share(mask: Bool[np.ndarray, " n"]) -> float:
    return float(np.mean(mask))
