"""The comparison of surrogates: its smoke preset end to end, its tables by hand."""

import contextlib
import dataclasses
import json

import jax
import numpy as np
import pytest

from experiments.surrogates import leaderboard
from experiments.surrogates.__main__ import main
from experiments.surrogates.config import PRESETS, check
from experiments.surrogates.report import difference, table, verdict
from experiments.surrogates.run import Found
from experiments.surrogates.source import Source, draw, load, of_size
from routerjax.data.io.writing import write_log, write_table
from routerjax.data.synthetic.logging_policies import simulate_log
from routerjax.data.synthetic.table import embedded_table
from routerjax.evaluation.intervals import student_quantile

OWN = """
import jax
import jax.numpy as jnp


def value(logits, utilities):
    return -jnp.sum(jax.nn.softmax(logits) * utilities)
"""
KEY = jax.random.key(0)
FIELDS = ("utility", "regret", "quality", "cost")


def _run(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["surrogates", "--preset", "smoke", "--quiet", *arguments])
    return main()


def _results(out):
    return [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    out = tmp_path_factory.mktemp("surrogates")
    (out / "mine.py").write_text(OWN)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROUTERJAX_CACHE", str(out / "cache"))
        names = f"softmax_regret,{out / 'mine.py'}:value"
        assert _run(patch, "--out", str(out), "--surrogates", names) == 0
    return out, _results(out)


@pytest.mark.slow
def test_results_carry_their_provenance(smoke):
    _, (head, *results) = smoke
    assert head["record"] == "provenance" and head["seeds"] == [0, 1]
    assert head["config"]["starts"] == ["best-single"]
    assert len(head["data_fingerprint"]) == 16
    assert {r["record"] for r in results} == {"result"}


@pytest.mark.slow
def test_every_surrogate_target_seed_and_cost_weight(smoke):
    out, (_, *results) = smoke
    methods = {"start", "softmax_regret", f"{out / 'mine.py'}:value", "oracle"}
    found = {(r["method"], r["estimator"], r["seed"], r["cost_weight"]) for r in results}
    assert found == {
        (method, estimator, seed, cost_weight)
        for method in methods
        for estimator in ("full-feedback", "dr")
        for seed in (0, 1)
        for cost_weight in (0, 100)
    }
    assert len(results) == len(found)


@pytest.mark.slow
def test_nothing_beats_the_oracle_and_regret_is_what_is_missing(smoke):
    _, (_, *results) = smoke
    oracle = {
        (r["seed"], r["cost_weight"]): r["utility"] for r in results if r["method"] == "oracle"
    }
    for r in results:
        best = oracle[r["seed"], r["cost_weight"]]
        assert r["utility"] <= best + 1e-9
        assert r["regret"] == pytest.approx(best - r["utility"], abs=1e-9)
        assert r["utility"] == pytest.approx(r["quality"] - r["cost_weight"] * r["cost"], abs=1e-9)


@pytest.mark.slow
def test_routers_leave_their_start_and_only_then_differ_from_it(smoke):
    _, (_, *results) = smoke
    start = {
        (r["estimator"], r["seed"], r["cost_weight"]): r["utility"]
        for r in results
        if r["method"] == "start"
    }
    trained = [r for r in results if r["method"] not in ("start", "oracle")]
    off = {True: [], False: []}
    for r in trained:
        gap = r["utility"] - start[r["estimator"], r["seed"], r["cost_weight"]]
        off[r["epoch"] > 0].append(abs(gap))
    assert max(off[False], default=0) < 1e-9 < max(off[True])


@pytest.mark.slow
def test_files_say_what_was_compared_and_that_the_table_is_synthetic(smoke):
    out, _ = smoke
    text = (out / "table.md").read_text()
    assert "synthetic" in text and "| mine.py:value" in text and str(out) not in text
    assert "- regret ≤ 2 × soft_regret: " in text
    assert (out / "surrogates.png").read_bytes().startswith(b"\x89PNG")
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


@pytest.mark.slow
def test_one_surrogate_alone_gets_the_same_numbers(smoke, tmp_path, monkeypatch):
    _, (_, *results) = smoke
    monkeypatch.setenv("ROUTERJAX_CACHE", str(tmp_path / "cache"))
    alone = ("--surrogates", "softmax_regret", "--estimators", "full-feedback")
    assert _run(monkeypatch, "--out", str(tmp_path), *alone) == 0
    again = _results(tmp_path)[1:]
    methods = ("start", "softmax_regret", "oracle")
    full = [r for r in results if r["estimator"] == "full-feedback"]
    assert again == [r for r in full if r["method"] in methods]


@pytest.mark.slow
def test_an_interrupted_comparison_is_taken_up_where_it_was(smoke, tmp_path, monkeypatch, capsys):
    """Stopped before the routers and again before the last: the results are the fixture's."""
    monkeypatch.setenv("ROUTERJAX_CACHE", str(tmp_path / "cache"))
    (head, *results), store = smoke[1], tmp_path / "out.checkpoints"
    names = ",".join(head["config"]["surrogates"])
    arguments = ("--out", str(tmp_path / "out"), "--surrogates", names)
    told = []

    def run(*options, stop=None):
        @contextlib.contextmanager
        def progress(steps, *, quiet):
            def on_progress(what, done, at_most):
                if done:  # what has no epochs is told before it too
                    told.append(what)
                if what == stop:
                    raise KeyboardInterrupt

            yield on_progress

        told.clear()
        with monkeypatch.context() as patch:
            patch.setattr("experiments.surrogates.__main__._progress", progress)
            return _run(patch, *arguments, *options)

    assert run(stop="log, cost") == 130
    assert run("--resume", stop="dr, best-single, softmax_regret, endpoints") == 130
    capsys.readouterr()
    assert (store / "dr-best-single" / "softmax_regret" / "endpoints").is_dir()
    assert run() == 2
    assert "an interrupted run left checkpoints here" in capsys.readouterr().err
    assert run("--resume", "--seeds", "3") == 2
    assert "these checkpoints were made with config.seeds 2, not 3;" in capsys.readouterr().err
    assert run("--resume") == 0
    assert not store.exists() and len(set(told)) == len(told)  # no training shares a name
    assert _results(tmp_path / "out")[1:] == results


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--surrogates", "hinge"], "no surrogate 'hinge'"),
        (["--surrogates", "softmax_regret,nowhere.py:f"], "nowhere.py: no such file"),
        (["--estimators", "dr,tmle"], "no estimator 'tmle'; known are direct, ips, dr"),
        (["--start", "anywhere"], "no start 'anywhere'; known are plug-in, best-single"),
        (["--logging", "biased"], "no logging policy 'biased'; known are uniform, quality"),
        (["--seeds", "0"], "seeds is 0"),
        (["--rows", "50"], "rows is 50; at least 200 are needed"),
        (["--rows", "900"], "the embedded table: rows is 900; there are 280 to train on"),
        (["--table", "a.csv", "--log", "b.csv"], "give --table or --log, not both"),
        (["--log", "b.csv", "--estimators", "full-feedback"], "a log has no full-feedback"),
        (
            ["--surrogates", "softmax_regret,poem", "--estimators", "full-feedback"],
            "poem reads a log, and full-feedback has none; give dr among --estimators too",
        ),
        (["--surrogates", "softmax_regret?temperature=0,1"], "not finite"),
        (["--queries", "20"], "queries is 20; at least 200 are needed"),
        (["--preset", "quick"], "Parameter --preset specified multiple times"),
        (["--seeds", "many"], "Invalid value for --seeds: 'many' is not a whole number"),
    ],
)
def test_wrong_options_end_with_one_sentence(tmp_path, monkeypatch, capsys, arguments, message):
    out = tmp_path / "out"
    assert _run(monkeypatch, "--out", str(out), *arguments) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not out.exists()


