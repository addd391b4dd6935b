"""Is a log what its propensities say, and does it cover its models? Warnings, and what is refused.

Recorded propensities are tested before they are believed: for each model the mean of
1{t = m} / π must be 1 within its error.
"""

from __future__ import annotations

import warnings

import numpy as np

from routerjax.errors import DataWarning, InputError, printable
from routerjax.estimators.overlap import Overlap
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


def check_propensities(log: Log, overlap: Overlap, *, trust: bool) -> None:
    """Refuse recorded propensities that cannot be right, and warn of those that may not be.

    Args:
      log: with recorded propensities; one without them passes.
      overlap: of the log, from its propensities.
      trust: whether what would be refused is only warned of.

    Raises:
      InputError: a constant that does not fit how often the models answered, a model asked half
        as often again as its propensities say, or all models asked much less often.
    """
    recorded = log.logged_propensities
    if recorded is None or log.propensities is None:
        return
    known = recorded[np.isfinite(recorded)]
    off, far = _off(overlap, ERRORS_OFF), _off(overlap, HOPELESS)
    if not len(known) or not off:
        return
    means = np.asarray(overlap.calibration)
    constant = log.propensities.ndim == 1 and len(np.unique(known)) == 1
    if constant and far:
        _refuse_or_warn(log, f"are {known[0]:g} in every row", off, overlap, trust=trust)
    elif any(means[arm] > TOO_LARGE for arm in far) or (
        len(far) == len(means) and (means < TOO_SMALL).all()
    ):
        _refuse_or_warn(log, "do not fit how often the models answered", off, overlap, trust=trust)
    else:
        warnings.warn(
            f"{log.source}: recorded propensities may be wrong: {_means(off, overlap)}",
            DataWarning,
            stacklevel=3,
        )


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


def _refuse_or_warn(log: Log, what: str, off: list[int], overlap: Overlap, *, trust: bool) -> None:
    advice = (
        "record the probability of the model that answered, or leave the column out and it is "
        "estimated"
    )
    problem = f"recorded propensities {what}: {_means(off, overlap)}; {advice}"
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
