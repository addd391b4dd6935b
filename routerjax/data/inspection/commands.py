"""The command lines that use a file as it was found to be."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Sequence
from typing import Any

from routerjax.data.io.schema import Join, Schema, each

ROUTER, DRAWN = "router", "log.parquet"
"""The names that proposed commands give to the router folder and to a log drawn from a table."""


def commands_of(
    kind: str,
    files: Sequence[str],
    schema: Schema,
    *,
    base: str | None,
    drop_missing: bool,
    gold: tuple[str, str] | None,
    has_prompts: bool,
    quality_range: tuple[float, float] | None,
) -> tuple[str, ...]:
    """What to type, one line each.

    Args:
      kind: of the file: "log", "table", "pairs" or "gains".
      files: its paths; only the first of several that are joined.
      schema: how to read it, or what is to be said beside `base`.
      base: preset or .toml file that says the rest; None where there is none.
      drop_missing: whether rows leave for what they lack.
      gold: column and value of gold scores, None where there are none.
      has_prompts: whether prompts can be routed, or embeddings.
      quality_range: of the quality, None where it is 0 to 1.
    """
    options = [*(["--schema", base] if base is not None else []), *options_of(schema)]
    if drop_missing:
        options.append("--drop-missing")
    asked = ["--prompt", "How do I sort a list in Python?"] if has_prompts else []
    route = ["route", ROUTER, *(asked or ["--embeddings", "queries.npy"]), "--cost-weight", "0"]
    if kind == "table":
        lines = [["simulate", *files, *options, "--out", DRAWN], ["fit", DRAWN, "--out", ROUTER]]
        if quality_range is not None:
            lines[1] += ["--quality-range", _range(quality_range)]
    elif kind == "log":
        told = [] if gold is None else ["--gold-column", "=".join(gold)]
        lines = [["fit", *files, *options, *told, "--out", ROUTER]]
    else:
        lines = [["fit", *files, *options, "--gains", "--out", ROUTER]]
    return tuple(shlex.join(["routerjax", *line]) for line in (*lines, route))


def options_of(schema: Schema) -> list[str]:
    """A schema as options of the command line; `says_it_all` tells whether they can say it."""
    found: list[str] = []

    def add(option: str, *value: str) -> None:
        found.extend([option, *value])

    if schema.columns:
        add("--columns", ",".join(f"{name}={_one(path)}" for name, path in schema.columns.items()))
    for name, worth in schema.values.items():
        add("--values", f"{name}:" + ",".join(f"{word}={value:g}" for word, value in worth.items()))
    if schema.quality_range is not None:
        add("--quality-range", _range(schema.quality_range))
    if schema.cost_unit != "usd":
        add("--cost-unit", schema.cost_unit)
    if schema.decimal != ".":
        add("--decimal", schema.decimal)
    for name in ("money", "ratings"):
        if getattr(schema, name):
            add(f"--{name}")
    for join in schema.joins:
        add("--join", _join(join))
    if schema.where:
        add("--where", ",".join(f"{path}={text}" for path, text in schema.where.items()))
    if schema.prompt_form != "last-user":
        add("--prompt-form", schema.prompt_form)
    for name, others in schema.aliases.items():
        add("--alias", f"{name}={','.join(others)}")
    if schema.failed:
        add("--failed", ",".join(each(schema.failed)))
    if schema.failed_quality is not None:
        add("--failed-quality", f"{schema.failed_quality:g}")
    if schema.prices is not None:
        add("--prices", schema.prices)
    return found


def says_it_all(schema: Schema) -> bool:
    """Whether options of the command line can say what the schema says.

    They cannot where a part holds a comma, or a word of a map an equals sign or a colon.
    """
    plain = Schema()
    if schema.layout != plain.layout or schema.both_bad != plain.both_bad:
        return False
    if any(not isinstance(path, str) for path in schema.columns.values()):
        return False
    words = [word for worth in schema.values.values() for word in worth]
    parts = [*map(_one, schema.columns.values()), *each(schema.failed), *schema.where.values()]
    names = [*schema.aliases, *(other for others in schema.aliases.values() for other in others)]
    texts = [*words, *parts, *names]
    several = len(schema.aliases) > 1 or len(schema.values) > 1 or len(schema.joins) > 1
    return (
        not several
        and not any("," in text or text != text.strip() or not text.isprintable() for text in texts)
        and not any(sign in word for word in (*words, *names) for sign in "=:")
    )


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
    return f"{ends[0]:g}:{ends[1]:g}"


def _join(join: Join) -> str:
    other = "" if join.other is None else f"={join.other}"
    taking = "" if join.repeats == "refuse" else f" taking {join.repeats}"
    return f"{join.file} on {join.on}{other}{taking}"
