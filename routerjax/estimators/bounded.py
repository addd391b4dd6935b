"""The least value of a smooth function of a few bounded numbers, by BFGS.

scipy's does the same and takes a third of a second to import.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

MOST_STEPS = 50
MOST_HALVINGS = 10
DECREASE = 1e-4
"""Share of the decrease that the slope promises, of which a step keeps at least so much."""


def least(
    value_and_slope: Callable[[np.ndarray], tuple[float, np.ndarray]],
    start: Float[np.ndarray, " k"],
    low: Float[np.ndarray, " k"],
    high: Float[np.ndarray, " k"],
    *,
    enough: float,
) -> Float[np.ndarray, " k"]:
    """Where a function is least within bounds, from `start` on; a local minimum.

    Quasi-Newton steps d = −H·g, H of Broyden, Fletcher, Goldfarb and Shanno, among the numbers
    that no bound holds back, are cut off at the bounds and halved until they pay.

    Args:
      value_and_slope: the function and its gradient.
      start: k numbers within the bounds.
      low, high: bounds.
      enough: a step that gains less than this share of the value is the last, and one that
        promises no more is not made.

    Reference: Nocedal, Wright (2006), Numerical Optimization, sections 6.1 and 16.7.
    """
    at: np.ndarray = np.clip(start, low, high)
    inverse = np.eye(len(start))
    value, slope = value_and_slope(at)
    first = True
    for _ in range(MOST_STEPS):
        free = ~(((at <= low) & (slope > 0)) | ((at >= high) & (slope < 0)))
        if not free.any():
            break
        step = np.where(free, -(inverse * np.outer(free, free)) @ slope, 0.0)
        if -float(slope @ step) <= enough * max(abs(value), 1.0):
            break
        if first:
            step /= max(1.0, float(np.linalg.norm(step)))
        found = _along(value_and_slope, at, step, value, slope, low, high)
        if found is None:
            break
        new, new_value, new_slope = found
        gained = value - new_value
        inverse = _updated(inverse, new - at, new_slope - slope, first)
        at, value, slope, first = new, new_value, new_slope, False
        if gained <= enough * max(abs(value), abs(value + gained), 1.0):
            break
    return at


def _along(
    value_and_slope: Callable[[np.ndarray], tuple[float, np.ndarray]],
    at: np.ndarray,
    step: np.ndarray,
    value: float,
    slope: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
) -> tuple[np.ndarray, float, np.ndarray] | None:
    """The first of a step and its halves that keeps enough of what the slope promises."""
    for _ in range(MOST_HALVINGS):
        new = np.clip(at + step, low, high)
        new_value, new_slope = value_and_slope(new)
        if new_value <= value + DECREASE * float(slope @ (new - at)):
            return new, new_value, new_slope
        step = step / 2
    return None


def _updated(inverse: np.ndarray, moved: np.ndarray, turned: np.ndarray, first: bool) -> np.ndarray:
    """The inverse Hessian after a step; as it was where the curvature along it is not positive."""
    curvature = float(moved @ turned)
    if curvature <= 1e-10 * float(np.linalg.norm(moved) * np.linalg.norm(turned)):
        return inverse
    if first:
        inverse = inverse * curvature / float(turned @ turned)
    side = np.eye(len(moved)) - np.outer(moved, turned) / curvature
    found: np.ndarray = side @ inverse @ side.T + np.outer(moved, moved) / curvature
    return found
