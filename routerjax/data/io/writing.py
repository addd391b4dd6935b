"""Logs and tables written to files, in the columns that `data.io.files` reads."""

from __future__ import annotations

import os

import numpy as np
import pyarrow as pa

from routerjax.data.columns.names import AVAILABLE, COST, PROPENSITY, SCORE
from routerjax.data.formats.writing import save
from routerjax.records.logs import Log
from routerjax.records.rows import Array
from routerjax.records.tables import Table

Path = str | os.PathLike[str]


def write_log(log: Log, path: Path) -> None:
    """Write a log in long form to `path`, by suffix .parquet, .csv or .jsonl, whole or not at all.

    What `read_log` returns holds the same numbers bit for bit, if it is told the same `models`
    and `quality_range`, and ``columns={"time": "time", "pinned": "pinned"}`` where there are such.
    Propensities [n, m] are in a column ``propensity:MODEL`` a model, ids in `request_id`.

    Raises:
      InputError: an unknown suffix, or a place that cannot be written.
    """
    cells = _shared_cells(log)
    cells["model"] = pa.array([log.models[arm] for arm in np.asarray(log.arms)], pa.string())
    cells["quality"] = _floats(_judges(log))
    cells["cost"] = _floats(log.cost)
    if log.scored_by is not None:
        cells["scored_by"] = pa.array(log.scored_by, pa.string())
    if log.gold_quality is not None:
        cells["gold_quality"] = _floats(log.gold_quality)
    cells |= _propensities(log)
    if log.pinned is not None:
        cells["pinned"] = pa.array(np.asarray(log.pinned))
    if log.ids is not None:
        cells["request_id"] = pa.array(log.ids, pa.string())
    save(pa.table(cells), path)


def _propensities(log: Log) -> dict[str, pa.Array]:
    """Of the model that answered, or of every model where they are known."""
    if log.propensities is None:
        return {}
    known = np.asarray(log.propensities)
    if known.ndim == 1:
        return {"propensity": _floats(known)}
    return {PROPENSITY + model: _floats(known[:, arm]) for arm, model in enumerate(log.models)}


def write_table(table: Table, path: Path) -> None:
    """Write a table in wide form to `path`, as `write_log` does; missing cells stay missing.

    Times are read again by ``columns={"time": "time"}``.
    """
    cells = _shared_cells(table)
    for arm, model in enumerate(table.models):
        cells[SCORE + model] = _floats(table.quality[:, arm])
        cells[COST + model] = _floats(table.cost[:, arm])
    save(pa.table(cells), path)


def _judges(log: Log) -> np.ndarray:
    """[n] quality as it was read: NaN where no judge scored the row."""
    quality: np.ndarray = np.asarray(log.quality)
    return quality if log.judged is None else np.where(log.judged, quality, np.nan)


def _shared_cells(record: Log | Table) -> dict[str, pa.Array]:
    cells: dict[str, pa.Array] = {}
    if record.prompts is not None:
        cells["prompt"] = pa.array(record.prompts, pa.string())
    if record.embeddings is not None:
        values = np.asarray(record.embeddings, np.float32)
        cells["embedding"] = pa.FixedSizeListArray.from_arrays(values.ravel(), values.shape[1])
    if record.task is not None:
        cells["task"] = pa.array(record.task, pa.string())
    if record.split is not None:
        cells["split"] = pa.array(record.split, pa.string())
    if record.group is not None:
        cells["group"] = pa.array(record.group, pa.string())
    if record.available is not None:
        for arm, model in enumerate(record.models):
            cells[AVAILABLE + model] = pa.array(np.asarray(record.available)[:, arm])
    if record.time is not None:
        cells["time"] = pa.array(np.asarray(record.time, np.float64))
    return cells


def _floats(values: Array) -> pa.Array:
    return pa.array(np.asarray(values, np.float32), from_pandas=True)  # NaN as null
