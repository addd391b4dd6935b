"""Surrogates: hand-worked values, what bounds what, gradients, and a user's own."""

import doctest
import functools
import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from routerjax import losses
from routerjax.errors import InputError
from routerjax.losses import SURROGATES, arguments, by_name, logged, policies, surrogates
from routerjax.losses.surrogates import (
    classification_bound,
    counterfactual_risk,
    pairwise_ranking,
    soft_regret,
    softmax_regret,
    spo_plus,
    weighted_classification,
)

NAMED = list(SURROGATES.items())
ids = [name for name, _ in NAMED]
PLAIN = [name for name in ids if arguments.form_of(SURROGATES[name]).asked[1:] == ("utilities",)]
every = pytest.mark.parametrize("surrogate", [s for _, s in NAMED], ids=ids)
QUARTERS = np.log([2.0, 1.0, 1.0])  # logits whose softmax is (1/2, 1/4, 1/4)


@functools.cache
def graded(surrogate):
    """(logits [n, m], utilities [n, m]) → losses [n] and slopes in the logits [n, m]."""
    return jax.jit(jax.vmap(jax.value_and_grad(surrogate)))


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    return rng.normal(size=(200, 5)), rng.normal(size=(200, 5))


def test_docstring_examples():
    found = [
        doctest.testmod(module) for module in (surrogates, policies, logged, arguments, by_name)
    ]
    assert not any(each.failed for each in found)
    assert sum(each.attempted for each in found) >= len(NAMED)  # an example each


def test_names_are_those_of_the_functions():
    assert all(getattr(losses, name) is surrogate for name, surrogate in NAMED)


def test_classification_bound_by_hand():
    # softmax of (0, log 3) is (1/4, 3/4); the best arm is the first
    loss = classification_bound(jnp.array([0.0, np.log(3.0)]), jnp.array([2.0, 1.0]))
    assert loss == pytest.approx(np.log(4.0), rel=1e-6)


def test_softmax_regret_by_hand():
    # probabilities (1/4, 3/4), regrets (0, 1)
    loss = softmax_regret(jnp.array([0.0, np.log(3.0)]), jnp.array([2.0, 1.0]))
    assert loss == pytest.approx(0.75, rel=1e-6)
    # at temperature 1/2 the odds are 9 to 1
    loss = softmax_regret(jnp.array([0.0, np.log(3.0)]), jnp.array([2.0, 1.0]), temperature=0.5)
    assert loss == pytest.approx(0.9, rel=1e-6)


def test_a_tie_is_shared_by_the_best_arms():
    # label (1/2, 0, 1/2), probabilities (1/2, 1/4, 1/4)
    loss = classification_bound(jnp.asarray(QUARTERS), jnp.array([1.0, 0.0, 1.0]))
    assert loss == pytest.approx((np.log(2) + np.log(4)) / 2, rel=1e-6)


def test_weighted_classification_by_hand():
    # −log 1/4, and the range is 5
    loss = weighted_classification(jnp.asarray(QUARTERS), jnp.array([-1.0, 2.0, 4.0]))
    assert loss == pytest.approx(5 * np.log(4.0), rel=1e-6)
    assert weighted_classification(jnp.asarray(QUARTERS), jnp.full(3, 7.0)) == 0.0


def test_soft_regret_by_hand():
    # pairs of lower and higher arm: differences 3, 5, 2 in utility, log 2, log 2, 0 in logits;
    # σ(log 2) = 2/3, σ(0) = 1/2
    loss = soft_regret(jnp.asarray(QUARTERS), jnp.array([-1.0, 2.0, 4.0]))
    assert loss == pytest.approx(3 * 2 / 3 + 5 * 2 / 3 + 2 / 2, rel=1e-6)
    # sharpness 2 squares the odds: 2/3 becomes 4/5
    loss = soft_regret(jnp.asarray(QUARTERS), jnp.array([-1.0, 2.0, 4.0]), sharpness=2.0)
    assert loss == pytest.approx(3 * 4 / 5 + 5 * 4 / 5 + 2 / 2, rel=1e-6)


