"""Multinomial logit of the arms on their discriminants: the policy of a router that runs already.

A router sends a query to the model of the highest of several scores. Where these are sums of the
embedding's numbers, each model has a region with as many sides as there are other models; trees,
which ask of one number at a time, blur its edges, and a cut is one side. The scores lie in the
space of the arms' discriminants (`estimators/discriminants`), a few dimensions, and there a
multinomial logit finds them:

    π(m | x) ∝ exp(b_m + Σ_a B_am z_a),   z_a = x·d_a − c_a the discriminant of arm a
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from routerjax.estimators.discriminants import Discriminants
from routerjax.estimators.trees import NEVER

ERRORS = 3.0
"""Standard errors by which discriminants must foretell what was asked, before a logit is fitted."""
PRIOR_SPREAD = 5.0
"""Standard deviation of the logit's coefficients, per standard deviation of a discriminant."""
MOST_ROWS = 16_384
"""Rows that it is fitted to, evenly spaced, where there are more."""
STEPS = 100
ROUNDING = 1e-12
"""Of its trace, added to a curvature: of features that hang together it has no root."""
MOST_RANDOM = 1 - 1e-6
"""Share that is drawn at random at most: what is left has a logarithm."""


class Logit(NamedTuple):
    """Log odds that are linear in the query but for what is drawn at random, of K folds.

    π(m | x) = (1 − Σ_a w_a) · softmax(b + x·B)_m + w_m

    Attributes:
      coefficients: [k, d, m] B, on scaled embeddings.
      intercepts: [k, m] b.
      random: [k, m] w, the share of the queries for which an arm is drawn whatever they are.
    """

    coefficients: Float[Array | np.ndarray, "*k d m"]
    intercepts: Float[Array | np.ndarray, "*k m"]
    random: Float[Array | np.ndarray, "*k m"]


def tells(
    found: Discriminants,
    asked: Bool[np.ndarray, "n m"],
    could: Bool[np.ndarray, "n m"],
    groups: Int[np.ndarray, " n"],
) -> bool:
    """Whether discriminants of other rows foretell which arm was asked, by `ERRORS`.

    The gain of a row is Σ_m r_m² − (r_m − score_m)², r_m = 1{m was asked} − the share of m, over
    the arms that could be asked; its standard error is clustered by group.
    """
    shares = (asked * could).sum(axis=0) / np.maximum(could.sum(axis=0), 1)
    left = asked - shares[None]
    gain = ((left**2 - (left - found.scores) ** 2) * could).sum(axis=1)
    own = np.unique(groups, return_inverse=True)[1]
    error = np.sqrt((np.bincount(own, gain) ** 2).sum())
    return bool(gain.sum() > ERRORS * error > 0)


