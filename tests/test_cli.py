"""The command line: what it prints when all is well, and one sentence and code 2 when not."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import routerjax as rj
from routerjax.cli.commands import main

MODELS = ("large", "small", "tiny")
TOPICS = ("algebra", "poetry", "law")

TRAINED = ("--architecture", "interval", "--epochs", "10", "--members", "2", "--widths", "8")
"""Options of a fit with a short training."""


def write(path: Path, rows: list[dict]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def log_rows(count: int = 120, **changes) -> list[dict]:
    """Rows of a log; `changes` maps a column to {row: value}."""
    rows = [
        {
            "prompt": f"question {i} about {TOPICS[i // 3 % 3]}",
            "model": MODELS[i % 3],
            "quality": float((i // 3 + i) % 2),
            "cost": (0.004, 0.001, 0.0002)[i % 3],
        }
        for i in range(count)
    ]
    for column, values in changes.items():
        for row, value in values.items():
            rows[row][column] = value
    return rows


def table_rows(count: int = 30, models: tuple[str, ...] = MODELS) -> list[dict]:
    return [
        {"prompt": f"another question {i} about {TOPICS[i % 3]}"}
        | {f"score:{model}": float((i + arm) % 2) for arm, model in enumerate(models)}
        | {f"cost:{model}": 0.001 * (arm + 1) for arm, model in enumerate(models)}
        for i in range(count)
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A log, a table and a router fitted on the log; not to be changed."""
    folder = tmp_path_factory.mktemp("cli")
    write(folder / "log.jsonl", log_rows())
    write(folder / "table.jsonl", table_rows())
    arguments = ["fit", f"{folder}/log.jsonl", "--out", f"{folder}/run", "--quiet"]
    assert main([*arguments, "--cost-weights", "0,10,100", *TRAINED]) == 0
    return folder


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """The current folder, empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def left(here: Path) -> dict[Path, int]:
    """Every path and when it was written; of folders, where locks come and go, nothing more."""
    return {path: path.stat().st_mtime_ns if path.is_file() else 0 for path in here.rglob("*")}


@pytest.fixture
def refused(here, capsys):
    """Run a command that must end with code 2, one line on stderr, and leave nothing behind."""

    def run(*arguments: str, message: str) -> None:
        before = left(here)
        capsys.readouterr()
        code = main(list(arguments))
        captured = capsys.readouterr()
        assert code == 2, captured
        assert captured.out == ""
        assert captured.err.startswith("routerjax: ") and captured.err.endswith("\n")
        assert captured.err.count("\n") == 1 and "Traceback" not in captured.err, captured.err
        assert message in captured.err, captured.err
        assert left(here) == before

    return run


def only_json(capsys) -> dict:
    """Standard output is one JSON document on one line, and strictly JSON."""
    text = capsys.readouterr().out
    assert text.count("\n") == 1

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


# --- all is well ---


def test_fit_for_people(folder, here, capsys):
    arguments = ["fit", f"{folder}/log.jsonl", "--out", "run", "--cost-weights", "0,10,100"]
    assert main([*arguments, *TRAINED]) == 0
    captured = capsys.readouterr()
    assert (
        "96 rows to learn from, 24 set apart to evaluate on; 2 networks" in captured.out
        and captured.out.endswith("wrote run\n")
    )
    lines = captured.out.splitlines()
    (large,) = (line.split() for line in lines if line.startswith("large ") and "(" not in line)
    assert 25 < int(large[1]) <= 40 and large[3].endswith("%")  # rows, effective, no support
    assert sum(line.startswith(("0 ", "10 ", "100 ")) for line in lines) == 3
    assert any(line.startswith("The router ") for line in lines)
    assert "Traceback" not in captured.err
    assert [path.name for path in here.iterdir()] == ["run"]
    for name in ("parameters-*.safetensors", "router.json"):
        assert len(list((here / "run").glob(name))) == 1
    one, two = (json.loads((f / "run/router.json").read_text()) for f in (here, folder))
    assert one["sha256"]["arrays"] == two["sha256"]["arrays"]  # same log, same seed, same bits

    arguments += [*TRAINED, "--quiet", "--json"]
    assert main(arguments) == 2
    assert "run: exists already; choose another or add --overwrite" in capsys.readouterr().err
    assert main([*arguments, "--overwrite"]) == 0
    document = only_json(capsys)
    assert document["cost_weights"] == [0.0, 10.0, 100.0] and document["router"] == "run"
    assert sum(document["overlap"]["arm_rows"]) == document["rows"]["log"] == 96
    router_lines = [e for e in document["evaluation"]["lines"] if e["method"] == "router"]
    assert [line["cost_weight"] for line in router_lines] == [0.0, 10.0, 100.0]
    assert document["evaluation"]["verdict"]


def test_evaluate_on_a_table(folder, capsys):
    arguments = ["evaluate", f"{folder}/run", f"{folder}/table.jsonl", "--quiet"]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert "30 rows evaluated, 0 left out" in printed and "note: knn-plug-in is left out" in printed
    assert main([*arguments, "--json", "--cost-weights", "10", "--log", f"{folder}/log.jsonl"]) == 0
    document = only_json(capsys)
    assert (document["kind"], document["rows"], document["left_out"]) == ("table", 30, 0)
    lines = {line["method"]: line for line in document["lines"]}
    assert {"router", "random", "oracle", "best-single-log", "knn-plug-in"} <= set(lines)
    assert all(line["cost_weight"] == 10.0 for line in document["lines"])
    # large and tiny are right where i is odd or even, the other way round for small; half each
    assert lines["random"]["quality"]["mean"] == pytest.approx(0.5)
    assert lines["random"]["cost"]["mean"] == pytest.approx(0.002)
    # the oracle takes the cheaper of those that are right: 1 − 10·0.002 or 1 − 10·0.001
    assert lines["oracle"]["utility"]["mean"] == pytest.approx(0.985)
    for method, line in lines.items():
        best = f"  {method}" if method not in printed else method
        assert best.strip() in printed or method == "knn-plug-in"
        assert line["regret"]["mean"] >= -1e-9


def test_evaluate_on_a_log(folder, here, capsys):
    path = write(here / "new.jsonl", log_rows(propensity={i: 0.5 for i in range(120)})[::-1])
    assert main(["evaluate", f"{folder}/run", path, "--quiet", "--json"]) == 0
    document = only_json(capsys)
    assert document["kind"] == "log" and (document["rows"], document["left_out"]) == (24, 96)
    words = {"better", "worse", "cannot tell", "the same policy"}
    assert {line["verdict"] for line in document["lines"]} <= words and document["verdict"]
    assert all(line["regret"] is None for line in document["lines"])
    assert main(["evaluate", f"{folder}/run", f"{folder}/log.jsonl", "--quiet"]) == 0
    captured = capsys.readouterr()
    assert "96 of 120 rows are of queries that the router was fitted on" in captured.err
    assert "doubly robust estimates" in captured.out and "\ntoday's policy " in captured.out


@pytest.mark.filterwarnings("ignore:.*answered so few rows")
def test_the_page_as_figure_and_report(folder, here, capsys):
    path = write(here / "new.jsonl", log_rows())
    evaluate = ["evaluate", f"{folder}/run", path, "--quiet"]
    assert main([*evaluate, "--figure", "new/f.png", "--report", "new/p.html"]) == 0
    assert capsys.readouterr().out.endswith("wrote new/f.png\nwrote new/p.html\n")
    assert (here / "new/f.png").read_bytes().startswith(b"\x89PNG")
    page = (here / "new/p.html").read_text()
    assert "A router beside today" in page and f"router: {folder}/run" in page
    assert "commit: None" not in page
    evaluate[2] = f"{folder}/table.jsonl"
    assert main([*evaluate, "--report", "t.html"]) == 0
    assert "A router beside the best single model" in (here / "t.html").read_text()


@pytest.mark.parametrize("commit", ["0123abc+", None])
def test_the_foot_names_the_commit_where_there_is_one(commit, router):
    from routerjax.cli.page import about
    from routerjax.pipelines.lines import evaluation_of
    from routerjax.support.provenance import plain

    found = evaluation_of(plain(router.report["evaluation"]))
    made = dataclasses.replace(router, provenance={**router.provenance, "git_commit": commit})
    foot = about(found, made, "run")
    assert foot.get("commit") == commit and ("commit" in foot) == (commit is not None)


def test_a_page_that_cannot_be_is_refused(refused, folder, here):
    evaluate = ["evaluate", f"{folder}/run", f"{folder}/table.jsonl", "--quiet"]
    refused(
        *evaluate, "--figure", "f.jpg", message="--figure f.jpg: must end in .png, .pdf or .svg"
    )
    refused(*evaluate, "--report", "p.txt", message="--report p.txt: must end in .html")
    refused(*evaluate, "--gold-column", "task=x", message="no column 'task'")
    trusting = "--trust-propensities has no effect where the data are a table"
    refused(*evaluate, "--trust-propensities", message=trusting)
    fit = ["fit", f"{folder}/log.jsonl", "--out", "r", "--quiet", "--evaluation"]
    refused(*fit, "1.5", message="share kept for the evaluation is 1.5; it must be 0 or more")


def test_route_one_prompt(folder, capsys):
    arguments = ["route", f"{folder}/run", "--cost-weight", "50", "--prompt", "A rhyme on law?"]
    assert main(arguments) == 0
    model, quality, cost = capsys.readouterr().out.removesuffix("\n").split("\t")
    assert model in MODELS and quality.startswith("quality 0.") and cost.startswith("$0.00")
    assert main([*arguments, "--json", "--probabilities"]) == 0
    document = only_json(capsys)
    (route,) = document["routes"]
    assert document["cost_weight"] == 50.0 and route["model"] == model
    assert f"quality {route['quality']:.3f}" == quality and f"${route['cost']:.6f}" == cost
    assert max(route["probabilities"], key=route["probabilities"].get) == model
    assert sum(route["probabilities"].values()) == pytest.approx(1.0, abs=1e-5)
    assert main([*arguments, "--probabilities"]) == 0
    assert capsys.readouterr().out.count(", ") == 2


def test_route_explains_the_cost_weights(folder, capsys):
    """The pieces are those of the upper envelope of the expected outcomes, in the fitted range."""
    router = rj.Router.load(folder / "run")
    prompt = ["route", f"{folder}/run", "--explain", "--prompt", "A rhyme on law?"]
    assert main([*prompt, "--json"]) == 0
    (route,) = only_json(capsys)["routes"]
    (expected,) = router.explain(router.embed(["A rhyme on law?"]))
    pieces = route["best_expected"]
    assert [piece["model"] for piece in pieces] == [router.models[arm] for arm in expected.arms]
    ends = [*expected.breaks, router.cost_weights[-1]]
    assert [piece["to_cost_weight"] for piece in pieces] == pytest.approx(ends)
    assert main(prompt) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("below " if expected.breaks else "at every cost weight: ")
    assert all(router.models[arm] in line for arm in expected.arms)
    assert main([*prompt, "--cost-weight", "50"]) == 0
    routed, explained = capsys.readouterr().out.splitlines()
    assert "quality" in routed and explained.strip().startswith(line)


def test_explanation_by_hand():
    from routerjax.estimators.envelope import Envelope
    from routerjax.reports.routes import explanation

    envelope = Envelope((2, 0, 1), (12.41, 85.0))
    line = "below 12.41: c; to 85: a; above: b"
    assert explanation(envelope, "abc", None, None) == line
    assert explanation(envelope, "abc", "a", 50.0) == line
    assert explanation(envelope, "abc", "c", 50.0).endswith("training moved it)")
    assert explanation(Envelope((1,), ()), "abc", None, None) == "at every cost weight: b"


def test_route_a_file_of_prompts_one_result_a_line(folder, here, capsys, monkeypatch):
    (here / "prompts.txt").write_text("first question\nsecond question\nthird, with ünicode\n")
    arguments = ["route", f"{folder}/run", "--cost-weight", "0", "--prompts"]
    assert main([*arguments, "prompts.txt"]) == 0
    printed = capsys.readouterr().out
    assert [line.split("\t")[0] in MODELS for line in printed.splitlines()] == [True] * 3
    assert main([*arguments, "prompts.txt", "--json"]) == 0
    assert len(only_json(capsys)["routes"]) == 3
    monkeypatch.setattr("sys.stdin", io.StringIO((here / "prompts.txt").read_text()))
    assert main([*arguments, "-"]) == 0
    assert capsys.readouterr().out == printed


def test_route_ready_made_embeddings(folder, here, capsys):
    np.save(here / "e.npy", np.zeros((2, 257), np.float32))
    assert main(["route", f"{folder}/run", "--cost-weight", "0", "--embeddings", "e.npy"]) == 0
    one, two = capsys.readouterr().out.splitlines()
    assert one == two


def test_simulate_then_read(folder, here, capsys):
    arguments = ["simulate", f"{folder}/table.jsonl", "--policy", "uniform", "--seed", "3"]
    assert main([*arguments, "--out", "log.csv", "--test", "new/test.parquet"]) == 0
    assert capsys.readouterr().out == "wrote 21 rows to log.csv\nwrote 9 rows to new/test.parquet\n"
    assert (here / "log.csv").read_text().count("\n") == 22
    assert main([*arguments, "--out", "again.csv", "--record-propensities"]) == 0
    capsys.readouterr()
    header, *rows = (here / "again.csv").read_text().splitlines()
    assert "propensity:" in header and len(rows) == 21
    assert main(["evaluate", f"{folder}/run", "new/test.parquet", "--quiet", "--json"]) == 0
    assert only_json(capsys)["rows"] == 9


def test_simulate_from_nothing(here, capsys):
    assert main(["simulate", "--rows", "40", "--out", "log.jsonl", "--test-share", "0.25"]) == 0
    assert capsys.readouterr().out == "wrote 30 rows to log.jsonl\n"
    row = json.loads((here / "log.jsonl").read_text().splitlines()[0])
    assert set(row) == {"prompt", "model", "quality", "cost", "task"}


@pytest.mark.parametrize(
    "command", [(), ("fit",), ("evaluate",), ("route",), ("plan",), ("simulate",)]
)
def test_help_fits_eighty_columns_and_names_no_empty_default(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert main([*command, "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(" ".join(["Usage: routerjax", *command]))
    assert max(map(len, text.splitlines())) <= 80
    assert not any(f"[default: {empty}]" in text for empty in ("None", "False", ""))


# --- wrong input ---


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            "",
            "a command is needed: inspect, fit, evaluate, route, serve, refit, rollback, newcomer, "
            "reprice, plan, simulate, data (see routerjax --help)",
        ),
        (
            "learn",
            'Unknown command "learn". Did you mean "plan"? Available commands: inspect, fit, '
            "evaluate, route, serve, refit, rollback, newcomer (see",
        ),
        ("fit", "LOG is needed (see routerjax fit --help)"),
        ("fit log.jsonl", "--out is needed"),
        (
            "fit log.jsonl --out r --seed one",
            "Invalid value for --seed: 'one' is not a whole number",
        ),
        (
            "fit log.jsonl --out r --epochs 1.5",
            "Invalid value for --epochs: '1.5' is not a whole number",
        ),
        ("fit log.jsonl --out r --floor low", "Invalid value for --floor: 'low' is not a number"),
        ("fit log.jsonl --out r --cost-weights 1,,2", "is not a list of numbers, as in 0,10,100"),
        ("fit log.jsonl --out r --colour red", "Unknown option: --colour"),
        ("evaluate run", "DATA is needed"),
        ("route run --prompt x", "give --cost-weight, or --explain for every cost weight"),
        ("route run --cost-weight= --prompt x", "give --cost-weight, or --explain for every"),
        ("route run --explain --probabilities --prompt x", "those at one --cost-weight; give it"),
        ("route run --cost-weight 5", "give one of --prompt, --prompts and --embeddings"),
        (
            "route run --cost-weight much --prompt x",
            "'much' is not a list of numbers, as in 0,10,100",
        ),
        (
            "route run --cost-weight 5 --prompt x --prompts y",
            "give one of --prompt, --prompts and --embeddings",
        ),
        ("simulate", "--out is needed"),
        (
            "simulate --out l.csv --policy best",
            "--policy is 'best'; it must be one of uniform, quality, cheap",
        ),
    ],
)
def test_arguments_that_are_missing_or_wrong(refused, arguments, message):
    refused(*arguments.split(), message=message)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--cost-weights nan", "cost weights are nan; each must be finite, 0 or more"),
        ("--cost-weights=-1,5", "cost weights are -1, 5; each must be finite"),
        ("--cost-weights inf", "cost weights are inf"),
        ("--epochs 0", "epochs is 0; at least 1 is needed"),
        ("--epochs -3", "epochs is -3"),
        ("--seed -1", "seed is -1; it must lie between 0 and 4294967295"),
        ("--seed 99999999999999999999", "seed is 99999999999999999999"),
        ("--floor -1", "floor is -1"),
        ("--floor 2", "floor is 2; it must be 0 or more and below 1"),
        ("--validation 1.5", "validation share is 1.5; it must lie between 0 and 1"),
        ("--learning-rate nan", "learning rate is nan"),
        ("--surrogate hinge", "no surrogate 'hinge'; known are classification_bound, softmax_"),
        ("--surrogate no.py:loss", "no.py: no such file, where a surrogate was expected"),
        ("--surrogate log.jsonl:loss", "no surrogate 'log.jsonl:loss'"),
        ("--estimator best", "no estimator 'best'; known are direct, ips, dr"),
        (
            "--architecture moe",
            "no architecture 'moe'; known are plug-in, interval, shared, separate",
        ),
        ("--quality-range 1:0", "'1:0' is not LO:HI"),
        ("--columns quality=score", "no column 'score' to read quality from; its columns are"),
        ("--columns grade=quality", "'grade' is not a column that can be named here"),
        ("--embeddings none.npy", "none.npy: no such file"),
    ],
)
def test_fit_refuses_settings(refused, here, options, message):
    write(here / "log.jsonl", log_rows(60))
    refused("fit", "log.jsonl", "--out", "run", "--quiet", *options.split(), message=message)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (log_rows(49), "49 rows to learn from are too few; at least 50 are needed"),
        (log_rows(60, model=dict.fromkeys(range(60), "tiny")), "two models, and this holds 'tiny'"),
        (log_rows(60, quality={4: None}), "column 'quality', row 4: no quality here"),
        (log_rows(60, quality={4: float("nan")}), "column 'quality', row 4: no quality here"),
        (log_rows(60, quality={4: 7}), "column 'quality', row 4: quality is 7, outside [0, 1]"),
        (log_rows(60, quality={4: "good"}), "column 'quality', row 4: 'good' is not a number"),
        (log_rows(60, cost={4: -1}), "column 'cost', row 4: cost is -1; it must be 0 or more"),
        (log_rows(60, cost={4: None}), "column 'cost', row 4: no cost here"),
        (log_rows(60, prompt={4: ""}), "column 'prompt', row 4: no prompt here"),
        (log_rows(60, model={4: None}), "column 'model', row 4: no model here"),
        (
            log_rows(60, propensity={i: float(i != 4) for i in range(60)}),
            "column 'propensity', row 4: propensity of the model that answered is 0",
        ),
        (
            log_rows(60, propensity={i: 0.5 + (i == 4) for i in range(60)}),
            "row 4: propensity of the model that answered is 1.5; it must lie above 0 and be at",
        ),
        (log_rows(60, split=dict.fromkeys(range(60), "trian")), "unknown split 'trian'; known"),
        (log_rows(60, split=dict.fromkeys(range(60), "test")), "every row is in the test split"),
        ([{"question": "x", "answer": "y"}], "is neither a log (prompt, model, quality, cost) nor"),
        (
            table_rows(60),
            "is a table of every model's answers; fit learns from a log of one answer",
        ),
    ],
)
def test_fit_refuses_logs(refused, here, rows, message):
    write(here / "log.jsonl", rows)
    refused("fit", "log.jsonl", "--out", "run", "--quiet", message=message)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("log.jsonl", b"", "log.jsonl: the file is empty"),
        ("log.csv", b"prompt,model,quality,cost\n", "log.csv: there are no rows"),
        ("log.parquet", b"PAR1 and no more", "log.parquet: cannot be read as parquet"),
        ("log.jsonl", b'{"prompt": "x"\n', "log.jsonl, row 0: is not valid JSON"),
        ("log.txt", b"prompt", "has the unknown suffix '.txt'; use .parquet, .csv, .tsv"),
        (None, b"", "log.jsonl: no such file"),
    ],
)
def test_fit_refuses_files(refused, here, name, content, message):
    if name:
        (here / name).write_bytes(content)
    refused("fit", name or "log.jsonl", "--out", "run", "--quiet", message=message)


def test_a_data_set_of_the_hub_without_a_network(refused, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    refused("fit", "some/data", "--out", "run", message="some/data: no such file, and no data set")


def test_fit_refuses_places(refused, here):
    write(here / "log.jsonl", log_rows(60))
    (here / "diary").mkdir()
    (here / "diary" / "entry.txt").write_text("dear diary")
    fit = ("fit", "log.jsonl", "--quiet", "--out")
    taken = "exists and is not a folder that routerjax wrote (no router.json in it); choose another"
    refused(*fit, "diary", message=f"diary: {taken}")
    refused(*fit, "diary", "--overwrite", message=f"diary: {taken}")
    refused(*fit, "log.jsonl", "--overwrite", message=f"log.jsonl: {taken}")
    refused(*fit, ".", message=f".: {taken}")
    refused(*fit, "log.jsonl/run", message="log.jsonl/run: cannot be written (")


def test_run_folders_that_are_none(refused, folder, here):
    (here / "diary").mkdir()
    write(here / "table.jsonl", table_rows())
    for command in (
        ("route", "--cost-weight", "5", "--prompt", "x"),
        ("evaluate", "table.jsonl"),
    ):
        run = (command[0], "{}", *command[1:])
        expect = {
            "none": "none: no such folder, where a fitted router was expected",
            "table.jsonl": "table.jsonl: no such folder, where a fitted router was expected",
            "diary": "diary: not a router that `routerjax fit` finished (router.json is missing)",
        }
        for name, message in expect.items():
            refused(*(name if part == "{}" else part for part in run), message=message)


def test_a_damaged_run_folder(refused, folder, here):
    shutil.copytree(folder / "run", here / "run")
    (largest,) = (here / "run").glob("parameters-*")
    largest.write_bytes(largest.read_bytes()[:100])
    route = ("route", "run", "--cost-weight", "5", "--prompt", "x")
    refused(*route, message="the saved arrays have other shapes than declared, or are damaged")
    (here / "run" / "router.json").write_text('{"format": 99}')
    refused(*route, message="run: router.json is not of format 1")
    (here / "run" / "router.json").write_text("{")
    refused(*route, message="run: router.json is damaged")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--cost-weight", "500", "--prompt", "x"], "500 is outside the fitted range 0 to 100"),
        (["--cost-weight=-5", "--prompt", "x"], "cost weight -5 is outside the fitted range"),
        (["--cost-weight", "nan", "--prompt", "x"], "cost weight nan is outside"),
        (["--cost-weight", "5", "--prompt", ""], "--prompt is empty; a prompt is needed"),
        (["--cost-weight", "5", "--prompt", "  "], "--prompt is empty; a prompt is needed"),
        (["--cost-weight", "5", "--prompts", "no.txt"], "no.txt: cannot be read (No such file"),
        (["--cost-weight", "5", "--prompts", "."], ".: cannot be read (Is a directory)"),
        (["--cost-weight", "5", "--prompts", "empty"], "empty: is empty; one prompt a line is"),
        (["--cost-weight", "5", "--prompts", "gap"], "gap, row 1: the line is empty"),
        (["--cost-weight", "5", "--prompts", "e7.npy"], "e7.npy, row 0: is not UTF-8 text"),
        (["--cost-weight", "5", "--embeddings", "no.npy"], "no.npy: no such file"),
        (["--cost-weight", "5", "--embeddings", "gap"], "gap: cannot be read as .npy"),
        (["--cost-weight", "5", "--embeddings", "nan.npy"], "nan.npy, row 2: not a finite number"),
        (
            ["--cost-weight", "5", "--embeddings", "e7.npy"],
            "have shape (3, 7); this router takes rows of 257 numbers made by 'wordllama+length'",
        ),
    ],
)
def test_route_refuses(refused, folder, here, options, message):
    (here / "empty").write_text("")
    (here / "gap").write_text("one\n\nthree\n")
    np.save(here / "e7.npy", np.ones((3, 7), np.float32))
    np.save(here / "nan.npy", np.where(np.arange(3)[:, None] == 2, np.nan, np.ones((3, 257))))
    refused("route", f"{folder}/run", *options, message=message)


def test_evaluate_refuses(refused, folder, here):
    write(here / "other.jsonl", table_rows(models=("large", "huge")))
    write(here / "strange.jsonl", log_rows(60, model={7: "huge"}))
    write(here / "short.jsonl", table_rows(3))
    np.save(here / "e7.npy", np.resize(np.eye(7, dtype=np.float32), (30, 7)))
    table = f"{folder}/table.jsonl"
    evaluate = ("evaluate", f"{folder}/run", "--quiet")
    refused(*evaluate, "no.jsonl", message="no.jsonl: no such file")
    refused(*evaluate, "other.jsonl", message="other.jsonl: no column for small, tiny")
    refused(*evaluate, "strange.jsonl", message="row 7: answered by 'huge', not one of large, sm")
    refused(*evaluate, table, "--cost-weights", "101", message="101 is outside the fitted range")
    refused(*evaluate, table, "--log", "no.jsonl", message="no.jsonl: no such file")
    refused(*evaluate, table, "--log", table, message="no column 'model'")
    refused(*evaluate, table, "--quality-range", "0:9", message="give the same --quality-range")
    refused(
        *evaluate,
        table,
        "--embeddings",
        "e7.npy",
        message="embeddings hold 7 numbers a row; this router takes 257",
    )
    refused(*evaluate, "short.jsonl", "--embeddings", "e7.npy", message="where the file has 3")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("table.jsonl --out l.txt", "l.txt: unknown suffix '.txt'"),
        ("table.jsonl --out l.csv --test t.txt", "t.txt: unknown suffix '.txt'"),
        ("table.jsonl --out table.jsonl", "TABLE, --out and --test must be different files"),
        ("table.jsonl --out l.csv --test ./l.csv", "TABLE, --out and --test must be different"),
        ("table.jsonl --out table.jsonl/l.csv", "table.jsonl/l.csv: cannot be written ("),
        ("table.jsonl --out l.csv --seed -1", "seed is -1; it must lie between"),
        ("table.jsonl --out l.csv --test-share 0", "test share is 0; it must lie between 0 and 1"),
        ("table.jsonl --out l.csv --strength nan", "the logging policy must give probabilities"),
        ("log.jsonl --out l.csv", "log.jsonl: is a log of one answer a row already"),
        ("no.jsonl --out l.csv", "no.jsonl: no such file"),
        ("--out l.csv --rows 0", "queries is 0; at least 1 is needed"),
        ("--out l.csv --rows 1", "one row cannot be split"),
    ],
)
def test_simulate_refuses(refused, here, options, message):
    write(here / "table.jsonl", table_rows())
    write(here / "log.jsonl", log_rows())
    refused("simulate", *options.split(), message=message)


def test_an_interrupt_is_no_traceback(folder, capsys, monkeypatch):
    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("routerjax.artefacts.router.Router.load", interrupt)
    assert main(["route", "run", "--cost-weight", "5", "--prompt", "x"]) == 130
    assert capsys.readouterr().err == "routerjax: interrupted\n"


def test_rows_left_out_are_counted_on_standard_error(folder, here, capsys):
    write(here / "log.jsonl", log_rows(121, quality={120: None}))
    arguments = ["fit", "log.jsonl", "--out", "run", "--quiet", "--drop-missing", "--json"]
    assert main([*arguments, "--cost-weights", "0,10,100", *TRAINED]) == 0
    captured = capsys.readouterr()
    assert "warning: log.jsonl: left out 1 of 121 rows: 1 without quality" in captured.err
    document = json.loads(captured.out)
    assert document["rows"]["log"] == 96
    assert any("left out 1 of 121 rows" in each for each in document["warnings"])
    assert main(["inspect", "log.jsonl", "--json"]) == 0  # what was warned of before is gone
    assert "left out" not in "".join(json.loads(capsys.readouterr().out)["warnings"])


def interrupted_fit(monkeypatch, stage: str, *options: str) -> int:
    """`routerjax fit` in the current folder, interrupted at the first news of a stage."""

    @contextlib.contextmanager
    def bars(*, quiet):
        def on_progress(name, done, at_most):
            if name == stage:
                raise KeyboardInterrupt

        yield on_progress

    with monkeypatch.context() as patch:
        patch.setattr("routerjax.cli.progress.progress_bars", bars)
        return main(["fit", "log.jsonl", "--out", "new", "--checkpoint-every", "5", *options])


@pytest.fixture
def with_log(here, folder) -> Path:
    """The current folder with a log in it."""
    shutil.copy(folder / "log.jsonl", here)
    return here


@pytest.mark.slow
def test_an_interrupted_fit_is_taken_up_where_it_was(with_log, monkeypatch, refused, capsys):
    here = with_log
    quick = (*TRAINED, "--nuisance.outcomes", "network", "--cost-weights", "0,50")
    assert main(["fit", "log.jsonl", "--out", "whole", "--quiet", *quick]) == 0
    assert not (here / "whole.checkpoints").exists()
    assert interrupted_fit(monkeypatch, "endpoints", *quick) == 130
    assert (here / "new.checkpoints" / "quality").is_dir() and not (here / "new").exists()
    said = "routerjax: interrupted; the same command with --resume continues\n"
    assert capsys.readouterr().err.endswith(said)
    again = ("fit", "log.jsonl", "--out", "new", *quick)
    refused(*again, message="an interrupted run left checkpoints here; take them up with --resume")
    message = "these checkpoints were made with config.seed 0, not 1"
    refused(*again, "--resume", "--seed", "1", message=message)
    assert main([*again, "--resume", "--quiet"]) == 0
    assert not (here / "new.checkpoints").exists()
    one, two = (json.loads((here / name / "router.json").read_text()) for name in ("whole", "new"))
    assert one["sha256"]["arrays"] == two["sha256"]["arrays"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--checkpoint-every -1", "--checkpoint-every is -1; it must be 0 or more"),
        ("--checkpoint-every 0 --resume", "--resume has no effect with --checkpoint-every 0"),
        ("--devices some", "'some' is neither auto nor a whole number"),
        ("--devices 0", "0 devices asked for; at least 1 is needed"),
        ("--devices 99", "99 devices asked for; JAX finds"),
        ("--sweep-mode rows", "--sweep-mode is 'rows'; it must be one of auto, map, vmap"),
        ("--parallel all", "--parallel is 'all'; it must be one of runs, rows, both"),
    ],
)
def test_training_options_that_cannot_be(with_log, refused, options, message):
    refused("fit", "log.jsonl", "--out", "new", *TRAINED, *options.split(), message=message)


@pytest.mark.parametrize(
    "option",
    ["--devices 1", "--parallel runs", "--checkpoint-every 5", "--sweep-mode map", "--resume"],
)
def test_training_options_of_a_fit_that_trains_nothing(with_log, refused, option):
    why = "has no effect on a plug-in router of pooled outcome models: nothing is trained"
    refused(
        "fit", "log.jsonl", "--out", "new", *option.split(), message=f"{option.split()[0]} {why}"
    )


def test_an_interrupt_promises_what_is_true(with_log, monkeypatch, capsys):
    """An interrupt while the log is read leaves nothing, one of a training leaves checkpoints."""
    assert interrupted_fit(monkeypatch, "endpoints", *TRAINED, "--cost-weights", "0,50") == 130
    said = "routerjax: interrupted; the same command with --resume continues\n"
    assert capsys.readouterr().err.endswith(said)
    assert sorted(path.name for path in with_log.iterdir()) == ["log.jsonl", "new.checkpoints"]

    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("routerjax.cli.fit.read", interrupt)
    assert main(["fit", "log.jsonl", "--out", "other"]) == 130
    assert capsys.readouterr().err == "routerjax: interrupted\n"
    assert sorted(path.name for path in with_log.iterdir()) == ["log.jsonl", "new.checkpoints"]


def test_an_encoder_that_is_not_ours_is_named_by_the_commands(with_log, folder, refused, capsys):
    """The model is nowhere, so that trusting it ends in the sentence of the encoders."""
    router = dataclasses.replace(rj.Router.load(folder / "run"), encoder="./model")
    router.save(with_log / "run")
    route = ("route", "run", "--prompt", "x", "--cost-weight", "5")
    sentence = "run: names the encoder './model', which is none of routerjax's own"
    refused(*route, message=sentence)
    refused("evaluate", "run", "log.jsonl", message=sentence)
    refused(*route, "--trust-encoder", message="encoder './model' is not")
