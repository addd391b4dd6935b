"""python -m experiments.surrogates --preset quick"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from experiments.surrogates.config import BASE, PRESETS, SurrogatesConfig, check
from routerjax.cli import study as studies
from routerjax.cli import training
from routerjax.cli.app import Options, Parsed
from routerjax.cli.options import Training
from routerjax.cli.study import Study

if TYPE_CHECKING:
    from routerjax.training.fit import OnProgress

TEXT = """Surrogates of routing regret, compared under one protocol."""


@dataclasses.dataclass(frozen=True)
class Mode:
    """How long it may take.

    Attributes:
      fast: The preset fast, and one sentence a surrogate: whether it is worth a night.
    """

    fast: bool = False


def main() -> int:
    """Run the comparison and write its files; returns the exit code."""
    return studies.main(
        "experiments.surrogates",
        TEXT,
        PRESETS,
        _run,
        out="results/surrogates",
        groups=[Options("Mode", Mode()), Options("Training", Training())],
        without=("overwrite",),
    )


def _run(parsed: Parsed, config: SurrogatesConfig) -> None:
    begun = time.process_time()
    if parsed[Mode].fast:
        config = parsed.over(PRESETS["fast"], SurrogatesConfig)
        if BASE not in config.surrogates:
            config = dataclasses.replace(config, surrogates=(BASE, *config.surrogates))
    config = check(config)
    from experiments.surrogates import leaderboard
    from experiments.surrogates.report import draw, report, write_results
    from experiments.surrogates.run import steps, study
    from routerjax.support.atomic import check_place, write_text
    from routerjax.support.compilation import keep_compiled

    out = parsed[Study].out
    check_place(out / "results.jsonl")
    keep_compiled()
    with (
        _progress(steps(config), quiet=parsed[Study].quiet) as on_progress,
        training.execution(
            parsed[Training], out, settings={"config": config}, on_progress=on_progress
        ) as execution,
    ):
        found, targets, source = study(config, execution=execution)
        fingerprint = source.record.fingerprint
        text = report(found, targets, source, config)
        board = leaderboard.of(found, source, config)
        board["processor_seconds"] = round(time.process_time() - begun)
        written = [write_results(out, found, config, fingerprint), out / "table.md"]
        write_text(written[-1], text)
        written.append(leaderboard.write(out / "leaderboard.json", board, config, fingerprint))
        written.append(out / "leaderboard.md")
        write_text(written[-1], leaderboard.page([board]))
        written.append(draw(out / "surrogates.png", found, config, source.name))
    if parsed[Mode].fast:
        seconds = f"{board['processor_seconds']} seconds of processor time."
        text = f"{leaderboard.worth_a_night(board)}\n{seconds}"
    print(text)
    print("wrote " + ", ".join(str(path) for path in written))


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
