"""Surrogates that read the log themselves: its arm, outcome and propensity.

Others get utilities that an estimator has made of the log beforehand. These join the two steps, so
that what is done to the weights 1/π, or to the outcome model, can depend on the policy or be swept
as a setting. Outcomes and predictions are utilities (q − λ·c) / s_λ.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from routerjax.losses.arguments import batchwise
from routerjax.losses.surrogates import softmax_regret

TINY = 1e-12


def shrunk_dr(
    logits: Float[Array, " m"],
    predicted: Float[Array, " m"],
    arm: Int[Array, ""],
    outcome: Float[Array, ""],
    propensity: Float[Array, ""],
    *,
    shrinkage: float = 100.0,
) -> Float[Array, ""]:
    """Average the softmax regret on doubly robust utilities whose weight is shrunk.

    ℓ = softmax_regret(logits, ũ),  ũ_m = û_m + 1{m = t}·g·(u − û_t),  g = κ·w / (w² + κ), w = 1/π.

    κ → ∞ gives dr utilities, κ = 0 the outcome model's. In between, weights up to √κ stay nearly
    whole and larger ones fall off, which trades bias for variance. Swept as
    ``shrunk_dr?shrinkage=10,100,1000``, κ is chosen on held-out rows like an epoch.

    Args:
      logits: [m] real scores.
      predicted: [m] the outcome model's utilities û, which never saw the row.
      arm: t, the arm that answered.
      outcome: u, the utility of its answer.
      propensity: π > 0, probability with which it was chosen.
      shrinkage: κ ≥ 0, a squared weight.

    Returns:
      Loss, 0 or more.

    Reference: Su, Dimakopoulou, Krishnamurthy and Dudík, *Doubly robust off-policy evaluation with
    shrinkage* (ICML 2020), the optimistic form. There w is the policy's over the log's
    probability; ours is 1/π, so that the loss stays linear in the policy.

    >>> even, log = jnp.zeros(2), (jnp.zeros(2), jnp.array(1), jnp.array(1.0), jnp.array(0.5))
    >>> float(shrunk_dr(even, *log, shrinkage=4.0))  # g = 1, utilities (0, 1)
    0.5
    """
    weight = 1 / propensity
    shrunk = weight / (1 + weight**2 / shrinkage)
    mine = jnp.arange(logits.shape[0]) == arm
    target = predicted + jnp.where(mine, shrunk * (outcome - predicted[arm]), 0.0)
    return softmax_regret(logits, target)


@batchwise
def poem(
    logits: Float[Array, "b m"],
    arm: Int[Array, " b"],
    outcome: Float[Array, " b"],
    propensity: Float[Array, " b"],
    weight: Float[Array, " b"],
    *,
    penalty: float = 1.0,
) -> Float[Array, ""]:
    """Value the softmax policy by self-normalised weights, less a multiple of its standard error.

    ℓ = −V + κ·√(Σ_i s_i²·(u_i − V)²),  V = Σ_i s_i·u_i,  s_i = r_i / Σ_j r_j,
    r_i = softmax(logits_i)_{t_i} / π_i.

    No outcome model enters. Division by Σ r keeps the policy from gaining by avoiding the log's
    arms where outcomes are negative (propensity overfitting), and makes a constant added to all
    outcomes change nothing. The root is the standard error of V, whose terms are the ratio's
    influence values.

    Args:
      logits: [b, m] real scores of a batch.
      arm: [b] the arms that answered, t.
      outcome: [b] the utilities of their answers, u.
      propensity: [b] probabilities with which they were chosen, π.
      weight: [b] 1, or 0 where there is no row.
      penalty: κ ≥ 0, standard errors.

    Returns:
      Minus a lower bound of the value, in the unit of the outcomes.

    Reference: Swaminathan and Joachims, *The self-normalized estimator for counterfactual learning*
    (NIPS 2015), Norm-POEM. There the sums run over the whole log; ours over a batch.

    >>> rows = jnp.array([0, 1]), jnp.array([1.0, 0.0]), jnp.array([0.5, 0.5]), jnp.ones(2)
    >>> float(poem(jnp.zeros((2, 2)), *rows, penalty=0.0))
    -0.5
    """
    ratios = weight * _probability_of(arm, logits) / propensity
    shares = ratios / jnp.maximum(jnp.sum(ratios), TINY)
    value = jnp.sum(shares * outcome)
    return -value + penalty * jnp.sqrt(jnp.sum((shares * (outcome - value)) ** 2) + TINY)


@batchwise
def mrdr(
    logits: Float[Array, "b m"],
    predicted: Float[Array, "b m"],
    arm: Int[Array, " b"],
    outcome: Float[Array, " b"],
    propensity: Float[Array, " b"],
    weight: Float[Array, " b"],
    *,
    prior: float = 10.0,
) -> Float[Array, ""]:
    """Value the softmax policy by dr, with the outcome model refitted for this policy's variance.

    ℓ = −mean_i [Σ_m p_im·q̇_im + p_it/π_i·(u_i − q̇_it)],  q̇ = û + a + c·(û − ū),
    (a, c) minimises Σ_i ω_i·(u_i − q̇_it)²,  ω_i = p_it²·(1 − π_i) / π_i²,  ū = Σ ω û_t / Σ ω.

    ω weighs a residual by what it adds to the variance of the dr value of the present policy
    p = softmax(logits): rows that it would choose and that the log seldom holds. a and c carry no
    gradient, and are shrunk by k / (k + `prior`), k = (Σ ω)² / Σ ω² the rows that effectively
    decide them.

    Args:
      logits: [b, m] real scores of a batch.
      predicted: [b, m] the outcome model's utilities û.
      arm: [b] the arms that answered, t.
      outcome: [b] the utilities of their answers, u.
      propensity: [b] probabilities with which they were chosen, π.
      weight: [b] 1, or 0 where there is no row.
      prior: rows that the predictions as they are count for; large gives dr.

    Returns:
      Minus the estimated value, in the unit of the outcomes.

    Reference: Farajtabar, Chow and Ghavamzadeh, *More robust doubly robust off-policy evaluation*
    (ICML 2018). There a whole outcome model is fitted by the weighted squares, with terms between
    arms; ours corrects a fitted model by two numbers and keeps the squares alone.

    >>> log = jnp.array([0, 1]), jnp.array([1.0, 0.0]), jnp.array([0.5, 0.5]), jnp.ones(2)
    >>> float(mrdr(jnp.zeros((2, 2)), jnp.zeros((2, 2)), *log))  # a = 1/2 × 2/(2 + 10)
    -0.5
    """
    probabilities = jax.nn.softmax(logits, axis=-1)
    own = _probability_of(arm, logits)
    expected = jnp.take_along_axis(predicted, arm[:, None], axis=1)[:, 0]
    counts = weight * jax.lax.stop_gradient(own) ** 2 * (1 - propensity) / propensity**2
    total = jnp.maximum(jnp.sum(counts), TINY)
    centre = jnp.sum(counts * expected) / total
    effective = total**2 / jnp.maximum(jnp.sum(counts**2), TINY**2)
    trust = effective / (effective + prior)
    residual, off = outcome - expected, expected - centre
    level = jnp.sum(counts * residual) / total
    tilt = jnp.sum(counts * off * residual) / jnp.maximum(jnp.sum(counts * off**2), TINY)
    refitted = predicted + trust * (level + tilt * (predicted - centre))
    left = outcome - expected - trust * (level + tilt * off)
    values = jnp.sum(probabilities * refitted, axis=-1) + own / propensity * left
    return -jnp.sum(weight * values) / jnp.maximum(jnp.sum(weight), 1.0)


def _probability_of(arm: Int[Array, " b"], logits: Float[Array, "b m"]) -> Float[Array, " b"]:
    return jnp.take_along_axis(jax.nn.softmax(logits, axis=-1), arm[:, None], axis=1)[:, 0]
