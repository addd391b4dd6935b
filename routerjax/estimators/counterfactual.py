"""Counterfactual estimates: the quality and cost of every arm from a log of one arm a row.

An estimator is a transform of the importance weights and a baseline of the outcome predictions;
the arithmetic that joins them is written for one row and vmapped. Quality and cost are estimated
apart, once; utility is affine in the cost weight, so the same two matrices serve every cost weight.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from routerjax.errors import InputError
from routerjax.estimators.defaults import FLOOR
from routerjax.records.logs import Log
from routerjax.records.tables import Estimates
from routerjax.support.compilation import padded, padded_size
from routerjax.support.kept_programs import kept_program
from routerjax.support.own_code import named

Transform = Callable[[Float[Array, " n"]], Float[Array, " n"]]
"""Importance weights of a log's rows, 1 / propensity, to the weights an estimator uses."""


def unchanged(values: Float[Array, ...]) -> Float[Array, ...]:
    """The values as they are."""
    return values


class Estimator(NamedTuple):
    """A counterfactual estimator: ỹ_m = b_m + 1{m = t}·g(w)·(y − b_t), b the baseline of ŷ.

    Attributes:
      weights: g, from the importance weights w = 1/π̂(t | x) of all rows, [n], to those used.
      baseline: from the outcome predictions ŷ [n, m] to the baseline b [n, m].
    """

    weights: Transform = unchanged
    baseline: Callable[[Float[Array, "n m"]], Float[Array, "n m"]] = unchanged


ESTIMATORS: dict[str, Estimator] = {
    "direct": Estimator(weights=jnp.zeros_like),
    "ips": Estimator(baseline=jnp.zeros_like),
    "dr": Estimator(),
}
"""The library's own. An estimator that is added here is held to every property that the shared
tests ask of all."""


def resolve_estimator(estimator: str | Estimator | Transform) -> Estimator:
    """Find an estimator by name, a user's own by ``file.py:name``, or check one.

    Args:
      estimator: a key of `ESTIMATORS`; a path to a Python file, a colon and a name in it; an
        `Estimator`; or a transform of the weights alone, whose baseline is the predictions.

    Raises:
      InputError: no such estimator, file or name; the file does not run; or the transform does not
        give as many finite weights as there are rows.
    """
    found = estimator
    if isinstance(estimator, str):
        found = named(estimator, ESTIMATORS, kind="estimator", record=Estimator)
        if estimator in ESTIMATORS:
            return ESTIMATORS[estimator]
    own = found if isinstance(found, Estimator) else Estimator(weights=found)  # type: ignore[arg-type]
    _try_out(own, str(estimator) if isinstance(estimator, str) else "estimator")
    return own


def _try_out(estimator: Estimator, name: str) -> None:
    try:
        weights = np.asarray(estimator.weights(jnp.array([1.0, 2.0, 100.0])))
        baseline = np.asarray(estimator.baseline(jnp.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]])))
    except Exception as error:
        reason = (str(error).strip().splitlines() or [""])[0]
        raise InputError(
            f"estimator fails on three rows ({type(error).__name__}: {reason}); its transform "
            "must take the importance weights [n] and return weights [n]",
            source=name,
        ) from error
    if weights.shape != (3,) or baseline.shape != (3, 2):
        shapes = f"weights {weights.shape} and baseline {baseline.shape}"
        raise InputError(f"estimator gives {shapes} for 3 rows of 2 arms", source=name)
    if not (np.isfinite(weights).all() and np.isfinite(baseline).all()):
        raise InputError("estimator gives weights or a baseline that are not finite", source=name)


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


@kept_program
def _every_row(
    predicted: Float[Array | np.ndarray, "n m"],
    arm: Int[Array | np.ndarray, " n"],
    observed: Float[Array | np.ndarray, " n"],
    weight: Float[Array | np.ndarray, " n"],
) -> Float[Array, "n m"]:
    """`doubly_robust` of every row."""
    rows = [jnp.asarray(each) for each in (predicted, arm, observed, weight)]
    found: Array = jax.vmap(doubly_robust)(*rows)
    return found


def estimate(
    log: Log,
    predicted: Estimates,
    propensities: Float[np.ndarray, " n"],
    *,
    estimator: str | Estimator | Transform,
    floor: float = FLOOR,
) -> Estimates:
    """Fill in quality and cost of every arm for every row of a log.

    direct: q̃ = q̂(x, m);  ips: q̃ = 1{m = t}·q / π̂(t | x);
    dr: q̃ = q̂(x, m) + 1{m = t}·(q − q̂(x, t)) / π̂(t | x); the same for cost.

    Args:
      log: n rows, m models.
      predicted: [n, m] cross-fitted outcome predictions: row i's never saw row i.
      propensities: [n] probability of the arm that answered.
      estimator: An estimator or its name, as `resolve_estimator` takes it.
      floor: propensities below it are taken as it; the share is in the overlap report.

    Returns:
      Estimates [n, m], float32.

    Raises:
      InputError: an unknown estimator.
    """
    found = resolve_estimator(estimator)
    used = found.weights(_on_device(importance_weights(propensities, floor=floor)))
    size = padded_size(len(log))

    def filled_in(values: np.ndarray, observed: np.ndarray) -> np.ndarray:
        baseline = found.baseline(_on_device(values))
        rows = (baseline, log.arms, np.asarray(observed, np.float32), used)
        every = _every_row(*(padded(np.asarray(row), size) for row in rows))
        return np.asarray(every)[: len(log)]

    return Estimates(
        quality=filled_in(predicted.quality, log.quality), cost=filled_in(predicted.cost, log.cost)
    )


def _on_device(values: np.ndarray) -> Array:
    found: Array = jax.device_put(np.asarray(values, np.float32))
    return found


def importance_weights(
    propensities: Float[np.ndarray, " n"], *, floor: float = FLOOR
) -> Float[np.ndarray, " n"]:
    """Inverse propensities 1 / max(π, floor), [n]."""
    weights: np.ndarray = 1.0 / np.maximum(np.asarray(propensities), floor)
    return weights
