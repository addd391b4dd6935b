"""The comparison of encoders: what is timed, its tables by hand, and a run of it."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from experiments.encoders import report, run
from experiments.encoders.__main__ import main
from experiments.encoders.config import PRESETS, check
from experiments.encoders.tables import sources
from routerjax.errors import InputError


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"encoders": ("a", "a")}, "each of them once"),
        ({"encoders": ()}, "encoders must be given"),
        ({"rows": 59}, "rows is 59; it must be at least 60"),
        ({"seeds": 1}, "seeds is 1; it must be at least 2"),
        ({"timed": 0}, "timed is 0; it must be at least 1"),
        ({"cost_weights": (-1.0,)}, "each of them 0 or more"),
    ],
)
def test_settings_that_are_refused(changes, problem):
    with pytest.raises(InputError, match=problem):
        check(dataclasses.replace(PRESETS["quick"], **changes))


def test_tables_that_are_refused(tmp_path):
    config = dataclasses.replace(PRESETS["quick"], queries=0)
    with pytest.raises(InputError, match="no table is left; give --tables"):
        sources(config)
    path = tmp_path / "few.csv"
    lines = [f"q {n},{n % 2},1,0.01,0.02" for n in range(9)]
    path.write_text("\n".join(["prompt,score:a,score:b,cost:a,cost:b", *lines]) + "\n")
    with pytest.raises(InputError, match="few: has 9 rows, too few to test beside 1000 logged"):
        sources(config, [str(path)])


def test_a_timing_is_of_a_sample_and_per_thousand(monkeypatch):
    asked: list[list[str]] = []

    def encode(prompts, *, encoder, cache):
        assert (encoder, cache) == ("some", None)
        asked.append(list(prompts))

    wall, cpu = iter([10.0, 11.5]), iter([3.0, 3.25])
    monkeypatch.setattr(run, "encode", encode)
    monkeypatch.setattr(run.time, "perf_counter", lambda: next(wall))
    monkeypatch.setattr(run.time, "process_time", lambda: next(cpu))
    prompts = ["x" * n for n in range(100)]
    found = run.timing(prompts, "some", count=50)
    assert [len(each) for each in asked] == [1, 50] and len(set(asked[1])) == 50
    # 1.5 and 0.25 seconds for 50 prompts
    assert (found.wall, found.cpu, found.prompts) == (30.0, 5.0, 50)
    assert found.characters == np.mean([len(text) for text in asked[1]])


def record(encoder: str, fit: list[list[float]], *, seconds: float) -> dict:
    draws = [
        {
            "logging": "uniform",
            "seed": seed,
            "values": {"best single, by means": [0.5, 0.3], "fit": own, "full feedback": [1, 0]},
        }
        for seed, own in enumerate(fit)
    ]
    return {
        "table": "t",
        "encoder": encoder,
        "width": 3,
        "seconds": {"cpu": seconds},
        "draws": draws[::-1],
    }


def test_the_report_by_hand():
    one = record("one", [[0.5, 0.5], [0.7, 0.9]], seconds=0.125)
    two = record("two", [[0.6, 0.6], [0.8, 1.2]], seconds=40)
    lines = report.report({"encoders": [one, two]}).splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]]
    # fit of one: means 0.5 and 0.8, 0.65 ± 0.15; of two: 0.6 and 1.0, differences 0.1 and 0.2
    same = ["0.5000 ± 0.0000", ""]
    assert cells[0] == ["t", "uniform", "one", "3", "0.12", "0.400", "0.6500 ± 0.1500", *same]
    assert cells[1][4:7] == ["40.00", "0.400", "0.8000 ± 0.2000"]
    assert cells[1][-1] == "+0.1500 ± 0.0500"


def test_the_readme_has_the_tables_of_the_committed_results():
    text = report.README.read_text(encoding="utf-8")
    assert report.filled(text, report.readme_tables(), mark=report.MARK) == text
    results = json.loads(report.RESULTS.read_text(encoding="utf-8"))
    assert {"git_commit", "versions", "config", "data_fingerprint"} <= set(results["provenance"])


@pytest.mark.slow
def test_a_run_of_it(tmp_path, capsys):
    pytest.importorskip("wordllama")
    out = tmp_path / "out"
    assert main(["--preset", "smoke", "--out", str(out), "--quiet"]) == 0
    results = json.loads((out / "results.json").read_text())
    (found,) = results["encoders"]
    assert (found["encoder"], found["width"], len(found["draws"])) == ("wordllama", 256, 2)
    assert found["seconds"]["prompts"] == 20 and found["test_rows"] == 600
    assert results["recipes"]["wordllama"]
    assert "wordllama" in (out / "table.md").read_text() and "wrote " in capsys.readouterr().out
