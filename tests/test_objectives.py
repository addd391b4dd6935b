"""What the stages of a router minimise and what chooses their epochs: by hand, by plain loops."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from routerjax.estimators.utility import Unit
from routerjax.losses import softmax_regret
from routerjax.models.architectures import ARCHITECTURES
from routerjax.models.stages import Endpoints
from routerjax.records.tables import Estimates
from routerjax.training.objectives import RouterObjective

TARGET = Estimates(quality=jnp.array([[1.0, 0.5]]), cost=jnp.array([[0.010, 0.001]]))
SELECTION = Estimates(quality=jnp.array([[0.2, 3.0]]), cost=jnp.array([[0.02, 0.05]]))
START = Estimates(quality=jnp.array([[0.0, 1.0]]), cost=jnp.array([[0.0, 0.0]]))
BATCH = {"x": jnp.zeros((1, 3)), "target": TARGET, "selection": SELECTION, "start": START}
UNIT = Unit(1.0, 0.01)  # s_λ = 1 + λ / 100


def first(tree):
    """Of the only network, or of the only member."""
    return jax.tree.map(lambda leaf: leaf[0], tree)


def endpoint_objective():
    """Two cost weights, of logits 2·u_λ / s_λ of the start: (0, 2) and (0, 1), and nothing else."""
    stage = Endpoints((0.0, 100.0), models=2, widths=(), sharpness=2.0, count=1)
    context = {"unit": UNIT, **first(stage.context())}
    return RouterObjective(stage, softmax_regret), first(stage.initial(3, 1, KEY)), context


def last_objective(name, fitted, surrogate=softmax_regret):
    """An architecture's last stage, whose networks add nothing yet: the arm is the start's, b."""
    architecture = ARCHITECTURES[name](fitted, models=2, widths=(4,), sharpness=1.0)
    *earlier, stage = architecture.stages
    context = {"unit": UNIT, **{each.key: each.initial(3, 1, KEY) for each in earlier}}
    return RouterObjective(stage, surrogate), first(stage.initial(3, 1, KEY)), context


KEY = jax.random.key(0)


def test_the_endpoint_loss_is_of_the_target_and_its_score_of_the_selection_estimates():
    objective, params, context = endpoint_objective()
    # λ = 0: utilities (1, 0.5), logits (0, 2); λ = 100: (0, 0.4) / 2 and (0, 1)
    second = [1 / (1 + np.exp(-2.0)), 1 / (1 + np.exp(-1.0))]
    loss = (0.5 * second[0] + 0.2 * (1 - second[1])) / 2
    assert objective.loss(params, context, BATCH, jax.random.key(0))[0] == pytest.approx(
        loss, rel=1e-5
    )
    # the second arm at both: 3 at λ = 0, (3 − 5) / 2 at λ = 100
    assert objective.score(params, context, BATCH)[0] == pytest.approx((3 - 1) / 2, rel=1e-5)


def utility_of_the_second_arm(cost_weights):
    cost_weights = np.asarray(cost_weights)
    return np.mean((3 - 0.05 * cost_weights) / (1 + cost_weights / 100))


QUARTERS = [2.5, 5.0, 7.5, 15.0, 20.0, 25.0]  # of the intervals of (0, 10, 30)


@pytest.mark.parametrize(
    ("name", "fitted", "scored_at"),
    [
        ("interval", (0.0, 10.0, 30.0), QUARTERS),
        ("conditioned", (0.0, 10.0, 30.0), [0.0, 10.0, 30.0, *QUARTERS]),
        ("conditioned", (7.0,), [7.0]),
        # eight intervals: all quarters; nine: every other one
        pytest.param(
            "interval",
            tuple(range(9)),
            [k + q for k in range(8) for q in (0.25, 0.5, 0.75)],
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "interval",
            tuple(range(10)),
            [k + q for k in range(9) for q in ((0.25, 0.75), (0.5,))[k % 2]],
            marks=pytest.mark.slow,
        ),
    ],
)
def test_the_score_between_fitted_weights_is_of_the_selection_estimates(name, fitted, scored_at):
    fitted = tuple(map(float, fitted))
    objective, params, context = last_objective(name, fitted)
    want = utility_of_the_second_arm(scored_at)
    assert objective.score(params, context, BATCH)[0] == pytest.approx(want, rel=1e-5)


def first_utility(logits, utilities):
    return utilities[0]


def drawn_means(name, fitted, keys):
    """The mean over a step's cost weights of 1 − λ, seen through a surrogate that shows it."""
    objective, params, context = last_objective(name, fitted, first_utility)
    cells = Estimates(quality=jnp.ones((1, 2)), cost=jnp.ones((1, 2)))
    batch = {**BATCH, "target": cells}
    context = {**context, "unit": Unit(1.0, 0.0)}
    draw = jax.jit(jax.vmap(lambda key: objective.loss(params, context, batch, key)[0]))
    return 1 - np.asarray(draw(jax.random.split(KEY, keys)))


def test_of_many_intervals_a_step_draws_from_equal_stretches():
    """Nine of them, eight draws: one λ of each (9i/8, 9(i + 1)/8), on average 4.5."""
    means = drawn_means("conditioned", tuple(map(float, range(10))), 400)
    first, last = 9 * 3.5 / 8, 9 * 4.5 / 8  # were all draws 0, or all 1
    assert np.all((first < means) & (means < last))
    error = 9 / 8 / np.sqrt(12 * 8)  # of a uniform draw of width 9/8, over eight of them
    assert abs(means.mean() - 4.5) < 4 * error / np.sqrt(400)
    assert means.std() == pytest.approx(error, rel=0.15)


def test_an_architecture_without_endpoints_is_trained_on_the_fitted_weights_as_well():
    """On (0, 8): the two fitted ones and one drawn between them, (8 + λ) / 3."""
    means = drawn_means("conditioned", (0.0, 8.0), 400)
    drawn = 3 * means - 8
    assert 0 <= drawn.min() < 0.2 and 7.8 < drawn.max() <= 8
    assert abs(drawn.mean() - 4) < 4 * 8 / np.sqrt(12 * 400)


@pytest.mark.parametrize(
    ("name", "fitted", "drawn"),
    [("interval", 9, 8), ("conditioned", 9, 9 + 8), ("conditioned", 10, 8)],
)
def test_how_many_cost_weights_a_step_draws(name, fitted, drawn):
    """One of each of up to eight intervals, then with the fitted ones; of more of them, eight."""
    *_, stage = ARCHITECTURES[name](tuple(map(float, range(fitted))), 2, (4,), 1.0).stages
    found = stage.drawn({}, KEY)
    assert found.shape == (drawn,) and np.all((0 <= found) & (found <= fitted - 1))


def test_the_joint_stage_alone_starts_from_the_result_of_another():
    (ends, joint) = ARCHITECTURES["interval"]((0.0, 1.0), 2, (4,), 1.0).stages
    (whole,) = ARCHITECTURES["conditioned"]((0.0, 1.0), 2, (4,), 1.0).stages
    assert (joint.carries_over, ends.carries_over, whole.carries_over) == (True, False, False)
    assert (ends.networks, joint.networks, whole.networks) == ((1,), (), ())
    assert (joint.context(), whole.context()) == ({}, {})
    for stage in (ends, joint, whole):
        assert hash(RouterObjective(stage, softmax_regret))  # static under jit


def test_a_single_fitted_weight_is_trained_there():
    np.testing.assert_allclose(drawn_means("conditioned", (7.0,), 3), 7.0, rtol=1e-6)
