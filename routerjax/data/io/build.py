"""From the columns of a file that has been read to a `Log` or a `Table`."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from routerjax.data.columns.arrays import quoted, single
from routerjax.data.columns.names import COST, SCORE
from routerjax.data.columns.prompts import LAST_USER
from routerjax.data.columns.schema import each
from routerjax.data.columns.source_file import SourceFile, found
from routerjax.data.columns.times import split_by, split_of
from routerjax.data.io import leaving
from routerjax.data.io.availability import available_of, pinned_of
from routerjax.data.io.costs import costs_of
from routerjax.data.io.judged import warn_of_scorers
from routerjax.data.io.model_names import aliases_of, models_of
from routerjax.data.io.propensity import recorded_of
from routerjax.data.io.suspicious import (
    say_findings,
    warn_of_prompts,
    warn_of_repeats,
    warn_of_scores,
)
from routerjax.data.io.ungrouped import warn_of_groups
from routerjax.data.io.untimed import warn_of_times
from routerjax.errors import DataWarning, InputError
from routerjax.records.logs import Log
from routerjax.records.rows import Array
from routerjax.records.tables import Table
from routerjax.records.validation import NO_SPLIT, SPLITS

Kind = TypeVar("Kind", Log, Table)
PLAIN_RANGE = (0.0, 1.0)


def log_of(
    file: SourceFile,
    *,
    quality_range: tuple[float, float] | None,
    drop_missing: bool,
    models: Sequence[str] | None,
) -> Log:
    """The log in long form that a file holds; arguments and errors as in `files.read_log`."""
    file.require("model")
    if "quality" not in file:
        raise _no_quality(file)
    quality_range = quality_range or file.schema.quality_range or PLAIN_RANGE
    queries = _queries(file)
    answered = models_of(file)
    failed = leaving.failed_calls(file, quality := file.numbers("quality"), quality_range)
    cost = costs_of(file, answered, drop_missing=drop_missing)
    unbilled = failed & np.isnan(cost)
    quality, cost = leaving.of_failed(file, failed, quality, cost)
    aliases = aliases_of(file.schema)
    recorded = recorded_of(file, answered, aliases)
    gold = _gold_quality(file)
    unscored = np.isnan(quality) if gold is None else np.isnan(quality) & np.isnan(gold)
    missing = {"quality": unscored, "cost": np.isnan(cost), "model": _empty(answered)}
    missing |= queries.missing
    time = _times(file, missing)
    rows = leaving.kept_rows(file, missing, answered, failed, drop_missing=drop_missing)
    arms, names = _arms(file, [answered[row] for row in rows], rows, models)
    warn_of_repeats(file, rows)
    warn_of_scores(file)
    queries, scored_by = queries.take(rows), _label(file, "scored_by")
    warn_of_prompts(file.source, queries.prompts, queries.embeddings)
    available = available_of(file, rows, names, aliases)
    pinned = pinned_of(file, rows)
    with file.place(rows=rows):
        log = Log.from_arrays(
            arms,
            single(quality[rows]),
            single(cost[rows]),
            models=names,
            propensities=None if recorded is None else single(recorded.of(rows, names)),
            embeddings=queries.embeddings,
            prompts=queries.prompts,
            task=queries.task,
            split=queries.split,
            group=queries.group,
            scored_by=None if scored_by is None else [scored_by[row] for row in rows],
            gold_quality=None if gold is None else single(gold[rows]),
            quality_range=quality_range,
            source=file.source,
            available=available,
            time=None if time is None else time[rows],
            pinned=pinned,
            prompt_form=None if (form := file.schema.prompt_form) == LAST_USER else form,
            ids=_request_ids(file, rows),
            warn=False,
        )
        log = _split(log, file, log.time)
    say_findings(log, file, rows, unbilled[rows])
    warn_of_scorers(file, log, rows)
    warn_of_groups(file, log, rows)
    warn_of_times(file, log, rows)
    return log


def _no_quality(file: SourceFile) -> InputError:
    """The error of a log without scores, which often stand in a file of their own."""
    others = [name for name in each(file.schema.columns.get("quality", ())) if name != "quality"]
    tried = f" (nor {', '.join(others)})" if others else ""
    on = file.names.get("request_id", "ID")
    return file.fail(
        f"no column 'quality'{tried}; {found(file.table)}; --columns quality=COLUMN names another "
        f"one, and --join 'FILE on {on}' adds a second file that holds the scores"
    )


def _request_ids(file: SourceFile, rows: np.ndarray) -> list[str] | None:
    """Ids of the rows' requests, which tell repeats from decisions; None unless each has one."""
    if "request_id" not in file:
        return None
    texts = file.texts("request_id")
    found = [texts[row] for row in rows]
    return [text for text in found if text] if all(found) else None


def _gold_quality(file: SourceFile) -> np.ndarray | None:
    """[n] gold scores beside a judge's, NaN where there is none; None where no row has one."""
    if "gold_quality" not in file:
        return None
    gold = file.numbers("gold_quality")
    return None if np.isnan(gold).all() else gold


