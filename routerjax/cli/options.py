"""Options of the commands."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path

from routerjax.cli import training
from routerjax.cli.terminal import Help, numbers, pair
from routerjax.errors import InputError

Run = Callable[[argparse.Namespace], None]

GAINS_ALONE = ("gold", "preference", "group", "models", "costs", "components", "learner")
LOGS_ALONE = (
    *("columns", "quality_range", "drop_missing", "drop_unlogged", "gold_column", "memory"),
    *("surrogate", "estimator", "architecture", "separate_trunks", "start", "floor", "epochs"),
    *("learning_rate", "devices", "parallel", "sweep_mode", "checkpoint_every", "resume"),
    *("cluster", "coordinator", "processes", "process_id"),
)
"""Options of `fit` that mean something with --gains alone, and without it alone."""


def add_fit(commands, run: Run) -> None:
    """Options of `routerjax fit`."""
    fit = commands.add_parser(
        "fit",
        help="learn a router from a log",
        description="Learn a router from a log: columns prompt or embedding, model, quality, "
        "cost (US dollars per query), and optionally propensity, task, split (train, "
        "validation, test) and scored_by. Rows of the test split are left alone. With --gains, "
        "from labels of how much better one model answers than another.",
        formatter_class=Help,
    )
    fit.add_argument(
        "log",
        metavar="LOG",
        help="parquet, CSV or JSON lines, or a hub id; with --gains, a file of labels",
    )
    fit.add_argument("--out", metavar="RUN", type=Path, required=True, help="folder to write")
    fit.add_argument("--overwrite", action="store_true", help="replace an older RUN")
    _add_reading(fit)
    fit.add_argument(
        "--drop-unlogged", action="store_true", help="leave out models that never answered"
    )
    fit.add_argument(
        "--gold-column",
        metavar="COLUMN=VALUE",
        type=pair,
        help="as in source=human: the column that says how a row was scored, and "
        "its value where the score is gold; the other scores are corrected for "
        "their judge's bias first",
    )
    fit.add_argument(
        "--encoder", default="wordllama", help="wordllama, or a sentence-transformers model"
    )
    fit.add_argument(
        "--cost-weights",
        metavar="L,L,...",
        type=numbers,
        help="grid of quality given up per dollar, with --gains that of the "
        "decision curve; chosen from the data if not given",
    )
    fit.add_argument(
        "--surrogate",
        default="softmax_regret",
        metavar="NAME|FILE.py:FUNCTION",
        help="softmax_regret, classification_bound or your own",
    )
    fit.add_argument("--estimator", default="dr", help="dr, ips or direct")
    fit.add_argument(
        "--architecture",
        default="interval",
        help="interval: routers at the grid's cost weights and a joint router in "
        "between; shared, separate: the grid alone, by one trunk or a network "
        "each; interpolated, conditioned, affine: see the documentation of "
        "routerjax.models.architectures",
    )
    fit.add_argument(
        "--separate-trunks",
        action="store_true",
        help="with interval: one network per cost weight of the grid",
    )
    fit.add_argument(
        "--start",
        default="plug-in",
        help="what the router starts from: plug-in, the outcome model's choice, or best-single",
    )
    fit.add_argument(
        "--floor",
        default=0.01,
        type=float,
        metavar="P",
        help="propensities are clipped from below here; 0 clips none",
    )
    fit.add_argument(
        "--validation",
        default=0.2,
        type=float,
        metavar="SHARE",
        help="share of the rows that chooses the epoch, where the log names no "
        "validation split; with --gains, of the gold rows, for the decision "
        "curve",
    )
    fit.add_argument("--epochs", default=100, type=int, help="of the router, at most")
    fit.add_argument("--learning-rate", default=1e-3, type=float, help="of the router")
    fit.add_argument("--seed", default=0, type=int, help="of folds, splits and training")
    _add_output(fit)
    training.add_options(fit)
    training.add_processes(fit)
    _add_gains(fit)
    defaults = {name: fit.get_default(name) for name in (*GAINS_ALONE, *LOGS_ALONE)}
    fit.set_defaults(run=run, defaults=defaults)


def _add_gains(fit: argparse.ArgumentParser) -> None:
    gains = fit.add_argument_group(
        "two models, few gold labels",
        "With --gains every row says by how much the primary model's answer is better than the "
        "alternative's: by a gold label, a cheap preference label or both.",
    )
    add = gains.add_argument
    add("--gains", action="store_true", help="LOG is such a file")
    add("--gold", metavar="COLUMN", default="GL", help="gold labels; empty where there is none")
    add("--preference", metavar="COLUMN", default="PL", help="preference labels")
    add("--group", metavar="COLUMN", help="equal where a query repeats; prompt if not given")
    add("--models", metavar="PRIMARY,ALTERNATIVE", default="primary,alternative", help="names")
    add("--costs", metavar="PRIMARY,ALTERNATIVE", type=numbers, help="US dollars per query; needed")
    add(
        "--components",
        metavar="N",
        type=int,
        help="principal components of the features, 0 for the features as they are; 50 if not "
        "given, or those of the file",
    )
    add("--learner", choices=("dr", "r"), default="dr", help="of the preference labels' bias")


def check_fit(options: argparse.Namespace) -> None:
    """Raise InputError where an option of `fit` would have no effect."""
    alone, how = (LOGS_ALONE, "with") if options.gains else (GAINS_ALONE, "without")
    for name in alone:
        if getattr(options, name) != options.defaults[name]:
            raise InputError(f"--{name.replace('_', '-')} has no effect {how} --gains")


def add_evaluate(commands, run: Run) -> None:
    """Options of `routerjax evaluate`."""
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
    evaluate.add_argument(
        "--cost-weights",
        metavar="L,L,...",
        type=numbers,
        help="where to judge; the fitted grid if not given",
    )
    evaluate.add_argument(
        "--log", metavar="LOG", help="the log the router was fitted on, for the kNN plug-in"
    )
    _add_output(evaluate)
    evaluate.set_defaults(run=run)


def add_route(commands, run: Run) -> None:
    """Options of `routerjax route`."""
    route = commands.add_parser(
        "route",
        help="choose a model for a prompt",
        description="Choose a model for each prompt, one result a line: the model, its expected "
        "quality and its expected cost in dollars. After fit --gains: the model, the primary's "
        "expected gain over the alternative and the model's cost.",
        formatter_class=Help,
    )
    route.add_argument("run_folder", metavar="RUN", help="folder that fit wrote")
    route.add_argument(
        "--cost-weight",
        metavar="L",
        type=float,
        help="quality given up per dollar, within the fitted range; any of 0 "
        "or more after fit --gains; needed but with --explain",
    )
    route.add_argument(
        "--explain",
        action="store_true",
        help="print which model has the highest expected utility at which cost weights",
    )
    query = route.add_mutually_exclusive_group(required=True)
    query.add_argument("--prompt", metavar="TEXT", help="one prompt")
    query.add_argument("--prompts", metavar="FILE", help="one prompt a line; - is standard input")
    query.add_argument("--embeddings", metavar="FILE.npy", help="[n, d], ready-made")
    route.add_argument("--probabilities", action="store_true", help="of every model, too")
    _add_output(route)
    route.set_defaults(run=run)


def check_route(options: argparse.Namespace, kind: str) -> None:
    """Raise InputError where options of `route` do not go together, or with the router."""
    if kind == "gains" and options.explain:
        raise InputError(
            "--explain has no effect on a router of gains: it takes the primary model where its "
            "gain exceeds the cost weight times the difference in cost"
        )
    if options.cost_weight is None and not options.explain:
        raise InputError("give --cost-weight, or --explain for every cost weight")
    if options.cost_weight is None and options.probabilities:
        raise InputError("--probabilities are those at one --cost-weight; give it too")


def add_simulate(commands, run: Run) -> None:
    """Options of `routerjax simulate`."""
    simulate = commands.add_parser(
        "simulate",
        help="draw a log from a table, to try routerjax on",
        description="Draw a log from a table by a logging policy, keeping one model's answer "
        "per row. Without TABLE the synthetic embedded table is used. Rows of the test split "
        "(a random share, where the table names none) go to --test, whole.",
        formatter_class=Help,
    )
    simulate.add_argument(
        "table",
        metavar="TABLE",
        nargs="?",
        help="parquet, CSV or JSON lines with score:MODEL and cost:MODEL, or a hub id",
    )
    simulate.add_argument(
        "--out", metavar="LOG", type=Path, required=True, help=".parquet, .csv or .jsonl to write"
    )
    simulate.add_argument(
        "--test", metavar="TABLE", type=Path, help="where to write the rows kept for evaluation"
    )
    simulate.add_argument(
        "--test-share",
        default=0.3,
        type=float,
        metavar="SHARE",
        help="of the rows, where the table names no test split",
    )
    simulate.add_argument(
        "--policy",
        default="quality",
        choices=("uniform", "quality", "cheap"),
        help="whom the log's policy prefers",
    )
    simulate.add_argument("--strength", default=2.0, type=float, help="how sharply")
    simulate.add_argument(
        "--record-propensities", action="store_true", help="write the propensity column"
    )
    simulate.add_argument("--rows", default=12_000, type=int, help="of the synthetic table")
    simulate.add_argument("--seed", default=0, type=int, help="of the draw")
    _add_reading(simulate)
    simulate.set_defaults(run=run)


def _add_reading(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--columns",
        metavar="NAME=COLUMN,...",
        default="",
        help="routerjax's name of a column = the file's",
    )
    parser.add_argument(
        "--quality-range",
        metavar="LO:HI",
        default="0:1",
        help="lowest and highest quality; results keep this unit",
    )
    parser.add_argument(
        "--drop-missing",
        action="store_true",
        help="leave out log rows without quality, cost, model, prompt",
    )
    parser.add_argument(
        "--embeddings", metavar="FILE.npy", help="[n, d] embeddings of the file's rows"
    )
    parser.add_argument(
        "--memory",
        metavar="GIB",
        type=_gibibytes,
        help="embeddings of more than this stay on disk and are read as they "
        "are used; a quarter of the machine's memory if not given",
    )


def _gibibytes(text: str) -> int:
    """Bytes of so many GiB."""
    try:
        size = float(text) * 2**30
    except ValueError:
        size = math.nan
    if not 0 < size < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of GiB above 0")
    return int(size)


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--quiet", action="store_true", help="no progress")
