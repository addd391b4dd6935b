"""Surrogates: hand-worked values, what bounds what, gradients, and a user's own."""

import doctest

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from routerjax import surrogates
from routerjax.errors import InputError
from routerjax.surrogates import classification_bound, softmax_regret

NAMED = list(surrogates.SURROGATES.items())
ids = [name for name, _ in NAMED]


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    return rng.normal(size=(200, 5)), rng.normal(size=(200, 5))


def test_docstring_examples():
    assert doctest.testmod(surrogates).failed == 0


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


def test_softmax_regret_becomes_the_regret_of_the_argmax(rows):
    logits, utilities = rows
    arms = logits.argmax(axis=1)
    regret = utilities.max(axis=1) - utilities[np.arange(200), arms]
    cold = softmax_regret(jnp.asarray(logits), jnp.asarray(utilities), temperature=1e-4)
    grown = softmax_regret(jnp.asarray(1e4 * logits), jnp.asarray(utilities))
    close = np.abs(np.diff(np.sort(logits, axis=1)[:, -2:], axis=1)[:, 0]) > 1e-2
    np.testing.assert_allclose(cold[close], regret[close], atol=1e-5)
    np.testing.assert_allclose(grown[close], regret[close], atol=1e-5)


def test_cross_entropy_bounds_the_regret(rows):
    logits, utilities = rows
    regret = utilities.max(axis=1) - utilities[np.arange(200), logits.argmax(axis=1)]
    span = utilities.max(axis=1) - utilities.min(axis=1)
    bound = span * np.asarray(classification_bound(jnp.asarray(logits), jnp.asarray(utilities)))
    assert np.all(regret <= bound / np.log(2.0) + 1e-6)


def test_softmax_regret_is_linear_in_utilities_up_to_a_constant(rows):
    logits, utilities = (jnp.asarray(values) for values in rows)
    other = jnp.asarray(np.random.default_rng(1).normal(size=utilities.shape))
    slope = jax.grad(lambda f, u: jnp.sum(softmax_regret(f, u)))
    joint = slope(logits, 0.3 * utilities + 0.7 * other)
    parts = 0.3 * slope(logits, utilities) + 0.7 * slope(logits, other)
    np.testing.assert_allclose(joint, parts, atol=1e-5)


def test_noise_leaves_softmax_regret_gradient_unbiased_and_biases_labels():
    """The winner's curse: unbiased noise moves the argmax label, not the regret's gradient."""
    rng = np.random.default_rng(2)
    utilities, logits = np.array([0.5, 0.45, 0.0]), jnp.zeros(3)
    noise = rng.normal(scale=[0.0, 0.0, 2.0], size=(20_000, 3))  # the worst arm is the noisy one
    each = jax.vmap(jax.grad(softmax_regret), in_axes=(None, 0))
    got = np.asarray(each(logits, jnp.asarray(utilities + noise)))
    error = got.std(axis=0) / np.sqrt(len(got))
    want = np.asarray(jax.grad(softmax_regret)(logits, jnp.asarray(utilities)))
    assert np.all(np.abs(got.mean(axis=0) - want) < 4 * error + 1e-6)
    labels = (utilities + noise).argmax(axis=1)
    assert np.mean(labels == 2) > 0.3  # P(N(0, 2²) > 0.5) = 0.40, and truly never the best


@pytest.mark.parametrize("surrogate", [s for _, s in NAMED], ids=ids)
def test_gradient_against_finite_differences(surrogate):
    rng = np.random.default_rng(3)
    logits, utilities = rng.normal(size=4), jnp.asarray(rng.normal(size=4))
    with jax.enable_x64(True):
        logits = jnp.asarray(logits, jnp.float64)
        utilities = jnp.asarray(np.asarray(utilities), jnp.float64)
        slope = jax.grad(surrogate)(logits, utilities)
        step = 1e-6
        for i in range(4):
            ahead = surrogate(logits.at[i].add(step), utilities)
            behind = surrogate(logits.at[i].add(-step), utilities)
            assert slope[i] == pytest.approx(float((ahead - behind) / (2 * step)), abs=1e-8)


@pytest.mark.parametrize("surrogate", [s for _, s in NAMED], ids=ids)
def test_eager_jit_and_vmap_agree(surrogate, rows):
    logits, utilities = (jnp.asarray(values, jnp.float32) for values in rows)
    one_by_one = np.array([surrogate(f, u) for f, u in zip(logits[:5], utilities[:5], strict=True)])
    mapped = jax.jit(jax.vmap(surrogate))(logits, utilities)
    np.testing.assert_allclose(mapped[:5], one_by_one, rtol=1e-5)
    np.testing.assert_allclose(mapped, surrogate(logits, utilities), rtol=1e-5)


@pytest.mark.parametrize("surrogate", [s for _, s in NAMED], ids=ids)
def test_arm_permutation(surrogate, rows):
    logits, utilities = (jnp.asarray(values) for values in rows)
    order = np.array([3, 0, 4, 1, 2])
    np.testing.assert_allclose(
        surrogate(logits[:, order], utilities[:, order]), surrogate(logits, utilities), rtol=1e-5
    )


@pytest.mark.parametrize("surrogate", [s for _, s in NAMED], ids=ids)
@pytest.mark.parametrize(
    "utilities", [[0.0, 0.0, 0.0], [1.0, 1.0, 0.0], [1e4, -1e4, 0.0]], ids=["tie", "two", "wide"]
)
def test_loss_and_gradient_are_finite(surrogate, utilities):
    for logits in ([0.0, 0.0, 0.0], [300.0, -300.0, 0.0]):
        value, slope = jax.value_and_grad(surrogate)(jnp.array(logits), jnp.array(utilities))
        assert jnp.isfinite(value) and jnp.isfinite(slope).all()
        assert value >= 0


def test_resolve_a_users_own(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("def hinge(logits, utilities):\n    return ((logits - utilities) ** 2).sum()\n")
    assert surrogates.resolve(f"{path}:hinge")(jnp.zeros(2), jnp.array([1.0, 2.0])) == 5.0
    assert surrogates.resolve("softmax_regret") is softmax_regret


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
    ],
)
def test_resolve_refuses(tmp_path, body, function, message):
    path = tmp_path / "mine.py"
    path.write_text(body)
    with pytest.raises(InputError) as error:
        surrogates.resolve(f"{path}:{function}")
    assert message in str(error.value) and str(path) in str(error.value)


def test_resolve_names_what_there_is():
    with pytest.raises(InputError, match="classification_bound, softmax_regret"):
        surrogates.resolve("softmax")
    with pytest.raises(InputError, match="no such file"):
        surrogates.resolve("nowhere.py:f")
