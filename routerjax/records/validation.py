"""Checks of the records: each failure is one sentence that names column and row."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from routerjax.errors import DataWarning, InputError
from routerjax.records.available import check_available
from routerjax.records.on_disk import BLOCK, blocks
from routerjax.records.rows import Array, Rows

if TYPE_CHECKING:
    from routerjax.records.logs import Log
    from routerjax.records.tables import Table

DEAREST_PLAUSIBLE_MEAN = 10.0  # dollars per query
CHEAPEST_PLAUSIBLE_MEAN = 1e-7

FEWEST_TOLD = 20  # rows of a model from which its mean weight says anything

VALIDATION_NAMES = ("validation", "valid", "val", "dev")
"""Names under which a split holds the rows that choose an epoch."""

NO_SPLIT = "none"
"""The split of rows that are neither learnt from nor evaluated on."""

SPLITS = ("train", "test", *VALIDATION_NAMES, NO_SPLIT)
"""What a split may be: rows to learn from, to evaluate on, to choose by, or none of these."""


def cost_unit_problem(record: Rows) -> tuple[str, str] | None:
    """What is the matter where the mean cost looks like no dollars per query, and what is right."""
    costs = np.asarray(record.cost)
    known = costs[np.isfinite(costs)]
    mean = float(known.mean()) if known.size else 0.0
    if mean == 0.0:
        return "every cost is 0, so that cost weights change nothing", "give costs if there are any"
    if not CHEAPEST_PLAUSIBLE_MEAN <= mean <= DEAREST_PLAUSIBLE_MEAN:
        right = (
            "is the unit US dollars per query, not per token, per million tokens or in cents "
            "(--cost-unit)?"
        )
        return f"the mean cost is ${mean:.3g} per query", right
    return None


def warn_of_cost_unit(record: Rows) -> None:
    """Warn where the mean cost looks like another unit than dollars per query."""
    found = cost_unit_problem(record)
    if found is not None:
        warnings.warn(f"{record.source}: {'; '.join(found)}", DataWarning, stacklevel=3)


def check_seed(seed: int) -> None:
    """Raise InputError unless the seed is one that a key can be made of and told from others."""
    if not 0 <= seed < 2**32:
        raise InputError(f"seed is {seed}; it must lie between 0 and 4294967295")


def _fail(record: Rows, problem: str, field: str | None = None, row: int | None = None) -> NoReturn:
    raise InputError(problem, source=record.source, field=field, row=row)


def check_table(table: Table) -> None:
    """Raise InputError unless every cell and field of the table is as `Table` declares it."""
    check_rows(table)
    for name, values in (("quality", table.quality), ("cost", table.cost)):
        check_shape(table, name, values, (len(table), len(table.models)))
    for arm, model in enumerate(table.models):
        check_quality(table, np.asarray(table.quality[:, arm]), f"score:{model}")
        check_cost(table, np.asarray(table.cost[:, arm]), f"cost:{model}")
    _check_available(table, None)
    check_moments(table, table.time, None)


def check_log(log: Log) -> None:
    """Raise InputError unless every row and field of the log is as `Log` declares it."""
    check_rows(log)
    arms, quality, cost = np.asarray(log.arms), np.asarray(log.quality), np.asarray(log.cost)
    for name, values in (("model", arms), ("quality", quality), ("cost", cost)):
        check_shape(log, name, values, (len(log),))
    check_arms(log, arms)
    check_known(log, "quality", quality)
    check_known(log, "cost", cost)
    check_quality(log, quality, "quality")
    check_cost(log, cost, "cost")
    for name in ("gold_quality", "judged"):
        values = getattr(log, name)
        if values is not None:
            check_shape(log, name, np.asarray(values), (len(log),))
    if log.gold_quality is not None:
        check_quality(log, np.asarray(log.gold_quality), "gold_quality")
    if log.propensities is not None:
        propensities = np.asarray(log.propensities)
        check_propensity_shape(log, propensities)
        check_propensities(log, propensities, np.asarray(log.logged_propensities))
    _check_available(log, arms)
    if log.available is not None and log.propensities is not None:
        check_no_chance(log, np.asarray(log.propensities), np.asarray(log.available))
    check_moments(log, log.time, log.pinned)


def _check_available(record: Table | Log, arms: np.ndarray | None) -> None:
    if record.available is not None:
        check_available(
            np.asarray(record.available),
            models=record.models,
            rows=len(record),
            arms=arms,
            source=record.source,
        )


def check_rows(record: Rows) -> None:
    """Raise InputError where fields do not fit each other: names, lengths, range, embeddings."""
    if len(record) == 0:
        _fail(record, "there are no rows; at least one is needed")
    if len(record.models) < 2:
        only = repr(record.models[0]) if record.models else "none"
        _fail(record, f"routing needs at least two models, and this holds {only} alone", "model")
    if len(set(record.models)) != len(record.models):
        _fail(record, f"model names repeat: {', '.join(record.models)}")
    low, high = record.quality_range
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        _fail(record, f"quality range {low:g}:{high:g} must be two finite numbers, low to high")
    for name in ("prompts", "task", "split", "group", "scored_by", "ids", "embeddings"):
        values = getattr(record, name, None)  # a table has no `scored_by` and no `ids`
        if values is not None and len(values) != len(record):
            _fail(record, f"holds {len(values)} rows where quality has {len(record)}", name)
    if record.split is not None:
        check_split(record, record.split)
    if record.embeddings is not None:
        _check_embeddings(record, record.embeddings)


def check_split(record: Rows, split: Sequence[str]) -> None:
    """Raise InputError where a split is none of `SPLITS`: "Test" would be rows like any others."""
    if not set(split) <= set(SPLITS):
        row = next(row for row, name in enumerate(split) if name not in SPLITS)
        problem = f"unknown split {split[row][:40]!r}; known are {', '.join(SPLITS)}"
        _fail(record, problem, "split", row)


def _check_embeddings(record: Rows, embeddings: Array) -> None:
    if embeddings.ndim != 2 or embeddings.shape[1] == 0:
        _fail(record, "embeddings must be a matrix, one row a query", "embedding")
    for number, block in enumerate(blocks(embeddings)):
        bad = ~np.isfinite(block).all(axis=1)
        if bad.any():
            row = number * BLOCK + int(bad.argmax())
            _fail(record, "not a finite number", "embedding", row)


def check_shape(record: Rows, name: str, values: np.ndarray, expected: tuple[int, ...]) -> None:
    """Raise InputError unless the values have the expected shape."""
    if values.shape != expected:
        _fail(record, f"has shape {values.shape}, not {expected}", name)


def check_quality(record: Rows, values: np.ndarray, field: str) -> None:
    """Raise InputError where a quality lies outside the declared range; NaN is let through."""
    low, high = record.quality_range
    bad = np.isinf(values) | (values < low) | (values > high)
    if bad.any():
        row = int(bad.argmax())
        problem = (
            f"quality is {values[row]:g}, outside [{low:g}, {high:g}]; "
            "declare its range with --quality-range LO:HI (quality_range=(lo, hi))"
        )
        if values[row] < low:
            problem += ", or --failed-quality X where it says that a call failed"
        _fail(record, problem, field, row)


def check_cost(record: Rows, values: np.ndarray, field: str) -> None:
    """Raise InputError where a cost is negative or infinite; NaN is let through."""
    bad = np.isinf(values) | (values < 0)
    if bad.any():
        row = int(bad.argmax())
        problem = f"cost is {values[row]:g}; it must be 0 or more US dollars per query"
        if values[row] < 0:
            count = int((values < 0).sum())
            rows = "one row is" if count == 1 else f"{count} rows are"
            problem += (
                f" ({rows} below 0: add a refund to the row that it refunds, and leave its own out)"
            )
        _fail(record, problem, field, row)


def check_arms(record: Rows, arms: np.ndarray) -> None:
    """Raise InputError where an arm [n] is not one of the models."""
    outside = (arms < 0) | (arms >= len(record.models))
    if outside.any():
        row, models = int(outside.argmax()), len(record.models)
        _fail(record, f"arm {arms[row]} is not one of the {models} models", "model", row)


def check_known(record: Rows, name: str, values: np.ndarray) -> None:
    """Raise InputError where a value [n] is missing."""
    missing = np.isnan(values)
    if missing.any():
        rows = f"{missing.sum()} such rows" if missing.sum() > 1 else "the only such row"
        problem = f"no {name} here ({rows}); fill it in or leave it out with --drop-missing"
        _fail(record, problem, name, int(missing.argmax()))


def check_propensity_shape(record: Rows, values: np.ndarray) -> None:
    """Raise InputError unless there is one propensity a row, or one of every model."""
    if values.shape not in ((len(record),), (len(record), len(record.models))):
        shapes = f"({len(record)},) nor ({len(record)}, {len(record.models)})"
        _fail(record, f"has shape {values.shape}, neither {shapes}", "propensity")


def check_propensities(record: Rows, values: np.ndarray, logged: np.ndarray) -> None:
    """Raise InputError where a propensity is impossible; NaN, not recorded, is let through.

    Args:
      record: n rows, m models.
      values: [n] or [n, m] as recorded.
      logged: [n] of the arm that answered.
    """
    bad = ~((logged > 0) & (logged <= 1)) & ~np.isnan(logged)
    if bad.any():
        row = int(bad.argmax())
        problem = (
            f"propensity of the model that answered is {logged[row]:g}; "
            f"it must lie above 0 and be at most 1{_other_unit(record, logged)}"
        )
        _fail(record, problem, "propensity", row)
    if values.ndim == 2:
        right = (values >= 0).all(axis=1) & (abs(values.sum(axis=1) - 1) < 1e-3)
        bad = ~(right | np.isnan(values).all(axis=1))
        if bad.any():
            problem = "the propensities of a row must be 0 or more and sum to 1"
            _fail(record, problem, "propensity", int(bad.argmax()))


def check_no_chance(record: Rows, values: np.ndarray, available: np.ndarray) -> None:
    """Raise InputError where a model that was not available has a recorded propensity above 0."""
    if values.ndim == 2:
        bad = ((values > 0) & ~available).any(axis=1)
        if bad.any():
            row = int(bad.argmax())
            arm = int(((values > 0) & ~available)[row].argmax())
            problem = f"propensity of '{record.models[arm]}' is {values[row, arm]:g}, and it was"
            _fail(record, f"{problem} not available", "propensity", row)


def check_moments(record: Rows, time: Array | None, pinned: Array | None) -> None:
    """Raise InputError where times [n] or marks of pinned rows [n] are none, or all are pinned."""
    if time is not None:
        check_shape(record, "time", time, (len(record),))
        if not np.isfinite(time).all():
            row = int((~np.isfinite(time)).argmax())
            _fail(record, "no time here; fill it in or leave the row out", "time", row)
    if pinned is not None:
        check_shape(record, "pinned", pinned, (len(record),))
        if pinned.dtype != bool:
            _fail(record, f"holds {pinned.dtype}, not bool", "pinned")


def _other_unit(record: Rows, logged: np.ndarray) -> str:
    """What unit propensities seem to have that are no probabilities; nothing where none fits."""
    known = ~np.isnan(logged)
    arms, logged = np.asarray(record.arms)[known], logged[known].astype(np.float64)  # type: ignore[attr-defined]
    if (logged <= 0).all():
        return " (all are 0 or less, as logarithms are: give their exponentials)"
    if (logged >= 1).all() and _are_weights(arms, logged):
        return " (they look like 1/propensity: give 1 divided by them)"
    if ((logged > 0) & (logged <= 100)).all() and float(np.median(logged)) > 1:
        return " (they look like percent: divide them by 100)"
    return ""


def _are_weights(arms: np.ndarray, values: np.ndarray) -> bool:
    """Whether 1/values are calibrated: the mean of 1{t = m}·value is 1 for each model, nearly.

    A tenth and four standard errors are allowed, and models of a handful of rows left aside.
    """
    if not np.isfinite(values).all():
        return False
    rows, enough = len(arms), np.flatnonzero(np.bincount(arms) >= FEWEST_TOLD)
    weights = np.where(arms[:, None] == enough, values[:, None], 0.0)
    means, errors = weights.mean(axis=0), weights.std(axis=0) / np.sqrt(rows)
    return bool(enough.size and (abs(means - 1) <= 0.1 + 4 * errors).all())
