"""python -m benchmarks.route_latency: from an embedding to a model, alone and in batches.

Claims: one query routes in under 1 ms (median), batches at 200,000 queries a second. Measured
with the default router, in closed form, and with two of networks: `interval` as it comes (five
members, five folds of outcome models) and a lean one (one member, two folds), on embeddings of 256
numbers and 11 models. The cold start of the command line is `benchmarks.cold_start`.
"""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import numpy as np

from benchmarks import measuring
from benchmarks.problems import log
from routerjax.artefacts.router import Router
from routerjax.pipelines.fit_log import fit
from routerjax.training.config import FitConfig, NuisanceConfig, RouterConfig, Schedule

SHORT = Schedule(max_epochs=1)  # the speed of a router does not depend on what it learnt
NETWORKS = {"interval": (5, 5), "lean": (1, 2)}
"""Trained routers: members of the policy, folds of the outcome models."""
MOST, LEAST = 1.0, 200_000
"""Milliseconds of one query (median), queries a second."""
AIM = f"one query in under {MOST:g} ms (median); {LEAST:,} queries a second in batches"


def fitted(name: str) -> Router:
    """A router of 256 dimensions, 11 models and 8 cost weights: the default, or a trained one."""
    config = FitConfig(cost_weights=(0, 10, 20, 50, 100, 200, 500, 1000))
    if name in NETWORKS:
        config = dataclasses.replace(config, **_networks(*NETWORKS[name]))
    return fit(log(2_000, 256, 11, seed=0), config=config)


def _networks(members: int, folds: int) -> dict[str, Any]:
    return {
        "router": RouterConfig(architecture="interval", members=members, schedule=SHORT),
        "nuisance": NuisanceConfig(outcomes="network", folds=folds, schedule=SHORT),
    }


def alone(router: Router, queries: np.ndarray) -> np.ndarray:
    """Seconds of each query, one call a query."""
    router.route(queries[:1], cost_weight=75.0)
    seconds = np.empty(len(queries))
    for row in range(len(queries)):
        start = time.perf_counter()
        router.route(queries[row : row + 1], cost_weight=75.0)
        seconds[row] = time.perf_counter() - start
    return seconds


def row(figures: dict[str, Any]) -> measuring.Row:
    """Of both routers; the default one is held to the aim."""
    parts = [
        f"{name}: p50 {own['p50_milliseconds']:.2f} ms, p99 {own['p99_milliseconds']:.2f} ms, "
        f"{round(own['queries_per_second'], -3):,.0f} a second"
        for name, own in figures["routers"].items()
    ]
    default = figures["routers"]["default"]
    return measuring.Row(
        "; ".join(parts),
        (default["p50_milliseconds"] < MOST, default["queries_per_second"] >= LEAST),
    )


def main() -> None:
    """Measure, print, write."""
    parser = measuring.options(__doc__, repeats=5)
    parser.add_argument("--queries", type=int, default=1_000, help="routed one by one")
    parser.add_argument("--batch", type=int, default=65_536, help="queries a batch")
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    queries = rng.standard_normal((given.batch, 256), dtype=np.float32)
    routers = {name: fitted(name) for name in ("default", *NETWORKS)}
    calls = {
        name: lambda router=router: router.route(queries, cost_weight=75.0)
        for name, router in routers.items()
    }
    seconds = measuring.interleaved(calls, repeats=given.repeats)
    figures = {}
    for name, router in routers.items():
        single = 1e3 * alone(router, queries[: given.queries])
        figures[name] = {
            "p50_milliseconds": float(np.percentile(single, 50)),
            "p99_milliseconds": float(np.percentile(single, 99)),
            "queries_per_second": given.batch / seconds[name].fastest,
            "batch_seconds": seconds[name],
        }
        print(
            f"{name:8} p50 {figures[name]['p50_milliseconds']:.2f} ms, p99 "
            f"{figures[name]['p99_milliseconds']:.2f} ms; in batches of {given.batch} "
            f"{figures[name]['queries_per_second']:,.0f} queries a second"
        )
    measuring.write("route_latency", {"batch": given.batch, "routers": figures}, given.out)


if __name__ == "__main__":
    main()
