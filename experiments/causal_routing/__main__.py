"""python -m experiments.causal_routing --preset quick"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from experiments.causal_routing.config import PRESETS, StudyConfig, check
from routerjax.cli import training
from routerjax.cli.terminal import Help, Parser, exit_code, numbers

OnProgress = Callable[[str, int, int], None]


def main() -> int:
    """Run the study and write its files; returns the exit code."""
    return exit_code(_run, prog="experiments.causal_routing")


def _run() -> None:
    options = _options()
    config = _config(options)
    from experiments.causal_routing.data import load_source
    from experiments.causal_routing.methods import is_reference
    from experiments.causal_routing.report import MARKER, write
    from experiments.causal_routing.run import study
    from routerjax.support.atomic import check_free
    from routerjax.support.compilation import keep_compiled
    from routerjax.support.provenance import provenance

    check_free(options.out, marker=MARKER, overwrite=options.overwrite)
    keep_compiled()
    source = load_source(config)
    settings = {"config": config, "data": source.table.fingerprint}
    with (
        _progress(quiet=options.quiet) as on_progress,
        training.execution(
            options, options.out, settings=settings, on_progress=on_progress
        ) as execution,
    ):
        records = study(source, config, execution=execution)
    head = provenance(config=config, seed=0, data=source.table.fingerprint)
    methods = {r["method"] for r in records if r["record"] == "result"}
    written = write(
        options.out,
        records,
        head=head | {"seeds": list(range(config.seeds))},
        name=source.name,
        notices=source.notices,
        references=[m for m in methods if is_reference(m)],
        overwrite=options.overwrite,
    )
    print((options.out / "table.md").read_text())
    print("wrote " + ", ".join(str(path) for path in written))


def _options() -> argparse.Namespace:
    parser = Parser(
        prog="python -m experiments.causal_routing",
        description="Causal LLM Routing: methods × cost weights on logs simulated from a table.",
        formatter_class=Help,
    )
    parser.add_argument(
        "--preset", choices=tuple(PRESETS), default="quick", help="base configuration"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("results/causal_routing"), help="folder for the files"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an older results folder")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    _add_data(parser.add_argument_group("data"))
    _add_protocol(parser.add_argument_group("protocol"))
    _add_methods(parser.add_argument_group("methods"))
    training.add_options(parser)
    return parser.parse_args()


def _add_data(group) -> None:
    add = group.add_argument
    add("--dataset", help="routerbench, routerbench-5shot or sprout")
    add("--data", metavar="FILE", help="the data set's file, where it is not in the cache")
    add("--prices", metavar="FILE", help="dollars per million tokens, for sprout")
    add("--table", metavar="FILE", help="table file or hub id; else the synthetic embedded table")
    add("--embeddings", metavar="FILE.npy", help="[n, d] embeddings of the table's rows")
    add("--encoder", help="of a table's prompts")
    add(
        "--derive-cost",
        metavar="PREFIX=DOLLARS",
        type=_derived,
        help="cost of a model: its column PREFIX:MODEL times DOLLARS",
    )
    add("--queries", type=int, help="of the embedded table")


def _add_protocol(group) -> None:
    add = group.add_argument
    add("--rows", type=_integers, metavar="N,N,...", help="rows logged per seed, a study each")
    add(
        "--test-share",
        type=float,
        help="share kept for testing, drawn anew for every seed; "
        "the table's own test split if not given",
    )
    add("--seeds", type=int, help="repetitions")
    add("--cost-weights", type=numbers, metavar="L,L,...", help="grid of quality per dollar")
    add("--between", type=int, help="cost weights evaluated inside every interval of the grid")
    add(
        "--logging",
        type=_names,
        metavar="NAME,...",
        help="uniform, quality, cheap, epsilon, confounded",
    )
    add("--strength", type=numbers, metavar="S,S,...", help="of the softmax logging policies")
    add(
        "--record-propensities",
        action="store_true",
        default=None,
        help="methods know the log's propensities",
    )
    add(
        "--misspecified",
        action="store_true",
        help="outcome models stay at the arms' means, wrong on purpose",
    )
    add("--floor", type=float, help="propensities are clipped from below here")


def _add_methods(group) -> None:
    add = group.add_argument
    add(
        "--methods",
        type=_names,
        metavar="NAME,...",
        help="beginnings of names, as in rm-interval,knn; all if not given",
    )
    add(
        "--surrogates",
        type=_names,
        metavar="NAME,...",
        help="names, or FILE.py:FUNCTION of your own",
    )
    add("--estimators", type=_names, metavar="NAME,...", help="direct, ips, dr")
    add(
        "--separate-trunks",
        action="store_true",
        default=None,
        help="one network per cost weight of the grid",
    )
    add("--start", help="what routers start from: plug-in or best-single")
    add(
        "--learning-rate",
        type=numbers,
        metavar="R,R,...",
        help="of the routers; of several the best on held-out rows",
    )


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(","))


def _integers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        problem = f"{text!r} is not a list of whole numbers, as in 500,2000"
        raise argparse.ArgumentTypeError(problem) from None


def _derived(text: str) -> tuple[str, float]:
    prefix, equals, dollars = text.partition("=")
    try:
        return prefix, float(dollars)
    except ValueError:
        problem = f"{text!r} is not PREFIX=DOLLARS, as in resp_chars=0.000001"
        raise argparse.ArgumentTypeError(problem) from None


def _config(options: argparse.Namespace) -> StudyConfig:
    """The preset with the options given laid over it."""
    given = {name: value for name, value in vars(options).items() if value is not None}
    names = {field.name for field in dataclasses.fields(StudyConfig)}
    changes = {name: value for name, value in given.items() if name in names}
    if "table" in changes:
        changes.setdefault("dataset", None)
    config = dataclasses.replace(PRESETS[options.preset], **changes)
    settings = ("separate_trunks", "start", "learning_rate")
    router = {name: given[name] for name in settings if name in given}
    config = dataclasses.replace(config, router=dataclasses.replace(config.router, **router))
    if options.misspecified:
        schedule = dataclasses.replace(config.nuisance.schedule, max_epochs=0)
        nuisance = dataclasses.replace(config.nuisance, schedule=schedule)
        config = dataclasses.replace(config, nuisance=nuisance)
    return check(config)


@contextmanager
def _progress(*, quiet: bool) -> Iterator[OnProgress]:
    """One line on standard error: the step at hand, its epochs, and how many steps are done."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description:<64}"),
        BarColumn(bar_width=16),
        TextColumn("step {task.fields[step]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as bar:
        task = bar.add_task("reading", total=1, step=0)
        seen: set[str] = set()

        def on_progress(what: str, done: int, at_most: int) -> None:
            seen.add(what)
            bar.update(task, description=what, completed=done, total=at_most, step=len(seen))

        yield on_progress


if __name__ == "__main__":
    raise SystemExit(main())
