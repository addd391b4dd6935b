"""Tables of the RoutingCompendium: routing benchmarks brought into one layout, in parquet files.

A row is a query: `prompt`, `dataset`, `models_name`, a list of the models, and
`models_performance`, their scores in the same order. No cost is recorded.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from routerjax.data.columns.arrays import texts
from routerjax.data.formats.arrow import first_line
from routerjax.data.public.left_out import without_prompt
from routerjax.errors import InputError
from routerjax.records.tables import Table

NAMES, SCORES = "models_name", "models_performance"
COLUMNS = ("prompt", "dataset", NAMES, SCORES)


def read_compendium(path: str | os.PathLike[str]) -> Table:
    """Read a file of the RoutingCompendium as a table whose costs are all 0.

    `task` is the source data set. A model that a row does not list has a missing cell there. The
    embeddings of the file are not taken: it does not say what made them.

    Args:
      path: the parquet file.

    Raises:
      InputError: a file that is not parquet, lacks a column, or whose lists do not fit together.
    """
    source = str(path)
    try:
        file = pyarrow.parquet.ParquetFile(Path(path).expanduser())
        lacking = [name for name in COLUMNS if name not in file.schema_arrow.names]
        if lacking:
            listed = ", ".join(file.schema_arrow.names)
            raise InputError(f"no column '{lacking[0]}'; it has {listed}", source=source)
        table = file.read(columns=list(COLUMNS))
    except (pa.ArrowException, OSError) as error:
        problem = f"cannot be read as parquet: {first_line(error)}"
        raise InputError(problem, source=source) from None
    prompts = texts(table["prompt"])
    tasks = [each or "" for each in texts(table["dataset"])]
    quality, models = _scores(table, source)
    kept = without_prompt(prompts, source)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*every cost is 0")
        return Table.from_arrays(
            quality[kept],
            np.zeros((len(kept), len(models)), np.float32),
            models=models,
            prompts=[prompts[row] or "" for row in kept],
            task=[tasks[row] for row in kept],
            source=source,
        )


def _scores(table: pa.Table, source: str) -> tuple[np.ndarray, list[str]]:
    """[n, m] scores, NaN where a row does not list a model, and the m models."""
    names, scores = table[NAMES].to_pylist(), table[SCORES].to_pylist()
    models = list(dict.fromkeys(str(name) for row in names for name in row or ()))
    if not models:
        raise InputError(f"no row lists a model in '{NAMES}'", source=source)
    places = {model: place for place, model in enumerate(models)}
    quality = np.full((len(names), len(models)), np.nan, np.float32)
    for row, (own, values) in enumerate(zip(names, scores, strict=True)):
        if len(own or ()) != len(values or ()):
            problem = f"{len(values or ())} scores for {len(own or ())} models"
            raise InputError(problem, source=source, field=SCORES, row=row)
        for model, value in zip(own or (), values or (), strict=True):
            try:
                quality[row, places[str(model)]] = np.nan if value is None else float(value)
            except (TypeError, ValueError):
                problem = "a score is not a number"
                raise InputError(problem, source=source, field=SCORES, row=row) from None
    return quality, models
