"""Cells as numbers: words, currencies, decimal commas, ratings."""

import numpy as np
import pyarrow as pa
import pytest

from routerjax.data.columns.values import Notation, number, numbers, same, words
from routerjax.errors import InputError


def column(*cells):
    return pa.chunked_array([pa.array(cells)])


def read(*cells, **notation):
    return numbers(column(*cells), Notation(notation.pop("name", "quality"), **notation)).tolist()


def said(*cells, **notation):
    with pytest.raises(InputError) as error:
        read(*cells, **notation)
    return f"row {error.value.row}: {error.value.problem}"


def test_words_have_the_worth_that_they_are_given():
    worth = {"up": 1.0, "down": 0.0}
    assert read("up", "Down ", "0.25", worth=worth) == [1, 0, 0.25]
    assert np.isnan(read(None, "", "n/a", worth=worth)).all()
    assert read(True, False, worth={"true": 5.0, "false": 2.0}) == [5, 2]
    assert read(1.0, 5.0, worth={"1": 0.0, "5": 1.0}) == [0, 1]
    assert said("up", "meh", worth=worth) == (
        "row 1: 'meh' is neither a number nor one of 'up', 'down'"
    )
    assert said(1.0, 3.0, worth={"1": 0.0, "5": 1.0}) == "row 1: '3' is none of '1', '5'"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$0.0031", 0.0031),
        ("US$ 1", 1.0),
        ("0.5 USD", 0.5),
        ("$1,234.5", 1234.5),
        ("-$2", -2.0),
        ("3e-4", 3e-4),
        ("7", 7.0),
    ],
)
def test_money(text, value):
    assert number(text, Notation("cost", currency="usd")) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [("0,0031", 0.0031), ("1.0", 1.0), ("1.234,5", 1234.5), ("12.345.678", 12345678.0), ("3", 3.0)],
)
def test_decimal_commas(text, value):
    assert number(text, Notation("cost", decimal=",")) == value


def test_euros_with_a_decimal_comma():
    assert number("0,5 €", Notation("cost", decimal=",", currency="eur")) == 0.5
    with pytest.raises(InputError, match="is in EUR; .* --cost-unit eur:1.08"):
        number("0.5 €", Notation("cost", currency="usd"))


def test_a_number_that_may_be_thousands_is_refused():
    assert "may be a whole number with a point" in said("1.250", name="cost", decimal=",")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("8/10", 8.0),
        ("Rating: [[7]]", 7.0),
        ("[[7.5]]", 7.5),
        ("6", 6.0),
        ("9 out of 10", 9.0),
        ("93 %", 93.0),
    ],
)
def test_ratings(text, value):
    assert number(text, Notation("quality", ratings=True)) == value


def test_ratings_of_two_scales_are_refused():
    assert "ratings out of 5 and 10, which are no one scale" in said("4/5", "8/10", ratings=True)
    assert "ratings out of 5 and 100" in said("4/5", "93%", ratings=True)


@pytest.mark.parametrize(
    ("cells", "name", "advice"),
    [
        (("1", "$2"), "cost", "row 1: '$2' is not a number; --money (money=True) reads it"),
        (("0,5",), "cost", "row 0: '0,5' is not a number; --decimal , (decimal=',') reads it"),
        (("8/10",), "quality", "--ratings (ratings=True) reads it as 8"),
        (("93%",), "quality", "--ratings (ratings=True) reads it as 93"),
        (("Rating: [[7]]",), "quality", "--ratings (ratings=True) reads it as 7"),
        (("up", "down", "up"), "quality", "--values quality:up=X,down=X says what words are worth"),
        (('{"a": 1}',), "quality", "name the path of the number in it"),
    ],
)
def test_the_message_says_which_option_reads_it(cells, name, advice):
    assert advice in said(*cells, name=name)


def test_cells_as_words():
    assert words(column(1.0, 2.5, None, float("nan"))) == ["1", "2.5", None, None]
    assert words(column(True, False)) == ["true", "false"]


@pytest.mark.parametrize(
    ("text", "wanted", "equal"),
    [
        ("200", "200.0", True),
        ("true", "True", True),
        ("ok", "OK", False),
        (None, "", True),
        (None, "x", False),
        (" ok ", "ok", True),
        ("1e400", "1", False),
    ],
)
def test_what_a_condition_takes_for_equal(text, wanted, equal):
    assert same(text, wanted) is equal
