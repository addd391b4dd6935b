"""Few gold labels among many cheap ones, from the command line."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

import routerjax as rj
from routerjax.artefacts.gains import SavedGains
from routerjax.cli.commands import main
from routerjax.data.io.gain_labels import read_labels
from routerjax.pipelines import fit_log
from routerjax.pipelines.fit_gains import decision_curve, default_cost_weights
from routerjax.reports.console import print_fit

COSTS = ["--costs", "0.01,0.002", "--models", "big,small"]


def write(path: Path, rows: list[dict]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def mixed_rows() -> list[dict]:
    """A log of two models in which every third row is scored by a human."""
    return [
        {
            "embedding": [float(i), 1.0],
            "model": "ab"[i % 2],
            "quality": i % 5 / 4,
            "cost": (0.004, 0.001)[i % 2],
            "source": "judge" if i % 3 else "human",
        }
        for i in range(60)
    ]


def gain_rows(count: int = 200) -> list[dict]:
    """Gain x₀ by gold on every fourth row; by preference on the others, 1 too much.

    Every twentieth row has both labels, the last row none.
    """
    rng = np.random.default_rng(1)
    rows: list[dict] = []
    for i in range(count):
        x = rng.normal(size=3)
        gold = {"GL": x[0] + rng.normal(0, 0.1)} if i % 4 == 0 else {}
        cheap = {"PL": x[0] + 1 + rng.normal(0, 0.1)} if i % 4 or i % 20 == 0 else {}
        rows.append({"embedding": x.tolist()} | gold | cheap)
    return [*rows, {"embedding": [0.0, 0.0, 0.0]}]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A mixed log, labels of gains and a router of gains; not to be changed."""
    folder = tmp_path_factory.mktemp("gains")
    write(folder / "log.jsonl", mixed_rows())
    labels = write(folder / "labels.jsonl", gain_rows())
    assert main(["fit", labels, "--gains", *COSTS, "--out", f"{folder}/gains"]) == 0
    return folder


@pytest.fixture(scope="module")
def corrected(world) -> rj.Router:
    """Fitted on the world's log, two rows in three scored 0.8 + 0.2 q by a judge instead of q.

    Ten more rows are of the test split, where the human's scores are nonsense.
    """
    log = world.log.rows(np.r_[0:200, 0:10])
    gold = (np.arange(210) % 3 == 0) | (np.arange(210) >= 200)
    quality = np.where(gold, log.quality, 0.8 + 0.2 * log.quality).astype(np.float32)
    quality[200:] = 1.0
    split = ["train"] * 200 + ["test"] * 10
    scored_by = tuple(np.where(gold, "human", "judge").tolist())
    log = log.replace(quality=quality, split=tuple(split), scored_by=scored_by)
    return rj.fit(log, gold="human", config=world.config)


def manifest(run: Path) -> dict:
    return json.loads((run / "router.json").read_text())


# --- gold scores in a log ---


def test_the_judges_scores_are_corrected(corrected, world):
    """Of the 160 rows that are not set apart: 57 human scores and 103 of the judge."""
    report = corrected.report["correction"]
    learnt = np.flatnonzero(corrected.has_seen(world.log))
    judged = learnt % 3 > 0
    assert len(learnt) == 160 and (judged.sum(), (~judged).sum()) == (103, 57)
    assert (report["gold"], report["gold_rows"], report["judge_rows"]) == ("human", 57, 103)
    gold_arms = world.log.arms[learnt[~judged]]
    assert report["gold_rows_by_model"] == [int((gold_arms == arm).sum()) for arm in range(3)]
    quality = world.log.quality[learnt[judged]]
    right = quality - (0.8 + 0.2 * quality)
    assert report["mean_correction"] == pytest.approx(right.mean(), abs=0.1)
    assert report["overlap"]["arm_rows"] == (103, 57)
    # what the router expects is near the truth, half, where the judge's word would be 0.8 or more
    expected = np.asarray(corrected.expected(world.table.embeddings).quality)
    assert expected.mean() == pytest.approx(world.table.quality.mean(), abs=0.1)


def test_the_page_of_a_corrected_log_counts_gold_scores_alone(corrected):
    """Of 40 rows set apart ten are gold: the interval is as wide as ten rows make it."""
    (today, *_) = (e for e in corrected.report["evaluation"]["lines"] if e["method"] == "today")
    assert today["effective_sample_size"] == 10.0
    assert today["utility"]["high"] - today["utility"]["low"] > 0.3


