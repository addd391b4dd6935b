"""The command line: routerjax fit, evaluate, route, simulate.

Results go to standard output, progress and warnings to standard error. Input that cannot be
used ends with one sentence and exit code 2.
"""

from __future__ import annotations

import argparse
import functools
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from routerjax.errors import DataWarning, InputError

if TYPE_CHECKING:
    from routerjax.records import Log, Table
    from routerjax.router import Router, Routes


class Help(argparse.HelpFormatter):
    """Help that names the defaults worth naming."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        unset = action.default in (None, False, "", argparse.SUPPRESS)
        return action.help if unset else f"{action.help} (default: %(default)s)"


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one sentence, like all others."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message} (see {self.prog} --help)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""

    def run() -> None:
        options = _parser().parse_args(arguments)
        _keep_compiled()
        options.run(options)

    return exit_code(run, prog="routerjax")


def exit_code(run: Callable[[], None], *, prog: str) -> int:
    """Run a command: 0 if it ends well, 2 with one sentence on standard error if its input
    cannot be used, 130 if it is interrupted."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", DataWarning)  # whatever PYTHONWARNINGS says
            warnings.showwarning = functools.partial(_show_warning, prog)
            run()
    except InputError as error:
        print(f"{prog}: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        return 0
    except KeyboardInterrupt:
        print(f"{prog}: interrupted", file=sys.stderr)
        return 130
    return 0


def _show_warning(prog, message, category, filename, lineno, file=None, line=None) -> None:
    del filename, lineno, file, line
    if issubclass(category, DataWarning):
        print(f"{prog}: warning: {message}", file=sys.stderr)


def _keep_compiled() -> None:
    """Keep compiled programs on disk: compiling is most of a short run's time."""
    from routerjax.compilation import keep_compiled

    keep_compiled()


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="routerjax",
        description="Learn which language model should answer which query, from the log of one "
        "model's answer per query.",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_fit(commands)
    _add_evaluate(commands)
    _add_route(commands)
    _add_simulate(commands)
    return parser


def _add_fit(commands) -> None:
    fit = commands.add_parser(
        "fit",
        help="learn a router from a log",
        description="Learn a router from a log: columns prompt or embedding, model, quality, "
        "cost (US dollars per query), and optionally propensity, task and split (train, "
        "validation, test). Rows of the test split are left alone.",
        formatter_class=Help,
    )
    fit.add_argument("log", metavar="LOG", help="parquet, CSV or JSON lines, or a hub id")
    fit.add_argument("--out", metavar="RUN", type=Path, required=True, help="folder to write")
    fit.add_argument("--overwrite", action="store_true", help="replace an older RUN")
    _add_reading(fit)
    fit.add_argument("--drop-unlogged", action="store_true",
                     help="leave out models that never answered")  # fmt: skip
    fit.add_argument("--encoder", default="wordllama",
                     help="wordllama, or a sentence-transformers model")  # fmt: skip
    fit.add_argument("--cost-weights", metavar="L,L,...", type=numbers,
                     help="grid of quality given up per dollar; chosen from the log's costs "
                     "if not given")  # fmt: skip
    fit.add_argument("--surrogate", default="softmax_regret", metavar="NAME|FILE.py:FUNCTION",
                     help="softmax_regret, classification_bound or your own")  # fmt: skip
    fit.add_argument("--estimator", default="dr", help="dr, ips or direct")
    fit.add_argument("--architecture", default="shared",
                     help="shared: one trunk for all cost weights; separate: one network "
                     "each")  # fmt: skip
    fit.add_argument("--start", default="plug-in",
                     help="what the router starts from: plug-in, the outcome model's choice, or "
                     "best-single")  # fmt: skip
    fit.add_argument("--floor", default=0.01, type=float, metavar="P",
                     help="propensities are clipped from below here; 0 clips none")  # fmt: skip
    fit.add_argument("--validation", default=0.2, type=float, metavar="SHARE",
                     help="share of the rows that chooses the epoch, where the log names no "
                     "validation split")  # fmt: skip
    fit.add_argument("--epochs", default=100, type=int, help="of the router, at most")
    fit.add_argument("--learning-rate", default=1e-3, type=float, help="of the router")
    fit.add_argument("--seed", default=0, type=int, help="of folds, splits and training")
    _add_output(fit)
    fit.set_defaults(run=_fit)


def _add_evaluate(commands) -> None:
    evaluate = commands.add_parser(
        "evaluate",
        help="judge a router on a table or a log",
        description="Judge a router. On a table (columns score:MODEL and cost:MODEL) by every "
        "model's cells, beside random, best single model, plug-ins, full feedback and the "
        "oracle; on a log by doubly robust off-policy evaluation. Where the data name splits, "
        "only rows of the test split are judged.",
        formatter_class=Help,
    )
    evaluate.add_argument("run_folder", metavar="RUN", help="folder that fit wrote")
    evaluate.add_argument("data", metavar="DATA", help="parquet, CSV or JSON lines, or a hub id")
    _add_reading(evaluate)
    evaluate.add_argument("--cost-weights", metavar="L,L,...", type=numbers,
                          help="where to judge; the fitted grid if not given")  # fmt: skip
    evaluate.add_argument("--log", metavar="LOG",
                          help="the log the router was fitted on, for the kNN plug-in")  # fmt: skip
    _add_output(evaluate)
    evaluate.set_defaults(run=_evaluate)


def _add_route(commands) -> None:
    route = commands.add_parser(
        "route",
        help="choose a model for a prompt",
        description="Choose a model for each prompt, one result a line: the model, its expected "
        "quality and its expected cost in dollars.",
        formatter_class=Help,
    )
    route.add_argument("run_folder", metavar="RUN", help="folder that fit wrote")
    route.add_argument("--cost-weight", metavar="L", type=float, required=True,
                       help="quality given up per dollar, within the fitted range")  # fmt: skip
    query = route.add_mutually_exclusive_group(required=True)
    query.add_argument("--prompt", metavar="TEXT", help="one prompt")
    query.add_argument("--prompts", metavar="FILE", help="one prompt a line; - is standard input")
    query.add_argument("--embeddings", metavar="FILE.npy", help="[n, d], ready-made")
    route.add_argument("--probabilities", action="store_true", help="of every model, too")
    _add_output(route)
    route.set_defaults(run=_route)


def _add_simulate(commands) -> None:
    simulate = commands.add_parser(
        "simulate",
        help="draw a log from a table, to try routerjax on",
        description="Draw a log from a table by a logging policy, keeping one model's answer "
        "per row. Without TABLE the synthetic embedded table is used. Rows of the test split "
        "(a random share, where the table names none) go to --test, whole.",
        formatter_class=Help,
    )
    simulate.add_argument("table", metavar="TABLE", nargs="?",
                          help="parquet, CSV or JSON lines with score:MODEL and cost:MODEL, "
                          "or a hub id")  # fmt: skip
    simulate.add_argument("--out", metavar="LOG", type=Path, required=True,
                          help=".parquet, .csv or .jsonl to write")  # fmt: skip
    simulate.add_argument("--test", metavar="TABLE", type=Path,
                          help="where to write the rows kept for evaluation")  # fmt: skip
    simulate.add_argument("--test-share", default=0.3, type=float, metavar="SHARE",
                          help="of the rows, where the table names no test split")  # fmt: skip
    simulate.add_argument("--policy", default="quality", choices=("uniform", "quality", "cheap"),
                          help="whom the log's policy prefers")  # fmt: skip
    simulate.add_argument("--strength", default=2.0, type=float, help="how sharply")
    simulate.add_argument("--record-propensities", action="store_true",
                          help="write the propensity column")  # fmt: skip
    simulate.add_argument("--rows", default=12_000, type=int, help="of the synthetic table")
    simulate.add_argument("--seed", default=0, type=int, help="of the draw")
    _add_reading(simulate)
    simulate.set_defaults(run=_simulate)


def _add_reading(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--columns", metavar="NAME=COLUMN,...", default="",
                        help="routerjax's name of a column = the file's")  # fmt: skip
    parser.add_argument("--quality-range", metavar="LO:HI", default="0:1",
                        help="lowest and highest quality; results keep this unit")  # fmt: skip
    parser.add_argument("--drop-missing", action="store_true",
                        help="leave out log rows without quality, cost, model, prompt")  # fmt: skip
    parser.add_argument("--embeddings", metavar="FILE.npy",
                        help="[n, d] embeddings of the file's rows")  # fmt: skip


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--quiet", action="store_true", help="no progress")


def numbers(text: str) -> tuple[float, ...]:
    """An option's list of numbers, as in 0,10,100."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a list of numbers, as in 0,10,100"
        ) from None


def _read(options: argparse.Namespace, path: str) -> Table | Log:
    from routerjax.data import files

    return files.read_rows(
        path,
        columns=files.parse_columns(options.columns),
        quality_range=files.parse_range(options.quality_range),
        drop_missing=options.drop_missing,
        embeddings=options.embeddings,
    )


def _fit(options: argparse.Namespace) -> None:
    from routerjax import atomic, fitting
    from routerjax.progress import progress_bars
    from routerjax.records import Log
    from routerjax.router import MANIFEST
    from routerjax.training.fit import Schedule
    from routerjax.training.routing import RouterConfig

    atomic.check_free(options.out, marker=MANIFEST, overwrite=options.overwrite)
    log = _read(options, options.log)
    if not isinstance(log, Log):
        problem = "is a table of every model's answers; fit learns from a log of one answer a row"
        raise InputError(f"{problem} (routerjax simulate draws one)", source=options.log)
    config = fitting.FitConfig(
        cost_weights=options.cost_weights,
        estimator=options.estimator,
        encoder=options.encoder,
        floor=options.floor,
        validation=options.validation,
        seed=options.seed,
        router=RouterConfig(
            surrogate=options.surrogate,
            architecture=options.architecture,
            start=options.start,
            learning_rate=options.learning_rate,
            schedule=Schedule(max_epochs=options.epochs),
        ),
    )
    with progress_bars(quiet=options.quiet) as on_progress:
        router = fitting.fit(
            log, config=config, drop_unlogged=options.drop_unlogged, on_progress=on_progress
        )
    router.save(options.out, overwrite=options.overwrite)
    if options.json:
        _print_json({"run": options.out, "cost_weights": router.cost_weights, **router.report})
        return
    from rich.console import Console

    from routerjax.reports.console import print_fit

    print_fit(router, Console(soft_wrap=True))
    print(f"wrote {options.out}")


def _evaluate(options: argparse.Namespace) -> None:
    from routerjax.comparison import evaluate
    from routerjax.data import files
    from routerjax.progress import progress_bars
    from routerjax.router import Router

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
            router, data, cost_weights=options.cost_weights, log=log, on_progress=on_progress
        )
    if options.json:
        _print_json({"run": options.run_folder, **vars(evaluation)})
        return
    from rich.console import Console

    from routerjax.reports.console import print_evaluation

    print_evaluation(evaluation, Console())


def _route(options: argparse.Namespace) -> None:
    from routerjax.router import Router, route

    router = Router.load(options.run_folder)
    routes = route(router, _queries(options), cost_weight=options.cost_weight)
    if options.json:
        _print_json(_routes_as_json(routes, router, options))
        return
    from routerjax.reports.console import route_lines

    for line in route_lines(routes, router.models, probabilities=options.probabilities):
        print(line)


def _queries(options: argparse.Namespace):
    from routerjax.data.queries import read_embeddings, read_prompts

    if options.prompt is not None:
        if not options.prompt.strip():
            raise InputError("--prompt is empty; a prompt is needed")
        return [options.prompt]
    if options.prompts is not None:
        return read_prompts(options.prompts)
    return read_embeddings(options.embeddings)


def _routes_as_json(routes: Routes, router: Router, options: argparse.Namespace):
    results = []
    for row, model in enumerate(routes.models):
        result = {"model": model, "quality": routes.quality[row], "cost": routes.cost[row]}
        if options.probabilities:
            values = routes.probabilities[row]
            result["probabilities"] = dict(zip(router.models, values, strict=True))
        results.append(result)
    return {"cost_weight": options.cost_weight, "routes": results}


def _simulate(options: argparse.Namespace) -> None:
    from routerjax import atomic
    from routerjax.data import files, formats
    from routerjax.data.simulation import simulate
    from routerjax.records import Log

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
    from routerjax.provenance import dumps

    print(dumps(value))
