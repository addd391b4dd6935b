"""The READMEs say of the benchmarks what their result files say, and every benchmark has help."""

from __future__ import annotations

import json
import runpy
import shutil
import subprocess
import sys

import numpy as np
import pytest

from benchmarks import all as every
from benchmarks import given_workload, measuring, rows_scaling, table
from benchmarks.plain_interval import interval_loop
from benchmarks.plain_loop import Rows, Steps
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


@pytest.mark.parametrize("name", [*table.names(), "all", "table"])
def test_help_states_the_claim(name, monkeypatch, capsys):
    module = f"benchmarks.{name}"
    monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(module, run_name="__main__")
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert module in said and "Claim" in said


def test_all_runs_each_within_its_limit_and_says_how_it_ended(monkeypatch, capsys):
    asked = []

    def ran(command, *, timeout):
        asked.append((command[2:], timeout))
        if "devices" in command[2]:
            raise subprocess.TimeoutExpired(command, timeout)
        return subprocess.CompletedProcess(command, 3 if "cold_start" in command[2] else 0)

    monkeypatch.setattr(subprocess, "run", ran)
    chosen = ["cold_start", "devices", "first_fit", "--minutes", "2", "--out", "there"]
    assert every.main([*chosen, "--", "--repeats", "1"]) == 1
    assert asked[0] == (["benchmarks.cold_start", "--out", "there", "--repeats", "1"], 120)
    said = capsys.readouterr().out
    assert "cold_start: failed with exit code 3, " in said
    assert "devices: stopped after 2 minutes, " in said
    assert "first_fit: done, " in said
    assert every.main(["first_fit"]) == 0
    with pytest.raises(SystemExit):
        every.main(["fist_fit"])
    assert "there is no benchmark 'fist_fit'; there are accelerator, " in capsys.readouterr().err


def test_a_workload_of_another_hand(tmp_path):
    """Both models are the same on average; each is right where the first number says so."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 4)).astype(np.float32)
    right = np.stack([x[:, 0] > 0, x[:, 0] <= 0], axis=1).astype(np.float32)
    path = tmp_path / "own.npz"
    rows = {"train": np.arange(300), "test": np.arange(300, 400)}
    np.savez(path, x=x, acc=right, cost=np.full_like(right, 0.01), **rows)
    given = given_workload.read(path)
    np.testing.assert_allclose(
        given.weights, [share / 0.01 for share in given_workload.SHARES], 1e-5
    )
    found = given_workload.utilities(given_workload.routers(given.train, (0,)), given)
    assert found[0] > 0.9
    np.testing.assert_allclose(found[0] - found, np.array(given.weights) * 0.01, rtol=1e-4)
    np.savez(path, x=x, acc=right)
    with pytest.raises(InputError, match="it must hold x, acc, cost, train and test"):
        given_workload.read(path)
    with pytest.raises(InputError, match="no .npz file"):
        given_workload.read(tmp_path / "none.npz")


def test_plain_interval_routers_choose_on_and_between_their_ends():
    """Model 1 is always right and costs 1; model 0 is free, and right where x is above 0."""
    pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 4)).astype(np.float32)
    quality = np.stack([x[:, 0] > 0, np.ones(2000)], axis=1).astype(np.float32)
    cost = np.tile(np.float32([0, 1]), (2000, 1))
    rows, steps = Rows(x[:1500], quality[:1500], cost[:1500]), Steps(32, 3e-3)
    (choose,) = interval_loop([rows], (0,), (0.0, 1.0, 2.0), steps)()
    for weight, right in ((0.1, x[1500:, 0] <= 0), (0.7, x[1500:, 0] <= 0), (2.0, np.zeros(500))):
        assert (choose(x[1500:], weight) == right).mean() > 0.9


@pytest.mark.slow
def test_both_logs_of_many_rows_are_fitted_and_judged(tmp_path, capsys):
    rows_scaling.make(6000, tmp_path)
    for kind in rows_scaling.KINDS:
        rows_scaling.child(tmp_path, kind)
    in_memory, on_disk = map(json.loads, capsys.readouterr().out.splitlines())
    assert in_memory["router"] == on_disk["router"]
    assert in_memory["gain_over_best_single"] == pytest.approx(on_disk["gain_over_best_single"])


def test_a_result_of_a_dirty_tree_is_refused_however_its_folder_is_written(monkeypatch):
    monkeypatch.setattr(measuring, "git_commit", lambda: "0" * 40 + "+")
    monkeypatch.chdir(measuring.FOLDER.parent.parent)
    for folder in (measuring.FOLDER, measuring.FOLDER.relative_to(measuring.FOLDER.parent.parent)):
        with pytest.raises(InputError, match="commit first, or write elsewhere"):
            measuring.write("nothing", {}, folder)
    assert not (measuring.FOLDER / "nothing.json").exists()


def test_a_result_whose_files_differed_from_its_commit_says_so(tmp_path):
    head = subprocess.run(
        ["git", "-C", str(table.HERE.parent), "rev-parse", "HEAD"], capture_output=True, text=True
    )
    if head.returncode:
        pytest.skip("no checkout")
    commit = head.stdout.strip()
    for named, said in ((commit, []), (f"{commit}+", ["lambda_scaling: files differed from"])):
        (tmp_path / "lambda_scaling.json").write_text(json.dumps({"git_commit": named}))
        found = table.changed_since(tmp_path)
        assert len(found) == len(said)
        assert all(line.startswith(start) for line, start in zip(found, said, strict=True))
