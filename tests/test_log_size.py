"""The study of log sizes: its draws, its methods by NumPy, its comparisons by hand, its files."""

import dataclasses
import json
import types

import jax.numpy as jnp
import numpy as np
import pytest

from experiments import results_file
from experiments.draw_by_draw import remaining
from experiments.log_size import ceilings, compare, data, methods, prose, report, ridges, stability
from experiments.log_size.__main__ import main
from experiments.log_size.config import PRESETS, SizeConfig, check
from experiments.log_size.run import Place, places
from routerjax.data.public.prices import Price
from routerjax.data.synthetic.table import embedded_table
from routerjax.errors import InputError
from routerjax.estimators.ridge import STRENGTHS, fit_ridge
from routerjax.records.logs import Log
from routerjax.records.tables import Estimates, Table

# Draws


def _few(rows=700):
    return embedded_table(3, queries=rows, dimensions=16).table


@pytest.mark.parametrize("logging", ["uniform", "biased", "sharp"])
def test_a_log_and_its_test_rows_are_the_table(logging):
    table = _few()
    small, large = (
        data.draw(table, logging=logging, rows=rows, seed=4, recorded=True) for rows in (60, 90)
    )
    order = np.random.default_rng(4).permutation(700)
    np.testing.assert_array_equal(small.table.quality, table.quality[order[:60]])
    np.testing.assert_array_equal(small.test.quality, table.quality[order[60:]])
    np.testing.assert_array_equal(small.log.arms, large.log.arms[:60])
    rows = np.arange(60)
    np.testing.assert_array_equal(small.log.quality, table.quality[order[rows], small.log.arms])
    assert small.log.prompts == tuple(table.prompts[row] for row in order[:60])
    least = {"uniform": 1 / 11, "biased": 0.02, "sharp": 0.002}[logging]
    assert small.log.propensities.min() == pytest.approx(least, rel=0.05)
    assert (
        data.draw(table, logging=logging, rows=60, seed=4, recorded=False).log.propensities is None
    )


def test_costs_derived_by_hand(tmp_path):
    table = Table.from_arrays(
        np.ones((2, 2)), np.ones((2, 2)), models="ab", prompts=["x" * 400, "x" * 40]
    )
    found = data.derived_cost(table, {"a": Price(1.0, 9.0), "b": Price(0.5, 9.0)})
    # 100 + 300 and 10 + 300 tokens, at 1 and 0.5 dollars a million
    np.testing.assert_allclose(found, [[400e-6, 200e-6], [310e-6, 155e-6]], rtol=1e-6)
    with pytest.raises(InputError, match="no price for model 'b'"):
        data.derived_cost(table, {"a": Price(1.0, 9.0)})
    with pytest.raises(InputError, match="they are derived from --prices and prompts"):
        data.derived_cost(table, {})