def test_pairwise_ranking_by_hand():
    # the same pairs; log(1 + 2) and log(1 + 1)
    loss = pairwise_ranking(jnp.asarray(QUARTERS), jnp.array([-1.0, 2.0, 4.0]))
    assert loss == pytest.approx(8 * np.log(3.0) + 2 * np.log(2.0), rel=1e-6)


def test_spo_plus_by_hand():
    # 2v − ũ = (3, −2, 1); best arm the third: 3 − 2·1 + 1
    logits, utilities = jnp.array([1.0, -1.0, 1.0]), jnp.array([-1.0, 0.0, 1.0])
    loss, slope = jax.value_and_grad(lambda f: spo_plus(f, utilities, scale=1.0))(logits)
    assert loss == 2.0
    assert slope.tolist() == [2.0, 0.0, -2.0]
    assert spo_plus(8 * logits, utilities, scale=8.0) == 2.0
    assert spo_plus(logits, utilities, scale=0.5) == 2.0  # 2v − ũ = (5, −4, 3): 5 − 2·2 + 1
    assert spo_plus(-logits, utilities, scale=2.0) == 3.0  # 2v − ũ = (0, 1, −2): 1 + 1 + 1


def test_spo_plus_vanishes_where_the_utilities_are_predicted():
    for utilities in ([3.0, 1.0, 2.0], [1.0, 1.0, 0.0], [0.5, 0.5, 0.5]):
        logits = 10 * (jnp.array(utilities) + 4.0)  # the level does not matter
        loss, slope = jax.value_and_grad(spo_plus)(logits, jnp.array(utilities))
        assert loss == 0.0
        np.testing.assert_allclose(slope, 0.0, atol=1e-7)


def test_counterfactual_risk_by_hand():
    # probabilities (1/2, 1/4, 1/4), ũ = (0, 2, 4), its mean 2; value 1.5, regret 2.5, gain −0.5
    logits, utilities = jnp.asarray(QUARTERS), jnp.array([0.0, 2.0, 4.0])
    assert counterfactual_risk(logits, utilities, penalty=0.4) == pytest.approx(2.5 + 0.2 * 0.25)
    loss = counterfactual_risk(logits, utilities, penalty=0.4, centre=1.0)
    assert loss == pytest.approx(2.5 + 0.2 * 2.25)
    assert counterfactual_risk(logits, utilities) == pytest.approx(2.5 + 0.05 * 0.25)


def test_counterfactual_risk_without_penalty_is_softmax_regret(rows):
    logits, utilities = (jnp.asarray(values) for values in rows)
    bare = counterfactual_risk(logits, utilities, penalty=0.0)
    np.testing.assert_allclose(bare, softmax_regret(logits, utilities), rtol=1e-6)


def test_counterfactual_risk_bounds_value_and_variance(rows):
    """Over rows the penalty is the variance of the gain plus the centre's squared error."""
    logits, utilities = (jnp.asarray(values) for values in rows)
    gain = np.sum(jax.nn.softmax(logits) * (utilities - utilities.mean(axis=1)[:, None]), axis=1)
    regret = float(softmax_regret(logits, utilities).mean())
    for centre in (0.0, 0.3, float(gain.mean())):
        mean = float(counterfactual_risk(logits, utilities, penalty=0.6, centre=centre).mean())
        exact = regret + 0.3 * float(gain.var() + (gain.mean() - centre) ** 2)
        assert mean == pytest.approx(exact, rel=1e-5)


def test_softmax_regret_becomes_the_regret_of_the_argmax(rows):
    logits, utilities = rows
    arms = logits.argmax(axis=1)
    regret = utilities.max(axis=1) - utilities[np.arange(200), arms]
    cold = softmax_regret(jnp.asarray(logits), jnp.asarray(utilities), temperature=1e-4)
    grown = softmax_regret(jnp.asarray(1e4 * logits), jnp.asarray(utilities))
    close = np.abs(np.diff(np.sort(logits, axis=1)[:, -2:], axis=1)[:, 0]) > 1e-2
    np.testing.assert_allclose(cold[close], regret[close], atol=1e-5)
    np.testing.assert_allclose(grown[close], regret[close], atol=1e-5)


