"""The embedded table against its own truth: literals by hand, NumPy loops, Monte-Carlo errors."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest

from routerjax.data.synthetic.prompts import FRAMES, SUBJECTS, write_prompts
from routerjax.data.synthetic.table import (
    FEATURES,
    MODELS,
    SYNTHETIC_NOTICE,
    TASK_MEANS,
    TASKS,
    EmbeddedTable,
    embedded_table,
)
from routerjax.errors import InputError


@pytest.fixture(scope="module")
def made() -> EmbeddedTable:
    return embedded_table()


def r_squared(inputs: np.ndarray, targets: np.ndarray, *, train: int) -> np.ndarray:
    """Held-out R² of a ridge regression, one a column of `targets`."""
    inputs = np.column_stack([inputs, np.ones(len(inputs))]).astype(np.float64)
    gram = inputs[:train].T @ inputs[:train]
    penalty = 1e-3 * np.trace(gram) / len(gram) * np.eye(len(gram))
    weights = np.linalg.solve(gram + penalty, inputs[:train].T @ targets[:train])
    residual = targets[train:] - inputs[train:] @ weights
    return 1 - (residual**2).mean(axis=0) / targets[train:].var(axis=0)


def test_shapes_names_and_notice(made):
    assert made.table.quality.shape == made.true_quality.shape == (12_000, 11)
    assert made.true_cost.shape == (12_000, 11) and made.difficulty.shape == (12_000,)
    assert made.table.embeddings.shape == (12_000, 256)
    assert made.table.embeddings.dtype == np.float32
    assert "gpt-4-1106-preview" in made.table.models and made.table.split is None
    assert made.table.source == "embedded synthetic table (seed 0)"
    assert "synthetic" in SYNTHETIC_NOTICE and len(made) == 12_000


def test_same_seed_same_table_and_other_seed_another():
    first, again, other = (embedded_table(seed, queries=200) for seed in (3, 3, 4))
    assert first.table.fingerprint == again.table.fingerprint
    np.testing.assert_array_equal(first.true_cost, again.true_cost)
    np.testing.assert_array_equal(first.difficulty, again.difficulty)
    assert first.table.fingerprint != other.table.fingerprint
    assert set(first.table.prompts) != set(other.table.prompts)
    assert not np.array_equal(first.true_quality, other.true_quality)


def test_streams_are_independent_of_the_embedding_arguments():
    plain = embedded_table(5, queries=50)
    small = embedded_table(5, queries=50, dimensions=FEATURES, noise=2.0)
    np.testing.assert_array_equal(plain.table.quality, small.table.quality)
    np.testing.assert_array_equal(plain.table.cost, small.table.cost)
    assert plain.table.prompts == small.table.prompts
    assert small.table.embeddings.shape == (50, FEATURES)


def test_one_query():
    assert embedded_table(queries=1, dimensions=FEATURES).table.quality.shape == (1, 11)


@pytest.mark.parametrize(
    "arguments",
    [
        {"seed": -1},
        {"queries": 0},
        {"dimensions": FEATURES - 1},
        {"noise": -0.1},
        {"noise": math.nan},
    ],
)
def test_bad_arguments(arguments):
    with pytest.raises(InputError, match=next(iter(arguments))):
        embedded_table(**arguments)


def test_realised_quality_is_unbiased(made):
    truth, quality = made.true_quality, made.table.quality
    graded = np.array(made.table.task) == "mt-bench"
    variance = truth * (1 - truth) / np.where(graded, 10, 1)[:, None]
    error = (quality - truth).mean(axis=0)
    assert np.all(abs(error) < 4 * np.sqrt(variance.sum(axis=0)) / len(made))
    for low in np.arange(0.0, 1.0, 0.1):  # calibrated at every level of the truth
        cells = (truth >= low) & (truth < low + 0.1)
        error = (quality - truth)[cells].sum()
        assert abs(error) < 4 * np.sqrt(variance[cells].sum())


def test_quality_is_binary_but_on_mt_bench(made):
    graded = np.array(made.table.task) == "mt-bench"
    assert set(np.unique(made.table.quality[~graded])) == {0.0, 1.0}
    tenths = np.unique(made.table.quality[graded]).astype(np.float64)
    np.testing.assert_allclose(tenths * 10, np.round(tenths * 10), atol=1e-5)
    assert len(tenths) > 5


def test_task_means_are_near_the_likeness(made):
    task = np.array(made.table.task)
    means = np.array([made.true_quality[task == name].mean(axis=0) for name in TASKS])
    spread = np.array([made.true_quality[task == name].std(axis=0) for name in TASKS])
    counts = np.array([(task == name).sum() for name in TASKS])[:, None]
    assert np.all(abs(means - TASK_MEANS) < 4 * spread / np.sqrt(counts))
    arms = {name: arm for arm, name in enumerate(MODELS)}
    assert means[0, arms["gpt-4-1106-preview"]] == pytest.approx(0.83, abs=0.02)
    assert means[1, arms["claude-v2"]] == pytest.approx(0.42, abs=0.02)
    assert means[2, arms["mistralai/mistral-7b-chat"]] == pytest.approx(0.41, abs=0.02)


def test_mean_cost_by_hand(made):
    row = made.table.task.index("mmlu")
    prompt_tokens = math.ceil(len(made.table.prompts[row]) / 4)
    stretch = math.exp(0.25 * made.difficulty[row])
    gpt4 = made.table.models.index("gpt-4-1106-preview")  # 10 and 30 dollars a million, 1.3 × 90
    expected = 10e-6 * prompt_tokens + 30e-6 * 90 * 1.3 * stretch
    assert made.true_cost[row, gpt4] == pytest.approx(expected, rel=1e-12)
    assert 0.003 < made.true_cost[:, gpt4].mean() < 0.01
    assert 2e-5 < made.true_cost.mean(axis=0).min() < 1e-4


def test_cost_noise_is_unbiased(made):
    assert (made.table.cost > 0).all()
    ratio = made.table.cost / made.true_cost
    assert np.all(abs(ratio.mean(axis=0) - 1) < 4 * ratio.std(axis=0) / np.sqrt(len(made)))
    assert 0.2 < ratio.std() < 0.6


def test_routing_matters(made):
    quality = made.true_quality
    assert 0.05 < quality.max(axis=1).mean() - quality.mean(axis=0).max() < 0.10
    for cost_weight in (20, 50, 100, 200):
        best = np.argmax(quality - cost_weight * made.true_cost, axis=1)
        shares = np.bincount(best, minlength=11) / len(made)
        assert (shares > 0.02).sum() >= 5


@pytest.mark.parametrize(
    "index", [slice(3, 9), np.array([5, 2, 2]), np.arange(12_000) % 4_000 == 1]
)
def test_rows(made, index):
    part, positions = made.rows(index), np.arange(12_000)[index]
    assert len(part) == len(positions)
    for new, old in enumerate(positions):
        np.testing.assert_array_equal(part.table.quality[new], made.table.quality[old])
        np.testing.assert_array_equal(part.true_quality[new], made.true_quality[old])
        np.testing.assert_array_equal(part.true_cost[new], made.true_cost[old])
        assert part.table.prompts[new] == made.table.prompts[old]
        assert part.difficulty[new] == made.difficulty[old]


def test_true_estimates(made):
    utilities = made.true_estimates.utilities(20.0)
    assert utilities[7, 3] == made.true_quality[7, 3] - 20.0 * made.true_cost[7, 3]


def test_noise_sets_what_the_embeddings_hide(made):
    default = r_squared(made.table.embeddings, made.difficulty, train=9_000)
    assert 0.7 < default < 0.9
    noisy = embedded_table(noise=1.5).table.embeddings
    assert r_squared(noisy, made.difficulty, train=9_000) < default - 0.3
    assert (made.table.embeddings**2).sum(axis=1).mean() == pytest.approx(1.0, abs=0.05)


def test_prompts_are_mostly_distinct_and_filled(made):
    prompts = made.table.prompts
    assert len(set(prompts)) > 0.95 * len(prompts)
    assert all(40 < len(prompt) < 1_500 for prompt in prompts)
    assert not any(re.search(r"\{[A-Za-z]", prompt) for prompt in prompts)


def test_word_banks_hold_five_distinct_entries():
    assert set(FRAMES) == set(TASKS) and len(SUBJECTS) == 16
    for subject in SUBJECTS:
        for bank in (subject.people, subject.places, subject.things, subject.deeds):
            assert len(set(bank)) == 5
        assert all(len(set(bank)) == 5 for bank in subject.concepts)


def test_prompts_carry_the_latent_state():
    wordllama = pytest.importorskip("wordllama")
    rng = np.random.default_rng(11)
    n = 4_000
    topics, difficulty = rng.standard_normal((n, 4)), rng.standard_normal(n)
    tasks = rng.choice(list(TASKS), size=n, p=[task.share for task in TASKS.values()])
    prompts = write_prompts(rng, tasks.tolist(), topics, difficulty)
    encoder = wordllama.WordLlama.load(
        cache_dir=Path(wordllama.__file__).parent, disable_download=True
    )
    latents = np.column_stack([difficulty, topics])
    assert np.all(r_squared(encoder.embed(list(prompts)), latents, train=3_000) > 0.3)
