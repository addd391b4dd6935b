"""Models that could be chosen on a row: masks, propensities, surrogates, choices, files."""

from __future__ import annotations

import dataclasses
import json

import jax
import numpy as np
import pytest

import routerjax as rj
from routerjax.baselines.policies import best_single_of, greedy, random_choice
from routerjax.cli.commands import main
from routerjax.data.synthetic.logging_policies import simulate_log, uniform
from routerjax.errors import DataWarning, InputError
from routerjax.estimators.choice_sets import choice_odds
from routerjax.evaluation.metrics import outcome
from routerjax.losses.known import OF_A_ROW, SURROGATES, UNMASKED
from routerjax.losses.masking import masked
from routerjax.pipelines.compare import compare
from routerjax.pipelines.evidence import scored
from routerjax.pipelines.expected import least_means
from routerjax.pipelines.lines import evaluation_of
from routerjax.pipelines.page import LIMITED
from routerjax.records.available import available_mask
from routerjax.records.logs import Log
from routerjax.records.tables import Estimates, Table
from routerjax.training.config import FitConfig, NuisanceConfig, RouterConfig
from routerjax.training.routing import Problem, train_router

CONFIG = FitConfig(
    cost_weights=(0.0, 100.0), nuisance=NuisanceConfig(folds=2, components=4, landmarks=4)
)
SETS = np.array([[True, True, False], [False, True, True], [True, True, True]])


def small(**changes):
    """Three rows of which the second lacks the first model and the first the last."""
    given = dict(models=("a", "b", "c"), prompts=["p", "q", "r"], available=SETS) | changes
    return Log.from_arrays([0, 1, 2], [1.0, 0.5, 0.0], [0.001] * 3, **given)


@pytest.mark.parametrize(
    "changes, problem",
    [
        ({"available": SETS[:2]}, "holds bool of shape (2, 3), not bool of (3, 3)"),
        ({"available": SETS.astype(int)}, "holds int64 of shape (3, 3), not bool of (3, 3)"),
        (
            {"available": ~SETS},
            "'a' answered and is not among the models that were available (3 such rows); the "
            "column must name every model that could be chosen",
        ),
        (
            {"propensities": np.array([[0.5, 0.25, 0.25], [0, 0.5, 0.5], [0.3, 0.3, 0.4]])},
            "propensity of 'c' is 0.25, and it was not available",
        ),
    ],
)
def test_what_a_mask_cannot_be(changes, problem):
    with pytest.raises(InputError) as raised:
        small(**changes)
    assert raised.value.problem == problem


def test_a_table_needs_one_available_model_a_row():
    cells = np.full((2, 2), 0.5)
    with pytest.raises(InputError, match="no model is available here") as raised:
        Table.from_arrays(
            cells, cells, models="ab", available=np.array([[True, False], [False, False]])
        )
    assert raised.value.row == 1


def test_masks_follow_rows_and_models():
    log = small()
    assert log.rows([2, 0]).available.tolist() == SETS[[2, 0]].tolist()
    turned = log.with_models(("c", "d", "a", "b"))
    assert turned.available.tolist() == [
        [False, False, True, True],
        [True, False, False, True],
        [True, False, True, True],
    ]
    assert small(available=None).fingerprint != log.fingerprint


def test_masks_from_names():
    def made(given, rows=2):
        return available_mask(given, models=("a", "b"), rows=rows).tolist()

    assert made(["b"]) == [[False, True]] * 2
    assert made([["a"], ["b", "a"]]) == [[True, False], [True, True]]
    assert made(np.array([True, False])) == [[True, False]] * 2
    assert made(np.array([[True, False], [True, True]])) == [[True, False], [True, True]]
    with pytest.raises(InputError, match=r"no model 'beta-1' \(did you mean 'beta'\?\)"):
        available_mask(["beta-1"], models=("alpha", "beta"), rows=1)
    with pytest.raises(InputError, match="holds 1 rows for 2 queries"):
        made([["a"]])
    with pytest.raises(InputError, match="no model is available here"):
        made([["a"], []])


def test_odds_of_choices_by_hand():
    """b answers 2 of the 6 rows that have both; 10 rows that have a alone say nothing of b."""
    arms = np.array([0] * 4 + [1] * 2 + [0] * 10)
    sets = np.array([[True, True]] * 6 + [[True, False]] * 10)
    found = choice_odds(arms, sets, models=2, prior=0.0)
    np.testing.assert_allclose(found, [2 / 3, 1 / 3], atol=1e-5)
    # as if 6 more rows had both: the expected number of each is what it was
    shares = choice_odds(arms, None, models=2, towards=np.array([1.0, 1.0]), prior=2.0)
    np.testing.assert_allclose(shares, [15 / 18, 3 / 18])


