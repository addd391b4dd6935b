"""python -m benchmarks.rows_scaling: time and memory of a whole fit, ten thousand rows and up.

Claim: a log of 1,000,000 rows × 256 dimensions × 10 models is fitted end to end (nuisances, dr
estimates, interval router) and evaluated on another log of a tenth of the rows in under 10
minutes and 8 GiB on two cores. Every size is a fresh process; exponents are slopes of
logarithms.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time

import numpy as np

from benchmarks import measuring
from benchmarks.problems import log
from routerjax.comparison import evaluate
from routerjax.fitting import fit

SIZES = (10_000, 30_000, 100_000, 300_000, 1_000_000)


def child(rows: int) -> None:
    """Fit and evaluate once; print one JSON line."""
    start = time.perf_counter()
    given, other = log(rows, 256, 10, seed=0), log(rows // 10, 256, 10, seed=1)
    made = time.perf_counter()
    router = fit(given)
    fitted = time.perf_counter()
    evaluation = evaluate(router, other)
    end = time.perf_counter()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    gain = [line.gain for line in evaluation.lines if line.method == "router"]
    found = {
        "making_seconds": made - start,
        "fit_seconds": fitted - made,
        "evaluate_seconds": end - fitted,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_gibibytes": usage.ru_maxrss / 2**20,
        "gain_over_best_single": float(np.mean([each.mean for each in gain])),
    }
    print(json.dumps(found))


def main() -> None:
    """Measure, print, write."""
    parser = measuring.options(__doc__, repeats=1)
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="numbers of rows")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.child)
        return
    figures: dict[int, dict[str, float]] = {}
    for rows in map(int, given.sizes.split(",")):
        command = [sys.executable, "-m", "benchmarks.rows_scaling", "--child", str(rows)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        own = figures[rows] = json.loads(done.stdout.splitlines()[-1])
        print(
            f"{rows:>9,} rows: fit {own['fit_seconds']:.0f} s, evaluate "
            f"{own['evaluate_seconds']:.0f} s, {own['cpu_seconds']:.0f} CPU s, peak "
            f"{own['peak_gibibytes']:.1f} GiB"
        )
    exponents = {}
    if len(figures) > 1:
        sizes = np.log(list(figures))
        for name in ("fit_seconds", "cpu_seconds", "peak_gibibytes"):
            values = np.log([own[name] for own in figures.values()])
            exponents[name] = float(np.polyfit(sizes, values, 1)[0])
        print("exponents: " + ", ".join(f"{name} {e:.2f}" for name, e in exponents.items()))
    measuring.write("rows_scaling", {"sizes": figures, "exponents": exponents}, given.out)


if __name__ == "__main__":
    main()
