"""Devices and processes: the same runs, the same steps, whoever computes them."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from training_toys import Wave, wave

from routerjax.errors import InputError
from routerjax.training.parallel import Devices

SCRIPT = Path(__file__).parent / "on_devices.py"


def run_scripts(*arguments, environment):
    """Run the script once per list of arguments, all at once; what each wrote."""
    quiet = {name: v for name, v in environment.items() if not name.startswith(("SLURM", "OMPI"))}
    running = [
        subprocess.Popen([sys.executable, SCRIPT, *own], env=quiet, stderr=subprocess.PIPE)
        for own in arguments
    ]
    try:
        for process in running:
            _, errors = process.communicate(timeout=300)
            assert process.returncode == 0, errors.decode()
    finally:
        for process in running:
            process.kill()
    return [(_by_name(own[0]), json.loads(Path(own[0] + ".json").read_text())) for own in arguments]


def _by_name(path):
    """The arrays of each Fitted: params in, bias, out, then score, epoch, epochs."""
    found: dict[str, list[np.ndarray]] = {}
    with np.load(path) as arrays:
        for name in arrays.files:
            found.setdefault(name.rpartition("/")[0], []).append(arrays[name])
    return found


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    same = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    return {**os.environ, **same, "ROUTERJAX_CACHE": str(tmp_path_factory.mktemp("cache"))}


@pytest.fixture(scope="module")
def four(environment, tmp_path_factory):
    """What four devices in one process gave."""
    out = str(tmp_path_factory.mktemp("four") / "fitted.npz")
    return run_scripts([out], environment=environment)[0]


@pytest.fixture(scope="module")
def two(environment, tmp_path_factory):
    """What two processes with two devices each gave."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    folder = tmp_path_factory.mktemp("two")
    outs = [[str(folder / f"{i}.npz"), port, str(i)] for i in range(2)]
    return run_scripts(*outs, environment=environment)


