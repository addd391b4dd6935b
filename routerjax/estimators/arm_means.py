"""What a log's policy asks more often is better, or worse, as far as the log shows.

The mean of an arm with a few answers is drawn towards that of all arms. Where today's policy has
its reasons, the number of answers itself tells of an arm that was seldom asked: how much is
estimated from the arms that were asked often.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from routerjax.estimators.moments import Moments

FEWEST_ARMS = 5
"""With fewer a slope through their means leaves no finite variance of its own error."""
EVEN = 1e-6
"""Numbers of rows whose logarithms differ by no more are one number."""
HALVINGS = 60


def prior_means(moments: Moments) -> Float[np.ndarray, " m"]:
    """[m] by how much each arm's mean is expected to lie above that of all, by its share of rows.

    The means of the arms' labels follow ȳ_m = μ + b z_m + u_m + e_m: z the logarithm of the number
    of rows, of mean 0; u ~ N(0, τ²); e ~ N(0, s² / n_m), s² the variance of labels within arms.
    τ² solves Σ r_m² / (τ² + s²/n_m) = m − 2, and b is the weighted least squares slope, of
    standard error a. Returned is b z_m · max(0, 1 − c a²/b²), c = ν / (ν − 2) the variance of
    Student's t of ν = m − 2 degrees of freedom: nothing where the slope may well be chance, where
    all arms have as many rows, and of fewer than `FEWEST_ARMS`.

    Args:
      moments: of all rows, no leading axis.

    Reference: Fay and Herriot (1979), Estimates of Income for Small Places; Paule and Mandel
    (1982) for τ².
    """
    count, total = (np.asarray(each, np.float64) for each in (moments.rows, moments.cross[:, 0]))
    asked = count > 0
    nothing = np.zeros(len(count))
    if asked.sum() < FEWEST_ARMS:
        return nothing
    n, mean = count[asked], total[asked] / count[asked]
    spread = np.maximum(np.asarray(moments.square, np.float64)[asked] - n * mean**2, 0.0)
    z = np.log(n) - np.log(n).mean()
    error = spread.sum() / max(n.sum() - len(n), 1.0) / n
    if np.abs(z).max() < EVEN or not error.any():
        return nothing
    slope, variance = _slope(mean, z, error)
    free = len(n) - 2
    kept = max(0.0, 1.0 - free / (free - 2) * variance / slope**2) if slope else 0.0
    nothing[asked] = kept * slope * z
    return nothing


def _slope(
    mean: Float[np.ndarray, " a"], z: Float[np.ndarray, " a"], error: Float[np.ndarray, " a"]
) -> tuple[float, float]:
    """b and the square of its standard error, at the τ² of Paule and Mandel."""
    design = np.stack([np.ones_like(z), z], axis=1)

    def fitted(between: float) -> tuple[np.ndarray, np.ndarray, float]:
        weighted = design / (between + error)[:, None]
        inverse = np.linalg.inv(weighted.T @ design)
        found = inverse @ (weighted.T @ mean)
        missed = mean - design @ found
        return found, inverse, float((missed**2 / (between + error)).sum())

    low, high = 0.0, float(mean.var() * len(mean) + error.max())
    for _ in range(HALVINGS):  # the sum falls in τ²
        middle = (low + high) / 2
        low, high = (middle, high) if fitted(middle)[2] > len(z) - 2 else (low, middle)
    found, inverse, _ = fitted(low)
    return float(found[1]), float(inverse[1, 1])
