"""The training loop: against a plain loop, run by run, bit by bit; and where heads start."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from training_toys import Climb, Line, Shrink, climb, line, trained

from routerjax.errors import InputError
from routerjax.models.heads import Head, Scaling, initial, outputs
from routerjax.training.batches import shuffled, visited
from routerjax.training.config import Schedule
from routerjax.training.run import (
    Job,
    Recipe,
    State,
    Whole,
    advance,
    start,
    stopped,
)


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
        for first in range(0, 27, 8):
            chosen = order[first : first + 8]  # the last batch has three rows
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
    ("caution", "epoch"), [(0.0, 4), (1.0, 4), (1.4, 4), (1.42, 0), (2.0, 0), (5.0, 0)]
)
def test_the_start_is_left_only_for_a_rise_of_so_many_standard_errors(caution, epoch):
    """The last two rows are asked: their rise of (2, 0)·b is √2 standard errors in every epoch."""
    got = climb(Climb(), caution=caution)
    assert (got.epoch[0], got.epochs[0]) == (epoch, 4)
    assert got.params["b"][0] == epoch / 4
    # the mean of y is 1; that of x is 8, and 0 over the first two rows, which choose
    assert got.score[0] == (0 if caution else 8) + epoch / 4


def test_rows_that_choose_an_epoch_do_not_prove_it():
    """All that rises is a row that chooses, so that the others prove nothing."""
    rows = {"x": jnp.zeros(6), "y": jnp.array([2.0, 2.0, 0.0, 0.0, 0.0, 0.0])}
    problem = (rows, {"b": jnp.zeros(1)}, jnp.array([[4, 5]]), jnp.array([[0, 1, 2, 3]]))
    settings = {"batch_size": 2, "max_epochs": 4, "patience": 9, "chunk": 2, "optimizer": "sgd"}
    found = [
        trained(
            Climb(),
            problem,
            learning_rate=0.25,
            weight_decay=0.0,
            schedule=Schedule(**settings, caution=caution),
        )
        for caution in (0.0, 1.0)
    ]
    assert [int(each.epoch[0]) for each in found] == [4, 0]
    assert [float(each.params["b"][0]) for each in found] == [1.0, 0.0]


def test_of_one_held_out_row_nothing_is_proven():
    rows = {"x": jnp.zeros(3), "y": jnp.ones(3)}
    problem = (rows, {"b": jnp.zeros(1)}, jnp.array([[1, 2]]), jnp.array([[0]]))
    schedule = Schedule(batch_size=2, max_epochs=2, patience=9, optimizer="sgd", caution=1.0)
    got = trained(Climb(), problem, learning_rate=0.25, weight_decay=0.0, schedule=schedule)
    assert (int(got.epoch[0]), float(got.params["b"][0])) == (0, 0.0)


def test_of_epochs_that_score_alike_the_first_is_kept_and_patience_runs_from_it():
    got = climb(Climb(top=0.5), max_epochs=9, patience=3)
    assert (got.epoch[0], got.epochs[0]) == (2, 5)
    assert (got.params["b"][0], got.score[0]) == (0.5, 8.5)


def test_no_epochs_leave_the_starting_point():
    problem = line()
    got = trained(Line(), problem, schedule=Schedule(max_epochs=0))
    jax.tree.map(np.testing.assert_array_equal, got.params, problem[1])


def test_the_last_batch_is_filled_up_with_no_rows():
    batches = shuffled(jax.random.key(0), jnp.arange(10) + 100, 4)
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


@pytest.mark.parametrize(
    ("epoch", "best", "real", "stops"),
    [
        (0, 0, True, False),
        (4, 2, True, False),
        (5, 2, True, True),  # three epochs without a better one
        (9, 8, True, False),
        (10, 9, True, True),  # the last
        (0, 0, False, True),
    ],
)
def test_when_a_run_stops(epoch, best, real, stops):
    schedule = Schedule(patience=3, max_epochs=10)
    state = State(*(None,) * 3, jnp.array(epoch), *(None,) * 4, jnp.array(best), None)
    job = Job(None, None, None, None, None, jnp.array(real))
    assert bool(stopped(schedule, state, job)) is stops


def test_an_optimizer_there_is_not():
    with pytest.raises(InputError, match="no optimizer 'adam'; known are adamw, sgd"):
        Recipe(Climb(), Schedule(optimizer="adam"))


def test_weight_decay_acts_on_kernels_alone():
    """Without a slope a kernel of 1 shrinks by rate · decay = ⅛ of it, and a bias stays."""
    rows = {"y": jnp.zeros(4)}
    params = {"w": jnp.ones((1, 1, 1)), "b": jnp.ones((1, 2))}
    positions = jnp.array([[0, 1]]), jnp.array([[2, 3]])
    schedule = Schedule(batch_size=2, max_epochs=1, chunk=1, optimizer="sgd")
    settings = {"learning_rate": 0.5, "weight_decay": 0.25, "schedule": schedule}
    got = trained(Shrink(), (rows, params, *positions), **settings)
    np.testing.assert_allclose(got.params["w"], 0.875, rtol=1e-6)
    np.testing.assert_array_equal(got.params["b"], 1.0)


ALONE = Whole()


def after_a_chunk(objective, params, *, share=ALONE, rows=4, real=True, own_rows=False, **changes):
    """State after one chunk of plain descent by rates of ¼ on so many rows, and the first state."""
    settings = {"batch_size": 4, "max_epochs": 9, "chunk": 1, "optimizer": "sgd"} | changes
    recipe = Recipe(objective, Schedule(**settings), share)
    data = {"x": jnp.zeros(rows + 1), "y": jnp.ones(rows + 1)}
    train, held_out = jnp.arange(rows), jnp.array([rows])
    given = data if own_rows else None
    job = Job(0.0, jnp.array(0.25), jnp.array(0.0), train, held_out, jnp.array(True), given)
    shared = None if own_rows else data

    @jax.jit
    def chunk(params, key, job, shared):
        first = start(recipe, params, key, job, shared)
        return *advance(recipe, first, job, shared), first

    return chunk(params, jax.random.key_data(jax.random.key(5)), job, shared)


@pytest.mark.parametrize(
    ("changes", "steps"),
    [
        ({"rows": 9, "own_rows": True}, 3),
        ({"rows": 9, "epoch_rows": 8, "chunk": 3}, 3 * 2),  # an epoch sees eight of nine
        ({"share": Whole(processes=2)}, 2),  # half of a batch is this process's
        ({"share": Whole(processes=2), "epoch_rows": 4}, 1),  # and half of an epoch's rows
    ],
)
def test_steps_of_a_chunk(changes, steps):
    """Every step lifts b by ¼, and the held-out score with it."""
    state, more, first = after_a_chunk(Climb(), {"b": jnp.zeros(())}, **changes)
    assert (float(first.best_score), int(first.best_epoch)) == (0.0, 0)
    np.testing.assert_array_equal(first.start_scores, [0.0])
    epochs = changes.get("chunk", 1)
    assert float(state.params["b"]) == float(state.best_params["b"]) == steps / 4
    assert float(state.best_score) == steps / 4
    assert int(state.epoch) == int(state.best_epoch) == epochs
    assert bool(more)


@pytest.mark.parametrize(("rows", "most", "long"), [(1000, 600, 256), (100, 30, 30)])
def test_an_epoch_visits_stretches_of_neighbours(rows, most, long):
    """As many stretches as go into `most`, of those that go into the rows from a random cut on."""
    keys = jax.random.split(jax.random.key(0), 300)
    visit = jax.jit(jax.vmap(visited, in_axes=(0, None, None)), static_argnums=2)
    seen = np.asarray(visit(keys, 7 * jnp.arange(rows), most)) // 7
    assert seen.shape == (300, most // long * long)
    stretches = seen.reshape(300, -1, long)
    assert np.all(np.diff(stretches, axis=2) % rows == 1)  # round the end, too
    assert all(len({*one}) == len(one) for one in seen)
    apart = (stretches[..., 0] - stretches[:, :1, 0]) % rows
    assert {*apart.ravel()} <= {(d * long) % rows for d in range(-(rows // long), rows // long)}
    chance = seen.shape[1] / rows
    error = np.sqrt(300 * chance * (1 - chance))
    assert np.abs(np.bincount(seen.ravel(), minlength=rows) - 300 * chance).max() < 5 * error
    assert len({*stretches[:, 0, 0]}) > min(rows, 300) / 2


def test_an_epoch_that_may_visit_all_rows_visits_them_in_order():
    train = jnp.array([5, 3, 9])
    np.testing.assert_array_equal(visited(jax.random.key(0), train, 3), train)


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
