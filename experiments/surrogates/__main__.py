"""python -m experiments.surrogates --preset quick"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from experiments.surrogates.config import PRESETS, SurrogatesConfig, check
from routerjax.terminal import Help, Parser, exit_code


def main() -> int:
    """Run the comparison and write its files; returns the exit code."""
    return exit_code(_run, prog="experiments.surrogates")


def _run() -> None:
    options = _options()
    config = _config(options)
    from experiments.surrogates.report import draw, report, write_results
    from experiments.surrogates.run import steps, study
    from routerjax.atomic import check_place, write_text
    from routerjax.compilation import keep_compiled

    out = options.out
    check_place(out / "results.jsonl")
    keep_compiled()
    with _progress(steps(config), quiet=options.quiet) as on_done:
        found, targets, source = study(config, on_done=on_done)
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
def _progress(total: int, *, quiet: bool) -> Iterator[Callable[[str], None]]:
    """A callback for a step that is done, shown on standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:<40}"), BarColumn(bar_width=24),
               MofNCompleteColumn(), TimeElapsedColumn())  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as bar:
        task = bar.add_task("outcome models and propensities", total=total)
        yield lambda name: bar.update(task, advance=1, description=f"done: {name}")


if __name__ == "__main__":
    raise SystemExit(main())
