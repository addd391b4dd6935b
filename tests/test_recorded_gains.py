"""Committed results of the Meta-Router study: in step, and made of a run's records by hand."""

import json

import numpy as np

from experiments.expected import without_folders
from experiments.meta_router import bias_error, recorded
from experiments.meta_router.config import PRESETS, check
from experiments.meta_router.figure import published_curves


def test_the_committed_files_are_in_step():
    assert recorded.main(["--check"]) == 0


def test_presets_of_the_paper():
    paper, prbench = (check(PRESETS[name]) for name in ("paper", "prbench"))
    assert (paper.gold_rows, prbench.gold_rows) == ((100, 500, 1000), (50, 100, 150))
    for each in (paper, prbench):
        assert (each.runs, each.components, each.test_rows) == (200, 50, 500)
        assert (each.nuisance, each.scale) == ("forest", "variance")
    assert check(PRESETS["paper-boosted"]).nuisance == "boosted"
    assert check(PRESETS["paper-100"]).components == 100


def test_published_areas_and_peaks():
    """As read off the figure at every ratio; the thinned curves agree to the reading error."""
    found = published_curves()
    areas = {name: curve["area"] for name, curve in found.curves.items()}
    assert areas == {
        "dr_learner": 0.506,
        "r_learner": 0.493,
        "gold_only": 0.246,
        "pooled": 0.363,
        "all_gold": 0.769,
        "preference_only": 0.354,
    }
    for curve in found.curves.values():
        area = np.trapezoid(curve["efficiency"], found.ratio)
        assert abs(area - curve["area"]) < 0.01 and max(curve["efficiency"]) <= curve["peak"]


def test_a_run_condensed_by_hand(tmp_path):
    setting = {"data": "labels", "gold_rows": 100}
    records = [{"kind": "provenance", "config": {"labels": "/some/where/labels.csv"}}]
    for method, areas in {"pooled": (0.1, 0.3), "gold_only": (0.2, 0.2)}.items():
        curve = {"ratio": [0.2, 0.8], "mean": [0.5, 0.25]}
        records.append({"kind": "curve", **setting, "method": method, **curve})
        for run, area in enumerate(areas):
            one = {"method": method, "run": run, "area": area, "omega": None}
            records.append({"kind": "run", **setting, **one})
    (tmp_path / "results.jsonl").write_text("\n".join(map(json.dumps, records)) + "\n")
    run = recorded.condensed(tmp_path)
    assert run["provenance"]["config"] == {"labels": "labels.csv"}
    own = run["settings"][0]["methods"]["pooled"]
    assert own == {"areas": [0.1, 0.3], "peak": 0.5, "at": 0.2, "omega": None}
    text = recorded.table(run)
    assert "0.2000 ± 0.1000" in text and "+0.0000 ± 0.1000" in text
    line = {"recorded": "other", "method": "pooled", "score": "area"}
    ours = recorded.ours_of(line, {"other": run})
    assert ours is not None and ours.value == 0.2 and not ours.same


def test_files_lose_their_folders():
    assert without_folders({"table": "a/b.csv", "data": None}) == {"table": "b.csv", "data": None}


def test_errors_over_the_recipes_are_paired():
    draws = [
        {"bias": "flips", "seed": seed, "way": way, "error": error}
        for way, errors in {"1 deal": (0.2, 0.4), bias_error.RECIPE: (0.1, 0.2)}.items()
        for seed, error in enumerate(errors)
    ]
    lines = bias_error.table({"draws": draws}).splitlines()
    assert "0.3000 ± 0.1000" in lines[2] and "2.000 ± 0.000" in lines[2]
