"""What a surrogate may ask for by name, its settings, and what is found wrong before training."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from routerjax.errors import InputError
from routerjax.estimators.folds import member_splits
from routerjax.estimators.utility import Unit, scaled_utilities
from routerjax.losses import ARGUMENTS, batchwise, resolve, softmax_regret
from routerjax.losses.arguments import form_of
from routerjax.losses.by_name import chosen, joined_names
from routerjax.models.stages import Endpoints
from routerjax.records.tables import Estimates
from routerjax.training.asked import Logged, asked_rows
from routerjax.training.batches import batch_at
from routerjax.training.config import RouterConfig, Schedule
from routerjax.training.objectives import RouterObjective
from routerjax.training.routing import Problem, train_router

COST_WEIGHTS = (0.0, 100.0)
TARGET = Estimates(
    quality=jnp.array([[1.0, 0.5], [0.0, 1.0]]), cost=jnp.array([[0.01, 0.001], [0.02, 0.003]])
)
PREDICTED = Estimates(quality=TARGET.quality + 1, cost=TARGET.cost)
LOGGED = Logged(
    arm=np.array([0, 1]),
    quality=np.array([0.9, 0.7]),
    cost=np.array([0.02, 0.004]),
    propensity=np.array([0.25, 0.5]),
)
CONTEXT = {"unit": Unit(1.0, 0.01), "cost_weights": jnp.array(COST_WEIGHTS)}  # s_λ = 1, 2


def loss_of(surrogate, context=CONTEXT):
    """[2] loss of two rows whose logits are all 0, mean over the two cost weights."""
    stage = Endpoints(COST_WEIGHTS, models=2, widths=(), sharpness=1.0, count=1)
    params = jax.tree.map(lambda leaf: leaf[0], stage.initial(3, 1, jax.random.key(0)))
    nothing = Estimates(quality=jnp.zeros((2, 2)), cost=jnp.zeros((2, 2)))
    batch = {"x": jnp.zeros((2, 3)), "target": TARGET, "start": nothing}
    batch |= asked_rows(form_of(surrogate).asked, (2, 2), PREDICTED, LOGGED, None, "own")
    objective = RouterObjective(stage, surrogate)
    return np.asarray(objective.loss(params, context, batch, jax.random.key(1)))


@pytest.mark.parametrize(
    ("name", "want"),
    [
        ("logits", [0, 0]),
        ("utilities", [(1.5 + 0.4 / 2) / 2, (1.0 + (-2 + 0.7) / 2) / 2]),
        ("quality", [1.5, 1.0]),
        ("cost", [0.011, 0.023]),
        ("predicted", [(3.5 + 2.4 / 2) / 2, (3.0 + 0.7 / 2) / 2]),
        ("cost_weight", [50, 50]),
        ("unit", [1.5, 1.5]),
        ("arm", [0, 1]),
        ("outcome", [(0.9 - 1.1 / 2) / 2, (0.7 + 0.3 / 2) / 2]),  # 0.9 − 2, 0.7 − 0.4, over 2
        ("propensity", [0.25, 0.5]),
        ("weight", [1, 1]),
        ("mask", [2, 2]),
    ],
)
def test_every_argument_is_what_its_name_says(name, want):
    names = {"arm": "logits, utilities, *, arm"}.get(name, name)
    scope = {}
    exec(f"import jax.numpy as jnp\ndef own({names}):\n    return 1.0 * jnp.sum({name})", scope)
    np.testing.assert_allclose(loss_of(scope["own"]), want, rtol=1e-5)


def test_all_arguments_are_looked_at_here():
    tested = {"logits", "utilities", "quality", "cost", "predicted", "cost_weight", "unit", "arm"}
    assert tested | {"outcome", "propensity", "weight", "mask", "key"} == set(ARGUMENTS)


def test_every_row_and_cost_weight_has_a_key_of_its_own():
    def draws(logits, key):
        return jax.random.uniform(key) + 0 * jnp.sum(logits)

    found = loss_of(draws)
    again, (low, high) = loss_of(draws), sorted(found)
    np.testing.assert_array_equal(found, again)
    assert 0 < low < high < 1

    @batchwise
    def of_batch(logits, weight, key):
        return jax.random.uniform(key) + 0 * jnp.sum(logits)

    first, second = loss_of(of_batch)
    assert first == second and 0 < first < 1


def test_a_batch_has_a_leading_axis_and_one_loss():
    shapes = {}

    @batchwise
    def own(logits, predicted, arm, outcome, cost_weight, weight):
        arrays = {"logits": logits, "predicted": predicted, "arm": arm, "outcome": outcome}
        shapes.update({name: array.shape for name, array in arrays.items()})
        return jnp.average(outcome, weights=weight) + cost_weight + jnp.sum(logits)

    # outcomes 0.9 and 0.7 at λ = 0, −0.55 and 0.15 at 100
    np.testing.assert_allclose(loss_of(own), [(0.8 - 0.2 + 100) / 2] * 2, rtol=1e-5)
    assert shapes == {"logits": (2, 2), "predicted": (2, 2), "arm": (2,), "outcome": (2,)}


def test_places_that_hold_no_row_weigh_nothing():
    rows = {"x": jnp.arange(3.0), "weight": jnp.ones(3)}
    taken = batch_at(rows, jnp.array([2, 0, -1, -1]))
    assert taken["weight"].tolist() == [1, 1, 0, 0] and taken["x"][:2].tolist() == [2, 0]
    assert set(batch_at({"x": rows["x"]}, jnp.array([1, -1]))) == {"x"}


def test_settings_of_the_context_reach_the_surrogate():
    def own(logits, utilities, *, beta=0.5):
        return beta * jnp.max(utilities)

    plain = loss_of(own)
    np.testing.assert_allclose(loss_of(own, {**CONTEXT, "settings": {"beta": 2.0}}), 4 * plain)


def test_a_surrogate_that_asks_for_nothing_compiles_to_the_program_it_always_did():
    stage = Endpoints(COST_WEIGHTS, models=2, widths=(4,), sharpness=1.0, count=1)
    params = jax.tree.map(lambda leaf: leaf[0], stage.initial(3, 1, jax.random.key(0)))
    batch = {"x": jnp.zeros((2, 3)), "target": TARGET, "start": TARGET}

    def before(params, context, batch, key):
        cost_weights = stage.drawn(context, key)
        logits = stage.logits(params, context, batch["x"], batch["start"], cost_weights)
        utilities = scaled_utilities(batch["target"], cost_weights, context["unit"])
        return jnp.mean(jax.vmap(jax.vmap(softmax_regret))(logits, utilities), axis=-1)

    now = RouterObjective(stage, softmax_regret).loss
    programs = [
        str(jax.make_jaxpr(jax.grad(lambda *a, f=f: jnp.sum(f(*a))))(params, CONTEXT, batch, KEY))
        for f in (before, now)
    ]
    assert programs[0] == programs[1]


KEY = jax.random.key(3)


def test_the_signature_is_read_by_name_and_the_first_two_by_place():
    def own(f, u, propensity, scale=2, *, arm, beta=0.5):
        return f

    form = form_of(own)
    assert form.positional == ("logits", "utilities", "propensity") and form.named == ("arm",)
    assert dict(form.settings) == {"scale": 2, "beta": 0.5} and form.traced == ("beta",)
    assert form_of(functools.partial(own, beta=1.0)).asked == form.asked

    def unknown(logits, utilities, lamda):
        return logits

    sentence = "unknown: surrogate asks for 'lamda', which nobody has; it may ask for logits, "
    with pytest.raises(InputError) as error:
        resolve(unknown)
    assert str(error.value).startswith(sentence) and "cost_weight, unit, arm" in str(error.value)


def test_settings_as_they_are_written(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(
        "import jax.numpy as jnp\n"
        "def f(logits, utilities, scale=1.0, power=1, name='a'):\n"
        "    return -scale * jnp.sum(logits * utilities) * power\n"
    )
    own = f"{path}:f"
    found = chosen(f"{own}?scale=0.5,2&power=3")
    assert found.settings == (("scale", (0.5, 2.0)),)
    assert found.combinations == [{"scale": 0.5}, {"scale": 2.0}]
    assert found.function(jnp.ones(2), jnp.ones(2), scale=2.0) == -12.0
    assert chosen(f"{own}?power=3").function is found.function  # compiles once
    assert resolve(f"{own}?scale=2&power=3")(jnp.ones(2), jnp.ones(2)) == -12.0
    for text, message in [
        ("beta=1", "no setting 'beta'; it has scale, power, name"),
        ("scale", "setting 'scale' is not written NAME=NUMBER"),
        ("scale=", "is not written NAME=NUMBER"),
        ("scale=a", "setting 'scale=a' is not a number"),
        ("scale=1&scale=2", "setting 'scale' is given twice"),
        ("power=1,2", "fixed when it is compiled and takes one value"),
        ("power=1.5", "setting 'power=1.5' is not a whole number"),
        ("scale=-1&power=3", "has the wrong sign"),
        ("scale=0.5,nan&power=3", "not finite"),
    ]:
        with pytest.raises(InputError) as error:
            chosen(f"{own}?{text}")
        assert message in str(error.value), text
    with pytest.raises(InputError, match="a sweep of settings is no single surrogate"):
        resolve(f"{own}?scale=1,2")


def test_a_list_of_names_may_hold_lists_of_values():
    cut = ("a?b=1", "2", "c", "d.py:e?f=1e-3", ".5&g=1", "-2")
    assert joined_names(cut) == ("a?b=1,2", "c", "d.py:e?f=1e-3,.5&g=1,-2")


WRONG = {
    "def f(x, u):\n    return u.sum()": "does not depend on the logits",
    "def f(x, u):\n    return x.sum() * u.sum()": "moves the logits of all arms alike",
    "def f(x, u):\n    return (jax.nn.softmax(x) * u).sum()": "has the wrong sign",
    "def f(x, u):\n    return -x[0] * (u[0] - u.mean())": "changes with the order of the arms",
    "def f(x, u):\n    return -(x * u * jnp.ones(3)).sum()": (
        "fails on a row of two arms (TypeError: mul got incompatible shapes"
    ),
    "def f(x, u):\n    return -x * u": "(it gives an array of shape (3,) for a row)",
    "def f(x, u):\n    return jnp.argmax(x)": "a number that is no float",
    "def f(x, u):\n    return jnp.log(jnp.exp(x).sum()) - x[jnp.argmax(u)]": (
        "where logits lie 100 apart: jax.nn.logsumexp, softplus and log_softmax do not overflow"
    ),
    "def f(x, u):\n    return -jax.nn.softmax(x) @ jnp.exp(u)": "where utilities lie 100 apart",
    "def f(x, u):\n    return -(x * u / (u.max() - u.mean())).sum()": "where utilities are equal",
    "def f(x, u):\n    return -(x * u).sum() / jnp.std(x)": "where all logits are equal",
    "def f(x, u):\n    return -jnp.log(u) @ jax.nn.softmax(x)": (
        "not finite on ordinary rows: logits and utilities have either sign"
    ),
    "def f(x, u, cost_weight):\n    return -(x @ u) / cost_weight": "where the cost weight is 0",
    "def f(x, u, propensity):\n    return -(x @ u) / (propensity - 0.01)": (
        "where the propensity is 0.01"
    ),
    "def f(x, u, propensity):\n    return -(x @ u) * jnp.exp(1 / propensity)": (
        "where the propensity is 0.01"
    ),
    "def f(x, u, mask):\n    return -(x @ u) / (mask.sum() - 1)": (
        "where the mask leaves one model"
    ),
    "def f(x, u, propensities):\n    return -(x @ u)": (
        "asks for 'propensities', which nobody has (did you mean 'propensity'?); it may ask for"
    ),
    "def f(x, qualities):\n    return -(x @ qualities)": (
        "asks for 'qualities', which nobody has (did you mean 'utilities'?); it may ask for"
    ),
    "def f(x, u, cost_weight):\n    return -(x @ u) * cost_weight[0]": (
        "it must take (logits [m], utilities [m], cost_weight []) and return"
    ),
    "@batchwise\ndef f(logits, utilities, weight):\n    return logits[:, 3:] @ utilities": (
        "fails on a batch of 24 rows of three arms (TypeError: dot_general requires"
    ),
    "@batchwise\ndef f(logits, arm, cost_weight, weight):\n    return logits[weight]": (
        "it must take (logits [b, m], arm [b], cost_weight [], weight [b]) and return"
    ),
    "@batchwise\ndef f(logits, utilities):\n    return -(logits * utilities).sum()": (
        "is of a whole batch and does not ask for `weight`"
    ),
    "@batchwise\ndef f(logits, utilities, weight):\n    return -(logits * utilities).mean()": (
        "counts places of weight 0, which hold no row: its means must be taken with it"
    ),
    "@batchwise\ndef f(logits, utilities, weight):\n    return -(logits * utilities).sum(-1)": (
        "gives an array of shape (24,) for a batch"
    ),
}


@pytest.mark.parametrize("body", WRONG)
def test_what_is_wrong_is_said_in_words(tmp_path, body):
    path = tmp_path / "own.py"
    path.write_text(
        "import jax\nimport jax.numpy as jnp\nfrom routerjax.losses import batchwise\n" + body
    )
    with pytest.raises(InputError) as error:
        resolve(f"{path}:f")
    assert WRONG[body] in str(error.value) and str(error.value).startswith(f"{path}:f: surrogate ")


def test_what_only_a_log_has_is_refused_where_every_model_answered():
    with pytest.raises(InputError, match="poem: surrogate asks for arm, outcome, propensity, wh"):
        asked_rows(
            ("logits", "arm", "outcome", "propensity"), (2, 2), PREDICTED, None, None, "poem"
        )


def problem(n=300):
    """Two arms, the better one told by the sign of the first coordinate; each logged by chance."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 4)).astype(np.float32)
    quality = np.stack([x[:, 0] < 0, x[:, 0] > 0], axis=1).astype(np.float32)
    cells = Estimates(quality=quality, cost=np.full((n, 2), 0.01, np.float32))
    flat = jax.tree.map(np.zeros_like, cells)
    arm = rng.integers(2, size=n).astype(np.int32)
    logged = Logged(
        arm, quality[np.arange(n), arm], np.full(n, 0.01, np.float32), np.full(n, 0.5, np.float32)
    )
    splits = member_splits(n, members=2, held_out=0.2, seed=0)
    return Problem(jnp.asarray(x), cells, cells, flat, *splits, KEY, logged)


