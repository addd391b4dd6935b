"""python -m experiments.ope_coverage --preset quick"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from experiments.ope_coverage.config import PRESETS, CoverageConfig, check
from routerjax.cli import study as studies
from routerjax.cli.app import Parsed
from routerjax.cli.study import Study

if TYPE_CHECKING:
    from experiments.ope_coverage.cell import Kind

TEXT = """Coverage of the intervals of a policy's value, on logs whose truth is known."""


def main() -> int:
    """Run the study and write its files; returns the exit code."""
    return studies.main(
        "experiments.ope_coverage",
        TEXT,
        PRESETS,
        _run,
        out="results/ope_coverage",
        without=("overwrite",),
    )


def _run(parsed: Parsed, config: CoverageConfig) -> None:
    config, out = check(config), parsed[Study].out
    from experiments.ope_coverage.report import report, write_results
    from experiments.ope_coverage.run import kinds, study
    from routerjax.support.atomic import check_place, write_text
    from routerjax.support.compilation import keep_compiled

    check_place(out / "results.json")
    keep_compiled()
    with _progress(len(kinds(config)), quiet=parsed[Study].quiet) as on_kind:
        cells, null = study(config, on_kind=on_kind)
    results = write_results(out / "results.json", cells, null, config)
    text = report(results)
    write_text(out / "table.md", text)
    print(text)
    print(f"wrote {out / 'results.json'}, {out / 'table.md'}")


@contextmanager
def _progress(total: int, *, quiet: bool) -> Iterator[Callable[[Kind], None]]:
    """One line on standard error: which kind of log is measured."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:<44}"), BarColumn(bar_width=16), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as bar:
        task = bar.add_task("drawing logs", total=total)
        begun = 0

        def on_kind(kind: Kind) -> None:
            nonlocal begun
            bar.update(task, description=", ".join(map(str, kind)), completed=begun)
            begun += 1

        yield on_kind


if __name__ == "__main__":
    raise SystemExit(main())
