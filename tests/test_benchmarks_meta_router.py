"""The Meta-Router benchmark, made small: ours and the plain loop on the same rows."""

import dataclasses
import json

import numpy as np
import pytest

from benchmarks import meta_router
from experiments.meta_router.methods import METHODS
from routerjax.support.provenance import dumps


def test_areas_are_compared_of_methods_that_both_have():
    ours = {"r_learner": np.array([0.3, 0.5]), "shifted": np.array([0.1, 0.1])}
    found = meta_router.less(ours, {"r_learner": np.array([0.25, 0.75]), "other": np.zeros(2)})
    assert list(found) == ["r_learner"]
    np.testing.assert_allclose(found["r_learner"], [0.05, -0.25])


@pytest.mark.slow
def test_a_small_one_runs_whole(monkeypatch):
    pytest.importorskip("sklearn")
    small = dataclasses.replace(meta_router.CONFIG, rows=300, test_rows=60, gold_rows=(40,))
    monkeypatch.setattr(meta_router, "CONFIG", small)
    monkeypatch.setattr(meta_router, "REGRESSIONS", ("ridge",))
    figures = json.loads(dumps(meta_router.measure(2, {"ridge": 2})))  # as they are written
    loop, ridge = (set(figures["areas"][name]) for name in ("loop", "ridge"))
    assert ridge == {name for names in METHODS for name in names}
    assert set(figures["areas_less_loop"]["ridge"]) == loop & ridge >= {"r_learner", "dr_learner"}
    assert meta_router.row(figures).met[0] is False  # two runs are not 200
