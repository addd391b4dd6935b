"""Studies that measure one draw after another: which draws are left, what survives a break."""

import json
from typing import NamedTuple

import pytest

from experiments.draw_by_draw import Plan, progress, remaining, run
from routerjax.cli.study import Study
from routerjax.errors import InputError


class Place(NamedTuple):
    table: str
    seed: int


PLACES = [Place("t", 0), Place("u", 0), Place("t", 1)]


def _plan(measure):
    return Plan(
        tables=[{"name": "t", "fingerprint": "1f"}],
        same=("weight",),
        places=PLACES,
        measure=measure,
        report=lambda results: f"{len(results['draws'])} draws\n",
        plot=lambda results, path: path.write_text("a figure"),
        figure="figure.png",
    )


def test_a_draw_in_the_results_is_not_left():
    done = [{"seed": 0, "table": "u", "value": 0.5}, {"seed": 2, "table": "t", "value": 0.5}]
    assert remaining(PLACES, done) == [Place("t", 0), Place("t", 1)]
    assert remaining(PLACES, []) == PLACES and remaining([], done) == []


def test_a_run_that_broke_off_is_taken_up(tmp_path, capsys):
    measured = []

    def measure(place):
        if len(measured) == 2 and "second" not in measured:
            raise InputError("broke off")
        measured.append(place)
        return {**place._asdict(), "value": 0.5}

    with pytest.raises(InputError, match="broke off"):
        run(Study(out=tmp_path, quiet=True), {"weight": 1, "seeds": 2}, _plan(measure))
    kept = json.loads((tmp_path / "results.json").read_text())
    assert [draw["table"] for draw in kept["draws"]] == ["t", "u"]
    assert not (tmp_path / "table.md").exists()
    measured.append("second")
    run(Study(out=tmp_path, quiet=True), {"weight": 1, "seeds": 2}, _plan(measure))
    assert measured == [*PLACES[:2], "second", PLACES[2]]
    assert (tmp_path / "table.md").read_text() == "3 draws\n" == capsys.readouterr().out[:8]
    assert (tmp_path / "figure.png").read_text() == "a figure"
    with pytest.raises(InputError, match="was made with another weight"):
        run(Study(out=tmp_path, quiet=True), {"weight": 2, "seeds": 2}, _plan(measure))


def test_progress_says_what_is_measured(capsys):
    with progress(1, "begun", quiet=False) as on_place:
        on_place("t, 0")
    assert "t, 0" in capsys.readouterr().err
    with progress(1, "begun", quiet=True) as on_place:
        on_place("t, 0")
    assert capsys.readouterr().err == ""
