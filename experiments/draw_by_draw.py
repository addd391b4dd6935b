"""Studies of tables that measure one draw after another: what they have in common.

Their command line, the draws that an earlier run has left to do, progress, and the files that are
written: results.json after every draw, table.md and a figure at the end.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from experiments.results_file import begin, save
from routerjax.cli import study as studies
from routerjax.cli.app import Options, Parsed
from routerjax.cli.options import option
from routerjax.cli.study import Study

RESULTS, TABLE = "results.json", "table.md"
Record = dict[str, Any]


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


class Plan(NamedTuple):
    """What a study measures, and what it makes of it.

    Attributes:
      tables: facts of each table, for the head of the results.
      same: settings that all draws of a results file share.
      places: every draw, in order, as a record of fields that its record holds too.
      measure: the record of a draw.
      report: the tables of some results, as Markdown.
      plot: writes the figure of some results.
      figure: its name.
    """

    tables: Sequence[Record]
    same: Sequence[str]
    places: Sequence[Any]
    measure: Callable[[Any], Record]
    report: Callable[[Record], str]
    plot: Callable[[Record, Path], object]
    figure: str


def main(
    name: str,
    text: str,
    presets: Mapping[str, Any],
    run: Callable[[Parsed, Any], None],
) -> int:
    """Run the command line of experiments.NAME; returns the exit code.

    Args:
      name: of the study, and of its folder of results.
      text: its help.
      presets: configurations by name, "quick" among them.
      run: called with what was parsed and the configuration.
    """
    from routerjax.support.atomic import check_place

    def checked(parsed: Parsed, config: Any) -> None:
        check_place(parsed[Study].out / RESULTS)
        run(parsed, config)

    return studies.main(
        f"experiments.{name}",
        text,
        presets,
        checked,
        out=f"results/{name}",
        groups=[Options("Tables", Files())],
        without=("overwrite",),
    )


def run(options: Study, config: Any, plan: Plan) -> None:
    """Measure what the results in the folder lack, and write all files.

    Raises:
      InputError: the results there are of other settings or other rows.
    """
    from routerjax.support.atomic import write_text
    from routerjax.support.compilation import keep_compiled

    path = options.out / RESULTS
    results = begin(path, config, plan.tables, same=plan.same)
    keep_compiled()
    left = remaining(plan.places, results["draws"])
    with progress(len(left), "drawing logs", quiet=options.quiet) as on_place:
        for place in left:
            on_place(", ".join(map(str, place)))
            results["draws"].append(plan.measure(place))
            save(path, results)  # what is measured survives an interruption
    save(path, results)
    text = plan.report(results)
    write_text(options.out / TABLE, text)
    plan.plot(results, options.out / plan.figure)
    print(text)
    print(f"wrote {path}, {options.out / TABLE}, {options.out / plan.figure}")


def remaining(places: Sequence[Any], done: Sequence[Record]) -> list[Any]:
    """The places, named tuples, that no record agrees with in every field."""
    if not places:
        return []
    fields = places[0]._fields
    known = {tuple(record[name] for name in fields) for record in done}
    return [place for place in places if tuple(place) not in known]


@contextmanager
def progress(total: int, begun: str, *, quiet: bool) -> Iterator[Callable[[str], None]]:
    """One line on standard error: what is measured, of so many.

    Args:
      total: number of places.
      begun: what is said before the first.
      quiet: nothing is shown.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:<44}"), BarColumn(bar_width=16), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as bar:
        task = bar.add_task(begun, total=total)
        yield lambda place: bar.update(task, description=place, advance=1)
