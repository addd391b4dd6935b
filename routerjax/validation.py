"""Checks of the records: each failure is one sentence that names column and row."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from routerjax.errors import DataWarning, InputError
from routerjax.rows import Array
from routerjax.stored import BLOCK, blocks

if TYPE_CHECKING:
    from routerjax.records import Log, Table

DEAREST_PLAUSIBLE_MEAN = 10.0  # dollars per query
CHEAPEST_PLAUSIBLE_MEAN = 1e-7


def check_table(table: Table) -> None:
    """Raise InputError where a table's fields do not fit each other or their units."""
    _check_rows(table)
    for name, values in (("quality", table.quality), ("cost", table.cost)):
        _check_shape(table, name, values, (len(table), len(table.models)))
    for arm, model in enumerate(table.models):
        _check_quality(table, np.asarray(table.quality[:, arm]), f"score:{model}")
        _check_cost(table, np.asarray(table.cost[:, arm]), f"cost:{model}")


def check_log(log: Log) -> None:
    """Raise InputError where a log's fields do not fit each other or their units."""
    _check_rows(log)
    arms, quality, cost = np.asarray(log.arms), np.asarray(log.quality), np.asarray(log.cost)
    for name, values in (("model", arms), ("quality", quality), ("cost", cost)):
        _check_shape(log, name, values, (len(log),))
    outside = (arms < 0) | (arms >= len(log.models))
    if outside.any():
        row = int(outside.argmax())
        _fail(log, f"arm {arms[row]} is not one of the {len(log.models)} models", "model", row)
    for name, values in (("quality", quality), ("cost", cost)):
        missing = np.isnan(values)
        if missing.any():
            rows = f"{missing.sum()} such rows" if missing.sum() > 1 else "the only such row"
            problem = f"no {name} here ({rows}); fill it in or leave it out with --drop-missing"
            _fail(log, problem, name, int(missing.argmax()))
    _check_quality(log, quality, "quality")
    _check_cost(log, cost, "cost")
    if log.propensities is not None:
        _check_propensities(log, np.asarray(log.propensities))


def warn_of_cost_unit(record: Log | Table) -> None:
    """Warn where the mean cost looks like another unit than dollars per query."""
    costs = np.asarray(record.cost)
    known = costs[np.isfinite(costs)]
    mean = float(known.mean()) if known.size else 0.0
    if mean == 0.0:
        text = "every cost is 0, so that cost weights change nothing"
    elif not CHEAPEST_PLAUSIBLE_MEAN <= mean <= DEAREST_PLAUSIBLE_MEAN:
        text = (
            f"the mean cost is ${mean:.3g} per query; is the unit US dollars per query, "
            "not per token, per million tokens or in cents?"
        )
    else:
        return
    warnings.warn(f"{record.source}: {text}", DataWarning, stacklevel=3)


def check_seed(seed: int) -> None:
    """Raise InputError unless the seed is one that a key can be made of and told from others."""
    if not 0 <= seed < 2**32:
        raise InputError(f"seed is {seed}; it must lie between 0 and 4294967295")


def _fail(
    record: Log | Table, problem: str, field: str | None = None, row: int | None = None
) -> NoReturn:
    raise InputError(problem, source=record.source, field=field, row=row)


def _check_rows(record: Log | Table) -> None:
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
    for name in ("prompts", "task", "split", "scored_by", "embeddings"):
        values = getattr(record, name, None)  # a table has no `scored_by`
        if values is not None and len(values) != len(record):
            _fail(record, f"holds {len(values)} rows where quality has {len(record)}", name)
    if record.embeddings is not None:
        _check_embeddings(record, record.embeddings)


def _check_embeddings(record: Log | Table, embeddings: Array) -> None:
    if embeddings.ndim != 2 or embeddings.shape[1] == 0:
        _fail(record, "embeddings must be a matrix, one row a query", "embedding")
    for number, block in enumerate(blocks(embeddings)):
        bad = ~np.isfinite(block).all(axis=1)
        if bad.any():
            row = number * BLOCK + int(bad.argmax())
            _fail(record, "not a finite number", "embedding", row)


def _check_shape(record, name: str, values: np.ndarray, expected: tuple[int, ...]) -> None:
    if values.shape != expected:
        _fail(record, f"has shape {values.shape}, not {expected}", name)


def _check_quality(record: Log | Table, values: np.ndarray, field: str) -> None:
    low, high = record.quality_range
    bad = np.isinf(values) | (values < low) | (values > high)
    if bad.any():
        row = int(bad.argmax())
        problem = (
            f"quality is {values[row]:g}, outside [{low:g}, {high:g}]; "
            "declare its range with --quality-range LO:HI (quality_range=(lo, hi))"
        )
        _fail(record, problem, field, row)


def _check_cost(record: Log | Table, values: np.ndarray, field: str) -> None:
    bad = np.isinf(values) | (values < 0)
    if bad.any():
        row = int(bad.argmax())
        problem = f"cost is {values[row]:g}; it must be 0 or more US dollars per query"
        _fail(record, problem, field, row)


def _check_propensities(log: Log, values: np.ndarray) -> None:
    if values.shape not in ((len(log),), (len(log), len(log.models))):
        shapes = f"({len(log)},) nor ({len(log)}, {len(log.models)})"
        _fail(log, f"has shape {values.shape}, neither {shapes}", "propensity")
    logged = np.asarray(log.logged_propensities)
    bad = ~((logged > 0) & (logged <= 1))
    if bad.any():
        row = int(bad.argmax())
        problem = (
            f"propensity of the model that answered is {logged[row]:g}; "
            "it must lie above 0 and be at most 1"
        )
        _fail(log, problem, "propensity", row)
    if values.ndim == 2:
        bad = ~((values >= 0).all(axis=1) & (abs(values.sum(axis=1) - 1) < 1e-3))
        if bad.any():
            problem = "the propensities of a row must be 0 or more and sum to 1"
            _fail(log, problem, "propensity", int(bad.argmax()))
