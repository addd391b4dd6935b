"""What a log's tasks teach the features of its queries."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import routerjax as rj
from routerjax.estimators.task_logit import fit_task_logit, places_for, told_tasks
from routerjax.exploration.posterior import draws_of, qualities
from routerjax.models.heads import outputs
from routerjax.models.outcomes import tasks_of
from routerjax.models.pooled import PooledFeatures, PooledHead
from routerjax.pipelines.pooled_features import make_features, row_features
from routerjax.records.logs import Log
from routerjax.training.config import FitConfig, NuisanceConfig

NAMES = ("code", "law", "mail", "poem")
HEAD = PooledHead(models=4, components=24, landmarks=64, tasks=8)
CONFIG = FitConfig(cost_weights=(0.0, 1.0), evaluation=0.0)


def clusters(n: int, seed: int, *, width: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """[n] tasks, and embeddings that tell them in part, among other things."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(4, width))
    task = rng.integers(0, 4, n)
    x = centres[task] + rng.normal(size=(n, width))
    return task, x.astype(np.float32)


def log_of(n: int, seed: int, *, told: bool = True) -> Log:
    """Each of four models is best at a task of its own, by .3, and nothing else tells."""
    rng, (task, x) = np.random.default_rng(seed + 100), clusters(n, seed)
    arms = rng.integers(0, 4, n).astype(np.int32)
    quality = (rng.random(n) < 0.4 + 0.3 * (arms == task)).astype(float)
    return Log(
        arms=arms,
        quality=quality,
        cost=np.full(n, 1e-3),
        models=("a", "b", "c", "d"),
        embeddings=x,
        quality_range=(0.0, 1.0),
        task=tuple(NAMES[each] for each in task) if told else None,
    )


def test_two_tasks_on_a_line_by_hand():
    """Of two tasks at −1 and 1 with 50 rows each, slopes ±b: the likelihood's slope, 50 rows a side
    at 1 − σ(2b), balances the prior's, b for each of the two: 100·(1 − σ(2b)) = b."""
    z, task = np.repeat([[-1.0], [1.0]], 50, axis=0), np.repeat([0, 1], 50)
    found = fit_task_logit(z, task, places=2)
    b = found.slopes[0, 1]
    assert found.slopes[0, 0] == pytest.approx(-b)
    assert 100 / (1 + np.exp(2 * b)) == pytest.approx(b, rel=1e-4)
    np.testing.assert_allclose(found.shares, 0.5, atol=1e-6)
    np.testing.assert_allclose(found.start[0], found.start[1], atol=1e-6)


def test_tasks_told_apart_are_the_common_ones():
    task = ["b"] * 30 + ["a"] * 30 + ["c"] * 12 + ["d"] * 9
    assert told_tasks(task, most=32) == ("a", "b", "c")
    assert told_tasks(task, most=2) == ("a", "b")
    assert told_tasks(task, most=1) == told_tasks(["a"] * 50, most=32) == ()
    assert told_tasks(None, most=32) == told_tasks([str(row) for row in range(500)], most=32) == ()
    assert [places_for(count) for count in (0, 2, 8, 9, 32)] == [0, 8, 8, 16, 32]


