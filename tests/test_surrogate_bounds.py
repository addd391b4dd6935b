"""Which surrogate bounds which: every line of the table, on rows of all scales, and no looser."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.surrogates.bounds import BOUNDS, NATURES, REGRET, bounds_list, natures_table
from routerjax.losses.known import OF_A_ROW, SURROGATES

BOUND_IDS = [f"{bound.smaller}-{bound.larger}" for bound in BOUNDS]
NATURE_IDS = list(NATURES)
LOSSES = {name: jax.jit(jax.vmap(surrogate)) for name, surrogate in OF_A_ROW.items()}


def regret(logits, utilities):
    chosen = np.argmax(logits, axis=1)[:, None]
    return utilities.max(axis=1) - np.take_along_axis(utilities, chosen, axis=1)[:, 0]


def losses(name, logits, utilities):
    if name == REGRET:
        return regret(logits, utilities)
    return np.asarray(LOSSES[name](logits, utilities), np.float64)


@pytest.fixture(scope="module")
def rows():
    """4,000 rows of seven arms: any scale, ties, logits for, against and apart from utilities."""
    rng = np.random.default_rng(0)
    noise, utilities = rng.normal(size=(2, 4000, 7))
    utilities[::3] = np.round(utilities[::3])
    utilities *= 10 ** rng.uniform(-2, 1, size=(4000, 1))
    logits = rng.choice([-1.0, 0.0, 1.0], size=(4000, 1)) * utilities + noise
    logits *= 10 ** rng.uniform(-2, 1.5, size=(4000, 1))
    logits[::5] = np.round(logits[::5])
    return logits.astype(np.float32), utilities.astype(np.float32)


@pytest.mark.parametrize("bound", BOUNDS, ids=BOUND_IDS)
def test_the_bound_holds(bound, rows):
    smaller, larger = (losses(name, *rows) for name in (bound.smaller, bound.larger))
    limit = bound.factor(rows[1]) * larger
    slack = 1e-5 * (1 + np.abs(limit))
    assert np.all(smaller <= limit + slack)
    assert np.any(smaller > 0.1 * limit + slack), "these rows do not put it to the test"


@pytest.mark.parametrize("bound", BOUNDS, ids=BOUND_IDS)
def test_no_smaller_factor_would_do(bound):
    """Equality, or near it: two arms undecided, two arms nearly decided, one bad arm of five."""
    utilities = [np.array([row], np.float32) for row in ([0, 1], [0, 1], [0, 1, 1, 1, 1])]
    logits = [np.array([row], np.float32) for row in ([0, 0], [0, 8], [0, 0, 0, 0, 0])]
    shares = []
    for f, u in zip(logits, utilities, strict=True):
        smaller, larger = (losses(name, f, u)[0] for name in (bound.smaller, bound.larger))
        limit = float(np.squeeze(bound.factor(u) * larger))
        shares.append(smaller / limit if limit > 0 else 0.0)
    assert max(shares) == pytest.approx(1, abs=1e-3)


def test_every_surrogate_bounds_the_regret_or_says_through_which():
    direct = {bound.larger for bound in BOUNDS if bound.smaller == REGRET}
    through = {bound.larger for bound in BOUNDS if bound.smaller in direct}
    assert direct | through == set(NATURES) == set(OF_A_ROW)


@pytest.mark.parametrize("name", NATURE_IDS)
def test_convexity_is_as_stated(name, rows):
    logits, utilities = rows
    others = np.roll(logits, 1, axis=0)
    middle = losses(name, (logits + others) / 2, utilities)
    ends = (losses(name, logits, utilities) + losses(name, others, utilities)) / 2
    below = middle <= ends + 1e-5 * (1 + np.abs(ends))
    assert below.all() == NATURES[name].convex


@pytest.mark.parametrize("name", NATURE_IDS)
def test_linearity_is_as_stated(name, rows):
    logits, utilities = rows
    slope = jax.jit(jax.vmap(jax.grad(SURROGATES[name])))
    other = jnp.roll(utilities, 1, axis=0)
    joint = slope(logits, 0.25 * utilities + 0.75 * other)
    parts = 0.25 * slope(logits, utilities) + 0.75 * slope(logits, other)
    assert np.allclose(joint, parts, atol=1e-4) == NATURES[name].linear


def test_the_texts_hold_every_line():
    assert bounds_list().count("\n- ") + 1 == len(BOUNDS)
    assert "- regret ≤ m × softmax_regret: " in bounds_list()
    assert "- softmax_regret ≤ soft_regret: " in bounds_list()
    assert len(natures_table().splitlines()) == 2 + len(NATURES)
