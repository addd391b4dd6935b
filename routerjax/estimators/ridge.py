"""Ridge regression in closed form: linear, kernel and logistic, with weights on the rows.

A weight of 0 takes a row out, exactly; only the ratios of the weights matter. Features and
labels are centred before moments are taken, and the moments are divided by the total weight,
so that float32 is enough. Every function is traceable: jit, vmap or `lax.map` it over runs.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from routerjax.support.compilation import full_precision

STRENGTHS = (1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0, 10.0, 100.0, np.inf)
"""Ridge strengths tried, in units of the features' mean variance; ∞ leaves the mean alone."""

LOGISTIC_STRENGTHS = (1e-3, 1e-2, 0.1, 1.0)
SMALLEST_REMAINDER = 1e-4  # of a row's leverage below 1, for float32
NEWTON_STEPS = 20
CLOSE_ENOUGH = 1e-2
"""Newton's method stops when its last step moved no row's logit by more: its error is then the
square of that, or so."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Linear:
    """An affine function x ↦ x·β + b.

    Attributes:
      coefficients: β [d].
      intercept: b, scalar.
    """

    coefficients: Array
    intercept: Array

    @full_precision
    def __call__(self, x: Float[Array, "n d"]) -> Float[Array, " n"]:
        return x @ self.coefficients + self.intercept


@full_precision
@functools.partial(jax.jit, static_argnames="strengths")
def fit_ridge(
    x: Float[Array, "n d"],
    label: Float[Array, " n"],
    weights: Float[Array, " n"],
    *,
    strengths: tuple[float, ...] = STRENGTHS,
) -> Linear:
    """Fit weighted ridge regression, its strength chosen by leave-one-out in closed form.

    β_α = argmin Σ w_i (y_i − b − x_i·β)² / Σ w + α·v·|β|², v the mean variance of the columns
    of x, b free. Row i's residual had it been left out is e_i / (1 − h_i), h_i its leverage;
    α minimises the weighted mean of its square.

    Args:
      x: [n, d] features.
      label: [n] y in any unit.
      weights: [n] w, 0 or more; 0 takes the row out.
      strengths: candidates for α; ∞ is the weighted mean of y.

    Returns:
      Linear; all zero where every weight is 0.

    Reference: Hastie, Tibshirani, Friedman, Elements of Statistical Learning, eq. (7.64).
    """
    share = weights / jnp.maximum(jnp.sum(weights), 1e-30)
    centre, mean = share @ x, share @ label
    # one row a column: long rows make every pass over the data twice as fast on a CPU
    xc, yc = x.T - centre[:, None], label - mean
    weighted = xc * share[None]
    values, vectors = jnp.linalg.eigh(weighted @ xc.T)
    scale = jnp.maximum(jnp.mean(values), 1e-20)
    shrunk = 1.0 / (jnp.maximum(values, 0.0)[:, None] + jnp.asarray(strengths)[None] * scale)
    betas = (vectors.T @ (weighted @ yc))[:, None] * shrunk
    rotated = vectors.T @ xc
    remainder = 1.0 - share[None] * (shrunk.T @ rotated**2 + 1.0)
    left_out = (yc[None] - betas.T @ rotated) / jnp.maximum(remainder, SMALLEST_REMAINDER)
    beta = vectors @ betas[:, jnp.argmin(left_out**2 @ share)]
    return Linear(beta, mean - centre @ beta)


def ridge(
    x: Float[Array, "n d"],
    label: Float[Array, " n"],
    weights: Float[Array, " n"],
    queries: Float[Array, "q d"],
    *,
    key: PRNGKeyArray | None = None,
) -> Float[Array, " q"]:
    """Predict `queries` by `fit_ridge` on weighted rows, [q].

    Args:
      x, label, weights: n rows; a weight of 0 takes a row out.
      queries: [q, d] rows to predict.
      key: of no use here; every `Regress` has one.
    """
    del key
    predicted: Float[Array, " q"] = fit_ridge(x, label, weights)(queries)
    return predicted


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Landmarks:
    """Features φ(x) = k(x, Z)·k(Z, Z)^(−1/2) of a Gaussian kernel k: φ(x)·φ(z) = k(x, z).

    The identity is exact for x and z among the landmarks Z and the Nyström approximation
    elsewhere, so that ridge on φ is kernel ridge, exactly where Z holds every row trained on.

    Attributes:
      points: Z [l, d].
      half: k(Z, Z)^(−1/2) [l, l].
      width: bandwidth, in the unit of x.
    """

    points: Array
    half: Array
    width: Array

    @full_precision
    def __call__(self, x: Float[Array, "n d"]) -> Float[Array, "n l"]:
        return _gaussian(x, self.points, self.width) @ self.half


def _gaussian(x: Array, z: Array, width: Array) -> Array:
    square = jnp.sum(x**2, axis=1)[:, None] - 2 * x @ z.T + jnp.sum(z**2, axis=1)[None]
    return jnp.exp(-jnp.maximum(square, 0.0) / (2 * width**2))


@full_precision
@functools.partial(jax.jit, static_argnames="landmarks")
def choose_landmarks(
    x: Float[Array, "n d"],
    weights: Float[Array, " n"],
    *,
    landmarks: int,
    bandwidth: Float[Array, ""] | float,
    key: PRNGKeyArray,
) -> Landmarks:
    """Draw landmarks among the rows of positive weight, with a bandwidth from their spread.

    Args:
      x: [n, d] rows.
      weights: [n]; rows of weight 0 are drawn only when no others are left.
      landmarks: l of them, at most n.
      bandwidth: Width of the kernel, in root mean square distances of the rows from their mean.
      key: Random key of the draw.
    """
    used = weights > 0
    share = used / jnp.maximum(jnp.sum(used), 1)
    spread = jnp.sqrt(share @ jnp.sum((x - (share @ x)[None]) ** 2, axis=1))
    order = jax.random.uniform(key, weights.shape) + used
    points = x[jax.lax.top_k(order, min(landmarks, x.shape[0]))[1]]
    width = bandwidth * jnp.maximum(spread, 1e-6)
    values, vectors = jnp.linalg.eigh(_gaussian(points, points, width))
    inverse = jnp.where(values > 1e-5 * values[-1], values, jnp.inf) ** -0.5
    return Landmarks(points, vectors * inverse[None], width)


def kernel_ridge(
    x: Float[Array, "n d"],
    label: Float[Array, " n"],
    weights: Float[Array, " n"],
    queries: Float[Array, "q d"],
    *,
    key: PRNGKeyArray,
    landmarks: int = 150,
    bandwidth: Float[Array, ""] | float = 1.0,
) -> Float[Array, " q"]:
    """Predict `queries` by Gaussian kernel ridge on weighted rows, [q].

    Ridge on the features of `Landmarks`: with at least as many landmarks as rows of positive
    weight it is kernel ridge with a free intercept, with fewer its Nyström approximation.

    Args:
      x, label, weights: As in `fit_ridge`.
      queries: [q, d] rows to predict.
      key: Random key of the landmarks.
      landmarks, bandwidth: As in `choose_landmarks`.
    """
    features = choose_landmarks(x, weights, landmarks=landmarks, bandwidth=bandwidth, key=key)
    predicted: Float[Array, " q"] = fit_ridge(features(x), label, weights)(features(queries))
    return predicted


@full_precision
@functools.partial(jax.jit, static_argnames="strengths")
def fit_logistic(
    x: Float[Array, "n d"],
    label: Float[Array, " n"],
    weights: Float[Array, " n"],
    *,
    strengths: tuple[float, ...] = LOGISTIC_STRENGTHS,
) -> Linear:
    """Fit weighted logistic regression by Newton's method, its strength by leave-one-out.

    Minimises Σ w_i [log(1 + e^f_i) − y_i f_i] / Σ w + (α v / 8)|β|², f = b + x·β, v the mean
    variance of the columns, for each α; the left-out logit of row i is f_i less the one Newton
    step that row i is worth, f_i + (p_i − y_i) g_i / (1 − h_i).

    Args:
      x: [n, d] features.
      label: [n] y in {0, 1}, or probabilities; labels that are all 0, or all 1, are taken to
        be 1e-6 away from it.
      weights: [n], 0 takes the row out.
      strengths: candidates for α.

    Returns:
      Linear, whose value is a logit.
    """
    share = weights / jnp.maximum(jnp.sum(weights), 1e-30)
    centre, mean = share @ x, share @ label
    rate = jnp.clip(mean, 1e-6, 1 - 1e-6)
    label = jnp.where(rate == mean, label, rate)  # all alike: no finite logit would be enough
    xc = jnp.concatenate([x.T - centre[:, None], jnp.ones((1, x.shape[0]), x.dtype)])
    scale = jnp.mean(xc[:-1] ** 2 @ share) / 4
    start = jnp.zeros(xc.shape[0]).at[-1].set(jnp.log(rate) - jnp.log1p(-rate))

    def fit(start: Array, strength: Array) -> tuple[Array, Any]:
        penalty = (strength * scale + 1e-9) * jnp.ones_like(start).at[-1].set(0.0)

        def curvature(beta: Array) -> tuple[Array, Array]:
            p = jax.nn.sigmoid(beta @ xc)
            return p, jnp.diag(penalty) + (xc * (share * p * (1 - p))[None]) @ xc.T

        def step(state: tuple[Array, Array, Any]) -> tuple[Array, Array, Any]:
            beta, _, steps = state
            p, hessian = curvature(beta)
            slope = xc @ (share * (p - label)) + penalty * beta
            change = jnp.linalg.solve(hessian, slope)
            farthest = jnp.max(jnp.abs(change @ xc))
            # a step that moves some row by more than 4 in the logit is shortened to 4
            return beta - change / jnp.maximum(1.0, farthest / 4), farthest, steps + 1

        def far(state: tuple[Array, Array, Any]) -> Array:
            more: Array = (state[1] > CLOSE_ENOUGH) & (state[2] < NEWTON_STEPS)
            return more

        beta, _, _ = jax.lax.while_loop(far, step, (start, jnp.full((), jnp.inf, start.dtype), 0))
        p, hessian = curvature(beta)
        reach = share * jnp.sum(xc * (jnp.linalg.inv(hessian) @ xc), axis=0)
        remainder = jnp.maximum(1 - p * (1 - p) * reach, SMALLEST_REMAINDER)
        logit = beta @ xc + (p - label) * reach / remainder
        return beta, (beta, share @ (jnp.logaddexp(0.0, logit) - label * logit))

    # from the strongest to the weakest, each from the solution before it
    _, (betas, scores) = jax.lax.scan(fit, start, jnp.asarray(sorted(strengths, reverse=True)))
    beta = betas[jnp.argmin(scores)]
    return Linear(beta[:-1], beta[-1] - centre @ beta[:-1])
