"""The study of peers: hand formulas against ours, files, README. No peer need be installed."""

import dataclasses
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from experiments.off_policy_peers import bandit, effects, gold_mean, report
from experiments.off_policy_peers.__main__ import main
from experiments.off_policy_peers.bandit import Given, chosen, direction, fixed, tried
from experiments.off_policy_peers.config import PRESETS, check
from experiments.off_policy_peers.lookup import (
    KnownByTreatment,
    KnownOutcomes,
    KnownPropensities,
)
from experiments.off_policy_peers.peers import MISSING, PEERS, peer_versions
from experiments.off_policy_peers.run import read_logs
from routerjax.data.synthetic.table import embedded_table
from routerjax.errors import InputError
from routerjax.evaluation.off_policy import OFF_POLICY, given_up
from routerjax.records.logs import Log
from routerjax.records.tables import Estimates

# Off-policy values, by a loop over the rows


def _given(floor=0.0, rows=80):
    rng = np.random.default_rng(0)
    arms, clicks = rng.integers(0, 3, rows), rng.integers(0, 2, rows)
    log = Log.from_arrays(arms, clicks, np.full(rows, 0.001), models="abc")
    predicted = rng.random((rows, 3))
    return Given(
        policy=rng.dirichlet(np.ones(3), size=rows),
        log=log,
        predicted=Estimates(quality=predicted, cost=0 * predicted),
        propensities=rng.uniform(0.02, 0.9, rows),
        floor=floor,
    )


def _by_hand(name, given, parameter):
    """The formulas of the papers, a row at a time."""
    total, weights = 0.0, []
    for i, arm in enumerate(given.log.arms):
        weight = given.policy[i, arm] / max(given.propensities[i], given.floor)
        expected = sum(given.policy[i, m] * given.predicted.quality[i, m] for m in range(3))
        reward, guess = float(given.log.quality[i]), given.predicted.quality[i, arm]
        if name == "direct":
            total += expected
        elif name in ("ips", "snips"):
            total += weight * reward
        elif name == "sndr":
            total += weight * (reward - guess)
        else:
            if name == "switch-dr" and weight > parameter:
                weight = 0.0
            if name == "dros" and parameter < np.inf:
                weight = parameter * weight / (weight**2 + parameter)
            total += expected + weight * (reward - guess)
        weights.append((weight, expected))
    if name == "snips":
        return total / sum(weight for weight, _ in weights)
    if name == "sndr":
        expected = sum(each for _, each in weights) / len(weights)
        return expected + total / sum(weight for weight, _ in weights)
    return total / len(weights)


@pytest.mark.parametrize("floor", [0.0, 0.1])
@pytest.mark.parametrize("name", OFF_POLICY)
def test_values_by_hand_at_every_parameter(name, floor):
    given, estimator = _given(floor), OFF_POLICY[name]
    for parameter in tried(estimator, given.weights) or [None]:
        which = name if parameter is None else fixed(estimator, parameter)
        found = given.scores(which).quality.mean()
        assert found == pytest.approx(_by_hand(name, given, parameter), rel=1e-6)


def test_the_parameter_that_was_chosen():
    given = _given()
    for name in ("switch-dr", "dros"):
        parameter, scores = chosen(name, given)
        assert parameter in tried(OFF_POLICY[name], given.weights)
        same = given.scores(fixed(OFF_POLICY[name], parameter)).quality
        np.testing.assert_array_equal(same, scores.quality)
    assert chosen("dr", given)[0] is None


def test_what_is_given_up_is_the_same_on_average_where_only_the_drawn_arm_is_known():
    """E over the drawn arm of w − g(w), which is Σ_m π_m·(w_m − g(w_m))."""
    rng, n = np.random.default_rng(7), 200_000
    chance, policy = np.array([0.9, 0.08, 0.02]), np.array([0.2, 0.3, 0.5])
    weights = policy / chance  # 0.22, 3.75, 25
    drawn = weights[rng.choice(3, n, p=chance)]
    every = np.tile(weights, (n, 1))
    estimator = OFF_POLICY["switch-dr"]._replace(parameters=lambda _: np.array([10.0, 1.0]))
    known = given_up(estimator, drawn, every, np.tile(chance, (n, 1)))
    np.testing.assert_allclose(known, [0.5, 0.8])  # the policy's share of what lies above 10, 1
    seen = given_up(estimator, drawn, drawn, np.ones(n))
    np.testing.assert_allclose(seen, known, atol=4 * 25 * np.sqrt(0.02 / n))


