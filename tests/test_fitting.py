"""From a log to a router: what must not change the result, and what must stop it."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np
import pytest

import routerjax as rj
from routerjax.errors import DataWarning, InputError
from routerjax.pipelines.fit_log import default_cost_weights
from routerjax.pipelines.lines import evaluation_of
from routerjax.pipelines.prepare import own_splits
from routerjax.support.provenance import plain

QUERIES = np.random.default_rng(1).normal(size=(50, 16)).astype(np.float32)
QUERIES[:, 0] *= 5


def leaves(router: rj.Router) -> list[bytes]:
    """All numbers but the digests of the queries, which are salted by the whole log."""
    arrays = router.arrays._replace(seen=None)
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(arrays)]


def page(router: rj.Router) -> rj.Evaluation:
    return evaluation_of(plain(router.report["evaluation"]))


def with_router(config, **changes):
    return dataclasses.replace(config, router=dataclasses.replace(config.router, **changes))


@pytest.mark.filterwarnings("ignore:.*answered so few rows")
def test_same_seed_same_bits(world, router):
    assert leaves(rj.fit(world.log, config=world.config)) == leaves(router)
    other = rj.fit(world.log, config=dataclasses.replace(world.config, seed=1))
    assert leaves(other) != leaves(router)


def test_it_learns_what_the_first_number_decides(router):
    """Model a is right where it is positive, b where it is not; cost hardly counts at 0."""
    clear = QUERIES[abs(QUERIES[:, 0]) > 2]
    right = np.where(clear[:, 0] > 0, 0, 1)
    assert (router.route(clear, cost_weight=0.0).arms == right).mean() > 0.8
    assert set(router.route(QUERIES, cost_weight=64.0).models) == {"a", "b", "c"}
    assert (router.route(QUERIES, cost_weight=256.0).arms == 2).mean() > 0.6


@pytest.mark.parametrize(
    ("low", "high"),
    [pytest.param(0.0, 8.0, marks=pytest.mark.slow), (0.0, 10.0), (-5.0, 5.0)],
)
def test_quality_in_another_unit_gives_the_same_routes(world, router, low, high):
    """q' = low + s·q with cost weights s·λ: utilities are s times as large, plus a constant."""
    scale = high - low
    log = world.log.replace(quality=low + scale * world.log.quality, quality_range=(low, high))
    config = dataclasses.replace(
        world.config, cost_weights=tuple(scale * w for w in world.config.cost_weights)
    )
    other = rj.fit(log, config=config)
    assert other.cost_weights == (0.0, 64 * scale, 256 * scale)
    assert other.best_single == router.best_single
    for weight in (0.0, 30.0, 64.0, 256.0):
        one = router.route(QUERIES, cost_weight=weight)
        two = other.route(QUERIES, cost_weight=scale * weight)
        assert one.models == two.models
        np.testing.assert_allclose(two.probabilities, one.probabilities, atol=2e-4)
        np.testing.assert_allclose(two.quality, low + scale * one.quality, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(two.cost, one.cost, rtol=1e-4)
        if scale == 8.0:  # a power of two: nothing is rounded
            np.testing.assert_array_equal(two.probabilities, one.probabilities)
    for one, two in zip(page(router).lines, page(other).lines, strict=True):
        assert one.verdict == two.verdict and one.mostly == two.mostly
        for name in ("advantage", "over_today"):
            mean = scale * getattr(one, name).mean
            assert getattr(two, name).mean == pytest.approx(mean, rel=1e-3, abs=1e-4 * scale)


def test_a_model_that_never_answered(world, router):
    log = world.log.replace(models=("a", "b", "c", "never"))
    with pytest.raises(InputError, match="no row was answered by never; .* --drop-unlogged"):
        rj.fit(log, config=world.config)
    dropped = rj.fit(log, config=world.config, drop_unlogged=True)
    assert dropped.models == ("a", "b", "c") and leaves(dropped) == leaves(router)


def test_rows_of_the_test_split_are_left_alone(world, router):
    """A hundred rows of poison in the test split change no bit."""
    log, poison = world.log, np.random.default_rng(2)
    both = rj.Log.from_arrays(
        np.concatenate([log.arms, poison.integers(0, 3, 100)]),
        np.concatenate([log.quality, np.ones(100)]),
        np.concatenate([log.cost, np.full(100, 9.0)]),
        models="abc",
        embeddings=np.concatenate([log.embeddings, 1e6 * poison.normal(size=(100, 16))]),
        split=["train"] * 200 + ["test"] * 100,
    )
    order = poison.permutation(300)
    order = np.concatenate([order[order >= 200], np.arange(200)])  # poison first, the log as it is
    fitted = rj.fit(both.rows(order), config=world.config)
    assert leaves(fitted) == leaves(router)
    assert fitted.report["rows"] == {"log": 160, "held_out": 40, "members": 2}


def test_the_logs_own_validation_split_chooses_the_epoch(world):
    split = ["val"] * 40 + ["train"] * 160
    log = world.log.replace(split=tuple(split))
    train, held_out = own_splits(log, world.config)
    assert train.shape == (2, 160) and held_out.shape == (2, 40)
    assert set(held_out.ravel().tolist()) == set(range(40))


def test_the_report_counts_and_names(router):
    report = router.report
    assert report["overlap"]["models"] == ("a", "b", "c")
    assert sum(report["overlap"]["arm_rows"]) == 160  # 40 of 200 rows are set apart
    assert report["overlap"]["source"] == "estimated" and report["overlap"]["groups"] == 160
    assert report["rows"] == {"log": 160, "held_out": 40, "members": 2}
    found = page(router)
    assert (found.rows, found.groups, found.left_out) == (40, 40, 0)
    lines = {(line.method, line.cost_weight): line for line in found.lines}
    for weight, single in zip((0.0, 64.0, 256.0), router.best_single, strict=True):
        router_line, best, today = (
            lines[method, weight] for method in ("router", "best-single-log", "today")
        )
        assert best.mostly == (single, 1.0) and best.advantage.mean == 0
        difference = router_line.utility.mean - best.utility.mean
        assert router_line.advantage.mean == pytest.approx(difference, abs=1e-6)
        difference = router_line.utility.mean - today.utility.mean
        assert router_line.over_today.mean == pytest.approx(difference, abs=1e-6)
        assert router_line.band[0] <= router_line.over_today.low  # at all cost weights at once
        assert router_line.band[1] >= router_line.over_today.high


def test_cost_weights_are_sorted_and_told_apart(world, router):
    config = dataclasses.replace(world.config, cost_weights=(256, 0.0, 64.0, 64, 0))
    assert leaves(rj.fit(world.log, config=config)) == leaves(router)


@pytest.mark.parametrize(
    ("costs", "quality_range", "expected"),
    [
        # dearest median 2⁻⁷: from 0.02·128 = 2.56 to 5·128 = 640
        ((0.0, 1 / 128), (0.0, 1.0), (0, 5, 10, 20, 50, 100, 200, 500)),
        # two wide: from 5.12 to 1280
        ((0.0, 1 / 128), (0.0, 2.0), (0, 10, 20, 50, 100, 200, 500, 1000)),
        # the dearest median decides, not the dearest model name or row: 0.25, from 0.08 to 20
        ((0.25, 1 / 128), (0.0, 1.0), (0, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20)),
        ((0.0, 0.0), (0.0, 1.0), (0,)),
    ],
)
@pytest.mark.filterwarnings("ignore:.*every cost is 0")
def test_default_cost_weights_by_hand(costs, quality_range, expected):
    log = rj.Log.from_arrays(
        np.array([0, 1, 0, 1]),
        np.full(4, 0.5),
        np.array([costs[0], 0.5 * costs[1], costs[0], 1.5 * costs[1]]),
        models="ab",
        quality_range=quality_range,
    )
    assert default_cost_weights(log) == expected


def test_one_cost_in_a_thousand_moves_no_cost_weight():
    cost = np.where(np.arange(200) % 2, 1 / 128, 1 / 512)
    plain = log_of_costs(cost)
    changed = cost.copy()
    changed[[1, 0]] = 40.0, 25.0  # of either model
    assert default_cost_weights(log_of_costs(changed)) == default_cost_weights(plain)
    hits = np.where(np.arange(200) % 4 == 1, 0.0, cost)  # half of the dearest model's rows
    assert default_cost_weights(log_of_costs(hits)) == default_cost_weights(plain)


def log_of_costs(cost: np.ndarray) -> rj.Log:
    rows = len(cost)
    return rj.Log.from_arrays(np.arange(rows) % 2, np.full(rows, 0.5), cost, models="ab")


def test_a_log_where_nothing_costs_anything(world):
    with pytest.warns(DataWarning, match="every cost is 0"):
        log = rj.Log.from_arrays(
            world.log.arms,
            world.log.quality,
            np.zeros(200),
            models="abc",
            embeddings=world.log.embeddings,
        )
    routes = rj.fit(log, config=world.config).route(QUERIES, cost_weight=64.0)
    assert np.isfinite(routes.probabilities).all() and (routes.cost < 1e-6).all()


def test_recorded_propensities_are_used_as_recorded(world):
    log = world.log.replace(propensities=np.full(200, 0.4, np.float32))
    overlap = rj.fit(log, config=world.config).report["overlap"]
    assert overlap["source"] == "recorded"
    assert overlap["smallest_propensity"] == pytest.approx(0.4)
    # equal weights: every row counts once
    np.testing.assert_allclose(overlap["effective_sample_size"], overlap["arm_rows"])


def test_thin_logs_and_clipped_propensities_draw_warnings(world):
    propensities = np.full(200, 1 / 3, np.float32)
    propensities[world.log.arms == 2] = 0.005
    propensities[np.flatnonzero(world.log.arms == 2)[0]] = 1e-6
    log = world.log.replace(propensities=propensities)
    config = dataclasses.replace(world.config, floor=1e-6)
    with pytest.warns(DataWarning, match=r"c answered so few rows \(effective sample size 1\)"):
        rj.fit(log, config=config)
    config = dataclasses.replace(world.config, floor=0.01)
    with pytest.warns(DataWarning, match="34% of the propensities lie below 0.01 and were clipped"):
        rj.fit(log, config=config)


def test_too_few_rows(world):
    with pytest.raises(InputError, match="49 rows to learn from are too few; at least 50 are nee"):
        rj.fit(world.log.rows(slice(49)), config=world.config)
    log = world.log.replace(split=("test",) * 160 + ("train",) * 40)
    with pytest.raises(InputError, match="40 rows to learn from are too few"):
        rj.fit(log, config=world.config)


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (
            ("train",) * 199 + ("trian",),
            "column 'split', row 199: unknown split 'trian'; known are train, te",
        ),
        (("test",) * 200, "column 'split': every row is in the test split"),
        (("",) * 200, "unknown split ''"),
    ],
)
def test_splits_that_cannot_be(world, split, message):
    with pytest.raises(InputError, match=message):
        rj.fit(world.log.replace(split=split), config=world.config)


