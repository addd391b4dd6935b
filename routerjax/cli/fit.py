"""`routerjax fit`: a router from a log; with --gains, from labels of a pair of models."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from routerjax.cli import gains, page, training
from routerjax.cli.app import Argument, Options, Parsed, add_command, refuse
from routerjax.cli.options import (
    Labels,
    Learning,
    Output,
    Page,
    Processes,
    Reading,
    RouterFolder,
    Training,
)
from routerjax.cli.reading import keep_compiled, print_json, read
from routerjax.errors import InputError
from routerjax.training.config import FitConfig, GainConfig

if TYPE_CHECKING:
    from cyclopts import App

    from routerjax.artefacts.router import Router

TEXT = """Learn a router from a log.

The log has the columns prompt or embedding, model, quality, cost (US dollars per query), and
optionally propensity, task, split (train, validation, test) and scored_by. Rows of the test split
are left alone. With --gains the router is learnt from labels of how much better one model answers
than another.
"""

LOG = (
    "A parquet, CSV, TSV or JSON lines file, several of them or a quoted pattern ('logs/*.jsonl'), "
    "or a hub id; with --gains, a file of labels."
)

SHARED = ("cost_weights", "encoder", "components", "validation", "seed")
"""Settings of a fit to a log that a fit to labelled gains has as well."""

OF_LOGS = (
    *("quality_range", "failed", "failed_quality", "drop_missing", "memory", "ratings"),
    *("prices", "zero_cost", "strict", "available", "time", "split_by", "pinned"),
)
"""Options of reading that have no effect on labelled gains."""


def add(app: App) -> None:
    """Add the command."""
    add_command(
        app,
        "fit",
        handle,
        text=TEXT,
        arguments=[Argument("log", LOG, several=True)],
        groups=[
            Options("Router folder", RouterFolder()),
            Options("Reading", Reading()),
            Options("Learning", Learning()),
            Options("Settings of the fit", FitConfig()),
            Options("Training", Training()),
            Options("Several processes", Processes()),
            Options("Two models, few gold labels (--gains)", Labels()),
            Options(
                "Settings of a fit to labelled gains (--gains)",
                GainConfig(),
                without=("models", "costs", "components", "cost_weights", "held_out", "seed"),
            ),
            Options("Page", Page()),
            Options("Output", Output()),
        ],
    )


def handle(parsed: Parsed) -> None:
    """Fit a router, save it, print its report."""
    keep_compiled()
    if parsed[Labels].gains:
        names = [f.name for f in dataclasses.fields(FitConfig) if f.name not in SHARED]
        alone = {FitConfig: names, Reading: OF_LOGS}
        alone |= {kind: _all(kind) for kind in (Learning, Training, Processes, Page)}
        refuse(parsed, alone, why="with --gains")
        gains.fit(parsed)
        return
    refuse(parsed, {Labels: _all(Labels), GainConfig: _all(GainConfig)}, why="without --gains")
    if not parsed[FitConfig].is_trained:
        why = "on a plug-in router of pooled outcome models: nothing is trained"
        refuse(parsed, {Training: _all(Training)}, why=why)
    _fit(parsed)


def _all(kind: type, but: tuple[str, ...] = ()) -> list[str]:
    return [field.name for field in dataclasses.fields(kind) if field.name not in but]


def _fit(parsed: Parsed) -> None:
    from routerjax.artefacts.folder import check_free, claimed

    folder = parsed[RouterFolder]
    check_free(folder.out, overwrite=folder.overwrite)
    page.check(parsed[Page])
    if not training.join(parsed[Processes], parsed[Training]):
        _fitted(parsed)
        return
    with claimed(folder.out, overwrite=folder.overwrite):
        router = _fitted(parsed)
        router.save(folder.out, overwrite=folder.overwrite)
    _show(parsed, router)


def _fitted(parsed: Parsed) -> Router:
    """The router of the log that was named."""
    from routerjax.cli.progress import progress_bars
    from routerjax.pipelines import fit_log
    from routerjax.records.logs import Log

    config, path = parsed[FitConfig], parsed.arguments["log"]
    assert path is not None
    gold = parsed[Learning].gold_column
    log = read(parsed[Reading], path, gold=gold)
    if not isinstance(log, Log):
        problem = "is a table of every model's answers; fit learns from a log of one answer a row"
        raise InputError(f"{problem} (routerjax simulate draws one)", source=log.source)
    settings = {"config": config, "data": log.fingerprint, "gold": gold and gold[1]}
    with (
        progress_bars(quiet=parsed[Output].quiet) as on_progress,
        training.execution(
            parsed[Training], parsed[RouterFolder].out, settings=settings, on_progress=on_progress
        ) as execution,
    ):
        return fit_log.fit(
            log,
            gold=gold and gold[1],
            config=config,
            drop_unlogged=parsed[Learning].drop_unlogged,
            execution=execution,
        )


def _show(parsed: Parsed, router: Router) -> None:
    """Print what came of the fit, and write its page."""
    from routerjax.pipelines.lines import evaluation_of

    folder, output = parsed[RouterFolder], parsed[Output]
    saved = router.report["evaluation"]
    evaluation = None if saved is None else evaluation_of(saved)
    wrote = page.write(parsed[Page], evaluation, router, folder=folder.out)
    if output.json:
        print_json({"router": folder.out, "cost_weights": router.cost_weights, **router.report})
        return
    from rich.console import Console

    from routerjax.reports.console import print_fit

    print_fit(router, Console(soft_wrap=True))
    for name in (*wrote, str(folder.out)):
        print(f"wrote {name}")
