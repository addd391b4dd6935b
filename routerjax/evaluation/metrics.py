"""What a policy earns on known or estimated outcomes: utility, regret, quality, cost.

A policy's choice at one cost weight is either arms [n] or probabilities [n, m]; the metrics
take both, so that a random policy is scored by its expectation and not by a draw.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from routerjax.records import Estimates

Choice = np.ndarray


class Outcome(NamedTuple):
    """Per query, [n] each.

    Attributes:
      utility: q − λ·c of the chosen arm, in the unit of quality.
      regret: best arm's utility minus it, 0 or more on known outcomes.
      quality: of the chosen arm.
      cost: of the chosen arm, dollars.
    """

    utility: np.ndarray
    regret: np.ndarray
    quality: np.ndarray
    cost: np.ndarray


def outcome(choice: Choice, outcomes: Estimates, *, cost_weight: float) -> Outcome:
    """Score a choice: u_λ(x, f(x)) and max_m u_λ(x, m) − u_λ(x, f(x)) per query.

    Args:
      choice: arms [n], or probabilities [n, m] over which outcomes are averaged.
      outcomes: [n, m] quality and cost of every arm: a table's cells, their true means, or
        dr estimates (then utility, quality and cost are unbiased per-row scores, and regret,
        a maximum over noise, is too large).
      cost_weight: λ, quality per dollar.
    """
    utilities = np.asarray(outcomes.utilities(cost_weight), np.float64)
    utility = expected(utilities, choice)
    return Outcome(
        utility=utility,
        regret=utilities.max(axis=1) - utility,
        quality=expected(outcomes.quality, choice),
        cost=expected(outcomes.cost, choice),
    )


def expected(values: Float[np.ndarray, "n m"], choice: Choice) -> Float[np.ndarray, " n"]:
    """Each row's value under its chosen arm [n] or its probabilities [n, m], float64."""
    values = np.asarray(values, np.float64)
    if choice.ndim == 1:
        return values[np.arange(len(values)), choice]
    return (values * choice).sum(axis=1)


def gap_recovered(value: float, *, floor: float, ceiling: float) -> float:
    """Share (value − floor) / (ceiling − floor) of the gap between two references."""
    return (value - floor) / (ceiling - floor)
