"""python -m benchmarks.devices: the runs of a sweep shared out over devices.

Claims: every run has the bits it has on one device, and sharing costs nothing to speak of (the
first holds up to as many host devices as cores; beyond, sums are taken in another order). On a
machine without accelerators every count of devices is a fresh process with as many forced host
devices, which share the cores: the ratio then shows overhead, not speed. With accelerators the
counts are those JAX finds, and the ratio is the speed-up.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from typing import Any

import jax
import numpy as np

from benchmarks import measuring
from benchmarks.problems import problem
from routerjax.training.checkpoint import digest
from routerjax.training.config import RouterConfig, Schedule
from routerjax.training.execution import Execution
from routerjax.training.parallel import Devices
from routerjax.training.routing import train_router

RUNS, EPOCHS = 16, 4
FLAG = "--xla_force_host_platform_device_count"
MOST = 1.1
"""Times one device's wall seconds."""
AIM = f"the bits of one device on any number of them, in at most {MOST:g} times its time"


def child(count: int, repeats: int) -> None:
    """Train 16 runs on `count` devices; print one JSON line."""
    data = problem(4_000, 256, 11, seed=0, members=RUNS)
    config = RouterConfig(
        members=RUNS,
        architecture="shared",
        schedule=Schedule(max_epochs=EPOCHS, patience=EPOCHS, chunk=EPOCHS, caution=0.0),
    )
    execution = Execution(devices=Devices(count=count) if count > 1 else None)
    weights = tuple(np.linspace(0, 500, 8).tolist())

    def train():
        trained = train_router(
            data, cost_weights=weights, quality_width=1.0, config=config, execution=execution
        )
        return jax.block_until_ready(trained.policy.params)

    first = measuring.timed(train)
    pairs = [measuring.timed(train)[:2] for _ in range(repeats)]
    seconds = measuring.medians(pairs)._asdict()
    print(json.dumps({"first_call": first[0], "seconds": seconds, "digest": digest(first[2])}))


def row(figures: dict[str, Any]) -> measuring.Row:
    """Of every count of devices beyond one."""
    more = {count: own for count, own in figures["counts"].items() if count != "1"}
    same = [count for count, own in more.items() if own["same_bits_as_one"]]
    times = ", ".join(f"{own['times_one']:.2f} ({count})" for count, own in more.items())
    kind = "host devices" if figures["forced"] else "devices"
    return measuring.Row(
        f"times one: {times} {kind}; same bits on {', '.join(same) or 'none'}",
        (len(same) == len(more), all(own["times_one"] <= MOST for own in more.values())),
    )


def main() -> None:
    """Measure, print, write."""
    parser = measuring.options(__doc__, repeats=3)
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.child, given.repeats)
        return
    forced = jax.default_backend() == "cpu"
    counts = [1, 2, 4, 8] if forced else [n for n in (1, 2, 4, 8) if n <= jax.device_count()]
    figures = {}
    for count in counts:
        environment = dict(os.environ)
        if forced:
            flags = environment.get("XLA_FLAGS", "")
            environment["XLA_FLAGS"] = f"{flags} {FLAG}={count}".strip()
        command = [sys.executable, "-m", "benchmarks.devices", "--child", str(count)]
        command += ["--repeats", str(given.repeats)]
        done = subprocess.run(
            command, env=environment, check=True, stdout=subprocess.PIPE, text=True
        )
        figures[str(count)] = json.loads(done.stdout.splitlines()[-1])
        own, one = figures[str(count)], figures["1"]
        own["same_bits_as_one"] = own["digest"] == one["digest"]
        own["times_one"] = own["seconds"]["wall"] / one["seconds"]["wall"]
        print(
            f"{count} devices: {own['seconds']['wall']:.2f} s, {own['times_one']:.2f} times one "
            f"device; same bits: {own['same_bits_as_one']}"
        )
    measuring.write("devices", {"runs": RUNS, "forced": forced, "counts": figures}, given.out)


if __name__ == "__main__":
    main()
