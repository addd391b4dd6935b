"""The training loop and the router objective: against a plain loop, run by run, bit by bit."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from routerjax.errors import InputError
from routerjax.heads import Head, Scaling, initial, outputs
from routerjax.records import Estimates
from routerjax.surrogates import softmax_regret
from routerjax.training import fit as training
from routerjax.training.fit import Schedule, fit
from routerjax.training.routing import (
    RouterConfig,
    RoutingObjective,
    loss_scale,
    member_splits,
    train_router,
)


@dataclasses.dataclass(frozen=True)
class Line:
    """Least squares of a line, as small as an objective gets."""

    def loss(self, params, run, batch, key):
        return (params["w"][0, 0] * batch["x"] + params["b"] - batch["y"]) ** 2

    def score(self, params, run, rows):
        return -self.loss(params, run, rows, None)


def _line_problem(runs=3, n=37):
    rng = np.random.default_rng(0)
    x = rng.normal(size=n).astype(np.float32)
    rows = {"x": jnp.asarray(x), "y": jnp.asarray(2 * x + 1 + 0.1 * rng.normal(size=n))}
    order = np.stack([rng.permutation(n) for _ in range(runs)])
    params = {"w": jnp.zeros((runs, 1, 1)), "b": jnp.zeros(runs)}
    return rows, params, jnp.asarray(order[:, 10:]), jnp.asarray(order[:, :10])


def _fit(rows, params, train, held_out, **changes):
    settings = {
        "run": jnp.zeros(len(train)),
        "learning_rate": 0.05,
        "weight_decay": 0.01,
        "key": jax.random.key(0),
        "schedule": Schedule(batch_size=8, max_epochs=20, patience=20, chunk=5),
    } | changes
    return fit(Line(), params, rows=rows, train_index=train, held_out_index=held_out, **settings)


def test_equals_a_plain_loop_of_steps():
    rows, params, train, held_out = _line_problem(runs=1)
    got = _fit(rows, params, train, held_out)
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
            slope = jax.grad(lambda p, b: jnp.mean(Line().loss(p, None, b, None)))(p, batch)
            updates, state = optimizer.update(slope, state, p)
            p = optax.apply_updates(p, updates)
        chosen = {name: values[held_out[0]] for name, values in rows.items()}
        score = float(jnp.mean(Line().score(p, None, chosen)))
        if score > best[0]:
            best = (score, p, epoch + 1)
    assert got.epoch[0] == best[2]
    np.testing.assert_allclose(got.score[0], best[0], rtol=1e-4)
    np.testing.assert_allclose(got.params["w"][0], best[1]["w"], rtol=1e-4)
    np.testing.assert_allclose(got.params["b"][0], best[1]["b"], rtol=1e-4)


def test_runs_do_not_touch_each_other():
    rows, params, train, held_out = _line_problem(runs=3)
    joint = _fit(rows, params, train, held_out)
    for run in range(3):
        key = jax.random.key(0)
        alone = fit(
            Line(),
            jax.tree.map(lambda leaf: leaf[:1], params),
            rows=rows,
            train_index=train[run : run + 1],
            held_out_index=held_out[run : run + 1],
            run=jnp.zeros(1),
            learning_rate=0.05,
            weight_decay=0.01,
            key=key,
            schedule=Schedule(batch_size=8, max_epochs=20, patience=20, chunk=5),
        )
        if run == 0:  # the first run has the same key alone and in company: the same bits
            np.testing.assert_array_equal(alone.params["w"][0], joint.params["w"][0])
        np.testing.assert_allclose(alone.params["w"][0], joint.params["w"][run], atol=0.2)


def test_chunks_do_not_change_the_result_and_the_same_seed_gives_the_same_bits():
    problem = _line_problem()
    reference = _fit(*problem)
    for chunk in (1, 20):
        schedule = Schedule(batch_size=8, max_epochs=20, patience=20, chunk=chunk)
        again = _fit(*problem, schedule=schedule)
        jax.tree.map(np.testing.assert_array_equal, reference, again)


def test_a_run_stops_when_its_score_stops_rising():
    rows, params, train, held_out = _line_problem()
    schedule = Schedule(batch_size=8, max_epochs=400, patience=3, chunk=50)
    got = _fit(rows, params, train, held_out, schedule=schedule)
    np.testing.assert_array_equal(got.epochs, got.epoch + 3)
    assert np.all(np.asarray(got.epochs) < 400)


def test_no_epochs_leave_the_starting_point():
    rows, params, train, held_out = _line_problem()
    got = _fit(rows, params, train, held_out, schedule=Schedule(max_epochs=0))
    jax.tree.map(np.testing.assert_array_equal, got.params, params)


def test_padding_of_the_last_batch_weighs_nothing():
    order = jnp.arange(10) + 100
    batches, mask = training._batches(jax.random.key(0), order, 4)
    assert batches.shape == mask.shape == (3, 4)
    assert mask.sum() == 10
    assert sorted(np.asarray(batches)[np.asarray(mask) == 1]) == list(range(100, 110))


def test_progress_counts_epochs():
    calls = []
    schedule = Schedule(batch_size=8, max_epochs=20, patience=20, chunk=5)
    _fit(*_line_problem(), schedule=schedule, on_progress=lambda *call: calls.append(call))
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


def test_objective_by_hand():
    """Loss and score of one row under two cost weights, written out."""
    head = Head(outputs=(2, 2), widths=())
    start = np.array([[[0.0, 0.0], [0.0, np.log(3.0)]]], np.float32)
    params = jax.tree.map(lambda leaf: leaf[0], initial(head, 1, jax.random.key(0), start))
    estimates = Estimates(quality=jnp.array([[1.0, 0.5]]), cost=jnp.array([[0.010, 0.001]]))
    batch = {"x": jnp.zeros((1, 1)), "target": estimates, "judge": estimates}
    batch["start"] = estimates
    run = {"cost_weights": jnp.array([0.0, 100.0]), "scale": jnp.array([1.0, 2.0])}
    objective = RoutingObjective(head, softmax_regret, 0.0)
    # λ = 0: utilities (1, 0.5), even odds, regret 0.25
    # λ = 100: (0, 0.4)/2, arm 1 with probability 3/4, regret 0.25·0.2
    assert objective.loss(params, run, batch, None)[0] == pytest.approx((0.25 + 0.05) / 2, rel=1e-5)
    # argmax: arm 0 at λ = 0 (first of a tie), arm 1 at λ = 100
    assert objective.score(params, run, batch)[0] == pytest.approx((1.0 + 0.2) / 2, rel=1e-5)


def test_loss_scale():
    np.testing.assert_allclose(
        loss_scale(np.array([0.0, 100.0]), quality_width=2.0, mean_cost=0.01), [2.0, 3.0]
    )


def test_member_splits():
    train, held_out = member_splits(103, members=5, held_out=0.2, seed=0)
    assert train.shape == (5, 82) and held_out.shape == (5, 21)
    for own, out in zip(train, held_out, strict=True):
        assert sorted([*own, *out]) == list(range(103))
    assert len(np.unique(held_out)) == 103  # 5·21 ≥ 103: every row is held out of some member
    for bad in (0.0, 1.0):
        with pytest.raises(InputError, match="between 0 and 1"):
            member_splits(10, members=1, held_out=bad, seed=0)


def _easy(n=600, seed=0):
    """Two arms, the better one told by the sign of the first coordinate; the second is dear."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 4)).astype(np.float32)
    quality = np.stack([x[:, 0] < 0, x[:, 0] > 0], axis=1).astype(np.float32)
    cost = np.tile(np.array([0.0, 0.01], np.float32), (n, 1))
    return x, Estimates(quality=quality, cost=cost)


