"""The generator of embedded labels keeps to its own equations."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from labelled_rows import KEY

from routerjax.data.synthetic.gains import BIASES, draw_sources, synthetic_gains
from routerjax.errors import InputError


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
