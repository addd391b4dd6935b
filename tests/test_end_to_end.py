"""The study of end to end against predict-then-choose: its worlds, its estimand, its files."""

import dataclasses
import json

import numpy as np
import pytest

from experiments.end_to_end import compare, figure, methods, report, worlds
from experiments.end_to_end.__main__ import main
from experiments.end_to_end.config import (
    EMBEDDED,
    ON_TABLES,
    PRESETS,
    EndToEndConfig,
    Setting,
    check,
    varied,
)
from experiments.end_to_end.run import Place, cells, deviation, measuring, places
from experiments.log_size.data import Draw, Source, draw
from routerjax.data.synthetic.table import embedded_table
from routerjax.errors import InputError
from routerjax.records.tables import Table
from routerjax.training.config import RouterConfig, Schedule

# Worlds


def test_noise_leaves_the_means_alone():
    means = worlds.Means(np.full((4_000, 2), [0.3, 0.8]), np.full((4_000, 2), [1.0, 2.0]))
    np.testing.assert_array_equal(worlds.realised(means, noise=0.0, seed=1).quality, means.quality)
    plain, loud = (worlds.realised(means, noise=own, seed=1).quality for own in (1.0, 2.0))
    assert set(np.unique(plain)) == {0.0, 1.0}
    # 0.3 + 2·(0 − 0.3) and 0.3 + 2·(1 − 0.3); 0.8 + 2·(0 − 0.8) and 0.8 + 2·(1 − 0.8)
    np.testing.assert_allclose(np.unique(loud[:, 0]), [-0.3, 1.7])
    np.testing.assert_allclose(np.unique(loud[:, 1]), [-0.8, 1.2])
    for scores in (plain, loud):  # standard errors 0.007 and 0.015
        np.testing.assert_allclose(scores.mean(axis=0), [0.3, 0.8], atol=0.05)
    np.testing.assert_allclose(
        worlds.realised(means, noise=1.0, seed=1).cost.mean(axis=0), [1.0, 2.0], rtol=0.03
    )


def test_costs_are_spread_about_their_geometric_mean():
    cost = np.array([[1.0, 4.0], [9.0, 1.0]])
    np.testing.assert_allclose(worlds.spread_out(cost, 0.0), [[2.0, 2.0], [3.0, 3.0]])
    np.testing.assert_allclose(worlds.spread_out(cost, 1.0), cost)
    # 2·(1/2)² and 2·2²; 3·3² and 3·(1/3)²
    np.testing.assert_allclose(worlds.spread_out(cost, 2.0), [[0.5, 8.0], [27.0, 1 / 3]])


def test_further_arms_lie_half_a_difference_from_one_of_the_eleven():
    world = embedded_table(5, queries=6, dimensions=16)
    names, means = worlds.arms_of(world, 13)
    assert len(names) == 13 and len(set(names)) == 13
    np.testing.assert_array_equal(means.quality[:, :11], world.true_quality)
    base, ahead, behind = np.random.default_rng(worlds.ARMS_SEED).choice(11, 3, replace=False)
    odds = world.true_quality / (1 - world.true_quality)
    wanted = odds[:, base] * np.sqrt(odds[:, ahead] / odds[:, behind])
    np.testing.assert_allclose(means.quality[:, 11], wanted / (1 + wanted))
    cost = world.true_cost
    np.testing.assert_allclose(
        means.cost[:, 11], cost[:, base] * np.sqrt(cost[:, ahead] / cost[:, behind])
    )
    few, means = worlds.arms_of(world, 2)
    assert few == worlds.FEW_ARMS[:2] and means.quality.shape == (6, 2)


