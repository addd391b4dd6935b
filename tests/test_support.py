"""Propensities: trees that find a rule, where a log supports a choice, and what is refused."""

from __future__ import annotations

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from routerjax.errors import DataWarning, InputError
from routerjax.estimators.boosting import Told, TreeRows, _kept, grow
from routerjax.estimators.calibration import calibration, likelihood_gain
from routerjax.estimators.overlap import overlap
from routerjax.estimators.support import (
    PRIOR_HITS_EXPLORED,
    explored,
    support_level,
    support_threshold,
)
from routerjax.estimators.trees import Trees, log_odds
from routerjax.models.heads import Scaling
from routerjax.models.propensity import (
    PropensityModel,
    propensities_by_fold,
    supported,
    with_support,
    without_unused_trees,
)
from routerjax.pipelines.nuisance import propensities_of
from routerjax.pipelines.overlap import check_propensities
from routerjax.records.logs import Log

# --- trees ---


def test_a_tree_by_hand():
    """Two questions: x₀ > 0 is bit 0, x₁ > 1 is bit 1; a second tree asks x₁ > 0 twice."""
    trees = Trees(
        start=jnp.array([0.5, 0.0]),
        feature=jnp.array([[0, 1], [1, 1]]),
        edge=jnp.array([[0.0, 1.0], [0.0, 0.0]]),
        leaves=jnp.array(
            [[[1.0, 0], [2.0, 0], [3.0, 0], [4.0, 0]], [[0, 10.0], [0, 20.0], [0, 30.0], [0, 40.0]]]
        ),
    )
    x = jnp.array([[-1.0, -1.0], [1.0, 0.5], [1.0, 2.0], [0.0, 1.0]])
    np.testing.assert_allclose(
        log_odds(trees, x), [[1.5, 10], [2.5, 40], [4.5, 40], [1.5, 40]], rtol=1e-6
    )


def one_tree(x, arms, models):
    """The best two questions and the leaves of a first round, by loops in NumPy."""
    share = (np.bincount(arms, minlength=models) + 0.5) / (len(arms) + 0.5 * models)
    slopes = np.eye(models)[arms] - share
    edges = np.quantile(x, (np.arange(32) + 0.5) / 32, axis=0)
    leaf, asked = np.zeros(len(x), int), []
    for level in range(2):
        best = (-1.0, 0, 0.0)
        for column in range(x.shape[1]):
            for edge in edges[:, column]:
                gain = 0.0
                for own in range(2**level):
                    for side in (x[:, column] > edge, x[:, column] <= edge):
                        inside = side & (leaf == own)
                        gain += (slopes[inside].sum(axis=0) ** 2).sum() / (inside.sum() + 1)
                if gain > best[0] + 1e-4:
                    best = (gain, column, edge)
        asked.append(best[1:])
        leaf = leaf + 2**level * (x[:, best[1]] > best[2])
    leaves = np.zeros((4, models))
    for own in range(4):
        inside = leaf == own
        curvature = inside.sum() * share * (1 - share) + 1
        leaves[own] = 0.25 * slopes[inside].sum(axis=0) / curvature
    return share, asked, leaves


def grown(*rows, **settings):
    """The trees of one fold."""
    return jax.tree.map(lambda leaf: leaf[0], grow([TreeRows(*rows)], **settings))


def test_the_first_tree_against_loops():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(150, 3)).astype(np.float32)
    arms = np.where(x[:, 1] > 0.4, 0, rng.integers(0, 3, 150))
    got = grown(x, arms, x, arms, models=3, rounds=1)
    share, asked, leaves = one_tree(x, arms, 3)
    np.testing.assert_allclose(got.start, np.log(share), rtol=1e-5)
    assert sorted(np.asarray(got.feature[0]).tolist()) == sorted(column for column, _ in asked)
    found = np.asarray(log_odds(got, jnp.asarray(x))) - np.log(share)
    index = sum(2**level * (x[:, column] > edge) for level, (column, edge) in enumerate(asked))
    np.testing.assert_allclose(found, leaves[index], atol=1e-5)


