"""`routerjax evaluate`: a router on a table or a log, beside its baselines."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from routerjax.cli import page
from routerjax.cli.app import Argument, Options, Parsed, add_command, refuse
from routerjax.cli.options import FILES, Output, Page, Prices, Reading, option
from routerjax.cli.parse import gold_scores
from routerjax.cli.reading import changes, keep_compiled, print_json, read
from routerjax.cli.rules import schema_of
from routerjax.errors import InputError

if TYPE_CHECKING:
    from cyclopts import App

    from routerjax.pipelines.lines import Evaluation

TEXT = """Evaluate a router on a table or a log.

On a table (columns score:MODEL and cost:MODEL) every policy is evaluated by all models' cells,
beside random, best single model, plug-ins, full feedback and the oracle; on a log by doubly robust
off-policy evaluation. Where the data name splits, only rows of the test split are evaluated.
"""


@dataclasses.dataclass(frozen=True)
class Evaluating:
    """What is evaluated, and beside what.

    Attributes:
      cost_weights: The cost weights to evaluate at, as L,L,... If none are given, they are those
        the router was fitted at.
      log: The log the router was fitted on, for the kNN plug-in on a table.
      log_columns: The columns of that log that have other names, as NAME=COLUMN,... If it is not
        given, they are those of --columns.
      log_embeddings: A .npy file with the embeddings of that log's rows.
      gold_column: The column of gold scores beside a judge's, empty where there is none, as COLUMN
        (human_score); or the column that says how a row was scored and its value where the score
        is gold, as COLUMN=VALUE (source=human). The value is then that of gold scores; the others
        are a judge's, whose bias they carry.
      exclude: Models that are to be retired without fitting again; it is said what that costs.
      trust_propensities: Recorded propensities that cannot be right are taken as they are.
      trust_encoder: The router's text encoder is loaded although it is none of routerjax's own: a
        folder or a name of the hub, from which a model may bring code along.
    """

    cost_weights: tuple[float, ...] | None = option(None, "L,L,...")
    log: str | None = option(None, "LOG")
    log_columns: str | None = option(None, "NAME=COLUMN,...")
    log_embeddings: str | None = option(None, "FILE.npy")
    gold_column: tuple[str, str | None] | None = option(None, "COLUMN|COLUMN=VALUE", gold_scores)
    exclude: tuple[str, ...] = option((), "MODEL,...")
    trust_propensities: bool = False
    trust_encoder: bool = False


def add(app: App) -> None:
    """Add the command."""
    add_command(
        app,
        "evaluate",
        handle,
        text=TEXT,
        arguments=[
            Argument("router", "The router folder that fit wrote, or hub:OWNER/NAME."),
            Argument("data", FILES, several=True),
        ],
        groups=[
            Options("Evaluation", Evaluating()),
            Options("Prices", Prices()),
            Options("Reading", Reading()),
            Options("Page", Page()),
            Options("Output", Output()),
        ],
    )


def handle(parsed: Parsed) -> None:
    """Evaluate a router and print the result."""
    keep_compiled()
    from routerjax.artefacts.hub import local_folder
    from routerjax.artefacts.router import Router
    from routerjax.cli.progress import progress_bars
    from routerjax.pipelines.evaluate import evaluate
    from routerjax.records.logs import Log
    from routerjax.records.tables import Table
    from routerjax.training.execution import Execution

    folder, path = parsed.arguments["router"], parsed.arguments["data"]
    assert folder is not None and path is not None
    asked, reading, output = parsed[Evaluating], parsed[Reading], parsed[Output]
    page.check(parsed[Page])
    if asked.log is None:
        refuse(parsed, {Evaluating: ("log_columns", "log_embeddings")}, why="without --log")
    router = Router.load(local_folder(folder), trust_encoder=asked.trust_encoder)
    gold = asked.gold_column
    data = read(reading, path, gold=gold, prompt_form=router.prompt_form)
    if asked.log is not None and isinstance(data, Log):
        raise InputError(
            "--log has no effect where the data are a log: it serves the kNN plug-in on a table"
        )
    if isinstance(data, Table) and (gold is not None or asked.trust_propensities):
        option = "--gold-column" if gold is not None else "--trust-propensities"
        raise InputError(f"{option} has no effect where the data are a table of known cells")
    log = None if asked.log is None else _fitted_log(asked, reading)
    with progress_bars(quiet=output.quiet) as on_progress:
        evaluation = evaluate(
            router,
            data,
            cost_weights=asked.cost_weights,
            log=log,
            gold=gold and gold[1],
            trust_propensities=asked.trust_propensities,
            prices=changes(parsed[Prices]),
            exclude=asked.exclude,
            execution=Execution(on_progress=on_progress),
        )
    wrote = page.write(parsed[Page], evaluation, router, folder=folder)
    if output.json:
        print_json({"router": folder, **vars(evaluation), "lines": _lines(evaluation)})
        return
    from rich.console import Console

    from routerjax.reports.console import print_evaluation

    print_evaluation(evaluation, Console())
    for path in wrote:
        print(f"wrote {path}")


def _lines(evaluation: Evaluation) -> list[dict[str, Any]]:
    """The lines with what each says in a word, on a log."""
    if evaluation.kind != "log":
        return [vars(line) for line in evaluation.lines]
    return [{**vars(line), "verdict": line.verdict} for line in evaluation.lines]


def _fitted_log(asked: Evaluating, reading: Reading):
    """The log the router was fitted on, read as the data but for what was said of it."""
    from routerjax.data.io import files

    assert asked.log is not None
    return files.read_log(
        asked.log,
        schema=dataclasses.replace(schema_of(reading, columns=asked.log_columns), split_by=None),
        drop_missing=reading.drop_missing,
        embeddings=asked.log_embeddings,
        in_memory=reading.memory,
    )
