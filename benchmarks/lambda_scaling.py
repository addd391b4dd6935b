"""python -m benchmarks.lambda_scaling: what a router costs for 1, 10 and 100 cost weights.

Claim: a router for 100 weights trains in at most 1.5 times the time of a router for one, since
all weights share a trunk. Every router trains the same epochs (no early stopping) on the same
8,000 queries of 256 numbers with 11 models.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import numpy as np

from benchmarks import measuring
from benchmarks.problems import problem
from routerjax.training.config import RouterConfig, Schedule
from routerjax.training.routing import Problem, train_router

COUNTS = (1, 10, 100)
MOST = 1.5
"""Times the wall seconds of one cost weight."""
AIM = f"{COUNTS[-1]} cost weights for at most {MOST:g} times one"
EPOCHS = 5
CONFIG = RouterConfig(
    members=1, schedule=Schedule(max_epochs=EPOCHS, patience=EPOCHS, chunk=EPOCHS, caution=0.0)
)


def train(data: Problem, config: RouterConfig, weights: tuple[float, ...]) -> None:
    """Train a router and wait for it."""
    trained = train_router(data, cost_weights=weights, quality_width=1.0, config=config)
    jax.block_until_ready(trained.policy.params)


def row(figures: dict[str, Any]) -> measuring.Row:
    """Of the most cost weights, architecture by architecture; fewer beside them."""
    ratios = {name: own["ratio_to_one_wall"] for name, own in figures["architectures"].items()}
    parts = [
        f"{count} weights: "
        + ", ".join(f"{own[str(count)]:.1f} ({name})" for name, own in ratios.items())
        for count in COUNTS[:0:-1]
    ]
    return measuring.Row(
        "; ".join(parts), tuple(own[str(COUNTS[-1])] <= MOST for own in ratios.values())
    )


def main() -> None:
    """Measure, print, write."""
    given = measuring.options(__doc__, repeats=5).parse_args()
    data = problem(8_000, 256, 11, seed=0)
    figures: dict[str, Any] = {}
    for architecture in ("shared", "interval", "affine"):
        config = dataclasses.replace(CONFIG, architecture=architecture)
        calls, compiled = {}, {}
        for count in COUNTS:
            weights = tuple(np.linspace(0, 500, count).tolist())
            calls[str(count)] = functools.partial(train, data, config, weights)
            compiled[str(count)] = measuring.timed(calls[str(count)])[0]
        seconds = measuring.interleaved(calls, repeats=given.repeats)
        one = seconds["1"]
        figures[architecture] = {
            "first_call_seconds": compiled,
            "seconds": seconds,
            "ratio_to_one_wall": {name: s.wall / one.wall for name, s in seconds.items()},
            "ratio_to_one_cpu": {name: s.cpu / one.cpu for name, s in seconds.items()},
        }
        for name, ratio in figures[architecture]["ratio_to_one_wall"].items():
            print(
                f"{architecture:8} {name:>3} cost weights: {seconds[name].wall:6.2f} s, "
                f"{ratio:.2f} times one (first call {compiled[name]:.1f} s)"
            )
    measuring.write("lambda_scaling", {"epochs": EPOCHS, "architectures": figures}, given.out)


if __name__ == "__main__":
    main()
