"""Elements of an axis computed one after another and side by side: the same numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.meta_router.config import MetaRouterConfig
from experiments.meta_router.data import sources
from experiments.meta_router.run import program
from routerjax.pipelines.meta_router import fit_gains
from routerjax.records.gains import LabelledGains
from routerjax.support import mapping
from routerjax.support.mapping import mapped, room_for


@pytest.fixture
def beside(monkeypatch, request):
    """Elements side by side from now on, as on an accelerator."""

    def switch(memory: int = 1 << 30, *, forget: bool = True) -> None:
        if forget:
            request.addfinalizer(jax.clear_caches)
            jax.clear_caches()
        monkeypatch.setattr(mapping, "side_by_side", lambda: True)
        monkeypatch.setattr(mapping, "device_memory", lambda: memory)

    return switch


def products(x, weights, holds):
    return mapped(lambda weight: (weight * x) @ x, weights, holds=holds)


def loops(x, weights, holds):
    """Lengths of the compiled loops over elements."""
    equations = jax.make_jaxpr(lambda weights: products(x, weights, holds))(weights).eqns
    return [each.params["length"] for each in equations if each.primitive.name == "scan"]


def test_elements_follow_each_other_on_a_cpu():
    x, weights = jnp.arange(3.0), jnp.arange(5.0)
    np.testing.assert_array_equal(products(x, weights, 1), 5 * np.arange(5))
    assert loops(x, weights, 1) == [5]


def test_as_many_side_by_side_as_there_is_room_for(beside):
    x, weights = jnp.arange(3.0), jnp.arange(5.0)
    beside(memory=80, forget=False)  # a quarter is 20 bytes
    for holds, found in ((4, []), (10, [2]), (20, [5]), (1000, [5])):
        assert loops(x, weights, holds) == found, holds
        np.testing.assert_array_equal(products(x, weights, holds), 5 * np.arange(5))


def test_room_is_a_share_of_the_memory_and_at_least_for_one(monkeypatch):
    monkeypatch.setattr(mapping, "device_memory", lambda: 4000)
    assert [room_for(each) for each in (10, 500, 999, 1001, 10**9)] == [100, 2, 1, 1, 1]
    monkeypatch.setattr(mapping, "device_memory", lambda: None)
    assert room_for(1 << 20) == mapping.UNKNOWN_MEMORY // 4 // (1 << 20)


@pytest.fixture(scope="module")
def gains():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 6)).astype(np.float32)
    gold = np.arange(300) % 5 == 0
    label = x[:, 0] + np.where(gold, 0.0, 0.5 + x[:, 1]) + rng.normal(size=300) / 2
    return LabelledGains.from_arrays(x, label, gold, costs=(0.0, 1.0))


@pytest.mark.slow
@pytest.mark.parametrize("nuisance", ["ridge", "kernel-ridge", "heads"])
def test_a_meta_router_is_the_same(gains, nuisance, beside):
    learner = "dr-head" if nuisance == "heads" else "dr"
    options = {"nuisance": nuisance, "learner": learner, "key": jax.random.key(0)}
    alone = fit_gains(gains, **options)
    beside()
    together = fit_gains(gains, **options)
    np.testing.assert_allclose(together.bias, alone.bias, atol=2e-3)
    np.testing.assert_allclose(together.omega, alone.omega, atol=1e-3)
    np.testing.assert_allclose(together.errors, alone.errors, rtol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("memory", [1 << 30, 1 << 24])
def test_a_study_is_the_same(beside, memory):
    config = MetaRouterConfig(
        rows=300, gold_rows=(40, 60), test_rows=60, runs=3, block=3, folds=3, components=5
    )
    (source,) = sources(config)
    alone = program(config, source)(0)
    beside(memory)
    together = program(config, source)(0)
    assert together.keys() == alone.keys()
    for name, values in alone.items():
        if name.endswith("omega"):
            np.testing.assert_allclose(together[name], values, atol=1e-3, err_msg=name)
        elif name.endswith("curves"):  # a query more or less on either side of a share
            assert np.abs(together[name] - values).mean() < 1e-3, name
