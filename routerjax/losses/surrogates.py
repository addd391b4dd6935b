"""Surrogate losses of routing regret, per row: logits [..., m] and utilities [..., m] to [...].

Each pushes up the logits of arms of high utility. None changes when one number is added to
all logits or to all utilities of a row; each is 0 where there is one arm. The *regret* they stand
in for is that of the arm of highest logit, max ũ − ũ_{argmax logits}. Which is below which is
tested, and printed by ``python -m experiments.surrogates``.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def classification_bound(
    logits: Float[Array, "*batch m"], utilities: Float[Array, "*batch m"]
) -> Float[Array, "*batch"]:
    """Penalise a low probability of the arm of highest utility.

    ℓ = −Σ_m w⋆_m · log softmax(logits)_m,  w⋆ the arm of highest utility, even over a tie.

    The regret of the argmax policy is at most (max ũ − min ũ)·1{argmax logits ≠ m⋆}, and
    ℓ / log 2 is at least that indicator, so that (max ũ − min ũ)·ℓ / log 2 bounds the regret.
    Only the label is kept of ũ: noise in ũ biases it towards arms that look good by luck.

    Args:
      logits: [..., m] real scores.
      utilities: [..., m] utilities in any unit; only their order counts.

    Returns:
      [...] loss in nats, 0 or more.

    Reference: Causal LLM Routing (arXiv 2505.16037), the classification upper bound. How a tie
    is labelled is ours: the first of the best arms would make the order of columns matter.

    >>> float(classification_bound(jnp.array([0.0, 0.0]), jnp.array([1.0, 3.0]))).__round__(4)
    0.6931
    """
    return -jnp.sum(_best(utilities) * jax.nn.log_softmax(logits, axis=-1), axis=-1)


def weighted_classification(
    logits: Float[Array, "*batch m"], utilities: Float[Array, "*batch m"]
) -> Float[Array, "*batch"]:
    """Penalise a low probability of the best arm by what the row has at stake.

    ℓ = (max_m ũ_m − min_m ũ_m) · classification_bound(logits, ũ).

    ℓ / log 2 bounds the regret of the argmax policy, and ℓ itself `softmax_regret`. Rows on
    which the arms differ little weigh little. With two arms the weight is |ũ_1 − ũ_2|, and
    unbiased noise in ũ leaves the sign of the best logit difference right; with more it need
    not, since the label is still the luckiest arm.

    Args:
      logits: [..., m] real scores.
      utilities: [..., m] utilities ũ; the loss is in nats times their unit.

    Returns:
      [...] loss, 0 or more; 0 where all arms are alike.

    Reference: Zhang, Tsiatis, Davidian, Zhang and Laber, *Estimating optimal treatment regimes
    from a classification perspective* (Stat, 2012), for two arms; the range as the weight of m
    arms is ours.

    >>> loss = weighted_classification(jnp.array([0.0, 0.0]), jnp.array([1.0, 3.0]))
    >>> float(loss).__round__(4)  # 2 log 2
    1.3863
    """
    stake = jnp.max(utilities, axis=-1) - jnp.min(utilities, axis=-1)
    return stake * classification_bound(logits, utilities)


def softmax_regret(
    logits: Float[Array, "*batch m"],
    utilities: Float[Array, "*batch m"],
    *,
    temperature: float = 1.0,
) -> Float[Array, "*batch"]:
    """Average the regret of the arms under the softmax policy of the logits.

    ℓ = Σ_m softmax(logits / T)_m · (max_m' ũ_m' − ũ_m).

    Up to the constant max ũ it is linear in ũ: unbiased noise in ũ leaves its gradient
    unbiased. As T → 0, or as the logits grow, it becomes the regret of the argmax policy; at
    any T it is at least an m-th of it.

    Args:
      logits: [..., m] real scores.
      utilities: [..., m] utilities ũ; the loss has their unit.
      temperature: T > 0.

    Returns:
      [...] expected regret, 0 or more.

    Reference: Causal LLM Routing (arXiv 2505.16037), the softmax-weighted regret.

    >>> float(softmax_regret(jnp.array([0.0, 0.0]), jnp.array([1.0, 3.0])))
    1.0
    """
    regrets = jnp.max(utilities, axis=-1, keepdims=True) - utilities
    return jnp.sum(jax.nn.softmax(logits / temperature, axis=-1) * regrets, axis=-1)


def counterfactual_risk(
    logits: Float[Array, "*batch m"],
    utilities: Float[Array, "*batch m"],
    *,
    penalty: float = 0.1,
    centre: float = 0.0,
) -> Float[Array, "*batch"]:
    """Add to the softmax regret a penalty on how widely the policy's advantage is spread over rows.

    ℓ = softmax_regret(logits, ũ) + (κ/2)·(g − c)²,  g = Σ_m softmax(logits)_m · ũ_m − mean_m ũ_m.

    g is the row's share in the policy's estimated advantage over a choice at random. Averaged over
    rows, (g − c)² is the variance of g plus (mean g − c)², so that ℓ bounds −value + (κ/2)·variance
    up to a constant, whatever c; it is equal where c is the mean of g. Counterfactual risk
    minimisation penalises the standard deviation of the estimated value and bounds it in the
    same way, by a linear and a square term per row, with c and κ taken from the policy of the
    epoch before. Different here: a row cannot see the others, so that κ and c are constants;
    the row's mean is taken off, without which a constant added to ũ would count as variance;
    the weights 1/π̂ are inside ũ (an ips or dr estimate), clipped there if at all. The square
    is not linear in ũ: noise is meant to count, and keeps the policy from rarely logged arms.

    Args:
      logits: [..., m] real scores.
      utilities: [..., m] utilities ũ of about unit spread; the penalty has their unit squared.
      penalty: κ ≥ 0; 0 is `softmax_regret`.
      centre: c, a guess at the mean advantage.

    Returns:
      [...] loss, 0 or more.

    Reference: Swaminathan and Joachims, *Counterfactual risk minimization: learning from logged
    bandit feedback* (ICML 2015), section 5 on POEM.

    >>> float(counterfactual_risk(jnp.array([0.0, 800.0]), jnp.array([1.0, 3.0]), penalty=0.5))
    0.25
    """
    probabilities = jax.nn.softmax(logits, axis=-1)
    mean = jnp.mean(utilities, axis=-1, keepdims=True)
    advantage = jnp.sum(probabilities * (utilities - mean), axis=-1)
    return softmax_regret(logits, utilities) + penalty / 2 * (advantage - centre) ** 2


def soft_regret(
    logits: Float[Array, "*batch m"],
    utilities: Float[Array, "*batch m"],
    *,
    sharpness: float = 1.0,
) -> Float[Array, "*batch"]:
    """Sum over all pairs of arms what a soft choice between the two alone would lose.

    ℓ = Σ_{a<b} |ũ_a − ũ_b| · σ(−k·sgn(ũ_a − ũ_b)·(f_a − f_b)),  f the logits, σ the logistic.

    2ℓ bounds the regret of the argmax policy at any k, and ℓ at k = 1 bounds `softmax_regret`.
    Since |Δ|·σ(−k·sgn(Δ)·z) = |Δ|/2 − Δ·tanh(kz/2)/2, it is linear in ũ up to a constant:
    unbiased noise in ũ leaves its gradient unbiased. Unlike `softmax_regret` it also minds the
    order of arms far from the best, and a pair saturates by itself.

    Args:
      logits: [..., m] real scores.
      utilities: [..., m] utilities ũ; the loss has their unit.
      sharpness: k > 0; as k → ∞ each pair in the wrong order counts with its whole difference.

    Returns:
      [...] loss, 0 or more; it grows with the number of pairs.

    Reference: Tan and Frazier, *Asymptotically optimal regret for black-box
    predict-then-optimize* (arXiv 2406.07866, 2024), empirical soft regret. There the choice is
    between two actions, and a row's other action is seen at its nearest neighbour. Ours: m
    arms, all pairs of them, and the counterfactual estimate of the same row as the neighbour.

    >>> float(soft_regret(jnp.array([0.0, 0.0]), jnp.array([1.0, 3.0])))
    1.0
    """
    stakes, leads = _differences(utilities), _differences(logits)
    return jnp.sum(jax.nn.relu(stakes) * jax.nn.sigmoid(-sharpness * leads), axis=(-2, -1))


def pairwise_ranking(
    logits: Float[Array, "*batch m"], utilities: Float[Array, "*batch m"]
) -> Float[Array, "*batch"]:
    """Rank the arms: a logistic loss of every pair, weighted by the pair's difference in utility.

    ℓ = Σ_{a<b} |ũ_a − ũ_b| · log(1 + exp(−sgn(ũ_a − ũ_b)·(f_a − f_b))),  f the logits.

    Convex in the logits. ℓ / log 2 bounds the regret of the argmax policy, and ℓ `soft_regret`
    at k = 1. The weight makes a pair count by what its order is worth, and for one pair alone
    unbiased noise in ũ leaves the sign of the best logit difference right, only smaller.

    Args:
      logits: [..., m] real scores.
      utilities: [..., m] utilities ũ; the loss is in nats times their unit.

    Returns:
      [...] loss, 0 or more; it grows with the number of pairs.

    Reference: Burges et al., *Learning to rank using gradient descent* (ICML 2005), RankNet,
    whose pairs are not weighted: the weight is ours.

    >>> float(pairwise_ranking(jnp.array([0.0, 0.0]), jnp.array([1.0, 3.0]))).__round__(4)
    1.3863
    """
    stakes, leads = _differences(utilities), _differences(logits)
    return jnp.sum(jax.nn.relu(stakes) * jax.nn.softplus(-leads), axis=(-2, -1))


def spo_plus(
    logits: Float[Array, "*batch m"],
    utilities: Float[Array, "*batch m"],
    *,
    scale: float = 10.0,
) -> Float[Array, "*batch"]:
    """Bound from above, by a convex function of predicted utilities, the regret they lead to.

    ℓ = max_m (2v_m − ũ_m) − 2·Σ_m w⋆_m·v_m + max_m ũ_m,  v = logits / scale,
    w⋆ the arm of highest ũ, even over a tie.

    It is SPO+ of the linear programme max_w ũ·w over the simplex, in which costs to minimise
    are −ũ. With one best arm m⋆ it is max_m [(ũ_{m⋆} − ũ_m) − 2(v_{m⋆} − v_m)], a hinge loss that
    asks of v_{m⋆} to lead each arm by half of the true lead. Putting m = argmax v shows that it
    is at least the regret; convex and piecewise linear in v; 0, with gradient 0, at v = ũ + c.
    The label and the margin keep the noise of ũ, as in classification, and the slope of a row
    does not grow with what is at stake.

    Args:
      logits: [..., m] predicted utilities v times `scale`.
      utilities: [..., m] utilities ũ; the loss has their unit.
      scale: logits per unit of utility, any of which gives a bound; 10 is where routers start
        (`RouterConfig.start_sharpness`), so that the plug-in start is v = predicted ũ.

    Returns:
      [...] loss, 0 or more.

    Reference: Elmachtoub and Grigas, *Smart "predict, then optimize"* (Management Science,
    2022), the SPO+ loss.

    >>> float(spo_plus(jnp.array([0.0, 0.0]), jnp.array([1.0, 3.0])))
    2.0
    """
    regrets = jnp.max(utilities, axis=-1, keepdims=True) - utilities
    leads = jnp.sum(_best(utilities) * logits, axis=-1, keepdims=True) - logits
    return jnp.max(regrets - 2 * leads / scale, axis=-1)  # differences, so that little is rounded


def _best(utilities: Float[Array, "*batch m"]) -> Float[Array, "*batch m"]:
    """Indicator of the arm of highest utility, shared evenly where several are."""
    best = utilities == jnp.max(utilities, axis=-1, keepdims=True)
    return best / jnp.sum(best, axis=-1, keepdims=True)


def _differences(values: Float[Array, "*batch m"]) -> Float[Array, "*batch m m"]:
    """Every arm's value less every other's, [..., a, b]."""
    return values[..., :, None] - values[..., None, :]
