"""python -m experiments.times: the processor time of the studies, measured and put down.

Every run is a process of its own with an empty cache of compiled programs, as on the first day.
Without arguments the preset quick of every study is measured; with some, one run, as in
``python -m experiments.times causal_routing --preset paper --table mytable.parquet``. What is
measured goes to times.json, and from there into docs/reproduce.md; with --check alone nothing is
run or written, and the exit code is 1 where the page says other than the file.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.expected import in_step
from experiments.ope_coverage.report import filled
from routerjax.errors import InputError
from routerjax.reports.tables import markdown
from routerjax.support.atomic import write_text
from routerjax.support.provenance import dumps, provenance

HERE = Path(__file__).parent
RECORD, PAGE = HERE / "times.json", HERE.parent / "docs" / "reproduce.md"
STUDIES = tuple(sorted(path.parent.name for path in HERE.glob("*/__main__.py")))
MOST = 600
"""CPU seconds that a quick preset may take: ten minutes of one core, and so of two."""

Run = dict[str, Any]


def measured(study: str, arguments: Sequence[str]) -> Run:
    """Run a study in a process of its own, and say how long it took.

    Raises:
      InputError: no such study, or it failed.
    """
    import resource  # Unix alone

    if study not in STUDIES:
        raise InputError(f"no study {study!r}; known are {', '.join(STUDIES)}")
    with tempfile.TemporaryDirectory() as folder:
        out = ["--out", str(Path(folder, "out"))]
        command = [sys.executable, "-m", f"experiments.{study}", *arguments, *out]
        own = {**os.environ, "ROUTERJAX_CACHE": str(Path(folder, "cache"))}
        wall, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(command, env=own, stdout=subprocess.DEVNULL, check=False)
        wall, after = time.perf_counter() - wall, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise InputError(f"experiments.{study} failed with exit code {done.returncode}")
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    shown = " ".join(_without_folders(each) for each in arguments)
    return {
        "command": f"python -m experiments.{study} {shown}".strip(),
        "processor_seconds": round(processor),
        "seconds": round(wall),
        "provenance": provenance(config={"study": study, "arguments": shown}, seed=0, data=""),
    }


def _without_folders(argument: str) -> str:
    return ",".join(part.rsplit("/", maxsplit=1)[-1] for part in argument.split(","))


def is_quick(run: Run) -> bool:
    """Whether it is a study's preset quick as it stands."""
    return bool(run["command"].endswith("--preset quick"))


def table(runs: Sequence[Run]) -> str:
    """Markdown: a line a run, the quick presets first."""
    quick = sorted(runs, key=lambda run: not is_quick(run))
    head = ["run", "processor time"]
    return markdown(head, [[f"`{run['command']}`", _time(run)] for run in quick])


def _time(run: Run) -> str:
    seconds = run["processor_seconds"]
    return f"{seconds} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def read() -> list[Run]:
    """The runs measured so far."""
    found: list[Run] = json.loads(RECORD.read_text("utf-8")) if RECORD.is_file() else []
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, or check the page; returns the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given != ["--check"]:
        asked = [(given[0], given[1:])] if given else [(s, ["--preset", "quick"]) for s in STUDIES]
        for study, own in asked:
            run = measured(study, own)
            print(run["command"], _time(run))
            kept = [each for each in read() if each["command"] != run["command"]]
            runs = sorted([*kept, run], key=lambda each: each["command"])
            write_text(RECORD, "[\n" + ",\n".join(map(dumps, runs)) + "\n]\n")
    text = filled(PAGE.read_text("utf-8"), table(read()), mark="times")
    return in_step({PAGE: text}, check=given == ["--check"])


if __name__ == "__main__":
    raise SystemExit(main())
