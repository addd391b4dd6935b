"""Names and paths of any kind on the command line: printed as they are, read as they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.console import Console

from routerjax.cli.commands import main
from routerjax.errors import InputError, printable
from routerjax.reports.words import cell, say

NAMES = ("vendor/model[/fast]", "gpt-4[turbo]", "\x1b[31mred\x07", "[link=http://x]:smile:")
SHOWN = ("vendor/model[/fast]", "gpt-4[turbo]", r"\x1b[31mred\x07", "[link=http://x]:smile:")


def rows(count: int = 200, first: int = 0) -> list[dict]:
    """A log of four models, of queries that differ."""
    return [
        {
            "embedding": [(first + i) / 100, float(i % 3)],
            "model": NAMES[i % 4],
            "quality": float((i // 4 + i) % 2),
            "cost": 0.001 * (1 + i % 4),
        }
        for i in range(count)
    ]


def write(path: Path, values: list[dict]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in values))
    return str(path)


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """The current folder, empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_names_are_printed_as_they_are_and_none_commands_the_terminal(here, capsys):
    write(here / "log.jsonl", rows())
    write(here / "new.jsonl", rows(first=500))
    printed = []
    for arguments in (
        ["fit", "log.jsonl", "--out", "run", "--quiet"],
        ["evaluate", "run", "new.jsonl", "--quiet"],
        ["plan", "log.jsonl"],
    ):
        assert main(arguments) == 0
        printed.append(capsys.readouterr().out)
    for text in printed[:2]:
        assert all(name in text for name in SHOWN)
    assert "".join(printed).replace("\n", "").isprintable()


@pytest.mark.slow
def test_routed_names_are_printed_as_they_are(here, capsys, monkeypatch):
    import numpy as np

    write(here / "log.jsonl", rows())
    np.save(here / "e.npy", np.ones((1, 2), np.float32))
    assert main(["fit", "log.jsonl", "--out", "run", "--quiet"]) == 0
    capsys.readouterr()
    route = ["route", "run", "--embeddings", "e.npy", "--cost-weight", "0", "--probabilities"]
    assert main([*route, "--explain"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in SHOWN)
    assert printed.replace("\n", "").replace("\t", "").isprintable()


def test_a_range_may_begin_with_a_minus_and_files_may_be_several(here, capsys):
    negative = [{**row, "quality": -row["quality"]} for row in rows(60)]
    write(here / "a.jsonl", negative[:30])
    write(here / "b.jsonl", rows(60)[30:])
    for given in (["a.jsonl", "b.jsonl"], ["*.jsonl"]):
        for option in (["--quality-range", "-1:1"], ["--quality-range=-1:1"]):
            assert main(["plan", *given, *option, "--json"]) == 0
            assert json.loads(capsys.readouterr().out)["rows"] == 60
    assert main(["plan", "b.jsonl", "a.jsonl"]) == 2
    assert "a.jsonl, column 'quality', row 1: quality is -1" in capsys.readouterr().err
    write(here / "b.jsonl", [*rows(2), {**rows(1)[0], "cost": -1}])
    assert main(["plan", "--quality-range", "-1:1", "a.jsonl", "b.jsonl"]) == 2
    assert "b.jsonl, column 'cost', row 2: cost is -1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("~nobody-of-this-name/x.csv", "no such file: there is no such user"),
        ("x" * 3000 + ".csv", "cannot be read (File name too long)"),
        ("a\x1b[2Jb.csv", r"a\x1b[2Jb.csv: no file matches this pattern"),
        ("\udcff.csv", r"\udcff.csv: no such file"),
    ],
)
def test_paths_that_name_no_place_end_in_one_short_line(here, capsys, path, message):
    assert main(["fit", path, "--out", "run"]) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1 and len(said) < 300
    assert said.removesuffix("\n").isprintable() and not list(here.iterdir())


def test_a_sentence_is_one_short_line_whatever_it_quotes():
    error = InputError("a\nb\x1b" + "c" * 5000, source="d" * 5000, field="e\r" + "f" * 500, row=3)
    assert (
        str(error).startswith("ddd")
        and r"column 'e\rff" in str(error)
        and r"a\nb\x1bcc" in str(error)
    )
    assert str(error).isprintable() and len(str(error)) < 1000


def test_what_is_printable():
    assert printable("größer 🎲 [x]") == "größer 🎲 [x]"
    assert printable("a\tb\u202ec\udc80") == r"a\tb\u202ec\udc80"
    assert printable("0123456789", 8) == "012...89"
    assert printable("0123456789", 10) == "0123456789"


def test_words_are_no_markup(capsys):
    console = Console(width=20, force_terminal=True, color_system="truecolor")
    say(console, "[bold]x[/bold] [/] :smile: 12.5 " + "y" * 30 + "\nnext\x1b[1m")
    assert capsys.readouterr().out == (
        "[bold]x[/bold] [/] :smile: 12.5 " + "y" * 30 + "\nnext\\x1b[1m\n"
    )
    assert cell("[/fast]\n").plain == r"[/fast]\n"


def test_a_long_cell_is_cut_and_not_the_advice():
    advice = "say what the model's tokens cost with --prices prices.toml, or keep the user's zeros"
    cells = (f"'{'a name of words ' * 40}'", f'"{"x y " * 200}"', "z" * 900)
    for each in cells:
        said = str(InputError(f"{each} costs 0 in all rows; {advice}"))
        assert said.endswith(f" costs 0 in all rows; {advice}") and len(said) < 200
    assert len(str(InputError("word " * 400))) <= 560
