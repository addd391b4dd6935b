"""python -m benchmarks.rows_scaling: time and memory of a whole fit, ten thousand rows and up.

Claim: a log of 1,000,000 rows × 256 dimensions × 10 models is fitted end to end by the defaults
(outcome models, propensities, the cross-fitted page) and evaluated on another log of a tenth of
the rows in under 5 minutes and 4 GiB on two cores; with embeddings left on disk it gives the same
router in less memory. As many rows of 1,024 dimensions are fitted under 8 GiB (--wide ROWS; 0
leaves that out). Logs are files, every size is a fresh process, and exponents are slopes of
logarithms.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import measuring

SIZES = (10_000, 30_000, 100_000, 300_000, 1_000_000)
KINDS = {"in memory": None, "on disk": 1}
"""Bytes of embeddings that may be in memory."""
MOST_SECONDS, MOST_GIBIBYTES = 300.0, 4.0
DIMENSIONS, WIDE, MOST_WIDE = 256, 1024, 8.0
AIM = (
    f"{SIZES[-1]:,} rows fitted and evaluated in {MOST_SECONDS / 60:g} minutes and "
    f"{MOST_GIBIBYTES:g} GiB; left on disk, the same router; of {WIDE:,} dimensions in "
    f"{MOST_WIDE:g} GiB"
)


def make(rows: int, folder: Path, dimensions: int = DIMENSIONS) -> None:
    """Write the log to fit and the log to judge by, embeddings apart."""
    from benchmarks.problems import log
    from routerjax.data.io.writing import write_log

    for seed, count in enumerate((rows, rows // 10)):
        made = log(count, dimensions, 10, seed=seed)
        np.save(folder / f"{seed}.npy", made.features)
        # A prompt stands in for the embedding, which is read from the other file; prompts that
        # both logs held would be queries that the router was fitted on.
        prompts = tuple(f"{seed}: {row}" for row in range(count))
        write_log(made.replace(embeddings=None, prompts=prompts), folder / f"{seed}.parquet")


def child(folder: Path, kind: str) -> None:
    """Read, fit and evaluate once; print one JSON line."""
    from routerjax.data.io.files import read_log
    from routerjax.pipelines.evaluate import evaluate
    from routerjax.pipelines.fit_log import fit
    from routerjax.training.checkpoint import digest

    def read(name: str):
        path = folder / f"{name}.parquet"
        return read_log(path, embeddings=folder / f"{name}.npy", in_memory=KINDS[kind])

    with _peak_of_anonymous_memory() as peak:
        start = time.perf_counter()
        given, other = read("0"), read("1")
        done_reading = time.perf_counter()
        router = fit(given)
        fitted = time.perf_counter()
        evaluation = evaluate(router, other)
        end = time.perf_counter()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    gain = [line.advantage for line in evaluation.lines if line.method == "router"]
    found = {
        "read_seconds": done_reading - start,
        "fit_seconds": fitted - done_reading,
        "evaluate_seconds": end - fitted,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_gibibytes": usage.ru_maxrss / 2**20,
        "peak_anonymous_gibibytes": peak[0] / 2**20,
        "gain_over_best_single": float(np.mean([each.mean for each in gain])),
        "router": digest(router.arrays),
    }
    print(json.dumps(found))


@contextlib.contextmanager
def _peak_of_anonymous_memory() -> Iterator[list[int]]:
    """KiB that no file backs, at most, as seen ten times a second; 0 where /proc is not there."""
    peak, done, status = [0], threading.Event(), Path("/proc/self/status")

    def watch() -> None:
        while status.exists() and not done.wait(0.1):
            own = [line for line in status.read_text().splitlines() if line.startswith("RssAnon")]
            peak[0] = max([peak[0], *(int(line.split()[1]) for line in own)])

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()


def row(figures: dict[str, Any]) -> measuring.Row:
    """Of the largest size, in memory and on disk; seconds and memory of the former."""
    count = max(map(int, figures["sizes"]["in memory"]))
    largest = {kind: own[str(count)] for kind, own in figures["sizes"].items()}
    parts = [
        f"{kind} fit {own['fit_seconds']:.0f} s, evaluate {own['evaluate_seconds']:.0f} s, peak "
        f"{own['peak_gibibytes']:.1f} GiB"
        for kind, own in largest.items()
    ]
    own, wide = largest["in memory"], figures["wide"]
    enough, same = count >= SIZES[-1], figures["same_router"]
    parts.append("the same router" if same else "routers differ")
    if wide is not None:
        parts.append(
            f"{wide['rows']:,} × {WIDE:,}: fit {wide['fit_seconds']:.0f} s, evaluate "
            f"{wide['evaluate_seconds']:.0f} s, peak {wide['peak_gibibytes']:.1f} GiB"
        )
    enough_wide = wide is not None and wide["rows"] >= SIZES[-1]
    return measuring.Row(
        f"{count:,} rows: {'; '.join(parts)}",
        (
            enough and own["fit_seconds"] + own["evaluate_seconds"] <= MOST_SECONDS,
            enough and own["peak_gibibytes"] <= MOST_GIBIBYTES,
            same,
            enough_wide and wide["peak_gibibytes"] <= MOST_WIDE,
        ),
    )


def main() -> None:
    """Measure, print, write."""
    parser = measuring.options(__doc__, repeats=1)
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="numbers of rows")
    parser.add_argument("--wide", type=int, default=SIZES[-1], help="rows of 1,024 dimensions")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--make", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.make:
        make(int(given.make[0]), Path(given.make[1]), int(given.make[2]))
    elif given.child:
        child(Path(given.child[0]), given.child[1])
    else:
        sizes = [int(size) for size in given.sizes.split(",")]
        _measure(sizes, given.repeats, given.wide, given.out)


def _measure(sizes: list[int], repeats: int, wide: int, out: Path) -> None:
    figures: dict[str, dict[int, dict[str, float]]] = {kind: {} for kind in KINDS}
    for rows in sizes:
        with tempfile.TemporaryDirectory() as folder:
            _call("--make", str(rows), folder, str(DIMENSIONS))
            runs: dict[str, list] = {kind: [] for kind in KINDS}
            for kind in list(KINDS) * repeats:
                runs[kind].append(json.loads(_call("--child", folder, kind)))
            for kind, each in runs.items():
                own = sorted(each, key=lambda run: run["fit_seconds"])[repeats // 2]
                figures[kind][rows] = own
                _say(f"{rows:>9,} rows {kind}", own)
    exponents = {kind: _exponents(own) for kind, own in figures.items()} if len(sizes) > 1 else {}
    for kind, own in exponents.items():
        print(f"exponents {kind}: " + ", ".join(f"{name} {e:.2f}" for name, e in own.items()))
    same = all(len({figures[kind][rows]["router"] for kind in KINDS}) == 1 for rows in sizes)
    print("the routers are the same" if same else "the routers differ")
    result = {"sizes": figures, "exponents": exponents, "same_router": same, "wide": _wide(wide)}
    measuring.write("rows_scaling", result, out)


def _wide(rows: int) -> dict[str, Any] | None:
    """A log of as many rows of wide embeddings, read as a file is by default; None of none."""
    if rows == 0:
        return None
    with tempfile.TemporaryDirectory() as folder:
        _call("--make", str(rows), folder, str(WIDE))
        own = json.loads(_call("--child", folder, "in memory"))
    _say(f"{rows:>9,} rows of {WIDE:,} dimensions", own)
    return {"rows": rows, **own}


def _say(of: str, own: dict[str, float]) -> None:
    print(
        f"{of}: fit {own['fit_seconds']:.0f} s, evaluate {own['evaluate_seconds']:.0f} s, "
        f"{own['cpu_seconds']:.0f} CPU s, peak {own['peak_gibibytes']:.1f} GiB, of which no file "
        f"backs {own['peak_anonymous_gibibytes']:.1f}",
        flush=True,
    )


def _call(*arguments: str) -> str:
    command = [sys.executable, "-m", "benchmarks.rows_scaling", *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.splitlines()[-1] if done.stdout else ""


def _exponents(figures: dict[int, dict[str, float]]) -> dict[str, float]:
    """Slopes of the logarithms of time and memory in that of the number of rows."""
    sizes, names = np.log(list(figures)), ("fit_seconds", "cpu_seconds", "peak_gibibytes")
    values = {name: np.log([own[name] for own in figures.values()]) for name in names}
    return {name: float(np.polyfit(sizes, values[name], 1)[0]) for name in names}


if __name__ == "__main__":
    main()