def test_soft_regret_of_two_arms_becomes_the_regret_of_the_argmax(rows):
    logits, utilities = (values[:, :2] for values in rows)
    regret = utilities.max(axis=1) - utilities[np.arange(200), logits.argmax(axis=1)]
    sharp = soft_regret(jnp.asarray(logits), jnp.asarray(utilities), sharpness=1e4)
    close = np.abs(logits[:, 0] - logits[:, 1]) > 1e-2
    np.testing.assert_allclose(sharp[close], regret[close], atol=1e-5)


@pytest.mark.parametrize("surrogate", [softmax_regret, soft_regret])
def test_noise_leaves_the_gradient_unbiased_and_biases_labels(surrogate):
    """The winner's curse: unbiased noise moves the argmax label, not the regret's gradient."""
    rng = np.random.default_rng(2)
    utilities = np.array([[0.5, 0.45, 0.0]])
    noise = rng.normal(scale=[0.0, 0.0, 2.0], size=(20_000, 3))  # the worst arm is the noisy one
    _, got = graded(surrogate)(np.zeros((20_000, 3)), utilities + noise)
    got = np.asarray(got)
    error = got.std(axis=0) / np.sqrt(len(got))
    _, (want,) = graded(surrogate)(np.zeros((1, 3)), utilities)
    assert np.all(np.abs(got.mean(axis=0) - want) < 4 * error + 1e-6)
    labels = (utilities + noise).argmax(axis=1)
    assert np.mean(labels == 2) > 0.3  # P(N(0, 2²) > 0.5) = 0.40, and truly never the best


@pytest.mark.parametrize(
    ("surrogate", "right"),
    [
        (classification_bound, False),
        (spo_plus, False),
        (weighted_classification, True),
        (pairwise_ranking, True),
    ],
)
def test_which_keep_the_better_of_two_arms_under_skewed_noise(surrogate, right):
    """The worse arm looks better in 9 of 10 rows by 0.1, and worse in one of 10 by 1.9."""
    utilities = np.array([[0.0, 0.1]] * 9 + [[0.0, -1.9]])  # means 0 and −0.1
    _, slopes = graded(surrogate)(np.zeros((10, 2)), utilities)
    better, worse = -np.asarray(slopes).mean(axis=0)
    assert (better > worse) == right


def test_the_penalty_keeps_from_the_arm_whose_estimate_is_noisy():
    """Two arms of the same mean; one is seen through noise, as an arm rarely logged is."""
    noise = np.where(np.arange(1000) % 2, 5.0, -5.0)
    utilities = np.stack([np.zeros(1000), noise], axis=1)
    logits = np.tile([-0.5, 0.5], (1000, 1))
    for surrogate, sign in ((softmax_regret, 0), (counterfactual_risk, 1)):
        sure, noisy = np.asarray(graded(surrogate)(logits, utilities)[1]).mean(axis=0)
        assert np.sign(np.round(noisy - sure, 5)) == sign


def rows_of(logits, utilities, **other):
    """All that a surrogate may ask for, of rows [n, m] that each of the arms answered in turn."""
    logits, utilities = jnp.asarray(logits), jnp.asarray(utilities)
    count, arms = logits.shape
    arm = jnp.arange(count) % arms
    given = {
        "logits": logits[:, None],
        "utilities": utilities[:, None],
        "predicted": (utilities + 0.1 * jnp.sign(utilities))[:, None],
        "arm": arm,
        "outcome": utilities[jnp.arange(count), arm][:, None],
        "propensity": jnp.where(arm % 2, 0.5, 0.25),
        "weight": jnp.ones(count),
        "key": jax.random.split(jax.random.key(0), (count, 1)),
    }
    return {**given, **other}


@functools.cache
def asked_and_graded(surrogate):
    """What `rows_of` gives → losses [n], a batch's at every row, and slopes of their sum [n, m]."""
    shared = arguments.form_of(surrogate).batchwise

    @jax.jit
    @functools.partial(jax.value_and_grad, has_aux=True)
    def of(logits, given):
        each = arguments.losses(surrogate, {**given, "logits": logits})[:, 0]
        return (each[0] if shared else each.sum()), each

    def graded(given):
        (_, each), slopes = of(given["logits"], given)
        return np.asarray(each), np.asarray(slopes)[:, 0]

    return graded


