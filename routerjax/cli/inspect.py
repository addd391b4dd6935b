"""`routerjax inspect`: what an unknown file holds, and the command that uses it."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from routerjax.cli.app import Argument, Options, Parsed, add_command
from routerjax.cli.options import Output, Reading, option
from routerjax.cli.reading import columns_of, print_json
from routerjax.cli.rules import schema_of
from routerjax.errors import InputError

if TYPE_CHECKING:
    from cyclopts import App

    from routerjax.data.columns.schema import Schema
    from routerjax.data.inspection.record import Inspection

TEXT = """Say what an unknown file holds, and print the command that uses it.

Columns are told by their names, by the shape of nested values and by what they hold. Several files
are parts of one log where their columns are the same, and are else joined by an id that they share.
What cannot be guessed is named, with the option that says it; options given here are laid over
what is guessed.
"""
FILES = "Parquet, CSV, TSV, JSON lines or JSON, also packed as .gz or .zst; or a hub id."


@dataclasses.dataclass(frozen=True)
class Writing:
    """Where what was found out goes.

    Attributes:
      write: A TOML file for the schema, which --schema reads. An older one is replaced.
    """

    write: Path | None = option(None, "SCHEMA.toml")


def add(app: App) -> None:
    """Add the command."""
    add_command(
        app,
        "inspect",
        handle,
        text=TEXT,
        arguments=[Argument("files", FILES, several=True)],
        groups=[
            Options("Inspection", Writing()),
            Options("Reading", Reading(), without=("drop_missing", "embeddings", "memory")),
            Options("Output", Output()),
        ],
    )


def handle(parsed: Parsed) -> None:
    """Inspect files, print what was found, and end with an error where something is lacking."""
    from routerjax.data.columns.schema_file import write_schema
    from routerjax.data.inspection.inspecting import inspect
    from routerjax.support import atomic

    written, output = parsed[Writing].write, parsed[Output]
    if written is not None:
        if written.suffix != ".toml":
            raise InputError("must end in .toml", source=f"--write {written}")
        atomic.check_place(written)
    files = parsed.arguments["files"]
    sources = files if isinstance(files, list) else [files]
    with _progress(quiet=output.quiet or output.json) as on_progress:
        found = inspect(
            *sources,
            schema=_known(parsed[Reading]),
            written=written,
            on_progress=on_progress,
        )
    if written is not None and found.kind != "unknown":
        write_schema(_beside(found.schema, written), written)
    if output.json:
        print_json(_as_json(found))
    else:
        from rich.console import Console

        from routerjax.reports.inspection import print_inspection

        print_inspection(found, Console())
        if written is not None and found.kind != "unknown":
            print(f"\nwrote {written}")
    if found.problems:
        raise InputError("; ".join(_problems(found)), source=", ".join(found.files))


def _known(reading: Reading) -> Schema:
    """What options say of the file."""
    return schema_of(reading).having(columns=columns_of(reading))


def _beside(schema: Schema, written: Path) -> Schema:
    """The schema with its second files named as seen from the folder of the TOML file."""

    def seen(path: str) -> str:
        return os.path.relpath(os.path.expanduser(path), written.parent)

    joins = tuple(dataclasses.replace(join, file=seen(join.file)) for join in schema.joins)
    prices = None if schema.prices is None else seen(schema.prices)
    return dataclasses.replace(schema, joins=joins, prices=prices)


def _problems(found: Inspection) -> list[str]:
    """What is lacking, in one sentence, without the name of the file that stands before it."""
    name = ", ".join(found.files)
    return [each.removeprefix(f"{name}: ").removeprefix(f"{name}, ") for each in found.problems]


def _as_json(found: Inspection) -> dict[str, Any]:
    return dataclasses.asdict(dataclasses.replace(found, findings=())) | {
        "findings": [dataclasses.asdict(each) for each in found.findings],
        "models": [each._asdict() for each in found.models],
    }


@contextlib.contextmanager
def _progress(*, quiet: bool) -> Iterator[Callable[[str], None] | None]:
    """A line on a terminal that says what is being done."""
    if quiet:
        yield None
        return
    from rich.console import Console
    from rich.markup import escape

    with Console(stderr=True).status("starting") as status:
        yield lambda what: status.update(escape(what))
