"""The command line: routerjax fit, evaluate, route, simulate.

Results go to standard output, progress and warnings to standard error. Input that cannot be
used ends with one sentence and exit code 2.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from routerjax.cli import gains as cli_gains
from routerjax.cli import options as cli_options
from routerjax.cli import training as cli_training
from routerjax.cli.terminal import Parser, exit_code
from routerjax.errors import InputError

if TYPE_CHECKING:
    from routerjax.artefacts.router import Router, Routes
    from routerjax.estimators.envelope import Envelope
    from routerjax.records.tables import Log, Table


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""

    def run() -> None:
        options = parser().parse_args(arguments)
        _keep_compiled()
        options.run(options)

    return exit_code(run, prog="routerjax")


def _keep_compiled() -> None:
    """Keep compiled programs on disk: compiling is most of a short run's time."""
    from routerjax.support.compilation import keep_compiled

    keep_compiled()


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    top = Parser(
        prog="routerjax",
        description="Learn which language model should answer which query, from the log of one "
        "model's answer per query.",
    )
    commands = top.add_subparsers(title="commands", required=True, metavar="COMMAND")
    cli_options.add_fit(commands, _fit)
    cli_options.add_evaluate(commands, _evaluate)
    cli_options.add_route(commands, _route)
    cli_options.add_simulate(commands, _simulate)
    return top


def _read(options: argparse.Namespace, path: str, *, scored_by: str | None = None) -> Table | Log:
    from routerjax.data.io import files

    columns = files.parse_columns(options.columns)
    if scored_by is not None:
        columns["scored_by"] = scored_by
    return files.read_rows(
        path,
        columns=columns,
        quality_range=files.parse_range(options.quality_range),
        drop_missing=options.drop_missing,
        embeddings=options.embeddings,
        in_memory=options.memory,
    )


def _fit(options: argparse.Namespace) -> None:
    cli_options.check_fit(options)
    if options.gains:
        cli_gains.fit(options)
        return
    from routerjax.artefacts.base import MANIFEST
    from routerjax.cli.progress import progress_bars
    from routerjax.pipelines import fit_log
    from routerjax.records.tables import Log
    from routerjax.support import atomic
    from routerjax.training.config import RouterConfig

    atomic.check_free(options.out, marker=MANIFEST, overwrite=options.overwrite)
    writes = cli_training.join(options)
    column, gold = options.gold_column or (None, None)
    log = _read(options, options.log, scored_by=column)
    if not isinstance(log, Log):
        problem = "is a table of every model's answers; fit learns from a log of one answer a row"
        raise InputError(f"{problem} (routerjax simulate draws one)", source=options.log)
    config = fit_log.FitConfig(
        cost_weights=options.cost_weights,
        estimator=options.estimator,
        encoder=options.encoder,
        floor=options.floor,
        validation=options.validation,
        seed=options.seed,
        router=RouterConfig(
            surrogate=options.surrogate,
            architecture=options.architecture,
            separate_trunks=options.separate_trunks,
            start=options.start,
            learning_rate=options.learning_rate,
            schedule=dataclasses.replace(RouterConfig().schedule, max_epochs=options.epochs),
        ),
    )
    settings = {"config": config, "data": log.fingerprint, "gold": gold}
    with (
        progress_bars(quiet=options.quiet) as on_progress,
        cli_training.execution(
            options, options.out, settings=settings, on_progress=on_progress
        ) as execution,
    ):
        router = fit_log.fit(
            log,
            gold=gold,
            config=config,
            drop_unlogged=options.drop_unlogged,
            execution=execution,
        )
        if writes:
            router.save(options.out, overwrite=options.overwrite)
    if not writes:
        return
    if options.json:
        _print_json({"run": options.out, "cost_weights": router.cost_weights, **router.report})
        return
    from rich.console import Console

    from routerjax.reports.console import print_fit

    print_fit(router, Console(soft_wrap=True))
    print(f"wrote {options.out}")


