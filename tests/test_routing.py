"""Training routers: the objectives by hand, sweeps run by run, what the joint stage mends."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from routerjax.errors import InputError
from routerjax.estimators.folds import member_splits
from routerjax.estimators.utility import Unit
from routerjax.losses.surrogates import softmax_regret
from routerjax.models.architectures import ARCHITECTURES
from routerjax.models.heads import initial
from routerjax.models.stages import Endpoints, Joint
from routerjax.records.tables import Estimates
from routerjax.training.config import RouterConfig, Schedule
from routerjax.training.objectives import RouterObjective
from routerjax.training.routing import Problem, train_router, train_routers

SHORT = Schedule(batch_size=64, max_epochs=30, patience=10, chunk=10)


def test_endpoint_objective_by_hand():
    """Loss and score of one row under two cost weights, written out."""
    stage = Endpoints((0.0, 100.0), models=2, widths=(), sharpness=0.0, count=1)
    start = np.array([[[0.0, 0.0], [0.0, np.log(3.0)]]], np.float32)
    params = jax.tree.map(lambda leaf: leaf[0], initial(stage.head, 1, jax.random.key(0), start))
    estimates = Estimates(quality=jnp.array([[1.0, 0.5]]), cost=jnp.array([[0.010, 0.001]]))
    batch = {"x": jnp.zeros((1, 1)), "target": estimates, "selection": estimates}
    batch["start"] = estimates
    context = {"cost_weights": jnp.array([0.0, 100.0]), "unit": Unit(1.0, 0.01)}  # s = 1 and 2
    objective = RouterObjective(stage, softmax_regret)
    # λ = 0: utilities (1, 0.5), even odds, regret 0.25
    # λ = 100: (0, 0.4)/2, arm 1 with probability 3/4, regret 0.25·0.2
    assert objective.loss(params, context, batch, jax.random.key(0))[0] == pytest.approx(
        (0.25 + 0.05) / 2, rel=1e-5
    )
    # argmax: arm 0 at λ = 0 (first of a tie), arm 1 at λ = 100
    assert objective.score(params, context, batch)[0] == pytest.approx((1.0 + 0.2) / 2, rel=1e-5)


def test_between_objective_draws_cost_weights_inside_the_intervals():
    """Seen through a surrogate that returns the drawn λ: utility of arm 1 is −λ·1 / s_λ."""
    fitted = (0.0, 10.0, 30.0)
    ends = Endpoints(fitted, models=2, widths=(4,), sharpness=0.0, count=1)
    unit = Unit(1.0, 0.0)

    def reveal(logits, utilities):
        return -utilities[1]

    stage = Joint(fitted, models=2, endpoints=ends)
    objective = RouterObjective(stage, reveal)
    estimates = Estimates(quality=jnp.zeros((1, 2)), cost=jnp.array([[0.0, 1.0]]))
    batch = {
        "x": jnp.zeros((1, 3)),
        "target": estimates,
        "selection": estimates,
        "start": estimates,
    }
    endpoints = ends.initial(3, 1, jax.random.key(0))
    params = jax.tree.map(lambda leaf: leaf[0], stage.initial(3, 1, jax.random.key(1)))
    context = {"unit": unit, "endpoints": endpoints}
    keys = jax.random.split(jax.random.key(2), 400)
    means = jax.jit(jax.vmap(lambda key: objective.loss(params, context, batch, key)[0]))(keys)
    # one λ of (0, 10) and one of (10, 30): their mean lies in (5, 20), on average 12.5
    assert 5 <= means.min() < 7 and 18 < means.max() <= 20
    assert abs(means.mean() - 12.5) < 4 * np.sqrt((100 / 12 + 400 / 12) / 4 / 400)


def test_unit():
    np.testing.assert_allclose(Unit(2.0, 0.01).at(np.array([0.0, 100.0])), [2.0, 3.0])


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
    return jnp.asarray(x), Estimates(quality=quality, cost=cost)


def _problem(n=600, *, members=2, seed=0):
    """The easy policy, with nothing to start from."""
    x, cells = _easy(n, seed)
    flat = jax.tree.map(np.zeros_like, cells)
    splits = member_splits(n, members=members, held_out=0.2, seed=seed)
    return Problem(x, cells, cells, flat, *splits, jax.random.key(seed))


@pytest.mark.parametrize("architecture", [name for name in ARCHITECTURES if name != "plug-in"])
@pytest.mark.slow
def test_router_learns_an_easy_policy(architecture):
    config = RouterConfig(
        architecture=architecture, members=2, widths=(16,), learning_rate=1e-2, schedule=SHORT
    )
    if architecture == "affine":  # its costs are those of the start, times what it learns
        config = dataclasses.replace(config, start="best-single")
    policy, epochs = train_router(
        _problem(), cost_weights=(0.0, 1000.0), quality_width=1.0, config=config
    )
    new, truth = _easy(seed=1)
    flat = jax.tree.map(np.zeros_like, truth)
    probabilities = policy.at(new, flat, cost_weights=(0.0, 1000.0))
    assert probabilities.shape == (2, 600, 2)
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1.0, atol=1e-5)
    free, dear = probabilities.argmax(axis=-1)
    assert np.mean(free == truth.quality.argmax(axis=1)) > 0.95
    assert np.all(dear == 0)  # a thousand a dollar: a quality of 1 is not worth a cent
    parts = [policy.member(i).at(new, flat, cost_weights=(0.0, 1000.0)) for i in range(2)]
    np.testing.assert_allclose(np.mean(parts, axis=0), probabilities, atol=1e-6)
    assert max(epochs.get("endpoints") or epochs["router"]) > 0
    assert all(len(best) % 2 == 0 for best in epochs.values())  # two members


def test_separate_networks_do_not_touch_each_other():
    """A network per cost weight is the same whichever other cost weights are trained."""
    problem = _problem(200, members=1)
    config = RouterConfig(architecture="separate", members=1, widths=(8,))

    def trained(*cost_weights):
        policy, _ = train_router(
            problem, cost_weights=cost_weights, quality_width=1.0, config=config
        )
        return policy.at(problem.x, problem.predicted, cost_weights=cost_weights)

    np.testing.assert_allclose(trained(0.0, 50.0)[0], trained(0.0, 200.0)[0], atol=1e-6)


@pytest.mark.parametrize(
    "architecture",
    [
        "shared",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("conditioned", "interval", "affine")
        ),
    ],
)
def test_problems_trained_together_are_as_each_alone(architecture):
    """The seeds of a study are one sweep; every parameter has the bits it has alone."""
    problems = [_problem(200, seed=seed) for seed in range(2)]
    settings = {
        "cost_weights": (0.0, 20.0, 400.0),
        "quality_width": 1.0,
        "config": RouterConfig(
            architecture=architecture, members=2, widths=(8,), learning_rate=1e-2, schedule=SHORT
        ),
    }
    together = train_routers(problems, **settings)
    alone, joint = train_router(problems[1], **settings), together[1]
    assert alone.epochs == joint.epochs
    jax.tree.map(np.testing.assert_array_equal, alone.policy.params, joint.policy.params)
    assert alone.policy.unit == joint.policy.unit


@pytest.mark.slow
def test_of_several_learning_rates_each_run_keeps_the_best_on_held_out_rows():
    """One rate moves nothing: the pair ends where the other rate alone does."""
    config = RouterConfig(
        architecture="shared",
        members=2,
        widths=(8,),
        start="best-single",
        learning_rate=(1e-9, 1e-2),
        schedule=dataclasses.replace(SHORT, caution=0.0),
    )
    settings = {"cost_weights": (0.0, 20.0), "quality_width": 1.0}
    both = train_router(_problem(300), config=config, **settings)
    one = train_router(
        _problem(300), config=dataclasses.replace(config, learning_rate=1e-2), **settings
    )
    assert both.epochs == one.epochs
    jax.tree.map(np.testing.assert_array_equal, both.policy.params, one.policy.params)


@pytest.mark.slow
def test_the_joint_stage_mends_endpoints_that_disagree_on_scale():
    """Endpoint routers a hundred times as sure at one end as at the other.

    Unaided interpolation then follows the loud end almost everywhere; the joint router learns
    the two factors.
    """
    rng = np.random.default_rng(0)
    n = 800
    x = rng.normal(size=(n, 1)).astype(np.float32)
    gain = 1 / (1 + np.exp(-2 * x[:, 0]))  # what the dear model adds, between 0 and 1
    quality = np.stack([np.zeros(n), gain], axis=1).astype(np.float32)
    cost = np.tile(np.array([0.0, 0.01], np.float32), (n, 1))
    cells = Estimates(quality=quality, cost=cost)
    flat = jax.tree.map(np.zeros_like, cells)
    problem = Problem(
        jnp.asarray(x),
        cells,
        cells,
        flat,
        *member_splits(n, members=1, held_out=0.2, seed=0),
        jax.random.key(0),
    )
    config = RouterConfig(
        architecture="interval",
        members=1,
        widths=(16,),
        learning_rate=1e-2,
        weight_decay=0.0,
        schedule=Schedule(batch_size=64, max_epochs=60, patience=30, chunk=20),
    )
    policy, _ = train_router(problem, cost_weights=(0.0, 100.0), quality_width=1.0, config=config)
    unaided = policy._replace(
        architecture=policy.architecture.read_as("interpolated"),
        params={"endpoints": policy.params["endpoints"]},
    )

    def regret(policy, weight):
        arms = policy.at(problem.x, flat, cost_weights=[weight])[0].argmax(axis=-1)
        utilities = quality - weight * cost
        return float((utilities.max(axis=1) - utilities[np.arange(n), arms]).mean())

    inside = (10.0, 30.0, 50.0, 70.0, 90.0)
    with_joint = np.mean([regret(policy, weight) for weight in inside])
    without = np.mean([regret(unaided, weight) for weight in inside])
    assert with_joint < 0.5 * without and without > 0.01


def test_unknown_architecture():
    for changes, message in (
        ({"architecture": "deep"}, "known are plug-in, interval, shared, separate"),
        ({"architecture": "affine", "separate_trunks": True}, "separate trunks have no effect"),
        ({"architecture": "affine", "start_sharpness": 0.0}, "an affine router needs one above 0"),
    ):
        with pytest.raises(InputError, match=message):
            train_router(
                _problem(50), cost_weights=(0.0,), quality_width=1.0, config=RouterConfig(**changes)
            )


def test_untrained_router_is_the_plug_in_policy_or_the_best_single_model():
    """With no epoch trained the router is where it started, at every cost weight."""
    rng = np.random.default_rng(5)
    predicted = Estimates(
        quality=rng.random((80, 4)).astype(np.float32),
        cost=(0.01 * rng.random((80, 4))).astype(np.float32),
    )
    selection = Estimates(quality=np.flip(predicted.quality, axis=1), cost=predicted.cost)
    splits = member_splits(80, members=2, held_out=0.2, seed=0)
    x, weights = jnp.asarray(rng.normal(size=(80, 3))), (0.0, 20.0, 200.0)
    evaluated = (0.0, 7.0, 20.0, 111.0, 200.0)

    def untrained(start):
        policy, _ = train_router(
            Problem(x, selection, selection, predicted, *splits, jax.random.key(0)),
            cost_weights=weights,
            quality_width=1.0,
            config=RouterConfig(members=2, start=start, schedule=Schedule(max_epochs=0)),
        )
        return policy.at(x, predicted, cost_weights=evaluated).argmax(axis=-1)

    for arms, weight in zip(untrained("plug-in"), evaluated, strict=True):
        np.testing.assert_array_equal(
            arms, (predicted.quality - weight * predicted.cost).argmax(axis=1)
        )
    for arms, weight in zip(untrained("best-single"), evaluated, strict=True):
        best = (selection.quality - weight * selection.cost).mean(axis=0).argmax()
        assert np.all(arms == best)
    with pytest.raises(InputError, match="plug-in, best-single"):
        untrained("nobody's")
