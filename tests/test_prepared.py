"""Endpoint logits of the joint stage: made once, and the training is the same."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from routerjax.estimators.utility import Unit
from routerjax.models.architectures import Interval
from routerjax.records.tables import Estimates
from routerjax.training import prepared as preparing
from routerjax.training.config import RouterConfig, Schedule
from routerjax.training.execution import Execution
from routerjax.training.parallel import Devices
from routerjax.training.prepared import Prepared, prepared
from routerjax.training.routing import Problem, train_routers

ROWS, WIDTH, MODELS, WEIGHTS = 90, 5, 3, (0.0, 10.0, 40.0)
CONFIG = RouterConfig(
    architecture="interval",
    members=2,
    widths=(8,),
    learning_rate=1e-2,
    joint_caution=0.0,
    schedule=Schedule(batch_size=16, max_epochs=4, patience=4, chunk=2),
)


def problem(seed):
    rng = np.random.default_rng(seed)
    quality = rng.uniform(size=(ROWS, MODELS)).astype(np.float32)
    cost = np.float32([0.03, 0.01, 0.002]) * rng.uniform(0.5, 2, (ROWS, 1)).astype(np.float32)
    rows = np.stack([rng.permutation(ROWS) for _ in range(CONFIG.members)])
    return Problem(
        x=rng.normal(size=(ROWS, WIDTH)).astype(np.float32),
        target=Estimates(quality=quality, cost=cost),
        selection=Estimates(quality=quality, cost=cost),
        predicted=Estimates(quality=0.5 + 0.1 * quality, cost=cost),
        train=rows[:, :60],
        held_out=rows[:, 60:80],
        key=jax.random.key(seed),
    )


def trained(config=CONFIG, **execution):
    return train_routers(
        [problem(0), problem(1)],
        cost_weights=WEIGHTS,
        quality_width=1.0,
        config=config,
        execution=Execution(**execution),
    )


def same(one, other):
    for own, their in zip(one, other, strict=True):
        assert own.epochs == their.epochs
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-6),
            own.policy.params,
            their.policy.params,
        )


@pytest.mark.slow
def test_a_joint_router_trained_on_them_is_the_one_that_makes_its_own(monkeypatch):
    """Of two problems, two members and two learning rates."""
    config = dataclasses.replace(CONFIG, learning_rate=(1e-2, 3e-3))
    once = trained(config)
    assert max(once[0].epochs["joint"]) > 0, "the joint stage is to learn something here"
    monkeypatch.setattr(preparing, "MOST_BYTES", 0)
    same(once, trained(config))


@pytest.mark.slow
def test_devices_that_share_the_rows_of_a_batch_find_them_too(monkeypatch):
    shared = trained(devices=Devices(1, parallel="rows"))
    monkeypatch.setattr(preparing, "MOST_BYTES", 0)
    same(shared, trained(devices=Devices(1, parallel="rows")))


def stages():
    return Interval(WEIGHTS, MODELS, (8,), 10.0).stages


def made(monkeypatch, **settings):
    """What two runs of one network each make, beside the endpoints' logits of all rows."""
    monkeypatch.setattr(preparing, "BLOCK", 16)
    endpoints, joint = stages()
    own = problem(3)
    params = endpoints.initial(WIDTH, 2, jax.random.key(0))
    params = jax.tree.map(lambda leaf: leaf.reshape(2, 1, *leaf.shape[1:]) + 0.1, params)
    unit = Unit(jnp.ones(2), jnp.full(2, 0.01))
    rows = {"x": jnp.asarray(own.x), "start": jax.tree.map(jnp.asarray, own.predicted)}
    train = jnp.asarray(own.train).at[0, -1].set(-1)
    context = {"unit": unit, "endpoints": params}
    found = prepared(joint, context, rows, train, jnp.asarray(own.held_out), **settings)
    every = [
        joint.prepared(jax.tree.map(lambda leaf, r=r: leaf[r], context), rows["x"], rows["start"])
        for r in range(2)
    ]
    return found, every, np.asarray(train), own.held_out


def test_a_row_is_found_by_its_position(monkeypatch):
    found, every, train, held_out = made(monkeypatch, epoch_rows=1000, tries=1)
    for r in range(2):
        own = Prepared(found.values[r], found.place[r])
        for rows in (train[r][train[r] >= 0], held_out[r]):
            np.testing.assert_allclose(own.of(rows), every[r][rows], rtol=1e-5, atol=1e-6)


def test_where_an_epoch_does_not_visit_all_rows_each_step_makes_its_own(monkeypatch):
    found, *_ = made(monkeypatch, epoch_rows=30, tries=1)
    assert found is None


def test_what_every_try_keeps_counts():
    made_of = {"epoch_rows": 1000}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(preparing, "MOST_BYTES", 20_000)
        assert made(patched, tries=1, **made_of)[0] is not None
        assert made(patched, tries=4, **made_of)[0] is None


def test_stages_that_make_nothing_are_left_alone():
    endpoints, _ = stages()
    index = jnp.zeros((1, 3), jnp.int32)
    assert prepared(endpoints, {}, {}, index, index, epoch_rows=10, tries=1) is None