def test_a_table_of_a_file(tmp_path):
    rng, lines = np.random.default_rng(0), ["prompt,split,score:a,score:b,score:c"]
    lines += [f"question {i},test,{i % 2},{i % 3 // 2},{'' if i < 3 else 0}" for i in range(20)]
    lines[-1] = "question 19,test,,1,0"
    (tmp_path / "some.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "prices.csv").write_text("model,input,output\na,1,1\nb,2,2\nc,3,3\n")
    np.save(tmp_path / "some.mini.npy", rng.normal(size=(20, 4)))
    (found,) = data.sources(
        dataclasses.replace(PRESETS["smoke"], queries=0),
        [str(tmp_path / "some.csv")],
        embeddings=[str(tmp_path / "some.mini.npy")],
        prices=tmp_path / "prices.csv",
    )
    # c lacks 3 of 20 cells, more than one in twenty, and is left out; then row 19 lacks a cell
    assert (found.name, found.left_out, found.costs) == ("some", ("c",), data.DERIVED)
    assert found.table.models == ("a", "b") and len(found.table) == 19
    assert found.table.split is None and found.table.embeddings.shape == (19, 4)
    np.testing.assert_allclose(found.table.cost[0], [302.5e-6, 605e-6], rtol=1e-6)
    config = dataclasses.replace(PRESETS["smoke"], cost_weights=(0.0, 0.5), queries=0)
    wanted = 0.5 / found.table.cost[:, 1].mean()
    assert data.cost_weights_of(found.table, config) == pytest.approx((0.0, wanted))
    with pytest.raises(InputError, match="is named after none of the tables"):
        data.sources(config, [str(tmp_path / "some.csv")], embeddings=["other.mini.npy"])
    with pytest.raises(InputError, match="no table is left"):
        data.sources(config)


# Methods


def test_single_models_and_values_by_hand():
    log = Log.from_arrays([0, 0, 1], [1.0, 0.0, 1.0], [1.0, 3.0, 4.0], models="abc")
    means = methods.arm_means(log)
    assert means.quality.tolist() == [[0.5, 1.0, -np.inf]]
    assert means.cost.tolist() == [[2.0, 4.0, 0.0]]
    # utilities .5, 1 at weight 0; −.5, −1 at weight .5; c answered nothing and is never chosen
    assert methods.single(means, (0.0, 0.5), 2).tolist() == [[1, 1], [0, 0]]
    test = Table.from_arrays([[1, 0, 0], [0, 1, 1]], [[1, 2, 3], [1, 2, 3]], models="abc")
    chosen = np.array([[1, 1], [0, 2]])
    # weight 0: (0 + 1) / 2; weight .5: (1 − .5 + 1 − 1.5) / 2
    assert methods.values(chosen, test, (0.0, 0.5)) == [0.5, 0.0]
    greedy = methods.greedy(Estimates(quality=test.quality, cost=test.cost), (0.0, 0.5))
    assert greedy.tolist() == [[0, 1], [0, 1]]


def test_ridges_learn_from_each_models_own_rows():
    rng, n = np.random.default_rng(1), 900
    x = rng.normal(size=(n, 3)).astype(np.float32)
    right = np.stack([x[:, 0] > 0, x[:, 0] <= 0, np.zeros(n)], axis=1).astype(float)
    table = Table.from_arrays(
        right, np.full((n, 3), 1e-3), models="abc", embeddings=x, prompts=map(str, range(n))
    )
    made = data.draw(table, logging="uniform", rows=300, seed=0, recorded=False)
    two = made.log.rows(made.log.arms != 2)
    for regression in (ridges.ridge_an_arm, ridges.two_level_ridge):
        chosen = ridges.plug_in(made._replace(log=two), (0.0,), regression).choices
        assert set(chosen[0]) == {0, 1}
        assert methods.values(chosen, made.test, (0.0,))[0] > 0.95


@pytest.mark.parametrize("own", [2.0, 0.0])
def test_two_levels_of_ridge_by_leaving_rows_out(own):
    """Arms that differ along the second feature by `own`: a small strength, or none of it."""
    rng, n, models = np.random.default_rng(2), 90, 3
    x, queries = rng.normal(size=(n, 2)), rng.normal(size=(4, 2))
    arms = rng.integers(models, size=n)
    y = arms + x[:, 0] + own * (arms - 1) * x[:, 1] + 0.1 * rng.normal(size=n)
    found = ridges.two_level_ridge(
        *map(jnp.asarray, (x.astype(np.float32), y.astype(np.float32), arms)),
        jnp.asarray(queries, jnp.float32),
        models,
    )
    means = np.array([y[arms == arm].mean() for arm in range(models)])
    common = fit_ridge(jnp.asarray(x, jnp.float32), jnp.asarray(y - means[arms]), jnp.ones(n))
    left = y - means[arms] - np.asarray(common(jnp.asarray(x, jnp.float32)))
    unit = n / models * x.var(axis=0).mean()

    def deviation(rows, strength, at):
        centre, mean = x[rows].mean(axis=0), left[rows].mean()
        xc = x[rows] - centre
        if np.isinf(strength):
            return np.full(len(at), mean)
        beta = np.linalg.solve(xc.T @ xc + strength * unit * np.eye(2), xc.T @ (left[rows] - mean))
        return mean + (at - centre) @ beta

    def missed(strength):
        errors = []
        for row in range(n):
            others = (arms == arms[row]) & (np.arange(n) != row)
            errors.append(left[row] - deviation(others, strength, x[[row]])[0])
        return np.sum(np.square(errors))

    best = min(STRENGTHS, key=missed)
    assert best < 0.1 if own else best >= 1.0
    for arm in range(models):
        told = means[arm] + np.asarray(common(jnp.asarray(queries, jnp.float32)))
        told = told + deviation(arms == arm, best, queries)
        np.testing.assert_allclose(found[arm], told, atol=2e-3)


def test_the_former_method_is_trained(monkeypatch):
    asked = []
    known = {"quality": {"mean": 0.9}, "cost": {"mean": 0.1}}
    singles = [{"model": _few().models[3], **known}, {"model": _few().models[4], **known}]
    singles[1] = singles[1] | {"quality": {"mean": 0.5}, "cost": {"mean": 0.0}}
    singles.append({"model": _few().models[5], "quality": {"mean": np.nan}, "cost": {"mean": 0.0}})

    def fit(log, *, config, drop_unlogged):
        asked.append((config, drop_unlogged))
        return types.SimpleNamespace(
            models=log.models[::-1],
            choices=lambda x, cost_weights: np.zeros((len(cost_weights), len(x)), int),
            best_single_at=lambda weight: log.models[1 if weight else 2],
            report={"expected": [{"kept": True}], "evaluation": {"singles": singles}},
        )

    monkeypatch.setattr(methods, "fit", fit)
    made = data.draw(_few(), logging="uniform", rows=60, seed=0, recorded=False)
    for former in (False, True):
        timed, best, by_dr = methods.fitted(made, (0.0, 5.0), seed=7, former=former)
        assert by_dr[:, 0].tolist() == [3, 4]  # .9 − 5 × .1 is less than .5
        assert (timed.choices == 10).all() and timed.choices.shape == (2, 640)
        assert best[:, 0].tolist() == [2, 1]
    (plain, _), (former, drop) = asked
    assert (plain.router.architecture, plain.nuisance.outcomes) == ("plug-in", "pooled")
    assert (former.router.architecture, former.nuisance.outcomes) == ("interval", "network")
    assert former.cost_weights == (0.0, 5.0) and former.seed == 7 and drop


# Comparisons


def _draw(seed, fit, *, rows=500, full=(1.0, 1.0), **more):
    own = {methods.BEST: [0.5, 0.2], methods.FIT: fit, methods.FULL: list(full)}
    place = {"table": "t", "logging": "uniform", "rows": rows, "seed": seed}
    return {**place, "values": own, "seconds": {methods.FIT: 1.0 + seed}, "first": [], **more}


def _expecting(seed, fit, *, advantage, kept):
    """A draw of a router whose own best single model has utilities 0.4 and 0.2."""
    made = _draw(seed, fit)
    made["values"] |= {methods.BEST_FIT: [0.4, 0.2], methods.RIDGE: [0.5, 0.5]}
    told = {"advantage": advantage, "standard_deviation": [0.01, 0.03], "kept": kept}
    return {**made, "expected": told}


def test_what_was_expected_beside_what_came():
    """Two draws of two cost weights: kept are (draw 0, weight 0) and both of draw 1."""
    found = compare.cells(
        [
            _expecting(0, [0.4, 0.3], advantage=[0.001, 0.015], kept=[True, False]),
            _expecting(1, [0.4, 0.2], advantage=[0.0, 0.004], kept=[True, True]),
        ]
    )
    kept, routed = compare.expectation(found, kept=True), compare.expectation(found, kept=False)
    assert (kept.places, routed.places) == (3, 1)
    assert kept.expected == pytest.approx(0.005 / 3) and routed.expected == pytest.approx(0.015)
    # over 0.4, 0.4 and 0.2: fit 0; ridge 0.1, 0.1, 0.3
    assert kept.came[methods.FIT] == pytest.approx(0.0)
    assert kept.came[methods.RIDGE] == pytest.approx(0.5 / 3)
    assert routed.came[methods.FIT] == pytest.approx(0.1)
    assert methods.FULL in kept.came and methods.FORMER not in kept.came
    assert "| keeps a single model |            3 |" in report.expected_table(found)
    assert compare.expectation(compare.cells([_draw(0, [0.6, 0.2])]), kept=True) is None


def test_a_comparison_by_hand():
    # over the best single model, by draw: (.1, 0), (.3, −.1), (.22, −.2)
    # mean over weights .05, .1, .01: mean .16 / 3
    first = [_draw(0, [0.6, 0.2]), _draw(1, [0.8, 0.1]), _draw(2, [0.72, 0.0])]
    # (−.1, 0), (−.1, 0), (−.1, .02): −.05, −.05, −.04, below by more than .0033
    second = [_draw(s, [0.4, 0.2 + 0.02 * (s == 2)], rows=900) for s in range(3)]
    found = compare.cells([second[2], *first, *second[:2]])
    assert list(found) == [("t", "uniform", 500), ("t", "uniform", 900)]
    assert [each["seed"] for each in found["t", "uniform", 900]] == [0, 1, 2]
    own = compare.compare(found, methods.FIT)
    assert own.mean == pytest.approx((0.16 / 3 - 0.14 / 3) / 2)
    by_seed = np.array([0.0, 0.025, -0.015])
    assert own.error == pytest.approx(by_seed.std(ddof=1) / np.sqrt(3))
    assert own.worst == pytest.approx(-0.05) and own.draws == 6
    assert own.lost == pytest.approx(3 / 6)
    assert (own.far_below, own.far_above) == (3, 2)
    # full feedback leads by .5 and .8 in every draw
    assert own.recovered == pytest.approx(own.mean / 0.65)
    # weights of 500 rows: +.207 ± .058; −.1 ± .058, below. Of 900: −.1 ± 0, below; +.0067 ± .0067
    assert (own.below, own.cells, own.weights_below, own.weights) == (1, 2, 2, 4)
    assert compare.compare(found, methods.FORMER) is None


def test_below_is_by_more_than_one_standard_error():
    assert compare.below(np.array([-0.3, -0.1]))  # −.2 ± .1
    assert not compare.below(np.array([-0.4, 0.0, 0.1]))  # −.1 ± .153
    assert not compare.below(np.array([-0.4]))  # one draw tells no error
    assert compare.below(np.array([-0.1, -0.1]))


def test_cells_of_other_seeds_have_no_common_error():
    draws = [_draw(0, [0.6, 0.2]), _draw(1, [0.8, 0.1]), _draw(0, [0.4, 0.2], rows=900)]
    own = compare.compare(compare.cells(draws), methods.FIT)
    assert np.isnan(own.error) and own.draws == 3
    assert "nan" not in report.methods_table(compare.cells(draws))
    none = [_draw(seed, [0.6, 0.2], full=(0.5, 0.2)) for seed in range(2)]
    assert np.isnan(compare.compare(compare.cells(none), methods.FIT).recovered)


def test_seconds_of_first_calls_stand_apart():
    draws = [_draw(seed, [0.6, 0.2]) for seed in range(4)]
    draws[3]["first"] = [methods.FIT]
    assert compare.seconds(draws, methods.FIT, first=False) == 2.0
    assert compare.seconds(draws, methods.FIT, first=True) == 4.0
    assert np.isnan(compare.seconds(draws, methods.RIDGE, first=True))


# The study and its files


def _run(out, *more):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["x", "--preset", "smoke", "--quiet", "--out", str(out), *more])
        return main()


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    out, fit = tmp_path_factory.mktemp("sizes"), methods.fit

    def without_page(log, *, config, drop_unlogged):  # which takes seconds to compile
        config = dataclasses.replace(config, evaluation=0.0)
        return fit(log, config=config, drop_unlogged=drop_unlogged)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(methods, "fit", without_page)
        assert _run(out) == 0
    return out


