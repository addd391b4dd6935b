"""python -m experiments.surrogates --preset quick"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.surrogates.config import PRESETS, SurrogatesConfig, check
from routerjax.cli import training
from routerjax.cli.terminal import Help, Parser, exit_code

if TYPE_CHECKING:
    from routerjax.training.fit import OnProgress


def main() -> int:
    """Run the comparison and write its files; returns the exit code."""
    return exit_code(_run, prog="experiments.surrogates")


def _run() -> None:
    options = _options()
    config = _config(options)
    from experiments.surrogates.report import draw, report, write_results
    from experiments.surrogates.run import steps, study
    from routerjax.support.atomic import check_place, write_text
    from routerjax.support.compilation import keep_compiled

    out = options.out
    check_place(out / "results.jsonl")
    keep_compiled()
    with (
        _progress(steps(config), quiet=options.quiet) as on_progress,
        training.execution(
            options, out, settings={"config": config}, on_progress=on_progress
        ) as execution,
    ):
        found, targets, source = study(config, execution=execution)
        text = report(found, targets, config)
        written = [write_results(out, found, config, source.table.fingerprint), out / "table.md"]
        write_text(written[-1], text)
        written.append(draw(out / "surrogates.png", found, config))
    print(text)
    print("wrote " + ", ".join(str(path) for path in written))


def _options() -> argparse.Namespace:
    parser = Parser(
        prog="python -m experiments.surrogates",
        description="Surrogates of routing regret, compared under one protocol.",
        formatter_class=Help,
    )
    add = parser.add_argument
    add("--preset", choices=tuple(PRESETS), default="quick", help="base configuration")
    add("--out", type=Path, default=Path("results/surrogates"), help="folder for the files")
    add("--seeds", type=int, help="repetitions")
    add("--queries", type=int, help="of the embedded table")
    add("--surrogates", metavar="NAME,...", help="names, or FILE.py:FUNCTION of your own")
    add("--estimators", metavar="NAME,...", help="full-feedback, direct, ips, dr")
    add("--start", metavar="NAME,...", dest="starts", help="best-single, plug-in")
    add("--logging", metavar="NAME", help="policy that draws the log: uniform, quality, cheap")
    add("--quiet", action="store_true", help="no progress")
    training.add_options(parser)
    return parser.parse_args()


def _config(options: argparse.Namespace) -> SurrogatesConfig:
    """The preset with the options given laid over it."""
    given = {name: value for name, value in vars(options).items() if value is not None}
    names = {field.name for field in dataclasses.fields(SurrogatesConfig)}
    changes = {name: value for name, value in given.items() if name in names}
    for name in ("surrogates", "estimators", "starts"):
        if name in changes:
            changes[name] = tuple(changes[name].split(","))
    return check(dataclasses.replace(PRESETS[options.preset], **changes))


@contextmanager
def _progress(steps: int, *, quiet: bool) -> Iterator[OnProgress]:
    """One line on standard error: what is trained, its epochs, and which step of how many."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    step = TextColumn(f"step {{task.fields[step]}} of {steps}")
    columns = (
        TextColumn("{task.description:<56}"),
        BarColumn(bar_width=16),
        step,
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as bar:
        task = bar.add_task("drawing logs", total=1, step=0)
        begun: set[str] = set()

        def on_progress(what: str, done: int, at_most: int) -> None:
            begun.add(what.rpartition(", ")[0])  # a step may train several models
            bar.update(task, description=what, completed=done, total=at_most, step=len(begun))

        yield on_progress


if __name__ == "__main__":
    raise SystemExit(main())
