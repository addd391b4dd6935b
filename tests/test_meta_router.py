"""The Meta-Router experiment: protocol by hand, roles, the smoke preset and its messages."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from experiments.meta_router.__main__ import main
from experiments.meta_router.config import PRESETS, check
from experiments.meta_router.data import sources
from experiments.meta_router.protocol import RATIOS, Data, area, draw_roles, efficiency_curve
from experiments.meta_router.report import verdict
from experiments.meta_router.run import Blocks, study
from routerjax.errors import DataWarning, InputError

KEY = jax.random.key(0)


def plain_data(groups, log_odds=None):
    n = len(groups)
    return Data(
        jnp.zeros((n, 2)),
        jnp.zeros(n),
        jnp.zeros(n),
        jnp.zeros(n),
        jnp.asarray(groups),
        jnp.zeros(n) if log_odds is None else jnp.asarray(log_odds),
    )


# ------------------------------------------------------------------ protocol


def test_curve_against_a_loop():
    rng = np.random.default_rng(0)
    predicted, score = rng.normal(size=80), rng.normal(size=80)
    test = rng.uniform(size=80) < 0.6
    curve = efficiency_curve(*(jnp.asarray(part) for part in (predicted, score, test)))
    rows = np.flatnonzero(test)
    ranked = sorted(rows, key=lambda row: -predicted[row])
    for ratio, value in zip(RATIOS, curve, strict=True):
        sent = round(ratio * len(rows))
        gain = sum(score[row] for row in ranked[:sent])
        expected = (gain - sent / len(rows) * score[rows].sum()) / len(rows)
        assert float(value) == pytest.approx(expected, abs=1e-5)


def test_area_by_hand():
    assert area(np.ones(61)) == pytest.approx(0.6)
    assert area(RATIOS) == pytest.approx((0.8**2 - 0.2**2) / 2)


def test_a_perfect_order_is_best_and_its_reverse_worst():
    score = jnp.asarray(np.random.default_rng(1).normal(size=50))
    test = jnp.ones(50, bool)
    best, worst = (efficiency_curve(sign * score, score, test) for sign in (1, -1))
    other = efficiency_curve(jax.random.normal(KEY, (50,)), score, test)
    assert (best >= other - 1e-6).all() and (worst <= other + 1e-6).all()


def test_roles_are_disjoint_and_of_the_size_asked_for():
    roles = draw_roles(plain_data(np.arange(200)), test_rows=50, gold_rows=30, key=KEY)
    assert [int(role.sum()) for role in roles] == [50, 30, 120]
    assert (sum(role.astype(int) for role in roles) == 1).all()


def test_repeated_queries_never_straddle_roles():
    groups = np.random.default_rng(2).integers(0, 70, size=200)
    roles = draw_roles(plain_data(groups), test_rows=60, gold_rows=40, key=KEY)
    role = np.argmax(np.stack(roles), axis=0)
    for group in np.unique(groups):
        assert len(set(role[groups == group])) == 1
    assert 50 <= int(roles.test.sum()) <= 60 and 30 <= int(roles.gold.sum()) <= 40


def test_gold_follows_the_odds():
    odds = np.where(np.arange(400) < 200, 3.0, 0.0)
    roles = draw_roles(plain_data(np.arange(400), odds), test_rows=100, gold_rows=60, key=KEY)
    assert roles.gold[:200].sum() > 4 * roles.gold[200:].sum()
    assert 30 < roles.test[:200].sum() < 70


# ------------------------------------------------------------------ the study


@pytest.mark.slow
def test_smoke_writes_everything(tmp_path):
    command = [
        sys.executable,
        "-W",
        "error",
        "-m",
        "experiments.meta_router",
        "--preset",
        "smoke",
        "--out",
        "made",
        "--quiet",
    ]
    root = Path(__file__).parents[1]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert (done.returncode, done.stderr) == (0, "")
    made = tmp_path / "made"
    names = {"results.jsonl", "report.md", "summary.md", "table.md", "curve_1.png"}
    assert {path.name for path in made.iterdir()} == names
    lines = [json.loads(line) for line in (made / "results.jsonl").read_text().splitlines()]
    assert lines[0]["kind"] == "provenance" and lines[0]["config"]["rows"] == 500
    runs = [line for line in lines if line["kind"] == "run"]
    assert len(runs) == 13 * 6
    curves = {
        line["method"]: np.trapezoid(line["mean"], line["ratio"])
        for line in lines
        if line["kind"] == "curve"
    }
    for method, under in curves.items():
        own = [line["area"] for line in runs if line["method"] == method]
        assert np.mean(own) == pytest.approx(under, abs=1e-5)
    assert curves["all_gold"] > curves["gold_only"] > curves["pooled"]
    report = (made / "report.md").read_text()
    assert "DR-learner" in report and "synthetic" in report and "yichistat/Meta-router" in report
    assert not [path for path in tmp_path.iterdir() if path.name != "made"]


def labels_file(path, rows=160):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(rows, 6)).astype(np.float32)
    gold = 0.3 + x[:, 0] + 0.2 * rng.normal(size=rows)
    table = pa.table(
        {
            "prompt": [f"query {i // 2}" for i in range(rows)],
            "gold": np.where(np.arange(rows) < 4, np.nan, gold),
            "cheap": gold + 0.5 + 0.2 * rng.normal(size=rows),
            "embedding": list(x),
        }
    )
    pyarrow.parquet.write_table(table, path)
    return path


def small(path, **changes):
    config = dataclasses.replace(
        PRESETS["smoke"],
        labels=str(path),
        gold="gold",
        preference=("cheap",),
        components=4,
        gold_rows=(20, 30),
        as_published=True,
        **changes,
    )
    return check(config)


@pytest.mark.slow
def test_a_file_of_labels_with_the_comparison(tmp_path):
    config = small(labels_file(tmp_path / "labels.parquet"))
    (source,) = sources(config)
    assert source.rows == 156 and source.test_rows == int(0.3 * 156) and "4 dropped" in source.note
    few, more = study(config, source)
    assert (few.gold_rows, more.gold_rows) == (20, 30)
    for outcome in (few, more):
        assert set(outcome.curves) >= {"script_r", "script_dr", "r_learner", "random"}
        assert all(np.isfinite(curves).all() for curves in outcome.curves.values())
    # what does not depend on gold rows is the same draw in both: the differences are paired
    np.testing.assert_array_equal(few.curves["all_gold"], more.curves["all_gold"])
    assert few.areas["pooled"].mean() > 0.5 * few.areas["all_gold"].mean()


@pytest.mark.slow
def test_omega_given_is_omega_used(tmp_path):
    config = small(labels_file(tmp_path / "labels.parquet"), omega=0.5, scale="none")
    (source,) = sources(config)
    outcome = study(dataclasses.replace(config, gold_rows=(20,)), source)[0]
    assert (outcome.omega["dr_learner"] == 0.5).all()
    assert np.isnan(outcome.omega["pooled"]).all()


@pytest.mark.slow
@pytest.mark.parametrize("nuisance", ["kernel-ridge", "heads", "forest"])
def test_other_nuisances(tmp_path, nuisance):
    if nuisance == "forest":
        pytest.importorskip("sklearn")
    labels = labels_file(tmp_path / "labels.parquet")
    config = small(labels, nuisance=nuisance, omega=1.0, runs=4, block=2, learners=("dr",))
    (source,) = sources(config)
    few = dataclasses.replace(config, gold_rows=(20,), as_published=False)
    outcome = study(few, source)[0]
    assert all(np.isfinite(curves).all() for curves in outcome.curves.values())
    assert outcome.areas["all_gold"].mean() > outcome.areas["random"].mean()


@pytest.mark.slow
def test_heads_as_learners(tmp_path):
    labels = labels_file(tmp_path / "labels.parquet")
    config = small(labels, learners=("dr", "t-head"), runs=2, block=2)
    (source,) = sources(config)
    outcome = study(dataclasses.replace(config, gold_rows=(20,)), source)[0]
    assert list(outcome.curves)[:2] == ["dr_learner", "t_head"]
    assert "r_learner" not in outcome.curves
    assert np.isfinite(outcome.curves["t_head"]).all()
    assert "The T-head " in verdict(outcome) and "The R-learner" not in verdict(outcome)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--bias", "odd"], "no bias 'odd'"),
        (["--gold-rows", "x"], "'x' is not a list of whole numbers"),
        (["--gold-rows", "3"], "gold_rows is 3"),
        (["--runs", "1"], "runs must be 2 or more"),
        (["--omega", "-1"], "omega must be 0 or more"),
        (["--rows", "300", "--test-rows", "200"], "rows is 300"),
        (["--labels", "nowhere.csv"], "nowhere.csv"),
    ],
)
def test_one_sentence_and_exit_code_two(arguments, message, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(
        sys, "argv", ["meta_router", "--out", str(tmp_path / "out"), "--quiet", *arguments]
    )
    assert main() == 2
    error = capsys.readouterr().err
    assert message in error and len(error.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_too_small_a_file(tmp_path):
    config = small(labels_file(tmp_path / "labels.parquet", rows=40))
    with pytest.raises(InputError, match="leave"):
        list(sources(config))


# ------------------------------------------------------------------ interrupted and resumed


def judges_file(path):
    """Two judges alike but for the order of their labels, so that one program serves both."""
    table = pyarrow.parquet.read_table(labels_file(path))
    order = [*range(4), *reversed(range(4, len(table)))]
    pyarrow.parquet.write_table(table.append_column("other", table["cheap"].take(order)), path)
    return path


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Two studies of eight blocks of a run each; gives the exit code and the blocks told of."""
    labels = judges_file(tmp_path / "labels.parquet")

    def call(name, *options, stop=None):
        told = []

        @contextlib.contextmanager
        def progress(study, runs, *, quiet):
            def on_block(done):
                told.append((study, done))
                if told.count(stop) == 3:
                    raise KeyboardInterrupt

            yield on_block

        monkeypatch.setattr("experiments.meta_router.__main__._progress", progress)
        small = "--preset smoke --gold gold --preference cheap,other --components 4 --gold-rows 10"
        runs = "--folds 2 --omega 1 --runs 8 --block 1"
        out = ("--labels", str(labels), "--out", str(tmp_path / name))
        monkeypatch.setattr(sys, "argv", ["meta", *small.split(), *runs.split(), *out, *options])
        return main(), told

    return call


