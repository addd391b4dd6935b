"""What a policy earns on known or estimated outcomes: utility, regret, quality, cost; whom it asks.

A policy's choice at one cost weight is either arms [n] or probabilities [n, m]; the metrics
take both, so that a random policy is scored by its expectation and not by a draw.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from routerjax.evaluation.intervals import Interval, mean_interval
from routerjax.records.tables import Estimates

Choice = np.ndarray


class Outcome(NamedTuple):
    """What a choice earns per query, [n] each.

    Attributes:
      utility: q − λ·c of the chosen arm, in the unit of quality.
      regret: best arm's utility minus it, 0 or more on known outcomes.
      quality: Quality of the chosen arm.
      cost: Cost of the chosen arm, in dollars.
    """

    utility: np.ndarray
    regret: np.ndarray
    quality: np.ndarray
    cost: np.ndarray


def outcome(
    choice: Choice,
    outcomes: Estimates,
    *,
    cost_weight: float,
    available: Bool[np.ndarray, "n m"] | None = None,
) -> Outcome:
    """Score a choice: u_λ(x, f(x)) and max_m u_λ(x, m) − u_λ(x, f(x)) per query.

    Args:
      choice: arms [n], or probabilities [n, m] over which outcomes are averaged.
      outcomes: [n, m] quality and cost of every arm: a table's cells, their true means, or
        dr estimates (then utility, quality and cost are unbiased per-row scores, and regret,
        a maximum over noise, is too large).
      cost_weight: λ, quality per dollar.
      available: True where the arm could be chosen: regret is against the best that could; None
        where every arm could.
    """
    utilities = np.asarray(outcomes.utilities(cost_weight), np.float64)
    utility = expected(utilities, choice)
    best = utilities if available is None else np.where(available, utilities, -np.inf)
    return Outcome(
        utility=utility,
        regret=best.max(axis=1) - utility,
        quality=expected(outcomes.quality, choice),
        cost=expected(outcomes.cost, choice),
    )


def expected(values: Float[np.ndarray, "n m"], choice: Choice) -> Float[np.ndarray, " n"]:
    """Each row's value under its chosen arm [n] or its probabilities [n, m], float64.

    A value that is not known is none of those of an arm without a chance.
    """
    values = np.asarray(values)
    if choice.ndim == 1:
        chosen: np.ndarray = np.asarray(values[np.arange(len(values)), choice], np.float64)
        return chosen
    weighed = np.where(choice == 0, 0.0, values.astype(np.float64)) * choice
    mean: np.ndarray = weighed.sum(axis=1)
    return mean


def gap_recovered(value: float, *, floor: float, ceiling: float) -> float:
    """Share (value − floor) / (ceiling − floor) of the gap between two references."""
    return (value - floor) / (ceiling - floor)


def paired_difference(
    scores: Float[np.ndarray, " s"], base: Float[np.ndarray, " s"], *, confidence: float = 0.95
) -> Interval:
    """Mean of scores − base with its interval, by seed; seeds that lack either are left out.

    NaN where no seed has both, or where a score is infinite (a quality never reached).

    Args:
      scores, base: [s] of two methods on the same seeds' data, NaN where a seed was not run.
      confidence: coverage of the interval.
    """
    scores, base = np.asarray(scores, np.float64), np.asarray(base, np.float64)
    known = ~(np.isnan(scores) | np.isnan(base))
    if not known.any() or np.isinf(scores[known]).any() or np.isinf(base[known]).any():
        return Interval(np.nan, np.nan, np.nan, np.nan, int(known.sum()))
    return mean_interval(scores[known] - base[known], confidence=confidence)


def shares(choice: Choice, models: int) -> Float[np.ndarray, " m"]:
    """Share of queries that a choice sends to each model, [m].

    Args:
      choice: arms [n] or probabilities [n, m].
      models: m.
    """
    if choice.ndim == 1:
        return np.bincount(choice, minlength=models) / len(choice)
    shares: np.ndarray = np.asarray(choice, np.float64).mean(axis=0)
    return shares


def collapse(router: Float[np.ndarray, " m"], oracle: Float[np.ndarray, " m"]) -> float:
    """Routing collapse: share of the router's most used model less that of the oracle's.

    0 for a router as varied as the oracle, up to 1 − 1/m for one that asks a single model where
    the oracle asks all alike; below 0 for a more varied one. It describes, it does not rank.
    """
    return float(np.max(router) - np.max(oracle))


class LabelError(NamedTuple):
    """The winner's curse of arms chosen by noisy utilities.

    Attributes:
      label_error: share of rows whose estimated best arm is not a best arm; ties are right.
      optimism: mean over rows of the estimated maximum less the true utility of its arm.
    """

    label_error: float
    optimism: float


def label_error(estimated: Estimates, known: Estimates, *, cost_weight: float) -> LabelError:
    """How wrong and how optimistic the labels argmax_m ũ_λ(x, m) of a classifier are.

    Args:
      estimated: [n, m] counterfactual estimates of the training rows.
      known: [n, m] true means, or the table's cells.
      cost_weight: λ, quality per dollar.
    """
    noisy = np.asarray(estimated.utilities(cost_weight), np.float64)
    true = np.asarray(known.utilities(cost_weight), np.float64)
    labels = noisy.argmax(axis=1)
    chosen = expected(true, labels)
    return LabelError(
        label_error=float((chosen < true.max(axis=1)).mean()),
        optimism=float((noisy.max(axis=1) - chosen).mean()),
    )
