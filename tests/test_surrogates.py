"""Surrogates: hand-worked values, what bounds what, gradients, and a user's own."""

import doctest
import functools
import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from routerjax.errors import InputError
from routerjax.losses import by_name, surrogates
from routerjax.losses.surrogates import (
    classification_bound,
    counterfactual_risk,
    pairwise_ranking,
    soft_regret,
    softmax_regret,
    spo_plus,
    weighted_classification,
)

NAMED = list(by_name.SURROGATES.items())
ids = [name for name, _ in NAMED]
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
    found = doctest.testmod(surrogates)
    assert found.failed == 0 and found.attempted >= len(NAMED)  # an example each


def test_names_are_those_of_the_functions():
    assert all(getattr(surrogates, name) is surrogate for name, surrogate in NAMED)


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


@every
def test_gradient_against_finite_differences(surrogate):
    rng = np.random.default_rng(3)
    logits, utilities = rng.normal(size=4), rng.normal(size=4)
    step = 1e-6 * np.eye(4)
    with jax.enable_x64(True):
        moved = np.concatenate([logits[None], logits + step, logits - step])
        losses, slopes = map(np.asarray, graded(surrogate)(moved, np.tile(utilities, (9, 1))))
    assert losses.dtype == np.float64
    np.testing.assert_allclose(slopes[0], (losses[1:5] - losses[5:]) / 2e-6, atol=1e-8)


@every
def test_eager_jit_and_vmap_agree(surrogate, rows):
    logits, utilities = (jnp.asarray(values, jnp.float32) for values in rows)
    three = list(zip(logits[:3], utilities[:3], strict=True))
    mapped = jax.jit(jax.vmap(surrogate))(logits, utilities)
    np.testing.assert_allclose(mapped[:3], [surrogate(*row) for row in three], rtol=1e-5)
    np.testing.assert_allclose(mapped[:3], [jax.jit(surrogate)(*row) for row in three], rtol=1e-5)
    np.testing.assert_allclose(mapped, surrogate(logits, utilities), rtol=1e-5)


@every
def test_arm_permutation(surrogate, rows):
    order = np.array([3, 0, 4, 1, 2])
    logits, utilities = rows
    utilities[::2] = np.sign(utilities[::2])  # ties among the best, too
    loss, slope = graded(surrogate)(logits, utilities)
    turned, turned_slope = graded(surrogate)(logits[:, order], utilities[:, order])
    np.testing.assert_allclose(turned, loss, rtol=1e-5)
    np.testing.assert_allclose(turned_slope, slope[:, order], atol=1e-5)


@every
def test_levels_do_not_matter(surrogate, rows):
    logits, utilities = rows
    loss, slope = graded(surrogate)(logits, utilities)
    moved, moved_slope = graded(surrogate)(logits - 3.0, utilities + 2.0)
    np.testing.assert_allclose(moved, loss, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(moved_slope, slope, atol=1e-5)


@every
def test_loss_and_gradient_are_finite(surrogate):
    """At ties of logits and utilities, at large logits, and where they are opposed."""
    logits = [[0, 0, 0], [80, -80, 0], [300, -300, 0], [1e4, -1e4, 0], [1e4, 1e4, -1e4]]
    utilities = [[0, 0, 0], [0.7, 0.7, 0.7], [1, 1, 0], [-1e4, 1e4, 0]]
    pairs = np.array([(f, u) for f in logits for u in utilities], np.float32)
    loss, slope = graded(surrogate)(pairs[:, 0], pairs[:, 1])
    assert np.isfinite(loss).all() and np.isfinite(slope).all()
    assert np.all(loss >= 0)


@every
def test_one_arm_leaves_nothing_to_learn(surrogate):
    loss, slope = graded(surrogate)(np.array([[0.0], [-1e4]]), np.array([[0.7], [0.7]]))
    assert not np.any(loss) and not np.any(slope)


@every
def test_a_step_downhill_prefers_the_better_of_two_arms(surrogate):
    _, ((worse, better),) = graded(surrogate)(np.zeros((1, 2)), np.array([[0.2, 0.9]]))
    assert worse > 0 > better


def test_resolve_a_users_own(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("def hinge(logits, utilities):\n    return ((logits - utilities) ** 2).sum()\n")
    assert by_name.resolve(f"{path}:hinge")(jnp.zeros(2), jnp.array([1.0, 2.0])) == 5.0
    assert by_name.resolve("softmax_regret") is softmax_regret


def test_a_users_own_is_one_object_until_its_file_changes(tmp_path):
    """The same object compiles once; a stale one would train on the loss of before."""
    path = tmp_path / "mine.py"
    path.write_text("def loss(logits, utilities):\n    return logits.sum()\n")
    first = by_name.resolve(f"{path}:loss")
    assert by_name.resolve(f"{path}:loss") is first
    path.write_text("def loss(logits, utilities):\n    return 2 * logits.sum()\n")
    os.utime(path, ns=(1, 1))  # whatever the clock's resolution
    assert by_name.resolve(f"{path}:loss")(jnp.ones(2), jnp.ones(2)) == 4.0


@pytest.mark.parametrize(
    ("body", "function", "message"),
    [
        ("", "hinge", "the file has no function 'hinge'"),
        ("def f(:", "f", "the file does not run (SyntaxError"),
        ("import nowhere_to_be_found", "f", "the file does not run (ModuleNotFoundError"),
        ("def f(a, b):\n    return a", "f", "fails on a row of three arms"),
        ("def f(a):\n    return a.sum()", "f", "fails on a row of three arms"),
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


def test_a_surrogate_is_tried_on_values_of_both_signs_and_less_than_one_apart():
    def near(logits, utilities):
        apart = jnp.stack([jnp.ptp(logits), jnp.ptp(utilities)])
        return jnp.sum(logits) + jnp.where(apart < 1, 0.0, jnp.inf).sum()

    def roots_of_utilities(logits, utilities):
        return jnp.sum(logits) + jnp.sum(jnp.sqrt(utilities))

    def roots_of_logits(logits, utilities):
        return jnp.sum(jnp.sqrt(logits))

    assert by_name.resolve(near) is near
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