def test_the_router_keeps_the_unit_of_quality(corrected, world):
    assert corrected.quality_range == (0.0, 1.0)
    assert rj.evaluate(corrected, world.fresh, cost_weights=(64.0,)).quality_range == (0.0, 1.0)


def test_the_report_says_so_in_a_sentence(corrected):
    console = Console(file=io.StringIO(), soft_wrap=True)
    print_fit(corrected, console)
    mean = corrected.report["correction"]["mean_correction"]
    sentence = f"The 103 scores that are not gold were corrected by {mean:+.3f} on average"
    assert f"{sentence}, learnt from 57 gold ones" in console.file.getvalue()


def test_the_command_line_names_column_and_value(folder, tmp_path, monkeypatch, corrected, capsys):
    asked = {}

    def fit(log, *, gold, config, drop_unlogged, execution):
        asked.update(scored_by=log.scored_by, gold=gold)
        return corrected

    monkeypatch.setattr(fit_log, "fit", fit)
    arguments = ["fit", f"{folder}/log.jsonl", "--out", f"{tmp_path}/run", "--quiet", "--json"]
    assert main([*arguments, "--gold-column", "source=human"]) == 0
    assert asked == {"scored_by": ("human", "judge", "judge") * 20, "gold": "human"}
    assert json.loads(capsys.readouterr().out)["correction"]["gold_rows"] == 57
    assert manifest(tmp_path / "run")["report"]["correction"]["judge_rows"] == 103
    assert main([*arguments, "--overwrite"]) == 0
    assert asked == {"scored_by": None, "gold": None}


def test_gold_without_a_column(world):
    with pytest.raises(rj.InputError, match="column 'scored_by': no column says how each row was"):
        rj.fit(world.log, gold="human", config=world.config)


def test_the_column_travels_with_the_log(tmp_path):
    log = rj.Log.from_arrays(
        np.arange(4) % 2,
        np.zeros(4),
        np.full(4, 0.01),
        models="ab",
        prompts="wxyz",
        scored_by=("human", "j", "j", "human"),
    )
    rj.write_log(log, tmp_path / "log.csv")
    assert rj.read_log(tmp_path / "log.csv").scored_by == ("human", "j", "j", "human")
    assert log.rows([0, 2]).scored_by == ("human", "j")
    renamed = rj.read_log(tmp_path / "log.csv", columns={"task": "scored_by"})
    assert (renamed.task, renamed.scored_by) == (log.scored_by, None)
    with pytest.raises(rj.InputError, match="column 'scored_by': holds 1 rows where quality has 4"):
        log.replace(scored_by=("human",))


# --- two models ---