def _logs(rows=300):
    rng = np.random.default_rng(1)
    chance = np.array([0.7, 0.2, 0.1])
    logs = []
    for shares in (np.full(3, 1 / 3), chance):
        arms = rng.choice(3, rows, p=shares)
        logs.append(
            Log.from_arrays(
                arms,
                rng.random(rows) < 0.2 + 0.2 * arms,
                np.full(rows, 0.001),
                models="abc",
                propensities=shares[arms],
                embeddings=rng.normal(size=(rows, 4)),
            )
        )
    return logs


def test_both_directions_of_a_pair_of_logs():
    uniform, thompson = _logs()
    reordered = thompson.with_models(("c", "a", "b"))
    found = bandit.measure(uniform, reordered, seed=0)
    there = found["uniform on thompson"]
    assert there["own"]["mean"] == pytest.approx(uniform.quality.mean())
    # uniform shares a third; the log's propensities are 0.7, 0.2 and 0.1
    weights = (1 / 3) / np.array([0.7, 0.2, 0.1])[thompson.arms]
    ips = there["floors"][1]["estimators"]["ips"]
    assert ips["mean"] == pytest.approx((weights * thompson.quality).mean(), rel=1e-5)
    apart = ips["mean"] - uniform.quality.mean()
    error = np.sqrt(
        (weights * thompson.quality).var(ddof=1) / 300 + uniform.quality.var(ddof=1) / 300
    )
    assert ips["z"] == pytest.approx(apart / error, rel=1e-4)
    assert abs(there["floors"][1]["estimators"]["dr"]["z"]) < 4
    back = found["thompson's shares on uniform"]
    weights = 3 * (thompson.arm_counts / 300)[uniform.arms]
    assert back["floors"][1]["mean weight"] == pytest.approx(weights.mean(), rel=1e-5)


def test_logs_that_cannot_be_compared():
    uniform, thompson = _logs()
    with pytest.raises(InputError, match="no propensities"):
        bandit.measure(uniform, thompson.replace(propensities=None), seed=0)
    with pytest.raises(InputError, match="3 arms are not those of"):
        bandit.measure(uniform, thompson.replace(models=("a", "b", "d")), seed=0)


DATA = Path(__file__).parents[2] / "shared" / "data"
FILES = [DATA / f"obd_men_{name}_log.parquet" for name in ("random", "bts")]


@pytest.mark.skipif(not all(map(Path.exists, FILES)), reason="the Open Bandit logs are not here")
def test_the_real_logs_are_those_of_the_results():
    uniform, thompson = read_logs(*FILES)
    results = json.loads(report.RESULTS.read_text())
    known = f"{uniform.fingerprint} {thompson.fingerprint}; the rest is drawn"
    assert results["provenance"]["data_fingerprint"] == known
    kept = results["bandit"]["uniform on thompson"]
    assert kept["own"]["mean"] == pytest.approx(46 / 10_000)
    weights = (1 / 34) / np.asarray(thompson.propensities, np.float64)
    ips = kept["floors"][1]["estimators"]["ips"]["mean"]
    assert ips == pytest.approx((weights * thompson.quality).mean(), rel=1e-6)
    # of the uniform log all propensities are known, and then the same parameter is chosen
    back = results["bandit"]["thompson's shares on uniform"]["floors"][1]["estimators"]
    n, arms = len(uniform), len(uniform.models)
    given = Given(
        policy=np.tile(thompson.with_models(uniform.models).arm_counts / n, (n, 1)),
        log=uniform,
        predicted=bandit.outcomes(uniform, seed=0),
        propensities=np.full((n, arms), 1 / arms),
        floor=0.0,
    )
    for name in ("switch-dr", "dros"):
        assert back[name]["parameter"] is None and chosen(name, given)[0] == np.inf


# Effects


def test_truth_by_hand():
    # gpt-4 minus mixtral, by task: .10, .21, .13, .08, .18, .11, .05 at their shares
    share = [0.34, 0.22, 0.18, 0.08, 0.08, 0.06, 0.04]
    apart = [0.10, 0.21, 0.13, 0.08, 0.18, 0.11, 0.05]
    found = effects.truth(2)
    assert found["effect"] == pytest.approx(np.dot(share, apart))
    # tasks 1, 3 and 5 go to model 1
    assert found["lead"] == pytest.approx(0.22 * 0.21 + 0.08 * 0.08 + 0.06 * 0.11)
    assert effects.arms_of(np.arange(7), 5).tolist() == [0, 1, 2, 3, 4, 0, 1]


def test_truth_against_the_table():
    made = embedded_table(5, queries=20_000, dimensions=16)
    names = list(effects.TASKS)
    arms = effects.arms_of([names.index(task) for task in made.table.task], 3)
    quality = made.true_quality[:, effects.columns_of(3)]
    apart = quality[np.arange(20_000), arms] - quality[:, 0]
    assert abs(apart.mean() - effects.truth(3)["lead"]) < 4 * apart.std() / np.sqrt(20_000)


