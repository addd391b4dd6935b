"""The benchmark of accelerators runs where only jax, flax, optax, orbax and NumPy are."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

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
