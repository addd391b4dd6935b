"""Published values beside ours: a study's expected.json, its verdicts, and the check for drift.

A line of expected.json holds item, published (null where unknown), tolerance, source, data and
command, as people write them; and ours, ours_on and verdict, which are filled in from the study's
committed results and never typed.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from routerjax.reports.tables import markdown
from routerjax.support.atomic import write_text
from routerjax.support.provenance import dumps

Line = dict[str, Any]


class Ours(NamedTuple):
    """Our value of an item.

    Attributes:
      value: it; NaN where it was not reached.
      on: the data it was found on, in words.
      same: whether these are the data of the published value.
    """

    value: float
    on: str
    same: bool


def verdict(line: Line, ours: Ours | None) -> str:
    """What may be said of a published value and ours, in words."""
    if line["published"] is None:
        return "unknown: no value is known to us"
    if ours is None:
        return "not run" if line.get("command") else "no such method or data here"
    if not ours.same:
        return "other data: the two numbers cannot be compared"
    gap = abs(ours.value - line["published"])
    return "within the tolerance" if gap <= line["tolerance"] else "outside the tolerance"


def filled(lines: Sequence[Line], ours_of: Callable[[Line], Ours | None]) -> list[Line]:
    """The lines with ours, ours_on and verdict as the committed results have them."""
    found = []
    for line in lines:
        ours = ours_of(line)
        value = None if ours is None or math.isnan(ours.value) else round(ours.value, 4)
        on = None if ours is None else ours.on
        found.append({**line, "ours": value, "ours_on": on, "verdict": verdict(line, ours)})
    return found


def without_folders(config: Line) -> Line:
    """A configuration whose files are named without the folders in which one machine has them."""
    files = ("table", "data", "prices", "embeddings", "labels")
    named = {name: Path(config[name]).name for name in files if config.get(name)}
    return {**config, **named}


def read(path: Path) -> list[Line]:
    """The lines of an expected.json."""
    lines: list[Line] = json.loads(path.read_text(encoding="utf-8"))
    return lines


def text_of(lines: Sequence[Line]) -> str:
    """The lines as the file holds them."""
    return json.dumps(list(lines), indent=2, ensure_ascii=False) + "\n"


def table(lines: Sequence[Line]) -> str:
    """Markdown: item, published value, ours and the verdict."""
    head = ["item", "published", "tolerance", "ours", "ours on", "verdict"]

    def shown(value: float | None) -> str:
        return "" if value is None else f"{value:.4g}"

    return markdown(
        head,
        [
            [
                f"{line['item']} ({line['source']})",
                shown(line["published"]),
                shown(line["tolerance"]),
                shown(line["ours"]),
                line["ours_on"] or "",
                line["verdict"],
            ]
            for line in lines
        ],
    )


def command(
    study: str,
    recorded: Path,
    condensed: Callable[[Path], Any],
    files: Callable[[], dict[Path, str]],
    arguments: Sequence[str] | None = None,
) -> int:
    """Keep a run of a study, or write or check what is made of the kept ones.

    Args:
      study: its module, for the help.
      recorded: folder of the kept results.
      condensed: what is kept of a folder that the study wrote.
      files: as the kept results would have them.
      arguments: of the command line.

    Returns:
      The exit code.
    """
    parser = argparse.ArgumentParser(f"python -m experiments.{study}.recorded")
    parser.add_argument("--add", nargs=2, metavar=("NAME", "RESULTS"), help="keep a run")
    parser.add_argument("--check", action="store_true", help="write nothing, say what is stale")
    given = parser.parse_args(arguments)
    if given.add:
        name, folder = given.add
        write_text(recorded / f"{name}.json", dumps(condensed(Path(folder))) + "\n")
        return 0
    return in_step(files(), check=given.check)


def in_step(files: dict[Path, str], *, check: bool) -> int:
    """Write the files, or with `check` say which are stale; returns the exit code."""
    stale = [
        path
        for path, text in files.items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]
    for path in stale:
        if check:
            print(f"{path.name}: not what the committed results say; run this without --check")
        else:
            write_text(path, files[path])
    return 1 if check and stale else 0
