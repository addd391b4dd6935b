"""What a log says of itself at a glance: models, repeats, prompts, time, and where models lack."""

from __future__ import annotations

import collections
import datetime
import re
from typing import NamedTuple

import numpy as np

from routerjax.data.columns.times import moment
from routerjax.data.inspection.fields import Field
from routerjax.records.groups import repeated
from routerjax.records.logs import Log
from routerjax.records.on_disk import read

CELLS = 16  # axes along which rows are halved to look for models that lack
LACKING = 20.0  # rows expected of a model where it has none
MEASURED = 100_000  # rows that are looked at for this
FAR = 4.0  # standard errors by which a mean weight is off
LETTER = re.compile(r"[^\W\d_]{2}")


class ModelRows(NamedTuple):
    """What a log holds of one model.

    Attributes:
      model: its name.
      rows: that it answered and that can be learnt from.
      quality: mean quality.
      cost: median cost in dollars.
    """

    model: str
    rows: int
    quality: float
    cost: float


def model_rows(log: Log) -> tuple[ModelRows, ...]:
    """Rows, mean quality and median cost of every model."""
    found = []
    for arm, model in enumerate(log.models):
        own = np.asarray(log.arms) == arm
        if own.any():
            quality, cost = float(log.quality[own].mean()), float(np.median(log.cost[own]))
            found.append(ModelRows(model, int(own.sum()), quality, cost))
        else:
            found.append(ModelRows(model, 0, float("nan"), float("nan")))
    return tuple(found)


def repeats(log: Log) -> int:
    """Rows that say again what an earlier one said."""
    return int(repeated(log).sum())


def gaps(log: Log) -> tuple[str, ...]:
    """Models that never answered where they should have, by halves of the rows.

    Rows are halved along what they are known by: numbers of the embedding, the length of the
    prompt; and parted by task. Of a model with share p of all rows p·n of n such rows are expected;
    it is named where that is above 20 and it has less than a tenth, which chance does not do.
    """
    rows = np.arange(len(log))
    if len(rows) > MEASURED:
        rows = rows[:: len(rows) // MEASURED + 1]
    arms = np.asarray(log.arms)[rows]
    share = np.bincount(arms, minlength=len(log.models)) / len(rows)
    found: list[str] = []
    for name, inside in _halves(log, rows):
        expected = share * inside.sum()
        counts = np.bincount(arms[inside], minlength=len(log.models))
        for arm in np.flatnonzero((counts < expected / 10) & (expected > LACKING)):
            rarely = f"answered {counts[arm]} times" if counts[arm] else "never answered"
            found.append(
                f"{log.models[arm]} {rarely} {name}, where some {expected[arm]:.0f} of its rows "
                "would be expected: nothing there says how good it is"
            )
    return tuple(found)


def _halves(log: Log, rows: np.ndarray) -> list[tuple[str, np.ndarray]]:
    found = []
    if log.prompts is not None:
        lengths = np.array([len(log.prompts[row]) for row in rows])
        middle = np.median(lengths)
        found.append((f"a prompt longer than {middle:.0f} characters", lengths > middle))
        found.append((f"a prompt of at most {middle:.0f} characters", lengths <= middle))
    elif log.embeddings is not None:
        values = np.asarray(read(log.embeddings[rows]))[:, :CELLS]
        for axis, middle in enumerate(np.median(values, axis=0)):
            above = values[:, axis] > middle
            name = f"where number {axis} of the embedding is"
            found += [(f"{name} above {middle:.2g}", above), (f"{name} below {middle:.2g}", ~above)]
    if log.task is not None:
        tasks = np.asarray(log.task, dtype=object)[rows]
        for task, count in collections.Counter(tasks.tolist()).most_common(CELLS):
            if count < len(rows):
                found.append((f"in task {task!r}", tasks == task))
    return found


def impossible_propensities(log: Log) -> str | None:
    """What is wrong with recorded propensities that a fit would refuse; None where nothing is.

    Where a model could be chosen on every row, the mean of 1{t = m}/π over all rows is 1 but for
    chance. It is refused where it is off by four standard errors and one propensity stands in every
    row, or a mean is above 1.5, or all are below 0.75.
    """
    recorded = log.logged_propensities
    if recorded is None or not np.isfinite(recorded).all():
        return None
    arms, weights = np.asarray(log.arms), 1 / np.asarray(recorded, np.float64)
    by_model = np.where(arms[:, None] == np.arange(len(log.models)), weights[:, None], 0.0)
    means, errors = by_model.mean(axis=0), by_model.std(axis=0) / np.sqrt(len(arms))
    far = (abs(means - 1) > FAR * np.maximum(errors, 1e-9)) & (log.arm_counts >= 5)
    constant = np.ptp(weights) == 0
    if not (far.any() and constant or (far & (means > 1.5)).any() or (far & (means < 0.75)).all()):
        return None
    listed = ", ".join(f"{log.models[arm]} {means[arm]:.2f}" for arm in np.flatnonzero(far)[:6])
    return (
        "recorded propensities cannot be right: the mean of 1/propensity, 0 where another model "
        f"answered, must be near 1 and is {listed}; correct them, or rename the column so that "
        "they are estimated"
    )


def prompt_facts(log: Log) -> tuple[str, ...]:
    """Whether prompts are prompts: their length, how many differ, what they look like."""
    if log.prompts is None:
        if log.embeddings is None:
            return ()
        return (f"ready-made embeddings of {log.embeddings.shape[1]} numbers",)
    counted = collections.Counter(log.prompts)
    lengths = [len(prompt) for prompt in log.prompts[:: max(len(log) // 10_000, 1)]]
    facts = [
        f"{len(counted):,} different prompts, {np.median(lengths):.0f} characters at the median, "
        f"{max(lengths):,} at most"
    ]
    words = [LETTER.search(prompt) is not None for prompt in list(counted)[:2000]]
    if np.mean(words) < 0.5:
        first = _short(next(iter(counted)))
        facts.append(f"{1 - np.mean(words):.0%} of the prompts hold no word, as in {first}")
    return tuple(facts)


def _short(text: str, most: int = 60) -> str:
    shown = " ".join(text.split())
    return repr(shown if len(shown) <= most else shown[: most - 3] + "...")


def span(field: Field) -> tuple[str, str] | None:
    """The first and the last time of the rows that were looked at, as they read."""
    times = [time for time in map(moment, field.values) if time is not None]
    if not times:
        return None
    first, last = (
        datetime.datetime.fromtimestamp(int(end), datetime.UTC).replace(tzinfo=None)
        for end in (min(times), max(times))
    )
    return first.isoformat(sep=" "), last.isoformat(sep=" ")
