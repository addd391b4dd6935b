"""python -m experiments.surrogates --preset quick"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from experiments.surrogates.config import PRESETS, SurrogatesConfig, check
from routerjax.cli import study as studies
from routerjax.cli import training
from routerjax.cli.app import Options, Parsed
from routerjax.cli.options import Training
from routerjax.cli.study import Study

if TYPE_CHECKING:
    from routerjax.training.fit import OnProgress

TEXT = """Surrogates of routing regret, compared under one protocol."""


def main() -> int:
    """Run the comparison and write its files; returns the exit code."""
    return studies.main(
        "experiments.surrogates",
        TEXT,
        PRESETS,
        _run,
        out="results/surrogates",
        groups=[Options("Training", Training())],
        without=("overwrite",),
    )


def _run(parsed: Parsed, config: SurrogatesConfig) -> None:
    config = check(config)
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
        text = report(found, targets, config)
        written = [write_results(out, found, config, source.table.fingerprint), out / "table.md"]
        write_text(written[-1], text)
        written.append(draw(out / "surrogates.png", found, config))
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