def test_a_place_that_cannot_be_written_is_refused_first(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    assert _run(monkeypatch, "--out", str(tmp_path / "file" / "out")) == 2
    assert "is not a folder" in capsys.readouterr().err


def test_names_given_twice_count_once():
    config = dataclasses.replace(PRESETS["smoke"], starts=("plug-in", "plug-in"))
    assert check(config).starts == ("plug-in",)


def test_the_base_is_softmax_regret_where_it_takes_part():
    assert PRESETS["quick"].base == "softmax_regret"
    others = dataclasses.replace(PRESETS["quick"], surrogates=("spo_plus", "soft_regret"))
    assert others.base == "spo_plus"


def _found(method, utility, epochs):
    utility = np.array(utility)
    means = {name: utility for name in FIELDS}
    return Found(method, "dr", "plug-in", means, np.array(epochs))


FOUND = [
    _found("start", [[0.5, 0.3], [0.5, 0.3], [0.5, 0.3]], [0, 0, 0]),
    _found("softmax_regret", [[0.6, 0.4], [0.7, 0.3], [0.8, 0.4]], [3, 0, 5]),
    _found("folder/mine.py:f", [[0.8, 0.4], [0.8, 0.4], [1.0, 0.4]], [1, 1, 1]),
]
THREE = dataclasses.replace(
    PRESETS["quick"],
    seeds=3,
    cost_weights=(0.0, 10.0),
    surrogates=("softmax_regret", "folder/mine.py:f"),
)


def test_paired_difference_by_hand():
    # overall 0.6, 0.6, 0.7 less 0.5, 0.5, 0.6
    gap = difference(FOUND[2], FOUND, THREE)
    assert gap.mean == pytest.approx(0.1) and gap.standard_error == pytest.approx(0, abs=1e-9)


def test_table_by_hand():
    lines = table(FOUND, THREE).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[0][-2:] == ["− softmax_regret", "kept start"]
    # 0.4 less 0.5, 0.5, 0.6: mean −0.1333, deviation 0.0577 / √3
    assert cells[2] == [
        "start",
        "0.5000 ± 0.0000",
        "0.3000 ± 0.0000",
        "0.4000 ± 0.0000",
        "-0.1333 ± 0.0333",
        "",
    ]
    assert cells[3][-2:] == ["", "1 of 3"]
    assert cells[4][0] == "mine.py:f" and cells[4][-1] == "0 of 3"


def test_verdict_by_hand():
    assert "mine.py:f. Worse: none." in verdict(FOUND, THREE)
    one = dataclasses.replace(THREE, seeds=1)
    assert verdict(FOUND, one).startswith("One seed")


def test_settings_that_the_command_line_cut_are_joined_again():
    config = dataclasses.replace(
        PRESETS["smoke"], surrogates=("softmax_regret?temperature=0.5", "1", "spo_plus")
    )
    assert check(config).surrogates == ("softmax_regret?temperature=0.5,1", "spo_plus")


def test_what_reads_a_log_is_left_out_of_full_feedback():
    config = dataclasses.replace(PRESETS["smoke"], surrogates=("softmax_regret", "poem"))
    assert config.compared("full-feedback") == ["softmax_regret"]
    assert config.compared("dr") == ["softmax_regret", "poem"]
    of_a_log = dataclasses.replace(config, log="log.parquet", rows=(200, 300))
    assert of_a_log.groups == [(200, "dr", "best-single"), (300, "dr", "best-single")]


def test_every_seed_of_the_embedded_table_has_queries_of_its_own():
    config = dataclasses.replace(PRESETS["smoke"], queries=400, seeds=3)
    source = load(config)
    drawn = draw(source, config)
    assert len(source.record) == 1200 and [len(one.log) for one in drawn] == [280] * 3
    prompts = [set(one.full.features[:, 0]) | set(one.tests.features[:, 0]) for one in drawn]
    assert [len(own) for own in prompts] == [400] * 3 and len(set.union(*prompts)) == 1200
    first, whole = of_size(drawn, 200)[1], drawn[1]
    assert len(first.log) == len(first.truth.quality) == 200
    np.testing.assert_array_equal(first.log.arms, whole.log.arms[:200])
    np.testing.assert_array_equal(first.truth.quality, whole.truth.quality[:200])


SOURCE = Source("embedded", np.zeros(1000), None, "Synthetic.", apart=True)


def test_leaderboard_by_hand():
    """Advantages 0.1, 0.1, 0.1 of one, and −0.1, −0.1, −0.2 of the start."""
    board = leaderboard.of(FOUND, SOURCE, THREE)
    own, start = board["entries"]
    assert (own["surrogate"], own["advantage"]) == ("mine.py:f", pytest.approx(0.1))
    assert own["reach"] == pytest.approx(0, abs=1e-9)
    assert start["advantage"] == pytest.approx(-0.4 / 3)
    assert start["standard_error"] == pytest.approx(0.1 / 3)  # deviation 0.1/√3, over √3
    # two scores that vary or not: one largest deviation, of Student's t with 2 degrees
    assert start["reach"] >= 0.98 * student_quantile(0.975, 2) * 0.1 / 3
    text = leaderboard.section(board)
    assert "| `mine.py:f`" in text and "**+0.1000 ± 0.0000**" in text and " 0.533 |" in text
    assert "mine.py:f is worth a night: +0.1000 over softmax_regret" in leaderboard.worth_a_night(
        board
    )


def test_seeds_that_share_rows_have_wider_intervals():
    # √(1 + 3·300/700)
    board = leaderboard.of(FOUND, SOURCE._replace(apart=False), THREE)
    assert board["entries"][1]["standard_error"] == pytest.approx(0.1 / 3 * np.sqrt(1 + 9 / 7))
    assert "widened because seeds share rows" in leaderboard.section(board)


def test_the_leaderboard_of_the_page_is_that_of_the_result_files():
    assert leaderboard.main(["--check"]) == 0


@pytest.fixture(scope="module")
def own_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    table = embedded_table(0, queries=500, dimensions=16).table
    table = table.with_models(table.models[:3])
    even = np.full((500, 3), 1 / 3)
    log, _ = simulate_log(table, lambda table, key: even, key=KEY)
    write_table(table, folder / "table.parquet")
    write_log(log, folder / "log.parquet")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "estimators", "methods"),
    [
        (
            "table",
            ["full-feedback", "dr"],
            {"start", "softmax_regret", "poem?penalty=1,3", "oracle"},
        ),
        ("log", ["dr"], {"start", "softmax_regret", "poem?penalty=1,3"}),
    ],
)
def test_a_table_and_a_log_of_ones_own(
    own_files, tmp_path, monkeypatch, capsys, file, estimators, methods
):
    monkeypatch.setenv("ROUTERJAX_CACHE", str(tmp_path / "cache"))
    arguments = ["--surrogates", "poem?penalty=1,3", "--seeds", "2", "--fast"]
    arguments += ["--estimators", ",".join(estimators), "--rows", "200"]
    arguments += [f"--{file}", str(own_files / f"{file}.parquet"), "--out", str(tmp_path / "out")]
    monkeypatch.setattr("sys.argv", ["surrogates", "--quiet", *arguments])
    assert main() == 0
    _, *results = _results(tmp_path / "out")
    assert {r["method"] for r in results} == methods
    assert {r["rows"] for r in results} == {200}
    assert {r["estimator"] for r in results} == set(estimators)
    chosen = {r["settings"]["penalty"] for r in results if r["method"].startswith("poem")}
    assert chosen <= {1.0, 3.0}
    printed = capsys.readouterr().out
    assert "poem?penalty=1,3" in printed and "seconds of processor time" in printed
    assert "| 200 rows, dr, best-single |" in (tmp_path / "out" / "leaderboard.md").read_text()
