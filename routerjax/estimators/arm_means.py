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
LEAST_RATIO = 2.0
"""Of the most rows of an arm to the fewest: policies that prefer no model differ by less."""
CAUTION = 2.0
"""Squared standard errors of a slope that are taken from its square."""
HALVINGS = 60


def prior_means(
    moments: Moments, coefficients: Float[np.ndarray, "D m"]
) -> Float[np.ndarray, " m"]:
    """[m] by how much each arm's mean is expected to lie above that of all, by its rows' number.

    Arms are asked different queries. So their means are those of y − φ·β, β the mean of the arms'
    coefficients without the constant, each arm counting as its rows do. These follow
    ȳ_m = μ + b z_m + u_m + e_m: z the logarithm of the number of rows, of mean 0; u ~ N(0, τ²);
    e ~ N(0, s² / n_m), s² the variance within arms. τ² solves Σ r_m² / (τ² + s²/n_m) = m − 2, and b
    is the weighted least squares slope, of standard error a. Returned is
    b z_m · max(0, 1 − 2 c a²/b²), c = ν / (ν − 2) the variance of Student's t of ν = m − 2 degrees
    of freedom. An arm without rows is taken for one with the fewest where that lowers it. Zeros are
    returned for fewer than `FEWEST_ARMS`, or where the most rows of an arm are less than
    `LEAST_RATIO` times the fewest.

    Args:
      moments: of some rows, no leading axis; of weighted rows their weights are their number.
      coefficients: of every arm, the constant's first, as a regression without this has them.

    Reference: Fay and Herriot (1979), Estimates of Income for Small Places; Paule and Mandel
    (1982) for τ².
    """
    count = np.asarray(moments.rows, np.float64)
    asked = count > 0
    found = np.zeros(len(count))
    if not uneven(moments):
        return found
    mean, error = _adjusted(moments, coefficients)
    n, mean = count[asked], mean[asked]
    z = np.log(n) - np.log(n).mean()
    if not error > 0:
        return found
    slope, variance = _slope(mean, z, error / n)
    free = len(n) - 2
    least = CAUTION * free / (free - 2) * variance
    found[asked] = max(0.0, 1.0 - least / slope**2) * slope * z if slope else 0.0
    found[~asked] = min(0.0, found[asked][z.argmin()])
    return found


def uneven(moments: Moments) -> bool:
    """Whether arms are many enough, and asked unevenly enough, for a slope."""
    count = np.asarray(moments.rows, np.float64)
    asked = count[count > 0]
    return len(asked) >= FEWEST_ARMS and bool(asked.max() >= LEAST_RATIO * asked.min())


def _adjusted(
    moments: Moments, coefficients: Float[np.ndarray, "D m"]
) -> tuple[Float[np.ndarray, " m"], float]:
    """Each arm's mean of y − φ·β, and s²."""
    count = np.asarray(moments.rows, np.float64)
    cross, gram = (np.asarray(each, np.float64) for each in (moments.cross, moments.gram))
    beta = np.asarray(coefficients, np.float64) @ (count / count.sum())
    beta[0] = 0.0
    mean = (cross[:, 0] - gram[:, 0] @ beta) / np.maximum(count, 1e-9)
    square = np.asarray(moments.square, np.float64) - 2 * cross @ beta + (gram @ beta) @ beta
    within = np.maximum(square - count * mean**2, 0.0).sum()
    return mean, float(within / max(count.sum() - (count > 0).sum(), 1.0))


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
