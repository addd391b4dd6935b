"""Script of test_killed_fits.py: `killed_fits.py OUT KILLS SEED` kills `routerjax fit` that often.

Children are forks of a process that has imported everything and used nothing of JAX. Every child
fits the same router, is killed at a random moment, SIGKILL, and leaves its checkpoints to the
next; where one is done before it is killed, the next starts over. Every other router is to be
written over an older one of another seed. After each kill the folder must hold the old router or
the new one, or, where there was none, none that loads; the new one's parameters are those of a fit
that nobody interrupted, to the bit.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import numpy as np
import orbax.checkpoint  # noqa: F401  imported once for all children

import routerjax.artefacts.router
import routerjax.pipelines.fit_log
from routerjax.cli.commands import main
from routerjax.data.io.writing import write_log
from routerjax.records.logs import Log

TRAINED = "--architecture interval --nuisance.outcomes network --cost-weights 0,100 --epochs 6"
SMALL = "--nuisance.folds 2 --members 2 --checkpoint-every 1 --devices 1 --quiet --evaluation 0"


def log(path: Path) -> None:
    rng = np.random.default_rng(0)
    x, arms = rng.normal(size=(200, 4)), np.arange(200) % 2
    quality = ((x[:, 0] > 0) == (arms == 1)).astype(float)
    cost = np.array([0.001, 0.002])[arms]
    write_log(Log.from_arrays(arms, quality, cost, models=["a", "b"], embeddings=x), path)


def started(out: Path, router: str, *options: str) -> int:
    """`routerjax fit` in a child; its number."""
    child = os.fork()
    if child == 0:
        told = os.open(out / "told", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(told, 1)
        os.dup2(told, 2)
        command = ["fit", str(out / "log.parquet"), "--out", str(out / router)]
        os._exit(main([*command, *TRAINED.split(), *SMALL.split(), *options]))
    return child


def ended(child: int, out: Path) -> None:
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status == 0, (out / "told").read_text()


def bits(folder: Path) -> str:
    """What the parameters of a router come to; loading, in a child, checks that they are whole."""
    child = os.fork()
    if child == 0:
        routerjax.artefacts.router.Router.load(folder)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, f"{folder} does not load"
    return json.loads((folder / "router.json").read_text())["sha256"]["arrays"]


if __name__ == "__main__":
    out, kills, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    log(out / "log.parquet")
    ended(started(out, "older", "--seed", "1"), out)
    began = time.monotonic()
    ended(started(out, "whole"), out)
    takes = time.monotonic() - began
    chance, old, new = random.Random(seed), bits(out / "older"), bits(out / "whole")
    run, counts = out / "run", {"none": 0, "old": 0, "new": 0, "resumed": 0}
    older = False
    for _ in range(kills):
        resume = ["--resume"] if (out / "run.checkpoints").exists() else []
        child = started(out, "run", "--overwrite", *resume)
        time.sleep(chance.uniform(0, 1.6 * takes))  # so that some are done, and the next start over
        os.kill(child, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert status in (0, -signal.SIGKILL), (out / "told").read_text()
        found = bits(run) if (run / "router.json").exists() else None
        assert found in (new, old if older else None), (found, old, new, older)
        counts["none" if found is None else "old" if found == old else "new"] += 1
        counts["resumed"] += bool(resume)
        if found == new and not (out / "run.checkpoints").exists():
            shutil.rmtree(run)
            older = not older
            if older:
                shutil.copytree(out / "older", run)
    resume = ["--resume"] if (out / "run.checkpoints").exists() else []
    ended(started(out, "run", "--overwrite", *resume), out)
    assert bits(run) == new, "other bits than a fit that nobody interrupted"
    left = sorted(path.name for path in out.iterdir())
    assert left == ["log.parquet", "older", "run", "told", "whole"], left
    print(json.dumps(counts))
