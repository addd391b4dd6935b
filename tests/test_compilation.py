"""What is compiled: few programs, the same for another number of rows, in full precision."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import jaxprs_in_params

import routerjax as rj
from routerjax.estimators.components import fit_components
from routerjax.estimators.elimination import Arms, Sizes
from routerjax.estimators.folds import shuffled
from routerjax.estimators.hierarchical import coefficients, value_and_slope
from routerjax.estimators.moments import Moments
from routerjax.estimators.ridge import choose_landmarks, fit_logistic, fit_ridge
from routerjax.models.pooled import PooledHead
from routerjax.support.compilation import (
    full_precision,
    padded,
    padded_size,
    quickly_compiled,
    seeded_key,
)

COMPILED = "/jax/core/compile/backend_compile_duration"


@pytest.fixture
def compiled():
    """Names of the programs compiled while the test runs."""
    found = []

    def note(event, duration, **given):
        if event == COMPILED:
            found.append(given.get("fun_name", event))

    jax.monitoring.register_event_duration_secs_listener(note)
    yield found
    jax.monitoring.unregister_event_duration_listener(note)


def _log(rows, seed=0):
    rng = np.random.default_rng(seed)
    x, arms = rng.normal(size=(rows, 12)).astype(np.float32), rng.integers(0, 3, rows)
    return rj.Log(
        models=("a", "b", "c"),
        arms=arms,
        quality=rng.random(rows),
        cost=0.001 * (1 + arms),
        embeddings=x,
    )


def _own(names):
    """Without moves of arrays to a device, which are no programs."""
    return [name for name in names if "stage" not in str(name)]


@pytest.mark.parametrize("seed", [0, 7, 2**31 - 1, 2**31, 2**32 - 1])
def test_the_key_of_a_seed_is_that_of_jax(seed):
    own, theirs = (jax.random.key_data(key) for key in (seeded_key(seed), jax.random.key(seed)))
    np.testing.assert_array_equal(own, theirs)


def test_a_fit_compiles_few_programs_and_another_number_of_rows_none(compiled):
    rj.fit(_log(260))
    assert len(_own(compiled)) <= 25
    compiled.clear()
    second = rj.fit(_log(450, seed=1))
    assert _own(compiled) == []
    second.route(np.zeros((3, 12), np.float32), cost_weight=1.0)
    compiled.clear()
    second.route(np.zeros((9, 12), np.float32), cost_weight=2.0)
    assert _own(compiled) == []


def test_sizes_and_fillings():
    sizes = {0: 512, 512: 512, 513: 2048, 2048: 2048, 2049: 8192, 8193: 16384, 16385: 32768}
    assert {rows: padded_size(rows) for rows in sizes} == sizes
    np.testing.assert_array_equal(padded(np.array([[1], [2]]), 4, fill=-1), [[1], [2], [-1], [-1]])


@pytest.mark.parametrize("count", [1, 2, 100, 1000, 1700, 5000])
def test_a_shuffle_is_that_of_jax(count):
    key = jax.random.key(count)
    np.testing.assert_array_equal(shuffled(key, count), jax.random.permutation(key, count))


def test_a_quickly_compiled_function_is_the_function():
    def power(x, *, n):
        return x**n

    quick = quickly_compiled(power, static=("n",))
    assert quick.__name__ == "power"
    np.testing.assert_allclose(quick(jnp.arange(4.0), n=3), [0, 1, 8, 27])


def _products(function, *arguments):
    """Precisions of all matrix products of a function, in whatever it calls."""

    def found(jaxpr):
        for equation in jaxpr.eqns:
            if equation.primitive.name == "dot_general":
                yield equation.params["precision"]
            for inner in jaxprs_in_params(equation.params):
                yield from found(inner)

    return list(found(jax.make_jaxpr(function)(*arguments).jaxpr))


X, ONES = jnp.ones((6, 4)), jnp.ones(6)
MOMENTS = Moments(jnp.ones((2, 4, 4)), jnp.ones((2, 4)), jnp.ones(2), jnp.ones(2))
ARMS = Arms(jnp.ones(2), jnp.zeros(2))
LANDMARKS = {"landmarks": 3, "bandwidth": 1.0, "key": jax.random.key(0)}
HEAD = PooledHead(models=2, components=1, landmarks=2)


@pytest.mark.parametrize(
    "function",
    [
        lambda: fit_ridge(X, ONES, ONES)(X),
        lambda: fit_logistic(X, ONES, ONES)(X),
        lambda: choose_landmarks(X, ONES, **LANDMARKS)(X),
        lambda: fit_components(X, ONES, components=2)(X),
        lambda: full_precision(coefficients)(jnp.zeros(10), MOMENTS, ARMS, Sizes(1, 2)),
        lambda: full_precision(value_and_slope)(jnp.zeros(10), MOMENTS, ARMS, Sizes(1, 2)),
        lambda: HEAD.init_with_output(jax.random.key(0), X)[0],
    ],
    ids=["ridge", "logistic", "kernel", "components", "coefficients", "slope", "pooled head"],
)
def test_closed_forms_multiply_in_full_precision(function):
    found = _products(function)
    highest = (jax.lax.Precision.HIGHEST, jax.lax.Precision.HIGHEST)
    assert found and all(precision == highest for precision in found)


@pytest.mark.slow
def test_a_fit_from_python_keeps_what_it_compiled(tmp_path):
    """In a process of its own: a cache is chosen once a process."""
    script = (
        "import numpy as np, routerjax as rj, jax\n"
        "if chosen: jax.config.update('jax_compilation_cache_dir', chosen)\n"
        "arms = np.arange(60) % 2\n"
        "rng = np.random.default_rng(0)\n"
        "rj.fit(rj.Log.from_arrays(arms, rng.random(60), 0.01 * (1 + arms), models='ab',\n"
        "    embeddings=rng.normal(size=(60, 4)).astype(np.float32)))\n"
        "print(jax.config.jax_compilation_cache_dir)\n"
    )
    for name, chosen in (("own", ""), ("theirs", str(tmp_path / "theirs"))):
        environment = {**os.environ, "ROUTERJAX_CACHE": str(tmp_path / name)}
        environment = {own: v for own, v in environment.items() if not own.startswith("JAX_")}
        ran = subprocess.run(
            [sys.executable, "-c", f"chosen = {chosen!r}\n{script}"],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        folder = chosen or str(tmp_path / "own" / "compiled")
        assert ran.stdout.strip() == folder
        assert chosen or any(Path(folder).iterdir())  # JAX's own setting leaves out short ones
