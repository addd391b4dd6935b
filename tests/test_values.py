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
    assert read(1 - 0.8, 1.0, worth={"0.2": 1.0, "1": 0.0}) == [1, 0]  # 0.19999999999999996
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


@pytest.mark.parametrize(
    ("cells", "decimal", "values"),
    [
        (("1,234.50", "0.5"), None, [1234.5, 0.5]),
        (("1,234", "0.5", "-2,000"), None, [1234, 0.5, -2000]),
        (("1,234,567", "1,234"), None, [1234567, 1234]),
        (("1,234", "7"), ".", [1234, 7]),
        (("1,234", "7"), ",", [1.234, 7]),
        (("1.234,5", "1.234"), ",", [1234.5, 1234]),
        (("1.234", "0,5"), ",", [1234, 0.5]),
        (("1.234", "1,500"), ",", [1234, 1.5]),
        (("0.250", "1.250"), ",", [0.25, 1.25]),
        (("1.250", "7"), None, [1.25, 7]),
        (("1 234,5", "12\u202f345"), ",", [1234.5, 12345]),
        (("1'234.5", "n/a"), None, [1234.5, float("nan")]),
    ],
)
def test_thousands_are_told_by_the_whole_column(cells, decimal, values):
    np.testing.assert_array_equal(read(*cells, decimal=decimal), values)
    signs = [f"${cell}" if cell[:1].isdigit() else cell for cell in cells]
    np.testing.assert_array_equal(read(*signs, decimal=decimal, currency="usd"), values)


def test_tokens_are_whole_so_that_groups_of_three_digits_are_thousands():
    assert read("1,234", "7", name="input_tokens", whole=True) == [1234, 7]
    assert read("1.234", "7", name="input_tokens", whole=True) == [1234, 7]
    assert read("1.234", "7", name="input_tokens", whole=True, decimal=",") == [1234, 7]
    assert read("12.5", "7", name="input_tokens", whole=True) == [12.5, 7]


@pytest.mark.parametrize("currency", [None, "usd"])
def test_a_number_that_may_be_thousands_is_refused(currency):
    assert said("7", "1,223", name="cost", currency=currency) == (
        "row 1: '1,223' may be 1223 or 1.223, and no cell of the column tells; --decimal . "
        "(decimal='.') reads it as 1223, --decimal , (decimal=',') as 1.223"
    )
    assert said("7", "1.250", name="cost", decimal=",", currency=currency) == (
        "row 1: '1.250' may be 1250 or 1.250, and no cell of the column tells; write it without "
        "the point"
    )
    assert "'1.250' may be" in said("0,5", "1.250", "0.5", decimal=",", currency=currency)
    assert "'0,5' is not a number; --decimal ," in said("1,223", "0,5", currency=currency)
    assert "'0,5' is not a number; --decimal ," in said("0.5", "0,5", currency=currency)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("8/10", 8.0),
        ("Rating: [[7]]", 7.0),
        ("[[7.5]]", 7.5),
        ("6", 6.0),
        ("9 out of 10", 9.0),
        ("4.0 out of 5 stars", 4.0),
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


def test_what_spreadsheets_write_for_nothing_is_missing():
    assert np.isnan(read("-", "\u2014", "#N/A", "<NA>", "n.a.", "nil")).all()
    assert np.isnan(read("-", "$ 2", currency="usd")).tolist() == [True, False]


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


def test_a_row_that_repeats_the_names_of_the_columns_is_told_as_one():
    assert said("0.5", "Quality", "1") == (
        "row 1: 'Quality' is not a number; the row seems to repeat the names of the columns: "
        "leave it out"
    )
