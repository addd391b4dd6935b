"""Qualities written as stars, letter grades and words; costs with the sign of cents."""

import numpy as np
import pytest
from test_inspection_elsewhere import drawn, lacks, read_as_told, written

import routerjax as rj
from routerjax.data.columns.values import Notation, number
from routerjax.errors import InputError

STARS = ("★", "★★", "★★★", "★★★★", "★★★★★")
DRAWN = ("★☆☆☆☆", "★★☆☆☆", "★★★☆☆", "★★★★☆", "★★★★★")
EMOJI = tuple("⭐️" * count for count in range(1, 6))
POINTS = {"A+": 4.0, "A": 4.0, "A-": 3.7, "B+": 3.3, "C": 2.0, "D-": 0.7, "F": 0.0}


def rows(name, words):
    found = [{**row, name: words[at % len(words)]} for at, row in enumerate(drawn())]
    for row in found:
        del row["good"]
    return found


def log_of(path, given):
    return read_as_told(rj.inspect(written(path, given)))


@pytest.mark.parametrize("words", [STARS, DRAWN, EMOJI])
@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_stars_are_counted(tmp_path, words, ending):
    log = log_of(tmp_path / f"log.{ending}", rows("rating", words))
    assert log.quality.tolist() == [1.0 + at % 5 for at in range(90)]
    assert log.quality_range == (1.0, 5.0)


def test_no_stars_at_all_are_zero(tmp_path):
    log = log_of(tmp_path / "log.jsonl", rows("rating", ("☆☆☆", "★★☆", "★★★")))
    assert log.quality.tolist() == [(0.0, 2.0, 3.0)[at % 3] for at in range(90)]
    assert log.quality_range == (0.0, 5.0)


@pytest.mark.parametrize("name", ["grade", "answer_quality", "score"])
def test_letter_grades_are_points_and_that_is_said(tmp_path, name):
    path = tmp_path / "log.jsonl"
    given = rows(name, tuple(POINTS))
    found = rj.inspect(written(path, given))
    assert any("grade points, 4 for A to 0 for F" in note for note in found.notes)
    log = read_as_told(found)
    np.testing.assert_allclose(log.quality, [POINTS[row[name]] for row in given])
    assert log.quality_range == (0.0, 4.0)


@pytest.mark.parametrize(
    ("name", "words"),
    [("correct", "ABCD"), ("answer", "ABCD"), ("grade", "ABE"), ("grade", ("A", "B", "good"))],
)
def test_letters_that_may_be_answers_or_other_grades_are_asked_about(tmp_path, name, words):
    """A column of options that were right is none of grades; an E has no points."""
    found = lacks(tmp_path / "log.jsonl", rows(name, tuple(words)))
    assert "what words are worth" in found or "how good the answer was" in found


def test_cents_by_their_sign(tmp_path):
    given = [{**row, "cost": f"{100 * row['cost']:.4f}¢"} for row in drawn()]
    log = log_of(tmp_path / "log.jsonl", given)
    np.testing.assert_allclose(log.cost, [row["cost"] for row in drawn()], rtol=1e-6)


def test_two_units_in_a_column_are_lacking_one(tmp_path):
    given = [
        {**row, "cost": f"{100 * row['cost']:.4f}¢" if at % 2 else f"${row['cost']:.6f}"}
        for at, row in enumerate(drawn())
    ]
    assert "one unit: 45 of 90 costs are in cents" in lacks(tmp_path / "log.jsonl", given)


def test_a_sign_is_held_against_the_unit():
    assert number("0.31¢", Notation("cost", currency="cents")) == 0.31
    with pytest.raises(InputError, match="'0.31¢' is in cents, as --cost-unit cents says"):
        number("0.31¢", Notation("cost", currency="usd"))
    with pytest.raises(InputError, match=r"'\$0.31' is in dollars, as --cost-unit usd says"):
        number("$0.31", Notation("cost", currency="cents"))
    with pytest.raises(InputError, match="--money .* reads it with --cost-unit cents"):
        number("0.31¢", Notation("cost"))
