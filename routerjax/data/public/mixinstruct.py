"""MixInstruct: eleven models' answers to instructions, with automatic scores, in JSON lines.

A line is a query: `instruction`, `input`, and `candidates`, each with `model` and `scores`. Its
quality here is `scores.bertscore`, the BERTScore against the reference output.

Reference: Jiang, Ren, Lin (2023), LLM-Blender (arXiv 2306.02561).
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from routerjax.data.public.cells import Cells, Query
from routerjax.errors import InputError
from routerjax.records.tables import Table

SPLITS = {"train": "train", "val": "validation", "test": "test"}
PATTERN = "*_data_prepared.jsonl"
SCORE = "bertscore"


def read_mixinstruct(path: str | os.PathLike[str]) -> Table:
    """Read MixInstruct as a table that keeps its splits and whose costs are all 0.

    A prompt is the instruction and the input, one below the other. Candidates without the score
    are missing cells.

    Args:
      path: a .jsonl file, or a folder of those of train, val and test, of which some may lack.

    Raises:
      InputError: no such files, or a line of another form.
    """
    place = Path(path).expanduser()
    files = sorted(place.glob(PATTERN)) if place.is_dir() else [place]
    if not files:
        raise InputError(f"has no {PATTERN}", source=str(path))
    cells = Cells(str(path))
    for file in files:
        split = next((own for name, own in SPLITS.items() if file.name.startswith(name)), "")
        try:
            with open(file, encoding="utf-8") as lines:
                for row, line in enumerate(lines):
                    if line.strip():
                        _add(cells, (file.name, row), line, split)
        except OSError as error:
            raise InputError(f"cannot be read ({error.strerror})", source=str(file)) from None
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            if isinstance(error, InputError):
                raise
            problem = f"is no query of MixInstruct ({type(error).__name__})"
            raise InputError(problem, source=str(file), row=row) from None
    return cells.table()


def _add(cells: Cells, key: tuple[str, int], line: str, split: str) -> None:
    content: dict[str, Any] = json.loads(line)
    parts = [str(content.get(name) or "").strip() for name in ("instruction", "input")]
    query = Query("\n\n".join(filter(None, parts)), str(content["id"]).split("/")[0], split)
    for candidate in content["candidates"]:
        cells.add(key, query, str(candidate["model"]), candidate["scores"].get(SCORE))