REGRETS = [name for name, _ in NAMED if name not in ("barp", "poem", "mrdr")]
"""0 or more, and unchanged when utilities are lifted; the others are so only in their gradient."""


@pytest.mark.parametrize("name", [name for name in ids if name != "mrdr"])
def test_gradient_against_finite_differences(name):
    """`mrdr` holds its refitted outcome model fixed, and has a test of its own."""
    rng = np.random.default_rng(3)
    logits, utilities = rng.normal(size=(2, 3, 4))
    graded = asked_and_graded(SURROGATES[name])

    def total(step):
        each, _ = graded(rows_of(logits + step, utilities))
        return each[0] if arguments.form_of(SURROGATES[name]).batchwise else each.sum()

    with jax.enable_x64(True):
        losses, slopes = graded(rows_of(logits, utilities))
        steps = 1e-6 * np.eye(12).reshape(12, 3, 4)
        moved = [(total(step) - total(-step)) / 2e-6 for step in steps]
    assert losses.dtype == np.float64
    np.testing.assert_allclose(slopes.ravel(), moved, atol=1e-8)


@pytest.mark.parametrize("name", PLAIN)
def test_eager_jit_and_vmap_agree(name, rows):
    surrogate = SURROGATES[name]
    logits, utilities = (jnp.asarray(values, jnp.float32) for values in rows)
    three = list(zip(logits[:3], utilities[:3], strict=True))
    mapped = jax.jit(jax.vmap(surrogate))(logits, utilities)
    np.testing.assert_allclose(mapped[:3], [surrogate(*row) for row in three], rtol=1e-5)
    np.testing.assert_allclose(mapped[:3], [jax.jit(surrogate)(*row) for row in three], rtol=1e-5)
    np.testing.assert_allclose(mapped, surrogate(logits, utilities), rtol=1e-5)


@pytest.mark.parametrize("name", [name for name in ids if name != "barp"])
def test_arm_permutation(name, rows):
    order = np.array([3, 0, 4, 1, 2])
    logits, utilities = rows
    utilities[::2] = np.sign(utilities[::2])  # ties among the best, too
    given = rows_of(logits, utilities)
    turned = {key: given[key][..., order] for key in ("logits", "utilities", "predicted")}
    turned["arm"] = np.argsort(order)[given["arm"]]
    graded = asked_and_graded(SURROGATES[name])
    (loss, slope), (again, turned_slope) = graded(given), graded({**given, **turned})
    np.testing.assert_allclose(again, loss, rtol=1e-5)
    np.testing.assert_allclose(turned_slope, slope[:, order], atol=1e-5)


@every
def test_levels_do_not_matter(surrogate, rows):
    given = rows_of(*rows)
    moved = {name: given[name] + 2.0 for name in ("utilities", "predicted", "outcome")}
    moved["logits"] = given["logits"] - 3.0
    graded = asked_and_graded(surrogate)
    (loss, slope), (again, moved_slope) = graded(given), graded({**given, **moved})
    np.testing.assert_allclose(moved_slope, slope, atol=1e-5)
    if surrogate.__name__ in REGRETS:
        np.testing.assert_allclose(again, loss, rtol=1e-4, atol=1e-5)


@every
def test_loss_and_gradient_are_finite(surrogate):
    """At ties of logits and utilities, at large logits, and where they are opposed."""
    logits = [[0, 0, 0], [80, -80, 0], [300, -300, 0], [1e4, -1e4, 0], [1e4, 1e4, -1e4]]
    utilities = [[0, 0, 0], [0.7, 0.7, 0.7], [1, 1, 0], [-1e4, 1e4, 0]]
    pairs = np.array([(f, u) for f in logits for u in utilities], np.float32)
    loss, slope = asked_and_graded(surrogate)(rows_of(pairs[:, 0], pairs[:, 1]))
    assert np.isfinite(loss).all() and np.isfinite(slope).all()
    assert surrogate.__name__ not in REGRETS or np.all(loss >= 0)


@every
def test_one_arm_leaves_nothing_to_learn(surrogate):
    given = rows_of(np.array([[0.0], [-1e4]]), np.array([[0.7], [0.7]]))
    loss, slope = asked_and_graded(surrogate)(given)
    assert not np.any(slope) and (surrogate.__name__ not in REGRETS or not np.any(loss))