def test_rows_that_are_none_change_nothing():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(80, 4)).astype(np.float32)
    arms = (x[:, 0] > 0).astype(np.int32)
    plain = grown(x, arms, x, arms, models=2, rounds=3)
    more = np.concatenate([arms, np.full(20, -1)])
    padded = np.concatenate([x, x[:20]])
    for others in ((x, arms, padded, more), (padded, more, x, arms)):
        got = grown(*others, models=2, rounds=3)
        for one, other in zip(plain, got, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)


def test_a_fold_whose_rows_a_user_all_pinned_has_no_trees():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(80, 4)).astype(np.float32)
    nobody = np.full(80, -1)
    got = grown(x, nobody, x, nobody, models=3, rounds=3)
    np.testing.assert_allclose(got.start, np.log(1 / 3), rtol=1e-6)
    assert not np.asarray(got.leaves).any()


def test_what_held_out_rows_do_not_confirm_is_not_kept():
    rng = np.random.default_rng(2)
    x, arms = rng.normal(size=(300, 5)).astype(np.float32), rng.integers(0, 3, 300)
    new, others = rng.normal(size=(300, 5)).astype(np.float32), rng.integers(0, 3, 300)
    noise = grown(x, arms, new, others, models=3)
    assert not np.asarray(noise.leaves).any()
    rule, new_rule = (np.where(each[:, 2] > 0, arms, 0) for each in (x, new))
    found = grown(x, rule, new, new_rule, models=3)
    chance = jax.nn.softmax(log_odds(found, jnp.asarray(new)))
    assert np.asarray(chance[new[:, 2] < -0.2, 0]).min() > 0.9


def test_rows_of_a_group_confirm_once():
    """Held-out rows of noise, each twenty times: as groups they keep what single rows keep."""
    kept = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        x, new = (rng.normal(size=(200, 5)).astype(np.float32) for _ in range(2))
        arms, others = (rng.integers(0, 3, 200) for _ in range(2))
        again = TreeRows(x, arms, new.repeat(20, axis=0), others.repeat(20))
        rows = [again, again._replace(held_out_groups=np.arange(200).repeat(20))]
        rows.append(TreeRows(x, arms, new, others))
        kept.append([np.asarray(grow([own], models=3).leaves).any() for own in rows])
    alone, grouped, single = np.array(kept).T
    assert (grouped == single).all() and alone.sum() > single.sum()


# --- support ---


def test_a_threshold_by_hand():
    """Of ten rows of estimates up to 0.3 none was hit; above, half are. m = 2, level 0.05·½ …"""
    estimated = np.concatenate([np.linspace(0.1, 0.3, 10), np.linspace(0.4, 0.6, 10)])
    hits = np.array([0.0] * 10 + [1.0, 0.0] * 5)
    # (0 + ½)/(10 + 1) = 0.045: below 0.05 there is no support, at a level of 0.04 it may be chance
    assert support_threshold(estimated, hits, level=0.05, models=2) == pytest.approx(0.4)
    assert support_threshold(estimated, hits, level=0.04, models=2) == -np.inf
    assert support_threshold(estimated, hits, level=0.9, models=2) == np.inf
    assert support_threshold(estimated, hits, level=0.0, models=2) == -np.inf


def test_equal_estimates_are_one_step():
    """Hits among rows of one estimate are averaged, in whatever order they come."""
    estimated, hits = np.repeat([0.2, 0.8], 50), np.tile([0.0, 0.0, 0.0, 0.0, 1.0], 20)
    for order in (np.arange(100), np.arange(100)[::-1]):
        assert support_threshold(estimated, hits[order], level=0.1, models=2) == -np.inf


def test_a_level_is_a_share_of_an_even_share_or_what_was_recorded():
    arms = np.array([0] * 50 + [1] * 50)
    np.testing.assert_allclose(support_level(4, support=0.2, arms=arms), 0.05)
    recorded = np.where(arms == 0, 0.01, 0.9)
    recorded[:10] = np.nan
    level = support_level(4, support=0.2, arms=arms, recorded=recorded)
    np.testing.assert_allclose(level, [0.005, 0.05, 0.05, 0.05])  # half of 0.01; 0.45 is above


def test_without_any_supported_arm_the_likeliest_is():
    got = with_support(jnp.array([[0.2, 0.5, 0.3], [0.6, 0.3, 0.1]]), jnp.array([0.5, 0.6, 0.4]))
    assert got.tolist() == [[False, True, False], [True, False, False]]


