"""Shared by all tests: a cache of their own, and one tiny world with a router fitted on it."""

from __future__ import annotations

import dataclasses
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import pytest
from jax._src import lru_cache

import routerjax as rj
from routerjax.training.config import FitConfig, NuisanceConfig, RouterConfig, Schedule

# Tests compile more than they compute: what one compiled is kept for the next run, for the other
# workers, and for the processes that tests start.
KEPT = {
    "jax_compilation_cache_dir": Path(__file__).parent.parent / ".pytest_cache" / "jax",
    "jax_persistent_cache_min_compile_time_secs": 0.05,
}
MOST_KEPT = 4_000
"""Files of that folder, beyond which it is emptied."""
MOST_MAPS = 50_000
"""Memory maps of a worker, beyond which compiled programs are let go. A program has some nine, and
Linux ends a process that asks for more than 65,530, in the midst of compiling."""
MAPS = Path("/proc/self/maps")  # Linux alone

for name, value in KEPT.items():
    if name.upper() not in os.environ:
        os.environ[name.upper()] = str(value)
        jax.config.update(name, str(value) if isinstance(value, Path) else value)
is_worker = "PYTEST_XDIST_WORKER" in os.environ
if not is_worker and sum(1 for _ in KEPT["jax_compilation_cache_dir"].glob("*")) > MOST_KEPT:
    shutil.rmtree(KEPT["jax_compilation_cache_dir"], ignore_errors=True)
# Threads of other libraries, which the workers' own would wait for.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("NPROC", "1")  # those of XLA
jax.config.update("jax_disable_most_optimizations", True)
# The compiler's former code for loops takes a third of the time. Later versions of JAX know
# neither it nor the flag, which would end the process.
if jax.__version__.startswith("0.10."):
    flags = os.environ.get("XLA_FLAGS", "")
    os.environ["XLA_FLAGS"] = f"{flags} --xla_cpu_use_fusion_emitters=false".strip()
jax.config.update("jax_numpy_rank_promotion", "raise")  # a missing axis is said, never guessed


def _put_whole(self: lru_cache.LRUCache, key: str, value: bytes) -> None:
    """Keep a program under its name when all of it is written: JAX writes it there in place, where
    another worker would read a part of it."""
    place = Path(str(self.path)) / f"{key}{lru_cache._CACHE_SUFFIX}"
    if not place.exists():
        part = place.with_name(f"{os.getpid()}.{threading.get_ident()}.part")
        part.write_bytes(value)
        part.replace(place)


lru_cache.LRUCache.put = _put_whole  # type: ignore[method-assign]


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory) -> Iterator[None]:
    """No test reads or writes the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROUTERJAX_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module", autouse=True)
def _few_programs() -> Iterator[None]:
    """No worker holds the programs of all the tests that it has run."""
    yield
    if MAPS.exists() and MAPS.read_bytes().count(b"\n") > MOST_MAPS:
        jax.clear_caches()


@dataclasses.dataclass(frozen=True)
class World:
    """Full feedback on 200 queries of 16 numbers, and a log of it with uniform arms.

    Model "a" is right where the first number is positive, "b" where it is not, "c" half of the
    time; "c" is the cheapest. `fresh` and `fresh_log` are of 200 other queries.
    """

    table: rj.Table
    log: rj.Log
    fresh: rj.Table
    fresh_log: rj.Log
    config: FitConfig


def _drawn(seed: int) -> tuple[rj.Table, rj.Log]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(200, 16)).astype(np.float32)
    x[:, 0] *= 5  # what decides is easy to see
    chance = np.stack([x[:, 0] > 0, x[:, 0] <= 0, np.full(200, 0.5)], axis=1) * 0.9 + 0.05
    quality = (rng.random((200, 3)) < chance).astype(np.float32)
    cost = np.array([0.004, 0.002, 0.0005]) * rng.uniform(0.5, 1.5, (200, 3))
    arms = rng.permutation(np.arange(200) % 3)
    rows = np.arange(200)
    table = rj.Table.from_arrays(quality, cost, models="abc", embeddings=x)
    log = rj.Log.from_arrays(
        arms, quality[rows, arms], cost[rows, arms], models="abc", embeddings=x
    )
    return table, log


@pytest.fixture(scope="session")
def world() -> World:
    config = FitConfig(
        cost_weights=(0.0, 64.0, 256.0),
        router=RouterConfig(
            architecture="interval",
            members=2,
            widths=(8,),
            learning_rate=0.03,
            start_sharpness=1.0,
            schedule=Schedule(batch_size=64, max_epochs=20, patience=20, chunk=10),
        ),
        nuisance=NuisanceConfig(
            outcomes="network",
            folds=2,
            widths=(8,),
            learning_rate=0.03,
            schedule=Schedule(batch_size=64, max_epochs=20, patience=20, chunk=10),
        ),
    )
    return World(*_drawn(0), *_drawn(10), config)


@pytest.fixture(scope="session")
def router(world) -> rj.Router:
    """Fitted on the world's log."""
    return rj.fit(world.log, config=world.config)


@pytest.fixture
def clean_environment() -> dict[str, str]:
    """For a fresh process: warnings shown, the tests' cache, compiled as the tests are."""
    same = {
        "PYTHONWARNINGS": "default",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        "JAX_NUMPY_RANK_PROMOTION": "raise",
    }
    return {**os.environ, **same}
