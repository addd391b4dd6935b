"""python -m benchmarks.all: every benchmark, one after another, each within a time limit.

A benchmark that fails, that takes longer than its limit or that lacks what it needs is said and
passed over; what the others wrote stays. Names choose some of them; what follows `--` goes to each.
Claim: the exit code is 1 where one of them did not end well.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence

from benchmarks import measuring
from benchmarks.table import names

MINUTES = 15.0
NEED = {"given_workload": "--workload FILE", "accelerator": "an accelerator"}
"""What a benchmark needs that is not here; it runs where its name is given."""


def run(name: str, minutes: float, more: Sequence[str]) -> str:
    """Run a benchmark in a process of its own; returns how it ended, "done" where well."""
    command = [sys.executable, "-m", f"benchmarks.{name}", *more]
    try:
        ended = subprocess.run(command, timeout=60 * minutes)
    except subprocess.TimeoutExpired:
        return f"stopped after {minutes:g} minutes"
    return "done" if ended.returncode == 0 else f"failed with exit code {ended.returncode}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run them and say how each ended; returns the exit code."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("name", nargs="*", help="benchmarks to run; all that need nothing else")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="at most, each")
    parser.add_argument("--out", default=str(measuring.FOLDER), help="folder of the result files")
    own, more = _parted(sys.argv[1:] if arguments is None else arguments)
    given = parser.parse_args(own)
    if unknown := sorted(set(given.name) - set(names())):
        parser.error(f"there is no benchmark {unknown[0]!r}; there are {', '.join(names())}")
    ended = {}
    for name in given.name or [each for each in names() if each not in NEED]:
        print(f"{name} ...", flush=True)
        start = time.perf_counter()
        how = run(name, given.minutes, ["--out", given.out, *more])
        ended[name] = f"{how}, {time.perf_counter() - start:.0f} s"
    for name, how in ended.items():
        print(f"{name}: {how}")
    for name in () if given.name else NEED:
        print(f"{name}: left out, it needs {NEED[name]}")
    return int(any(not how.startswith("done") for how in ended.values()))


def _parted(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """What is before a `--`, and what is after it."""
    own = list(arguments)
    place = own.index("--") if "--" in own else len(own)
    return own[:place], own[place + 1 :]


if __name__ == "__main__":
    raise SystemExit(main())
