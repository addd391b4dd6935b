"""Refit, promote and roll back: what is compared, what is replaced, and what stays."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from served_router import COSTS, small_router

from routerjax.artefacts.router import Router
from routerjax.cli.commands import main
from routerjax.data.io.decisions import read_decisions
from routerjax.errors import InputError
from routerjax.evaluation.intervals import Interval
from routerjax.exploration.limits import Limits
from routerjax.exploration.posterior import Draws, load_draws, qualities, save_draws
from routerjax.pipelines.compare import Comparison
from routerjax.serving.deciding import Asked, Exploring
from routerjax.serving.refitting import previous, refit, rollback, rule_of
from routerjax.serving.requests import Query
from routerjax.serving.service import Service, Settings

SPREAD = np.array([3, 3, 0.3, 0.3])
QUERIES = (np.random.default_rng(1).normal(size=(2400, 4)) * SPREAD).astype(np.float32)


def truth(x: np.ndarray) -> np.ndarray:
    """[3] chance of a right answer: "c" is the best one where the second number is above 0."""
    return np.array([0.5 + 0.1 * np.sign(x[0]), 0.5, 0.05 + 0.9 * (x[1] > 0)])


def logged(
    folder: Path,
    log: Path,
    *,
    rows: int = 1200,
    first: int = 0,
    rate: float = 0.9,
    settings: Settings | None = None,
) -> None:
    """Decisions of the router in a folder on queries of its world, with feedback."""
    own = settings or Settings(0.0, Exploring(rate))
    service = Service(folder, own, log=log, seed=first)
    rng = np.random.default_rng(first)
    for x in QUERIES[first : first + rows]:
        made = service.decide(service.served, Query(None, x, None), Asked(0.0))
        right = float(rng.random() < truth(x)[made.decision.arm])
        cost = COSTS[made.decision.arm] * rng.uniform(0.8, 1.2)
        service.note("feedback", id=made.id, quality=right, cost=cost)
    service.close()


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """A router in service with its log, after a refit that promoted the next one."""
    place = tmp_path_factory.mktemp("world")
    small_router().save(place / "router")
    logged(place / "router", place / "log")
    command = ["refit", str(place / "log"), "--router", str(place / "router"), "--draws", "--json"]
    with pytest.MonkeyPatch.context() as patch:
        told = []
        patch.setattr("builtins.print", lambda text, **_: told.append(text))
        assert main(command) == 0
    (place / "told.json").write_text(told[-1])
    return place


@pytest.mark.slow
def test_a_router_that_is_worth_more_is_promoted_and_the_old_one_kept(world):
    told = json.loads((world / "told.json").read_text())
    assert told["promoted"] and told["counts"] == {"decisions": 1200, "rows": 1200}
    assert told["learnt"] + told["comparison"]["rows"] == 1200
    new, old = Router.load(world / "router"), Router.load(previous(world / "router"))
    gained = []
    for router in (new, old):
        arms = router.choices(QUERIES[1200:], cost_weights=(0.0,))[0]
        gained.append(np.mean([truth(x)[arm] for x, arm in zip(QUERIES[1200:], arms, strict=True)]))
    low, high = told["comparison"]["advantage"]["low"], told["comparison"]["advantage"]["high"]
    assert low > 0 and low < gained[0] - gained[1] < high
    assert old.report == {} and new.cost_weights == old.cost_weights


@pytest.mark.slow
def test_a_model_that_a_refit_lost_is_named_and_the_same_server_starts_again(tmp_path, capsys):
    folder = tmp_path / "router"
    small_router().save(folder)
    settings = Settings(0.0, Exploring(0.9, limits=Limits({"bank": ("c",)})), exclude=("c",))
    logged(folder, tmp_path / "log", rows=400, settings=settings)
    rule = ["--promote-if", "advantage.high > -1e9", "--exclude", "c"]
    for _ in range(2):
        assert main(["refit", str(tmp_path / "log"), "--router", str(folder), *rule]) == 0
        assert Router.load(folder).models == ("a", "b")
    first, second = capsys.readouterr().out.split("it is in service now")[:2]
    assert "The new router is without c" in first and "without c" not in second
    service = Service(folder, settings, seed=0)
    query = Query(None, QUERIES[0], None)
    made = service.decide(service.served, query, Asked(0.0, ("c", "b"), "bank"))
    assert made.decision.model == "b"
    with pytest.raises(InputError, match="no model 'x'; its models are a, b$"):
        Service(folder, dataclasses.replace(settings, exclude=("x",)))


@pytest.mark.slow
def test_a_refit_keeps_the_form_of_prompts(tmp_path):
    """Of a log that says none, as those of servers before say none, it is the old router's."""
    folder = tmp_path / "router"
    dataclasses.replace(small_router(), prompt_form="conversation").save(folder)
    logged(folder, tmp_path / "log", rows=400)
    joined = read_decisions(tmp_path / "log")
    assert joined.log.prompt_form == "conversation"
    for log in (joined.log, joined.log.replace(prompt_form=None)):
        own = dataclasses.replace(joined, log=log)
        assert refit(own, folder, rule="advantage.high > -1e9").promoted
        assert Router.load(folder).prompt_form == "conversation"
        rollback(folder)


@pytest.mark.slow
def test_a_router_that_is_worth_no_more_is_not_promoted(world, tmp_path):
    """What decided the log of the promoted router is that router: it cannot beat itself by much."""
    new = Router.load(world / "router")
    new.save(tmp_path / "router")
    logged(tmp_path / "router", tmp_path / "log", first=1200)
    before = (tmp_path / "router" / "router.json").read_text()
    found = refit(read_decisions(tmp_path / "log"), tmp_path / "router", rule="advantage.low > 0.1")
    assert not found.promoted and not previous(tmp_path / "router").exists()
    assert (tmp_path / "router" / "router.json").read_text() == before
    assert abs(found.comparison.advantage.mean) < 0.1
    with pytest.raises(InputError, match="no router was in service before"):
        rollback(tmp_path / "router")


