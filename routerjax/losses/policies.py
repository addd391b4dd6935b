"""Surrogates of a policy that draws its arm: policy gradients, a perturbed argmax; and a hinge.

As in `surrogates`: logits [..., m] and utilities [..., m] to [...], nothing changes when one number
is added to all logits or all utilities of a row, and with one arm there is nothing to learn.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from routerjax.losses.surrogates import softmax_regret

NODES = np.linspace(-6.0, 6.0, 33)
"""Where `perturbed_argmax` integrates, from the largest logit: Φ(−6) is 1e-9, and of thirty equal
arms, whose largest score is the narrowest, the probabilities are right to 1e-6."""


def policy_gradient(
    logits: Float[Array, "*batch m"],
    utilities: Float[Array, "*batch m"],
    *,
    entropy: float = 0.01,
) -> Float[Array, "*batch"]:
    """Average the regret under the softmax policy, and keep the policy from being too sure.

    ℓ = Σ_m p_m · (max ũ − ũ_m) + η·(log m − H(p)),  p = softmax(logits), H(p) = −Σ p_m log p_m.

    Its gradient is the policy gradient of the value Σ p_m ũ_m with the bonus η·H, all arms summed
    over where a sampled gradient would draw one. Linear in ũ up to a constant. log m − H(p) is the
    divergence of p from an even choice, so that ℓ is at least `softmax_regret`.

    Args:
      logits: [..., m] real scores.
      utilities: [..., m] utilities ũ; the loss has their unit.
      entropy: η ≥ 0, utility per nat; 0 is `softmax_regret`.

    Returns:
      [...] loss, 0 or more.

    Reference: Williams and Peng, *Function optimization using connectionist reinforcement learning
    algorithms* (Connection Science, 1991), the entropy term; the gradient summed over the arms is
    that of Sutton, McAllester, Singh and Mansour (NIPS 1999).

    >>> loss = policy_gradient(jnp.array([0.0, 0.0]), jnp.array([1.0, 3.0]), entropy=5.0)
    >>> float(loss)  # an even choice has no divergence from itself
    1.0
    """
    return softmax_regret(logits, utilities) + entropy * _divergence(logits)


def barp(
    logits: Float[Array, " m"],
    utilities: Float[Array, " m"],
    key: PRNGKeyArray,
    *,
    entropy: float = 0.01,
) -> Float[Array, ""]:
    """Draw an arm, and make it likelier by what it is worth above the mean of the arms.

    ℓ = −(ũ_a − mean_m ũ_m) · log p_a + η·(log m − H(p)),  a ~ p = softmax(logits).

    REINFORCE: over draws of a the gradient's mean is that of `policy_gradient`, with more noise.
    BaRP's reward for a preference w is w·quality − (1 − w)·cost, its cost normalised and capped.
    The utility (q − λ·c) / (1 + λ·c̄) is that reward at w = 1 / (1 + λ·c̄), uncapped, with costs in
    units of the mean cost c̄. What conditions the policy on the preference is the architecture
    ("conditioned", for one network at all λ). Ours: the baseline, which is the row's mean, and
    that ũ may be an estimate from a log where BaRP looks the drawn arm up in a table.

    Args:
      logits: [m] real scores.
      utilities: [m] utilities ũ, of which the drawn arm's and the mean count.
      key: with which the arm is drawn.
      entropy: η ≥ 0, utility per nat.

    Returns:
      Loss; its value means little, only its gradient.

    Reference: Wei et al., *Learning to route LLMs from bandit feedback: one policy, many
    trade-offs* (arXiv 2510.07429), BaRP.

    >>> row = jnp.array([0.0, 800.0]), jnp.array([1.0, 3.0])
    >>> abs(float(barp(*row, jax.random.key(0), entropy=0.0)))  # log p of the second arm is 0
    0.0
    """
    arm = jax.random.categorical(key, jax.lax.stop_gradient(logits))
    advantage = utilities[arm] - jnp.mean(utilities)
    return -advantage * jax.nn.log_softmax(logits)[arm] + entropy * _divergence(logits)


def perturbed_argmax(
    logits: Float[Array, "*batch m"],
    utilities: Float[Array, "*batch m"],
    *,
    noise: float = 1.0,
) -> Float[Array, "*batch"]:
    """Average the regret of the arm of highest logit, each logit seen through normal noise.

    ℓ = Σ_m p_m · (max ũ − ũ_m),  p_m = P(m = argmax_j (f_j + ε·Z_j)),  Z_j independent N(0, 1).

    The probabilities are those of the argmax optimiser perturbed by normal noise, in place of the
    Gumbel noise that would make them a softmax: p_m = ∫ φ(y − f_m/ε) Π_{j≠m} Φ(y − f_j/ε) dy. The
    integral over the largest perturbed score y is a sum over 33 even steps around max f / ε, so
    that nothing is drawn; with two arms it is Φ((f_1 − f_2)/(ε√2)). Linear in ũ up to a constant;
    as ε → 0 it becomes the regret.

    Args:
      logits: [..., m] real scores f.
      utilities: [..., m] utilities ũ; the loss has their unit.
      noise: ε > 0, in units of the logits.

    Returns:
      [...] expected regret, 0 or more.

    Reference: Berthet et al., *Learning with differentiable perturbed optimizers* (NeurIPS 2020,
    arXiv 2002.08676). There the expectation is a mean over draws; the quadrature is ours.

    >>> float(perturbed_argmax(jnp.array([0.0, 0.0]), jnp.array([1.0, 3.0]))).__round__(5)
    1.0
    """
    top = jax.lax.stop_gradient(jnp.max(logits, axis=-1, keepdims=True))
    nodes = jnp.asarray(NODES, logits.dtype).reshape(*[1] * logits.ndim, -1)
    beyond = nodes - ((logits - top) / noise)[..., None]
    below = jnp.log(jax.scipy.special.ndtr(beyond))
    others = jnp.sum(below, axis=-2, keepdims=True) - below
    densities = jnp.exp(others - beyond**2 / 2) * float((NODES[1] - NODES[0]) / np.sqrt(2 * np.pi))
    regrets = jnp.max(utilities, axis=-1, keepdims=True) - utilities
    return jnp.sum(jnp.sum(densities, axis=-1) * regrets, axis=-1)


def cost_sensitive_hinge(
    logits: Float[Array, "*batch m"], utilities: Float[Array, "*batch m"]
) -> Float[Array, "*batch"]:
    """Push each arm's logit below the mean by a margin, by as much as its choice would lose.

    ℓ = Σ_j (max ũ − ũ_j) · max(0, f_j − mean f + 1/(m − 1)),  f the logits.

    Convex and piecewise linear in the logits. The chosen arm's logit is at least the mean, so that
    (m − 1)·ℓ bounds the regret. The minimiser of its mean puts the arm of highest mean
    utility on top where the costs are right; noise enters them through max ũ, as the winner's
    curse.

    Args:
      logits: [..., m] real scores.
      utilities: [..., m] utilities ũ; the loss has their unit.

    Returns:
      [...] loss, 0 or more.

    Reference: Lee, Lin and Wahba, *Multicategory support vector machines* (JASA, 2004), with
    unequal costs; the sum-to-zero constraint is met by taking the mean off.

    >>> float(cost_sensitive_hinge(jnp.array([0.0, 0.0]), jnp.array([1.0, 3.0])))
    2.0
    """
    margin = 1 / max(logits.shape[-1] - 1, 1)
    regrets = jnp.max(utilities, axis=-1, keepdims=True) - utilities
    centred = logits - jnp.mean(logits, axis=-1, keepdims=True)
    return jnp.sum(regrets * jax.nn.relu(centred + margin), axis=-1)


def _divergence(logits: Float[Array, "*batch m"]) -> Float[Array, "*batch"]:
    """log m − H(softmax(logits)), 0 or more."""
    logs = jax.nn.log_softmax(logits, axis=-1)
    even = float(np.log(logits.shape[-1]))
    return jnp.maximum(jnp.sum(jnp.exp(logs) * (logs + even), axis=-1), 0.0)
