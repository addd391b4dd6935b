"""Is a log what its propensities say, and does it cover its models? Warnings, and what is refused.

Recorded propensities are tested before they are believed: for each model the mean of
1{t = m} / π must be 1 within its error, and propensities estimated from the query must not foretell
better than they do which model answers.
"""

from __future__ import annotations

import warnings

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr, ndtri

from routerjax.errors import DataWarning, InputError, printable
from routerjax.estimators.calibration import LikelihoodGain, likelihood_gain
from routerjax.estimators.overlap import Overlap
from routerjax.pipelines.circumstances import chosen_rows
from routerjax.pipelines.propensities import Propensities
from routerjax.records.logs import Log

FEW_ROWS = 30
"""Below this effective sample size a model's estimates deserve a warning."""
FEW_GROUPS = 30
"""Fewer groups than this make every standard error rough."""
ERRORS_OFF, HOPELESS = 3.0, 4.0
"""Standard errors by which a mean inverse propensity may be off before it is said, or refused."""
FEWEST_ANSWERS = 5
"""Answers of a model below which its mean inverse propensity says nothing."""
MOST_NAMED, LONGEST_NAME = 3, 30
"""Models that a sentence names, and characters of a name: its end must not be cut off."""
TOO_LARGE, TOO_SMALL = 1.5, 0.75
"""Means beyond which recorded propensities are not a matter of chance or of a model's outages."""
LEAST_TOTAL = 7.0
"""Nats by which all rows together must be foretold better: right propensities are beaten by as much
once in e⁷, or 1,100, logs."""
BEATEN = 0.03
"""Nats a row from which shares of the whole log are not taken for propensities."""


def check_propensities(
    log: Log, overlap: Overlap, *, trust: bool, known: Propensities | None = None
) -> None:
    """Refuse recorded propensities that cannot be right, and warn of those that may not be.

    Args:
      log: with recorded propensities; one without them passes.
      overlap: of the log, from its propensities.
      trust: whether what would be refused is only warned of.
      known: the log's propensities, with those that the query tells; None leaves out the test
        against these.

    Raises:
      InputError: 1 in every row of several models, a constant that does not fit how often the
        models answered, a model asked half
        as often again as its propensities say, all models asked much less often, or one
        propensity a model where the query tells which model answers.
    """
    recorded = log.logged_propensities
    if recorded is None or log.propensities is None:
        return
    values = recorded[np.isfinite(recorded)]
    off, far = _off(overlap, _of_several(len(overlap.models))), _off(overlap, HOPELESS)
    if _is_certain(log, recorded):
        _refuse_or_warn(log, "are 1 in every row, whichever model answered", trust=trust)
        return
    gain = None if known is None else _foretold(log, known, overlap)
    if not len(values) or not (off or gain):
        return
    means = np.asarray(overlap.calibration)
    constant = log.propensities.ndim == 1 and len(np.unique(values)) == 1
    if constant and far:
        what = f"are {values[0]:g} in every row: {_means(off, overlap)}"
        _refuse_or_warn(log, what, trust=trust)
    elif any(means[arm] > TOO_LARGE for arm in far) or (
        len(far) == len(means) and (means < TOO_SMALL).all()
    ):
        what = f"do not fit how often the models answered: {_means(off, overlap)}"
        _refuse_or_warn(log, what, trust=trust)
    elif gain and gain.errors > HOPELESS and gain.mean > BEATEN and _is_share(log):
        what = f"are the same for every query of a model: {_beaten(gain)}"
        _refuse_or_warn(log, what, trust=trust)
    else:
        told = ([_means(off, overlap)] if off else []) + ([_beaten(gain)] if gain else [])
        warnings.warn(
            f"{log.source}: recorded propensities may be wrong: {'; '.join(told)}",
            DataWarning,
            stacklevel=3,
        )


def _is_certain(log: Log, recorded: Float[np.ndarray, " n"]) -> bool:
    """Whether each of several models answered with certainty wherever there was a choice."""
    rows = chosen_rows(log)
    if log.available is not None:
        rows = rows & (np.asarray(log.available).sum(axis=1) > 1)
    return bool(len(np.unique(np.asarray(log.arms)[rows])) > 1 and (recorded[rows] == 1).all())


