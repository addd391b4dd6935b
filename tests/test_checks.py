"""Numbers that cannot be true: each is found where it is, and nothing on ordinary data."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest

import routerjax as rj
from routerjax.data.checks.findings import findings, warn_of
from routerjax.data.checks.names import alias_of, spellings
from routerjax.data.columns.schema import Schema
from routerjax.data.synthetic.simulation import simulate
from routerjax.errors import DataWarning, InputError

MODELS = ("dear", "mid", "small")
PRICE = np.array([0.006, 0.004, 0.0002])


def drawn(rows: int = 300, *, seed: int = 0, graded: bool = False) -> dict[str, np.ndarray]:
    """Arms, quality and cost of an ordinary log."""
    rng = np.random.default_rng(seed)
    arms = np.arange(rows) % 3
    quality = rng.integers(1, 10, rows) / 10 if graded else (rng.random(rows) < 0.7) * 1.0
    return {"arms": arms, "quality": quality, "cost": PRICE[arms] * rng.uniform(0.5, 1.5, rows)}


@pytest.fixture(autouse=True)
def _other_warnings_aside():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*(every cost is 0|the mean cost is)")
        yield


def log_of(values: dict[str, np.ndarray], **more) -> rj.Log:
    arms, quality, cost = values["arms"], values["quality"], values["cost"]
    return rj.Log.from_arrays(arms, quality, cost, **{"models": MODELS, **more})


def the_one(record: rj.Log | rj.Table):
    """The only finding there is."""
    (found,) = findings(record)
    return found


@pytest.mark.parametrize("graded", [False, True])
def test_nothing_is_found_in_ordinary_logs(graded):
    for seed in range(20):
        assert findings(log_of(drawn(seed=seed, graded=graded))) == ()


@pytest.mark.parametrize("policy", ["uniform", "quality", "cheap"])
def test_nothing_is_found_in_simulated_logs_and_tables(policy):
    log, table = simulate(
        None, policy=policy, strength=2.0, rows=2000, test_share=0.5, record=False, seed=3
    )
    assert findings(log) == findings(table) == ()


def test_an_embedding_that_outweighs_all_others_is_found():
    x = np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32)
    assert findings(log_of(drawn(), embeddings=x)) == ()
    x[[17, 40]] *= [[1e6], [1e4]]
    found = the_one(log_of(drawn(), embeddings=x))
    assert (found.name, found.column, found.row) == ("outlying-embedding", "embedding", 17)
    assert found.problem.startswith("the embeddings of 2 rows are more than 1000 times as long")
    assert not found.refused and found.share == 2 / 300
    assert findings(log_of(drawn(), embeddings=np.zeros((300, 8), np.float32))) == ()
    few = log_of(drawn(rows=19), embeddings=x[10:29])
    assert not any(each.name == "outlying-embedding" for each in findings(few))


def test_a_model_that_costs_nothing_is_refused():
    values = drawn()
    values["cost"][values["arms"] == 1] = 0
    found = the_one(log_of(values))
    assert (found.name, found.model, found.share, found.row) == ("zero-cost", "mid", 1.0, 1)
    assert found.refused
    for way in ("--prices prices.toml", "--zero-cost keep", "--zero-cost missing"):
        assert way in found.right


def test_cache_hits_are_said_and_not_refused():
    values = drawn()
    values["cost"][7:157:3] = 0  # 50 of the 100 rows of model 1
    found = the_one(log_of(values))
    assert (found.name, found.model, found.share, found.row) == ("zero-cost", "mid", 0.5, 7)
    assert not found.refused and "costs 0 in 50 of 100 (50%) of its rows" in found.problem
    values["cost"] = drawn()["cost"]
    values["cost"][7:19:3] = 0  # four rows are few
    assert findings(log_of(values)) == ()


def test_a_model_that_costs_less_than_a_query_can_is_said():
    values = drawn()
    values["cost"][values["arms"] == 1] = 1e-9  # what a tool wrote for want of a price
    found = the_one(log_of(values))
    assert (found.name, found.model, found.share, found.row) == ("placeholder-cost", "mid", 1, 1)
    assert "costs $1e-09 per query" in found.problem and not found.refused
    values["cost"][values["arms"] == 1] = 2e-7  # thirty tokens of a very cheap model
    assert findings(log_of(values)) == ()


def test_a_table_whose_model_costs_nothing_is_warned_of():
    log, table = simulate(
        None, policy="uniform", strength=1.0, rows=500, test_share=0.5, record=False, seed=0
    )
    cost = np.array(table.cost)
    cost[:, 2] = 0
    found = the_one(table.replace(cost=cost))
    assert (found.name, found.column, found.refused) == (
        "zero-cost",
        f"cost:{table.models[2]}",
        False,
    )


def test_one_cost_of_a_thousand_times_the_median():
    values = drawn()
    values["cost"][42] = 40
    found = the_one(log_of(values))
    assert (found.name, found.model, found.row, found.share) == (
        "outlying-cost",
        "dear",
        42,
        0.01,
    )
    assert "up to $40" in found.problem
    values["cost"][42] = 0.6  # a hundred times as much can be
    assert findings(log_of(values)) == ()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda cost, arms: 100 * cost, "in cents"),
        (lambda cost, arms: 1000 * cost, "per thousand queries"),
        (lambda cost, arms: np.array([15.0, 3.0, 0.1])[arms], "list prices per million tokens"),
        (lambda cost, arms: np.array([1e-5, 2.5e-6, 1e-7])[arms], "a price per token"),
        (lambda cost, arms: cost / 32_000, "a price per token"),
    ],
)
def test_costs_in_other_units(change, said):
    values = drawn()
    values["cost"] = change(values["cost"], values["arms"])
    found = the_one(log_of(values))
    assert found.name == "cost-unit" and said in f"{found.problem}; {found.right}"


def test_costs_per_token_that_never_change():
    values = drawn()
    price = np.array([1e-5, 2.5e-6, 1e-7])[values["arms"]]
    values["cost"] = price
    found = the_one(log_of(values))
    assert found.problem == "every row of a model costs the same, $1e-05 at most"
    assert "is this a price per token?" in found.right
    values["cost"] = price * np.random.default_rng(0).uniform(0.5, 1.5, 300)
    assert findings(log_of(values)) == ()  # short answers of cheap models
    values["cost"] = 100 * price
    assert findings(log_of(values)) == ()  # a price per query


def test_long_prompts_may_be_dear():
    values = drawn()
    values["cost"] = 50 * values["cost"]  # a tenth of a dollar and more
    assert the_one(log_of(values)).name == "cost-unit"
    assert findings(log_of(values, prompts=["word " * 8000] * 300)) == ()


def test_a_constant_quality():
    values = drawn()
    values["quality"] = np.ones(300)
    assert the_one(log_of(values)).problem == "every quality is 1"
    values = drawn(graded=True)
    values["quality"][values["arms"] == 2] = 0.5
    found = the_one(log_of(values))
    assert (found.name, found.model, found.row) == ("constant-quality", "small", 2)
    values = drawn()
    values["quality"][:30][values["arms"][:30] == 2] = 1.0
    assert findings(rj.Log.rows(log_of(values), slice(30))) == ()  # ten times right is chance


def test_many_scores_of_one_model_at_an_edge():
    values = drawn(graded=True)
    values["quality"][2:62:3] = 0  # 20 of the 100 of model 2
    found = the_one(log_of(values))
    assert (found.name, found.model, found.share, found.row) == ("edge-of-range", "small", 0.2, 2)
    values["quality"][2:302:3] = np.linspace(0, 0.2, 100).round(2)  # a bad model has low scores
    values["quality"][2:62:3] = 0
    assert findings(log_of(values)) == ()


def test_a_code_for_failed_calls():
    values = drawn(graded=True)
    values["quality"] = values["quality"] * 10
    values["quality"][[5, 50]] = -1
    found = the_one(log_of(values, quality_range=(-1, 10)))
    assert (found.name, found.row) == ("failure-code", 5)
    assert "quality is -1 in 2 of 300 rows" in found.problem
    assert "--quality-range 1:9" in found.right


def test_missing_feedback_taken_for_zero():
    values = drawn()
    values["quality"] = np.zeros(300)
    values["quality"][:30:3], values["quality"][1:31:3] = 1, -1
    found = the_one(log_of(values, quality_range=(-1, 1)))
    assert (found.name, found.row, found.share) == ("missing-as-zero", 2, 280 / 300)
    values["quality"][100:] = np.where(np.arange(200) % 4, 1, -1)  # 80 ties of 300
    assert findings(log_of(values, quality_range=(-1, 1))) == ()


def test_scales_that_are_mixed():
    values = drawn(graded=True)
    values["quality"][::2] *= 100
    judges = ["person" if row % 2 else "judge" for row in range(300)]
    found = the_one(log_of(values, scored_by=judges, quality_range=(0, 100)))
    assert (found.name, found.row, found.share) == ("mixed-scales", 1, 0.5)
    assert "150 scores of judge 'person' lie between 0.1 and 0.9" in found.problem


@pytest.mark.parametrize("whole", [False, True])
def test_scales_that_are_mixed_in_one_model(whole):
    rng = np.random.default_rng(0)
    values = drawn()
    fractions = rng.uniform(0.05, 0.95, 300)
    hundreds = rng.uniform(20, 100, 300)
    values["quality"] = np.round(hundreds) if whole else hundreds
    assert findings(log_of(values, quality_range=(0, 100))) == ()
    own = np.flatnonzero(values["arms"] == 1)[10:40]
    values["quality"][own] = fractions[own]
    found = the_one(log_of(values, quality_range=(0, 100)))
    assert (found.name, found.model, found.row) == ("mixed-scales", MODELS[1], own[0])
    assert "30 of 100 scores of model" in found.problem and "between 0 and 1" in found.problem


def test_one_scale_from_below_one_to_a_hundred():
    rng = np.random.default_rng(0)
    values = drawn()
    for scores in (
        rng.uniform(0, 100, 300),
        100 * rng.uniform(0, 1, 300) ** 6,  # most are below 2, and thin out
        rng.integers(0, 101, 300) * 1.0,
        rng.uniform(0, 1, 300),
    ):
        values["quality"] = scores
        assert "mixed-scales" not in {
            each.name for each in findings(log_of(values, quality_range=(0, 100)))
        }


@pytest.mark.parametrize(
    ("models", "expected"),
    [
        (["GPT-4o", "gpt-4o", "gpt-4o "], {"gpt-4o": ("GPT-4o", "gpt-4o ")}),
        (["openai/gpt-4o", "gpt-4o"], {"gpt-4o": ("openai/gpt-4o",)}),
        (["gpt-4o-2024-08-06", "gpt-4o"], {"gpt-4o": ("gpt-4o-2024-08-06",)}),
        (["a b", "a_b", "a-b"], {"a_b": ("a b", "a-b")}),
        (["openrouter/openai/o3", "openai/o3"], {"openai/o3": ("openrouter/openai/o3",)}),
        (["azure/gpt-4o", "openai/gpt-4o"], {}),
        (["gpt-4o-2024-05-13", "gpt-4o-2024-08-06", "gpt-4o"], {}),
        (["gpt-4o", "gpt-4o-mini", "gpt-4"], {}),
    ],
)
def test_spellings_of_one_model(models, expected):
    assert spellings(models) == expected


def test_the_option_that_makes_them_one():
    assert alias_of("gpt-4o", ("GPT-4o", "gpt-4o ")) == "--alias gpt-4o=GPT-4o"
    values = drawn()
    found = the_one(log_of(values, models=("gpt-4o", "openai/gpt-4o", "llama")))
    assert (found.name, found.row) == ("model-names", 1)
    assert "--alias gpt-4o=openai/gpt-4o" in found.right


def test_what_is_said_of_a_log_of_ones_own():
    values = drawn()
    values["cost"][42] = 40
    with pytest.warns(DataWarning, match=r"^log, column 'cost', row 42: one row of model 'dear'"):
        warn_of(log_of(values))
    with pytest.raises(InputError, match=r"^log, column 'cost', row 42: one row of model"):
        warn_of(log_of(values), strict=True)
    values["cost"][values["arms"] == 1] = 0
    with pytest.raises(InputError, match="model 'mid' costs 0 in all 100 of its rows"):
        warn_of(log_of(values))


# What a reader of files makes of them


@pytest.fixture
def file(tmp_path):
    """Write an ordinary log as .jsonl, some of its columns changed, with tokens beside."""

    def write(**changes) -> str:
        values = drawn()
        columns = {
            "prompt": [f"question {row}" for row in range(300)],
            "model": [MODELS[arm] for arm in values["arms"]],
            "quality": values["quality"].tolist(),
            "cost": values["cost"].tolist(),
            "input_tokens": [1000 + row for row in range(300)],
            "output_tokens": [200] * 300,
        }
        columns |= changes
        path = tmp_path / "log.jsonl"
        rows = [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values())]  # noqa: B905
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return str(path)

    return write


def zeros(model: int, *, every: int = 1) -> list[float]:
    """Costs of an ordinary log with those of a model, or of every so many of its rows, at 0."""
    cost, arms = drawn()["cost"], drawn()["arms"]
    cost[np.flatnonzero(arms == model)[::every]] = 0
    return cost.tolist()


def test_a_reader_refuses_a_model_without_a_price(file):
    path = file(cost=zeros(0))
    with pytest.raises(InputError, match=r"log.jsonl, column 'cost', row 0: model 'dear' costs 0"):
        rj.read_log(path)
    kept = rj.read_log(path, schema=Schema(zero_cost="keep"))
    assert kept.cost[::3].max() == 0


def test_costs_of_zero_may_be_missing(file):
    path = file(cost=zeros(0, every=2))
    with pytest.warns(DataWarning, match=r"row 0: model 'dear' costs 0 in 50 of 100 \(50%\)"):
        rj.read_log(path)
    missing = Schema(zero_cost="missing")
    with pytest.warns(DataWarning, match="left out 50 of 300 rows: 50 without cost"):
        assert len(rj.read_log(path, schema=missing, drop_missing=True)) == 250
    others = drawn()["cost"][3::6].mean()
    with pytest.warns(DataWarning, match=rf"other rows: 50 of 'dear' as \${others:.3g}"):
        log = rj.read_log(path, schema=missing)
    np.testing.assert_allclose(log.cost[::6], others, rtol=1e-6)
    np.testing.assert_array_equal(log.cost[3::6], drawn()["cost"][3::6].astype(np.float32))
    with pytest.raises(InputError, match="'dear' costs 0 or nothing in every row"):
        rj.read_log(file(cost=zeros(0)), schema=missing)


def test_costs_from_tokens_and_prices(file, tmp_path):
    prices = tmp_path / "prices.toml"
    entry = 'input = 3\noutput = 15\ndate = 2026-01-31\nsource = "x"\n'
    prices.write_text("".join(f"[{model}]\n{entry}" for model in MODELS))
    by_tokens = Schema(prices=str(prices))
    log = rj.read_log(file(cost=zeros(0)), schema=by_tokens)
    # (1000 + row)·3/10⁶ + 200·15/10⁶ dollars where none is logged, what is logged elsewhere
    expected = np.where(drawn()["arms"] == 0, (1000 + np.arange(300)) * 3e-6 + 0.003, 0)
    expected += np.where(drawn()["arms"] == 0, 0, drawn()["cost"])
    np.testing.assert_allclose(log.cost, expected, rtol=1e-6)
    log = rj.read_log(file(cost=[None] * 300), schema=by_tokens)
    np.testing.assert_allclose(log.cost, (1000 + np.arange(300)) * 3e-6 + 0.003, rtol=1e-6)
    prices.write_text(f"[dear]\n{entry}\n[middle]\n{entry}")
    with pytest.raises(InputError, match=r"prices.toml: no price for model 'mid' \(.* 'middle'\)"):
        rj.read_log(file(cost=[None] * 300), schema=by_tokens)


def test_strict_makes_every_finding_an_error(file):
    cost = drawn()["cost"]
    cost[42] = 40
    path = file(cost=cost.tolist())
    with pytest.warns(DataWarning, match="row 42: one row of model 'dear' cost more than 1000"):
        rj.read_log(path)
    with pytest.raises(InputError, match="row 42: one row of model 'dear' cost more than 1000"):
        rj.read_log(path, schema=Schema(strict=True))


def test_rows_and_columns_are_those_of_the_file(file):
    cost = drawn()["cost"]
    cost[42] = 40
    prompts = [None if row < 10 else f"question {row}" for row in range(300)]
    path = file(prompt=prompts, cost=cost.tolist())
    with pytest.warns(DataWarning, match="left out 10 of 300 rows"):
        with pytest.warns(DataWarning, match="column 'cost', row 42: one row"):
            rj.read_log(path, drop_missing=True)


@pytest.mark.parametrize(
    ("propensities", "said"),
    [
        (np.full(300, 33.3), "they look like percent: divide them by 100"),
        (np.full(300, 3.0), "they look like 1/propensity: give 1 divided by them"),
        (np.arange(300) % 3 * 2.9 + 31.0, "they look like percent: divide them by 100"),
        (np.full(300, -1.1), "as logarithms are: give their exponentials"),
        (np.where(np.arange(300) == 4, 1.5, 0.3), "must lie above 0 and be at most 1$"),
    ],
)
def test_propensities_in_other_units(propensities, said):
    with pytest.raises(InputError, match=said):
        log_of(drawn(), propensities=propensities)


@pytest.mark.parametrize("missing", [False, True])
def test_weights_in_the_place_of_propensities(missing):
    rng = np.random.default_rng(0)
    share = rng.dirichlet([5.0, 3.0, 2.0], 600)
    arms = (share.cumsum(axis=1) < rng.random((600, 1))).sum(axis=1)
    values = {**drawn(600), "arms": arms}
    logged = share[np.arange(600), arms]
    unknown = np.arange(600) % 7 == 0 if missing else np.zeros(600, bool)
    with pytest.raises(InputError, match="look like 1/propensity: give 1 divided by them"):
        log_of(values, propensities=np.where(unknown, np.nan, 1 / logged))
    with pytest.raises(InputError, match="they look like percent"):
        log_of(values, propensities=np.where(unknown, np.nan, 100 * logged))


def test_a_refund_is_said_what_to_do_with():
    values = drawn()
    values["cost"][5] = -0.001
    with pytest.raises(InputError, match="row 5: cost is -0.001; .* add a refund to the row"):
        log_of(values)


def test_continuous_scores_of_0_to_10_are_of_one_scale():
    rng, values = np.random.default_rng(0), drawn()
    values["quality"] = rng.uniform(0, 10, 300)
    assert findings(log_of(values, quality_range=(0, 10))) == ()
    values["quality"] = np.clip(rng.normal(5, 2.5, 300), 0.01, 9.95)
    assert findings(log_of(values, quality_range=(0, 10))) == ()
    fractions = np.flatnonzero(values["arms"] == 1)[:30]
    values["quality"] = rng.uniform(4, 10, 300)
    values["quality"][fractions] /= 10
    assert the_one(log_of(values, quality_range=(0, 10))).name == "mixed-scales"


def test_a_judge_that_reaches_the_end_of_its_scale():
    """Model 2 has the highest score in a fifth of its rows: no code where its others are high."""
    values = drawn(graded=True)
    values["quality"][2::3] = np.linspace(0.6, 0.8, 100).round(2)
    values["quality"][2:62:3] = 1
    assert findings(log_of(values)) == ()
    values["quality"][62::3] = np.linspace(0.1, 0.4, 80).round(2)
    assert the_one(log_of(values)).name == "edge-of-range"


def test_a_range_that_the_scores_do_not_reach():
    found = the_one(log_of(drawn(), quality_range=(0, 100)))
    assert (found.name, found.column) == ("quality-range", "quality")
    assert found.problem == "the highest quality is 1, and the range 0:100"
