"""What the saved router of gains learnt from, and what its decision curve did not."""

from __future__ import annotations

import jax
import numpy as np

from routerjax.data.io.gain_labels import GainLabels
from routerjax.pipelines.fit_gains import fit_labels
from routerjax.pipelines.meta_router import fit_gains
from routerjax.records.gains import LabelledGains
from routerjax.training.config import GainConfig

CONFIG = GainConfig(models=("small", "big"), costs=(0.0, 0.01), cost_weights=(0.0, 20.0, 60.0))


def labels(change=0.0):
    """Eighty queries, gold on every second, `change` added to the held-out ones' gold."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(80, 3)).astype(np.float32)
    gold = np.where(np.arange(80) % 2 == 0, x[:, 0], np.nan).astype(np.float32)
    queries = np.random.default_rng(CONFIG.seed).permutation(np.arange(0, 80, 2))[:8]
    gold[queries] += change * x[queries, 1]
    return GainLabels(
        embeddings=x,
        gold=gold,
        preference=x[:, 0] + x[:, 2] + 1,
        groups=np.arange(80),
        dropped=0,
        encoder=None,
        components=False,
        source="labels",
    )


def test_the_router_learns_from_all_and_its_curve_from_the_others():
    one, other = (fit_labels(labels(change), config=CONFIG) for change in (0.0, 0.5))
    shares, changed = (
        [line["share"] for line in saved.report["decision_curve"]] for saved in (one, other)
    )
    assert shares == changed  # the curve's router never saw what changed
    gains = [line.report["decision_curve"][0]["gain"]["mean"] for line in (one, other)]
    assert gains[0] != gains[1]  # which is what it is judged by
    before, after = (np.asarray(saved.arrays.gain.coefficients)[0] for saved in (one, other))
    assert np.abs(before - after).max() > 0.01  # the router that is saved did see it


def test_rows_of_no_weight_have_no_say():
    rng = np.random.default_rng(6)
    x, label, gold = rng.normal(size=(90, 3)), rng.normal(size=90), np.arange(90) % 3 == 0
    weights = (np.arange(90) < 80).astype(np.float32)
    fitted = []
    for nonsense in (0.0, 100.0):
        poisoned = label + nonsense * (weights == 0)
        # the width of the labels' range bounds the bias: keep it the same
        poisoned[0] = 200.0
        poisoned[1] = -200.0
        gains = LabelledGains.from_arrays(x, poisoned, gold, costs=[0.0, 0.01])
        fitted.append(fit_gains(gains, key=jax.random.key(0), weights=weights).router)
    np.testing.assert_array_equal(*(np.asarray(router.gain.coefficients) for router in fitted))