@pytest.mark.slow
def test_every_draw_has_every_method(smoke):
    results = json.loads((smoke / "results.json").read_text())
    both = [Place("embedded", "uniform", 100, seed) for seed in (0, 1)]
    assert len(results["draws"]) == 2 and remaining(both, results["draws"]) == []
    for each in results["draws"]:
        found = {name: np.array(values) for name, values in each["values"].items()}
        assert set(found) == {
            *(methods.BEST, methods.BEST_FIT, methods.FIT, methods.RIDGE, methods.TWO_LEVEL),
            *(methods.FULL, methods.HINDSIGHT, methods.ORACLE),
        }
        assert each["test_rows"] == 600
        for own in found.values():
            assert own.shape == (2,) and (own <= found[methods.ORACLE] + 1e-9).all()
        for name in (methods.BEST, methods.BEST_FIT):
            assert (found[name] <= found[methods.HINDSIGHT] + 1e-9).all()
    text = (smoke / "table.md").read_text()
    assert "| embedded | uniform |  100 |     2 |" in text and "nan" not in text
    assert (smoke / "log_size.png").stat().st_size > 10_000


@pytest.mark.slow
def test_a_later_run_measures_only_what_is_missing(smoke, monkeypatch):
    whole = json.loads((smoke / "results.json").read_text())
    measured = []

    def measure(self, place):
        measured.append(place)
        values = {**whole["draws"][0]["values"]}
        return {**place._asdict(), "values": values, "seconds": {}, "first": []}

    monkeypatch.setattr("experiments.log_size.run.Study.measure", measure)
    assert _run(smoke) == 0 and measured == []
    assert json.loads((smoke / "results.json").read_text())["draws"] == whole["draws"]
    assert _run(smoke, "--seeds", "3") == 0
    assert measured == [Place("embedded", "uniform", 100, 2)]
    later = json.loads((smoke / "results.json").read_text())
    assert later["draws"][:2] == whole["draws"] and len(later["draws"]) == 3
    assert later["provenance"]["config"]["seeds"] == 3