@pytest.mark.parametrize("how", ["runs on 4", "runs on 2, one each at a time"])
def test_runs_on_many_devices_are_bit_by_bit_those_on_one(four, how):
    """Five runs on four devices, and two at a time: a place stays empty."""
    fitted, _ = four
    assert len(set(fitted["alone"][-1].tolist())) > 1, "runs are to stop at different times"
    for got, want in zip(fitted[how], fitted["alone"], strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize(
    ("how", "alone"),
    [("runs on 2, vmapped", "alone"), ("many on 2, fewer and fewer", "many alone")],
)
def test_runs_side_by_side_on_two_devices(four, how, alone):
    """Of many, those that have stopped leave."""
    for got, want in zip(four[0][how], four[0][alone], strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("how", ["rows on 4", "rows on 3, vmapped", "both on 4"])
def test_shared_rows_take_the_steps_of_the_whole_batch(four, how):
    """Under plain descent, since Adam hides a gradient wrong by a factor.

    162 rows make ten batches of 16 and one of 2, which leaves devices without any; batches of
    16 and 41 held-out rows do not divide by 3.
    """
    for got, want in zip(four[0][how], four[0]["descent"], strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
    moved = np.abs(four[0]["descent"][1] - np.asarray(wave(3)[1]["in"]))
    assert moved.max() > 0.01, "a test of steps that take none"


@pytest.mark.parametrize(
    ("on_disk", "in_memory"),
    [
        ("a few rows an epoch, on 2, on disk", "a few rows an epoch"),
        ("rows on 4, on disk", "rows on 4"),
    ],
)
def test_rows_read_for_many_devices_are_those_they_would_have_in_memory(four, on_disk, in_memory):
    for got, want in zip(four[0][on_disk], four[0][in_memory], strict=True):
        np.testing.assert_array_equal(got, want)
    assert any((a != b).any() for a, b in zip(four[0]["a few rows an epoch"], four[0]["alone"]))  # noqa: B905


def test_devices_draw_for_themselves(four):
    """Two devices, one step of one batch of 162: the draws of all of it differ."""
    key = jax.random.fold_in(jax.random.key(0), 0)  # of run 0
    key, _ = jax.random.split(key)
    step = jax.random.fold_in(key, 0)
    draws = [jax.random.normal(jax.random.fold_in(step, device), (128,)) for device in (0, 1)]
    drawn = np.concatenate([draws[0], draws[1][:34]])  # 256 places, the last 94 without a row
    bias = four[0]["draws"][0]
    np.testing.assert_allclose(bias[0, 0], -drawn.mean(), rtol=1e-5)
    assert not bias[0, 1:].any()


def test_buffers_of_parameters_are_used_again(four):
    assert four[1]["donated"] == [True, True, True]


@jax.jit
def _descend(p, rows, chosen):
    """A step on the chosen rows, −1 for none."""

    def loss(p):
        losses = Wave().loss(p, None, {name: leaf[chosen] for name, leaf in rows.items()}, None)
        return jnp.mean(losses, where=chosen >= 0)

    decayed = {name: 0.01 * leaf * (leaf.ndim > 1) for name, leaf in p.items()}
    return jax.tree.map(lambda leaf, g, d: leaf - 0.05 * (g + d), p, jax.grad(loss)(p), decayed)


@pytest.mark.slow
def test_two_processes_are_a_plain_loop_over_their_joined_batches(two):
    """Each process shuffles its own rows; a step takes eight of either's."""
    rows, params, train, held_out = wave(2, n=67)
    shares = _shares(train)
    shuffled = jax.jit(lambda key, i, own: jax.random.permutation(jax.random.fold_in(key, i), own))
    for run in range(2):
        p = jax.tree.map(lambda leaf: leaf[run], params)  # noqa: B023
        key = jax.random.fold_in(jax.random.key(0), run)
        scored = {name: values[held_out[run]] for name, values in rows.items()}
        best = (jnp.mean(Wave().score(p, None, scored)), p, 0)
        for epoch in range(8):
            key, shuffle = jax.random.split(key)
            order = [np.asarray(shuffled(shuffle, i, shares[i][run])) for i in range(2)]
            for start in range(0, len(order[0]), 8):
                chosen = np.full(16, -1)
                joined = np.concatenate([mine[start : start + 8] for mine in order])
                chosen[: len(joined)] = joined
                p = _descend(p, rows, chosen)
            score = jnp.mean(Wave().score(p, None, scored))
            best = max(best, (score, p, epoch + 1), key=lambda found: float(found[0]))
        want = [*jax.tree.leaves(best[1]), best[0], best[2]]
        for fitted, _ in two:
            for got, value in zip(fitted["batches"][:5], want, strict=True):
                np.testing.assert_allclose(got[run], value, rtol=1e-5, atol=1e-5)


def _shares(train):
    """Positions in all rows of each process's training rows, −1 filling up to the longer."""
    mine = [[[i for i in row if i % 2 == process] for row in train.tolist()] for process in (0, 1)]
    width = max(len(row) for rows in mine for row in rows)
    return [np.array([row + [-1] * (width - len(row)) for row in rows]) for rows in mine]


@pytest.mark.slow
def test_two_processes_resume_where_both_were(two):
    for fitted, told in two:
        assert told["stopped"] == "after a checkpoint"
        for got, want in zip(fitted["resumed"], fitted["batches"], strict=True):
            np.testing.assert_array_equal(got, want)


@pytest.mark.slow
def test_two_processes_read_their_own_rows_from_disk(two):
    for fitted, _ in two:
        for got, want in zip(fitted["on disk"], fitted["batches"], strict=True):
            np.testing.assert_array_equal(got, want)


@pytest.mark.slow
def test_what_processes_must_agree_on(two):
    for _, told in two:
        assert "starting parameters" in told["other start"]
        assert "batches of 15 rows for 2 processes" in told["odd batch"]
        assert "all devices must share out rows" in told["runs"]
        assert told["bare"].startswith("the processes cannot be joined")


def test_what_there_is_not(four):
    _, told = four
    assert told["too many"] == "9 devices asked for; JAX finds 4 (cpu)"
    assert "must be called before" in told["late"]
    assert told["half"].startswith("coordinator, processes and process id go together")
    assert told["third of two"] == "process id is 2; it must lie in 0 to 1"
    with pytest.raises(InputError, match="called 'columns'; known are runs, rows, both"):
        Devices(parallel="columns")
    with pytest.raises(InputError, match="0 devices asked for"):
        Devices(0)


@pytest.mark.parametrize(
    ("devices", "runs", "grid"),
    [
        (Devices(4, "runs"), 20, (4, 1)),
        (Devices(4, "runs"), 3, (3, 1)),
        (Devices(4, "rows"), 20, (1, 4)),
        (Devices(4, "both"), 20, (4, 1)),
        (Devices(4, "both"), 3, (2, 2)),
        (Devices(4, "both"), 1, (1, 4)),
        (Devices(None, "both"), 5, (4, 2)),
    ],
)
def test_grid_of_devices(monkeypatch, devices, runs, grid):
    monkeypatch.setattr(jax, "local_device_count", lambda: 8)
    assert devices.grid(runs) == grid
