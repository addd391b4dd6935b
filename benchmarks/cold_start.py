"""python -m benchmarks.cold_start: what `import routerjax` and one `routerjax route` cost.

Claims: importing routerjax after jax costs at most 0.3 s; the command line answers one prompt
in under 4 s from a cold start. Every repeat is a fresh process; the kinds are interleaved and
their medians reported, wall seconds beside CPU seconds. The first `route` of a machine also
compiles, and is reported apart.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import measuring

MOST_IMPORT, MOST_ROUTE = 0.3, 4.0
"""Wall seconds."""
AIM = (
    f"`import routerjax` adds at most {MOST_IMPORT:g} s to `import jax`; one prompt from a cold "
    f"command line in under {MOST_ROUTE:g} s"
)
ROUTE = ["-m", "routerjax", "route", "run", "--cost-weight", "50", "--prompt", "What is 2 + 2?"]


def timed(arguments: list[str], *, folder: str) -> measuring.Pair:
    """Wall and CPU seconds of one fresh Python process."""
    return measuring.fresh_process(arguments, cache=Path(folder) / "cache", folder=folder)


def measure(repeats: int) -> dict[str, Any]:
    """Fit a small router, then time imports and routes in fresh processes, interleaved."""
    kinds = {
        "import jax": ["-c", "import jax"],
        "import jax, routerjax": ["-c", "import jax, routerjax"],
        "routerjax route, one prompt": ROUTE,
    }
    seconds: dict[str, list[measuring.Pair]] = {name: [] for name in kinds}
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
    return {"repeats": repeats, "medians": medians, "first_route_wall_seconds": first[0]}


def row(figures: dict[str, Any]) -> measuring.Row:
    """Of the medians, wall seconds."""
    jax, both, route = (kind["wall_seconds"] for kind in figures["medians"].values())
    added = max(both - jax, 0.0)
    first = figures["first_route_wall_seconds"]
    return measuring.Row(
        f"import {added:.2f} s; prompt {route:.1f} s, the first after a fit {first:.1f} s",
        (added <= MOST_IMPORT, route < MOST_ROUTE),
    )


def main() -> None:
    """Measure, print, write."""
    given = measuring.options(__doc__, repeats=7).parse_args()
    result = measure(given.repeats)
    for name, figures in result["medians"].items():
        wall, cpu = figures["wall_seconds"], figures["cpu_seconds"]
        print(f"{name:32} {wall:6.2f} s wall  {cpu:6.2f} s CPU")
    print(f"{'first route (compiles)':32} {result['first_route_wall_seconds']:6.2f} s wall")
    measuring.write("cold_start", result, given.out)


if __name__ == "__main__":
    main()
