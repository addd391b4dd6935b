"""The training loop: against a plain loop, run by run, bit by bit; and where heads start."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from training_toys import Climb, Line, climb, line, trained

from routerjax.models.heads import Head, Scaling, initial, outputs
from routerjax.training.config import Schedule
from routerjax.training.run import _batches


def test_equals_a_plain_loop_of_steps():
    rows, params, train, held_out = line(runs=1)
    got = trained(Line(), (rows, params, train, held_out))
    optimizer = optax.adamw(0.05, weight_decay=0.01, mask={"w": True, "b": False})
    p = {"w": jnp.zeros((1, 1)), "b": jnp.zeros(())}
    state, key = optimizer.init(p), jax.random.fold_in(jax.random.key(0), 0)
    best = (-np.mean(np.asarray(rows["y"])[np.asarray(held_out[0])] ** 2), p, 0)
    for epoch in range(20):
        key, shuffle = jax.random.split(key)
        order = np.asarray(jax.random.permutation(shuffle, train[0]))
        for start in range(0, 27, 8):
            chosen = order[start : start + 8]  # the last batch has three rows
            batch = {name: values[chosen] for name, values in rows.items()}
            slope = jax.grad(lambda p, b: jnp.mean(Line().loss(p, 0.0, b, None)))(p, batch)
            updates, state = optimizer.update(slope, state, p)
            p = optax.apply_updates(p, updates)
        chosen = {name: values[held_out[0]] for name, values in rows.items()}
        score = float(jnp.mean(Line().score(p, 0.0, chosen)))
        if score > best[0]:
            best = (score, p, epoch + 1)
    assert got.epoch[0] == best[2]
    np.testing.assert_allclose(got.score[0], best[0], rtol=1e-4)
    np.testing.assert_allclose(got.params["w"][0], best[1]["w"], rtol=1e-4)
    np.testing.assert_allclose(got.params["b"][0], best[1]["b"], rtol=1e-4)


def test_runs_do_not_touch_each_other():
    """With its own key, a run alone has the bits it has in company."""
    problem, keys = line(runs=3), jax.random.split(jax.random.key(1), 3)
    joint = trained(Line(), problem, key=keys)
    rows, *others = problem
    for run in range(3):
        own = jax.tree.map(lambda leaf: leaf[run : run + 1], others)  # noqa: B023
        alone = trained(Line(), (rows, *own), key=keys[run : run + 1])
        jax.tree.map(
            lambda one, all_: np.testing.assert_array_equal(one[0], all_[run]),  # noqa: B023
            alone,
            joint,
        )


def test_chunks_do_not_change_the_result_and_the_same_seed_gives_the_same_bits():
    problem = line()
    reference = trained(Line(), problem)
    for chunk in (1, 20):
        schedule = Schedule(batch_size=8, max_epochs=20, patience=20, chunk=chunk)
        again = trained(Line(), problem, schedule=schedule)
        jax.tree.map(np.testing.assert_array_equal, reference, again)


def test_a_run_stops_when_its_score_stops_rising():
    schedule = Schedule(batch_size=8, max_epochs=400, patience=3, chunk=50)
    got = trained(Line(), line(), schedule=schedule)
    np.testing.assert_array_equal(got.epochs, got.epoch + 3)
    assert np.all(np.asarray(got.epochs) < 400)


@pytest.mark.parametrize(
    ("caution", "epoch"), [(0.0, 4), (1.0, 4), (1.75, 4), (2.0, 0), (2.25, 0), (5.0, 0)]
)
def test_the_start_is_left_only_for_a_rise_of_so_many_standard_errors(caution, epoch):
    """The rise is twice its standard error in every epoch, and must be more than `caution`."""
    got = climb(Climb(), caution=caution)
    assert (got.epoch[0], got.epochs[0]) == (epoch, 4)
    assert got.params["b"][0] == epoch / 4
    assert got.score[0] == 8 + epoch / 4  # the mean of x is 8, that of y is 1


def test_of_epochs_that_score_alike_the_first_is_kept_and_patience_runs_from_it():
    got = climb(Climb(top=0.5), max_epochs=9, patience=3)
    assert (got.epoch[0], got.epochs[0]) == (2, 5)
    assert (got.params["b"][0], got.score[0]) == (0.5, 8.5)


def test_no_epochs_leave_the_starting_point():
    problem = line()
    got = trained(Line(), problem, schedule=Schedule(max_epochs=0))
    jax.tree.map(np.testing.assert_array_equal, got.params, problem[1])


def test_the_last_batch_is_filled_up_with_no_rows():
    batches = _batches(jax.random.key(0), jnp.arange(10) + 100, 4)
    assert batches.shape == (3, 4)
    assert batches[2, 2:].tolist() == [-1, -1]
    assert sorted(batches.ravel().tolist()) == [-1, -1, *range(100, 110)]


def test_positions_that_stand_for_no_row_weigh_nothing():
    """Among the training rows and the held-out ones, in one full batch of plain descent."""
    rows, params, train, held_out = line(runs=2)
    schedule = Schedule(batch_size=64, max_epochs=5, patience=5, chunk=5, optimizer="sgd")
    none = jnp.full((2, 4), -1)
    wider = [jnp.concatenate([index, none], axis=1) for index in (train, held_out)]
    got = trained(Line(), (rows, params, *wider), schedule=schedule)
    want = trained(Line(), (rows, params, train, held_out), schedule=schedule)
    assert np.all(want.epoch > 0)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), got, want)


def test_progress_counts_epochs():
    calls = []
    schedule = Schedule(batch_size=8, max_epochs=20, patience=20, chunk=5)
    trained(Line(), line(), schedule=schedule, on_progress=lambda *call: calls.append(call))
    assert calls == [(5, 20), (10, 20), (15, 20), (20, 20)]


def test_head_starts_at_its_intercepts():
    start = np.arange(12, dtype=np.float32).reshape(2, 2, 3)  # two runs, outputs [2, 3]
    head = Head(outputs=(2, 3), widths=(8,))
    params = initial(head, 5, jax.random.key(0), jnp.asarray(start))
    x = jax.random.normal(jax.random.key(1), (4, 5))
    for run in range(2):
        own = jax.tree.map(lambda leaf: leaf[run], params)  # noqa: B023
        np.testing.assert_allclose(
            outputs(head, own, x), np.broadcast_to(start[run], (4, 2, 3)), rtol=1e-6
        )
    kernels = params["params"]["Trunk_0"]["Dense_0"]["kernel"]
    assert not np.allclose(kernels[0], kernels[1])


def test_scaling():
    rng = np.random.default_rng(0)
    embeddings = (3 + 2 * rng.normal(size=(500, 4))).astype(np.float32)
    x = np.asarray(Scaling.of(embeddings)(embeddings))
    np.testing.assert_allclose(x.mean(axis=0), 0, atol=1e-5)
    assert (x**2).mean() == pytest.approx(1, rel=1e-4)
    constant = np.ones((10, 2), np.float32)
    assert np.isfinite(Scaling.of(constant)(constant)).all()