def test_test_rows_of_the_embedded_world_are_true_means_of_other_queries():
    setting = Setting(rows=60, dimensions=16, logging="uniform")
    config = dataclasses.replace(PRESETS["smoke"], test_rows=80)
    made = worlds.embedded(setting, config, seed=3)
    order = np.random.default_rng(3).permutation(140)
    world = embedded_table(worlds.FIRST_SEED + 3, queries=140, dimensions=16)
    np.testing.assert_array_equal(made.test.embeddings, world.table.embeddings[order[60:]])
    np.testing.assert_allclose(made.test.quality, world.true_quality[order[60:]], rtol=1e-6)
    np.testing.assert_array_equal(made.log.embeddings, world.table.embeddings[order[:60]])
    assert set(np.unique(made.log.quality)) == {0.0, 1.0}
    other = worlds.embedded(setting, config, seed=4)
    assert not np.isin(other.log.embeddings[:, 0], made.log.embeddings[:, 0]).any()
    assert worlds.embedded(Setting(propensities="estimated", rows=60), config, seed=3).log
    loud = worlds.embedded(Setting(noise=2.0, rows=60), config, seed=3)
    assert loud.table.quality_range == (-1.0, 2.0) and loud.log.propensities is not None


def test_arms_that_no_row_logged_are_left_out():
    table = Table.from_arrays(
        np.eye(3)[[0, 1, 2, 0]], np.ones((4, 3)), models="abc", embeddings=np.eye(4), warn=False
    )
    made = draw(table, logging="uniform", rows=3, seed=0, recorded=False)
    log = dataclasses.replace(made.log, arms=np.array([0, 2, 2], np.int32))
    kept = worlds.of_logged_arms(Draw(log, made.table, made.test))
    assert kept.log.models == kept.table.models == kept.test.models == ("a", "c")


# The two ways


SMALL = EndToEndConfig(
    surrogates=("softmax_regret",),
    estimators=("dr",),
    cost_weights=(0.0,),
    router=RouterConfig(
        members=1,
        architecture="shared",
        learning_rate=0.03,
        schedule=Schedule(batch_size=128, max_epochs=20, patience=20, chunk=20, caution=1.0),
    ),
)


def _opposites(rows):
    """Arm a is right where x > 0 and b where x < 0, so that each alone is right half the time."""
    x = np.random.default_rng(0).normal(size=(rows, 2)).astype(np.float32)
    right = np.stack([x[:, 0] > 0, x[:, 0] <= 0], axis=1).astype(float)
    table = Table.from_arrays(right, np.ones(right.shape), models="ab", embeddings=x, warn=False)
    return draw(table, logging="uniform", rows=400, seed=1, recorded=True)


@pytest.fixture(scope="module")
def opposites():
    made = _opposites(900)
    return made, methods.chosen(
        made, Setting(outcomes="means", width=0, dimensions=2), SMALL, (0.0,), seed=1
    )


def _right(made, chosen, name):
    return methods.utilities(chosen.choices[name], made.test, (0.0,)).mean()


def test_end_to_end_wins_where_the_outcome_model_sees_no_query(opposites):
    made, chosen = opposites
    assert set(chosen.choices) == set(methods.methods_of(SMALL))
    assert _right(made, chosen, methods.PLUG_IN) == pytest.approx(0.5, abs=0.07)
    np.testing.assert_array_equal(
        chosen.choices[methods.PLUG_IN][0], np.full(500, chosen.choices[methods.PLUG_IN][0, 0])
    )
    for name in (methods.WARM, methods.COLD, methods.FULL_COLD):
        assert _right(made, chosen, name) > 0.9, name
        assert chosen.epochs[name] > 0
    assert _right(made, chosen, methods.ORACLE) == 1.0


@pytest.mark.slow
def test_predicting_is_as_good_where_the_outcome_model_is_right():
    made = _opposites(900)
    setting = Setting(width=0, dimensions=2, propensities="estimated")
    chosen = methods.chosen(made, setting, SMALL, (0.0,), seed=1)
    assert _right(made, chosen, methods.PLUG_IN) > 0.9
    assert abs(_right(made, chosen, methods.WARM) - _right(made, chosen, methods.PLUG_IN)) < 0.05


