"""The paper's own method and ORBIT's protocol: presets, nuisances, expected values, summary."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from experiments import expected
from experiments.causal_routing import changes, data, recorded
from experiments.causal_routing.config import (
    PRESETS,
    STAND_INS,
    Orbit,
    Paper,
    StudyConfig,
    check,
)
from experiments.causal_routing.published_nuisances import _per_arm, boosted_propensities
from experiments.causal_routing.summary import MOST_ROWS, equal_rows, shown
from experiments.expected import Ours
from routerjax.baselines.boosted import boosted
from routerjax.data.io.writing import write_table
from routerjax.data.synthetic.table import embedded_table
from routerjax.errors import InputError
from routerjax.estimators.folds import member_splits
from routerjax.estimators.ridge import fit_ridge
from routerjax.records.tables import Estimates
from routerjax.training.config import RouterConfig, Schedule
from routerjax.training.routing import Problem, train_router


def test_orbits_protocol():
    config = check(Orbit())
    assert len(config.cost_weights) == 30
    assert (config.cost_weights[0], config.cost_weights[-1]) == (0, 1000)
    np.testing.assert_allclose(np.diff(config.cost_weights), 1000 / 29)
    assert list(config.every_seed) == list(range(42, 52))
    assert config.test_share == 0.8 and config.router.schedule.max_epochs == 300


def test_the_papers_method_is_not_ours():
    config = check(Paper())
    assert config.published_nuisances and config.published_folds == 1
    router = config.router
    assert (router.start, router.members, router.separate_trunks) == ("random", 1, True)
    assert (router.schedule.caution, router.joint_caution) == (0.0, 0.0)
    ours = PRESETS["routerjax"].router
    assert (ours.start, ours.members) == ("plug-in", 5) and ours.schedule.caution > 0


@pytest.mark.parametrize("changed", [{"published_folds": 0}, {"first_seed": -1}])
def test_settings_that_cannot_be(changed):
    with pytest.raises(InputError, match=next(iter(changed))):
        check(dataclasses.replace(Paper(), **changed))


def test_a_random_start_knows_nothing_and_is_not_even():
    rows = 64
    x = np.random.default_rng(0).normal(size=(rows, 4)).astype(np.float32)
    cells = Estimates(
        quality=np.tile(np.float32([0.0, 1.0]), (rows, 1)), cost=np.zeros((rows, 2), np.float32)
    )
    splits = member_splits(rows, members=1, held_out=0.25, seed=0)
    problem = Problem(x, cells, cells, cells, *splits, jax.random.key(0))
    stay = Schedule(batch_size=16, max_epochs=0)

    def chosen(start):
        config = RouterConfig(
            members=1, architecture="separate", widths=(8,), start=start, schedule=stay
        )
        policy, _ = train_router(problem, cost_weights=(0.0,), quality_width=1.0, config=config)
        return policy.at(x, cells, cost_weights=(0.0,))[0]

    assert (chosen("plug-in")[:, 1] > 0.99).all()
    random = chosen("random")
    assert 0 < (random.argmax(axis=1) == 1).mean() < 1 and random.std() > 0.01


def test_every_llm_has_a_model_of_its_own():
    rng = np.random.default_rng(1)
    x, label = rng.normal(size=(40, 3)).astype(np.float32), rng.normal(size=40).astype(np.float32)
    arms = np.arange(40) % 2
    weights = np.stack([arms == 0, arms == 1]).astype(np.float32)
    found = _per_arm(x, label, weights)(x)
    for arm in range(2):
        own = fit_ridge(x, label, weights[arm])(x)
        np.testing.assert_allclose(found[:, arm], own, atol=1e-5)


def test_boosted_trees_find_a_rule():
    pytest.importorskip("sklearn")
    x = np.random.default_rng(2).normal(size=(300, 2)).astype(np.float32)
    arms = np.where(x[:, 0] > 0, 2, 0)
    found = boosted_propensities(x, arms, x, models=3, seed=0)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    assert (found[:, 1] == 0).all() and (found.argmax(axis=1) == arms).mean() > 0.97


def test_boosted_regression_finds_a_step():
    pytest.importorskip("sklearn")
    x = np.random.default_rng(3).normal(size=(200, 2)).astype(np.float32)
    step = np.where(x[:, 1] > 0, 1.0, -1.0).astype(np.float32)
    weights = np.ones(200, np.float32)
    weights[:20] = 0
    wrong = np.where(weights > 0, step, 50.0).astype(np.float32)  # rows of no weight have no say
    found = np.asarray(boosted(x, wrong, weights, x, key=jax.random.key(0)))
    assert np.abs(found - step).mean() < 0.05 and found.max() < 2


LINE = {"item": "it", "source": "a paper", "published": 0.5, "tolerance": 0.01, "command": "run"}


@pytest.mark.parametrize(
    ("line", "ours", "words"),
    [
        (LINE, Ours(0.509, "all", True), "within the tolerance"),
        (LINE, Ours(0.52, "all", True), "outside the tolerance"),
        (LINE, Ours(0.5, "a part", False), "other data"),
        (LINE, None, "not run"),
        ({**LINE, "command": None}, None, "no such method or data here"),
        ({**LINE, "published": None}, Ours(0.5, "all", True), "unknown"),
    ],
)
def test_verdicts(line, ours, words):
    assert expected.verdict(line, ours).startswith(words)


def test_a_stale_file_is_noticed(tmp_path, capsys):
    path = tmp_path / "expected.json"
    path.write_text("old")
    assert expected.in_step({path: "new"}, check=True) == 1
    assert "expected.json" in capsys.readouterr().out and path.read_text() == "old"
    assert expected.in_step({path: "new"}, check=False) == 0
    assert expected.in_step({path: "new"}, check=True) == 0


def test_the_committed_files_are_in_step():
    assert recorded.main(["--check"]) == 0


def test_scores_without_a_value_are_counted():
    assert recorded._cell([0.5, "Infinity", 0.7]) == "reached in 2 of 3"
    assert recorded._cell([0.5, 0.7]) == "0.6000 ± 0.1000"


def results(**utilities):
    return [
        {"method": name, "seed": seed, "cost_weight": 0.0, "utility": value, "shares": shares}
        for name, (values, shares) in utilities.items()
        for seed, value in enumerate(values)
    ]


def test_equal_rows_are_explained():
    mixed, one = [0.5, 0.5], [1.0, 0.0]
    records = results(
        **{
            "regression-plug-in": ((0.5, 0.6), mixed),
            "rm-softmax-dr": ((0.5, 0.6), mixed),
            "rm-interval-dr": ((0.5, 0.6), mixed),
            "greedy": ((0.3, 0.3), one),
            "best-single-log": ((0.3, 0.3), one),
            "random": ((0.1, 0.2), mixed),
        }
    )
    text = equal_rows(records, [r["method"] for r in records[::2]])
    assert "`rm-softmax-dr` and `rm-interval-dr` share their networks" in text
    assert "stayed there. `greedy` and `best-single-log` are equal: " in text
    assert "every query to the same model" in text and "random" not in text


def test_a_single_model_that_equals_routers_shares_no_networks_with_them():
    one = [1.0, 0.0]
    names = ("best-single-log", "regression-plug-in", "rm-softmax-dr", "rm-interval-dr")
    text = equal_rows(results(**{name: ((0.5, 0.6), one) for name in names}), names)
    assert text.count("`best-single-log`") == 1 and text.endswith(
        "stayed there; at every cost weight all of them send every query to the same model."
    )


@pytest.mark.parametrize(("encoder", "same"), [("minilm", True), ("wordllama", False)])
def test_only_orbits_own_encoder_is_compared_with_orbit(encoder, same):
    config = {"dataset": "routerbench", "table": None, "seeds": 2, "encoder": encoder}
    parts = [{"methods": {"m": {"peak_score": [0.8, 0.9]}}}]
    results = {"orbit": {"provenance": {"config": config}, "parts": parts}}
    line = {"recorded": "orbit", "method": "m", "score": "peak_score", "dataset": "routerbench"}
    found = recorded.ours_of(line, results)
    assert found.value == pytest.approx(0.85) and found.same == same


def test_another_encoder_stands_in_where_the_presets_own_cannot_be_loaded(tmp_path, monkeypatch):
    table = embedded_table(0, queries=60, dimensions=16).table.replace(encoder=None)
    write_table(table, tmp_path / "table.parquet")

    def encoded(table, *, encoder):
        if encoder != "wordllama":
            raise InputError(f"no {encoder}")
        return table.replace(encoder=encoder)

    monkeypatch.setattr(data, "encoded", encoded)
    config = StudyConfig(table=str(tmp_path / "table.parquet"), encoder="bert-base-uncased")
    found = data.load_source(config, stand_ins=STAND_INS[config.encoder])
    told = "The encoder bert-base-uncased cannot be loaded here; wordllama stands in for it."
    assert found.table.encoder == "wordllama" and told in found.notices
    with pytest.raises(InputError, match="no bert-base-uncased"):
        data.load_source(config)


def test_ten_rows_at_most():
    names = [f"m{place}" for place in range(20)] + ["oracle", "rm-softmax-dr"]
    found = shown(results(**{name: ((0.1,), [1.0]) for name in names}))
    assert len(found) == MOST_ROWS and {"oracle", "rm-softmax-dr"} <= set(found)


def test_differences_to_our_defaults_are_paired():
    first, second = list(changes.VARIANTS)[:2]
    values = {first: (0.5, 0.7), second: (0.4, 0.8)}
    draws = [
        {"seed": seed, "variant": name, "seconds": 2.0, **dict.fromkeys(changes.METHODS, value)}
        for name, each in values.items()
        for seed, value in enumerate(each)
    ]
    lines = changes.table({"draws": draws}).splitlines()
    assert "0.6000 ± 0.1000" in lines[2] and "+0.0000 ± 0.1000" in lines[3]
    json.dumps(draws)


def test_differences_between_methods_and_runs_are_paired():
    def run(*, regression, softmax):
        utilities = {
            **dict.fromkeys(recorded.FIRST, [0.0, 0.0]),
            "regression-plug-in": regression,
            "rm-softmax-dr": softmax,
        }
        methods = {name: {"utility": values} for name, values in utilities.items()}
        return {"parts": [{"logging": "uniform", "methods": methods}]}

    results = {
        "paper": run(regression=[0.5, 0.75], softmax=[0.5, 0.5]),
        "routerjax": run(regression=[0.75, 0.75], softmax=[0.75, 1.0]),
    }
    lines = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in recorded.differences_table(results).splitlines()
    ]
    softmax = {tuple(line[:3]): line[3] for line in lines if line[1] == "rm-softmax-dr"}
    # 0 and −0.25; 0 and 0.25; 0.25 and 0.5
    other = "regression-plug-in"
    assert softmax["the paper's method", "rm-softmax-dr", other] == "-0.1250 ± 0.1250"
    assert softmax["our defaults", "rm-softmax-dr", other] == "+0.1250 ± 0.1250"
    between = "the same by the paper's method"
    assert softmax["our defaults", "rm-softmax-dr", between] == "+0.3750 ± 0.1250"
    alone = recorded.differences_table({"paper": results["paper"]})
    assert between not in alone and "our defaults" not in alone


def test_cross_fitting_is_paired_with_the_same_models_out_of_fold():
    names = [next(iter(changes.VARIANTS)), changes.PER_LLM, changes.UNFOLDED]
    assert changes.AGAINST == {changes.UNFOLDED: changes.PER_LLM}
    draws = [
        {"seed": seed, "variant": name, "seconds": 2.0, **dict.fromkeys(changes.METHODS, value)}
        for name, each in zip(names, [(0.5, 0.75), (0.5, 0.5), (0.25, 0.75)], strict=True)
        for seed, value in enumerate(each)
    ]
    lines = changes.table({"draws": draws}).splitlines()
    # 0 and 0.5 − 0.75; 0.25 − 0.5 and 0.75 − 0.5
    assert "-0.1250 ± 0.1250" in lines[3] and "our defaults" in lines[3]
    assert "+0.0000 ± 0.2500" in lines[4] and lines[4].count("|") == lines[3].count("|")
    assert changes.PER_LLM in lines[4].split("|")[2]
