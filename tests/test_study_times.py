"""The studies' processor times: the page says what was measured, and quick presets are quick."""

import pytest

from experiments import times
from routerjax.errors import InputError


def test_the_page_says_what_was_measured():
    assert times.main(["--check"]) == 0


def test_quick_presets_take_ten_minutes_of_one_core_at_most():
    quick = [run for run in times.read() if times.is_quick(run)]
    assert "python -m experiments.surrogates --preset quick" in {run["command"] for run in quick}
    assert max(run["processor_seconds"] for run in quick) <= times.MOST


def test_the_table_puts_quick_presets_first_and_long_runs_in_minutes():
    runs = [
        {
            "command": "python -m experiments.a --preset paper --table t.csv",
            "processor_seconds": 471,
        },
        {"command": "python -m experiments.b --preset quick", "processor_seconds": 99},
    ]
    _, _, first, second = times.table(runs).splitlines()
    assert "experiments.b --preset quick`" in first and " 99 s |" in first
    assert "experiments.a --preset paper --table t.csv`" in second and " 8 min |" in second


def test_an_unknown_study_is_refused():
    with pytest.raises(InputError, match="no study 'causal'; known are causal_routing, "):
        times.measured("causal", [])