def test_gains_for_people(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arguments = ["fit", f"{folder}/labels.jsonl", "--gains", *COSTS, "--out", "run"]
    assert main([*arguments, "--cost-weights", "50,0"]) == 0
    printed = capsys.readouterr().out
    # every fourth of 200 rows is gold, every twentieth both; one row has no label
    assert "50 gold and 160 preference labels to learn from (1 rows without either" in printed
    assert "Gain over always small on 10 gold labels, by a router fitted without them" in printed
    assert printed.endswith("wrote run\n")
    lines = [line.split()[:2] for line in printed.splitlines() if line.startswith(("0  ", "50  "))]
    assert lines == [["0", "0.000"], ["50", "0.400"]]  # 50 · (0.01 − 0.002)
    one, two = manifest(tmp_path / "run"), manifest(folder / "gains")
    assert one["sha256"]["arrays"] == two["sha256"]["arrays"]  # same labels, same seed, same bits
    assert main(arguments) == 2
    assert "run: exists already; choose another or add --overwrite" in capsys.readouterr().err


def test_the_manifest_of_gains(folder):
    saved = manifest(folder / "gains")
    assert (saved["kind"], saved["models"], saved["costs"]) == (
        *("gains", ["small", "big"]),
        [0.002, 0.01],
    )
    assert (saved["encoder"], saved["dimensions"], saved["components"]) == (None, 3, 3)
    report = saved["report"]
    assert report["rows"] == {"gold": 50, "preference": 160, "dropped": 1}
    assert report["held_out"] == 10
    assert report["bias"]["mean"] == pytest.approx(-1, abs=0.1)
    assert saved["provenance"]["seed"] == 0 and saved["provenance"]["config"]["learner"] == "dr"
    shares = [line["share"] for line in report["decision_curve"]]
    assert report["decision_curve"][0]["cost_weight"] == 0
    assert shares == sorted(shares, reverse=True) and shares[0] > shares[-1]


def test_routes_of_gains(folder, tmp_path, capsys):
    queries = np.zeros((3, 3), np.float32)
    queries[:, 0] = 2, 0.5, -2  # the primary's gain by gold
    np.save(tmp_path / "q.npy", queries)
    arguments = ["route", f"{folder}/gains", "--embeddings", f"{tmp_path}/q.npy"]
    assert main([*arguments, "--cost-weight", "100", "--json"]) == 0  # needs a gain of 0.8
    document = json.loads(capsys.readouterr().out)
    assert document["cost_weight"] == 100
    assert [route["model"] for route in document["routes"]] == ["big", "small", "small"]
    assert [route["cost"] for route in document["routes"]] == [0.01, 0.002, 0.002]
    gains = [route["gain"] for route in document["routes"]]
    np.testing.assert_allclose(gains, [2, 0.5, -2], atol=0.2)
    assert main([*arguments, "--cost-weight", "0"]) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [line[0] for line in lines] == ["big", "big", "small"]
    assert lines[2][1:] == [f"gain {gains[2]:+.3f}", "$0.002000"]


def test_the_authors_columns_with_both_labels(tmp_path, capsys):
    x = np.random.default_rng(2).normal(size=(60, 2))
    rows = "".join(f"{a},{b},{a},{a + 1}\n" for a, b in x)
    (tmp_path / "labels.csv").write_text("embd.PC1,embd.PC2,GL,PL\n" + rows)
    arguments = ["fit", f"{tmp_path}/labels.csv", "--gains", *COSTS, "--learner", "r", "--json"]
    assert main([*arguments, "--out", f"{tmp_path}/run", "--validation", "0.5"]) == 0
    report = json.loads(capsys.readouterr().out)
    # every query counts once for each label; half of them judge a router fitted on the others
    assert report["rows"] == {"gold": 60, "preference": 60, "dropped": 0}
    assert report["held_out"] == 30
    assert report["bias"]["mean"] == pytest.approx(-1, abs=0.05)
    routes = SavedGains.load(tmp_path / "run").route(np.float32([[1, 0], [-1, 0]]), cost_weight=0)
    assert routes.models == ("big", "small")


def test_decision_curve_by_hand():
    lines = decision_curve(
        np.array([3.0, 1.0, -1.0, 2.0]),
        np.array([1.0, 0.0, 5.0, 3.0]),
        costs=(0.001, 0.011),
        cost_weights=(0.0, 150.0),
    )
    assert [line["share"] for line in lines] == [0.75, 0.5]
    last = lines[1]
    assert last["threshold"] == pytest.approx(1.5) and last["cost"] == pytest.approx(0.006)
    assert last["gain"]["mean"] == 1.0  # (1 + 0 + 0 + 3) / 4
    assert last["gain"]["standard_error"] == pytest.approx(2**0.5 / 2)
    assert last["at_random"] == pytest.approx(0.5 * 9 / 4)


@pytest.mark.parametrize(
    ("sign", "costs", "expected"),
    [
        (1, (0.0, 0.01), (0, 100, 200, 300, 400, 500, 600, 700, 800, 900)),
        (-1, (0.01, 0.0), (0, 100, 200, 300, 400, 500, 600, 700, 800, 900)),  # a cheaper primary
        (-1, (0.0, 0.01), (0,)),
        (1, (0.01, 0.01), (0,)),
    ],
)
def test_default_cost_weights(sign, costs, expected):
    assert default_cost_weights(sign * np.arange(11.0), costs) == expected


def test_prompts_that_repeat_are_one_query(tmp_path):
    rows = [{"prompt": f"question {i % 3}", "GL": 0.1 * i, "PL": None} for i in range(6)]
    labels = read_labels(write(tmp_path / "labels.jsonl", rows))
    assert labels.groups.tolist() == [0, 1, 2, 0, 1, 2]
    assert labels.encoder == "wordllama" and np.isnan(labels.preference).all()


# --- what cannot be used ---

FIT = ["fit", "{folder}/log.jsonl", "--out", "out", "--quiet", "--gold-column"]
GAINS = ["fit", "{folder}/labels.jsonl", "--out", "out", "--gains"]
ROUTE = ["route", "{folder}/gains", "--prompt", "hello", "--cost-weight"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([*FIT, "source"], "--gold-column source=VALUE is for a column of words"),
        ([*FIT, "source="], "'source=' is not COLUMN=VALUE, as in source=human"),
        ([*FIT, "origin=human"], "no column 'origin' to read scored_by from; its columns are"),
        ([*FIT, "source=nobody"], "column 'scored_by': no row has a gold score"),
        ([*FIT, "source=human", "--gains"], "--gold-column has no effect with --gains"),
        ([*FIT, "source=human", "--learner", "r"], "--learner has no effect without --gains"),
        (GAINS, "--gains needs --costs PRIMARY,ALTERNATIVE"),
        ([*GAINS, *COSTS, "--floor", "0.1"], "--floor has no effect with --gains"),
        ([*GAINS, *COSTS, "--gold", "score"], "no column 'score'; its columns are embedding, GL"),
        ([*GAINS, *COSTS, "--group", "who"], "no column 'who'; its columns are embedding, GL"),
        ([*GAINS, *COSTS, "--preference", "embedding"], "column 'embedding': holds list"),
        ([*GAINS, "--costs", "0.1"], "Invalid value for --costs: '0.1' has 1 parts; 2 are needed"),
        ([*GAINS, "--costs", "0.1,-1"], "cost must be 0 or more US dollars per query"),
        ([*GAINS, *COSTS[:2], "--models", "a,a"], "models are a, a; two different names"),
        ([*GAINS, *COSTS, "--components", "9"], "components is 9, but the features have 3"),
        ([*GAINS, *COSTS, "--components", "-1"], "components is -1; it must be 0 or more"),
        ([*GAINS, *COSTS, "--cost-weights", "0,-5"], "cost weight is -5; it must be finite"),
        ([*GAINS, *COSTS, "--validation", "1"], "validation share is 1; it must lie between"),
        ([*GAINS, *COSTS, "--validation", "0.9"], "50 queries have a gold label, 45 of them held"),
        (["evaluate", "{folder}/gains", "{folder}/log.jsonl"], "is of kind 'gains', where"),
        ([*ROUTE, "-1"], "cost weight is -1; it must be finite, 0 or more"),
        ([*ROUTE, "nan"], "cost weight is nan; it must be finite, 0 or more"),
        ([*ROUTE, "5"], "cannot encode prompts; give it embeddings of 3 numbers"),
        ([*ROUTE, "5", "--probabilities"], "a router of gains (fit --gains) has none"),
    ],
)
def test_refused_in_a_sentence(folder, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    assert main([argument.format(folder=folder) for argument in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and not list(tmp_path.iterdir())
    assert captured.err.startswith("routerjax: ") and captured.err.count("\n") == 1, captured.err
    assert message in captured.err


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"GL": None}, "labels.jsonl, column 'GL': no row has a gold label; both kinds are needed"),
        ({"GL": None, "PL": None}, "no row has a label in 'GL' or 'PL'"),
        ({"PL": None}, "labels.jsonl, column 'PL': no row has a preference label"),
        ({"GL": 1e300}, "labels.jsonl, column 'GL', row 0: gain is inf, not a finite number"),
        ({"PL": "much"}, "column 'PL', row 0: 'much' is not a number"),
        ({"embedding": None, "PL": 1.0}, "column 'embedding'"),
    ],
)
def test_labels_that_cannot_be_used(tmp_path, capsys, changes, message):
    path = write(tmp_path / "labels.jsonl", [row | changes for row in gain_rows()])
    assert main(["fit", path, "--gains", *COSTS, "--out", f"{tmp_path}/run"]) == 2
    captured = capsys.readouterr()
    assert message in captured.err and captured.err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_damage_is_noticed(folder, tmp_path, capsys):
    run = Path(shutil.copytree(folder / "gains", tmp_path / "run"))
    saved = manifest(run)
    route = ["route", str(run), "--prompt", "hello", "--cost-weight", "1"]
    for changes in ({"components": 2}, {"kind": "router"}):
        (run / "router.json").write_text(json.dumps(saved | changes))
        assert main(route) == 2
        assert "router.json is not as it was written" in capsys.readouterr().err
    (run / "router.json").write_text(json.dumps(saved))
    for path in run.glob("parameters-*"):
        path.unlink()
    assert main(route) == 2
    assert "the saved arrays are missing" in capsys.readouterr().err
