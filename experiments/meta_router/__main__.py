"""python -m experiments.meta_router --preset quick"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

from experiments.meta_router.config import PRESETS, MetaRouterConfig, check
from routerjax.cli import training
from routerjax.cli.terminal import Parser, exit_code
from routerjax.pipelines.regressions import LEARNERS, REGRESSIONS

MARKER = "results.jsonl"


def main() -> int:
    """Run the study and write its folder; returns the exit code."""
    return exit_code(_run, prog="experiments.meta_router")


def _run() -> None:
    options = _options()
    config = _config(options)
    from experiments.meta_router.data import sources
    from experiments.meta_router.report import tables, write
    from experiments.meta_router.run import Blocks, study
    from routerjax.support.atomic import check_free, new_folder
    from routerjax.support.compilation import keep_compiled
    from routerjax.support.provenance import versions

    check_free(options.out, marker=MARKER, overwrite=options.overwrite)
    keep_compiled()
    each = list(sources(config))
    data = [source.fingerprint for source in each]
    settings = {"config": config, "data": data, "versions": versions()}
    outcomes = []
    with training.store(options.out, whole=Blocks.FILES, resume=options.resume) as store:
        for number, source in enumerate(each):
            total = -(-config.runs // config.block) * config.block
            kept = Blocks(store / f"study-{number}", settings)
            with _progress(source.name, total, quiet=options.quiet) as on_block:
                outcomes += study(config, source, on_block=on_block, kept=kept)
        with new_folder(options.out, marker=MARKER, overwrite=options.overwrite) as folder:
            write(folder, outcomes, config)
    print(tables(outcomes))
    print(f"wrote {options.out}")


def _options() -> argparse.Namespace:
    parser = Parser(
        prog="python -m experiments.meta_router",
        description="Meta-Router: few gold labels, many biased ones; the paper's protocol.",
    )
    add = parser.add_argument
    add("--preset", choices=tuple(PRESETS), default="quick", help="base configuration")
    add("--out", type=Path, default=Path("results/meta_router"), help="folder for the files")
    add("--overwrite", action="store_true", help="replace an older results folder")
    add("--labels", metavar="FILE", help="csv, parquet or jsonl with both labels; else synthetic")
    add("--gold", metavar="COL", help="column of the gold gain (default GL)")
    add("--preference", metavar="COL", nargs="+", help="columns of preference gains (default PL)")
    add("--group", metavar="COL", help="equal where a query repeats (default prompt)")
    add("--embeddings", metavar="FILE.npy", help="features, a row for every row of the file")
    add("--encoder", help="of the prompts (default wordllama)")
    add("--components", type=int, help="principal components; 0 keeps the columns")
    add("--rows", type=int, help="synthetic rows; of a file, rows drawn a run, 0 for all")
    add("--bias", nargs="+", metavar="NAME", help="none, constant, smooth, rough, flips")
    add("--strength", type=float, help="of the synthetic bias")
    add("--assignment", nargs="+", metavar="NAME", help="random, dependent")
    add("--gold-rows", type=_integers, metavar="N,N,...", help="numbers of gold rows")
    add("--test-rows", type=int, help="test rows a run")
    add("--runs", type=int, help="repetitions")
    add("--nuisance", choices=tuple(REGRESSIONS), help="regression used throughout")
    add("--learners", choices=tuple(LEARNERS), nargs="+", help="of the bias, one method each")
    add("--folds", type=int, help="of the cross-fitting")
    add("--omega", type=_omega, help="weight of a preference row, or 'chosen'")
    add(
        "--as-published",
        action="store_true",
        default=None,
        help="also run what the authors' script does",
    )
    add(
        "--block",
        type=int,
        help="runs a call of the compiled program, kept in OUT.checkpoints until all are done",
    )
    add("--resume", action="store_true", help="take up the blocks an interrupted run left there")
    add("--seed", type=int, help="of every key")
    add("--quiet", action="store_true", help="no progress")
    return parser.parse_args()


def _config(options: argparse.Namespace) -> MetaRouterConfig:
    """The preset with the options given laid over it."""
    names = {field.name for field in dataclasses.fields(MetaRouterConfig)}
    given = {k: v for k, v in vars(options).items() if k in names and v is not None}
    given = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
    if given.get("omega") == "chosen":
        given["omega"] = None
    return check(dataclasses.replace(PRESETS[options.preset], **given))


def _integers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        problem = f"'{text}' is not a list of whole numbers such as 50,100"
        raise argparse.ArgumentTypeError(problem) from None


def _omega(text: str) -> float | str:
    if text == "chosen":
        return text
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is neither a number nor 'chosen'") from None


@contextlib.contextmanager
def _progress(name: str, runs: int, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """A bar over the runs of a study, on standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description:<40}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("runs"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as bar:
        task = bar.add_task(name, total=runs)
        yield lambda done: bar.advance(task, done)


if __name__ == "__main__":
    raise SystemExit(main())