def test_effects_by_the_doubly_robust_score():
    given, _ = effects.draw(3, rows=400, models=3)
    arms, n = given.log.arms, len(given.log)

    def scores(arm):
        own = arms == arm
        predicted = given.predicted[np.arange(n), arm]
        chance = given.propensities[np.arange(n), arm]
        return predicted + own / chance * (given.log.quality - predicted)

    found = effects.ours(given)
    for name, choice in (("effect", np.ones(n, int)), ("lead", given.choice)):
        apart = scores(choice) - scores(np.zeros(n, int))
        assert found[name].mean == pytest.approx(apart.mean(), abs=1e-6)
        assert found[name].standard_error == pytest.approx(apart.std(ddof=1) / np.sqrt(n), rel=1e-5)


def test_summary_by_hand():
    said = [effects.Estimate(0.2, 0.1, 0.15), effects.Estimate(0.6, 0.1, 0.15)]
    found = effects.summary(said, said[::-1], 0.3)
    assert found["bias"] == pytest.approx(0.1) and found["coverage"] == 0.5
    assert found["largest difference"] == pytest.approx(0.4)
    # 0.2 − 0.6 and 0.6 − 0.2: mean 0, sd 0.4·√2
    assert found["mean difference"] == pytest.approx(0.0, abs=1e-12)
    assert found["error of the difference"] == pytest.approx(0.4)
    silent = effects.summary([effects.Estimate(0.2), effects.Estimate(0.4)], said, 0.3)
    assert silent["coverage"] is None


def test_known_nuisances_are_looked_up():
    predicted, arms = np.arange(12.0).reshape(4, 3), np.array([0, 2, 1, 2])
    position = np.array([[9.0, 3], [9.0, 0]])
    assert KnownOutcomes(predicted, arms).fit(position, None).predict(position).tolist() == [11, 2]
    treated = np.concatenate([position, [[0, 1], [0, 0]]], axis=1)
    assert KnownByTreatment(predicted).fit(treated, None).predict(treated).tolist() == [11, 0]
    chances = KnownPropensities(predicted).fit(position, None)
    assert chances.predict_proba(position).tolist() == [[9, 10, 11], [0, 1, 2]]
    assert chances.predict(position).tolist() == [2, 2] and chances.classes_.tolist() == [0, 1, 2]


# Means of gold scores


def _ppi(right, predicted, others, power):
    """The prediction-powered mean and its standard error, of Angelopoulos, Duchi, Zrnic."""
    mean = power * others.mean() + (right - power * predicted).mean()
    variance = power**2 * others.var() / len(others) + (right - power * predicted).var() / len(
        right
    )
    return mean, np.sqrt(variance)


def test_ours_is_prediction_powered_at_one_minus_the_share():
    scored = gold_mean.draw(np.random.default_rng(2), rows=400, gold=100)
    predicted, known = np.random.default_rng(3).random(400), scored.gold
    found = gold_mean.ours(scored, predicted, gold_mean.shares(scored)).interval(0.0)
    mean, _ = _ppi(scored.right[known], predicted[known], predicted[~known], 0.75)
    assert found.mean == pytest.approx(mean, abs=1e-7)
    # λ = 1 on all rows instead of the rest is the same
    everyone, _ = _ppi(scored.right[known], predicted[known], predicted, 1.0)
    assert found.mean == pytest.approx(everyone, abs=1e-7)


def test_how_much_wider_ours_is_by_hand():
    """Ours counts the number of gold rows as luck: a mean residual δ adds (1 − e)/e·δ²/n."""
    scored = gold_mean.draw(np.random.default_rng(4), rows=400, gold=100)
    known, e = scored.gold, 0.25
    predicted = np.random.default_rng(5).random(400)
    found = (
        gold_mean.ours(scored, predicted, gold_mean.shares(scored)).interval(0.0).standard_error
        ** 2
    )
    d = (scored.right - predicted)[known]
    # Var(f + s·d/e) with s Bernoulli = Var f + 2·cov_gold(f, d) + E_gold d²/e − (E_gold d)²
    f = predicted
    cross = 2 * ((f[known] * d).mean() - f.mean() * d.mean())
    by_hand = f.var() + cross + (d**2).mean() / e - d.mean() ** 2
    assert found == pytest.approx(by_hand / 399, rel=1e-5)


def test_rows_as_drawn():
    scored = gold_mean.draw(np.random.default_rng(6), rows=40_000, gold=50)
    assert scored.gold.sum() == 50
    assert abs(scored.right.mean() - 0.6) < 0.01
    # 0.6·0.85 + 0.4·0.35
    assert abs(scored.judged.mean() - 0.65) < 0.01
    log = scored.log
    assert log.scored_by.count("gold") == 50
    np.testing.assert_array_equal(log.quality, np.where(scored.gold, scored.right, scored.judged))


