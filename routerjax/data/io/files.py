"""Logs and tables from files (parquet, CSV, TSV, JSON), data frames or the hub.

A *log* is in long form, one row a query that one model answered: `prompt` or `embedding` (a list
of numbers), `model`, `quality`, `cost` in US dollars, and where there are any `propensity`,
`task`, `split`, `group` (equal where rows depend on each other: a user, a session), `scored_by`
(how the row's quality was scored), `gold_quality` (a gold score beside a judge's in `quality`,
empty where there is none; a row needs one of the two) and `available:<model>` (whether the model
could be chosen). Columns that are named as such say which models were `available`, when a row was
logged (`time`) and whether a user `pinned` its model. A *table* is in wide form, one row a query
that every model answered: `prompt` or `embedding`, `score:<model>` and `cost:<model>` for every
model, and `task`, `split` and `group`.
Other columns are left alone. Rows are counted from zero, without a header.
"""

from __future__ import annotations

import dataclasses
import os
import types
from collections.abc import Mapping, Sequence

from routerjax.data.columns.names import LOG_NAMES, SCORE, TABLE_NAMES, check_names
from routerjax.data.columns.schema import Join, Names, Schema, resolved
from routerjax.data.columns.source_file import SourceFile, found, open_file
from routerjax.data.formats import loading
from routerjax.data.formats.frames import Frame
from routerjax.data.io.build import log_of, table_of
from routerjax.data.io.decisions import is_decision_log, read_decisions
from routerjax.errors import InputError
from routerjax.records.logs import Log
from routerjax.records.tables import Table

Path = str | os.PathLike[str]

AS_THEY_ARE: Mapping[str, Names] = types.MappingProxyType({})


def read_log(
    path: loading.Paths | Frame,
    *,
    schema: Schema | Path | None = None,
    columns: Mapping[str, Names] = AS_THEY_ARE,
    quality_range: tuple[float, float] | None = None,
    drop_missing: bool = False,
    embeddings: Path | None = None,
    models: Sequence[str] | None = None,
    in_memory: int | None = None,
    values: Mapping[str, Mapping[str, float]] | None = None,
    cost_unit: str | None = None,
    decimal: str | None = None,
    money: bool | None = None,
    ratings: bool | None = None,
    joins: Sequence[Join] | None = None,
    where: Mapping[str, str] | None = None,
    prompt_form: str | None = None,
    aliases: Mapping[str, Sequence[str]] | None = None,
    failed: Names | None = None,
    failed_quality: float | None = None,
    prices: Path | None = None,
    zero_cost: str | None = None,
    strict: bool | None = None,
    split_by: str | None = None,
) -> Log:
    """Read a log in long form.

    Args:
      path: a .parquet, .csv, .tsv, .jsonl or .json file, also packed as .gz or .zst; a pattern
        such as ``logs/*.jsonl`` or a list of files, read as one log; the folder of a decision log
        that a served router wrote; ``owner/name[:split]`` on the hub; or a data frame of pandas
        (2.2 or later), polars, pyarrow or DuckDB.
      schema: rules of reading: a `Schema`, the path of a .toml file, or the name of a preset
        ("openai", "litellm", …).
      columns: routerjax's name of a column to the file's, ``{"quality": "score"}``, or to a path
        such as ``scores[0].value``; laid over the schema's.
      quality_range: lowest and highest quality there can be, 0 to 1 where the schema has none.
      drop_missing: leave out rows without prompt, embedding, model, quality or cost, and say so
        in a `DataWarning`, instead of refusing the file.
      embeddings: .npy file [n, d] of floats, a row for every row of the file.
      models: the arms, in order; by default the names that occur, sorted.
      in_memory: bytes of embeddings held in memory, a quarter of the machine's by default; more
        stay on disk and are read as they are used (`routerjax.records.on_disk.Stored`).
      values, cost_unit, decimal, money, ratings, joins, where, prompt_form, aliases: rules as in
        `Schema`, laid over those of the schema where they are given.
      failed, failed_quality, prices, zero_cost, strict, split_by: further rules.

    Returns:
      The log. Its encoder is None: a file does not say what made its embeddings.

    Raises:
      InputError: anything that cannot be read as a log, in one sentence that names the place.
    """
    check_names(columns, LOG_NAMES)
    rules = resolved(schema).having(
        columns=columns,
        values=values,
        cost_unit=cost_unit,
        decimal=decimal,
        money=money,
        ratings=ratings,
        joins=None if joins is None else tuple(joins),
        where=where,
        prompt_form=prompt_form,
        aliases=None if aliases is None else {k: tuple(v) for k, v in aliases.items()},
        failed=failed,
        failed_quality=failed_quality,
        prices=None if prices is None else str(prices),
        zero_cost=zero_cost,
        strict=strict,
        split_by=split_by,
    )
    if is_decision_log(path):
        return _decisions(path, rules, embeddings, quality_range, models)
    file = _open(path, rules, embeddings, in_memory)
    return log_of(file, quality_range=quality_range, drop_missing=drop_missing, models=models)