@pytest.mark.slow
def test_rows_that_the_router_in_service_was_fitted_on_are_not_compared_by(world):
    """The same rows are set apart again, of which the promoted router has seen none."""
    told = json.loads((world / "told.json").read_text())
    found = refit(read_decisions(world / "log"), world / "router", rule="advantage.low > 1")
    assert found.comparison.rows == told["comparison"]["rows"]
    assert found.comparison.same == 1.0 and found.comparison.advantage.mean == 0.0
    with pytest.raises(InputError, match="too few to compare by"):
        refit(read_decisions(world / "log"), world / "router", held_out=0.02)


@pytest.mark.slow
def test_draws_of_the_posterior_serve_thompson_sampling(world):
    router = Router.load(world / "router")
    draws = load_draws(world / "router", router)
    x = np.asarray(router.arrays.scaling(QUERIES[:1]))[0]
    own = qualities(draws, x, quality_range=(0.0, 1.0))
    expected = router.expected(QUERIES[:1]).quality[0]
    assert own.shape == (64, 3)
    assert abs(own.mean(axis=0) - expected).max() < 4 * own.std(axis=0).max() / 8
    exploring = Exploring(0.0, "posterior")
    service = Service(world / "router", Settings(0.0, exploring), seed=0)
    made = service.decide(service.served, Query(None, QUERIES[0], None), Asked(0.0)).decision
    wins = np.bincount(own.argmax(axis=1), minlength=3) / 64
    assert made.propensities == pytest.approx(wins, abs=1e-12)


def test_rollback_exchanges_the_two(tmp_path):
    small_router().save(tmp_path / "router")
    small_router(0.3).save(previous(tmp_path / "router"))
    for wanted in ("c", "a", "c"):
        assert main(["rollback", str(tmp_path / "router")]) == 0
        router = Router.load(tmp_path / "router")
        assert router.route(np.zeros((1, 4), np.float32), cost_weight=0.0).models == (wanted,)


def test_a_router_in_service_is_put_at_other_prices_and_keeps_its_draws(tmp_path, capsys):
    folder = tmp_path / "router"
    small_router().save(folder)
    own = small_router().arrays.outcomes.quality["params"]
    features = {name: np.asarray(value)[0] for name, value in own["features"].items()}
    every = np.repeat(np.asarray(own["coefficients"], np.float32), 64, axis=0)
    save_draws(folder, small_router(), Draws(features, every))
    service = Service(folder, Settings(50.0, Exploring(0.0, "posterior")), seed=0)
    query = Query(None, np.float32([1.5, 0, 0, 0]), None)  # quality 0.8, 0.2 and 0.4
    assert service.decide(service.served, query, Asked(50.0)).decision.model == "a"
    assert main(["reprice", str(folder), "--price", "a=3x,c=0.0005"]) == 0
    said = capsys.readouterr().out
    assert (
        "a is at its new price, 0.012 dollars" in said and "c is at its new price, 0.0005" in said
    )
    service.take_up(service.load())
    made = service.decide(service.served, query, Asked(50.0)).decision
    assert made.model == "c" and made.cost == pytest.approx([0.012, 0.002, 0.0005])
    assert main(["rollback", str(folder)]) == 0
    service.take_up(service.load())
    assert service.decide(service.served, query, Asked(50.0)).decision.model == "a"
    for options, wrong in (([], "no price is given"), (["--price", "x=2x"], "no model 'x'")):
        assert main(["reprice", str(folder), *options]) == 2
        assert wrong in capsys.readouterr().err


def comparison(low: float, mean: float, cost: float) -> Comparison:
    own, other = Interval(mean, 0.1, low, mean + 1, 9), Interval(cost, 0.1, cost - 1, cost + 1, 9)
    return Comparison(0.0, 9, 9, own, own, own, own, other, 0.5, 0.0)


def test_a_rule_is_read_as_it_is_written():
    assert rule_of("advantage.low > 0")(comparison(0.01, 0.1, 0))
    assert not rule_of("advantage.low > 0")(comparison(0.0, 0.1, 0))
    assert rule_of("advantage.low >= -1e-3 and cost_change.mean<=-0.5")(comparison(0, 0.1, -0.5))
    assert not rule_of("advantage.low > 0 and cost_change.high < 0")(comparison(1, 1, 0))
    assert not rule_of("advantage.low < 0")(comparison(float("nan"), 0.1, 0))
    for text in ("", "advantage > 0", "advantage.low", "luck.low > 0", "advantage.low > x"):
        with pytest.raises(InputError, match="is no rule such as"):
            rule_of(text)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--promote-if", "always"], "is no rule"),
        (["--since", "7"], "is no time such as"),
        (["--held-out", "1"], "between 0 and 1"),
        (["--cost-weight", "1e9"], "outside the fitted range"),
        ([], "too few to compare by"),
    ],
)
def test_what_cannot_be_refitted_is_refused_in_one_sentence(tmp_path, capsys, options, said):
    small_router().save(tmp_path / "router")
    logged(tmp_path / "router", tmp_path / "log", rows=60)
    before = (tmp_path / "router" / "router.json").read_text()
    command = ["refit", str(tmp_path / "log"), "--router", str(tmp_path / "router")]
    assert main([*command, *options]) == 2
    assert said in capsys.readouterr().err
    assert (tmp_path / "router" / "router.json").read_text() == before
