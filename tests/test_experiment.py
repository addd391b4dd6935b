"""The causal routing study: its smoke preset end to end, its tables by hand."""

import dataclasses
import json

import numpy as np
import pytest

from experiments.causal_routing.__main__ import main
from experiments.causal_routing.config import Smoke
from experiments.causal_routing.data import table_at_prices
from experiments.causal_routing.repetition import Setting, _members, _split
from routerjax.errors import InputError
from routerjax.reports.tables import (
    by_seed,
    cost_weight_sheet,
    gap_share,
    markdown,
    paired_advantage,
    to_markdown,
)


def _run(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["causal_routing", *arguments])
    return main()


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    out = folder / "results"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROUTERJAX_CACHE", str(folder / "cache"))
        assert _run(patch, "--preset", "smoke", "--out", str(out), "--quiet") == 0
    head, *records = map(json.loads, (out / "results.jsonl").read_text().splitlines())
    return out, head, records


@pytest.fixture
def results(smoke):
    """One record per method, seed and cost weight."""
    return [record for record in smoke[2] if record["record"] == "result"]


@pytest.mark.slow
def test_results_carry_their_provenance(smoke):
    _, head, records = smoke
    assert head["record"] == "provenance"
    assert head["config"]["seeds"] == 2 and head["seeds"] == [0, 1]
    assert set(head["versions"]) >= {"python", "jax", "flax", "optax", "numpy"}
    assert len(head["data_fingerprint"]) == 16
    assert "git_commit" in head
    assert {r["record"] for r in records} == {"result", "reference", "overlap", "label_error"}


@pytest.mark.slow
def test_every_method_at_every_cost_weight_and_seed(results):
    methods = {r["method"] for r in results}
    assert methods >= {
        "random",
        "logging-policy",
        "best-single-log",
        "best-single-hindsight",
        "knn-plug-in",
        "regression-plug-in",
        "rm-softmax-dr",
        "rm-softmax-full-feedback",
        "oracle",
        "cheapest",
        "greedy",
        "ips-greedy",
        "dr-forest",
        "knn-plug-in-full-feedback",
        "rm-classification-dr",
        "rm-interval-dr",
        "rm-interpolated-dr",
        "rm-conditioned-dr",
        "rm-affine-dr",
        "rm-trained-there-dr",
        "rm-interval-full-feedback",
    }
    assert len(results) == len(methods) * 5 * 2
    between = {r["cost_weight"] for r in results if r["held_out"]}
    assert between == {25.0, 275.0}  # halfway between 0, 50 and 500


@pytest.mark.slow
def test_architectures_of_the_same_endpoints_agree_on_the_grid(results):
    """rm-softmax, rm-interpolated and rm-interval share them and differ in between alone."""
    for name in ("interpolated", "interval"):
        for r in results:
            if r["method"] == f"rm-{name}-dr" and not r["held_out"]:
                same = {**r, "method": "rm-softmax-dr"}
                (own,) = [
                    o
                    for o in results
                    if all(o[k] == same[k] for k in ("method", "seed", "cost_weight"))
                ]
                assert own["utility"] == pytest.approx(r["utility"], abs=1e-6)


@pytest.mark.slow
def test_shares_and_references(smoke, results):
    assert all(sum(r["shares"]) == pytest.approx(1.0) for r in results)
    references = [r for r in smoke[2] if r["record"] == "reference"]
    assert [r["seed"] for r in references] == [0, 1]
    for reference in references:
        single = [
            r for r in results if r["method"] == "cheapest" and r["seed"] == reference["seed"]
        ]
        arm = int(np.argmax(single[0]["shares"]))
        assert single[0]["cost"] == pytest.approx(reference["mean_cost"][arm])
        assert reference["cheapest_cost"] <= min(reference["mean_cost"]) * (1 + 1e-6)
        assert reference["dearest_cost"] >= max(reference["mean_cost"]) * (1 - 1e-6)


@pytest.mark.slow
def test_nothing_beats_the_oracle_and_regret_is_what_is_missing(results):
    oracle = by_seed(results, "oracle", metric="utility")
    assert oracle.shape == (2, 5)
    for method in {r["method"] for r in results}:
        utility = by_seed(results, method, metric="utility")
        assert np.all(utility <= oracle + 1e-9)
        regret = by_seed(results, method, metric="regret")
        np.testing.assert_allclose(regret, oracle - utility, atol=1e-9)


@pytest.mark.slow
def test_utility_is_quality_less_weighted_cost(results):
    for r in results:
        assert r["utility"] == pytest.approx(r["quality"] - r["cost_weight"] * r["cost"], abs=1e-9)


@pytest.mark.slow
def test_files_are_written_and_say_that_the_table_is_synthetic(smoke):
    out, _, _ = smoke
    text = (out / "table.md").read_text()
    assert "synthetic" in text and "rm-softmax-dr" in text
    assert "synthetic" in (out / "report.md").read_text()
    for name in ("cost_quality", "utility", "sag", "shares", "winners_curse"):
        assert (out / f"{name}_quality.png").read_bytes().startswith(b"\x89PNG")
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


@pytest.mark.slow
def test_same_seed_same_numbers(smoke, tmp_path, monkeypatch):
    """A seed alone has the bits it has in company, whatever else is run."""
    monkeypatch.setenv("ROUTERJAX_CACHE", str(tmp_path / "cache"))
    arguments = ("--preset", "smoke", "--seeds", "1", "--methods", "rm-softmax-dr,rm-interval-dr")
    assert _run(monkeypatch, *arguments, "--out", str(tmp_path / "new"), "--quiet") == 0
    lines = (tmp_path / "new/results.jsonl").read_text().splitlines()[1:]
    again = [r for r in map(json.loads, lines) if r["record"] == "result"]
    methods = {r["method"] for r in again}
    assert methods == {
        "best-single-log",
        "oracle",
        "rm-softmax-full-feedback",
        "rm-softmax-dr",
        "rm-interval-dr",
    }
    assert again == [r for r in smoke[2] if r["seed"] == 0 and r.get("method") in methods]


