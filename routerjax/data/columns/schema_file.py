"""A schema as a small TOML file, strict in what it takes; and the presets, which are such files."""

from __future__ import annotations

import dataclasses
import importlib.resources
import json
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from routerjax.data.columns.names import nearest
from routerjax.data.columns.schema import Join, Schema
from routerjax.errors import InputError
from routerjax.support import atomic

BARE = re.compile(r"[A-Za-z0-9_-]+")
TABLES = ("columns", "values", "where", "aliases")
TEXTS = (
    "cost_unit",
    "decimal",
    "prompt_form",
    "prices",
    "zero_cost",
    "layout",
    "both_bad",
    "split_by",
)
SWITCHES = ("money", "ratings", "strict")


def presets() -> tuple[str, ...]:
    """Names of the presets, sorted."""
    folder = importlib.resources.files("routerjax.data.columns") / "presets"
    files = (entry.name for entry in folder.iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in files if name.endswith(".toml")))


def named(name: str) -> Schema:
    """The preset of this name, or the schema in the TOML file at this path.

    Raises:
      InputError: neither, or a file that is no schema.
    """
    if name in presets():
        folder = importlib.resources.files("routerjax.data.columns") / "presets"
        return read_text((folder / f"{name}.toml").read_text(encoding="utf-8"), source=name)
    if name.endswith(".toml"):
        return read_schema(name)
    known = ", ".join(presets())
    raise InputError(f"is neither a preset ({known}) nor the path of a .toml file", source=name)


def read_schema(path: str | os.PathLike[str]) -> Schema:
    """The schema in a TOML file; files that it names are looked for beside it.

    Raises:
      InputError: a file that cannot be read, is not TOML, or holds a key or value that is no rule.
    """
    place = Path(path)
    try:
        text = place.expanduser().read_text(encoding="utf-8-sig")
    except (OSError, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise InputError(f"cannot be read ({reason})", source=str(path)) from None
    schema = read_text(text, source=str(path))
    joins = tuple(
        dataclasses.replace(join, file=str(place.parent / join.file)) for join in schema.joins
    )
    prices = None if schema.prices is None else str(place.parent / schema.prices)
    return dataclasses.replace(schema, joins=joins, prices=prices)


def read_text(text: str, *, source: str) -> Schema:
    """The schema in the text of a TOML file."""
    try:
        content = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(f"is not TOML: {error}", source=source) from None
    known = [field.name for field in dataclasses.fields(Schema)]
    _check_keys(content, known, source)
    try:
        fields = {name: _value(name, value) for name, value in content.items()}
        return Schema(**fields)
    except InputError as error:
        where = f"{error.source}: " if error.source else ""
        raise InputError(f"{where}{error.problem}", source=source) from None


def write_schema(schema: Schema, path: str | os.PathLike[str]) -> None:
    """Write a schema as TOML, whole or not at all; `read_schema` reads it.

    Raises:
      InputError: a place that cannot be written.
    """
    with atomic.new_file(Path(path)) as temporary:
        Path(temporary).write_text(as_text(schema), encoding="utf-8")


def as_text(schema: Schema) -> str:
    """A schema as the text of a TOML file: what is not as it would be without being said."""
    plain, tables = [], []
    for field in dataclasses.fields(schema):
        value = getattr(schema, field.name)
        if field.name == "joins":
            for join in value:
                tables.append("[[joins]]\n" + _pairs(_without_defaults(join)))
        elif isinstance(value, Mapping):
            tables += _tables(field.name, value)
        elif value != field.default:
            plain.append(f"{field.name} = {_literal(value)}\n")
    return "\n".join(filter(None, ["".join(plain), *tables]))


def _tables(name: str, value: Mapping[str, Any]) -> list[str]:
    if not value:
        return []
    if name == "values":
        return [f"[values.{_key(key)}]\n{_pairs(inner)}" for key, inner in value.items()]
    return [f"[{name}]\n{_pairs(value)}"]


def _pairs(values: Mapping[str, Any]) -> str:
    return "".join(f"{_key(key)} = {_literal(value)}\n" for key, value in values.items())


def _key(key: str) -> str:
    return key if BARE.fullmatch(key) else _literal(key)


def _literal(value: Any) -> str:
    if isinstance(value, str):  # a TOML basic string escapes as JSON does, but for DEL
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return "[" + ", ".join(map(_literal, value)) + "]"
    return repr(value)


def _without_defaults(join: Join) -> dict[str, str]:
    fields = dataclasses.fields(join)
    return {f.name: getattr(join, f.name) for f in fields if getattr(join, f.name) != f.default}


def _check_keys(content: Mapping[str, Any], known: list[str], source: str) -> None:
    for key in content:
        if key not in known:
            like = nearest(key, known)
            hint = f"; did you mean '{like}'?" if like else f"; known are {', '.join(known)}"
            raise InputError(f"'{key}' is no rule of a schema{hint}", source=source)


def _value(name: str, value: Any) -> Any:
    """A field of a schema from what TOML holds."""
    if name in TEXTS and isinstance(value, str):
        return value
    if name in SWITCHES and isinstance(value, bool):
        return value
    if name in ("columns", "aliases") and isinstance(value, dict):
        return {key: _names(f"{name}.{key}", entry) for key, entry in value.items()}
    if name == "where" and isinstance(value, dict):
        return {key: _word(f"where.{key}", entry) for key, entry in value.items()}
    if name == "values" and isinstance(value, dict):
        return {key: _worth(key, entry) for key, entry in value.items()}
    if name == "failed":
        return _names(name, value)
    if name == "failed_quality" and _is_number(value):
        return float(value)
    if name == "quality_range" and isinstance(value, list) and len(value) == 2:
        if all(map(_is_number, value)):
            return (float(value[0]), float(value[1]))
    if name == "joins" and isinstance(value, list):
        return tuple(map(_join, value))
    wanted = {
        **dict.fromkeys(TEXTS, "text"),
        **dict.fromkeys(SWITCHES, "true or false"),
        **dict.fromkeys(TABLES, f"a table, [{name}]"),
        "failed_quality": "a number",
        "quality_range": "two numbers, [0, 10]",
        "joins": "tables, [[joins]] with file and on",
    }
    raise InputError(f"must be {wanted[name]}", source=name)


def _names(place: str, value: Any) -> Any:
    if isinstance(value, str) and not place.startswith("aliases"):
        return value
    texts = [value] if isinstance(value, str) else value
    if isinstance(texts, list) and texts and all(isinstance(text, str) for text in texts):
        return tuple(texts)
    raise InputError("must be text, or a list of texts", source=place)


def _word(place: str, value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    raise InputError("must be text or a number", source=place)


def _worth(name: str, value: Any) -> dict[str, float]:
    if isinstance(value, dict) and all(map(_is_number, value.values())):
        return {word: float(number) for word, number in value.items()}
    raise InputError("must hold words and the numbers they are worth", source=f"values.{name}")


def _join(value: Any) -> Join:
    known = [field.name for field in dataclasses.fields(Join)]
    if not isinstance(value, dict) or not all(isinstance(entry, str) for entry in value.values()):
        raise InputError("must hold texts", source="joins")
    _check_keys(value, known, "joins")
    for name in ("file", "on"):
        if name not in value:
            raise InputError(f"'{name}' is missing", source="joins")
    return Join(**value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300