def test_the_start_deserves_doubt_only_where_it_knows_something():
    setting = Setting(width=32)
    cold, warm = (methods.router_of(SMALL, setting, "barp", own) for own in ("random", "plug-in"))
    assert (cold.schedule.caution, warm.schedule.caution) == (0.0, 1.0)
    assert cold.widths == warm.widths == (32,) and cold.surrogate == "barp"
    assert methods.router_of(SMALL, Setting(width=0), "barp", "random").widths == ()


def test_lengths_do_not_depend_on_repeated_prompts():
    rows = methods.of_one_length(np.arange(70)[None])
    assert rows.shape == (1, 128) and (rows[0, 70:] == -1).all() and rows[0, 69] == 69
    assert methods.of_one_length(np.arange(64)[None]).shape == (1, 64)


def test_utilities_by_hand():
    test = Table.from_arrays([[1, 0], [0, 1]], [[1, 2], [1, 2]], models="ab", warn=False)
    found = methods.utilities(np.array([[0, 0], [1, 1]]), test, (0.0, 0.25))
    np.testing.assert_allclose(found, [[1, 0], [-0.5, 0.5]])
    # the first arm everywhere has (1, 0) and (.75, −.25): rows differ by −1.25 / 2 and .75 / 2
    other = methods.utilities(np.zeros((2, 2), int), test, (0.0, 0.25))
    assert deviation(found, other) == pytest.approx(np.sqrt(0.5))


# The estimand


def _record(seed, values, *, table=EMBEDDED, setting="centre", deviations=(0.0, 0.0, 0.0, 0.0)):
    """A draw of `SMALL`; values of the four references and the four routers, in their order."""
    names = methods.methods_of(SMALL)
    return {
        **Place(table, setting, seed)._asdict(),
        "values": values,
        "by_weight": {name: [value] for name, value in zip(names, values, strict=True)},
        "row_deviations": list(deviations),
        "epochs": [3, 0, 3, 0],
        "seconds": {"nuisances": 30.0},
    }


def _results(draws):
    config = {"surrogates": ["softmax_regret"], "estimators": ["dr"]}
    config |= {"starts": ["random", "plug-in"], "cost_weights": [0.0]}
    tables = [{"name": "t", "rows": 400, "models": 2, "costs": "recorded"}]
    return {"provenance": {"config": config}, "tables": tables, "draws": draws}


# plug-in, full plug-in, best single, oracle; then dr random, dr plug-in, full random, full plug-in
FIRST = [0.60, 0.70, 0.50, 0.9, 0.58, 0.61, 0.72, 0.70]
SECOND = [0.62, 0.71, 0.50, 0.9, 0.58, 0.65, 0.75, 0.71]


def test_the_estimand_by_hand():
    (own,) = compare.cells_of(_results([_record(1, SECOND), _record(0, FIRST)]))
    assert own.seeds == [0, 1] and own.queries is None
    # dr from the plug-in: +.01 and +.03; its error |.03 − .01| / 2, Student's t of one degree 12.7
    found = compare.difference(own, methods.WARM)
    assert found.mean == pytest.approx(0.02) and found.error == pytest.approx(0.01)
    assert found.margin == pytest.approx(0.12706, abs=1e-4)
    assert found.verdict == 0 and str(found) == "+0.0200 ± 0.0100"
    # from a random start: −.02 and −.04, of more draws alike behind
    assert compare.difference(own, methods.COLD).mean == pytest.approx(-0.03)
    more = compare.cells_of(
        _results([_record(seed, (FIRST, SECOND)[seed % 2]) for seed in range(4)])
    )
    assert compare.difference(more[0], methods.COLD).verdict == -1
    # full feedback is compared with the plug-in of full feedback: +.02 and +.04
    assert compare.difference(own, methods.FULL_COLD).mean == pytest.approx(0.03)
    assert compare.difference(more[0], methods.FULL_COLD).verdict == 1
    assert compare.differences(own, methods.PLUG_IN, over=methods.BEST) == pytest.approx(
        [0.1, 0.12]
    )
    assert compare.kept_start([own], methods.WARM) == 1.0
    assert compare.kept_start([own], methods.COLD) == 0.0
    (alone,) = compare.cells_of(_results([_record(0, FIRST)]))
    assert np.isnan(compare.difference(alone, methods.WARM).error)
    assert compare.difference(alone, methods.WARM).verdict == 0


