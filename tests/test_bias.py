"""The label bias: values by hand, NumPy loops, identities, leaks, unbiasedness over seeds."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import jax.test_util
import numpy as np
import pytest

from routerjax.bias import (
    dr_learner,
    dr_pseudo_outcome,
    learn_bias,
    r_learner,
    r_pseudo_outcome,
)
from routerjax.components import fit_components
from routerjax.data.synthetic_gains import BIASES, draw_sources, synthetic_gains
from routerjax.errors import InputError
from routerjax.integrative import (
    CANDIDATES,
    Candidate,
    corrected_label,
    gold_errors,
    integrative_loss,
    target,
)
from routerjax.label_sources import (
    Rows,
    assign_folds,
    cross_fit,
    estimate_propensity,
    own_fold,
    source_overlap,
)
from routerjax.ridge import (
    STRENGTHS,
    Linear,
    choose_landmarks,
    fit_logistic,
    fit_ridge,
    kernel_ridge,
    ridge,
)

KEY = jax.random.key(0)
LEARNERS = {"r": r_learner, "dr": dr_learner}


def made_rows(key=KEY, *, n=300, bias="smooth", share=0.3, assignment="random", dimensions=5):
    """Rows with folds and true propensities, and the data they came from."""
    keys = jax.random.split(key, 3)
    data = synthetic_gains(keys[0], rows=n, bias=bias, dimensions=dimensions, assignment=assignment)
    gold, propensity = draw_sources(data.log_odds, gold_share=share, key=keys[1])
    label = jnp.where(gold, data.gold_label, data.preference_label)
    fold = assign_folds(gold, key=keys[2])
    return Rows(data.embeddings, label, gold, propensity, fold), data


@functools.cache
def fixed(**arguments):
    """`made_rows` of the fixed key, made once."""
    return jax.jit(functools.partial(made_rows, **arguments))(KEY)


ONES = np.ones(300, np.float32)


# ------------------------------------------------------------------ closed forms


def loop_ridge(x, y, w, strength):
    """β and intercept of Σ w (y − b − xβ)² / Σ w + strength·v·|β|², by the normal equations."""
    x, y, w = (np.asarray(part, np.float64) for part in (x, y, w))
    w = w / w.sum()
    centre = w @ x
    spread = (w @ (x - centre) ** 2).mean()
    columns = np.column_stack([x, np.ones(len(x))])
    penalty = np.diag([strength * spread] * x.shape[1] + [0.0])
    solution = np.linalg.solve(columns.T @ (w[:, None] * columns) + penalty, columns.T @ (w * y))
    return solution[:-1], solution[-1], spread


@pytest.mark.parametrize("strength", [1e-3, 0.1, 10.0])
def test_ridge_solves_the_normal_equations(strength):
    rng = np.random.default_rng(0)
    x, y, w = rng.normal(size=(40, 6)), rng.normal(size=40), rng.uniform(size=40)
    w[:5] = 0.0
    fitted = fit_ridge(jnp.asarray(x), jnp.asarray(y), jnp.asarray(w), strengths=(strength,))
    beta, intercept, _ = loop_ridge(x, y, w, strength)
    np.testing.assert_allclose(fitted.coefficients, beta, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(fitted.intercept, intercept, rtol=1e-3, atol=1e-5)


def test_ridge_picks_the_strength_that_leaving_rows_out_one_by_one_picks():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(25, 4))
    y = x[:, 0] + rng.normal(size=25)
    w = rng.uniform(0.5, 2.0, size=25)
    strengths = (0.01, 1.0, 100.0)
    scores = []
    for strength in strengths:
        spread = loop_ridge(x, y, w, strength)[2]
        total = 0.0
        for i in range(25):  # the penalty is that of all rows: Σ w · strength · v
            v = w.copy()
            v[i] = 0.0
            centre = (v / v.sum()) @ x
            own = ((v / v.sum()) @ (x - centre) ** 2).mean()
            beta, intercept, _ = loop_ridge(x, y, v, strength * spread * w.sum() / (own * v.sum()))
            total += w[i] * (y[i] - x[i] @ beta - intercept) ** 2
        scores.append(total)
    best = strengths[int(np.argmin(scores))]
    chosen = fit_ridge(*(jnp.asarray(part) for part in (x, y, w)), strengths=strengths)
    np.testing.assert_allclose(chosen.coefficients, loop_ridge(x, y, w, best)[0], rtol=1e-3)


def test_infinite_strength_is_the_weighted_mean():
    fitted = fit_ridge(
        jnp.array([[0.0], [1.0], [5.0]]), jnp.array([1.0, 3.0, 99.0]), jnp.array([3.0, 1.0, 0.0]),
        strengths=(np.inf,),
    )  # fmt: skip
    assert float(fitted.intercept) == pytest.approx(1.5)
    assert float(fitted.coefficients[0]) == 0.0


def test_a_constant_label_and_no_weight_at_all():
    x = jnp.arange(12.0).reshape(6, 2)
    np.testing.assert_allclose(ridge(x, jnp.full(6, 0.7), jnp.ones(6), x), 0.7, atol=1e-5)
    np.testing.assert_array_equal(ridge(x, jnp.ones(6), jnp.zeros(6), x), 0.0)
    same = jnp.ones((6, 2))  # features without spread
    assert np.isfinite(ridge(same, jnp.arange(6.0), jnp.ones(6), same)).all()


def test_only_ratios_of_weights_matter_and_zero_is_out():
    rows, _ = fixed()
    w = np.asarray(rows.gold, np.float32)
    beta = fit_ridge(rows.x, rows.label, w).coefficients
    np.testing.assert_allclose(beta, fit_ridge(rows.x, rows.label, 7 * w).coefficients, rtol=1e-3)
    poisoned = np.where(rows.gold, rows.label, np.float32(1e6))
    np.testing.assert_array_equal(beta, fit_ridge(rows.x, poisoned, w).coefficients)


def test_ridge_survives_large_offsets_in_float32():
    rows, _ = fixed()
    near = ridge(rows.x, rows.label, ONES, rows.x)
    far = ridge(rows.x + 100.0, rows.label + 100.0, ONES, rows.x + 100.0) - 100.0
    np.testing.assert_allclose(near, far, atol=2e-3)


def test_kernel_ridge_with_every_row_a_landmark_is_kernel_ridge():
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(30, 2)), rng.normal(size=30)
    key = jax.random.key(3)
    w = jnp.ones(30)
    points = choose_landmarks(jnp.asarray(x), w, landmarks=30, bandwidth=1.0, key=key)
    features = np.asarray(points(jnp.asarray(x)), np.float64)
    width2 = ((x - x.mean(axis=0)) ** 2).sum(axis=1).mean()
    kernel = np.exp(-((x[:, None] - x[None]) ** 2).sum(axis=2) / (2 * width2))
    np.testing.assert_allclose(features @ features.T, kernel, atol=2e-3)
    found = kernel_ridge(jnp.asarray(x), jnp.asarray(y), w, jnp.asarray(x), key=key, landmarks=30)
    best = np.inf
    for strength in STRENGTHS[:-1]:  # dual form, intercept free, strength by leave-one-out
        penalty = strength * features.var(axis=0).mean() * 30
        centred = kernel - kernel.mean(axis=0) - kernel.mean(axis=1)[:, None] + kernel.mean()
        hat = centred @ np.linalg.inv(centred + penalty * np.eye(30)) + 1 / 30
        error = np.mean(((y - hat @ y) / (1 - np.diag(hat))) ** 2)
        if error < best:
            best, expected = error, hat @ y
    np.testing.assert_allclose(found, expected, atol=2e-2)


def test_logistic_matches_its_own_optimality_condition():
    rows, _ = fixed(assignment="dependent", n=2000)
    x, gold = np.asarray(rows.x, np.float64), np.asarray(rows.gold, np.float64)
    fitted = fit_logistic(rows.x, gold, np.ones(2000), strengths=(1e-3,))
    beta, intercept = (np.asarray(part, np.float64) for part in jax.tree.leaves(fitted))
    p = 1 / (1 + np.exp(-x @ beta - intercept))
    slope = (x - x.mean(axis=0)).T @ (p - gold) / 2000
    np.testing.assert_allclose(slope + 1e-3 * x.var(axis=0).mean() / 4 * beta, 0, atol=1e-5)
    assert np.mean(p - gold) == pytest.approx(0, abs=1e-5)
    assert np.corrcoef(p, rows.propensity)[0, 1] > 0.9


def test_components_are_those_of_the_weighted_rows():
    rng = np.random.default_rng(4)
    x = rng.normal(size=(50, 4)) * [3.0, 1.0, 0.5, 0.1]
    w = np.r_[np.ones(40), np.zeros(10)]
    made = fit_components(jnp.asarray(x), jnp.asarray(w), components=2)
    scores = np.asarray(made(jnp.asarray(x[:40])), np.float64)
    values = np.linalg.eigvalsh(np.cov(x[:40].T, bias=True))[::-1][:2]
    np.testing.assert_allclose(scores.var(axis=0), values / values.mean(), rtol=1e-3)
    np.testing.assert_allclose(scores.mean(axis=0), 0, atol=1e-4)
    with pytest.raises(InputError, match="components is 5"):
        fit_components(jnp.asarray(x), jnp.asarray(w), components=5)


# ------------------------------------------------------------------ pseudo-outcomes


def test_pseudo_outcomes_by_hand():
    value, weight = r_pseudo_outcome(jnp.float32(0.2), jnp.array(False), 0.5, 0.2)
    assert float(value) == pytest.approx(1.5)  # (0.2 − 0.5) / (0 − 0.2)
    assert float(weight) == pytest.approx(0.04)
    # 0.75 − 0.5 + (0 − 0.2) / 0.16 · (0.9 − 0.5) = 0.25 − 0.5
    assert float(dr_pseudo_outcome(0.9, jnp.array(False), 0.5, 0.75, 0.2)) == pytest.approx(-0.25)
    # 0.75 − 0.5 + (1 − 0.2) / 0.16 · (0.9 − 0.75) = 0.25 + 0.75
    assert float(dr_pseudo_outcome(0.9, jnp.array(True), 0.5, 0.75, 0.2)) == pytest.approx(1.0)


def test_dr_with_zero_outcomes_is_the_inverse_propensity_contrast():
    label, e = jnp.array([0.4, -0.3]), jnp.array([0.1, 0.6])
    gold = jnp.array([True, False])
    found = jax.vmap(dr_pseudo_outcome)(label, gold, jnp.zeros(2), jnp.zeros(2), e)
    np.testing.assert_allclose(found, [0.4 / 0.1, 0.3 / 0.4], rtol=1e-6)


def test_r_loss_equals_the_weighted_regression():
    rows, _ = fixed()
    outcome, tau = 0.3 * rows.x[:, 0], rows.x[:, 1]
    value, weight = r_pseudo_outcome(rows.label, rows.gold, outcome, rows.propensity)
    direct = (rows.label - outcome - (rows.gold - rows.propensity) * tau) ** 2
    np.testing.assert_allclose(weight * (value - tau) ** 2, direct, rtol=1e-3, atol=1e-5)


def test_integrative_loss_and_correction_by_hand():
    assert float(corrected_label(0.5, jnp.array(True), 9.0)) == 0.5
    assert float(corrected_label(0.5, jnp.array(False), -0.2)) == pytest.approx(0.3)
    assert float(integrative_loss(0.1, 0.5, jnp.array(True), 9.0, 0.3)) == pytest.approx(0.16)
    assert float(integrative_loss(0.1, 0.5, jnp.array(False), -0.2, 0.3)) == pytest.approx(0.012)


def test_gradients_against_finite_differences():
    def loss(prediction, bias, omega):
        gold = jnp.array([True, False, False])
        label = jnp.array([0.5, -0.2, 0.1])
        return jnp.sum(integrative_loss(prediction, label, gold, bias, omega))

    point = (jnp.array([0.1, 0.3, -0.4]), jnp.array([0.2, -0.1, 0.6]), jnp.float32(0.7))
    jax.test_util.check_grads(jax.jit(loss), point, order=1, modes="rev", atol=1e-2, rtol=1e-2)
    dr = jax.jit(functools.partial(dr_pseudo_outcome, jnp.float32(0.3), jnp.array(True)))
    jax.test_util.check_grads(dr, (0.2, 0.4, 0.3), order=1, modes="rev", atol=1e-2, rtol=1e-2)


def test_closed_form_minimises_the_integrative_loss():
    rows, _ = fixed()
    bias, omega = 0.1 * rows.x[:, 0], 0.3
    weights = jnp.where(rows.gold, 1.0, omega)
    label = corrected_label(rows.label, rows.gold, bias)
    fitted = fit_ridge(rows.x, label, weights, strengths=(1e-6,))

    def loss(beta, intercept):
        prediction = Linear(beta, intercept)(rows.x)
        return jnp.mean(integrative_loss(prediction, rows.label, rows.gold, bias, omega))

    slopes = jax.jit(jax.grad(loss, argnums=(0, 1)))(fitted.coefficients, fitted.intercept)
    np.testing.assert_allclose(slopes[0], 0, atol=1e-4)
    np.testing.assert_allclose(slopes[1], 0, atol=1e-4)


# ------------------------------------------------------------------ identities


def test_omega_zero_is_gold_only_exactly():
    rows, _ = fixed()
    w = ONES
    bias = jnp.broadcast_to(rows.x[:, 0], (5, 300))
    goal = target(rows, w, bias, regress=ridge, key=KEY, candidates=(Candidate(0.0),))
    only = ridge(rows.x, rows.label, rows.gold.astype(jnp.float32), rows.x)
    np.testing.assert_array_equal(ridge(rows.x, goal.label, goal.weights, rows.x), only)


def test_no_bias_and_omega_one_is_pooling_exactly():
    rows, _ = fixed()
    w = ONES
    goal = target(
        rows, w, jnp.zeros((5, 300)), regress=ridge, key=KEY, candidates=(Candidate(1.0),)
    )
    pooled = ridge(rows.x, rows.label, w, rows.x)
    np.testing.assert_array_equal(ridge(rows.x, goal.label, goal.weights, rows.x), pooled)


def test_no_spread_corrects_by_the_mean():
    rows, _ = fixed()
    bias = jnp.broadcast_to(rows.x[:, 0], (5, 300))
    goal = target(rows, ONES, bias, regress=ridge, key=KEY, candidates=(Candidate(1.0, 0.0),))
    expected = np.where(rows.gold, rows.label, rows.label + np.mean(rows.x[:, 0]))
    np.testing.assert_allclose(goal.label, expected, atol=1e-5)


def test_omega_is_chosen_on_held_out_gold():
    rows, data = fixed(bias="none")
    w = ONES
    opposite = jnp.broadcast_to(-2 * data.psi, (5, 300))  # labels that say the opposite
    errors = gold_errors(rows, w, opposite, regress=ridge, key=KEY)
    goal = target(rows, w, opposite, regress=ridge, key=KEY, caution=0.0)
    mean = np.asarray(errors) @ np.asarray(rows.gold, np.float64) / int(rows.gold.sum())
    np.testing.assert_allclose(goal.errors, mean, rtol=1e-3)
    best = CANDIDATES[int(mean.argmin())]
    assert (float(goal.omega), float(goal.spread)) == pytest.approx(tuple(best))
    wrong = opposite * data.psi  # not a matter of its mean alone
    assert float(target(rows, w, 20 * wrong, regress=ridge, key=KEY, caution=0.0).omega) < 1


# ------------------------------------------------------------------ folds and leaks


def test_folds_spread_gold_and_keep_groups_together():
    rng = np.random.default_rng(5)
    groups = rng.integers(0, 120, size=300)
    gold = (groups < 23)[np.arange(300)]
    fold = np.asarray(assign_folds(jnp.asarray(gold), key=KEY, groups=jnp.asarray(groups)))
    for group in np.unique(groups):
        assert len(set(fold[groups == group])) == 1
    per_fold = [len(set(groups[gold & (fold == k)])) for k in range(5)]
    assert max(per_fold) - min(per_fold) <= 1


def test_cross_fitting_against_a_loop():
    rows, _ = fixed()
    found = cross_fit(ridge, rows, ONES, key=KEY)
    for k in range(5):
        kept = jnp.asarray(rows.fold != k, jnp.float32)
        mine = np.asarray(rows.fold) == k
        expected = np.asarray(ridge(rows.x, rows.label, kept, rows.x))[mine]
        np.testing.assert_allclose(np.asarray(found)[mine], expected, atol=1e-5)


@pytest.mark.parametrize("learner", LEARNERS.values(), ids=LEARNERS)
def test_a_poisoned_row_never_meets_what_saw_it(learner):
    rows, _ = fixed()

    def learn(rows):
        return learn_bias(rows, ONES, learner=learner, regress=ridge, key=KEY)

    clean = np.asarray(learn(rows))
    for row in (int(jnp.argmax(rows.gold)), int(jnp.argmin(rows.gold))):
        k = int(rows.fold[row])
        poisoned = np.asarray(learn(rows._replace(label=rows.label.at[row].set(1e3))))
        np.testing.assert_array_equal(clean[k], poisoned[k])  # nor does any row of its fold
        others = np.arange(5) != k
        assert (np.abs(clean - poisoned)[others].max(axis=1) > 0.1).all()


def test_held_out_errors_see_no_label_of_their_fold():
    rows, _ = fixed()
    row = int(jnp.argmax(rows.gold))
    k = int(rows.fold[row])

    def errors(rows):
        w = ONES
        bias = learn_bias(rows, w, learner=dr_learner, regress=ridge, key=KEY)
        return np.asarray(gold_errors(rows, w, bias, regress=ridge, key=KEY))

    clean, other = errors(rows), errors(rows._replace(label=rows.label.at[row].set(50.0)))
    same_fold = (np.asarray(rows.fold) == k) & (np.arange(300) != row)
    np.testing.assert_array_equal(clean[:, same_fold], other[:, same_fold])


def test_estimated_propensity_is_out_of_fold_and_floored():
    rows, _ = fixed(assignment="dependent", n=2000)
    found = np.asarray(estimate_propensity(rows, np.ones(2000, np.float32)))
    assert np.corrcoef(found, rows.propensity)[0, 1] > 0.9
    assert found.min() >= 0.005
    row = 7
    flipped = rows._replace(gold=rows.gold.at[row].set(~rows.gold[row]))
    again = np.asarray(estimate_propensity(flipped, np.ones(2000, np.float32)))
    own = np.asarray(rows.fold) == int(rows.fold[row])
    np.testing.assert_array_equal(found[own], again[own])
    assert (found[~own] != again[~own]).any()


def test_overlap_by_hand():
    gold = np.array([True, False, False, False])
    report = source_overlap(gold, np.array([0.25, 0.5, 0.2, 0.999]), known=True)
    assert report.arm_rows == (3, 1) and report.models == ("preference", "gold")
    assert report.smallest_propensity == pytest.approx(0.001)
    assert report.share_clipped == 0.25 and report.source == "known"
    w = np.array([2.0, 1.25, 200.0])
    assert report.effective_sample_size[0] == pytest.approx(w.sum() ** 2 / (w**2).sum())
    assert report.effective_sample_size[1] == pytest.approx(1.0)


def test_eager_jit_and_vmap_agree():
    rows, _ = fixed()
    learn = functools.partial(learn_bias, learner=dr_learner, regress=ridge, key=KEY)
    w = ONES
    batch = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), (rows, w))
    np.testing.assert_allclose(learn(rows, w), jax.vmap(learn)(*batch)[1], atol=1e-4)
    compiled = ridge(rows.x, rows.label, w, rows.x)
    with jax.disable_jit():
        np.testing.assert_allclose(ridge(rows.x, rows.label, w, rows.x), compiled, atol=1e-5)


# ------------------------------------------------------------------ statistics over seeds


def over_seeds(one, seeds):
    """Values of `one` over seeds, [s], in one compiled program."""
    keys = jax.random.split(jax.random.key(7), seeds)
    return np.asarray(jax.jit(lambda keys: jax.lax.map(one, keys))(keys), np.float64)


def within_four_errors(values, truth=0.0):
    assert abs(values.mean() - truth) < 4 * values.std(ddof=1) / np.sqrt(len(values))


@pytest.mark.parametrize("learner", LEARNERS.values(), ids=LEARNERS)
def test_a_constant_bias_is_estimated_without_bias(learner):
    def one(key):
        rows, data = made_rows(key, bias="constant", share=0.1)
        bias = learn_bias(rows, ONES, learner=learner, regress=ridge, key=key)
        return jnp.mean(own_fold(bias, rows.fold))

    within_four_errors(over_seeds(one, 100), 0.6)


@pytest.mark.parametrize("wrong", ["outcomes", "propensity"])
def test_dr_is_right_when_either_nuisance_is_wrong(wrong):
    """Mean pseudo-outcome less mean τ over seeds, with one nuisance grossly wrong."""

    def one(key):
        rows, data = made_rows(key, assignment="dependent", share=0.3, n=500)
        outcomes = data.psi - data.tau, data.psi
        propensity = rows.propensity
        if wrong == "outcomes":
            outcomes = outcomes[0] + 1.0, 0 * outcomes[1]
        else:
            propensity = jnp.full_like(propensity, 0.15)
        value = dr_pseudo_outcome(rows.label, rows.gold, *outcomes, propensity)
        return jnp.mean(value - data.tau)

    within_four_errors(over_seeds(one, 200))


def test_dr_is_wrong_when_both_are():
    def one(key):
        rows, data = made_rows(key, assignment="dependent", share=0.3, n=500)
        value = dr_pseudo_outcome(rows.label, rows.gold, data.psi + 1.0, 0 * data.psi, 0.15)
        return jnp.mean(value - data.tau)

    values = over_seeds(one, 50)
    assert abs(values.mean()) > 10 * values.std(ddof=1) / np.sqrt(50)


@pytest.mark.parametrize("learner", LEARNERS.values(), ids=LEARNERS)
def test_a_smooth_bias_is_learnt(learner):
    rows, data = fixed(bias="flips", share=0.2, n=2000)
    bias = learn_bias(rows, np.ones(2000, np.float32), learner=learner, regress=ridge, key=KEY)
    estimate = np.asarray(own_fold(bias, rows.fold))
    error = np.mean((estimate - data.tau) ** 2) / np.var(data.tau)
    assert error < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("learner", LEARNERS.values(), ids=LEARNERS)
def test_error_falls_with_gold_also_when_the_propensity_is_estimated(learner):
    def error(key, share):
        rows, data = made_rows(key, assignment="dependent", bias="flips", share=share, n=2000)
        w = np.ones(2000, np.float32)
        rows = rows._replace(propensity=estimate_propensity(rows, w))
        bias = learn_bias(rows, w, learner=learner, regress=ridge, key=key)
        return jnp.mean((own_fold(bias, rows.fold) - data.tau) ** 2)

    few, many = (over_seeds(functools.partial(error, share=s), 40) for s in (0.02, 0.2))
    assert many.mean() < 0.5 * few.mean()


# ------------------------------------------------------------------ the generator


@pytest.mark.parametrize("bias", BIASES)
def test_generator_holds_its_own_equations(bias):
    data = synthetic_gains(KEY, rows=20_000, bias=bias, noise=0.5)
    for label, mean in ((data.gold_label, data.psi), (data.preference_label, data.psi - data.tau)):
        noise = np.asarray(label - mean, np.float64)
        assert abs(noise.mean()) < 4 * 0.5 / np.sqrt(20_000)
        assert noise.std() == pytest.approx(0.5, rel=0.03)
    sizes = {"none": 0.0, "constant": 0.6, "smooth": 0.6, "rough": 0.6, "flips": 0.75}
    size = float(jnp.sqrt(jnp.mean(data.tau**2)))
    assert size == pytest.approx(sizes[bias], abs=0.08)
    order = np.corrcoef(data.psi, data.psi - data.tau)[0, 1]
    assert order < -0.1 if bias == "flips" else order > 0.4


def test_sources_are_drawn_as_told():
    data = synthetic_gains(KEY, rows=5000, assignment="dependent")
    gold, propensity = draw_sources(data.log_odds, gold_share=0.1, key=KEY)
    assert float(propensity.mean()) == pytest.approx(0.1, abs=1e-4)
    odds = np.log(propensity) - np.log1p(-propensity)
    np.testing.assert_allclose(odds - odds[0], data.log_odds - data.log_odds[0], atol=1e-3)
    spread = np.sqrt(float(jnp.sum(propensity * (1 - propensity))))
    assert abs(int(gold.sum()) - 500) < 4 * spread


@pytest.mark.parametrize(
    "arguments", [{"bias": "odd"}, {"assignment": "odd"}, {"rows": 0}, {"dimensions": 2}]
)
def test_generator_refuses(arguments):
    with pytest.raises(InputError):
        synthetic_gains(KEY, **arguments)


def test_sources_refuse_a_share():
    with pytest.raises(InputError, match="gold_share"):
        draw_sources(jnp.zeros(3), gold_share=0.9, key=KEY)