def test_neither_prompts_nor_embeddings(world):
    with pytest.raises(InputError, match="neither prompts to encode nor embeddings"):
        rj.fit(world.log.replace(embeddings=None), config=world.config)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"estimator": "snips"}, "no estimator 'snips'; known are direct, ips, dr"),
        ({"floor": 1.0}, "floor is 1; it must be 0 or more and below 1"),
        ({"floor": -0.1}, "floor is -0.1"),
        ({"floor": float("nan")}, "floor is nan"),
        ({"validation": 0.0}, "validation share is 0; it must lie between 0 and 1"),
        ({"validation": 1.0}, "validation share is 1"),
        ({"seed": -1}, "seed is -1; it must lie between 0 and 4294967295"),
        ({"seed": 2**32}, "seed is 4294967296"),
        ({"cost_weights": ()}, "cost weights are none; each must be finite, 0 or more"),
        ({"cost_weights": (0.0, -2.0)}, "cost weights are 0, -2; each must be finite, 0 or more"),
        ({"cost_weights": (float("nan"),)}, "cost weights are nan"),
        ({"cost_weights": (1e39,)}, r"cost weights are 1e\+39"),
    ],
)
def test_settings_out_of_range(world, changes, message):
    with pytest.raises(InputError, match=message):
        rj.fit(world.log, config=dataclasses.replace(world.config, **changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"architecture": "moe"},
            "no architecture 'moe'; known are plug-in, interval, shared, separate",
        ),
        ({"surrogate": "hinge"}, "no surrogate 'hinge'; known are classification_bound, softmax_r"),
        ({"surrogate": "nowhere.py:loss"}, "nowhere.py: no such file, where a surrogate was"),
        ({"learning_rate": 0.0}, "learning rate is 0; it must be finite and above 0"),
        ({"learning_rate": float("nan")}, "learning rate is nan"),
        ({"members": 0}, "members is 0; at least 1 is needed"),
    ],
)
def test_router_settings_that_cannot_be(world, changes, message):
    with pytest.raises(InputError, match=message):
        rj.fit(world.log, config=with_router(world.config, **changes))


