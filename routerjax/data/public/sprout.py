"""SPROUT: 13 models on every query, with judged scores and counted tokens, in parquet files.

A file has `prompt`, `dataset`, and per model a structure with `score`, `num_input_tokens` and
`num_output_tokens`. A cost is what the tokens cost at a price list.

Reference: Somerstep et al. (2025), CARROT (arXiv 2502.03261).
"""

from __future__ import annotations

import os
import types
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from routerjax.data.columns import arrays
from routerjax.data.formats.arrow import first_line
from routerjax.data.public.prices import Price, price_of
from routerjax.errors import DataWarning, InputError
from routerjax.records.tables import Table

SPLITS = ("train", "validation", "test")
SCORE, INPUT, OUTPUT = FIELDS = ("score", "num_input_tokens", "num_output_tokens")
MILLION = 1e6

PRICES: Mapping[str, Price] = types.MappingProxyType(
    {
        "aws-claude-3-5-sonnet-v1": Price(3.0, 15.0),
        "aws-titan-text-premier-v1": Price(0.5, 1.5),
        "openai-gpt-4o": Price(2.5, 10.0),
        "openai-gpt-4o-mini": Price(0.15, 0.6),
        "wxai-granite-3-2b-instruct-8k-max-tokens": Price(0.1, 0.1),
        "wxai-granite-3-8b-instruct-8k-max-tokens": Price(0.2, 0.2),
        "wxai-llama-3-1-70b-instruct": Price(0.9, 0.9),
        "wxai-llama-3-1-8b-instruct": Price(0.2, 0.2),
        "wxai-llama-3-2-1b-instruct": Price(0.06, 0.06),
        "wxai-llama-3-2-3b-instruct": Price(0.06, 0.06),
        "wxai-llama-3-3-70b-instruct": Price(0.9, 0.9),
        "wxai-llama-3-405b-instruct": Price(3.5, 3.5),
        "wxai-mixtral-8x7b-instruct-v01": Price(0.6, 0.6),
    }
)
"""US dollars per million tokens, as SPROUT's authors listed them with the data in February 2025.

Their later code has 0.8 and 3.2 for titan-text-premier; give a file of prices to use these.
"""


def read_sprout(
    path: str | os.PathLike[str], *, prices: Mapping[str, Price] | None = None
) -> Table:
    """Read SPROUT as a table that keeps its train, validation and test splits.

    cost = (input tokens · input price + output tokens · output price) / 10⁶. `task` is the
    source data set. A missing structure, score or count leaves its cell missing; rows without a
    prompt are left out, with a `DataWarning`.

    Args:
      path: a folder of ``<split>*.parquet``, there or in ``data``; or one parquet file, whose
        rows belong to the split that its name begins with.
      prices: of every model; None takes `PRICES`.

    Raises:
      InputError: no such files, columns that do not fit, or a model without a price.
    """
    files = split_files(path)
    if not files:
        problem = "has no train*.parquet, validation*.parquet or test*.parquet"
        raise InputError(problem, source=str(path))
    models = _models(files[0][0])
    known = PRICES if prices is None else prices
    priced = [price_of(model, known, source=str(path)) for model in models]
    parts = [_read(file, split, models, priced) for file, split in files]
    prompts, task, split = (
        [text for part in parts for text in part[name]] for name in ("prompt", "task", "split")
    )
    kept = np.flatnonzero([bool(prompt) for prompt in prompts])
    if len(kept) < len(prompts):
        left_out = f"left out {len(prompts) - len(kept)} of {len(prompts)} rows without a prompt"
        warnings.warn(f"{path}: {left_out}", DataWarning, stacklevel=2)
    return Table.from_arrays(
        np.concatenate([part["quality"] for part in parts])[kept],
        np.concatenate([part["cost"] for part in parts])[kept],
        models=models,
        prompts=[prompts[row] for row in kept],
        task=[task[row] for row in kept],
        split=[split[row] for row in kept] if any(split) else None,
        source=str(path),
    )


def split_files(path: str | os.PathLike[str]) -> list[tuple[Path, str]]:
    """The parquet files of SPROUT in a folder, or the one file given, each with its split.

    A file whose name begins with no split's name has the split "".

    Raises:
      InputError: there is nothing at `path`.
    """
    place = Path(path).expanduser()
    if place.is_file():
        return [(place, next((name for name in SPLITS if place.name.startswith(name)), ""))]
    if not place.is_dir():
        raise InputError("no such file or folder", source=str(path))
    for folder in (place, place / "data"):
        files = [
            (file, name) for name in SPLITS for file in sorted(folder.glob(f"{name}*.parquet"))
        ]
        if files:
            return files
    return []


def _models(file: Path) -> list[str]:
    """Names of the columns that hold a model's score and its counted tokens."""
    schema = _open(file).schema_arrow
    models = [
        field.name
        for field in schema
        if pa.types.is_struct(field.type) and {child.name for child in field.type} >= set(FIELDS)
    ]
    if not models:
        raise InputError(
            f"no column is a structure of {', '.join(FIELDS)}; it has {', '.join(schema.names)}",
            source=str(file),
        )
    return models


def _read(file: Path, split: str, models: list[str], prices: list[Price]) -> dict[str, Any]:
    """Quality and cost [n, m] of one file, with n prompts, tasks and splits."""
    parquet = _open(file)
    for name in ("prompt", "dataset", *models):
        if name not in parquet.schema_arrow.names:
            raise InputError(f"no column '{name}'", source=str(file))
    # The answers themselves, most of a file, stay on the disk.
    leaves = [f"{model}.{field}" for model in models for field in FIELDS]
    table = parquet.read(columns=["prompt", "dataset", *leaves])

    def numbers(model: str, field: str) -> np.ndarray:
        try:
            return arrays.numbers(pc.struct_field(table[model], field))
        except InputError as error:
            place = f"{model}.{field}"
            raise InputError(error.problem, source=str(file), field=place, row=error.row) from None

    cost = [
        (numbers(model, INPUT) * price.input + numbers(model, OUTPUT) * price.output) / MILLION
        for model, price in zip(models, prices, strict=True)
    ]
    return {
        "quality": np.stack([numbers(model, SCORE) for model in models], axis=1),
        "cost": np.stack(cost, axis=1),
        "prompt": arrays.texts(table["prompt"]),
        "task": [name or "" for name in arrays.texts(table["dataset"])],
        "split": [split] * table.num_rows,
    }


def _open(file: Path) -> pyarrow.parquet.ParquetFile:
    try:
        return pyarrow.parquet.ParquetFile(file)
    except (pa.ArrowException, OSError) as error:
        problem = f"cannot be read as parquet: {first_line(error)}"
        raise InputError(problem, source=str(file)) from None
