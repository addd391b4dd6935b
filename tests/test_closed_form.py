"""Routing in NumPy is routing by the compiled program: same choices, same numbers."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from routerjax.artefacts.arrays import Arrays
from routerjax.artefacts.closed_form import chances_of, closed_form, propensities
from routerjax.artefacts.decide import Model, decided
from routerjax.estimators.logit import Logit
from routerjax.estimators.trees import Trees, log_odds
from routerjax.estimators.utility import Unit
from routerjax.models.architectures import PlugIn
from routerjax.models.heads import Scaling
from routerjax.models.outcomes import OutcomeModel
from routerjax.models.pooled import PooledHead
from routerjax.models.propensity import PropensityModel, propensities_by_fold, surely
from routerjax.records.tables import Estimates

WIDTH, MODELS, ROWS, WEIGHTS = 6, 4, 64, np.float32([0.0, 3.0, 40.0])
UNIT = Unit(1.0, 0.01)
ARCHITECTURE = PlugIn((0.0, 40.0), MODELS, (8,), 20.0)


def head_of(tasks: int) -> PooledHead:
    return PooledHead(MODELS, components=3, landmarks=5, tasks=tasks)


def arrays(*, trees: int, seed: int = 0, tasks: int = 0) -> Arrays:
    """A router of random numbers. The last two models are the same."""
    rng = np.random.default_rng(seed)

    def draw(*shape):
        return rng.normal(size=shape).astype(np.float32)

    features = {
        "centre": draw(1, WIDTH),
        "directions": draw(1, WIDTH, 3) / 3,
        "points": draw(1, 5, 3),
        "half": draw(1, 5, 5),
        "shift": draw(1, 5),
        "width": np.float32([0.7]),
    }
    if tasks:
        told = {"slopes": draw(1, 3, tasks), "start": draw(1, tasks), "shares": draw(1, tasks)}
        features |= {f"task_{name}": each for name, each in told.items()}

    def head(scale):
        coefficients = scale * draw(1, 9 + tasks, MODELS)
        coefficients[..., -1] = coefficients[..., -2]
        return {"params": {"features": features, "coefficients": coefficients}}

    unit_cost, start = np.float32([[0.03, 0.01, 0.002, 0.002]]), draw(2, MODELS)
    leaves = draw(2, trees, 4, MODELS)
    model = PropensityModel(
        Trees(start, rng.integers(0, WIDTH, (2, trees, 2)), draw(2, trees, 2), leaves),
        threshold=np.float32([0.1, 0.25, np.inf, 0.05]),
    )
    outcomes = OutcomeModel(head(0.3), head(0.2), unit_cost, np.float32([0.0, 1.0]))
    means = Estimates(quality=np.float32([0.5, 0.6, 0.4, 0.4]), cost=unit_cost[0])
    scaling = Scaling(draw(WIDTH), np.float32(1.7))
    return Arrays(scaling, {}, means, outcomes, model, None)


def same(compiled, plain):
    np.testing.assert_array_equal(plain.probabilities.argmax(-1), compiled.probabilities.argmax(-1))
    np.testing.assert_array_equal(plain.moved, compiled.moved)
    np.testing.assert_allclose(plain.probabilities, compiled.probabilities, atol=3e-6)
    np.testing.assert_allclose(plain.expected.quality, compiled.expected.quality, atol=2e-6)
    np.testing.assert_allclose(plain.expected.cost, compiled.expected.cost, rtol=1e-5)
    kinds = {plain.probabilities.dtype, plain.expected.quality.dtype, plain.expected.cost.dtype}
    assert kinds == {np.dtype("float32")}


@pytest.mark.parametrize("trees", [0, 10])
@pytest.mark.parametrize("start", ["plug-in", "means"])
@pytest.mark.parametrize("tasks", [0, 8])
def test_choices_are_those_of_the_compiled_program(trees, start, tasks):
    own = arrays(trees=trees, tasks=tasks)
    constant = own.constant if start == "means" else None
    on_device = jax.tree.map(jnp.asarray, own)
    model = Model(ARCHITECTURE, head_of(tasks), on_device, UNIT, constant and on_device.constant)
    form = closed_form(own, 20.0, UNIT, constant)
    assert form is not None
    rng = np.random.default_rng(1)
    queries = rng.normal(size=(ROWS, WIDTH)).astype(np.float32)
    available = rng.random((ROWS, MODELS)) < 0.6
    available[:, 3] |= ~available.any(axis=1)
    asked = [(kept, None) for kept in (np.full(3, -1), np.array([2, -1, 0]))]
    asked.append((np.where(available[:, 1], [[-1], [1], [-1]], -1), available))
    for kept, mask in asked:
        compiled, plain = (
            decided(each, queries, WEIGHTS, kept, lambda block, first: block, mask)
            for each in (model, form)
        )
        same(compiled, plain)
        if kept.ndim == 1 and (kept < 0).all():
            assert trees == 0 or plain.moved.any()  # support had its say


def test_one_query_is_routed_as_among_others():
    form = closed_form(arrays(trees=10), 20.0, UNIT, None)
    queries = np.random.default_rng(2).normal(size=(ROWS, WIDTH)).astype(np.float32)
    kept = np.full(3, -1)
    together = decided(form, queries, WEIGHTS, kept, lambda block, first: block)
    for row in range(ROWS):
        alone = decided(form, queries[row : row + 1], WEIGHTS, kept, lambda block, first: block)
        np.testing.assert_array_equal(
            alone.probabilities[:, 0].argmax(-1), together.probabilities[:, row].argmax(-1)
        )
        np.testing.assert_allclose(
            alone.probabilities[:, 0], together.probabilities[:, row], atol=1e-6
        )


def test_of_two_models_that_are_the_same_the_first_is_chosen():
    own = arrays(trees=0)._replace(propensities=None)
    form = closed_form(own, 20.0, UNIT, None)
    queries = np.random.default_rng(3).normal(size=(500, WIDTH)).astype(np.float32)
    found = decided(form, queries, WEIGHTS, np.full(3, -1), lambda block, first: block)
    chosen = found.probabilities.argmax(-1)
    assert (chosen == 2).any() and not (chosen == 3).any()


def test_features_that_differ_are_left_to_the_compiled_program():
    own = arrays(trees=0)
    other = arrays(trees=0, seed=1).outcomes.cost
    mixed = own._replace(outcomes=own.outcomes._replace(cost=other))
    assert closed_form(mixed, 20.0, UNIT, None) is None


@pytest.mark.parametrize(("trees", "levels"), [(0, 2), (1, 1), (5, 2), (3, 3)])
def test_propensities_are_those_of_the_trees(trees, levels):
    rng = np.random.default_rng(trees)
    own = Trees(
        rng.normal(size=(2, MODELS)).astype(np.float32),
        rng.integers(0, WIDTH, (2, trees, levels)),
        rng.normal(size=(2, trees, levels)).astype(np.float32),
        rng.normal(size=(2, trees, 1 << levels, MODELS)).astype(np.float32),
    )
    x = rng.normal(size=(50, WIDTH)).astype(np.float32)
    folds = [
        jax.nn.softmax(log_odds(Trees(*map(jnp.asarray, each)), jnp.asarray(x)))
        for each in zip(*own, strict=True)
    ]
    found = propensities(chances_of(own, None), x, None)
    np.testing.assert_allclose(found, np.mean(folds, axis=0), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("available", [False, True])
def test_propensities_beside_a_logit_are_those_of_the_compiled_program(available):
    rng = np.random.default_rng(0)
    trees = Trees(
        rng.normal(size=(3, MODELS)).astype(np.float32),
        rng.integers(0, WIDTH, (3, 4, 2)),
        rng.normal(size=(3, 4, 2)).astype(np.float32),
        rng.normal(size=(3, 4, 4, MODELS)).astype(np.float32),
    )
    slopes = rng.normal(size=(3, WIDTH, MODELS)).astype(np.float32)
    random = rng.uniform(0, 0.1, (3, MODELS)).astype(np.float32)
    logit = Logit(slopes, rng.normal(size=(3, MODELS)).astype(np.float32), random)
    model = PropensityModel(trees, np.zeros(MODELS, np.float32), logit=logit)
    x = rng.normal(size=(50, WIDTH)).astype(np.float32)
    there = rng.random((50, MODELS)) < 0.8
    there[:, 0] = True
    there = there if available else None
    by_fold = propensities_by_fold(model, jnp.asarray(x), there)
    wanted = surely(by_fold, by_fold.mean(axis=0))
    found = propensities(chances_of(trees, logit), x, there)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)


def test_a_leaf_is_the_sum_over_the_sets_of_answers_that_hold():
    """Worked by hand: leaves 1, 3, 4, 10 of the answers none, first, second, both."""
    leaves = np.float32([1, 3, 4, 10]).reshape(1, 1, 4, 1)
    nothing = np.zeros((1, 1, 2))
    trees = Trees(np.float32([[0.5]]), nothing.astype(int), nothing, leaves)
    found = chances_of(trees, None)
    assert found.start.tolist() == [[1.5]]
    assert found.rise.ravel().tolist() == [2, 3, 4]