CONFIG = RouterConfig(
    architecture="shared",
    members=2,
    widths=(8,),
    learning_rate=1e-2,
    start="best-single",
    schedule=Schedule(batch_size=64, max_epochs=20, patience=20, chunk=10),
)


def trained(surrogate):
    config = RouterConfig(**{**vars(CONFIG), "surrogate": surrogate})
    return train_router(problem(), cost_weights=(0.0, 20.0), quality_width=1.0, config=config)


@pytest.mark.slow
@pytest.mark.parametrize("surrogate", ["poem", "mrdr", "shrunk_dr", "barp"])
def test_those_that_ask_for_more_learn_an_easy_policy(surrogate):
    """From the log's own answers; 192 rows train a member, three batches of 64 and none over."""
    own = problem()
    arms = trained(surrogate).policy.at(own.x, own.predicted, cost_weights=(0.0, 20.0)).argmax(-1)
    assert np.mean(arms == own.target.quality.argmax(axis=1)) > 0.9


@pytest.mark.slow
def test_of_several_settings_each_run_keeps_the_best_on_held_out_rows():
    """At κ = 0 the loss is of predictions that know nothing: every run keeps the other."""
    both, one = trained("shrunk_dr?shrinkage=0,100"), trained("shrunk_dr?shrinkage=100")
    assert both.settings == {"endpoints": {"shrinkage": [100.0, 100.0]}} == one.settings
    assert both.epochs == one.epochs and min(one.epochs["endpoints"]) > 0
    jax.tree.map(np.testing.assert_array_equal, both.policy.params, one.policy.params)