def rule_log(seed, *, n=1200, models=3):
    """The last arm is never asked where x₀ < 0; elsewhere all alike. The propensities too."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 8)).astype(np.float32)
    others = [1 / (models - 1)] * (models - 1)
    chance = np.where(x[:, :1] > 0, [[1 / models] * models], [[*others, 0.0]])
    arms = (chance.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    cost = np.geomspace(4e-3, 4e-4, models)[arms]
    names = "abcdefghijklmnopqrstuvwxyz"[:models]
    log = Log.from_arrays(arms, rng.random(n) < 0.6, cost, models=names, embeddings=x)
    return log, chance


def found(log, **settings):
    return propensities_of(log, Scaling.of(log.features), key=jax.random.key(0), **settings)


@pytest.mark.parametrize("seed", range(3))
def test_a_model_that_was_never_asked_on_half_of_the_queries(seed):
    log, chance = rule_log(seed)
    got = found(log)
    never = chance[:, 2] == 0
    assert got.supported[never, 2].mean() < 0.08  # what is left lies beside the edge
    assert got.supported[~never, 2].mean() > 0.97
    assert got.supported[:, :2].all()
    fresh, its_chance = rule_log(seed + 100)
    x = Scaling.of(log.features)(fresh.features)
    new = np.asarray(supported(got.model, jnp.asarray(x)))
    assert new[its_chance[:, 2] == 0, 2].mean() < 0.08
    assert new[its_chance[:, 2] > 0, 2].mean() > 0.97


def test_one_of_many_models_that_was_never_asked_on_half_of_the_queries():
    """Fifty answers of twelve hundred are missing: the likelihood of all arms hardly changes."""
    lost = []
    for seed in range(3):
        log, chance = rule_log(seed, models=12)
        got = found(log)
        never = chance[:, -1] == 0
        lost.append(got.supported[never, -1].mean())
        assert got.supported[~never, -1].mean() > 0.9 and got.supported[:, :-1].mean() > 0.99
    assert np.mean(lost) < 0.2 and max(lost) < 0.5


def test_folds_decide_together_and_an_arm_for_itself_how_many_trees_are_kept():
    """Two folds of 50 rows, two rounds, two arms; gains per row of mean ± spread, by hand.

    Of a mean a and a standard deviation s over 100 rows the error is s / 10: all arms' best round
    counts from a = s / 10, an arm's own, of two, from 1.036 errors.
    """

    def told(*means):
        mean = np.asarray(means, np.float64)  # [t, 1 + m], of a standard deviation of 1
        sums, squares = 50 * mean, 50 * (mean**2 + 1)
        return Told(np.stack([sums, sums]), np.stack([squares, squares]), np.array([50, 50]))

    nothing = [-0.1, -0.1, -0.1]
    assert _kept(told(nothing, nothing), 2).tolist() == [0, 0]
    assert _kept(told([0.09, 0, 0], [0.05, 0, 0]), 2).tolist() == [0, 0]
    assert _kept(told([0.11, 0, 0], [0.05, 0, 0]), 2).tolist() == [1, 1]
    assert _kept(told([0.05, 0, 0], [0.11, 0, 0]), 2).tolist() == [2, 2]
    assert _kept(told([0, 0.05, 0], [0, 0.1, 0.105]), 2).tolist() == [0, 2]
    assert _kept(told([0.11, 0, 0.1], [0.05, 0.105, 0.05]), 2).tolist() == [2, 1]


def test_a_uniform_log_has_support_everywhere():
    rng = np.random.default_rng(0)
    for models, n in ((30, 1200),):
        log = Log.from_arrays(
            rng.integers(0, models, n),
            rng.random(n) < 0.5,
            np.full(n, 1e-3),
            models=[f"m{i}" for i in range(models)],
            embeddings=rng.normal(size=(n, 8)).astype(np.float32),
        )
        got = found(log)
        assert got.supported.mean() > 0.995
        assert np.isfinite(got.answered).all() and (got.answered > 0).all()


def test_support_can_be_switched_off():
    log, _ = rule_log(0)
    assert found(log, support=0.0).supported.all()


def test_recorded_propensities_of_every_model_say_where_it_is_supported():
    log, chance = rule_log(1)
    got = found(log.replace(propensities=chance.astype(np.float32)))
    np.testing.assert_array_equal(got.supported, chance > 0)
    np.testing.assert_allclose(got.every, chance, atol=1e-6)


def test_propensities_recorded_in_part_are_estimated_for_the_others():
    log, chance = rule_log(2)
    own = chance[np.arange(1200), log.arms].astype(np.float32)
    own[::3] = np.nan
    got, estimated = found(log.replace(propensities=own)), found(log)
    known = np.isfinite(own)
    np.testing.assert_array_equal(got.answered[known], own[known])
    np.testing.assert_array_equal(got.answered[~known], estimated.answered[~known])
    assert got.recorded == pytest.approx(2 / 3)


def test_a_model_in_a_propensity_model_of_two_folds_is_their_mean():
    trees = Trees(
        start=jnp.log(jnp.array([[0.9, 0.1], [0.5, 0.5]])),
        feature=jnp.zeros((2, 1, 2), jnp.int32),
        edge=jnp.zeros((2, 1, 2)),
        leaves=jnp.zeros((2, 1, 4, 2)),
    )
    model = PropensityModel(trees, jnp.array([0.71, 0.29]))
    assert supported(model, jnp.zeros((1, 3))).tolist() == [[False, True]]  # 0.7 and 0.3


# --- calibration ---


def test_calibration_by_hand():
    """1/π of arm 0 is 2, 0, 4, 0: mean 1.5, and Σ (v − 1.5)² = 0.25 + 2.25 + 6.25 + 2.25 = 11."""
    got = calibration(np.array([0, 1, 0, 1]), np.array([0.5, 0.5, 0.25, 1.0]), models=2)
    np.testing.assert_allclose(got.mean, [1.5, 0.75])
    np.testing.assert_allclose(got.standard_error[0], np.sqrt(11 / 3 / 4))
    assert got.errors_off[0] == pytest.approx(0.5 / np.sqrt(11 / 12))
    # A tenth of the queries has a propensity of ¼ or less, so that ¼ · 4 · ¼ of an answer is due.
    np.testing.assert_allclose(got.due, [0, 0.25])
    assert got.errors_off[1] == 0


def test_a_mean_below_one_counts_what_is_due():
    """Of 1,000 rows arm 1 answered 400 of ½: 0.8, and 100 answers are due, where none is chance
    once in e¹⁰⁰. Of 0.8 where 0.01 is small, two are due: none is chance once in e²."""
    arms = np.repeat([0, 1], [600, 400])
    got = calibration(arms, np.full(1000, 0.5), models=2)
    assert got.due[1] == pytest.approx(100)
    assert got.errors_off[1] == pytest.approx(np.log(0.8) * 0.8 / got.standard_error[1])
    got = got._replace(due=np.array([0.0, 2.0]))
    assert got.errors_off[1] == pytest.approx(-1.1015, abs=1e-3)  # Φ(−1.1015) = e⁻²


@pytest.mark.parametrize(("rows", "random"), [(300, 0.03), (1000, 0.01), (2000, 0.01)])
def test_right_propensities_of_a_sharp_policy_are_not_doubted(rows, random):
    """Few of the answers that were drawn at random may be there, or none of a model."""
    rng, doubted = np.random.default_rng(0), 0
    for _ in range(200):
        chance = np.full((rows, 4), random / 4)
        chance[np.arange(rows), rng.integers(0, 4, rows)] += 1 - random
        arms = (chance.cumsum(axis=1) < rng.random((rows, 1))).sum(axis=1).clip(0, 3)
        own = calibration(arms, chance[np.arange(rows), arms], models=4)
        doubted += (np.abs(own.errors_off) > 3.2).any()
    assert doubted <= 6


def test_a_model_that_is_all_but_certain_may_have_answered_every_row():
    """Of 150 rows with 0.97 none shows another model once in a hundred logs. Their mean of 1.031
    does not scatter, and is off by (1/0.97 − 1)·√n / √(0.03/0.97²) = 2.1 errors of right ones."""
    got = calibration(np.zeros(150, int), np.full(150, 0.97), models=2)
    expected = (1 / 0.97 - 1) * np.sqrt(150) / np.sqrt(0.03 / 0.97**2)
    assert got.errors_off[0] == pytest.approx(expected) == pytest.approx(2.12, abs=0.01)
    half = calibration(np.zeros(150, int), np.full(150, 0.5), models=2)
    assert half.errors_off[0] == pytest.approx(np.sqrt(150) / np.sqrt(2))


def test_one_for_whichever_model_answered_is_no_propensity():
    log, _ = policy_log(4)
    certain = np.eye(3, dtype=np.float32)[log.arms]
    log = log.replace(propensities=certain)
    covered = overlap(log, log.logged_propensities)
    with pytest.raises(InputError, match="are 1 in every row, whichever model answered"):
        check_propensities(log, covered, trust=False)
    there = certain > 0  # on every row but one there was nothing to choose among
    there[0] = True
    check_propensities(log.replace(available=there), covered, trust=False)


def test_propensities_of_one_in_every_row_are_doubted():
    arms = np.random.default_rng(0).integers(0, 4, 300)
    assert (calibration(arms, np.ones(300), models=4).errors_off < -10).all()


def test_calibration_counts_groups_and_rows_where_a_model_could_be_asked():
    arms, chance = np.array([0, 1, 0, 1]), np.array([0.5, 0.5, 0.25, 1.0])
    twice = calibration(
        np.tile(arms, 2), np.tile(chance, 2), models=2, groups=np.tile(np.arange(4), 2)
    )
    once = calibration(arms, chance, models=2)
    np.testing.assert_allclose(twice.mean, once.mean)
    np.testing.assert_allclose(twice.standard_error, once.standard_error)
    available = np.array([[True, True], [True, True], [True, False], [True, False]])
    assert calibration(arms, chance, models=2, available=available).mean[1] == 1.0


def test_likelihood_gain_by_hand():
    """log (0.5 + 0.9)/(2·0.5) = log 1.4 on two of four rows, its error mean·√(4/3)/√4."""
    recorded, estimated = np.full(4, 0.5), np.array([0.5, 0.5, 0.9, 0.9])
    got = likelihood_gain(recorded, estimated)
    assert got.mean == pytest.approx(np.log(1.4) / 2)
    assert got.errors == pytest.approx(np.sqrt(3))
    assert got.total == pytest.approx(2 * np.log(1.4))
    twice = likelihood_gain(np.tile(recorded, 2), np.tile(estimated, 2), groups=np.arange(8) % 4)
    np.testing.assert_allclose(twice, got)


WRONG = {
    "are 1 in every row": lambda own, chance, arms: np.ones_like(own),
    "are 0.1 in every row": lambda own, chance, arms: np.full_like(own, 0.1),
    "do not fit how often": lambda own, chance, arms: chance[np.arange(len(arms)), (arms + 1) % 3],
}


def policy_log(seed, n=1200):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 8)).astype(np.float32)
    logits = 1.5 * x[:, :1] * np.array([[1.0, 0.0, -1.0]])
    chance = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    arms = (chance.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1).clip(0, 2)
    log = Log.from_arrays(arms, rng.random(n) < 0.6, np.full(n, 1e-3), models="abc", embeddings=x)
    return log, chance


@pytest.mark.parametrize("problem", WRONG)
def test_propensities_that_cannot_be_right_are_refused_unless_trusted(problem):
    log, chance = policy_log(3)
    own = chance[np.arange(len(log)), log.arms]
    log = log.replace(propensities=WRONG[problem](own, chance, log.arms).astype(np.float32))
    covered = overlap(log, log.logged_propensities)
    with pytest.raises(InputError, match=f"recorded propensities {problem}.*--trust-propensities"):
        check_propensities(log, covered, trust=False)
    with pytest.warns(DataWarning, match=f"recorded propensities {problem}"):
        check_propensities(log, covered, trust=True)


def test_the_longest_refusal_is_not_cut_off():
    """It names three of eight models, says what usually causes it, and ends with the way out."""
    models = [f"vendor/a-model-with-a-rather-long-name-{at}" for at in range(8)]
    arms = np.arange(1600) % 8
    log = Log.from_arrays(
        arms,
        np.zeros(1600),
        np.full(1600, 1e-3),
        models=models,
        embeddings=np.random.default_rng(0).normal(size=(1600, 3)).astype(np.float32),
        propensities=np.tile(np.float32([0.01, 0.02, 0.01, 0.02]), 400),
        source="a/log/of/ours.parquet",
    )
    with pytest.raises(InputError) as caught:
        check_propensities(log, overlap(log, log.logged_propensities), trust=False)
    said = str(caught.value)
    assert said.count(" for vendor/") == 3 and "(and wrong for 5 more)" in said
    assert "above 1 they are too small" in said and "could not be asked everywhere" in said
    assert said.endswith("(--trust-propensities takes them as they are)")
    problem = said.split("'propensity': ")[1]
    assert "..." not in re.sub(r"vendor/\S+", "", problem), said


def test_propensities_that_may_be_wrong_draw_a_warning_that_names_the_models():
    log, chance = policy_log(4)
    own = chance[np.arange(len(log)), log.arms]
    shuffled = np.random.default_rng(0).permutation(own).astype(np.float32)
    log = log.replace(propensities=shuffled)
    with pytest.warns(DataWarning, match=r"may be wrong: the mean of 1/propensity.* for [abc]"):
        check_propensities(log, overlap(log, shuffled), trust=False)


@pytest.mark.parametrize("seed", range(5))
def test_right_propensities_pass_in_either_form(seed):
    log, chance = policy_log(seed)
    for propensities in (chance[np.arange(len(log)), log.arms], chance):
        own = log.replace(propensities=propensities.astype(np.float32))
        check_propensities(own, overlap(own, own.logged_propensities), trust=False)


def curved_log(seed, n=1200):
    """A policy that looks at |x₀|, so that no share of a model by half-spaces tells of it."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 8)).astype(np.float32)
    odds = np.exp(1.5 * (np.abs(x[:, :1]) - 0.8) * np.array([[1.0, 0.0, -1.0]]))
    chance = odds / odds.sum(axis=1, keepdims=True)
    arms = (chance.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1).clip(0, 2)
    log = Log.from_arrays(arms, rng.random(n) < 0.6, np.full(n, 1e-3), models="abc", embeddings=x)
    return log, chance[np.arange(n), arms]