@pytest.mark.parametrize("architecture", ["shared", "separate"])
def test_router_learns_an_easy_policy(architecture):
    x, cells = _easy()
    config = RouterConfig(
        architecture=architecture, members=2, widths=(16,), learning_rate=1e-2,
        schedule=Schedule(batch_size=64, max_epochs=30, patience=10, chunk=10),
    )  # fmt: skip
    train, held_out = member_splits(600, members=2, held_out=0.2, seed=0)
    flat = jax.tree.map(np.zeros_like, cells)  # nothing to start from
    policy, _ = train_router(
        jnp.asarray(x), cells, cells, flat, train=train, held_out=held_out,
        cost_weights=(0.0, 1000.0),
        quality_width=1.0, key=jax.random.key(0), config=config,
    )  # fmt: skip
    new, truth = _easy(seed=1)
    probabilities = policy.at_grid(jnp.asarray(new), flat)
    assert probabilities.shape == (2, 600, 2)
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1.0, atol=1e-5)
    free, dear = probabilities.argmax(axis=-1)
    assert np.mean(free == truth.quality.argmax(axis=1)) > 0.95
    assert np.all(dear == 0)  # a thousand a dollar: a quality of 1 is not worth a cent
    parts = [policy.member(i).at_grid(jnp.asarray(new), flat) for i in range(2)]
    np.testing.assert_allclose(np.mean(parts, axis=0), probabilities, atol=1e-6)


