"""Script of test_racing.py: `killed_saves.py OUT KILLS SEED` kills a process that saves.

Children are forks of a process that has imported everything and used nothing of JAX. Each saves
routers of the values 1, 2, 3, ... over each other, tells each when it is saved, and is killed at a
random moment, SIGKILL. After each the folder must hold, whole, the last router told or the next.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

from small_router import WHOLE, names, pair, value_of


def save_on(target: Path, value: int, told: int) -> None:
    while True:
        value += 1
        pair(value).save(target, overwrite=True)
        os.write(told, f"{value}\n".encode())


def killed(target: Path, value: int, chance: random.Random) -> int:
    """Save on from `value` in a child and kill it; the last value it told."""
    heard, told = os.pipe()
    child = os.fork()
    if child == 0:
        save_on(target, value, told)
    os.close(told)
    with open(heard) as lines:
        time.sleep(chance.uniform(0, 0.02))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return max(value, *map(int, lines), 0)


if __name__ == "__main__":
    out, kills, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    chance, value, whole = random.Random(seed), 0, 0
    for kill in range(kills):
        target = out / "run"
        if kill % 10 == 0:  # the first save of a folder is another matter
            shutil.rmtree(target, ignore_errors=True)
            value = 0
        value = killed(target, value, chance)
        if value or (target / "router.json").exists():
            found = value_of(target)
            assert found in (value, value + 1), (found, value)
            value, whole = int(found), whole + 1
        if kill % 10 in (0, 9):  # nothing that was left is in the way, nor stays
            pair(value).save(target, overwrite=True)
            assert names(target) == WHOLE and names(out) == ["run"], [*target.iterdir()]
    print(whole)
