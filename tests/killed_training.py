"""Script of test_resume.py: `killed_training.py OUT KILLS SEED` kills a training that often.

Each child resumes the checkpoints of the one before and is killed at a random moment, SIGKILL;
the last is left alone. What it gives goes to OUT beside what a training without checkpoints
gives. Children are forks of a process that has imported everything and used nothing of JAX.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint  # noqa: F401  imported once for all children
from training_toys import Wave, trained, wave

from routerjax.support.compilation import keep_compiled
from routerjax.training.checkpoint import Checkpoints
from routerjax.training.config import Schedule


def train(epochs: int, checkpoints: Checkpoints | None, out: Path, told: int | None = None) -> None:
    """Train and write what was fitted; tell every epoch in a line."""
    keep_compiled()
    tell = None if told is None else lambda done, most: os.write(told, f"{done}\n".encode())
    schedule = Schedule(batch_size=16, max_epochs=epochs, patience=epochs, chunk=1)
    fitted = trained(Wave(), wave(2), schedule=schedule, checkpoint=checkpoints, on_progress=tell)
    np.savez(out, *jax.tree.leaves(fitted))


def killed(
    epochs: int, checkpoints: Checkpoints, out: Path, chance: random.Random, epoch: int
) -> int:
    """Train on from `epoch` in a child and kill it; the epoch it had told by then."""
    heard, told = os.pipe()
    child = os.fork()
    if child == 0:
        train(epochs, checkpoints, out, told)
        os._exit(0)
    os.close(told)
    with open(heard) as lines:
        goal = epoch + chance.randint(0, 2)
        while epoch < goal:  # then somewhere in an epoch, or in writing its checkpoint
            epoch = int(lines.readline())
        time.sleep(chance.uniform(0, 0.2))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), "it ended before it could be killed"
        return max(epoch, *map(int, lines), 0)


if __name__ == "__main__":
    out, kills, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    epochs, checkpoints = 6 * kills, Checkpoints(out / "checkpoints", every=1)
    chance, epoch = random.Random(seed), 0
    for _ in range(kills):
        epoch = killed(epochs, checkpoints, out / "killed.npz", chance, epoch)
        print(epoch)
    train(epochs, checkpoints, out / "resumed.npz")
    train(epochs, None, out / "whole.npz")
