"""Labelled gains, the router over them, files with both labels, and mixed logs."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from routerjax.data.io.gain_labels import read_labels
from routerjax.data.synthetic.gains import draw_sources, synthetic_gains
from routerjax.errors import InputError
from routerjax.estimators.bias import r_learner
from routerjax.estimators.integrative import CANDIDATES, Candidate
from routerjax.estimators.ridge import fit_ridge
from routerjax.models.gain_router import decide
from routerjax.pipelines.judge_bias import arm_features
from routerjax.pipelines.judge_scores import correct_log
from routerjax.pipelines.meta_router import fit_gains
from routerjax.records.gains import LabelledGains
from routerjax.records.groups import group_numbers
from routerjax.records.logs import Log

KEY = jax.random.key(0)
read_both = functools.partial(read_labels, both=True)


def arrays(n=6, d=2):
    rng = np.random.default_rng(0)
    gold = np.arange(n) % 2 == 0
    return rng.normal(size=(n, d)), rng.normal(size=n), gold


# ------------------------------------------------------------------ the record


def test_a_pair_becomes_one_column():
    x, y, gold = arrays()
    gains = LabelledGains.from_arrays(x, y, gold, costs=[0.001, 0.02])
    assert gains.label.shape == (6, 1) and len(gains) == 6
    assert gains.models == ("alternative", "primary")
    np.testing.assert_array_equal(gains.groups, np.arange(6))


def test_it_is_a_pytree_with_static_names():
    x, y, gold = arrays()
    gains = LabelledGains.from_arrays(x, y, gold, costs=[0.001, 0.02])
    doubled = jax.tree.map(lambda leaf: leaf * 2, gains)
    assert doubled.models == gains.models
    np.testing.assert_array_equal(doubled.label, 2 * gains.label)


def test_groups_are_numbered_in_order():
    assert group_numbers(["b", "a", "b", "c"]).tolist() == [0, 1, 0, 2]
    assert group_numbers(np.array([7, 7, 3])).tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"embeddings": np.zeros((5, 2))}, "holds 5 rows where the labels have 6"),
        ({"embeddings": np.zeros(6)}, "must be a matrix"),
        ({"embeddings": np.full((6, 2), np.nan)}, "column 'embeddings', row 0: not a finite"),
        ({"label": np.r_[np.zeros(5), np.inf]}, "column 'label', row 5: gain is not a finite"),
        ({"label": np.r_[np.zeros(5), np.nan]}, "column 'label', row 5: the row has no label"),
        ({"gold": np.zeros(6, bool)}, "no row has a gold label"),
        ({"gold": np.ones(6, bool)}, "every row has a gold label"),
        ({"gold": np.zeros((6, 2), bool)}, "one True or False a row"),
        ({"costs": [0.1]}, "2 names and 1 costs"),
        ({"costs": [0.1, -1.0]}, "cost must be 0 or more"),
        ({"models": ("a", "b", "c")}, "3 names and 2 costs"),
        ({"propensity": np.r_[np.full(5, 0.5), 1.0]}, "column 'propensity', row 5"),
        ({"groups": [1, 2]}, "holds 2 rows"),
    ],
)
def test_bad_gains_are_refused(changes, message):
    x, y, gold = arrays()
    given = {"embeddings": x, "label": y, "gold": gold, "costs": [0.1, 0.2], **changes}
    first = [given.pop(name) for name in ("embeddings", "label", "gold")]
    with pytest.raises(InputError, match=message):
        LabelledGains.from_arrays(*first, **given)


# ------------------------------------------------------------------ decisions


def test_decision_against_a_loop():
    rng = np.random.default_rng(1)
    gains, costs = rng.normal(size=(50, 3)), np.array([0.01, 0.2, 0.05, 0.0])
    for weight in (0.0, 3.0, 100.0):
        chosen = np.asarray(decide(jnp.asarray(gains), jnp.asarray(costs), weight))
        for row, model in zip(gains, chosen, strict=True):
            nets = [0.0] + [row[m] - weight * (costs[m + 1] - costs[0]) for m in range(3)]
            assert model == nets.index(max(nets))


@functools.cache
def labelled(n=600, arms=1):
    """Gains with a bias that flips the ranking, and their data per arm."""
    made = [synthetic_gains(key, rows=n) for key in jax.random.split(KEY, arms)]
    gold, propensity = draw_sources(jnp.zeros(n), gold_share=0.3, key=KEY)
    label = [np.where(gold, each.gold_label, each.preference_label) for each in made]
    gains = LabelledGains.from_arrays(
        np.concatenate([np.asarray(each.embeddings) for each in made], axis=1),
        np.stack(label, axis=1),
        np.asarray(gold),
        costs=np.linspace(0.001, 0.02, arms + 1),
        models=tuple(f"model {m}" for m in range(arms + 1)),
        propensity=np.asarray(propensity),
    )
    return gains, made


@pytest.mark.slow
def test_a_router_learns_through_a_bias_that_flips():
    gains, (made,) = labelled()
    fitted = fit_gains(gains, key=KEY)
    predicted = np.asarray(fitted.router.gains(gains.embeddings))[:, 0]
    assert np.corrcoef(predicted, made.psi)[0, 1] > 0.7
    assert np.corrcoef(fitted.bias[:, 0], made.tau)[0, 1] > 0.7
    assert fitted.overlap.source == "known"
    assert fitted.errors.shape == (1, len(CANDIDATES))
    dear = np.asarray(fitted.router.route(gains.embeddings, 1e6))
    assert (dear == 0).all()
    free = np.asarray(fitted.router.route(gains.embeddings, 0.0))
    np.testing.assert_array_equal(free, predicted > 0)


@pytest.mark.slow
def test_many_models_with_labels_missing_here_and_there():
    gains, made = labelled(arms=2)
    label = np.array(gains.label)
    label[::3, 0] = np.nan
    holes = LabelledGains.from_arrays(
        gains.embeddings, label, gains.gold, costs=gains.costs, models=gains.models
    )
    fitted = fit_gains(holes, key=KEY, learner=r_learner)
    predicted = np.asarray(fitted.router.gains(gains.embeddings))
    for arm in range(2):
        assert np.corrcoef(predicted[:, arm], made[arm].psi)[0, 1] > 0.5
    assert fitted.overlap.source == "estimated"
    routed = np.asarray(fitted.router.route(gains.embeddings, 0.0))
    assert set(np.unique(routed)) == {0, 1, 2}


@pytest.mark.slow
def test_gold_only_router_is_ridge_on_gold():
    gains, _ = labelled()
    fitted = fit_gains(gains, key=KEY, components=None, candidates=(Candidate(0.0),))
    x = fitted.router.components(jnp.asarray(gains.embeddings))
    only = fit_ridge(x, jnp.asarray(gains.label[:, 0]), jnp.asarray(gains.gold, jnp.float32))
    np.testing.assert_allclose(fitted.router.gain.coefficients[0], only.coefficients, atol=1e-4)


# ------------------------------------------------------------------ files


def authors_like(path, rows=40, columns=12):
    rng = np.random.default_rng(2)
    data = {f"embd.PC{c}": rng.normal(size=rows) for c in range(1, columns + 1)}
    data |= {"GL": rng.normal(size=rows), "PL": rng.normal(size=rows)}
    pyarrow.csv.write_csv(pa.table(data), path)
    return data


def test_the_authors_columns_in_numeric_order(tmp_path):
    data = authors_like(tmp_path / "labels.csv")
    pairs = read_both(tmp_path / "labels.csv")
    assert pairs.components and pairs.dropped == 0 and len(pairs) == 40
    np.testing.assert_allclose(pairs.embeddings[:, 1], data["embd.PC2"], rtol=1e-6)
    np.testing.assert_allclose(pairs.embeddings[:, 9], data["embd.PC10"], rtol=1e-6)
    np.testing.assert_allclose(pairs.preference, data["PL"], rtol=1e-6)


def test_rows_without_a_label_are_dropped_with_their_embeddings(tmp_path):
    table = pa.table(
        {
            "prompt": ["a", "b", "a", "c"],
            "gold": [0.0, None, 1.0, 0.5],
            "cheap:x": [0.1, 0.2, float("nan"), 0.4],
        }
    )
    pyarrow.parquet.write_table(table, tmp_path / "labels.parquet")
    np.save(tmp_path / "x.npy", np.arange(8, dtype=np.float16).reshape(4, 2))
    pairs = read_both(
        tmp_path / "labels.parquet",
        gold="gold",
        preference="cheap:x",
        embeddings=tmp_path / "x.npy",
    )
    assert pairs.dropped == 2 and pairs.groups.tolist() == [0, 1]
    np.testing.assert_array_equal(pairs.embeddings, [[0, 1], [6, 7]])
    with pytest.raises(InputError, match="no column 'nope'; its columns are prompt"):
        read_both(tmp_path / "labels.parquet", gold="nope")
    with pytest.raises(InputError, match="no column 'who'; its columns are"):
        read_both(
            tmp_path / "labels.parquet",
            gold="gold",
            preference="cheap:x",
            group="who",
            embeddings=tmp_path / "x.npy",
        )


def test_files_that_hold_too_little(tmp_path):
    pyarrow.csv.write_csv(pa.table({"GL": [1.0, 2.0], "PL": [1.0, 2.0]}), tmp_path / "a.csv")
    with pytest.raises(InputError, match="no features"):
        read_both(tmp_path / "a.csv")
    pyarrow.csv.write_csv(pa.table({"GL": [1.0, 2.0], "PL": ["", "x"]}), tmp_path / "b.csv")
    with pytest.raises(InputError, match="column 'PL'"):
        read_both(tmp_path / "b.csv")


# ------------------------------------------------------------------ mixed logs


def mixed_log(n=1200, seed=0, prompts=False):
    """A log of two models whose judge is 0.2 too kind to model 1, and its gold scores."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 4)).astype(np.float32)
    arms = rng.integers(0, 2, size=n)
    truth = 0.4 + 0.1 * np.tanh(x[:, 0]) * np.where(arms == 1, 1, -1)
    scored = np.clip(truth + 0.05 * rng.normal(size=n), 0, 1)
    gold = rng.uniform(size=n) < 0.2
    quality = np.where(gold, scored, np.clip(scored + 0.2 * arms, 0, 1))
    log = Log.from_arrays(
        arms,
        quality,
        np.full(n, 0.01),
        models=("a", "b"),
        embeddings=x,
        prompts=[str(i // 2) for i in range(n)] if prompts else None,
    )
    return log, gold, scored


@pytest.mark.slow
def test_a_judges_kindness_to_one_model_is_taken_back():
    log, gold, scored = mixed_log()
    corrected = correct_log(log, gold, key=KEY)
    np.testing.assert_array_equal(corrected.log.quality[gold], log.quality[gold])
    for arm in range(2):
        judged = (log.arms == arm) & ~gold
        error = np.mean((corrected.log.quality - scored)[judged])
        assert abs(error) < 0.02
    assert corrected.gold_rows.tolist() == np.bincount(log.arms[gold]).tolist()
    assert corrected.overlap.source == "estimated"
    low, high = corrected.log.quality_range
    assert low <= 0 and high >= 1 and corrected.log.quality.min() >= low


def test_a_prompts_rows_share_a_fold():
    log, gold, _ = mixed_log(prompts=True)
    clean = correct_log(log, gold, key=KEY, propensity=np.full(len(log), 0.2))
    row = int(np.flatnonzero(gold)[0])
    twin = row ^ 1  # the same prompt
    quality = np.array(log.quality)
    quality[row] = 1.0 - quality[row]
    poisoned = correct_log(
        log.replace(quality=quality), gold, key=KEY, propensity=np.full(len(log), 0.2)
    )
    assert clean.bias[twin] == poisoned.bias[twin]
    assert (clean.bias != poisoned.bias).any()


def test_arm_features_by_hand():
    found = arm_features(jnp.array([[2.0, 4.0]]), jnp.array([1]), models=2)
    half = 0.5 * np.sqrt(2)
    expected = [2, 4, -half, half, -1.0, -2.0, 1.0, 2.0]  # x; model; x for each model
    np.testing.assert_allclose(found[0], expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (np.zeros(1200, bool), "no row has a gold score"),
        (np.arange(1200) < 3, "only 3 rows have a gold score"),
        (np.ones(1200, bool), "every row has a gold score"),
        (np.ones(7, bool), "shape"),
    ],
)
def test_logs_that_cannot_be_corrected(flags, message):
    log, _, _ = mixed_log()
    with pytest.raises(InputError, match=message):
        correct_log(log, flags, key=KEY)


def test_a_log_without_embeddings_is_refused():
    log, gold, _ = mixed_log()
    with pytest.raises(InputError, match="no embeddings yet"):
        correct_log(log.replace(embeddings=None), gold, key=KEY)


@pytest.mark.slow
def test_corrected_scores_are_unbiased_over_seeds():
    errors = []
    for seed in range(40):
        log, gold, scored = mixed_log(600, seed=seed)
        corrected = correct_log(log, gold, key=jax.random.key(seed))
        errors.append(np.mean((corrected.log.quality - scored)[~gold]))
    values = np.asarray(errors)
    assert abs(values.mean()) < 4 * values.std(ddof=1) / np.sqrt(len(values))