def test_what_was_measured_is_kept_when_a_run_breaks_off(tmp_path, monkeypatch):
    def measure(self, place):
        if place.seed == 1:
            raise InputError("broke off")
        return {**place._asdict(), "values": {}, "seconds": {}, "first": []}

    monkeypatch.setattr("experiments.log_size.run.Study.measure", measure)
    assert _run(tmp_path) == 2
    assert [d["seed"] for d in json.loads((tmp_path / "results.json").read_text())["draws"]] == [0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--logging", "cheap"], "no logging 'cheap'; known are uniform, biased, sharp"),
        (["--rows", "20"], "rows is 20; it must be at least 60"),
        (["--rows", "400"], "no table has enough rows to test beside the logs"),
        (["--seeds", "1"], "seeds is 1; it must be at least 2"),
        (["--cost-weights=-1"], "each of them 0 or more"),
        (["--queries", "0"], "no table is left; give --tables"),
        (["--tables", "a/t.csv,b/t.csv"], "a name may stand for one alone"),
    ],
)
def test_wrong_options_end_with_one_sentence(tmp_path, capsys, arguments, message):
    out = tmp_path / "out"
    assert _run(out, *arguments) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1 and not out.exists()


@pytest.mark.slow
def test_results_of_other_settings_are_left_alone(smoke, tmp_path, capsys):
    before = (smoke / "results.json").read_bytes()
    assert _run(smoke, "--cost-weights", "0,1") == 2
    assert "was made with another cost_weights" in capsys.readouterr().err
    assert _run(smoke, "--queries", "701") == 2
    assert "holds another table 'embedded'" in capsys.readouterr().err
    assert (smoke / "results.json").read_bytes() == before
    (tmp_path / "results.json").write_text("[]")
    with pytest.raises(InputError, match="is not a results file of this study"):
        results_file.read_results(tmp_path / "results.json")


