"""python -m benchmarks.cold_start: what `import routerjax` and one `routerjax route` cost.

Claims: importing routerjax after jax costs at most 0.3 s; the command line answers one prompt
in under 4 s from a cold start. Every repeat is a fresh process; the kinds are interleaved and
their medians reported, wall seconds beside CPU seconds. The first `route` of a machine also
compiles, and is reported apart.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from routerjax.atomic import write_text
from routerjax.provenance import dumps, git_commit, versions

RESULTS = Path(__file__).parent / "results" / "cold_start.json"
ROUTE = ["-m", "routerjax", "route", "run", "--cost-weight", "50", "--prompt", "What is 2 + 2?"]


def timed(arguments: list[str], *, folder: str) -> tuple[float, float]:
    """Wall and CPU seconds of one fresh Python process."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = {**os.environ, "ROUTERJAX_CACHE": str(Path(folder) / "cache")}
    subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, check=True, capture_output=True
    )
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu


def measure(repeats: int) -> dict[str, object]:
    """Fit a small router, then time imports and routes in fresh processes, interleaved."""
    kinds = {
        "import jax": ["-c", "import jax"],
        "import jax, routerjax": ["-c", "import jax, routerjax"],
        "routerjax route, one prompt": ROUTE,
    }
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in kinds}
    with tempfile.TemporaryDirectory() as folder:
        run = ["-m", "routerjax"]
        timed([*run, "simulate", "--rows", "3000", "--out", "log.parquet"], folder=folder)
        timed([*run, "fit", "log.parquet", "--out", "run", "--quiet"], folder=folder)
        first = timed(ROUTE, folder=folder)
        for _ in range(repeats):
            for name, arguments in kinds.items():
                seconds[name].append(timed(arguments, folder=folder))
    medians = {
        name: {
            "wall_seconds": statistics.median(wall for wall, _ in pairs),
            "cpu_seconds": statistics.median(cpu for _, cpu in pairs),
        }
        for name, pairs in seconds.items()
    }
    return {
        "benchmark": "cold_start",
        "repeats": repeats,
        "medians": medians,
        "first_route_wall_seconds": first[0],
        "machine": {"cpu": platform.processor() or platform.machine(), "cores": os.cpu_count()},
        "versions": versions(),
        "git_commit": git_commit(),
    }


def main() -> None:
    """Measure, print and write benchmarks/results/cold_start.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--repeats", type=int, default=7)
    result = measure(parser.parse_args().repeats)
    for name, figures in result["medians"].items():  # type: ignore[attr-defined]
        wall, cpu = figures["wall_seconds"], figures["cpu_seconds"]
        print(f"{name:32} {wall:6.2f} s wall  {cpu:6.2f} s CPU")
    print(f"{'first route (compiles)':32} {result['first_route_wall_seconds']:6.2f} s wall")
    write_text(RESULTS, dumps(result, indent=2) + "\n")
    print(f"wrote {RESULTS}")


if __name__ == "__main__":
    main()
