"""The entry of the command line: what it sets before NumPy is imported."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import os, sys
import routerjax.__main__ as entry
assert "numpy" not in sys.modules
sys.argv = ["routerjax", "--version"]
assert entry.main() in (0, None)
print(os.environ.get("OPENBLAS_NUM_THREADS"))
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
    clean = {name: value for name, value in os.environ.items() if "NUM_THREADS" not in name}
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**clean, **chosen},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.split()[-1] == threads


def test_python_users_are_left_alone():
    clean = {name: value for name, value in os.environ.items() if "NUM_THREADS" not in name}
    script = "import os, numpy, routerjax.cli.commands; print('OPENBLAS_NUM_THREADS' in os.environ)"
    ran = subprocess.run(
        [sys.executable, "-c", script], env=clean, capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "False"