def test_sizes_that_leave_too_few_rows_are_left_out():
    config = check(dataclasses.replace(PRESETS["smoke"], rows=(300, 100, 100), seeds=2))
    assert config.rows == (100, 300)
    source = data.Source("small", _few(700), "synthetic")
    assert {place.rows for place in places(config, [source])} == {100}


# The README says what the committed results say


def test_the_readmes_are_in_step_with_the_results():
    assert {path.read_text() for path in report.readmes()} == {*report.readmes().values()}
    results = json.loads(report.RESULTS.read_text())
    config = results["provenance"]["config"]
    full = json.loads(json.dumps(dataclasses.asdict(PRESETS["full"])))
    assert {**config, "seeds": full["seeds"]} == full
    assert {each["seed"] for each in results["draws"]} == set(range(config["seeds"]))
    assert not any(each.endswith("+") for each in results["provenance"]["commits"])


def test_what_moves_a_router_by_hand(monkeypatch):
    """Routers that ask the first model of their own order are worth what it is worth."""

    def fit(log, *, config, drop_unlogged):
        assert config.evaluation == 0.0 and drop_unlogged
        return types.SimpleNamespace(
            models=log.models,
            choices=lambda x, cost_weights: np.zeros((len(cost_weights), len(x)), int),
        )

    monkeypatch.setattr(stability, "fit", fit)
    source, config = data.Source("t", _few(), "synthetic"), SizeConfig(cost_weights=(0.0,))
    found = stability.measure(source, "uniform", config, rows=60, variants=3)["utilities"]
    made = [
        data.draw(_few(), logging="uniform", rows=60, seed=seed, recorded=False)
        for seed in range(3)
    ]
    assert found["seed"] == pytest.approx([float(made[0].test.quality[:, 0].mean())] * 3)
    assert found["log"] == pytest.approx([float(m.test.quality[:, 0].mean()) for m in made])
    firsts = [0, *(np.random.default_rng(each).permutation(11)[0] for each in (1, 2))]
    expected = [float(made[0].test.quality[:, arm].mean()) for arm in firsts]
    assert found["order"] == pytest.approx(expected)
    record = {"table": "t", "logging": "uniform", "rows": 60, "utilities": found}
    assert "| t     | uniform |   60 |     0.0000 |" in stability.table([record])
    utilities = {"seed": [0.5, 0.52], "order": [0.5, 0.5002], "log": [0.5, 0.6]}
    further = {"seed": [0.5, 0.51], "order": [0.5, 0.50003], "log": [0.5, 0.6]}
    told = stability.said([{"utilities": each} for each in (utilities, further)])
    assert "by 20% at most" in told and told.endswith("by 0.0001 at most.")