def read_table(
    path: loading.Paths | Frame,
    *,
    schema: Schema | Path | None = None,
    columns: Mapping[str, Names] = AS_THEY_ARE,
    quality_range: tuple[float, float] | None = None,
    drop_missing: bool = False,
    embeddings: Path | None = None,
    models: Sequence[str] | None = None,
    in_memory: int | None = None,
    values: Mapping[str, Mapping[str, float]] | None = None,
    cost_unit: str | None = None,
    decimal: str | None = None,
    money: bool | None = None,
    ratings: bool | None = None,
    joins: Sequence[Join] | None = None,
    where: Mapping[str, str] | None = None,
    prompt_form: str | None = None,
    zero_cost: str | None = None,
    strict: bool | None = None,
    split_by: str | None = None,
) -> Table:
    """Read a table in wide form; cells may be missing, and without `cost:` columns costs are 0.

    Args:
      path, schema, columns, quality_range, embeddings: as in `read_log`. `columns` may name
        ``score:<model>`` and ``cost:<model>`` too, ``{"score:gpt-4": "gpt-4"}``, or ``score:*``.
      drop_missing: leave out rows without prompt or embedding, and say so in a `DataWarning`.
      models: the models to take, in order; by default all, in the order of their columns.
      in_memory, values, cost_unit, decimal, money, ratings, joins, where, prompt_form: as in
        `read_log`.
      split_by, zero_cost, strict: likewise; a model that never costs anything is a warning here.

    Raises:
      InputError: anything that cannot be read as a table, in one sentence that names the place.
    """
    check_names(columns, TABLE_NAMES)
    rules = resolved(schema).having(
        columns=columns,
        values=values,
        cost_unit=cost_unit,
        decimal=decimal,
        money=money,
        ratings=ratings,
        joins=None if joins is None else tuple(joins),
        where=where,
        prompt_form=prompt_form,
        zero_cost=zero_cost,
        strict=strict,
        split_by=split_by,
    )
    file = _open(path, rules, embeddings, in_memory)
    return table_of(file, quality_range=quality_range, drop_missing=drop_missing, models=models)


def read_rows(
    path: loading.Paths | Frame,
    *,
    schema: Schema | Path | None = None,
    columns: Mapping[str, Names] = AS_THEY_ARE,
    quality_range: tuple[float, float] | None = None,
    drop_missing: bool = False,
    embeddings: Path | None = None,
    models: Sequence[str] | None = None,
    in_memory: int | None = None,
) -> Table | Log:
    """Read a table where there is a `score:<model>` column, else a log.

    Arguments and errors are those of `read_table` and `read_log`, whose rules a `schema` holds; a
    table keeps its rows with
    missing cells whatever `drop_missing` says.
    """
    rules = resolved(schema).having(columns=columns)
    if is_decision_log(path):
        return _decisions(path, rules, embeddings, quality_range, models)
    file = _open(path, rules, embeddings, in_memory)
    if any(name.startswith(SCORE) for name in file.names):
        check_names(columns, TABLE_NAMES)
        return table_of(file, quality_range=quality_range, drop_missing=drop_missing, models=models)
    has_queries = "prompt" in file or "embedding" in file
    if "model" in file and ("quality" in file or has_queries):
        check_names(columns, LOG_NAMES)
        return log_of(file, quality_range=quality_range, drop_missing=drop_missing, models=models)
    raise InputError(
        f"is neither a log (prompt, model, quality, cost) nor a table (prompt, score:<model>, "
        f"cost:<model>); {found(file.table)}; `routerjax inspect` tells how to read it",
        source=file.source,
    )


def _decisions(
    path: loading.Paths | Frame,
    rules: Schema,
    embeddings: Path | None,
    quality_range: tuple[float, float] | None,
    models: Sequence[str] | None,
) -> Log:
    """The log of a folder that a served router wrote, which needs no rules."""
    assert isinstance(path, str | os.PathLike)
    own = quality_range or rules.quality_range
    plain = dataclasses.replace(rules, quality_range=None) == Schema()
    if not plain or embeddings is not None:
        problem = "is a decision log of a served router, and is read as it is, without rules"
        raise InputError(problem, source=str(path))
    return read_decisions(path, quality_range=own, models=models).log


def _open(
    path: loading.Paths | Frame, schema: Schema, embeddings: Path | None, in_memory: int | None
) -> SourceFile:
    if schema.layout == "arena":
        problem = "pairs of answers are labels of gains: fit --gains (routerjax.data.read_labels)"
        raise InputError(f"{problem} reads them", source="schema")
    if schema.both_bad != Schema.both_bad:
        problem = 'has no effect without pairs of answers (schema "arena")'
        raise InputError(problem, source="both bad")
    return open_file(path, schema, embeddings, in_memory=in_memory)
