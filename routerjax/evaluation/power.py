"""What more rows, gold scores or random traffic would do for an interval.

All is large-sample arithmetic: the next rows are as those of the log, and propensities count as
known.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from routerjax.errors import InputError
from routerjax.evaluation.intervals import student_quantile

POWER = 0.8
LEVEL = 0.05
"""A difference is told apart from 0 by a two-sided test of this level."""
MOST_GROUPS = 10**12


def groups_needed(
    standard_error: float, groups: int, *, half_width: float, width: float = 0.0
) -> int | None:
    """Independent groups with which a 95 % interval reaches no further than `half_width`.

    The clustered variance of a group's sum is what it is, so that e² = v/G falls with the number
    of groups. Sought is the least G with W/2 + t_{G−1}·√(v/G) ≤ δ, where v = G₀·e₀² is the log's.
    W, the width of the bounds where there is no support, does not shrink with rows of the same
    kind.

    Args:
      standard_error: e₀, clustered, of the log's G₀ groups.
      groups: G₀.
      half_width: δ.
      width: W.

    Returns:
      G; None where no number is enough.

    Raises:
      InputError: a half-width that is not above 0.

    >>> groups_needed(0.05, 400, half_width=0.05)   # v = 1, and 1.961²/0.05² = 1539
    1540
    """
    if not half_width > 0:
        raise InputError(f"half-width is {half_width:g}; it must be above 0")
    variance, reach = groups * standard_error**2, half_width - width / 2
    if reach <= 0 or not np.isfinite(variance):
        return None

    def enough(count: int) -> bool:
        return student_quantile(0.975, count - 1) * math.sqrt(variance / count) <= reach

    low, high = 1, 2
    while not enough(high):
        low, high = high, 2 * high
        if high > MOST_GROUPS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def gold_variance(
    variance: float,
    residual: Float[np.ndarray, " n"],
    gold: Float[np.ndarray, " n"],
    chance: Float[np.ndarray, " n"],
    *,
    times: float,
) -> float:
    """Variance of a mean of the same rows if `times` as many of them had gold scores.

    A row's score is U = M + (s/e)·R: M is known for every row, R (weight times gold minus
    predicted quality) for gold rows alone, s = 1 with probability e. Over the draw of s

      Var(U) = Var(M + R) + E[R²·(1/e − 1)],

    so that with κ·e for e (1 at most) the mean of n rows has the variance

      v(κ) = v(1) − Σ s·R²/(e²·n²) + Σ s·R²/(e·min(1, κ·e)·n²).

    The first two terms shrink with all rows alone, the third with gold rows. Gold rows are drawn
    apart from each other, also within a group. The first two estimate Var(M + R) − E[R²], which
    is at least 0 where the prediction is right on average, and count as 0 where they fall below.

    Args:
      variance: v(1), clustered, as the log gives it.
      residual: [n] R; where a row is not gold it is not looked at.
      gold: [n] s, 0 or 1.
      chance: [n] e, above 0.
      times: κ; infinity for gold scores everywhere.

    Reference: Angelopoulos et al. (2023), Prediction-powered Inference, for equal e.
    """
    count, share = len(gold), np.minimum(1.0, times * chance)
    square = np.where(gold > 0, residual, 0.0) ** 2
    now = float((square / chance**2).sum()) / count**2
    return max(variance - now, 0.0) + float((square / (chance * share)).sum()) / count**2


def gold_needed(
    variance: float,
    residual: Float[np.ndarray, " n"],
    gold: Float[np.ndarray, " n"],
    chance: Float[np.ndarray, " n"],
    *,
    target: float,
) -> int | None:
    """How many more of the log's rows need gold scores for a variance of `target`.

    The least κ with v(κ) ≤ target (`gold_variance`), by bisection; the answer is
    Σ min(1, κ·e) − Σ e rows.

    Args:
      variance, residual, gold, chance: As of `gold_variance`.
      target: variance of the mean.

    Returns:
      Rows, rounded up; None where gold scores on every row are not enough.
    """

    def at(times: float) -> float:
        return gold_variance(variance, residual, gold, chance, times=times)

    low, high = 1.0, 1.0 / float(chance.min())
    if at(low) <= target:
        return 0
    if at(high) > target:
        return None
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if at(middle) <= target else (middle, high)
    more = float((np.minimum(1.0, high * chance) - chance).sum())
    return math.ceil(more - 1e-6)


def traffic_variance(
    predicted: Float[np.ndarray, " n"],
    squares: Float[np.ndarray, "n m"],
    noise: Float[np.ndarray, " m"],
    policy: Float[np.ndarray, "n m"],
    *,
    share: float,
) -> float:
    """Variance of one row's dr score of p − q when a share of the traffic is sent at random.

    With π_ε = (1 − ε)·π + ε/m and importance weights (p(t|x) − q(t|x))/π_ε(t|x),

      Var(U) = Var(Δ̂(x)) + E_x Σ_m σ_m²·(p(m|x) − q(m|x))²/π_ε(m|x),

    Δ̂ = Σ_m (p − q)(m|x)·ŷ(x, m) and σ_m² the mean squared residual of arm m. That is exact, up
    to the squared mean bias of Δ̂, where residuals are no larger where π is small and ŷ does not
    err in step with itself: what ŷ misses is in σ_m².

    Args:
      predicted: [n] Δ̂.
      squares: [n, m] (p − q)².
      noise: [m] σ_m².
      policy: [n, m] π; 0 where an arm is not asked.
      share: ε.

    Returns:
      Variance of one row; infinite where an arm that matters is never asked.

    Reference: Dudík, Langford, Li (2011), Doubly Robust Policy Evaluation and Learning, section
    3.2, for the variance of dr.
    """
    chance = (1 - share) * policy + share / policy.shape[1]
    matters = squares > 0
    if (matters & (chance <= 0)).any():
        return math.inf
    inverse = np.where(matters, squares, 0.0) / np.where(matters, chance, 1.0)
    return float(np.var(predicted) + inverse.mean(axis=0) @ noise)


def detectable(standard_error: float, *, power: float = POWER, level: float = LEVEL) -> float:
    """The difference that a two-sided test of `level` finds with probability `power`.

    (z_{1−level/2} + z_power)·e, 2.80 standard errors at 5 % and 80 %; the chance of a significant
    difference of the wrong sign is left out.

    >>> round(detectable(1.0), 3)
    2.802
    """
    from scipy.special import ndtri

    return float((ndtri(1 - level / 2) + ndtri(power)) * standard_error)


def least_share(
    predicted: Float[np.ndarray, " n"],
    squares: Float[np.ndarray, "n m"],
    noise: Float[np.ndarray, " m"],
    policy: Float[np.ndarray, "n m"],
    *,
    rows: float,
    difference: float,
) -> float | None:
    """The least share of random traffic with which a difference is found with 80 % power at 5 %.

    The variance is convex in ε (a sum of reciprocals of affine functions): its minimum is found
    by golden section, and the least share by bisection below it.

    Args:
      predicted, squares, noise, policy: As of `traffic_variance`.
      rows: next rows, in independent ones.
      difference: to be found; its sign does not matter.

    Returns:
      ε in [0, 1]; None where no share is enough.
    """

    def reach(share: float) -> float:
        one = traffic_variance(predicted, squares, noise, policy, share=share)
        return detectable(math.sqrt(one / rows))

    if reach(0.0) <= abs(difference):
        return 0.0
    low, high, golden = 0.0, 1.0, (math.sqrt(5) - 1) / 2
    for _ in range(40):
        first, second = high - golden * (high - low), low + golden * (high - low)
        low, high = (low, second) if reach(first) <= reach(second) else (first, high)
    best = (low + high) / 2
    best = 1.0 if reach(1.0) <= reach(best) else best
    if reach(best) > abs(difference):
        return None
    low, high = 0.0, best
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (low, middle) if reach(middle) <= abs(difference) else (middle, high)
    return high