def test_errors_on_a_table_hold_its_own_queries():
    deviations = (0.3, 0.2, 0.1, 0.1), (0.3, 0.4, 0.1, 0.1)
    draws = [
        _record(seed, own, table="t", deviations=each)
        for seed, (own, each) in enumerate(zip((FIRST, SECOND), deviations, strict=True))
    ]
    (own,) = compare.cells_of(_results(draws))
    # (.2² + .4²) / 2 = .1 over 400 queries, beside .01² between draws
    wanted = np.sqrt(0.01**2 + 0.1 / 400)
    assert compare.difference(own, methods.WARM).error == pytest.approx(wanted)
    found = compare.over_tables([own], methods.WARM)
    assert found == compare.difference(own, methods.WARM)
    assert compare.over_tables([], methods.WARM) is None


def test_cells_of_a_seed_are_averaged_before_the_error():
    # differences of dr plug-in: centre +.01, +.03; rows=500 +.03, +.01, and of a third seed +.01
    draws = [_record(0, FIRST), _record(1, SECOND)]
    draws += [_record(0, SECOND, setting="rows=500"), _record(1, FIRST, setting="rows=500")]
    draws += [_record(2, FIRST, setting="rows=500")]
    found = compare.joined(compare.cells_of(_results(draws)), methods.WARM)
    assert found.mean == pytest.approx((0.02 + 0.05 / 3) / 2)
    assert found.error == pytest.approx(0.0, abs=1e-12)  # both seeds have .02 over the two cells


def test_a_better_outcome_model_instead():
    draws = [_record(seed, own) for seed, own in enumerate((FIRST, SECOND))]
    draws += [
        _record(seed, own, setting="outcomes=few") for seed, own in enumerate((SECOND, FIRST))
    ]
    draws += [_record(0, FIRST, setting="rows=10000, outcomes=few")]  # whose twin was not run
    ((cell, found),) = compare.beside_default(compare.cells_of(_results(draws)), methods.WARM)
    assert cell.setting == "outcomes=few"
    # .65 − .60 and .61 − .62: mean .02, error .06 / 2
    assert found.mean == pytest.approx(0.02) and found.error == pytest.approx(0.03)


def test_the_tables_say_where_each_wins():
    draws = [_record(seed, (FIRST, SECOND)[seed % 2]) for seed in range(4)]
    draws += [_record(seed, (FIRST, SECOND)[seed % 2], table="t") for seed in range(4)]
    text = report.report(_results(draws))
    assert "8 draws, 4 seeds a setting, 4 minutes" in text and "nan" not in text
    assert "Of 2 settings, 1 of the embedded world and 1 of real tables" in text
    # four differences −.02, −.04: standard deviation .02 / √3, over √4
    row = next(
        line for line in text.splitlines() if line.startswith("| softmax_regret, dr, random")
    )
    assert row.count("-0.0300 ± 0.0058") == 2 and row.count("0, 1 of 1") == 2
    assert "ahead in 2 (embedded centre +0.0300; t centre +0.0300) and behind in 0 against" in text


def test_panels_of_the_figure(tmp_path):
    draws = [
        _record(seed, own, setting=setting)
        for seed, own in enumerate((FIRST, SECOND))
        for setting in ("centre", "rows=500", "rows=10000", "rows=10000, outcomes=few")
    ]
    draws += [_record(0, FIRST, table="t"), _record(1, SECOND, table="t")]
    found = figure.panels(compare.cells_of(_results(draws)))
    assert [(title, [label for label, _ in own]) for title, own in found] == [
        ("rows of the log", ["500", "2500", "10000"]),
        ("two factors", ["10000\nfew"]),
        ("t", ["centre"]),
    ]
    figure.plot(_results(draws), tmp_path / "f.png")
    assert (tmp_path / "f.png").stat().st_size > 10_000


