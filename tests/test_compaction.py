"""Side by side, runs that have stopped leave the block; the others do not notice."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from training_toys import Wave, on_disk, trained, wave

from routerjax.training import compaction, sweep
from routerjax.training.checkpoint import Checkpoints
from routerjax.training.compaction import size_for
from routerjax.training.config import Schedule
from routerjax.training.sweep import Engine, Sweep

RUNS = 12
SCHEDULE = Schedule(batch_size=32, max_epochs=24, patience=2, chunk=2)
RATES = jnp.geomspace(0.01, 2.0, RUNS)
SETTINGS = {"learning_rate": RATES, "schedule": SCHEDULE, "sweep": Sweep("vmap")}


@pytest.fixture(scope="module")
def problem():
    return wave(RUNS)


@pytest.fixture(scope="module")
def one_by_one(problem):
    fitted = trained(Wave(), problem, **SETTINGS | {"sweep": Sweep("map")})
    assert len(set(np.asarray(fitted.epochs).tolist())) > 4, "runs are to stop at different times"
    return fitted


@pytest.fixture
def sizes(monkeypatch):
    """Runs that every chunk trains, a block of three being worth making."""
    seen, advance = [], sweep._advance
    monkeypatch.setattr(compaction, "LEAST", 5)

    def counted(recipe, side_by_side, rows, state, jobs):
        seen.append(len(jobs.real))
        return advance(recipe, side_by_side, rows, state, jobs)

    monkeypatch.setattr(sweep, "_advance", counted)
    return seen


def same(got, want):
    jax.tree.map(np.testing.assert_array_equal, got, want)


def close(got, want):
    np.testing.assert_array_equal(got.epochs, want.epochs)
    np.testing.assert_array_equal(got.epoch, want.epoch)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4), got, want)


def halves(runs):
    """The smallest of 12, 6 and 3 that holds so many."""
    return min(size for size in (12, 6, 3) if size >= runs)


def test_a_block_is_as_small_as_the_runs_that_go_on(problem, one_by_one, sizes):
    close(trained(Wave(), problem, **SETTINGS), one_by_one)
    ended = np.asarray(one_by_one.epochs)
    chunks = -(-ended.max() // SCHEDULE.chunk)
    assert sizes == [halves(np.sum(ended > SCHEDULE.chunk * chunk)) for chunk in range(chunks)]
    assert sizes[0] == RUNS and len(set(sizes)) > 2


def test_rows_on_disk_are_read_for_those_that_go_on(problem, one_by_one, sizes, monkeypatch):
    close(trained(Wave(), on_disk(problem), **SETTINGS), one_by_one)
    assert len(set(sizes)) > 2


def test_one_after_another_the_block_stays(problem, one_by_one, sizes):
    same(trained(Wave(), problem, **SETTINGS | {"sweep": Sweep("map")}), one_by_one)
    assert set(sizes) == {RUNS}


class Stopped(Exception):
    pass


@pytest.mark.parametrize("epoch", [2, 10])
def test_a_training_taken_up_again_has_the_same_blocks_and_bits(problem, sizes, tmp_path, epoch):
    whole = trained(Wave(), problem, **SETTINGS)
    blocks, store = list(sizes), Checkpoints(tmp_path, every=2)

    def stop(done, most):
        if done >= epoch:
            raise Stopped

    with pytest.raises(Stopped):
        trained(Wave(), problem, **SETTINGS, checkpoint=store, on_progress=stop)
    sizes.clear()
    same(trained(Wave(), problem, **SETTINGS, checkpoint=store), whole)
    assert sizes == blocks[epoch // SCHEDULE.chunk :]


@pytest.mark.parametrize(
    ("runs", "groups", "size"),
    [(24, 1, 24), (13, 1, 24), (12, 1, 12), (7, 1, 12), (6, 1, 6), (1, 1, 6)]
    + [(13, 2, 24), (12, 2, 12), (6, 2, 12), (1, 4, 24), (1, 3, 24)],
)
def test_sizes_by_hand(monkeypatch, runs, groups, size):
    """Blocks of 24 on one device down to 6, on two down to 6 each; 6 or 8 on each are few."""
    monkeypatch.setattr(compaction, "LEAST", 8)
    nothing = [None] * 5
    assert size_for(runs, Engine(24, *nothing, groups=groups)) == size
