"""The options of reading on the command line: what they say, and what cannot be said."""

import json

import numpy as np
import pytest

from routerjax.cli.app import Options, add_command, make_app, run
from routerjax.cli.options import Reading
from routerjax.cli.reading import read
from routerjax.cli.rules import schema_of
from routerjax.data.columns.schema import Join, Schema, resolved
from routerjax.errors import InputError


def typed(*arguments):
    """The options of reading that were typed."""
    found = []
    app = make_app("try", "Try.")
    add_command(
        app,
        None,
        lambda parsed: found.append(parsed[Reading]),
        text="Try.",
        groups=[Options("Reading", Reading())],
    )
    run(app, arguments)
    return found[0]


def test_every_option_is_a_rule():
    reading = typed(
        *("--columns", "prompt=messages.-1.content,quality=scores[name=thumb].value"),
        *("--values", "quality:up=1,down=0", "--values", "cost:free=0"),
        *("--cost-unit", "cents", "--money", "--decimal", ",", "--ratings"),
        *("--join", "a b.csv on id", "--join", "c.csv on call.id=request taking last"),
        *("--where", "status=200", "--where", "kind=chat"),
        *("--prompt-form", "conversation"),
        *("--alias", "gpt-4o=openai/gpt-4o,GPT-4o", "--alias", "x=y"),
        *("--failed", "status!=success", "--failed", "error=timeout"),
        *("--failed-quality", "-1", "--quality-range", "-1:1"),
    )
    assert schema_of(reading) == Schema(
        columns={"prompt": "messages.-1.content", "quality": "scores[name=thumb].value"},
        values={"quality": {"up": 1.0, "down": 0.0}, "cost": {"free": 0.0}},
        cost_unit="cents",
        money=True,
        decimal=",",
        ratings=True,
        joins=(Join("a b.csv", "id"), Join("c.csv", "call.id", "request", "last")),
        where={"status": "200", "kind": "chat"},
        prompt_form="conversation",
        aliases={"gpt-4o": ("openai/gpt-4o", "GPT-4o"), "x": ("y",)},
        failed=("status!=success", "error=timeout"),
        failed_quality=-1.0,
        quality_range=(-1.0, 1.0),
    )


def test_options_are_laid_over_the_schema_that_is_named(tmp_path):
    (tmp_path / "mine.toml").write_text(
        'quality_range = [0, 10]\n[columns]\nmodel = "llm"\ncost = "usd"\n'
    )
    reading = typed("--schema", str(tmp_path / "mine.toml"), "--columns", "cost=eur")
    assert schema_of(reading) == Schema(
        columns={"model": "llm", "cost": "eur"}, quality_range=(0.0, 10.0)
    )
    assert schema_of(typed()) == Schema()
    preset = resolved("litellm")
    own = schema_of(typed("--schema", "litellm", "--columns", "quality=thumb"))
    assert own.columns == {**preset.columns, "quality": "thumb"} and own.values == preset.values
    assert schema_of(typed("--failed", "status=500")).failed == "status=500"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--values", "up=1"), "is not NAME:WORD=NUMBER,..., as in quality:up=1,down=0"),
        (("--values", "quality:up=x"), "is not NAME:WORD=NUMBER"),
        (("--values", "quality:up=nan"), "is not NAME:WORD=NUMBER"),
        (("--join", "feedback.csv"), "is not 'FILE on ID'"),
        (("--join", "f.csv on id taking all"), "is not 'FILE on ID'"),
        (("--where", "status"), "is not COLUMN=VALUE"),
        (("--alias", "a="), "is not NAME=OTHER,..."),
        (("--failed", "status"), "is neither COLUMN=VALUE nor COLUMN!=VALUE"),
        (("--decimal", ";"), "';' is none of ., ,"),
        (("--cost-unit", "yen"), "'yen' is none of usd, cents"),
        (("--prompt-form", "all"), "'all' is none of last-user, conversation"),
        (("--schema", "litelm"), "is neither a preset (arena, helicone, langfuse, litellm"),
        (("--schema", "none.toml"), "cannot be read (No such file or directory)"),
    ],
)
def test_what_cannot_be_said_is_one_sentence(arguments, message):
    with pytest.raises(InputError) as error:
        schema_of(typed(*arguments))
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_file_is_read_by_its_options(tmp_path):
    path = tmp_path / "log.jsonl"
    rows = [
        {"q": f"question {i}", "llm": "ab"[i % 2], "thumb": "up", "usd": "$0.50", "status": 200}
        for i in range(4)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in [*rows, {**rows[0], "status": 500}]))
    reading = typed(
        *("--columns", "prompt=q,model=llm,quality=thumb,cost=usd", "--money"),
        *("--values", "quality:up=1", "--where", "status=200"),
    )
    log = read(reading, str(path))
    assert len(log) == 4 and log.models == ("a", "b")
    np.testing.assert_array_equal(log.cost, [0.5] * 4)
    np.testing.assert_array_equal(log.quality, [1] * 4)