@pytest.mark.slow
def test_a_study_that_was_stopped_ends_with_the_same_bits(run, tmp_path, capsys):
    made, store = tmp_path / "made", tmp_path / "made.checkpoints"
    assert run("whole")[0] == 0 and not (tmp_path / "whole.checkpoints").exists()
    assert run("made", stop=("other", 1))[0] == 130 and not made.exists()
    kept = {study: len(list((store / study).glob("block-*.npz"))) for study in os.listdir(store)}
    assert kept["study-0"] == 8 and 3 <= kept["study-1"] < 8
    capsys.readouterr()
    for options, complaint in [
        ([], "made.checkpoints: an interrupted run left checkpoints here; take them up with --res"),
        (["--resume", "--seed", "1"], "these checkpoints were made with config.seed 0, not 1;"),
        (["--resume", "--strength", "2"], "these checkpoints were made with config.strength 1"),
    ]:
        assert run("made", *options)[0] == 2
        assert complaint in capsys.readouterr().err
    code, told = run("made", "--resume")
    assert code == 0 and not store.exists()
    left = [("other", 1)] * (8 - kept["study-1"])
    assert told == [("cheap", 8), ("other", kept["study-1"]), *left]
    for name in ("results.jsonl", "table.md", "report.md"):
        one, two = ((tmp_path / out / name).read_text() for out in ("whole", "made"))
        assert one.partition("\n")[2] == two.partition("\n")[2]  # the first line has the time