def _evaluate(options: argparse.Namespace) -> None:
    from routerjax.artefacts.router import Router
    from routerjax.cli.progress import progress_bars
    from routerjax.data.io import files
    from routerjax.pipelines.evaluate import evaluate
    from routerjax.training.execution import Execution

    router = Router.load(options.run_folder)
    data = _read(options, options.data)
    log = None
    if options.log:
        log = files.read_log(
            options.log,
            quality_range=data.quality_range,
            drop_missing=options.drop_missing,
        )
    with progress_bars(quiet=options.quiet) as on_progress:
        evaluation = evaluate(
            router,
            data,
            cost_weights=options.cost_weights,
            log=log,
            execution=Execution(on_progress=on_progress),
        )
    if options.json:
        _print_json({"run": options.run_folder, **vars(evaluation)})
        return
    from rich.console import Console

    from routerjax.reports.console import print_evaluation

    print_evaluation(evaluation, Console())


def _route(options: argparse.Namespace) -> None:
    from routerjax.artefacts.base import kind_of
    from routerjax.artefacts.router import Router, route

    kind = kind_of(options.run_folder)
    cli_options.check_route(options, kind)
    if kind == "gains":
        cli_gains.route(options, _queries(options))
        return
    router = Router.load(options.run_folder)
    queries = router.embed(_queries(options))
    routes = None
    if options.cost_weight is not None:
        routes = route(router, queries, cost_weight=options.cost_weight)
    envelopes = router.explain(queries) if options.explain else None
    if options.json:
        _print_json(_routes_as_json(routes, envelopes, router, options))
        return
    from routerjax.reports.console import explanation, route_lines

    lines = (
        []
        if routes is None
        else route_lines(routes, router.models, probabilities=options.probabilities)
    )
    for row in range(len(queries)):
        if routes is not None:
            print(lines[row])
        if envelopes is not None:
            chosen = None if routes is None else routes.models[row]
            indent = "" if routes is None else "  "
            print(indent + explanation(envelopes[row], router.models, chosen, options.cost_weight))


def _queries(options: argparse.Namespace):
    from routerjax.data.io.queries import read_embeddings, read_prompts

    if options.prompt is not None:
        if not options.prompt.strip():
            raise InputError("--prompt is empty; a prompt is needed")
        return [options.prompt]
    if options.prompts is not None:
        return read_prompts(options.prompts)
    return read_embeddings(options.embeddings)


def _routes_as_json(
    routes: Routes | None,
    envelopes: list[Envelope] | None,
    router: Router,
    options: argparse.Namespace,
):
    results: list[dict[str, Any]] = []
    for row in range(len(routes.models if routes is not None else envelopes or ())):
        result: dict[str, Any] = {}
        if routes is not None:
            result |= {"model": routes.models[row]}
            result |= {"quality": routes.quality[row], "cost": routes.cost[row]}
            if options.probabilities:
                values = routes.probabilities[row]
                result["probabilities"] = dict(zip(router.models, values, strict=True))
        if envelopes is not None:
            arms, breaks = envelopes[row]
            result["best_expected"] = [
                {"model": router.models[arm], "to_cost_weight": end}
                for arm, end in zip(arms, (*breaks, router.cost_weights[-1]), strict=True)
            ]
        results.append(result)
    return {"cost_weight": options.cost_weight, "routes": results}


def _simulate(options: argparse.Namespace) -> None:
    from routerjax.data.io import files, formats
    from routerjax.data.synthetic.simulation import simulate
    from routerjax.records.tables import Log
    from routerjax.support import atomic

    places = [Path(place) for place in (options.out, options.test) if place]
    for place in places:
        formats.kind_to_write(place)
        atomic.check_place(place)
    if options.table:
        places.append(Path(options.table))
    if len({place.absolute() for place in places}) < len(places):
        raise InputError("TABLE, --out and --test must be different files")
    table = _read(options, options.table) if options.table else None
    if isinstance(table, Log):
        problem = "is a log of one answer a row already; simulate draws one from a table"
        raise InputError(problem, source=options.table)
    log, test = simulate(
        table,
        policy=options.policy,
        strength=options.strength,
        rows=options.rows,
        test_share=options.test_share,
        record=options.record_propensities,
        seed=options.seed,
    )
    files.write_log(log, options.out)
    print(f"wrote {len(log)} rows to {options.out}")
    if options.test:
        files.write_table(test, options.test)
        print(f"wrote {len(test)} rows to {options.test}")


def _print_json(value) -> None:
    from routerjax.support.provenance import dumps

    print(dumps(value))
