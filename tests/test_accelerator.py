"""The benchmark of accelerators runs where only jax, flax, optax, orbax and NumPy are."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import accelerator, parity

SCRIPT = """
import sys
ABSENT = {"datasets", "wordllama", "matplotlib", "pandas", "pyarrow", "cyclopts", "sklearn"}

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ABSENT:
            raise ImportError(f"{name} is not installed")

sys.meta_path.insert(0, Absent())
from benchmarks import accelerator
accelerator.main()
"""


@pytest.mark.slow
def test_it_runs_without_what_reads_files_and_writes_as_it_goes(tmp_path):
    arguments = ["--minutes", "0.1", "--parts", "checks", "roofline", "meta_router", "latency"]
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments, "--out", str(tmp_path)],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "failed checks: none" in ran.stdout
    found = json.loads((tmp_path / "accelerator.json").read_text())["parts"]
    assert found["checks"] and all(each["passed"] for each in found["checks"].values())
    assert found["meta_router"]["compiling"] > 0
    assert found["latency"]["queries_per_second"] > 0


def test_a_count_that_takes_too_long_ends_no_run():
    """16 are skipped, and 64 are then judged by the 4 that were measured."""
    known = {"1": {"seconds": 1.0}, "4": {"seconds": 2.0}}
    assert not accelerator._too_long({}, 64, 0.1)
    assert accelerator._too_long(known, 64, 31.9) and not accelerator._too_long(known, 64, 32.1)


def test_what_was_not_reached_is_named(monkeypatch):
    monkeypatch.setattr(accelerator, "RUNS", (1, 4))
    every = accelerator.not_reached({})
    assert set(every) == set(accelerator.PARTS)
    assert "meta-router" in every["checks"] and "resumed training" in every["checks"]
    parts = {
        "runs": {"epochs": 2, "map": {"1": {}, "4": {}}, "vmap": {"1": {}}},
        "roofline": dict.fromkeys(accelerator.PRECISIONS),
        "meta_router": {"runs": 40},
        "latency": {"p50_milliseconds": 0.1},
    }
    found = accelerator.not_reached(parts)
    assert found["runs"] == ["vmap 4"] and found["meta_router"] == ["200 runs"]
    assert "roofline" not in found and "latency" not in found
    parts["meta_router"]["runs"] = 200
    assert "meta_router" not in accelerator.not_reached(parts)


def test_labels_of_the_sweep_are_of_three_estimators(monkeypatch):
    monkeypatch.setitem(accelerator.SWEEP, "rows", 200)
    monkeypatch.setitem(accelerator.SWEEP, "dimensions", 8)
    direct, ips, dr = accelerator._estimated(0)
    targets = [np.asarray(own.target.quality) for own in (direct, ips, dr)]
    assert len(np.unique(targets[0][:, 0])) == 1 and (targets[1] == 0).mean() > 0.8
    assert not np.allclose(targets[1], targets[2])
    np.testing.assert_array_equal(direct.x, dr.x)


@pytest.mark.parametrize("name", ["default fit", "meta-router", "surrogate mrdr"])
def test_checks_of_whole_fits_agree_with_themselves(name):
    found = parity.compared(parity.checks()[name])
    assert found["passed"] and found["apart"] < 1e-6
