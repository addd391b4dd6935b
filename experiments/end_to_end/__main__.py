"""python -m experiments.end_to_end --preset quick"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from experiments.end_to_end.config import PRESETS, EndToEndConfig, check
from experiments.log_size.__main__ import Files
from routerjax.cli import study as studies
from routerjax.cli.app import Options, Parsed
from routerjax.cli.study import Study

if TYPE_CHECKING:
    from experiments.end_to_end.run import Place

TEXT = """Routers trained end to end against predict-then-choose with the same outcome model."""
SAME = ("cost_weights", "test_rows", "surrogates", "estimators", "starts", "router", "validation")
"""Settings that all draws of a results file share."""


def main() -> int:
    """Run the study and write its files; returns the exit code."""
    return studies.main(
        "experiments.end_to_end",
        TEXT,
        PRESETS,
        _run,
        out="results/end_to_end",
        groups=[Options("Tables", Files())],
        without=("overwrite",),
    )


def _run(parsed: Parsed, config: EndToEndConfig) -> None:
    config, out, files = check(config), parsed[Study].out, parsed[Files]
    from experiments.end_to_end.figure import plot
    from experiments.end_to_end.report import report
    from experiments.end_to_end.run import cells, study
    from experiments.log_size.data import read_all
    from experiments.log_size.files import begin, save
    from routerjax.support.atomic import check_place, write_text
    from routerjax.support.compilation import keep_compiled

    path = out / "results.json"
    check_place(path)
    tables = read_all(files.tables, embeddings=files.embeddings, prices=files.prices)
    results = begin(path, config, tables, same=SAME)
    keep_compiled()
    total = config.seeds * len(cells(config, tables))
    with _progress(total, quiet=parsed[Study].quiet) as on_place:
        for record in study(config, tables, results["draws"], on_place=on_place):
            results["draws"].append(record)
            save(path, results)
    save(path, results)
    text = report(results)
    write_text(out / "table.md", text)
    plot(results, out / "end_to_end.png")
    print(text)
    print(f"wrote {path}, {out / 'table.md'}, {out / 'end_to_end.png'}")


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