def test_places_without_a_task_are_features_of_nothing():
    task, x = clusters(300, 1)
    head = PooledHead(models=4, components=6, landmarks=5, tasks=8)
    params = make_features(head, x, np.where(task == 2, -1, task))
    features = np.asarray(outputs(head.of_query, {"params": params}, jnp.asarray(x)))
    told = features[:, -8:]
    assert features.shape == (300, head.width) and np.isfinite(features).all()
    assert (told[:, [2, 4, 5, 6, 7]] == 0).all() and told[:, [0, 1, 3]].std(axis=0).min() > 0.1
    np.testing.assert_allclose(told.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(told.sum(axis=1), 0, atol=1e-5)  # probabilities sum to 1
    assert np.abs(told).max() <= 1
    untold = make_features(head, x)
    nothing = np.asarray(outputs(head.of_query, {"params": untold}, jnp.asarray(x)))[:, -8:]
    assert np.abs(nothing).max() < 1e-7
    plain = PooledFeatures(6, 5)
    without = np.asarray(outputs(plain, {"params": untold}, jnp.asarray(x)))
    np.testing.assert_array_equal(without, features[:, :-8])


def test_the_order_of_rows_is_no_matter():
    task, x = clusters(200, 2)
    head = PooledHead(models=4, components=6, landmarks=5, tasks=8)
    one, other = make_features(head, x, task), make_features(head, x[::-1], task[::-1])
    for name in one:
        np.testing.assert_allclose(one[name], other[name], atol=1e-5, err_msg=name)


def test_a_row_is_told_by_the_tasks_of_other_folds():
    """Whatever the tasks of a fold are said to be, its own features stay; another's do not."""
    task, x = clusters(200, 9)
    of_row = np.arange(200) % 3
    head = PooledHead(models=4, components=6, landmarks=5, tasks=8)

    def told(own):
        rows = row_features(head, x, of_row, own)
        return np.concatenate([features for _, features in rows.blocks()])

    right, wrong = told(task), told(np.where(of_row == 0, (task + 1) % 4, task))
    np.testing.assert_allclose(right[of_row == 0], wrong[of_row == 0], atol=2e-4)
    assert np.abs(right - wrong)[of_row != 0].max() > 0.05
    plain = make_features(head, x, task)
    features = np.asarray(outputs(head.of_query, {"params": plain}, jnp.asarray(x)))
    np.testing.assert_array_equal(right[:, :-8], features[:, :-8])
    sure = [each[np.arange(200), task - 8].mean() for each in (features, right)]
    assert sure[0] > sure[1]  # of its own rows a logit is too sure


def test_a_search_that_begins_nearby_ends_alike():
    task, x = clusters(300, 10)
    near = fit_task_logit(x[:250], task[:250], places=8)
    one, other = (fit_task_logit(x, task, places=8, near=each) for each in (None, near))
    np.testing.assert_allclose(one.probabilities(x), other.probabilities(x), atol=1e-3)


@pytest.fixture(scope="module")
def router():
    return rj.fit(log_of(2000, 3), config=CONFIG)


def test_a_router_learns_from_tasks_and_needs_none(router):
    """The best model of each query's task is worth .7, any one model .475; of four logs of this
    kind the tasks add .015 to .027."""
    task, x = clusters(4000, 4)
    plain = rj.fit(log_of(2000, 3, told=False), config=CONFIG)
    none = rj.fit(
        log_of(2000, 3), config=dataclasses.replace(CONFIG, nuisance=NuisanceConfig(tasks=0))
    )
    worth = [
        float((0.4 + 0.3 * (own.choices(x, cost_weights=[0.0])[0] == task)).mean())
        for own in (router, plain, none)
    ]
    assert router.tasks == 8 and plain.tasks == none.tasks == 0
    assert worth[1] == worth[2]
    assert worth[0] > worth[1] + 0.01 and worth[0] > 0.68


@pytest.mark.parametrize("tasks", [1, -2])
def test_a_number_of_tasks_that_cannot_be_is_refused(tasks):
    nuisance = NuisanceConfig(tasks=tasks)
    with pytest.raises(rj.InputError, match=f"tasks are {tasks}; two or more"):
        rj.fit(log_of(60, 3), config=dataclasses.replace(CONFIG, nuisance=nuisance))


def test_networks_tell_no_tasks_apart():
    nuisance = NuisanceConfig(outcomes="network", tasks=8)
    with pytest.raises(rj.InputError, match="tasks of the outcome models would have no effect"):
        rj.fit(log_of(60, 3), config=dataclasses.replace(CONFIG, nuisance=nuisance))


def test_what_is_saved_chooses_alike(router, tmp_path):
    _, x = clusters(300, 5)
    router.save(tmp_path / "run")
    loaded = rj.load(tmp_path / "run")
    assert loaded.tasks == 8 and tasks_of(loaded.arrays.outcomes) == 8
    np.testing.assert_array_equal(
        loaded.choices(x, cost_weights=[1.0]), router.choices(x, cost_weights=[1.0])
    )


def test_numpy_and_the_compiled_head_expect_the_same(router):
    _, x = clusters(64, 6)
    routes = router.route(x, cost_weight=0.0)
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf)[0], router.arrays.outcomes.quality)
    compiled = outputs(HEAD, params, jnp.asarray(router.arrays.scaling(x)))
    chosen = router.choices(x, cost_weights=[0.0])[0]
    expected = np.clip(np.asarray(compiled), 0, 1)[np.arange(64), chosen]
    np.testing.assert_allclose(routes.quality, expected, atol=1e-5)


def test_draws_from_the_posterior_see_the_tasks(router):
    draws = draws_of(router, log_of(2000, 3), draws=64, seed=0)
    _, x = clusters(20, 7)
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf)[0], router.arrays.outcomes.quality)
    scaled = np.asarray(router.arrays.scaling(x))
    mean = np.asarray(outputs(HEAD, params, jnp.asarray(scaled)))
    for row in range(20):
        own = qualities(draws, scaled[row], quality_range=(0.0, 1.0))
        error = own.std(axis=0) / 64**0.5
        assert (np.abs(own.mean(axis=0) - mean[row]) < 5 * error + 1e-3).all()


def test_draws_of_a_router_that_knew_no_tasks_are_refused(router):
    told = dataclasses.replace(CONFIG, nuisance=NuisanceConfig(tasks=0))
    plain = rj.fit(log_of(400, 3, told=False), config=told)
    other = dataclasses.replace(plain, config=CONFIG)
    with pytest.raises(rj.InputError, match="not fitted on these rows"):
        draws_of(other, log_of(400, 3))