BLOCK = {"r.curves": np.full((2, 1, 61), 0.1, np.float32), "r.omega": np.array([[1.0], [np.nan]])}


def test_a_block_is_kept_to_the_bit(tmp_path):
    kept = Blocks(tmp_path / "study", {"config": PRESETS["smoke"], "data": ["abc"]})
    assert kept.read(0) is None
    kept.write(0, BLOCK)
    jax.tree.map(np.testing.assert_array_equal, kept.read(0), BLOCK)
    assert [path.name for path in kept.folder.iterdir()] == ["block-0.npz"]


def test_a_block_of_other_settings_is_refused_by_name(tmp_path):
    settings = {"config": PRESETS["smoke"], "data": ["abc"], "versions": {"jax": "0.10.0"}}
    Blocks(tmp_path, settings).write(0, BLOCK)
    for change, difference in [
        ({"config": dataclasses.replace(PRESETS["smoke"], folds=5)}, "config.folds 3, not 5"),
        ({"data": ["abd"]}, r'data \["abc"\], not \["abd"\]'),
        ({"versions": {"jax": "0.10.1"}}, 'versions.jax "0.10.0", not "0.10.1"'),
    ]:
        with pytest.raises(InputError, match=f"{tmp_path}: .* were made with {difference}"):
            Blocks(tmp_path, settings | change).read(0)


def test_a_damaged_block_is_passed_over(tmp_path):
    kept = Blocks(tmp_path, {})
    kept.write(0, BLOCK)
    whole = (tmp_path / "block-0.npz").read_bytes()
    for content in (b"", whole[: len(whole) // 2], whole.replace(b"\xcd\xcc", b"\xcd\xcd", 1)):
        (tmp_path / "block-0.npz").write_bytes(content)
        with pytest.warns(DataWarning, match="block-0.npz: damaged and passed over"):
            assert kept.read(0) is None


def test_a_block_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="block-0.npz: cannot be written"):
        Blocks(tmp_path / "file", {}).write(0, BLOCK)


SHARED = Path(__file__).parents[2] / "shared" / "data"


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.exists(), reason="real labels are not on this disk")
def test_real_labels_grouped_by_prompt():
    config = check(
        dataclasses.replace(
            PRESETS["smoke"],
            labels=str(SHARED / "autoj_human_vs_judge.parquet"),
            gold="gold",
            preference=("pref",),
            embeddings=str(SHARED / "autoj_human_vs_judge.minilm.npy"),
            components=50,
        )
    )
    (source,) = sources(config)
    assert "1179 distinct queries" in source.note
    (outcome,) = study(config, source)
    # the two models are not named and their mean gain is near 0: 200 runs found nothing to learn,
    # so that no method's area may stand out from random by more than chance in a few runs
    for own in outcome.areas.values():
        gain = own - outcome.areas["random"]
        assert np.isfinite(gain).all()
        assert abs(gain.mean()) < 4 * gain.std(ddof=1) / np.sqrt(len(gain)) + 1e-12