def checked(log, propensities, *, trust=False):
    log = log.replace(propensities=propensities.astype(np.float32))
    known = found(log)
    covered = overlap(log, known.answered, supported=known.supported)
    check_propensities(log, covered, trust=trust, known=known)


def shares(log):
    return (np.bincount(log.arms) / len(log))[log.arms]


def test_shares_of_a_log_whose_policy_looked_at_the_query_are_refused_unless_trusted():
    log, _ = curved_log(3)  # the mean of 1/share is 1 of every model, by construction
    problem = "are the same for every query of a model: .* may be shares of the whole log"
    with pytest.raises(InputError, match=problem) as caught:
        checked(log, shares(log))
    assert str(caught.value).endswith("(--trust-propensities takes them as they are)")
    assert "..." not in str(caught.value)
    with pytest.warns(DataWarning, match=problem):
        checked(log, shares(log), trust=True)


def test_propensities_of_which_the_query_tells_more_draw_a_warning():
    log, own = curved_log(4)
    half = np.where(np.arange(len(log)) % 2, own, shares(log))
    with pytest.warns(DataWarning, match="may be wrong: what the query tells.* foretells better"):
        checked(log, half)
    some = np.where(np.arange(len(log)) % 4, shares(log) + 1e-4 * (own > 0.4), np.nan)
    with pytest.warns(DataWarning, match="may be wrong: what the query tells.* foretells better"):
        checked(log, some)


