"""Script of test_parallel.py: train on one device and on several, in one process or two.

`on_devices.py OUT` writes what four forced devices gave; `on_devices.py OUT PORT ID` is one
of two processes with two devices each.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import warnings

COUNT = f"--xla_force_host_platform_device_count={6 - len(sys.argv)}"
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {COUNT}".strip()
warnings.simplefilter("error")

import jax  # noqa: E402
import numpy as np  # noqa: E402
from training_toys import Draws, Wave, on_disk, trained, wave  # noqa: E402

from routerjax.errors import InputError  # noqa: E402
from routerjax.training import compaction, parallel  # noqa: E402
from routerjax.training.checkpoint import Checkpoints  # noqa: E402
from routerjax.training.config import Schedule  # noqa: E402
from routerjax.training.parallel import Devices  # noqa: E402
from routerjax.training.processes import initialize  # noqa: E402
from routerjax.training.run import Job, Recipe  # noqa: E402
from routerjax.training.sweep import Sweep  # noqa: E402

SCHEDULE = Schedule(batch_size=16, max_epochs=8, patience=2, chunk=2)
MANY = np.geomspace(0.01, 2.0, 12).astype(np.float32)
DESCENT = Schedule(batch_size=16, max_epochs=8, patience=8, chunk=4, optimizer="sgd")


compaction.LEAST = 1


def complaint(call) -> str:
    """What InputError `call` ends in."""
    try:
        call()
    except InputError as error:
        return str(error)
    return "no complaint"


def one_process() -> tuple[dict, dict]:
    """Fitted of every way to share out the work, and complaints."""
    five, three = wave(5), wave(3)
    few = dataclasses.replace(SCHEDULE, epoch_rows=64)
    fitted = {
        "alone": trained(Wave(), five, schedule=SCHEDULE),
        "a few rows an epoch": trained(Wave(), five, schedule=few),
        "a few rows an epoch, on 2, on disk": trained(
            Wave(), on_disk(five), schedule=few, devices=Devices(2)
        ),
        "runs on 4": trained(Wave(), five, schedule=SCHEDULE, devices=Devices()),
        "runs on 2, one each at a time": trained(
            Wave(), five, schedule=SCHEDULE, devices=Devices(2), sweep=Sweep(memory=1)
        ),
        "runs on 2, vmapped": trained(
            Wave(), five, schedule=SCHEDULE, devices=Devices(2), sweep=Sweep("vmap")
        ),
        "many alone": trained(Wave(), wave(12), schedule=SCHEDULE, learning_rate=MANY),
        "many on 2, fewer and fewer": trained(
            Wave(),
            wave(12),
            schedule=SCHEDULE,
            learning_rate=MANY,
            devices=Devices(2),
            sweep=Sweep("vmap"),
        ),
        "descent": trained(Wave(), three, schedule=DESCENT),
        "rows on 4": trained(Wave(), three, schedule=DESCENT, devices=Devices(None, "rows")),
        "rows on 4, on disk": trained(
            Wave(), on_disk(three), schedule=DESCENT, devices=Devices(None, "rows")
        ),
        "rows on 3, vmapped": trained(
            Wave(), three, schedule=DESCENT, devices=Devices(3, "rows"), sweep=Sweep("vmap")
        ),
        "both on 4": trained(Wave(), three, schedule=DESCENT, devices=Devices(None, "both")),
        "draws": trained(
            Draws(),
            wave(1),
            schedule=Schedule(256, 1, optimizer="sgd"),
            learning_rate=1.0,
            devices=Devices(2, "rows"),
        ),
    }
    told = {
        "too many": complaint(lambda: trained(Wave(), five, devices=Devices(9))),
        "late": complaint(lambda: initialize("127.0.0.1:1", 2, 0)),
        "half": complaint(lambda: initialize("127.0.0.1:1", processes=2)),
        "third of two": complaint(lambda: initialize("127.0.0.1:1", 2, 2)),
        "donated": donated(),
    }
    return fitted, told


def donated() -> list[bool]:
    """Whether the buffers of the state before a chunk are gone after it, on every device."""
    rows, params, train, held_out = wave(1)
    numbers = np.zeros(1, np.float32)
    members = Job(numbers, numbers, numbers, train, held_out, np.ones(1, bool))
    keys = np.asarray(jax.random.key_data(jax.random.split(jax.random.key(0), 1)))
    engine = parallel.on_devices(Recipe(Wave(), DESCENT), False, rows, Devices(4, "rows"), 1, 1)
    block = engine.place((params, keys, members))
    state = engine.start(*block)
    engine.advance(state, block[2])
    return [leaf.is_deleted() for leaf in jax.tree.leaves(state.params)]


def two_processes(port: str, process: int, out: str) -> tuple[dict, dict]:
    """Fitted on the rows this process has read, and complaints."""
    told = {"bare": complaint(initialize)}
    initialize(f"127.0.0.1:{port}", 2, process)
    rows, params, *positions = problem = wave(2, n=67)
    devices = Devices(parallel="rows")
    store = Checkpoints(os.path.dirname(out) + "/checkpoints", every=4)

    def stop(done, most):
        if done == 4:
            raise InterruptedError

    settings = {"schedule": DESCENT, "devices": devices, "checkpoint": store}
    try:
        trained(Wave(), problem, **settings, on_progress=stop)
    except InterruptedError:
        told["stopped"] = "after a checkpoint"
    fitted = {
        "batches": trained(Wave(), problem, schedule=DESCENT, devices=devices),
        "resumed": trained(Wave(), problem, **settings),
        "on disk": trained(Wave(), on_disk(problem), schedule=DESCENT, devices=devices),
    }
    other = jax.tree.map(lambda leaf: leaf + process, params)
    odd = Schedule(batch_size=15)
    told["other start"] = complaint(
        lambda: trained(Wave(), (rows, other, *positions), devices=devices)
    )
    told["odd batch"] = complaint(lambda: trained(Wave(), problem, schedule=odd, devices=devices))
    told["runs"] = complaint(lambda: trained(Wave(), problem, devices=Devices()))
    return fitted, told


if __name__ == "__main__":
    out, *process = sys.argv[1:]
    fitted, told = two_processes(process[0], int(process[1]), out) if process else one_process()
    leaves = {name: enumerate(jax.tree.leaves(of)) for name, of in fitted.items()}
    np.savez(out, **{f"{name}/{i}": leaf for name, of in leaves.items() for i, leaf in of})
    with open(out + ".json", "w") as file:
        json.dump(told, file)
