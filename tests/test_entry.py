"""The entry of the command line: what it sets before NumPy is imported."""

import os
import subprocess
import sys

import pytest

from routerjax.support.cores import usable_cores
from routerjax.support.threads import half_the_cores_for_xla

SCRIPT = """
import os, sys
import routerjax.__main__ as entry
assert "numpy" not in sys.modules
sys.argv = ["routerjax", "--version"]
assert entry.main() in (0, None)
print(os.environ.get("OPENBLAS_NUM_THREADS"), os.environ["NPROC"])
"""


@pytest.mark.parametrize(
    ("chosen", "threads"),
    [
        ({}, "1"),
        ({"OPENBLAS_NUM_THREADS": "3"}, "3"),
        ({"OMP_NUM_THREADS": "3"}, "None"),
        ({"MKL_NUM_THREADS": "3"}, "None"),
    ],
)
def test_one_thread_of_linear_algebra_unless_another_number_was_chosen(chosen, threads):
    assert _printed(SCRIPT, chosen)[0] == threads


def test_a_thread_of_xla_for_every_two_cores_unless_another_number_was_chosen():
    assert _printed(SCRIPT, {})[1] == str(max(1, usable_cores() // 2))
    assert _printed(SCRIPT, {"NPROC": "7"})[1] == "7"


@pytest.mark.parametrize(("cores", "threads"), [(1, "1"), (2, "1"), (3, "1"), (16, "8")])
def test_half_the_cores_and_at_least_one(cores, threads, monkeypatch):
    monkeypatch.delenv("NPROC", raising=False)
    monkeypatch.setattr("routerjax.support.threads.usable_cores", lambda: cores)
    half_the_cores_for_xla()
    assert os.environ["NPROC"] == threads
    monkeypatch.delenv("NPROC")


def test_python_users_are_left_alone():
    script = "import os, numpy, routerjax.cli.commands; print(*map(os.environ.get, {}))"
    assert _printed(script.format(["OPENBLAS_NUM_THREADS", "NPROC"]), {}) == ["None", "None"]


def _printed(script, chosen):
    """The words of the last line, in an environment that says nothing else of threads."""
    clean = {name: each for name, each in os.environ.items() if "NUM_THREADS" not in name}
    clean.pop("NPROC", None)
    own = {**clean, **chosen}
    ran = subprocess.run(
        [sys.executable, "-c", script], env=own, capture_output=True, text=True, check=True
    )
    return ran.stdout.splitlines()[-1].split()