@pytest.mark.parametrize("seed", range(3))
def test_right_propensities_are_not_beaten(seed):
    log, own = curved_log(seed)
    checked(log, own)
    few, chance = curved_log(seed, n=200)
    checked(few, chance)
    rng = np.random.default_rng(seed)
    even = log.replace(arms=rng.integers(0, 3, len(log)))
    checked(even, np.full(len(log), 1 / 3))
    checked(even, np.full(len(log), 0.33))  # rounded, and so a hundredth too small everywhere


@pytest.mark.slow
def test_right_propensities_of_many_kinds_are_not_beaten():
    """50 logs: 2 to 12 models, 300 to 5,000 rows, even, soft, sharp, and by what x lacks."""
    for seed in range(50):
        rng = np.random.default_rng([5, seed])
        models, rows = int(rng.choice([2, 3, 5, 12])), int(rng.choice([300, 1000, 5000]))
        x = rng.normal(size=(rows, 16)).astype(np.float32)
        seen = x @ rng.normal(size=(16, models)) / 4
        unseen = rng.normal(size=(rows, models))
        odds = np.exp((0 * seen, seen, 4 * seen, seen + 1.5 * unseen)[seed % 4])
        chance = odds / odds.sum(axis=1, keepdims=True)
        arms = (chance.cumsum(axis=1) < rng.random((rows, 1))).sum(axis=1).clip(0, models - 1)
        if len(np.unique(arms)) < models:
            continue
        log = Log.from_arrays(
            arms,
            np.zeros(rows),
            np.full(rows, 1e-3),
            models=[f"m{at}" for at in range(models)],
            embeddings=x,
            propensities=chance[np.arange(rows), arms].astype(np.float32),
            warn=False,
        )
        by_query = found(log).by_query
        assert likelihood_gain(log.logged_propensities, by_query).errors < 3, seed


