"""The rules for reading a file, and the TOML file that holds them."""

import dataclasses

import pytest

from routerjax.data.columns.schema import Join, Schema, condition, cost_unit, resolved
from routerjax.data.columns.schema_file import as_text, presets, read_schema, write_schema
from routerjax.errors import InputError

FULL = Schema(
    columns={"prompt": "messages.-1.content", "quality": ("score", "feedback.thumb")},
    values={"quality": {"up": 1.0, "down": 0.0, 'a "quoted" word': 0.5}},
    cost_unit="eur:1.08",
    decimal=",",
    money=True,
    ratings=True,
    joins=(Join("/data/feedback.csv", "request_id", "id", "last"),),
    where={"status": "200", "meta.kind of call": "chat"},
    prompt_form="conversation",
    aliases={"gpt-4o": ("openai/gpt-4o", "GPT-4o")},
    failed=("status!=success",),
    failed_quality=0.0,
    quality_range=(0.0, 10.0),
    prices="/data/prices.toml",
    layout="otel",
    both_bad="tie",
)


def test_a_schema_with_every_rule_comes_back_from_its_file(tmp_path):
    write_schema(FULL, tmp_path / "mylog.toml")
    assert read_schema(tmp_path / "mylog.toml") == FULL
    assert resolved(str(tmp_path / "mylog.toml")) == FULL


def test_a_schema_without_rules_is_an_empty_file(tmp_path):
    assert as_text(Schema()) == ""
    write_schema(Schema(), tmp_path / "plain.toml")
    assert read_schema(tmp_path / "plain.toml") == Schema() == resolved(None)


def test_files_that_a_schema_names_lie_beside_it(tmp_path):
    (tmp_path / "s.toml").write_text(
        'prices = "prices.toml"\n[[joins]]\nfile = "f.csv"\non = "id"\n'
    )
    schema = read_schema(tmp_path / "s.toml")
    assert schema.prices == str(tmp_path / "prices.toml")
    assert schema.joins == (Join(str(tmp_path / "f.csv"), "id"),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('colums = {prompt = "text"}', "'colums' is no rule of a schema; did you mean 'columns'?"),
        ("xyzzy = 1", "'xyzzy' is no rule of a schema; known are columns, values, cost_unit"),
        ('[columns]\nanswer = "text"', "columns: 'answer' is not a column that can be named here"),
        ("[columns]\nprompt = 3", "columns.prompt: must be text, or a list of texts"),
        ('[values.quality]\nup = "1"', "values.quality: must hold words and the numbers"),
        ('cost_unit = "pounds"', "cost unit: 'pounds' is none of usd, cents, per-1k, per-1m"),
        ('cost_unit = "eur:0"', "cost unit: 'eur:0' is none of"),
        ("cost_unit = 3", "cost_unit: must be text"),
        ('money = "yes"', "money: must be true or false"),
        ('decimal = ";"', "decimal: ';' is none of ., ,"),
        ("quality_range = [10, 0]", "quality range: 10:0 must be two finite numbers, low to high"),
        ("quality_range = [0]", "quality_range: must be two numbers, [0, 10]"),
        ('[[joins]]\nfile = "x.csv"', "joins: 'on' is missing"),
        ('[[joins]]\nfile = "x.csv"\nonn = "id"', "joins: 'onn' is no rule of a schema"),
        ('failed = "status"', "condition: 'status' is neither COLUMN=VALUE nor COLUMN!=VALUE"),
        ('[aliases]\na = ["x"]\nb = ["x"]', "aliases: 'x' is a spelling of both 'a' and 'b'"),
        ("a = [[[", "is not TOML"),
    ],
)
def test_a_file_that_is_no_schema_is_refused_in_one_sentence(tmp_path, text, message):
    (tmp_path / "bad.toml").write_text(text)
    with pytest.raises(InputError) as error:
        read_schema(tmp_path / "bad.toml")
    assert message in str(error.value)
    assert str(error.value).startswith(str(tmp_path / "bad.toml"))
    assert "\n" not in str(error.value)


def test_an_unknown_name_lists_the_presets():
    with pytest.raises(InputError, match="is neither a preset .* nor the path of a .toml file"):
        resolved("no-such-preset")


@pytest.mark.parametrize("name", presets())
def test_every_preset_is_a_schema_and_comes_back_from_text(tmp_path, name):
    schema = resolved(name)
    write_schema(schema, tmp_path / "copy.toml")
    assert read_schema(tmp_path / "copy.toml") == schema


def test_rules_laid_over_others_replace_what_they_name():
    both = FULL.having(columns={"cost": "spend"}, decimal=".", where={"status": "ok"}, money=None)
    assert both.columns == {**FULL.columns, "cost": "spend"}
    assert both.where == {"status": "ok", "meta.kind of call": "chat"}
    assert (both.decimal, both.money, both.cost_unit) == (".", True, "eur:1.08")
    over = Schema(columns={"cost": "spend"}, decimal=",", where={"status": "ok"}).over(FULL)
    assert over == dataclasses.replace(both, decimal=",")
    with pytest.raises(TypeError):
        FULL.having(wher={"status": "200"})


def test_units_of_cost_in_dollars():
    assert cost_unit("usd") == (1.0, "usd")
    assert cost_unit("cents") == (0.01, "usd")
    assert cost_unit("per-1k") == (0.001, "usd")
    assert cost_unit("EUR:1.08") == (1.08, "eur")


def test_conditions():
    assert condition("status=500") == ("status", True, "500")
    assert condition("meta.status != success") == ("meta.status", False, "success")