def test_separate_networks_do_not_touch_each_other():
    """A network per cost weight is the same whichever other cost weights are trained."""
    x, cells = _easy(200)
    flat = jax.tree.map(np.zeros_like, cells)
    config = RouterConfig(architecture="separate", members=1, widths=(8,))
    train, held_out = member_splits(200, members=1, held_out=0.2, seed=0)

    def trained(*cost_weights):
        policy, _ = train_router(
            jnp.asarray(x), cells, cells, flat, train=train, held_out=held_out,
            cost_weights=cost_weights, quality_width=1.0, key=jax.random.key(0), config=config,
        )  # fmt: skip
        return policy.at_grid(jnp.asarray(x), flat)

    np.testing.assert_allclose(trained(0.0, 50.0)[0], trained(0.0, 200.0)[0], atol=1e-6)


def test_unknown_architecture():
    x, cells = _easy(50)
    train, held_out = member_splits(50, members=1, held_out=0.2, seed=0)
    with pytest.raises(InputError, match="shared, separate"):
        train_router(
            jnp.asarray(x), cells, cells, cells, train=train, held_out=held_out,
            cost_weights=(0.0,),
            quality_width=1.0, key=jax.random.key(0), config=RouterConfig(architecture="deep"),
        )  # fmt: skip


def test_untrained_router_is_the_plug_in_policy_or_the_best_single_model():
    """With no epoch trained the router is where it started, at every cost weight."""
    rng = np.random.default_rng(5)
    predicted = Estimates(
        quality=rng.random((80, 4)).astype(np.float32),
        cost=(0.01 * rng.random((80, 4))).astype(np.float32),
    )
    judge = Estimates(quality=np.flip(predicted.quality, axis=1), cost=predicted.cost)
    train, held_out = member_splits(80, members=2, held_out=0.2, seed=0)
    x, weights = jnp.asarray(rng.normal(size=(80, 3))), (0.0, 20.0, 200.0)

    def untrained(start):
        policy, _ = train_router(
            x, judge, judge, predicted, train=train, held_out=held_out, cost_weights=weights,
            quality_width=1.0, key=jax.random.key(0),
            config=RouterConfig(members=2, start=start, schedule=Schedule(max_epochs=0)),
        )  # fmt: skip
        return policy.at_grid(x, predicted).argmax(axis=-1)

    for arms, weight in zip(untrained("plug-in"), weights, strict=True):
        np.testing.assert_array_equal(
            arms, (predicted.quality - weight * predicted.cost).argmax(axis=1)
        )
    for arms, weight in zip(untrained("best-single"), weights, strict=True):
        best = (judge.quality - weight * judge.cost).mean(axis=0).argmax()
        assert np.all(arms == best)
    with pytest.raises(InputError, match="plug-in, best-single"):
        untrained("random")
