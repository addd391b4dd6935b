"""What changed over time: shares of models and the quality of the same models in a log, and the
quality of every model in a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from routerjax.records.logs import Log
from routerjax.records.periods import PENALTY, level_changes, periods_of, written
from routerjax.records.tables import Table

MOST_CHANGES, MOST_MODELS = 3, 3  # that a sentence names
MOST_LEVELS = 6  # changes of a table's models that are named
LEAST_SHARE = 0.02
"""By which the share of a model must change to be named."""


class Drift(NamedTuple):
    """Periods of a log within which shares, or qualities, stay as they are.

    Attributes:
      first, last: time of the first and of the last row, seconds since 1970.
      share_times: [p − 1] when shares changed.
      shares: [p, m] of the rows of each period, by model.
      quality_times: [r − 1] when qualities changed.
      quality: [r − 1] by how much quality changed, models compared with themselves alone.
    """

    first: float
    last: float
    share_times: Float[np.ndarray, " p_1"]
    shares: Float[np.ndarray, "p m"]
    quality_times: Float[np.ndarray, " r_1"]
    quality: Float[np.ndarray, " r_1"]


def drift_of(log: Log) -> Drift | None:
    """Find when the shares of models and the quality of the same models changed; None without time.

    Both by binary segmentation (`records/periods`), with a penalty that rows of a group,
    which say the same, do not pay off.

    Args:
      log: n rows.
    """
    if log.time is None:
        return None
    time, arms = np.asarray(log.time), np.asarray(log.arms)
    size = len(log) / (int(log.groups.max()) + 1)
    share_times = periods_of(time, arms, rows_a_group=size)
    counts = np.maximum(log.arm_counts, 1)
    quality = np.asarray(log.quality, np.float64)
    means = np.bincount(arms, quality, minlength=len(log.models)) / counts
    beside = quality - means[arms]
    quality_times = level_changes(time, beside, rows_a_group=size)
    period = np.searchsorted(share_times, time, side="right")
    level = np.searchsorted(quality_times, time, side="right")
    answered = np.eye(len(log.models))[arms]
    return Drift(
        first=float(time.min()),
        last=float(time.max()),
        share_times=share_times,
        shares=np.stack([answered[period == p].mean(axis=0) for p in range(len(share_times) + 1)]),
        quality_times=quality_times,
        quality=np.array(
            [_change(quality, arms, level, after) for after in range(1, len(quality_times) + 1)]
        ),
    )


def _change(quality: np.ndarray, arms: np.ndarray, level: np.ndarray, after: int) -> float:
    """Mean over models of the change in mean quality from one period to the next, Σ w Δ / Σ w.

    w = a·b / (a + b), a and b the rows of the model before and after: that of the least variance.
    """
    models = int(arms.max()) + 1
    counts, means = [], []
    for own in (level == after - 1, level == after):
        counts.append(np.bincount(arms[own], minlength=models).astype(np.float64))
        means.append(
            np.bincount(arms[own], quality[own], minlength=models) / np.maximum(counts[-1], 1)
        )
    weight = counts[0] * counts[1] / np.maximum(counts[0] + counts[1], 1)
    return float((weight * (means[1] - means[0])).sum() / max(weight.sum(), 1e-30))


class Level(NamedTuple):
    """A change of one model's mean quality: by how much, and when (seconds since 1970)."""

    model: str
    change: float
    time: float


def levels_of(table: Table) -> tuple[Level, ...]:
    """When the mean quality of each model of a table changed; none without time.

    Each model's known cells are parted by themselves, as `drift_of` parts all, with a penalty that
    grows by log m, since m models are looked at. The largest changes come first.

    Args:
      table: n rows.
    """
    if table.time is None:
        return ()
    time, quality = np.asarray(table.time), np.asarray(table.quality, np.float64)
    size = len(table) / (int(table.groups.max()) + 1)
    size *= 1 + np.log(len(table.models)) / (PENALTY * np.log(max(len(table), 2)))
    found: list[Level] = []
    for arm, model in enumerate(table.models):
        known = np.isfinite(quality[:, arm])
        own = quality[known, arm]
        if not own.size:
            continue
        times = level_changes(time[known], own, rows_a_group=size)
        level = np.searchsorted(times, time[known], side="right")
        means = [float(own[level == at].mean()) for at in range(len(times) + 1)]
        changes = zip(np.diff(means), times, strict=True)
        found += [Level(model, float(change), float(when)) for change, when in changes]
    return tuple(sorted(found, key=lambda each: -abs(each.change)))


def drift_notes(record: Log | Table) -> tuple[str, ...]:
    """What changed over the time of a log or a table, in sentences; none where it has no times."""
    if record.time is None:
        return ()
    times = np.asarray(record.time)
    span = f"the rows are of {written(float(times.min()))} to {written(float(times.max()))} (UTC)"
    if isinstance(record, Table):
        said = _of_models(levels_of(record))
        unchanged = "the quality of no model is seen to change"
    else:
        found = drift_of(record)
        assert found is not None
        said = [*_of_shares(found, record), *_of_quality(found)]
        unchanged = "neither shares of models nor their quality are seen to change"
    return (span, *said) if said else (f"{span}; {unchanged}",)


def _of_models(found: Sequence[Level]) -> list[str]:
    said = [
        f"the quality of {each.model} {'fell' if each.change < 0 else 'rose'} by "
        f"{abs(each.change):.2g} at {written(each.time)}"
        for each in found[:MOST_LEVELS]
    ]
    more = len(found) - MOST_LEVELS
    return [*said, f"qualities of models changed {more} times more"] if more > 0 else said


def _of_shares(found: Drift, log: Log) -> list[str]:
    said = []
    moved = np.abs(np.diff(found.shares, axis=0))
    for change in np.sort(np.argsort(-moved.max(axis=1, initial=0))[:MOST_CHANGES]):
        arms = [arm for arm in np.argsort(-moved[change]) if moved[change, arm] >= LEAST_SHARE]
        parts = [
            f"{log.models[arm]}'s share went from {found.shares[change, arm]:.0%} to "
            f"{found.shares[change + 1, arm]:.0%}"
            for arm in arms[:MOST_MODELS]
        ]
        if parts:
            said.append(f"{', '.join(parts)} at {written(found.share_times[change])}")
    more = len(moved) - MOST_CHANGES
    return [*said, f"shares changed {more} times more"] if said and more > 0 else said


def _of_quality(found: Drift) -> list[str]:
    said = []
    moved = found.quality
    for change in np.sort(np.argsort(-np.abs(moved))[:MOST_CHANGES]):
        way = "fell" if moved[change] < 0 else "rose"
        said.append(
            f"the quality of the same models {way} by {abs(moved[change]):.2g} at "
            f"{written(found.quality_times[change])}: what is learnt is of all times together"
        )
    return said