def test_models_in_another_order_answered_the_same_rows():
    log = data.draw(_few(), logging="uniform", rows=60, seed=0, recorded=False).log
    order = np.random.default_rng(5).permutation(len(log.models))
    other = stability.reordered(log, order)
    answered = [log.models[arm] for arm in log.arms]
    assert [other.models[arm] for arm in other.arms] == answered and other.models != log.models


def test_the_readme_says_what_moves_a_router():
    text = report.README.read_text()
    assert report.filled(text, stability.readme_part(), mark=stability.MARK) == text


def test_a_log_without_difficulty_by_a_loop():
    made = data.draw(_few(), logging="uniform", rows=60, seed=0, recorded=False)
    found = ceilings.without_difficulty(made)
    for row in range(60):
        own = float(made.table.quality[row, made.log.arms[row]])
        every = [float(made.table.quality[row, arm]) for arm in range(11)]
        assert found.quality[row] == pytest.approx(own - sum(every) / 11, abs=1e-6)
    assert found.quality_range == (-1.0, 1.0)
    np.testing.assert_array_equal(found.arms, made.log.arms)


def test_a_table_with_its_tasks_among_the_embeddings():
    task = ("law", "art", "law", "law") * 10
    made = _few()
    made = made.rows(range(40)).replace(task=task)
    found = np.asarray(ceilings.with_task(made).features)
    own = np.asarray(made.features)
    np.testing.assert_array_equal(found[:, :-2], own)
    told = found[:, -2:]
    assert told.var(axis=0).sum() == pytest.approx(own.var(axis=0).sum(), rel=1e-5)
    assert set(told[:, 0] > 0) == {True, False}
    np.testing.assert_array_equal(told[:, 0] > 0, [name == "art" for name in task])
    assert ceilings.with_task(made.replace(task=None)) is None


