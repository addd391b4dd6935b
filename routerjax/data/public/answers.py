"""Answers scored right or wrong in CSV files, as RouteLLM publishes them.

A row is a query: `prompt`, and per model a column of its name, True or False. A column
`<model>_response` beside it holds the answer itself and is not read.
"""

from __future__ import annotations

import csv
import os
import sys
from pathlib import Path

from routerjax.data.columns.arrays import quoted
from routerjax.data.public.cells import Cells, Query
from routerjax.errors import InputError
from routerjax.records.tables import Table

RESPONSE = "_response"
RIGHT = {"true": 1.0, "false": 0.0, "1": 1.0, "0": 0.0, "1.0": 1.0, "0.0": 0.0, "": None}


def read_answers(path: str | os.PathLike[str]) -> Table:
    """Read RouteLLM's files as a table of quality 1 (True) and 0 (False) whose costs are all 0.

    `task` is the name of the file, without "_responses"; a query that repeats is a row each time.

    Args:
      path: a .csv file, or a folder of them.

    Raises:
      InputError: no such files, a file without prompts or models, or a cell that is no truth value.
    """
    place = Path(path).expanduser()
    files = sorted(place.rglob("*.csv")) if place.is_dir() else [place]
    if not files:
        raise InputError("has no .csv files", source=str(path))
    cells = Cells(str(path))
    for file in files:
        _add(cells, file)
    return cells.table()


def _add(cells: Cells, file: Path) -> None:
    csv.field_size_limit(sys.maxsize)  # answers are long
    try:
        with open(file, newline="", encoding="utf-8-sig") as lines:
            reader = csv.DictReader(lines)
            names = list(reader.fieldnames or ())
            models = [n for n in names if n and n != "prompt" and not n.endswith(RESPONSE)]
            if "prompt" not in names or not models:
                problem = f"no columns 'prompt' and <model>; it has {', '.join(map(str, names))}"
                raise InputError(problem, source=str(file))
            task = file.stem.removesuffix("_responses")
            for row, values in enumerate(reader):
                query = Query(values["prompt"], task)
                for model in models:
                    score = _score(values[model], file, model, row)
                    cells.add((file.name, row), query, model, score)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise InputError(f"cannot be read as CSV ({reason})", source=str(file)) from None


def _score(value: str | None, file: Path, model: str, row: int) -> float | None:
    text = (value or "").strip().lower()
    if text not in RIGHT:
        problem = f"{quoted(text)} is neither True nor False"
        raise InputError(problem, source=str(file), field=model, row=row)
    return RIGHT[text]
