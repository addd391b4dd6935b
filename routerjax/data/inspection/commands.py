"""The command lines that use a file as it was found to be."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Sequence
from typing import Any

from routerjax.data.columns.schema import Join, Schema, each

ROUTER, DRAWN, TABLE = "router", "log.parquet", "test.parquet"
"""Names in proposed commands: of the router folder, and of a log and a rest drawn from a table."""

OWN = ("available", "time", "pinned")
"""Columns that have an option of their own."""
ENOUGH = 72  # rows of a table from which a third may be kept for an evaluation


def commands_of(
    kind: str,
    files: Sequence[str],
    schema: Schema,
    *,
    base: str | None,
    drop_missing: bool,
    gold: tuple[str, str | None] | None,
    has_prompts: bool,
    quality_range: tuple[float, float] | None,
    has_time: bool,
    rows: int,
) -> tuple[str, ...]:
    """What to type, one line each.

    Args:
      kind: of the file: "log", "table", "pairs" or "gains".
      files: its paths; only the first of several that are joined.
      schema: how to read it, or what is to be said beside `base`.
      base: preset or .toml file that says the rest; None where there is none.
      drop_missing: whether rows leave for what they lack.
      gold: column of gold scores beside a judge's and None, or column and value of rows that are
        gold; None where there are none.
      has_prompts: whether prompts can be routed, or embeddings.
      quality_range: of the quality, None where it is 0 to 1.
      has_time: whether its rows have times, which a log drawn from it keeps.
      rows: of the file.
    """
    options = [*(["--schema", base] if base is not None else []), *options_of(schema)]
    if drop_missing:
        options.append("--drop-missing")
    asked = ["--prompt", "How do I sort a list in Python?"] if has_prompts else []
    vectors = _one(schema.columns.get("embedding", ""))
    queries = files[0] if kind == "log" and not {".", "["} & set(vectors) else "queries.npy"
    route = ["route", ROUTER, *(asked or ["--embeddings", queries]), "--cost-weight", "0"]
    if kind == "table":
        kept = ["--test", TABLE] if rows >= ENOUGH else ["--test-share", "0.1"]
        draw = ["simulate", *files, *options, "--out", DRAWN, *kept]
        time = ["--time", "time"] if has_time else []
        lines = [draw, ["fit", DRAWN, *time, "--out", ROUTER]]
        if quality_range is not None:
            lines[1] += ["--quality-range", _range(quality_range)]
    elif kind == "log":
        told = [] if gold is None else ["--gold-column", "=".join(filter(None, gold))]
        lines = [["fit", *files, *options, *told, "--out", ROUTER]]
    else:
        lines = [["fit", *files, *options, "--gains", "--out", ROUTER]]
    return tuple(shlex.join(["routerjax", *line]) for line in (*lines, route))


def options_of(schema: Schema) -> list[str]:
    """A schema as options of the command line; `says_it_all` tells whether they can say it."""
    found: list[str] = []

    def add(option: str, *value: str) -> None:
        found.extend([option, *value])

    columns = {name: _one(path) for name, path in schema.columns.items() if name not in OWN}
    if columns:
        add("--columns", ",".join(f"{name}={path}" for name, path in columns.items()))
    for name in OWN:
        if name in schema.columns:
            add(f"--{name}", _one(schema.columns[name]))
    if schema.split_by is not None:
        add("--split-by", schema.split_by)
    for name, worth in schema.values.items():
        add(
            "--values",
            f"{name}:" + ",".join(f"{word}={_plain(value)}" for word, value in worth.items()),
        )
    if schema.quality_range is not None:
        add("--quality-range", _range(schema.quality_range))
    if schema.cost_unit != "usd":
        add("--cost-unit", schema.cost_unit)
    if schema.decimal is not None:
        add("--decimal", schema.decimal)
    for name in ("money", "ratings"):
        if getattr(schema, name):
            add(f"--{name}")
    for join in schema.joins:
        add("--join", _join(join))
    for path, text in schema.where.items():
        add("--where", f"{path}={text}")
    if schema.prompt_form != "last-user":
        add("--prompt-form", schema.prompt_form)
    for name, others in schema.aliases.items():
        add("--alias", f"{name}={','.join(others)}")
    for text in each(schema.failed):
        add("--failed", text)
    if schema.failed_quality is not None:
        add("--failed-quality", _plain(schema.failed_quality))
    if schema.both_bad != "leave-out":
        add("--both-bad", schema.both_bad)
    if schema.prices is not None:
        add("--prices", schema.prices)
    if schema.zero_cost != "refuse":
        add("--zero-cost", schema.zero_cost)
    if schema.strict:
        add("--strict")
    return found


def says_it_all(schema: Schema) -> bool:
    """Whether options of the command line can say what the schema says.

    They cannot say a layout or several columns that are tried in turn, nor parts with signs that
    an option takes for its own.
    """
    if schema.layout != Schema().layout:
        return False
    if any(not isinstance(path, str) for path in schema.columns.values()):
        return False
    words = [word for worth in schema.values.values() for word in worth]
    names = [*schema.aliases, *(other for others in schema.aliases.values() for other in others)]
    texts = [*words, *names, *map(_one, schema.columns.values())]
    plain = all("," not in text and text == text.strip() and text.isprintable() for text in texts)
    return plain and not any(sign in text for text in (*words, *names) for sign in "=:")


def beside(schema: Schema, base: Schema) -> Schema:
    """What a schema says that the one below it does not."""
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(Schema):
        own, below = getattr(schema, field.name), getattr(base, field.name)
        if isinstance(own, dict):
            changes[field.name] = {k: v for k, v in own.items() if below.get(k) != v}
        elif own == below:
            changes[field.name] = getattr(Schema(), field.name)
    return dataclasses.replace(schema, **changes)


def _one(path: str | tuple[str, ...]) -> str:
    return path if isinstance(path, str) else path[0]


def _range(ends: tuple[float, float]) -> str:
    return f"{_plain(ends[0])}:{_plain(ends[1])}"


def _plain(number: float) -> str:
    """A number as short as it can be typed."""
    short = f"{number:g}"
    return short if float(short) == number else repr(float(number))


def _join(join: Join) -> str:
    other = "" if join.other is None else f"={join.other}"
    taking = "" if join.repeats == "refuse" else f" taking {join.repeats}"
    return f"{join.file} on {join.on}{other}{taking}"
