"""`routerjax simulate`: a log drawn from a table, to try routerjax on."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from routerjax.cli.app import Argument, Options, Parsed, add_command, refuse
from routerjax.cli.options import Reading, choose, option
from routerjax.cli.reading import read
from routerjax.errors import InputError

if TYPE_CHECKING:
    from cyclopts import App

TEXT = """Draw a log from a table, to try routerjax on.

A logging policy keeps one model's answer per row. Without TABLE the synthetic embedded table is
used. Rows of the test split (a random share, where the table names none) go to --test, whole.
"""
TABLE = (
    "A parquet, CSV or JSON lines file with score:MODEL and cost:MODEL, a hub id, or the name of a "
    "public table (see routerjax data list)."
)


@dataclasses.dataclass(frozen=True)
class Drawing:
    """What is drawn, and where it goes.

    Attributes:
      out: The log to write, a .parquet, .csv or .jsonl file.
      test: Where the rows kept for evaluation are written.
      test_share: Share of the rows kept for evaluation, where the table names no test split.
      policy: Whom the log's policy prefers: "uniform", "quality" or "cheap".
      strength: How sharply it prefers them.
      record_propensities: The propensities are written, a column propensity:MODEL a model.
      rows: Rows of the synthetic table.
      seed: Seed of the draw.
    """

    out: Path = option(Path(), "LOG", required=True)
    test: Path | None = option(None, "TABLE")
    test_share: float = option(0.3, "SHARE")
    policy: str = option("quality", "uniform|quality|cheap")
    strength: float = 2.0
    record_propensities: bool = False
    rows: int = 12_000
    seed: int = 0


def add(app: App) -> None:
    """Add the command."""
    add_command(
        app,
        "simulate",
        handle,
        text=TEXT,
        arguments=[Argument("table", TABLE, optional=True)],
        groups=[Options("Drawing", Drawing()), Options("Reading", Reading())],
    )


def handle(parsed: Parsed) -> None:
    """Draw a log and write it."""
    from routerjax.data.formats import kinds
    from routerjax.data.io import writing
    from routerjax.data.synthetic.simulation import POLICIES, simulate
    from routerjax.records.logs import Log
    from routerjax.support import atomic

    asked, source = parsed[Drawing], parsed.arguments["table"]
    choose(asked.policy, tuple(POLICIES), "--policy")
    if source is None:
        every = [field.name for field in dataclasses.fields(Reading)]
        refuse(parsed, {Reading: every}, why="without TABLE: the synthetic table needs no reading")
    else:
        refuse(parsed, {Drawing: ("rows",)}, why="with TABLE: it is of the synthetic table")
    places = [Path(place) for place in (asked.out, asked.test) if place]
    for place in places:
        kinds.kind_of(place)
        atomic.check_place(place)
    if source is not None:
        places.append(Path(source))
    if len({place.absolute() for place in places}) < len(places):
        raise InputError("TABLE, --out and --test must be different files")
    table = None if source is None else read(parsed[Reading], source)
    if isinstance(table, Log):
        problem = "is a log of one answer a row already; simulate draws one from a table"
        raise InputError(problem, source=source)
    log, test = simulate(
        table,
        policy=asked.policy,
        strength=asked.strength,
        rows=asked.rows,
        test_share=asked.test_share,
        record=asked.record_propensities,
        seed=asked.seed,
    )
    writing.write_log(log, asked.out)
    print(f"wrote {len(log)} rows to {asked.out}")
    if asked.test:
        writing.write_table(test, asked.test)
        print(f"wrote {len(test)} rows to {asked.test}")
