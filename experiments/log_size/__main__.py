"""python -m experiments.log_size --preset quick"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.log_size.config import PRESETS, SizeConfig, check
from routerjax.cli import study as studies
from routerjax.cli.app import Options, Parsed
from routerjax.cli.options import option
from routerjax.cli.study import Study

if TYPE_CHECKING:
    from experiments.log_size.run import Place

TEXT = """Routers from logs of several sizes against the best single model of the same log."""


@dataclasses.dataclass(frozen=True)
class Files:
    """Tables beside the embedded one.

    Attributes:
      tables: Wide tables, a column score:<model> each model.
      embeddings: Embeddings of their rows, FILE.<encoder>.npy for FILE.parquet. The prompts of the
        other tables are encoded.
      prices: Prices of models, from which costs are derived where a table has none.
    """

    tables: tuple[str, ...] = option((), "FILE,...")
    embeddings: tuple[str, ...] = option((), "FILE.npy,...")
    prices: Path | None = option(None, "FILE")


def main() -> int:
    """Run the study and write its files; returns the exit code."""
    return studies.main(
        "experiments.log_size",
        TEXT,
        PRESETS,
        _run,
        out="results/log_size",
        groups=[Options("Tables", Files())],
        without=("overwrite",),
    )


def _run(parsed: Parsed, config: SizeConfig) -> None:
    config, out, files = check(config), parsed[Study].out, parsed[Files]
    from experiments.log_size.compare import cells
    from experiments.log_size.data import sources
    from experiments.log_size.figure import plot
    from experiments.log_size.files import begin, save
    from experiments.log_size.report import report
    from experiments.log_size.run import places, study
    from routerjax.errors import InputError
    from routerjax.support.atomic import check_place, write_text
    from routerjax.support.compilation import keep_compiled

    path = out / "results.json"
    check_place(path)
    tables = sources(config, files.tables, embeddings=files.embeddings, prices=files.prices)
    planned = places(config, tables)
    if not planned:
        raise InputError("no table has enough rows to test beside the logs; give smaller --rows")
    results = begin(path, config, tables)
    keep_compiled()
    with _progress(len(planned), quiet=parsed[Study].quiet) as on_place:
        for record in study(config, tables, results["draws"], on_place=on_place):
            results["draws"].append(record)
            save(path, results)
    save(path, results)
    text = report(results)
    write_text(out / "table.md", text)
    plot(cells(results["draws"]), out / "log_size.png")
    print(text)
    print(f"wrote {path}, {out / 'table.md'}, {out / 'log_size.png'}")


@contextmanager
def _progress(total: int, *, quiet: bool) -> Iterator[Callable[[Place], None]]:
    """One line on standard error: which draw is measured."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:<44}"), BarColumn(bar_width=16), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as bar:
        task = bar.add_task("drawing logs", total=total)
        yield lambda place: bar.update(task, description=", ".join(map(str, place)), advance=1)


if __name__ == "__main__":
    raise SystemExit(main())
