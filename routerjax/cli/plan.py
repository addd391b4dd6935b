"""`routerjax plan`: what a log is still missing."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from routerjax.cli.app import Argument, Options, Parsed, add_command
from routerjax.cli.options import FILES, Output, Reading, option
from routerjax.cli.parse import gold_scores
from routerjax.cli.reading import keep_compiled, print_json, read
from routerjax.training.config import FitConfig

if TYPE_CHECKING:
    from cyclopts import App

TEXT = """Say what a log knows of its models today, and what would say more.

It answers how many more rows, or rows with gold scores, would halve an interval, and what share of
random traffic would decide between two policies. Nothing is fitted that takes long, and nothing is
written.
"""


@dataclasses.dataclass(frozen=True)
class Planning:
    """What is asked of the log.

    Attributes:
      models: The two policies whose difference counts, models of the log or "today". If they are
        not given, they are the best single model but the most used one, and today's policy.
      cost_weight: The quality given up per dollar.
      detect: The half-width that intervals shall have, and the difference that random traffic
        shall find. If it is not given, they are half of today's, and the estimated difference.
      next_rows: The number of next rows, of which a share is sent at random. If it is not given,
        they are as many as the log has.
      gold_column: The column of gold scores beside a judge's, empty where there is none, as COLUMN
        (human_score); or the column that says how a row was scored and its value where the score
        is gold, as COLUMN=VALUE (source=human). Values are then those of gold scores.
      trust_propensities: Recorded propensities that cannot be right are taken as they are.
      encoder: The text encoder of the prompts, where the log has no embeddings.
    """

    models: tuple[str, str] | None = option(None, "A,B")
    cost_weight: float = 0.0
    detect: float | None = option(None, "X")
    next_rows: int | None = option(None, "N")
    gold_column: tuple[str, str | None] | None = option(None, "COLUMN|COLUMN=VALUE", gold_scores)
    trust_propensities: bool = False
    encoder: str = FitConfig.encoder


def add(app: App) -> None:
    """Add the command."""
    add_command(
        app,
        "plan",
        handle,
        text=TEXT,
        arguments=[Argument("log", FILES, several=True)],
        groups=[
            Options("Planning", Planning()),
            Options("Reading", Reading()),
            Options("Output", Output(), without=("quiet",)),
        ],
    )


def handle(parsed: Parsed) -> None:
    """Read a log and print the plan."""
    keep_compiled()
    from routerjax.pipelines.plan import plan

    path, asked = parsed.arguments["log"], parsed[Planning]
    assert path is not None
    gold = asked.gold_column
    found = plan(
        read(parsed[Reading], path, gold=gold),  # type: ignore[arg-type]
        models=asked.models,
        cost_weight=asked.cost_weight,
        detect=asked.detect,
        next_rows=asked.next_rows,
        gold=gold and gold[1],
        trust_propensities=asked.trust_propensities,
        encoder=asked.encoder,
    )
    if parsed[Output].json:
        print_json(dataclasses.asdict(found))
        return
    from rich.console import Console

    from routerjax.reports.plan import print_plan

    print_plan(found, Console())