def test_ceilings_by_hand():
    """Best features in hindsight: the best of three sizes, draw by draw."""

    def draw(seed, fit, half, twice):
        found = {"best single, by means": 0.5, "fit": fit, "half the features": half}
        found |= {"twice the features": twice, "true propensities": 0.5, "difficulty known": 0.7}
        found |= {"full feedback": 0.8, "task known": 0.6, "full feedback, task known": 0.9}
        own = {name: [value, value + 0.1] for name, value in found.items()}
        return {"table": "t", "logging": "uniform", "rows": 60, "seed": seed, "values": own}

    draws = [draw(0, 0.5, 0.61, 0.4), draw(1, 0.5, 0.4, 0.54)]
    lines = ceilings.table(draws).splitlines()
    cells = [each.strip() for each in lines[-1].strip("|").split("|")]
    assert cells[3:] == [
        "+0.0000 ± 0.0000",
        "+0.0000 ± 0.0000",
        "+0.0050 ± 0.1050",
        "-0.0300 ± 0.0700",
        "+0.0750 ± 0.0350",
        "+0.2000 ± 0.0000",
        "+0.1000 ± 0.0000",
        "",
        "+0.3000 ± 0.0000",
        "+0.4000 ± 0.0000",
        "",
    ]

    said = ceilings.said(draws).splitlines()
    assert said[0].endswith("`fit` gains t +0.0000 to +0.0000.")
    assert "gain 0.0050 at most" in said[1]
    assert "t +0.2000 to +0.2000, on average +0.2000 of the 0.3000" in said[2]
    assert said[3:] == [
        "- *Task known*: t +0.1000 to +0.1000.",
        "- *Full feedback* itself adds to the best single model: t +0.3000 to +0.3000.",
    ]


def test_the_readme_says_what_the_ceilings_are():
    text = report.README.read_text()
    assert report.filled(text, ceilings.readme_part(), mark=ceilings.MARK) == text


def test_findings_by_hand():
    """Two cells of two draws: leads of `fit` 0.02 and 0.04, −0.05 and 0.01; full feedback 0.1."""

    def record(logging: str, rows: int, seed: int, lead: float) -> dict:
        base, kept = [0.5, 0.5], [True, False]
        found = {methods.BEST: base, methods.BEST_FIT: base, methods.RIDGE: [0.25, 0.25]}
        found |= {methods.TWO_LEVEL: [0.5, 0.25], methods.BEST_DR: [0.75, 0.25]}
        found |= {methods.FIT: [0.5, 0.5 + 2 * lead], methods.FULL: [0.6, 0.6]}
        expected = {"kept": kept, "advantage": [0.005, 0.125], "standard_deviation": [1.0, 1.0]}
        place = {"table": "t", "logging": logging, "rows": rows, "seed": seed}
        return {**place, "values": found, "expected": expected, "seconds": {}, "first": []}

    draws = [record("uniform", 100, 0, 0.02), record("uniform", 100, 1, 0.04)]
    draws += [record("biased", 200, 0, -0.05), record("biased", 200, 1, 0.01)]
    text = prose.findings({"draws": draws})
    assert "adds +0.0050 ± 0.0200 on average" in text  # seeds −0.015 and 0.025
    assert "5% of what full feedback adds, over 4 draws of 2 cells" in text
    assert "Draws below -0.03: 1; above 0.03: 1" in text
    assert "The worst has -0.0500: t, 200 rows, biased, seed 0." in text
    assert "Under uniform logging `fit` adds +0.0300, its single model +0.0000" in text
    assert "t, 200 rows, biased: -0.0200 (full feedback +0.1000)" in text
    assert "Elsewhere it was expected to add +0.1250, and it added +0.0100 (8%)" in text
    assert "are below in 2 cells of 2, and have -0.25 in the worst draw" in text
    assert "two-level ridge** adds -0.1250 ± 0.0000 and is below in 2" in text
    assert "by dr estimates** adds +0.0000 ± 0.0000 and is below in 0" in text