def test_odds_answer_as_often_as_the_models_did():
    rng = np.random.default_rng(0)
    sets = rng.random((400, 4)) < 0.7
    sets[:, 0] = True
    chance = sets * np.array([0.1, 0.2, 0.3, 0.4])
    chance /= chance.sum(axis=1, keepdims=True)
    arms = (chance.cumsum(axis=1) > rng.random((400, 1))).argmax(axis=1)
    odds = choice_odds(arms, sets, models=4, prior=0.0)
    expected = (sets * odds / (sets * odds).sum(axis=1, keepdims=True)).sum(axis=0)
    np.testing.assert_allclose(expected, np.bincount(arms, minlength=4), rtol=1e-3)


@pytest.mark.parametrize("name", sorted(set(OF_A_ROW) - UNMASKED))
def test_masked_surrogates_are_those_of_the_arms_that_are_left(name):
    """No gradient flows to an arm that is not available, all are finite, and order is all one.

    A row with a single available arm teaches nothing.
    """
    surrogate, rng = SURROGATES[name], np.random.default_rng(1)
    logits, utilities = rng.normal(size=(2, 5)).astype(np.float32)
    available, order = np.array([True, False, True, True, False]), np.array([3, 1, 4, 0, 2])

    def loss(logits, utilities, available):
        return surrogate(*masked(logits, utilities, available))

    single = np.array([True, False, False, False, False])
    value, slope = jax.jit(jax.vmap(jax.value_and_grad(loss)))(
        np.stack([logits, logits[order], logits]),
        np.stack([utilities, utilities[order], utilities]),
        np.stack([available, available[order], single]),
    )
    alone, own = jax.jit(jax.value_and_grad(surrogate))(logits[available], utilities[available])
    assert np.isfinite(value).all() and np.isfinite(slope).all()
    assert slope[0, ~available].tolist() == [0.0, 0.0]
    if name != "counterfactual_risk":  # which takes the mean over all arms
        np.testing.assert_allclose(value[0], alone, atol=6e-3)
        np.testing.assert_allclose(slope[0, available], own, atol=2e-3)
    np.testing.assert_allclose(value[1], value[0], rtol=1e-5)
    np.testing.assert_allclose(slope[2], np.zeros(5), atol=1e-6)


def test_baselines_by_hand():
    cells = Estimates(
        quality=np.array([[0.9, 0.5, 0.1], [0.9, 0.2, 0.3], [0.8, 0.8, 0.0]]), cost=np.zeros((3, 3))
    )
    assert greedy(cells, cost_weight=0.0, available=SETS).tolist() == [0, 2, 0]
    # means 0.867, 0.5 and 0.133: the second row lacks the first model and takes the next best
    assert best_single_of(cells, cost_weight=0.0, available=SETS).tolist() == [0, 1, 0]
    assert random_choice(3, 3, available=SETS)[1].tolist() == [0.0, 0.5, 0.5]
    regret = outcome(np.array([1, 1, 1]), cells, cost_weight=0.0, available=SETS).regret
    np.testing.assert_allclose(regret, [0.4, 0.1, 0.0], atol=1e-12)


def test_a_model_that_was_not_available_counts_as_if_it_had_been():
    quality = Estimates(quality=np.array([[0.4, 0.5], [0.8, 0.5]]), cost=np.zeros((2, 2)))
    supported = np.array([[False, True], [True, True]])
    could = np.array([[False, True], [True, True]])
    assert least_means(quality, supported, lowest=0.0).quality.tolist() == [0.4, 0.5]
    found = least_means(quality, supported, lowest=0.0, available=could)
    np.testing.assert_allclose(found.quality, [0.6, 0.5])


