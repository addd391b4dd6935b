"""Elements of an axis computed one after another and side by side: the same numbers."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from routerjax.support import mapping
from routerjax.support.mapping import mapped, room_for

HERE = Path(__file__).parent


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


def test_as_many_side_by_side_as_there_is_room_for(monkeypatch):
    monkeypatch.setattr(mapping, "side_by_side", lambda: True)
    monkeypatch.setattr(mapping, "device_memory", lambda: 80)  # a quarter is 20 bytes
    x, weights = jnp.arange(3.0), jnp.arange(5.0)
    for holds, found in ((4, []), (10, [2]), (20, [5]), (1000, [5])):
        assert loops(x, weights, holds) == found, holds
        np.testing.assert_array_equal(products(x, weights, holds), 5 * np.arange(5))


def test_room_is_a_share_of_the_memory_and_at_least_for_one(monkeypatch):
    monkeypatch.setattr(mapping, "device_memory", lambda: 4000)
    assert [room_for(each) for each in (10, 500, 999, 1001, 10**9)] == [100, 2, 1, 1, 1]
    monkeypatch.setattr(mapping, "device_memory", lambda: None)
    assert room_for(1 << 20) == mapping.UNKNOWN_MEMORY // 4 // (1 << 20)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What the script found: alone, together, and together with little memory."""
    folder = tmp_path_factory.mktemp("found")
    for mode, memory in (("alone", 1 << 30), ("together", 1 << 30), ("together", 1 << 24)):
        out = folder / f"{mode} {memory}.npz"
        command = [sys.executable, str(HERE / "side_by_side.py"), mode, str(memory), str(out)]
        quick = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}  # it compiles more than it computes
        environment = {**os.environ, **quick, "PYTHONPATH": str(HERE.parent)}
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
        assert ran.returncode == 0, ran.stderr
    return {path.stem: dict(np.load(path)) for path in folder.iterdir()}


@pytest.mark.slow
@pytest.mark.parametrize("memory", [1 << 30, 1 << 24])
def test_a_study_and_routers_are_the_same(found, memory):
    alone, together = found[f"alone {1 << 30}"], found[f"together {memory}"]
    assert alone.keys() == together.keys()
    for name, values in alone.items():
        if name.endswith("curves"):  # a query more or less on either side of a share
            assert np.abs(together[name] - values).mean() < 1e-3, name
        else:
            np.testing.assert_allclose(together[name], values, rtol=1e-3, atol=2e-3, err_msg=name)