def table_of(
    file: SourceFile,
    *,
    quality_range: tuple[float, float] | None,
    drop_missing: bool,
    models: Sequence[str] | None,
) -> Table:
    """The table in wide form that a file holds; arguments and errors as in `files.read_table`."""
    leaving.refuse_on_tables(file.schema)
    names, has_cost = _table_models(file, models)
    queries = _queries(file)
    missing = dict(queries.missing)
    time = _times(file, missing)
    rows = leaving.kept_rows(file, missing, None, None, drop_missing=drop_missing)
    queries = queries.take(rows)
    warn_of_prompts(file.source, queries.prompts, queries.embeddings)
    quality = np.stack([file.numbers(SCORE + name) for name in names], axis=1)
    cost = np.zeros_like(quality)
    if has_cost:
        cost = np.stack([file.costs(COST + name) for name in names], axis=1)
    available = available_of(file, rows, names, {})
    with file.place(rows=rows):
        table = Table.from_arrays(
            single(quality[rows]),
            single(cost[rows]),
            models=names,
            embeddings=queries.embeddings,
            prompts=queries.prompts,
            task=queries.task,
            split=queries.split,
            group=queries.group,
            quality_range=quality_range or file.schema.quality_range or PLAIN_RANGE,
            source=file.source,
            available=available,
            time=None if time is None else time[rows],
            warn=False,
        )
        table = _split(table, file, table.time)
    say_findings(table, file, rows)
    return table


def _times(file: SourceFile, missing: dict[str, np.ndarray]) -> np.ndarray | None:
    """[n] times of the rows; rows without one are missing it."""
    time = file.times()
    if time is not None:
        missing["time"] = np.isnan(time)
    elif file.schema.split_by is not None:
        problem = "a split by time needs a column of times (--time COLUMN, columns time)"
        raise InputError(problem, source=file.source)
    return time


def _split(record: Kind, file: SourceFile, time: np.ndarray | None) -> Kind:
    """The record with its last rows as the test split, where the schema says so."""
    if file.schema.split_by is None or time is None:
        return record
    if record.split is not None:
        problem = "says which rows are train and test; leave out --split-by time, or this column"
        raise InputError(problem, field="split")
    share = split_by(file.schema.split_by)
    return record.replace(split=tuple(split_of(time, record.groups, share)))


@dataclasses.dataclass(frozen=True)
class _Queries:
    """What a log and a table say of their queries; `missing` are masks [n] by column."""

    file: SourceFile
    prompts: list[str] | None
    embeddings: Array | None
    task: list[str] | None
    split: list[str] | None
    group: list[str] | None
    missing: dict[str, np.ndarray]

    def take(self, rows: np.ndarray) -> _Queries:
        """The queries of these rows."""

        def taken(values: list[str] | None) -> list[str] | None:
            return None if values is None else [values[row] for row in rows]

        embeddings = self.embeddings
        if embeddings is not None:
            embeddings = self.file.features(rows, embeddings)
        return dataclasses.replace(
            self,
            prompts=taken(self.prompts),
            embeddings=embeddings,
            task=taken(self.task),
            split=taken(self.split),
            group=taken(self.group),
            missing={},
        )


def _queries(file: SourceFile) -> _Queries:
    file.require("prompt", "embedding")
    embeddings, prompts, missing = None, None, {}
    if "prompt" in file:
        found = file.prompts()
        leaving.say_parts(file, found)
        prompts = found.texts
        missing["prompt"] = _empty(prompts)
    if "embedding" in file:
        embeddings, present = file.matrix()
        missing["embedding"] = ~present
    task, split, group = (_label(file, name) for name in ("task", "split", "group"))
    split = None if split is None else _known_splits(file, split)
    return _Queries(file, _filled(prompts), embeddings, task, split, group, missing)


def _known_splits(file: SourceFile, split: list[str]) -> list[str]:
    """The splits, other words as `NO_SPLIT`, where it is plain which rows are train and test.

    In a file without either, "Test" or "holdout" may be what is meant, and the record refuses them.
    """
    words = set(split)
    other = words - set(SPLITS)
    if not other or not {"train", "test"} <= words:
        return split
    first = next(word for word in split if word in other)
    count = sum(word in other for word in split)
    warnings.warn(
        f"{file.source}: {count} of {len(split)} rows are in the split {quoted(first)}, which is "
        f"none of {', '.join(SPLITS)}; they are neither learnt from nor evaluated on",
        DataWarning,
        stacklevel=4,
    )
    return [NO_SPLIT if word in other else word for word in split]


def _label(file: SourceFile, name: str) -> list[str] | None:
    return _filled(file.texts(name)) if name in file else None


def _filled(values: list[str | None] | None) -> list[str] | None:
    return None if values is None else [value or "" for value in values]


def _empty(values: list[str | None]) -> np.ndarray:
    return np.array([not value for value in values], bool)


def _arms(
    file: SourceFile, answered: list[str | None], rows: np.ndarray, models: Sequence[str] | None
) -> tuple[np.ndarray, list[str]]:
    """[n] index of the model that answered, and the m names."""
    names = sorted({name for name in answered if name}) if models is None else list(models)
    position = {name: arm for arm, name in enumerate(names)}
    arms = np.array([position.get(name or "", -1) for name in answered], np.int32)
    if (arms < 0).any():
        first = int((arms < 0).argmax())
        raise file.fail(
            f"model {quoted(answered[first] or '')} is not one of {', '.join(names)}",
            field="model",
            row=int(rows[first]),
        )
    return arms, names


def _table_models(file: SourceFile, models: Sequence[str] | None) -> tuple[list[str], bool]:
    """The models of a table's columns, and whether their costs are there."""
    scored = [name.removeprefix(SCORE) for name in file.names if name.startswith(SCORE)]
    priced = [name.removeprefix(COST) for name in file.names if name.startswith(COST)]
    if not scored:
        file.require("score:<model>")
    for model in models or ():
        if model not in scored:
            file.require(SCORE + model)
    for model in scored if priced else ():
        if model not in priced:
            raise file.fail(
                f"no column '{COST}{model}' beside '{SCORE}{model}'; "
                "give the cost of every model, or of none"
            )
    for model in priced:
        if model not in scored:
            raise file.fail(f"no column '{SCORE}{model}' beside '{COST}{model}'")
    return list(scored if models is None else models), bool(priced)
