"""`routerjax data`: the public tables, what is known of them, and how to have them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from routerjax.cli.app import Argument, Options, Parsed, add_command, refuse
from routerjax.cli.options import option
from routerjax.errors import InputError

if TYPE_CHECKING:
    from cyclopts import App

    from routerjax.data.public.catalogue import Entry

TEXT = """List the public tables, show what is known of one, or get it.

`data list` names them; `data show NAME` says where a table is published, its licence, its columns
and whom to cite; `data get NAME` fetches it once and writes it as a wide file. From then on its
name stands for that file wherever a command or a study takes a table.
"""
ACTIONS = ("list", "show", "get")


@dataclasses.dataclass(frozen=True)
class Getting:
    """What is got from where, and what is printed.

    Attributes:
      files: The table's own file, or the folder of its files, on this disk. If it is not given,
        they are looked for in the cache folder and fetched from where they are published.
      out: The file to write, .parquet, .csv or .jsonl. If it is not given, the file is the one
        that the table's name stands for.
      json: `list` and `show` print one JSON document instead of text.
    """

    files: Path | None = option(None, "PATH")
    out: Path | None = option(None, "FILE")
    json: bool = False


def add(app: App) -> None:
    """Add the command."""
    arguments = [
        Argument("action", "list, show or get."),
        Argument("name", "The name of a table, for show and get.", optional=True),
    ]
    groups = [Options("Tables", Getting())]
    add_command(app, "data", handle, text=TEXT, arguments=arguments, groups=groups)


def handle(parsed: Parsed) -> None:
    """List, show or get."""
    action, name = parsed.arguments["action"], parsed.arguments["name"]
    if action not in ACTIONS:
        raise InputError(f"'{action}' is no action; give one of {', '.join(ACTIONS)}")
    if action != "get":
        refuse(parsed, {Getting: ("files", "out")}, why=f"with {action}")
    if action == "list":
        if name is not None:
            raise InputError("list takes no name; show NAME says more of one table")
        return _list(as_json=parsed[Getting].json)
    if name is None:
        raise InputError(f"{action} needs the name of a table; see routerjax data list")
    if action == "show":
        return _show(name, as_json=parsed[Getting].json)
    refuse(parsed, {Getting: ("json",)}, why="with get")
    return _get(name, parsed[Getting])


def _list(*, as_json: bool) -> None:
    from routerjax.cli.reading import print_json
    from routerjax.data.public.tables import PUBLIC_TABLES

    if as_json:
        return print_json([_facts(entry) for entry in PUBLIC_TABLES.values()])
    width = max(map(len, PUBLIC_TABLES))
    for entry in PUBLIC_TABLES.values():
        here = "  (on this disk)" if _is_here(entry.name) else ""
        print(f"{entry.name:<{width}}  {entry.title}{here}")
    return None


def _show(name: str, *, as_json: bool) -> None:
    from routerjax.cli.reading import print_json
    from routerjax.data.public.tables import entry_of, own_folder, own_wide_file

    entry = entry_of(name)
    if as_json:
        return print_json(_facts(entry))
    pinned = "the SHA-256 of what is downloaded first, which is written beside it"
    lines = {
        entry.name: entry.title,
        "published": entry.published,
        "files": entry.wanted,
        "pinned by": f"revision {entry.revision}" if entry.revision else pinned,
        "licence": entry.licence,
        "cite": entry.citation,
        "columns": entry.schema,
        "rows": "not stated" if entry.rows is None else f"{entry.rows:,}",
        "models": "not stated" if entry.models is None else str(entry.models),
        "note": entry.note,
        "own files": f"put them into {own_folder(name)}",
        "wide file": str(own_wide_file(name)) if _is_here(name) else "not made yet",
    }
    for key, text in lines.items():
        print(f"{key}: {text}")
    return None


def _get(name: str, asked: Getting) -> None:
    from routerjax.data.public.tables import PUBLIC_TABLES, entry_of, get_public_table

    entry_of(name)
    place = get_public_table(name, path=asked.files, out=asked.out)
    import pyarrow.parquet

    if place.suffix.lower() == ".parquet":
        table = pyarrow.parquet.ParquetFile(place)
        models = sum(each.startswith("score:") for each in table.schema_arrow.names)
        of = f" of {models} models" if models else ""
        print(f"wrote {table.metadata.num_rows:,} rows{of} to {place}")
    else:
        print(f"wrote {place}")
    licence = PUBLIC_TABLES[name].licence
    print(f"licence: {licence}; cite {PUBLIC_TABLES[name].citation}")
    if asked.out is None:
        print(f"the name {name} now stands for this file wherever a path is taken")


def _is_here(name: str) -> bool:
    from routerjax.data.public.tables import own_wide_file

    return own_wide_file(name).is_file()


def _facts(entry: Entry) -> dict[str, Any]:
    return {
        **dataclasses.asdict(entry),
        "published": entry.published,
        "is_here": _is_here(entry.name),
    }