@every
def test_a_step_downhill_prefers_the_better_of_two_arms(surrogate):
    """Each arm answered once, with even chance."""
    given = rows_of(np.zeros((2, 2)), np.array([[0.2, 0.9]] * 2), propensity=jnp.full(2, 0.5))
    worse, better = asked_and_graded(surrogate)(given)[1].sum(axis=0)
    assert worse > 0 > better


def test_resolve_a_users_own(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("def hinge(logits, utilities):\n    return ((logits - utilities) ** 2).sum()\n")
    assert by_name.resolve(f"{path}:hinge")(jnp.zeros(2), jnp.array([1.0, 2.0])) == 5.0
    assert by_name.resolve("softmax_regret") is softmax_regret


def test_a_users_own_is_one_object_until_its_file_changes(tmp_path):
    """The same object compiles once; a stale one would train on the loss of before."""
    path = tmp_path / "mine.py"
    path.write_text("def loss(logits, utilities):\n    return -(logits * utilities).sum()\n")
    first = by_name.resolve(f"{path}:loss")
    assert by_name.resolve(f"{path}:loss") is first
    path.write_text("def loss(logits, utilities):\n    return -2 * (logits * utilities).sum()\n")
    os.utime(path, ns=(1, 1))  # whatever the clock's resolution
    assert by_name.resolve(f"{path}:loss")(jnp.ones(2), jnp.ones(2)) == -4.0


@pytest.mark.parametrize(
    ("body", "function", "message"),
    [
        ("", "hinge", "the file has no function 'hinge'"),
        ("def f(:", "f", "the file does not run (SyntaxError"),
        ("import nowhere_to_be_found", "f", "the file does not run (ModuleNotFoundError"),
        ("def f(a, b):\n    return a", "f", "fails on a row of three arms"),
        ("def f(a):\n    return a.sum()", "f", "moves the logits of all arms alike"),
        ("def f(a, b):\n    return (a * 0).sum() / 0", "f", "not finite"),
        ("def f(a, b):\n    return 1", "f", "fails on a row of three arms"),
        ("def f(a, b):\n    return a.sum() + float('inf')", "f", "not finite"),
        ("def f(a, b):\n    return (abs(a) * 0).sum() ** 0.5", "f", "not finite"),
        ("def f(a, b):\n    return a[1] + (a[0] * 0) ** 0.5", "f", "not finite"),
        ("def f(a, b):\n    raise ValueError", "f", "three arms (ValueError: ); it must"),
        ("def f(a, b):\n    raise ValueError('one\\ntwo')", "f", "(ValueError: one); it must"),
    ],
)
def test_resolve_refuses(tmp_path, body, function, message):
    path = tmp_path / "mine.py"
    path.write_text(body)
    with pytest.raises(InputError) as error:
        by_name.resolve(f"{path}:{function}")
    assert message in str(error.value) and str(path) in str(error.value)


def test_a_function_is_taken_as_it_is_once_it_has_been_tried():
    def hinge(logits, utilities):
        return ((logits - utilities) ** 2).sum()

    def first(logits, utilities):
        return logits

    assert by_name.resolve(hinge) is hinge
    with pytest.raises(InputError, match="first: surrogate fails on a row of three arms"):
        by_name.resolve(first)


def test_a_surrogate_is_tried_on_values_of_both_signs():
    def roots_of_utilities(logits, utilities):
        return jnp.sum(logits) + jnp.sum(jnp.sqrt(utilities))

    def roots_of_logits(logits, utilities):
        return jnp.sum(jnp.sqrt(logits))

    for roots in (roots_of_utilities, roots_of_logits):
        with pytest.raises(InputError, match="not finite"):
            by_name.resolve(roots)


def test_a_surrogate_that_cannot_be_hashed_is_refused():
    class Own(list):  # a list has no hash
        def __call__(self, logits, utilities):
            return logits.sum()

    with pytest.raises(InputError, match="must be hashable"):
        by_name.resolve(Own())


def test_resolve_names_what_there_is():
    with pytest.raises(InputError, match="classification_bound, softmax_regret"):
        by_name.resolve("softmax")
    with pytest.raises(InputError, match="no such file"):
        by_name.resolve("nowhere.py:f")
