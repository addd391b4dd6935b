"""The causal routing study: its smoke preset end to end, its tables by hand."""

import json

import numpy as np
import pytest

from experiments.causal_routing.__main__ import main
from routerjax.reports.tables import by_seed, gap_share, markdown, paired_gain, utility_table


def _run(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["causal_routing", *arguments])
    return main()


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    out = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROUTERJAX_CACHE", str(out / "cache"))
        assert _run(patch, "--preset", "smoke", "--out", str(out), "--quiet") == 0
    lines = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    return out, lines


def test_results_carry_their_provenance(smoke):
    _, (head, *results) = smoke
    assert head["record"] == "provenance"
    assert head["config"]["seeds"] == 2 and head["seeds"] == [0, 1]
    assert set(head["versions"]) >= {"python", "jax", "flax", "optax", "numpy"}
    assert len(head["data_fingerprint"]) == 16
    assert "git_commit" in head
    assert {r["record"] for r in results} == {"result"}


def test_every_method_at_every_cost_weight_and_seed(smoke):
    _, (_, *results) = smoke
    methods = {r["method"] for r in results}
    assert methods >= {
        "random", "logging-policy", "best-single-log", "best-single-hindsight", "knn-plug-in",
        "regression-plug-in", "rm-softmax-dr", "rm-softmax-full-feedback", "oracle",
    }  # fmt: skip
    assert len(results) == len(methods) * 3 * 2


def test_nothing_beats_the_oracle_and_regret_is_what_is_missing(smoke):
    _, (_, *results) = smoke
    oracle = by_seed(results, "oracle", metric="utility")
    for method in {r["method"] for r in results}:
        utility = by_seed(results, method, metric="utility")
        assert np.all(utility <= oracle + 1e-9)
        regret = by_seed(results, method, metric="regret")
        np.testing.assert_allclose(regret, oracle - utility, atol=1e-9)


def test_utility_is_quality_less_weighted_cost(smoke):
    _, (_, *results) = smoke
    for r in results:
        assert r["utility"] == pytest.approx(r["quality"] - r["cost_weight"] * r["cost"], abs=1e-9)


def test_files_are_written_and_say_that_the_table_is_synthetic(smoke):
    out, _ = smoke
    text = (out / "table.md").read_text()
    assert "synthetic" in text and "rm-softmax-dr" in text
    assert (out / "cost_quality_quality.png").read_bytes().startswith(b"\x89PNG")
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


def test_same_seed_same_numbers(smoke, tmp_path, monkeypatch):
    _, (_, *results) = smoke
    monkeypatch.setenv("ROUTERJAX_CACHE", str(tmp_path / "cache"))
    assert _run(monkeypatch, "--preset", "smoke", "--seeds", "1", "--out", str(tmp_path),
                "--quiet") == 0  # fmt: skip
    lines = (tmp_path / "results.jsonl").read_text().splitlines()[1:]
    again = [json.loads(line) for line in lines]
    assert again == [r for r in results if r["seed"] == 0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--logging", "biased"], "no logging policy 'biased'"),
        (["--estimators", "dr,tmle"], "no estimator 'tmle'"),
        (["--surrogates", "hinge"], "no surrogate 'hinge'"),
        (["--seeds", "0"], "seeds is 0"),
        (["--cost-weights=-1,2"], "cost weights must be"),
        (["--table", "nowhere.parquet"], "nowhere.parquet"),
        (["--seeds", "many"], "invalid int value: 'many'"),
    ],
)
def test_wrong_options_end_with_one_sentence(tmp_path, monkeypatch, capsys, arguments, message):
    out = tmp_path / "out"
    assert _run(monkeypatch, "--preset", "smoke", "--out", str(out), "--quiet", *arguments) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not out.exists()


RESULTS = [
    {"method": method, "seed": seed, "cost_weight": weight, "utility": utility}
    for method, values in {
        "base": [[0.5, 0.3], [0.6, 0.2]],
        "mine": [[0.6, 0.4], [0.8, 0.3]],
        "full": [[0.9, 0.5], [0.9, 0.5]],
    }.items()
    for seed, row in enumerate(values)
    for weight, utility in zip((0.0, 10.0), row, strict=True)
]


def test_paired_gain_by_hand():
    # by seed: (0.1 + 0.1)/2 and (0.2 + 0.1)/2
    gain = paired_gain(RESULTS, "mine", "base")
    assert gain.mean == pytest.approx(0.125)
    assert gain.standard_error == pytest.approx(0.025)


def test_gap_share_by_hand():
    # means 0.4, 0.525, 0.7
    assert gap_share(RESULTS, "mine", base="base", ceiling="full") == pytest.approx(0.125 / 0.3)


def test_utility_table_by_hand():
    text = utility_table(RESULTS, base="base", ceiling="full")
    row = next(line for line in text.splitlines() if line.startswith("| mine"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells == ["mine", "0.700 ± 0.100", "0.350 ± 0.050", "0.525 ± 0.025",
                     "+0.125 ± 0.025", "42%"]  # fmt: skip


def test_markdown_is_aligned():
    assert markdown(["a", "bb"], [["ccc", "1"]]).splitlines() == [
        "| a   | bb |",
        "|-----|---:|",
        "| ccc |  1 |",
    ]