def test_a_log_without_recorded_propensities_passes():
    log, _ = policy_log(0)
    covered = dataclasses.replace(overlap(log, np.full(len(log), 0.5)), errors_off=(9.0,) * 3)
    check_propensities(log, covered, trust=False)


@pytest.mark.parametrize(("used", "left"), [(0, 0), (4, 10), (11, 25), (30, 50)])
def test_unused_trees_are_left_out_and_change_nothing(used, left):
    rng = np.random.default_rng(used)
    leaves = rng.normal(size=(2, 50, 4, 3)).astype(np.float32)
    leaves[:, used:] = 0
    trees = Trees(
        start=jnp.zeros((2, 3)),
        feature=jnp.asarray(rng.integers(0, 5, (2, 50, 2))),
        edge=jnp.asarray(rng.normal(size=(2, 50, 2)), jnp.float32),
        leaves=jnp.asarray(leaves),
    )
    model = PropensityModel(trees, jnp.zeros(3))
    lean = without_unused_trees(model)
    assert lean.trees.leaves.shape[1] == left
    x = jnp.asarray(rng.normal(size=(6, 5)), jnp.float32)
    expected = propensities_by_fold(model, x)
    np.testing.assert_allclose(propensities_by_fold(lean, x), expected, atol=1e-6)


