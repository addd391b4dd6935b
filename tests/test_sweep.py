"""Many runs at once are the same runs one by one, and no more at a time than memory holds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from training_toys import Line, Wave, line, trained, wave

from routerjax.errors import InputError
from routerjax.training import run, sweep
from routerjax.training.config import Schedule
from routerjax.training.fit import Fitted
from routerjax.training.run import Job, Recipe
from routerjax.training.sweep import Sweep

SCHEDULE = Schedule(batch_size=16, max_epochs=12, patience=2, chunk=4)


def same(got, want):
    jax.tree.map(np.testing.assert_array_equal, got, want)


def close(got, want):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), got, want)


def one_by_one(problem, rates) -> Fitted:
    """Each run trained by itself with the functions of one run."""
    rows, params, train, held_out = problem
    recipe = Recipe(Wave(), SCHEDULE)
    start = jax.jit(lambda *of: run.start(recipe, *of, rows))
    advance = jax.jit(lambda *of: run.advance(recipe, *of, rows))
    runs = []
    for i in range(len(train)):
        key = jax.random.key_data(jax.random.fold_in(jax.random.key(0), i))
        rate, decay = jnp.float32(rates[i]), jnp.float32(0.01)
        member = Job(jnp.float32(0), rate, decay, train[i], held_out[i], jnp.bool(True))
        state, going = start(jax.tree.map(lambda leaf: leaf[i], params), key, member), True  # noqa: B023
        while going:
            state, going = advance(state, member)
        runs.append(Fitted(state.best_params, state.best_score, state.best_epoch, state.epoch))
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *runs)


RATES = jnp.array([0.01, 0.05, 0.2, 0.4, 0.8])


def test_mapped_runs_are_bit_by_bit_what_they_are_alone_and_vmapped_runs_nearly_so():
    problem = wave()
    alone = one_by_one(problem, RATES)
    assert len(set(np.asarray(alone.epochs).tolist())) > 1, "runs are to stop at different times"
    settings = {"learning_rate": RATES, "schedule": SCHEDULE}
    same(trained(Wave(), problem, **settings, sweep=Sweep("map")), alone)
    close(trained(Wave(), problem, **settings, sweep=Sweep("vmap")), alone)


@pytest.mark.parametrize("mode", ["map", "vmap"])
def test_blocks_of_runs_that_memory_holds_change_nothing(mode):
    problem, settings = wave(), {"learning_rate": RATES, "schedule": SCHEDULE}
    calls = []
    whole = trained(Wave(), problem, **settings, sweep=Sweep(mode))
    settings["on_progress"] = lambda *call: calls.append(call)
    one = trained(Wave(), problem, **settings, sweep=Sweep(mode, memory=1))
    (same if mode == "map" else close)(one, whole)
    done = [epochs for epochs, _ in calls]
    assert done == sorted(done) and calls[-1] == (60, 60)  # five blocks of at most 12 epochs


def test_a_last_block_with_fewer_runs_is_filled_up(monkeypatch):
    monkeypatch.setattr(sweep, "runs_at_once", lambda *_: 2)
    sizes = []
    engine = sweep.on_one_device
    monkeypatch.setattr(sweep, "on_one_device", lambda *of: sizes.append(of[-1]) or engine(*of))
    blocks = trained(Wave(), wave(), schedule=SCHEDULE)
    monkeypatch.undo()
    assert sizes == [2]  # 5 runs: two, two and one
    same(blocks, trained(Wave(), wave(), schedule=SCHEDULE))


def test_blocks_are_few_and_even():
    assert [list(b) for b in sweep.blocks(5, 5)] == [[0, 1, 2, 3, 4]]
    assert [len(b) for b in sweep.blocks(10, 4)] == [4, 3, 3]
    assert np.concatenate(sweep.blocks(10, 4)).tolist() == list(range(10))


@pytest.mark.parametrize("side_by_side", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_stopped_run_keeps_every_bit(side_by_side):
    """Two runs of which one has stopped, and a third that only fills a place."""
    rows, params, train, held_out = wave(3)
    recipe = Recipe(Wave(), SCHEDULE)
    keys = jax.random.key_data(jax.random.split(jax.random.key(0), 3))
    real, same_for_all = jnp.array([True, True, False]), jnp.full(3, 0.05)
    members = Job(jnp.zeros(3), same_for_all, same_for_all, train, held_out, real)
    before = sweep.start(recipe, side_by_side, rows, params, keys, members)
    before = before._replace(epoch=jnp.array([0, 7, 0]))  # the second has been idle too long
    after, going = sweep.advance(recipe, side_by_side, rows, before, members)
    assert going.tolist() == [True, False, False]
    assert after.epoch.tolist() == [4, 7, 0]
    for i in (1, 2):
        same(*(jax.tree.map(lambda leaf: leaf[i], state) for state in (after, before)))  # noqa: B023
    assert not np.array_equal(after.params["in"][0], before.params["in"][0])


def test_runs_have_their_own_learning_rate_decay_and_values():
    """Lines at different heights; no learning rate learns nothing."""
    problem = line(runs=3)
    got = trained(
        Line(),
        problem,
        context=jnp.array([0.0, 5.0, 5.0]),
        learning_rate=jnp.array([0.1, 0.2, 0.0]),
        weight_decay=jnp.array([0.0, 0.0, 1.0]),
        schedule=Schedule(8, 60, 60, 20),
    )
    np.testing.assert_allclose(got.params["w"][:2, 0, 0], 2.0, atol=0.15)  # y = 2x + 1
    np.testing.assert_allclose(got.params["b"], [1.0, 6.0, 0.0], atol=0.15)
    assert got.epoch[2] == 0


def test_plain_gradient_descent_by_hand():
    """One full batch: b falls by rate × slope; the decay pulls at the kernel w alone."""
    x, y = np.array([1.0, 2.0, 3.0], np.float32), np.array([2.0, 3.0, 5.0], np.float32)
    rows = {"x": jnp.asarray(x), "y": jnp.asarray(y)}
    params = {"w": jnp.full((1, 1, 1), 0.5), "b": jnp.full(1, -1.0)}
    index = jnp.arange(3)[None]
    got = trained(
        Line(),
        (rows, params, index, index),
        learning_rate=0.01,
        weight_decay=0.3,
        schedule=Schedule(batch_size=3, max_epochs=1, chunk=1, optimizer="sgd"),
    )
    off = 0.5 * x - 1 - y
    np.testing.assert_allclose(got.params["b"][0], -1 - 0.01 * np.mean(2 * off), rtol=1e-6)
    w = 0.5 - 0.01 * (np.mean(2 * off * x) + 0.3 * 0.5)
    np.testing.assert_allclose(got.params["w"][0, 0, 0], w, rtol=1e-6)


def test_memory_of_a_run_counted_by_hand():
    """100 parameters of 4 bytes, rows of 8 bytes, 20 and 10 positions of 4."""
    params = {"w": np.zeros((6, 100), np.float32)}
    rows = {"x": np.zeros((50, 2), np.float32)}
    numbers = np.zeros(6, np.float32)
    index = np.zeros((6, 20), np.int32), np.zeros((6, 10), np.int32)
    members = Job(numbers, numbers, numbers, *index, np.ones(6, bool))
    kept = 4 * 400 + (3 * 4 + 20 * 4 + 10 * 4 + 1)
    working = 3 * 400 + 2 * 10 * 8  # of the held-out rows, more than the batch's

    def at_once(mode, memory):
        schedule = Schedule(batch_size=8)
        return sweep.runs_at_once(Sweep(mode, memory), schedule, params, members, rows)

    assert at_once("vmap", 3 * (kept + working)) == 3
    assert at_once("vmap", 3 * (kept + working) - 1) == 2
    assert at_once("map", 3 * kept + working) == 3
    assert at_once("map", 1) == at_once("vmap", 1) == 1
    assert at_once("map", None) > 1000  # half of what this machine has


def test_automatic_mode_is_one_after_another_on_a_cpu(monkeypatch):
    assert not Sweep().side_by_side and not Sweep("map").side_by_side
    assert Sweep("vmap").side_by_side
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert Sweep().side_by_side and not Sweep("map").side_by_side


def test_what_there_is_not():
    with pytest.raises(InputError, match="no sweep mode 'loop'; known are auto, map, vmap"):
        Sweep("loop")
    with pytest.raises(InputError, match="0 bytes; it must be positive"):
        Sweep(memory=0)
    with pytest.raises(InputError, match="no optimizer 'adam'; known are adamw, sgd"):
        trained(Line(), line(), schedule=Schedule(optimizer="adam"))