def test_the_readme_is_made_from_the_committed_results():
    assert report.main(["--check"]) == 0


# Settings, files, command line


def test_settings_are_named_after_what_differs_from_the_centre():
    assert Setting().name == "centre" and Setting(rows=500).name == "rows=500"
    assert Setting(outcomes="few", noise=0.0).name == "outcomes=few, noise=0.0"
    assert [each.name for each in varied("rows")] == ["centre", "rows=500", "rows=10000"]
    full = PRESETS["full"].embedded
    assert len(full) == len({each.name for each in full}) == 23
    assert len(PRESETS["full"].routers) == 24


def test_tables_have_the_settings_that_leave_rows_to_test():
    rows = 3_100
    table = Table.from_arrays(np.ones((rows, 2)), np.ones((rows, 2)), models="ab", warn=False)
    config = dataclasses.replace(PRESETS["smoke"], factors=())
    own = cells(config, [Source("t", table, "recorded")])
    assert own[0] == (EMBEDDED, Setting())
    assert [each for name, each in own if name == "t"] == [
        each for each in ON_TABLES if each.rows < 10_000
    ]
    assert cells(dataclasses.replace(config, tables_too=False), [Source("t", table, "")]) == own[:1]


def test_a_whole_round_of_settings_comes_before_the_next_seed(monkeypatch):
    def measure(source, setting, config, *, seed):
        return {"asked": (source, setting.propensities, seed)}

    monkeypatch.setattr("experiments.end_to_end.run.measure", measure)
    config = dataclasses.replace(PRESETS["smoke"], factors=("propensities",), seeds=2)
    planned = places(config, [])
    other = "propensities=estimated"
    assert planned == [Place(EMBEDDED, name, seed) for seed in (0, 1) for name in ("centre", other)]
    measured = measuring(config, [])
    assert [measured(place)["asked"] for place in planned] == [
        (None, kind, seed) for seed in (0, 1) for kind in ("recorded", "estimated")
    ]


def _run(out, *more):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["x", "--preset", "smoke", "--quiet", "--out", str(out), *more])
        return main()


def test_a_run_writes_its_files_and_takes_them_up_again(tmp_path, monkeypatch, capsys):
    def measure(source, setting, config, *, seed):
        if seed == 2:
            raise InputError("broke off")
        return _record(seed, (FIRST, SECOND)[seed])

    monkeypatch.setattr("experiments.end_to_end.run.measure", measure)
    assert _run(tmp_path, "--cost-weights", "0") == 0
    assert "+0.0200 ± 0.0100" in (tmp_path / "table.md").read_text()
    assert (tmp_path / "end_to_end.png").stat().st_size > 10_000
    assert _run(tmp_path, "--cost-weights", "0", "--seeds", "3") == 2
    assert len(json.loads((tmp_path / "results.json").read_text())["draws"]) == 2
    capsys.readouterr()
    assert _run(tmp_path, "--cost-weights", "0,1") == 2
    assert "was made with another cost_weights" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--factors", "colour"], "no factor 'colour'; known are rows, arms"),
        (["--seeds", "1"], "seeds is 1; it must be at least 2"),
        (["--test-rows", "3"], "test rows are 3; at least 60 are needed"),
        (["--cost-weights=-1"], "each of them 0 or more"),
        (["--tables", "a/t.csv,b/t.csv"], "a name may stand for one alone"),
    ],
)
def test_wrong_options_end_with_one_sentence(tmp_path, capsys, arguments, message):
    out = tmp_path / "out"
    assert _run(out, *arguments) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1 and not out.exists()


def test_nothing_to_compare_is_said():
    with pytest.raises(InputError, match="no estimators are given"):
        check(dataclasses.replace(PRESETS["smoke"], estimators=()))
