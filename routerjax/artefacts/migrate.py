"""Manifests as this version reads them: records from JSON, and formats of former versions."""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import Any, TypeVar

Record = TypeVar("Record")


def rebuilt(kind: type[Record], saved: dict[str, Any]) -> Record:
    """A frozen record from what JSON made of it: lists are tuples again, objects records.

    Args:
      kind: a dataclass.
      saved: its fields by name.

    Raises:
      TypeError: a field there is not, or one that is missing.
    """
    hints = typing.get_type_hints(kind)
    return kind(**{name: _value(hints.get(name), value) for name, value in saved.items()})


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
