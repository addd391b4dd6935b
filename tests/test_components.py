"""Principal components of embeddings: how they are found, and a router that is learnt from them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import routerjax as rj
from routerjax.cli.commands import main
from routerjax.errors import InputError
from routerjax.estimators.components import leading_components
from routerjax.models.heads import Scaling
from routerjax.records.logs import Log
from routerjax.records.on_disk import Stored
from routerjax.training.config import FitConfig, NuisanceConfig

X = np.random.default_rng(0).normal(size=(90, 5)) @ np.diag([5.0, 3.0, 1.0, 0.5, 0.1]) + 2.0
CONFIG = FitConfig(
    cost_weights=(0.0,),
    components=3,
    nuisance=NuisanceConfig(folds=2, components=4, landmarks=4),
)


def test_leading_components_are_those_of_the_singular_values():
    centre, directions, variance = leading_components(X, 2)
    away = X - X.mean(axis=0)
    _, sizes, rows = np.linalg.svd(away, full_matrices=False)
    np.testing.assert_allclose(centre, X.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(np.abs(directions.T), np.abs(rows[:2]), atol=1e-6)
    np.testing.assert_allclose(variance, (sizes[:2] ** 2).mean() / len(X), rtol=1e-6)
    largest = np.abs(directions).argmax(axis=0)
    assert (directions[largest, [0, 1]] > 0).all()
    for count in (0, 6):
        with pytest.raises(InputError, match=f"components is {count}, but the embeddings have 5"):
            leading_components(X, count)


def test_scaled_components_have_mean_square_one_in_memory_or_not(tmp_path):
    x = X.astype(np.float32)
    scaling = Scaling.of(x, components=2)
    found = np.asarray(scaling(x))
    assert found.shape == (90, 2)
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose((found**2).mean(), 1, rtol=1e-5)
    np.save(tmp_path / "x.npy", x)
    on_disk = Stored(np.load(tmp_path / "x.npy", mmap_mode="r"))
    np.testing.assert_array_equal(Scaling.of(on_disk, components=2)(on_disk), found)
    plain = Scaling.of(x, components=0)
    assert plain.directions is None and plain(x).shape == (90, 5)


def drawn(n: int = 120) -> Log:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(n, 6)).astype(np.float32) * np.array([9, 3, 2, 1, 1, 0.1], np.float32)
    arms = np.arange(n) % 2
    quality = np.clip(0.5 + 0.05 * x[:, 0] * (2 * arms - 1), 0, 1)
    split = ["test" if i % 3 == 0 else "train" for i in range(n)]
    return Log.from_arrays(arms, quality, np.full(n, 0.001), models="ab", embeddings=x, split=split)


@pytest.mark.slow
def test_a_router_of_components_keeps_those_of_its_training_rows(tmp_path):
    log = drawn()
    router = rj.fit(log, config=CONFIG)
    rows = np.array([name == "train" for name in log.split])
    expected = Scaling.of(log.features[rows], components=3)
    np.testing.assert_array_equal(router.arrays.scaling.directions, expected.directions)
    assert "6-wide embeddings, 3 principal components" in repr(router)
    router.save(tmp_path / "router")
    loaded = rj.load(tmp_path / "router")
    asked = router.route(log.features, cost_weight=0.0)
    again = loaded.route(log.features, cost_weight=0.0)
    np.testing.assert_array_equal(asked.probabilities, again.probabilities)
    # what lies outside the components is not seen
    directions = np.asarray(expected.directions, np.float64)
    seen = (log.features - expected.centre) @ directions @ directions.T + expected.centre
    moved = loaded.route(seen.astype(np.float32), cost_weight=0.0)
    np.testing.assert_allclose(moved.quality, asked.quality, atol=1e-4)


@pytest.mark.parametrize(
    "components, problem",
    [
        (7, "components is 7, but the embeddings have 6 columns"),
        (-1, "components is -1; it must be"),
    ],
)
def test_components_that_cannot_be(components, problem):
    with pytest.raises(InputError, match=problem):
        rj.fit(drawn(), config=dataclasses.replace(CONFIG, components=components))


def test_the_command_line_takes_components(tmp_path, capsys):
    rj.write_log(drawn().replace(split=None), tmp_path / "log.parquet")
    asked = ["fit", str(tmp_path / "log.parquet"), "--out", str(tmp_path / "router")]
    assert main([*asked, "--components", "9", "--quiet"]) == 2
    said = capsys.readouterr().err
    assert said == "routerjax: components is 9, but the embeddings have 6 columns\n"
    assert not (tmp_path / "router").exists()
