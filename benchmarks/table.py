"""python -m benchmarks.table: the table of all benchmarks, made from their result files.

Every module beside this one but those the benchmarks share is a benchmark: its AIM says what was
aimed at, its `row` what results/NAME.json says of it. The table is written between the markers of
README.md and benchmarks/README.md. Claim: with --check nothing is written, and the exit code is
1 if one of them says other than the result files.
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import measuring
from routerjax.errors import InputError
from routerjax.support.atomic import write_text

HERE = Path(__file__).parent
READMES = (HERE.parent / "README.md", HERE / "README.md")
MEASURED = ("plain_interval", "plain_loop", "problems")
SHARED = ("__init__", "all", "measuring", "parity", *MEASURED, "table")
"""Shared ones that are part of what is measured."""
START, END = "<!-- benchmarks -->", "<!-- /benchmarks -->"
HEAD = ("benchmark", "aim", "measured", "met", "machine")


def names() -> list[str]:
    """Every benchmark, whether or not it was ever run."""
    return sorted(path.stem for path in HERE.glob("*.py") if path.stem not in SHARED)


def table(folder: Path = measuring.FOLDER) -> str:
    """Markdown: a line a benchmark, in the words of its module and the numbers of its file."""
    lines = [HEAD, ["---"] * len(HEAD), *(_line(name, folder) for name in names())]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _line(name: str, folder: Path) -> Sequence[str]:
    benchmark, path = importlib.import_module(f"benchmarks.{name}"), folder / f"{name}.json"
    if not path.exists():
        return f"`{name}`", benchmark.AIM, "not run", "", ""
    result = json.loads(path.read_text(encoding="utf-8"))
    measured, met = benchmark.row(result)
    verdict = "yes" if all(met) else "in part" if any(met) else "no"
    return f"`{name}`", benchmark.AIM, measured, verdict, _machine(result)


def _machine(result: dict[str, Any]) -> str:
    """Cores, and the accelerators there were."""
    machine = result["machine"]
    kinds = [kind for kind in result.get("devices", ()) if not kind.startswith("cpu")]
    return ", ".join([f"{machine['cores']} cores, {machine['cpu']}", *kinds])


def filled(text: str, table: str) -> str:
    """The text with the table between its markers.

    Raises:
      InputError: it has no markers.
    """
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not end:
        raise InputError(
            f"the table of benchmarks goes between {START} and {END}; they are missing"
        )
    return f"{before}{start}\n\n{table}\n\n{end}{after}"


def out_of_step(table: str) -> list[Path]:
    """The files that do not hold this table."""
    texts = {path: path.read_text(encoding="utf-8") for path in READMES}
    return [path for path, text in texts.items() if filled(text, table) != text]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the table, or check it; returns the exit code."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("--check", action="store_true", help="write nothing, say what is stale")
    parser.add_argument(
        "--results", type=Path, default=measuring.FOLDER, help="folder of the result files"
    )
    given = parser.parse_args(arguments)
    made = table(given.results)
    stale = out_of_step(made)
    if given.check:
        for path in stale:
            print(
                f"{path.relative_to(HERE.parent)}: not what the result files say; "
                "run python -m benchmarks.table",
                file=sys.stderr,
            )
        return 1 if stale else 0
    for path in stale:
        write_text(path, filled(path.read_text(encoding="utf-8"), made))
    print(made)
    print(*changed_since(given.results), sep="\n")
    return 0


def changed_since(folder: Path) -> list[str]:
    """A sentence for every result whose code was changed after it was measured."""
    found = []
    for name in names():
        path = folder / f"{name}.json"
        if not path.exists():
            continue
        commit = json.loads(path.read_text(encoding="utf-8"))["git_commit"]
        measured = ["routerjax", f"experiments/{name}"]
        measured += [f"benchmarks/{own}.py" for own in (name, *MEASURED)]
        if commit.endswith("+"):
            commit = commit.removesuffix("+")
            found.append(f"{name}: files differed from the commit {commit} that it names")
        command = ["git", "-C", str(HERE.parent), "rev-list", "--count", f"{commit}..HEAD", "--"]
        told = subprocess.run([*command, *measured], capture_output=True, text=True)
        if told.returncode:
            found.append(f"{name}: measured at {commit}, which this checkout does not have")
        elif int(told.stdout):
            found.append(
                f"{name}: the code it measured was changed by {int(told.stdout)} commits since"
            )
    return found


if __name__ == "__main__":
    raise SystemExit(main())
