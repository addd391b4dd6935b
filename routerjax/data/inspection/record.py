"""What an inspection found, as a frozen record."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from routerjax.data.checks.finding import Finding
from routerjax.data.columns.schema import Schema
from routerjax.data.inspection.statistics import ModelRows


@dataclasses.dataclass(frozen=True)
class Column:
    """A field of a file.

    Attributes:
      path: as a schema names it.
      kind: "text", "number", "bool", "time", "messages", "vector", "list" or "empty".
      role: what it seems to be: routerjax's name, "time" or "status"; None where it is left alone.
      by: what tells: "name", "shape", "content" or "option"; empty without a role.
      filled: share of the rows that were looked at with a value.
      distinct: different values among them.
      example: the first of them, shortened.
    """

    path: str
    kind: str
    role: str | None
    by: str
    filled: float
    distinct: int
    example: str


@dataclasses.dataclass(frozen=True)
class Inspection:
    """What a file holds, and the commands that use it.

    Attributes:
      files: paths, or "frame".
      format: of the file, in words.
      kind: "log", "table", "pairs", "gains" or "unknown".
      rows: of the file, or the calls in exports of spans.
      columns: its fields.
      preset: the preset of a schema that fits; None where none does.
      schema: how to read it.
      drop_missing: whether rows are left out for what they lack.
      gold: (column, value) of rows whose scores seem to be gold, (column, None) of such scores
        beside a judge's; None where none do.
      models: of a log that can be read, one entry a model.
      missing: model → what its rows lack → how many rows.
      repeats: rows that say again what an earlier row said.
      groups: rows that are independent, by users or equal queries.
      span: first and last time, None where there is none.
      prompts: facts about the prompts, in words.
      gaps: models that never answered a kind of query, in words.
      findings: numbers that cannot be true.
      notes: what else a reader should know, in sentences.
      problems: why the file cannot be used as it is, and what to give; empty where it can.
      commands: command lines that use it, the first one first.
    """

    files: tuple[str, ...]
    format: str
    kind: str
    rows: int
    columns: tuple[Column, ...]
    preset: str | None
    schema: Schema
    drop_missing: bool
    gold: tuple[str, str | None] | None
    models: tuple[ModelRows, ...] = ()
    missing: Mapping[str, Mapping[str, int]] = dataclasses.field(default_factory=dict)
    repeats: int = 0
    groups: int = 0
    span: tuple[str, str] | None = None
    prompts: tuple[str, ...] = ()
    gaps: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