def test_a_tables_own_splits_are_kept(world):
    """Its test rows are judged for every seed, its validation rows choose the epochs."""
    names = np.array(["train"] * 120 + ["validation"] * 50 + ["test"] * 30)
    names = np.random.default_rng(0).permutation(names)
    table, config = world.table.replace(split=tuple(names)), Smoke()
    setting = Setting("uniform", 1.0, None)
    for seed in range(2):
        test, logged = _split(table, config, None, seed)
        assert sorted(test) == list(np.flatnonzero(names == "test"))
        full = table.rows(logged)
        train, held_out = _members(full, config, setting, seed)
        assert train.shape == (2, 120) and held_out.shape == (2, 50)
        own = np.asarray(full.split)
        assert set(own[train[0]]) == {"train"} and set(own[held_out[1]]) == {"validation"}
    test, _ = _split(table, dataclasses.replace(config, test_share=0.25), None, 0)
    assert len(test) == 50 and set(names[test]) == {"train", "validation", "test"}
    train, held_out = _members(full, config, setting._replace(rows=100), 0)
    assert held_out.shape == (2, 34)  # a share of the 170 rows, as where there is no split


@pytest.mark.slow
def test_an_older_folder_is_kept_unless_told(smoke, monkeypatch, capsys):
    out, _, _ = smoke
    assert _run(monkeypatch, "--preset", "smoke", "--out", str(out), "--quiet") == 2
    assert "--overwrite" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--logging", "biased"], "no logging policy 'biased'"),
        (["--estimators", "dr,tmle"], "no estimator 'tmle'"),
        (["--surrogates", "hinge"], "no surrogate 'hinge'"),
        (["--seeds", "0"], "seeds is 0"),
        (["--cost-weights=-1,2"], "cost weights must be"),
        (["--table", "nowhere.parquet"], "nowhere.parquet"),
        (["--data", "t.pkl"], "--data has no effect without --dataset"),
        (["--prices", "p.csv"], "--prices has no effect without --dataset or --table"),
        (
            ["--table", "t.parquet", "--prices", "p.csv", "--derive-cost", "tokens=1e-6"],
            "costs are derived by --prices or by --derive-cost, not by both",
        ),
        (["--embeddings", "e.npy"], "have no effect without --table"),
        (["--seeds", "many"], "Invalid value for --seeds: 'many' is not a whole number"),
    ],
)
def test_wrong_options_end_with_one_sentence(tmp_path, monkeypatch, capsys, arguments, message):
    out = tmp_path / "out"
    assert _run(monkeypatch, "--preset", "smoke", "--out", str(out), "--quiet", *arguments) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not out.exists()


def test_a_table_without_costs_has_those_of_list_prices(tmp_path):
    """A prompt of 40 characters is 310 tokens: at $2 and $1 per million, $0.00062 and $0.00031."""
    table, prices = tmp_path / "t.jsonl", tmp_path / "prices.csv"
    row = {"prompt": "x" * 40, "score:large": 1.0, "score:small": 0.0}
    table.write_text(f"{json.dumps(row)}\n" * 3)
    prices.write_text("model,input,output\nlarge,2,2\nsmall,1,1\n")
    made = table_at_prices(str(table), str(prices), None, (0.0, 1.0))
    np.testing.assert_allclose(made.cost, [[0.00062, 0.00031]] * 3, rtol=1e-6)
    known = {**row, "cost:large": 0.1, "cost:small": 0.2}
    table.write_text(f"{json.dumps(known)}\n" * 3)
    with pytest.raises(InputError, match="has costs of its own; leave out --prices"):
        table_at_prices(str(table), str(prices), None, (0.0, 1.0))


RESULTS = [
    {"method": method, "seed": seed, "cost_weight": cost_weight, "utility": utility}
    for method, values in {
        "base": [[0.5, 0.3], [0.6, 0.2]],
        "mine": [[0.6, 0.4], [0.8, 0.3]],
        "full": [[0.9, 0.5], [0.9, 0.5]],
    }.items()
    for seed, row in enumerate(values)
    for cost_weight, utility in zip((0.0, 10.0), row, strict=True)
]


def test_paired_gain_by_hand():
    # by seed: (0.1 + 0.1)/2 and (0.2 + 0.1)/2
    gain = paired_advantage(RESULTS, "mine", "base")
    assert gain.mean == pytest.approx(0.125)
    assert gain.standard_error == pytest.approx(0.025)


def test_gap_share_by_hand():
    # means 0.4, 0.525, 0.7
    assert gap_share(RESULTS, "mine", base="base", ceiling="full") == pytest.approx(0.125 / 0.3)


def test_utility_table_by_hand():
    text = to_markdown(cost_weight_sheet(RESULTS, base="base", ceiling="full"))
    row = next(line for line in text.splitlines() if line.startswith("| mine"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells == [
        "mine",
        "0.700 ± 0.100",
        "0.350 ± 0.050",
        "0.525 ± 0.025",
        "+0.125 ± 0.025",
        "42%",
    ]


def test_markdown_is_aligned():
    assert markdown(["a", "bb"], [["ccc", "1"]]).splitlines() == [
        "| a   | bb |",
        "|-----|---:|",
        "| ccc |  1 |",
    ]
