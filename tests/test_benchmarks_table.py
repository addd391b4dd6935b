"""The READMEs say of the benchmarks what their result files say, and every benchmark has help."""

from __future__ import annotations

import json
import runpy
import shutil
import sys

import pytest

from benchmarks import measuring, table
from routerjax.errors import InputError

RUN = [name for name in table.names() if (measuring.FOLDER / f"{name}.json").exists()]


def half_as_much_again(value):
    """Every measured number changed; whole numbers say what was measured and stay."""
    if isinstance(value, dict):
        return {key: half_as_much_again(item) for key, item in value.items()}
    if isinstance(value, list):
        return [half_as_much_again(item) for item in value]
    return 1.5 * value if isinstance(value, float) else value


def test_the_readmes_are_in_step():
    assert table.main(["--check"]) == 0


@pytest.mark.parametrize("name", RUN)
def test_a_changed_number_is_noticed(name, tmp_path, capsys):
    results = shutil.copytree(measuring.FOLDER, tmp_path / "results")
    path = results / f"{name}.json"
    path.write_text(json.dumps(half_as_much_again(json.loads(path.read_text()))))
    assert table.main(["--check", "--results", str(results)]) == 1
    assert "README.md" in capsys.readouterr().err
    path.unlink()
    [line] = [line for line in table.table(results).splitlines() if f"`{name}`" in line]
    assert "| not run |" in line


def test_every_benchmark_has_a_line_and_an_aim_even_if_never_run(tmp_path):
    lines = table.table(tmp_path).splitlines()
    assert len(lines) == 2 + len(table.names())
    for name, line in zip(table.names(), lines[2:], strict=True):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert cells[0] == f"`{name}`" and cells[1] and cells[2:] == ["not run", "", ""]


def test_only_what_is_between_the_markers_is_replaced():
    text = f"before\n{table.START}\nold\n{table.END}\nafter\n"
    made = table.filled(text, "| new |")
    assert made.startswith(f"before\n{table.START}\n") and made.endswith(f"{table.END}\nafter\n")
    assert "old" not in made and table.filled(made, "| new |") == made
    with pytest.raises(InputError, match="markers|between"):
        table.filled("no markers", "| new |")


@pytest.mark.parametrize("name", [*table.names(), "table"])
def test_help_states_the_claim(name, monkeypatch, capsys):
    module = f"benchmarks.{name}"
    monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(module, run_name="__main__")
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert module in said and "Claim" in said
