"""Meta-Router as on an accelerator, or as on a CPU: a script, since programs are compiled once.

`python side_by_side.py MODE MEMORY OUT` writes what a study and routers found, as arrays by name.
MODE is "alone" or "together", MEMORY the bytes of the device.
"""

import os
import sys

# One thread: batches of factorisations side by side may wait for each other's threads on a CPU
# for ever, and JAX has a thread for every core that the process may use.
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import jax  # noqa: E402
import numpy as np  # noqa: E402

from experiments.meta_router.config import MetaRouterConfig  # noqa: E402
from experiments.meta_router.data import sources  # noqa: E402
from experiments.meta_router.run import program  # noqa: E402
from routerjax.pipelines.meta_router import fit_gains  # noqa: E402
from routerjax.records.gains import LabelledGains  # noqa: E402
from routerjax.support import mapping  # noqa: E402

FITS = {"ridge": "dr", "kernel-ridge": "dr", "heads": "dr-head"}


def gains() -> LabelledGains:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 6)).astype(np.float32)
    gold = np.arange(300) % 5 == 0
    label = x[:, 0] + np.where(gold, 0.0, 0.5 + x[:, 1]) + rng.normal(size=300) / 2
    return LabelledGains.from_arrays(x, label, gold, costs=(0.0, 1.0))


def found() -> dict[str, np.ndarray]:
    config = MetaRouterConfig(
        rows=300, gold_rows=(40, 60), test_rows=60, runs=3, block=3, folds=3, components=5
    )
    (source,) = sources(config)
    every = {f"study {name}": own for name, own in program(config, source)(0).items()}
    for nuisance, learner in FITS.items():
        fitted = fit_gains(gains(), nuisance=nuisance, learner=learner, key=jax.random.key(0))
        for name in ("bias", "omega", "errors"):
            every[f"{nuisance} {name}"] = np.asarray(getattr(fitted, name))
    return every


if __name__ == "__main__":
    mode, memory, out = sys.argv[1:]
    mapping.side_by_side = lambda: mode == "together"
    mapping.device_memory = lambda: int(memory)
    np.savez(out, **found())