@pytest.mark.parametrize(("rare", "level"), [(10, 0.01), (9, 0.05)])
def test_small_propensities_are_support_where_enough_answers_bear_them_out(rare, level):
    """m = 4: even share 0.25, of which 0.2 is 0.05; 10 answers at 0.02 stand for 500 queries.

    They are 1 % of the arm's answers, and a third of its queries: half of 0.02 is support.
    """
    recorded = np.r_[np.full(rare, 0.02), np.full(980, 0.95), np.full(500, 0.5)]
    arms = np.r_[np.zeros(rare + 980, int), np.ones(500, int)]
    found = support_level(4, support=0.2, arms=arms, recorded=recorded)
    np.testing.assert_allclose(found, [level, 0.05, 0.05, 0.05])
    enough = explored(4, support=0.2, arms=arms, recorded=recorded)
    assert enough.tolist() == [rare == 10, False, False, False]


def test_an_arm_that_is_explored_everywhere_is_told_from_one_never_asked_on_half():
    """11 models, 5 % of 10,000 queries shared evenly; the last never where the log knows better."""
    rng = np.random.default_rng(0)
    n, m = 10_000, 11
    chance = np.full((n, m), 0.05 / m)
    chance[np.arange(n), rng.integers(0, m, n)] += 0.95
    chance[: n // 2, -1] = 0.0
    chance /= chance.sum(axis=1, keepdims=True)
    arms = (chance.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1).clip(max=m - 1)
    estimated = np.maximum(chance, 1e-4) * np.exp(0.4 * rng.normal(size=(n, m)))
    recorded = chance[np.arange(n), arms]
    levels = support_level(m, support=0.1, arms=arms, recorded=recorded)
    supported = np.stack(
        [
            estimated[:, arm]
            >= support_threshold(
                estimated[:, arm],
                arms == arm,
                level=levels[arm],
                models=m,
                prior_hits=PRIOR_HITS_EXPLORED,
            )
            for arm in range(m)
        ],
        axis=1,
    )
    assert supported[chance > 0].mean() > 0.95
    assert supported[chance == 0].mean() < 0.05