def test_gold_summary_by_hand():
    said = [
        {"ours": effects.Estimate(0.5, 0.1, 0.2), "other": effects.Estimate(0.6, 0.1, 0.1)},
        {"ours": effects.Estimate(0.9, 0.1, 0.2), "other": effects.Estimate(0.8, 0.1, 0.3)},
    ]
    found = gold_mean.summary(said)["estimators"]
    assert found["ours"]["coverage"] == 0.5 and found["other"]["coverage"] == 1.0
    assert found["ours"]["bias"] == pytest.approx(0.1)
    assert found["other"]["reach"] == pytest.approx(0.2)
    assert found["other"]["largest difference"] == pytest.approx(0.1)


def test_weights_by_hand():
    found = gold_mean.weighed(np.array([[0.0, 4.0], [2.0, 0.0]]))
    assert found["largest"] == 3 and found["mean weight"] == 1.5
    assert found["deviation of it"] == pytest.approx(np.sqrt(0.5))


# Files


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    out = tmp_path_factory.mktemp("peers")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROUTERJAX_CACHE", str(out / "cache"))
        patch.setattr("sys.argv", ["x", "--preset", "smoke", "--quiet", "--out", str(out)])
        assert main() == 0
    return out, json.loads((out / "results.json").read_text())


def test_the_smoke_preset_runs_without_logs_and_without_peers(smoke):
    out, results = smoke
    assert results["bandit"] is None
    (found,) = results["effects"]
    assert found["models"] == 2 and found["logs"] == 2
    assert abs(found["estimators"]["ours"]["effect"]["bias"]) < 0.5
    assert {each["predictor"] for each in results["gold"]} == set(gold_mean.PREDICTORS)
    peers = results["provenance"]["peers"]
    assert set(peers) == set(PEERS)
    for package, name in PEERS.items():
        assert (peers[package] == MISSING) == (importlib.util.find_spec(name) is None)
    text = (out / "table.md").read_text()
    assert "Effect of asking model 1 instead of model 0; 2 models, 400 rows, 2 logs" in text
    assert "nan" not in text


def test_a_peer_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(PEERS, "no-such-package-here", "no_such_package_here")
    assert peer_versions()["no-such-package-here"] == MISSING


def test_a_table_without_the_peer_says_so():
    uniform, thompson = _logs()
    found = direction(np.full(3, 1 / 3), thompson, uniform, seed=0)
    for at in found["floors"]:
        for each in at["estimators"].values():
            each["peer"] = None
    text = report.bandit_table(json.loads(json.dumps(report.plain(found))))
    assert text.count(MISSING) == len(OFF_POLICY)  # no propensity is below the floor


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rows", "20"], "rows is 20; it must be at least 300"),
        (["--scored", "20"], "scored is 20; it must be at least 40"),
        (["--models", "6"], "models is 6; it must be from 2 to 5"),
        (["--gold", "190"], "gold is 190; it must be from 20 to 180"),
        (["--logs", "1"], "logs is 1; it must be at least 2"),
        (["--random", "a.parquet"], "--random and --bts go together; only one of them is given"),
    ],
)
def test_wrong_options_end_with_one_sentence(tmp_path, monkeypatch, capsys, arguments, message):
    out = tmp_path / "out"
    monkeypatch.setattr("sys.argv", ["x", "--preset", "smoke", "--out", str(out), *arguments])
    assert main() == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1 and not out.exists()


def test_values_given_twice_count_once():
    twice = dataclasses.replace(PRESETS["smoke"], models=(2, 2), gold=(40, 40))
    assert (check(twice).models, check(twice).gold) == ((2,), (40,))


# The README says what the committed results say


def test_the_readme_is_in_step_with_the_results():
    results = json.loads(report.RESULTS.read_text())
    text = report.README.read_text()
    assert report.filled(text, report.readme_tables(), mark=report.MARK) == text
    config = json.loads(json.dumps(dataclasses.asdict(PRESETS["full"])))
    assert results["provenance"]["config"] == config
    assert MISSING not in results["provenance"]["peers"].values()


def test_the_committed_peers_agree():
    results = json.loads(report.RESULTS.read_text())
    for found in results["bandit"].values():
        for at in found["floors"]:
            for each in at["estimators"].values():
                assert each["peer"]["largest difference"] < 1e-12
    for found in results["effects"]:
        econml = found["estimators"]["EconML, our nuisances"]
        assert econml["effect"]["largest difference"] < 1e-12
        assert econml["effect"]["largest difference of errors"] < 1e-12
        assert econml["lead"]["largest difference"] < 1e-12
    for each in results["gold"]:
        assert each["estimators"]["PPI, λ = 1 − e"]["largest difference"] < 1e-7