def _foretold(log: Log, known: Propensities, overlap: Overlap) -> LikelihoodGain | None:
    """By how much the query foretells the model better than recorded propensities, if it does.

    Recorded ones that are too small for a model, as rounding makes them, are scaled up first: what
    is tested is how they change with the query.
    """
    recorded, by_query = log.logged_propensities, known.by_query
    if recorded is None or by_query is None:
        return None
    rows = np.isfinite(recorded) & chosen_rows(log)
    if rows.sum() < 2:
        return None
    scale = np.maximum(np.asarray(overlap.calibration), 1.0)[np.asarray(log.arms)[rows]]
    gain = likelihood_gain(
        recorded[rows] * scale,
        by_query[rows],
        groups=log.groups[rows],
    )
    return gain if gain.errors > ERRORS_OFF and gain.total > LEAST_TOTAL else None


def _is_share(log: Log) -> bool:
    """Whether every model has one recorded propensity, whatever the query."""
    recorded = np.asarray(log.logged_propensities)
    rows = np.isfinite(recorded) & chosen_rows(log)
    arms = np.asarray(log.arms)[rows]
    return len({*zip(arms.tolist(), recorded[rows].tolist(), strict=True)}) == len(np.unique(arms))


def _beaten(gain: LikelihoodGain) -> str:
    return (
        "what the query tells, by other rows, foretells better which model answered "
        f"({gain.errors:.0f} standard errors), and nothing foretells better than right ones; they "
        "may be shares of the whole log, not probabilities given the query, or rows belong "
        "together (--group)"
    )


def _of_several(models: int) -> float:
    """Standard errors that one of m means is off by chance as rarely as one is by `ERRORS_OFF`."""
    return min(float(-ndtri(ndtr(-ERRORS_OFF) / models)), HOPELESS)


def _off(overlap: Overlap, errors_off: float) -> list[int]:
    """Models whose mean inverse propensity is too far from 1 to be chance."""
    return [
        arm
        for arm, (errors, rows) in enumerate(zip(overlap.errors_off, overlap.arm_rows, strict=True))
        if abs(errors) > errors_off and rows >= FEWEST_ANSWERS
    ]


def _means(off: list[int], overlap: Overlap) -> str:
    worst = sorted(off, key=lambda arm: -abs(overlap.errors_off[arm]))[:MOST_NAMED]
    listed = ", ".join(
        f"{overlap.calibration[arm]:.2f} for {printable(overlap.models[arm], LONGEST_NAME)}"
        for arm in sorted(worst)
    )
    if len(off) > len(worst):
        listed += f" (and wrong for {len(off) - len(worst)} more)"
    cause = (
        "above 1 they are too small, below it too large, or the model could not be asked everywhere"
    )
    return (
        f"the mean of 1/propensity, 0 where another model answered, is {listed} where it should "
        f"be 1; {cause}"
    )


def _refuse_or_warn(log: Log, what: str, *, trust: bool) -> None:
    advice = (
        "record the probability of the model that answered, or leave the column out and it is "
        "estimated"
    )
    problem = f"recorded propensities {what}; {advice}"
    if not trust:
        raise InputError(
            f"{problem} (--trust-propensities takes them as they are)",
            source=log.source,
            field="propensity",
        )
    warnings.warn(f"{log.source}: {problem}", DataWarning, stacklevel=4)


def warn_of_overlap(log: Log, overlap: Overlap) -> None:
    """Warn where a model has hardly been logged, propensities are clipped or groups are few."""
    model, size = overlap.weakest
    if size < FEW_ROWS:
        warnings.warn(
            f"{model} answered so few rows (effective sample size {size:.0f}) that what the "
            "router believes of it is weak",
            DataWarning,
            stacklevel=3,
        )
    if overlap.share_clipped > 0.05:
        warnings.warn(
            f"{overlap.share_clipped:.0%} of the propensities lie below {overlap.floor:g} and "
            "were clipped; dr and ips estimates are biased there",
            DataWarning,
            stacklevel=3,
        )
    if overlap.groups < FEW_GROUPS < overlap.rows:
        warnings.warn(
            f"{log.source}: the rows are of {overlap.groups} groups, too few for standard errors "
            "that can be relied on"
            + ("" if log.group is None else " (column group; give another with --group)"),
            DataWarning,
            stacklevel=3,
        )
    if overlap.source == "recorded in part":
        missing = int(np.isnan(np.asarray(log.logged_propensities)).sum())
        warnings.warn(
            f"{log.source}: {missing} of {len(log)} rows have no propensity; theirs is estimated",
            DataWarning,
            stacklevel=3,
        )