def fit_logit(
    found: Discriminants,
    arms: Int[np.ndarray, " n"],
    could: Bool[np.ndarray, "n m"],
    of_row: Int[np.ndarray, " n"],
) -> Logit:
    """Fit B and b outside every fold, to rows' discriminants by models that never saw them.

    The rows of a fold have no part in its discriminants, nor in what its B and b are fitted to but
    that the discriminants of other folds have met them, each as one of many. The search begins
    where it ends for all rows. What is least is −Σ log π(t | x) + |B|² / 2τ² over the rows outside
    the fold, discriminants in units of their standard deviation, τ = `PRIOR_SPREAD`, the softmax
    over the arms that could be asked, by L-BFGS.

    Args:
      found: of all rows.
      arms: [n] arm that answered.
      could: [n, m] True where the policy could have chosen it; a row without any is left out.
      of_row: [n] fold of each row.

    Returns:
      `Logit`, its coefficients those of the discriminants of each fold times B.
    """
    models = found.scores.shape[1]
    rows = np.flatnonzero(could.any(axis=1))
    rows = rows[:: max(1, -(-len(rows) // MOST_ROWS))]
    spread = found.scores[rows].std(axis=0, dtype=np.float64)
    scale = np.where(spread > 0, 1 / np.where(spread > 0, spread, 1.0), 0.0)
    z = found.scores[rows].astype(np.float64) * scale
    start = fitted_slopes(z, arms[rows], could[rows], np.zeros((models + 1, models)))
    coefficients, intercepts = [], []
    for fold, (directions, offsets) in enumerate(zip(found.directions, found.offsets, strict=True)):
        own = of_row[rows] != fold
        slopes = fitted_slopes(z[own], arms[rows][own], could[rows][own], start)
        by_score = scale[:, None] * slopes[1:]
        coefficients.append(directions @ by_score)
        intercepts.append(slopes[0] - offsets @ by_score)
    nothing = np.zeros((len(intercepts), models))
    parts = np.stack(coefficients), np.stack(intercepts), nothing
    return Logit(*(each.astype(np.float32) for each in parts))


def logit_odds(logit: Logit, x: Any, available: Any = None) -> Any:
    """log π(m | x) of queries x [n, d]: [k, n, m] by every fold, [n, m] by one.

    Of JAX or of NumPy, as x is. Where `available` [n, m] says which arms there are, the highest
    score is among them; what stands for the others has no meaning.
    """
    xp = jnp if isinstance(x, jax.Array) else np
    linear = x @ xp.asarray(logit.coefficients) + xp.asarray(logit.intercepts)[..., None, :]
    return with_random(linear, xp.asarray(logit.random)[..., None, :], available)


def with_random(linear: Any, random: Any, available: Any = None) -> Any:
    """Logarithms of (1 − Σ w) · softmax of the linear odds + w, [..., m] each, of JAX or NumPy.

    Without anything drawn at random they are the odds less their log sum. The softmax is over the
    arms that are available.
    """
    xp = jnp if isinstance(linear, jax.Array) else np
    if available is not None:
        linear = xp.where(available, linear, NEVER)
    linear = linear - linear.max(axis=-1, keepdims=True)
    logs = linear - xp.log(xp.exp(linear).sum(axis=-1, keepdims=True))
    taken = xp.minimum(random.sum(axis=-1, keepdims=True), MOST_RANDOM)
    some = random > 0
    drawn = xp.where(some, xp.log(xp.where(some, random, 1.0)), -xp.inf)
    return xp.logaddexp(xp.log1p(-taken) + logs, drawn)


def fitted_slopes(
    z: Float[np.ndarray, "r c"],
    arms: Int[np.ndarray, " r"],
    could: Bool[np.ndarray, "r m"],
    start: Float[np.ndarray, "c1 m"],
    *,
    spread: float = PRIOR_SPREAD,
) -> Float[np.ndarray, "c1 m"]:
    """b and B, one above the other, of least −Σ log π(t | z) + |B|² / 2τ², by L-BFGS.

    The search is in U, (b, B) = T U, T⁻ᵀ T⁻¹ = [1 z]ᵀ[1 z] / m + diag(0, 1/τ², …), the curvature
    of the loss were all m classes as likely: in U it bends about alike in all directions, and the
    search takes a third of the steps.

    Args:
      z: [r, c] what the log odds are linear in.
      arms: [r] class of each row.
      could: [r, m] classes that it may be of.
      start: where the search begins.
      spread: τ.
    """
    from scipy.optimize import minimize

    answered = np.eye(could.shape[1])[arms]
    never = np.where(could, 0.0, NEVER)
    with_one = np.concatenate([np.ones((len(z), 1)), z], axis=1)
    prior = np.diag(np.r_[0.0, np.full(z.shape[1], spread**-2.0)])
    bend = with_one.T @ with_one / could.shape[1] + prior
    root = np.linalg.cholesky(bend + ROUNDING * np.trace(bend) * np.eye(len(bend)))
    away = np.linalg.inv(root).T
    options = {"maxiter": STEPS, "ftol": 1e-7}  # of thousands of nats
    arguments = (with_one @ away, answered, never, away.T @ prior @ away)
    begin = (root.T @ start).ravel()
    best = minimize(_loss, begin, arguments, "L-BFGS-B", jac=True, options=options).x
    found: np.ndarray = away @ best.reshape(start.shape)
    return found


def _loss(
    parameters: np.ndarray,
    z: np.ndarray,
    answered: np.ndarray,
    never: np.ndarray,
    prior: np.ndarray,
) -> tuple[float, np.ndarray]:
    """−Σ log π(t | z) + ½ tr Uᵀ P U of U, and its gradient."""
    slopes = parameters.reshape(-1, answered.shape[1])
    odds = z @ slopes + never
    odds -= odds.max(axis=1, keepdims=True)
    raised = np.exp(odds)
    total = raised.sum(axis=1, keepdims=True)
    told = float((odds * answered).sum() - np.log(total).sum())
    missed = raised / total - answered
    pulled = prior @ slopes
    return 0.5 * float((pulled * slopes).sum()) - told, (z.T @ missed + pulled).ravel()