@pytest.mark.parametrize("epochs", [0, -3])
def test_no_epochs(world, epochs):
    schedule = dataclasses.replace(world.config.router.schedule, max_epochs=epochs)
    with pytest.raises(InputError, match=f"epochs is {epochs}; at least 1 is needed"):
        rj.fit(world.log, config=with_router(world.config, schedule=schedule))


@pytest.mark.slow
def test_the_other_architecture_and_surrogate_fit(world, router, tmp_path):
    changes = {"architecture": "separate", "surrogate": "classification_bound"}
    other = rj.fit(world.log, config=with_router(world.config, **changes))
    routes = other.route(QUERIES, cost_weight=64.0)
    np.testing.assert_allclose(routes.probabilities.sum(axis=1), 1.0, rtol=1e-5)
    assert leaves(other) != leaves(router) and other.best_single == router.best_single
    other.save(tmp_path / "run")
    assert leaves(rj.Router.load(tmp_path / "run")) == leaves(other)


def test_a_users_own_surrogate(world, router, tmp_path):
    """The library's own loss written by hand gives the library's own bits."""
    path = tmp_path / "mine.py"
    path.write_text(
        "import jax, jax.numpy as jnp\n"
        "def loss(logits, utilities):\n"
        "    regrets = jnp.max(utilities, axis=-1, keepdims=True) - utilities\n"
        "    return jnp.sum(jax.nn.softmax(logits / 1.0, axis=-1) * regrets, axis=-1)\n"
    )
    mine = rj.fit(world.log, config=with_router(world.config, surrogate=f"{path}:loss"))
    for one, two in zip(jax.tree.leaves(mine.arrays), jax.tree.leaves(router.arrays), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)