def drawn(seed: int = 0, n: int = 240) -> Log:
    """c is the best and the dearest model; each but a is available on half of the rows."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 6)).astype(np.float32)
    sets = rng.random((n, 3)) < 0.5
    sets[:, 0] = True
    chance = sets * np.array([0.2, 0.3, 0.5])
    chance /= chance.sum(axis=1, keepdims=True)
    arms = (chance.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    quality = np.clip(0.4 + 0.2 * arms + 0.1 * x[np.arange(n), arms], 0, 1)
    cost = np.array([0.001, 0.002, 0.003])[arms]
    return Log.from_arrays(arms, quality, cost, models="abc", embeddings=x, available=sets)


@pytest.fixture(scope="module")
def fitted() -> tuple[Log, rj.Router]:
    log = drawn()
    log = log.replace(pinned=np.arange(240) % 8 == 0)
    return log, rj.fit(log, config=CONFIG)


def test_an_unavailable_model_is_never_chosen(fitted):
    log, router = fitted
    for own in router.route(log.features, cost_weight=(0.0, 100.0), available=log.available):
        assert log.available[np.arange(len(log)), own.arms].all()
        assert (own.probabilities[~log.available] == 0).all()
        np.testing.assert_allclose(own.probabilities.sum(axis=1), 1, rtol=1e-5)
    alone = router.route(log.features[:3], cost_weight=0.0, available=["b"])
    assert alone.models == ("b", "b", "b")
    envelope = router.explain(log.features[:1], available=["a", "b"])[0]
    assert set(envelope.arms) <= {0, 1}


def test_every_model_available_is_as_no_word_of_it(fitted):
    log, router = fitted
    plain = router.route(log.features, cost_weight=0.0)
    every = router.route(log.features, cost_weight=0.0, available=router.models)
    assert every.models == plain.models
    np.testing.assert_allclose(every.probabilities, plain.probabilities, atol=1e-6)


def test_where_the_best_single_model_is_kept_the_next_best_stands_in(fitted):
    log, router = fitted
    kept = dataclasses.replace(router, kept=(True,) * len(router.cost_weights))
    best = kept.best_single_at(0.0)
    assert set(kept.route(log.features, cost_weight=0.0).models) == {best} == {"c"}
    chosen = kept.route(log.features, cost_weight=0.0, available=log.available).arms
    expected = [2 if own[2] else 1 if own[1] else 0 for own in log.available]
    assert chosen.tolist() == expected


def test_propensities_and_the_page_are_of_available_models(fitted):
    log, router = fitted
    covered = router.report["overlap"]
    assert covered["available"] == pytest.approx(log.available.mean(axis=0).tolist())
    assert max(abs(np.array(covered["errors_off"]))) < 3
    page = evaluation_of(router.report["evaluation"])
    assert LIMITED in page.notes
    a, b, c = log.available.mean(axis=0)
    shares = f"a on {a:.0%} of the rows, b on {b:.0%} of the rows, c on {c:.0%} of the rows"
    assert f"available: {shares}" in page.notes
    chosen = ~log.pinned
    assert (page.rows, page.left_out, covered["pinned"]) == (210, 30, 30)
    today = page.of("today")[0].quality.mean
    assert today == pytest.approx(log.quality[chosen].mean(), abs=1e-6)
    line = page.of("best-single-log")[0]  # c where it is there, on about half of the rows
    assert line.mostly == ("c", pytest.approx(log.available[chosen, 2].mean()))


def test_cells_of_models_that_could_not_be_chosen_may_be_missing(fitted):
    """Three rows: b is missing where it was not there, c where it was; that row leaves."""
    x, router = drawn(5, 3).features, fitted[1]
    quality = np.array([[0.1, np.nan, 0.9], [0.2, 0.8, 0.4], [0.3, 0.5, np.nan]])
    sets = np.array([[True, False, True], [True, True, True], [True, True, True]])
    table = Table.from_arrays(
        quality, quality * 0 + 0.01, models="abc", embeddings=x, available=sets
    )
    assert len(table.complete()) == 1
    found = rj.evaluate(router, table, cost_weights=[0.0])
    assert (found.rows, found.left_out) == (2, 1)
    means = {line.method: line.quality.mean for line in found.lines}
    # known means are a 0.15, b 0.8, c 0.65: b where it was there, c where it was not
    assert means["best-single-hindsight"] == pytest.approx((0.9 + 0.8) / 2)
    assert means["oracle"] == pytest.approx((0.9 + 0.8) / 2)
    assert means["random"] == pytest.approx(((0.1 + 0.9) / 2 + (0.2 + 0.8 + 0.4) / 3) / 2)
    assert all(np.isfinite(line.utility.mean) for line in found.lines)


def test_a_table_is_evaluated_among_available_models(fitted):
    """Every policy's utility by hand, the oracle's regret 0; another model would be worth more."""
    router, rng, x = fitted[1], np.random.default_rng(5), drawn(5, 40).features
    quality, cost = rng.random((40, 3)).astype(np.float32), np.full((40, 3), 0.001)
    sets = rng.random((40, 3)) < 0.5
    sets[np.arange(40), rng.integers(0, 3, 40)] = True
    table = Table.from_arrays(quality, cost, models="abc", embeddings=x, available=sets)
    found = rj.evaluate(router, table, cost_weights=[0.0])
    lines = {line.method: line for line in found.lines}
    best = np.where(sets, quality, -1).max(axis=1)
    assert lines["oracle"].quality.mean == pytest.approx(best.mean(), rel=1e-6)
    assert lines["oracle"].regret.mean == 0
    arms = router.route(x, cost_weight=0.0, available=sets).arms
    own = quality[np.arange(40), arms]
    assert lines["router"].quality.mean == pytest.approx(own.mean(), rel=1e-6)
    assert lines["router"].regret.mean == pytest.approx((best - own).mean(), rel=1e-5)
    even = (quality * sets).sum(axis=1) / sets.sum(axis=1)
    assert lines["random"].quality.mean == pytest.approx(even.mean(), rel=1e-6)
    assert LIMITED in found.notes


def test_a_simulated_log_asks_available_models_alone():
    sets = np.array([[True, False], [False, True]] * 20)
    cells = np.full((40, 2), 0.5)
    x = np.random.default_rng(0).normal(size=(40, 3))
    table = Table.from_arrays(cells, cells, models="ab", embeddings=x, available=sets)
    log, chances = simulate_log(table, uniform, key=jax.random.key(0))
    assert log.arms.tolist() == [0, 1] * 20
    assert (chances == sets).all() and (log.available == sets).all()


def cells_of(kind: str, names: tuple[str, ...]):
    return {
        "list": list(names),
        "json": json.dumps(names),
        "commas": ", ".join(names),
        "object": {name: name in names for name in ("big", "small", "mid/1")},
    }[kind]


@pytest.mark.parametrize("kind", ["list", "json", "commas", "object"])
def test_columns_of_names(tmp_path, kind):
    sets = [("big", "small"), ("small",), ("big", "mid/1"), None]
    models = ["big", "small", "mid/1", "big"]
    rows = [
        {
            "prompt": f"question {i}",
            "model": model,
            "quality": 0.5,
            "cost": 0.001,
            "could": None if names is None else cells_of(kind, names),
        }
        for i, (names, model) in enumerate(zip(sets, models, strict=True))
    ]
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    log = rj.read_log(path, columns={"available": "could"})
    assert log.models == ("big", "mid/1", "small")
    assert log.available.tolist() == [
        [True, False, True],
        [False, False, True],
        [True, True, False],
        [True, True, True],
    ]
    assert rj.read_log(path).available is None


def test_columns_of_truth_and_back(tmp_path):
    log = drawn(n=60)
    for suffix in ("parquet", "csv", "jsonl"):
        rj.write_log(log, tmp_path / f"log.{suffix}")
        again = rj.read_log(tmp_path / f"log.{suffix}")
        assert again.fingerprint == log.fingerprint


def test_a_name_that_answered_nowhere_is_said(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(
        "prompt,model,quality,cost,could\n"
        "one,gpt-4o,1,0.1,gpt-4o|gpt-4o-2024|mini\n"
        "two,mini,1,0.1,mini\n"
    )
    with pytest.warns(DataWarning, match="'gpt-4o-2024' .like 'gpt-4o', --alias merges them"):
        log = rj.read_log(path, columns={"available": "could"}, prompt_form="last-user")
    assert log.available.tolist() == [[True, True], [False, True]]


@pytest.mark.parametrize(
    "cell, problem",
    [
        ("mini", "'gpt-4o' answered and is not among the models that were available"),
        ("[]", "'gpt-4o' answered and is not among the models that were available"),
        ("[1, 2]", "holds entries that are no names of models"),
    ],
)
def test_cells_that_cannot_be(tmp_path, cell, problem):
    path = tmp_path / "log.csv"
    path.write_text(
        f'prompt,model,quality,cost,could\none,mini,1,0.1,mini\ntwo,gpt-4o,1,0.1,"{cell}"\n'
    )
    with pytest.raises(InputError) as raised:
        rj.read_log(path, columns={"available": "could"})
    assert problem in raised.value.problem
    assert (raised.value.field, raised.value.row) == ("could", 1)


@pytest.fixture(scope="module")
def folder(fitted, tmp_path_factory):
    path = tmp_path_factory.mktemp("router") / "router"
    fitted[1].save(path)
    return path


def test_route_takes_names(folder, tmp_path, capsys, fitted):
    queries = tmp_path / "queries.npy"
    np.save(queries, fitted[0].features[:2])
    asked = ["route", str(folder), "--embeddings", str(queries), "--cost-weight", "0"]
    assert main([*asked, "--available", "a, b", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {row["model"] for row in found["routes"]} <= {"a", "b"}
    assert main([*asked, "--available", "z"]) == 2
    said = capsys.readouterr().err
    assert said == "routerjax: --available: no model 'z'; known are a, b, c\n"


@pytest.mark.slow
def test_a_fit_with_every_model_available_is_a_fit_without_a_mask():
    log = drawn().replace(available=None)
    plain = rj.fit(log, config=CONFIG)
    masked_fit = rj.fit(log.replace(available=np.ones((240, 3), bool)), config=CONFIG)
    for one, other in zip(
        jax.tree.leaves(plain.arrays), jax.tree.leaves(masked_fit.arrays), strict=True
    ):
        if one.dtype != np.uint32:  # digests are salted by the log
            np.testing.assert_array_equal(one, other)
    pages = [evaluation_of(each.report["evaluation"]) for each in (plain, masked_fit)]
    for own, line in zip(*(page.lines for page in pages), strict=True):
        np.testing.assert_allclose(own.utility, line.utility, rtol=1e-6)


@pytest.mark.slow
def test_ignoring_availability_promises_what_cannot_be_had():
    """c is there at night alone, when queries are easy: nothing in x tells. Truth is known.

    What the page says of the router is what its choices earn, within its error; a page that is
    not told promises the nights' quality for every query.
    """
    rng = np.random.default_rng(3)
    n = 3000
    x = rng.normal(size=(n, 4)).astype(np.float32)
    night = rng.random(n) < 0.5
    sets = np.stack([np.ones(n, bool), night], axis=1)
    mean = np.stack([np.full(n, 0.3), np.full(n, 0.5)], axis=1) + 0.3 * night[:, None]
    chance = sets * 0.5
    chance /= chance.sum(axis=1, keepdims=True)
    arms = (chance.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    quality = (rng.random(n) < mean[np.arange(n), arms]).astype(float)
    log = Log.from_arrays(
        arms, quality, np.full(n, 0.001), models="ac", embeddings=x, available=sets
    )
    truth = np.where(night, mean[:, 1], mean[:, 0]).mean()  # of the best choice there is
    config = FitConfig(cost_weights=(0.0,), nuisance=CONFIG.nuisance)

    def page(own: Log):
        return evaluation_of(rj.fit(own, config=config).report["evaluation"]).of("router")[0]

    told, untold = page(log), page(log.replace(available=None))
    assert abs(told.utility.mean - truth) < 4 * told.utility.standard_error
    assert untold.utility.mean - truth > 4 * untold.utility.standard_error


def test_a_surrogate_that_takes_all_models_together_is_refused_where_some_could_not_be_chosen():
    rng = np.random.default_rng(0)
    quality, cost = (rng.random((40, 3)).astype(np.float32) for _ in range(2))
    cells = Estimates(quality=quality, cost=cost)
    problem = Problem(
        rng.normal(size=(40, 2)).astype(np.float32),
        cells,
        cells,
        cells,
        np.arange(30)[None],
        np.arange(30, 40)[None],
        jax.random.key(0),
        available=rng.random((40, 3)) < 0.9,
    )
    config = RouterConfig(architecture="shared", members=1, surrogate="cost_sensitive_hinge")
    with pytest.raises(InputError, match="cost_sensitive_hinge takes all models together"):
        train_router(problem, cost_weights=(0.0, 1.0), quality_width=1.0, config=config)


def test_two_routers_are_compared_by_models_that_could_be_chosen(monkeypatch):
    """The one in service names its models in another order."""
    rng = np.random.default_rng(3)
    x, sets = rng.normal(size=(600, 3)).astype(np.float32), rng.random((600, 3)) < 0.7
    sets[:, 1] = True
    arms = np.array([rng.choice(np.flatnonzero(row)) for row in sets])
    quality = np.where(arms == 0, 1.0, rng.random(600))  # the first model is the best

    def log(rows, models="abc", order=(0, 1, 2)):
        place = np.argsort(order)
        return Log.from_arrays(
            place[arms[rows]],
            quality[rows],
            np.full(len(rows), 0.001),
            models=[models[arm] for arm in order],
            embeddings=x[rows],
            available=sets[rows][:, list(order)],
        )

    first, second, rest = np.split(np.arange(600), 3)
    old = rj.fit(log(first, order=(2, 0, 1)), config=CONFIG)
    new, evaluated = rj.fit(log(second), config=CONFIG), log(rest)
    chosen = []

    def spied(choice, evidence):
        chosen.append(np.asarray(choice))
        return scored(choice, evidence)

    monkeypatch.setattr("routerjax.pipelines.compare.scored", spied)
    found = compare(new, old, evaluated, cost_weight=0.0)
    for choice in chosen:
        assert evaluated.available[np.arange(len(choice)), choice].all()
        assert (choice == 0).mean() > 0.4  # wherever it was to be had
    assert found.unsupported < 0.2
