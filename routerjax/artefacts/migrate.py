"""Manifests as this version reads them: records from JSON, and formats of former versions."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Callable
from typing import Any, TypeVar

Record = TypeVar("Record")


def rebuilt(kind: type[Record], saved: dict[str, Any]) -> Record:
    """A frozen record from what JSON made of it: lists are tuples again, objects records.

    Args:
      kind: a dataclass.
      saved: its fields by name.

    Raises:
      TypeError: a field there is not, one that is missing, or a value of another type.
    """
    hints, fields = typing.get_type_hints(kind), {}
    for name, value in saved.items():
        if name not in hints:
            raise TypeError(f"{kind.__name__} has no field {name}")
        fields[name] = _value(hints[name], value)
        if not _fits(hints[name], fields[name]):
            raise TypeError(f"{name} is {fields[name]!r}")
    return kind(**fields)


def _value(hint: Any, value: Any) -> Any:
    if isinstance(value, list):
        return tuple(value)
    if isinstance(value, dict):
        kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
        records = [
            each for each in kinds if isinstance(each, type) and dataclasses.is_dataclass(each)
        ]
        return rebuilt(records[0], value) if records else value
    return value


def _fits(hint: Any, value: Any) -> bool:
    """Whether a value is of the type of a field: a record, a number, text, or a tuple of these."""
    if isinstance(hint, types.UnionType):
        return any(_fits(each, value) for each in typing.get_args(hint))
    if typing.get_origin(hint) is tuple:
        item, _ = typing.get_args(hint)
        return isinstance(value, tuple) and all(_fits(item, each) for each in value)
    if hint is float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number and math.isfinite(value)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    # a function of the user's own is saved as its name, a record of one as an object
    return not isinstance(hint, type) or hint is Callable or isinstance(value, hint)


def router_of_format_1(fields: dict[str, Any]) -> dict[str, Any]:
    """Fields of a router that version 0.1.0 saved.

    It told what shapes the parameters in fields of their own; they come from the configuration,
    which it kept in the provenance. A router's lead over another policy was its *gain*, and the
    sharpness of its start as well.
    """
    of_config = ("policy_widths", "outcome_widths", "folds", "members", "architecture")
    config = dict(fields["provenance"]["config"])
    router = dict(config["router"])
    router["start_sharpness"] = router.pop("start_gain")
    report = dict(fields["report"])
    report["held_out"] = [
        {("advantage" if name == "gain" else name): value for name, value in line.items()}
        for line in report["held_out"]
    ]
    gone = (*of_config, "separate_trunks", "start", "gain")
    kept = {name: value for name, value in fields.items() if name not in gone}
    return {**kept, "config": {**config, "router": router}, "report": report}


def router_with_networks(fields: dict[str, Any]) -> dict[str, Any]:
    """Fields of a router of before there was a choice of outcome models: they were networks."""
    config = fields["config"]
    return {
        **fields,
        "config": {**config, "nuisance": {**config["nuisance"], "outcomes": "network"}},
    }
