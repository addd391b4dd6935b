"""`routerjax fit` and `routerjax fit --overwrite`, killed at random moments."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_no_router_is_lost_to_a_kill_of_a_fit(tmp_path, clean_environment):
    kills = 12  # the script takes any number
    done = subprocess.run(
        [sys.executable, Path(__file__).parent / "killed_fits.py", tmp_path, str(kills), "0"],
        env=clean_environment,
        capture_output=True,
        text=True,
        timeout=3600,
    )
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    assert counts["none"] + counts["old"] + counts["new"] == kills
    assert min(counts.values()) > 0, f"a case that was never met: {counts}"
