"""Records: what they accept, what they refuse and in which words, and what they compute."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np
import pytest

from routerjax.errors import DataWarning, InputError
from routerjax.records.logs import Log
from routerjax.records.tables import Estimates, Table

NAN, INF = float("nan"), float("inf")


def table(**changes) -> Table:
    fields = {
        "quality": np.array([[1.0, 0.5], [0.0, 0.25], [0.5, 1.0]]),
        "cost": np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]]),
        "models": ["a", "b"],
        "embeddings": np.arange(6.0).reshape(3, 2),
        "prompts": ["x", "y", "z"],
        "task": ["t", "t", "u"],
        "split": ["train", "test", "train"],
    }
    return Table.from_arrays(**{**fields, **changes})


def log(**changes) -> Log:
    fields = {
        "arms": np.array([0, 1, 1]),
        "quality": np.array([1.0, 0.5, 0.0]),
        "cost": np.array([0.1, 0.2, 0.3]),
        "models": ["a", "b"],
        "propensities": np.array([0.5, 0.25, 0.75]),
        "embeddings": np.arange(6.0).reshape(3, 2),
        "split": ["train", "test", "validation"],
    }
    return Log.from_arrays(**{**fields, **changes})


def test_utilities_by_hand():
    estimates = Estimates(quality=np.array([[1.0, 0.5]]), cost=np.array([[0.02, 0.001]]))
    # 1 − 100·0.02 = −1; 0.5 − 100·0.001 = 0.4
    np.testing.assert_allclose(estimates.utilities(100.0), [[-1.0, 0.4]], atol=1e-12)
    np.testing.assert_allclose(estimates.utilities(0), [[1.0, 0.5]])


def test_records_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        log().quality = np.zeros(3)
    with pytest.raises(dataclasses.FrozenInstanceError):
        table().models = ("x", "y")


def test_records_pass_through_jit():
    record = log()
    doubled = jax.jit(lambda r: r.replace(quality=2 * r.quality))(record)
    assert doubled.models == ("a", "b") and doubled.split == record.split
    np.testing.assert_array_equal(doubled.quality, [2.0, 1.0, 0.0])
    assert len(jax.tree.leaves(record)) == 5  # arms, quality, cost, embeddings, propensities
    assert len(jax.tree.leaves(table())) == 3


def test_rows_take_every_field_along():
    for index in ([2, 0], np.array([2, 0]), np.array([True, False, True])):
        some = table().rows(index)
        order = [2, 0] if len(index) == 2 else [0, 2]
        assert some.prompts == tuple("xyz"[i] for i in order)
        assert some.task == tuple("ttu"[i] for i in order)
        assert some.split == ("train", "train") and some.models == ("a", "b")
        np.testing.assert_array_equal(some.embeddings, np.arange(6.0).reshape(3, 2)[order])
        np.testing.assert_array_equal(some.quality, [[[1, 0.5], [], [0.5, 1]][i] for i in order])
    assert len(table().rows(slice(1, None))) == 2
    one = log().rows([1])
    assert (one.arms.tolist(), one.propensities.tolist(), one.split) == ([1], [0.25], ("test",))


def test_in_split():
    assert table().in_split("train").prompts == ("x", "z")
    assert log().in_split("test", "validation").arms.tolist() == [1, 1]


def test_missing_cells_are_counted_and_left_out():
    # Row 0 lacks a quality, row 2 lacks both numbers of one cell and a cost: three cells.
    quality = np.array([[NAN, 0.5], [0.0, 0.25], [NAN, 1.0]])
    cost = np.array([[0.1, 0.2], [0.3, 0.4], [NAN, NAN]])
    some = table(quality=quality, cost=cost)
    assert some.missing == 3
    assert some.complete().prompts == ("y",)
    assert table().missing == 0 and len(table().complete()) == 3
    with pytest.raises(InputError, match="every row has a missing cell"):
        some.rows([0, 2]).complete()


def test_table_with_models_picks_and_orders_columns():
    turned = table().with_models(["b", "a"])
    assert turned.models == ("b", "a")
    np.testing.assert_array_equal(turned.quality, [[0.5, 1.0], [0.25, 0.0], [1.0, 0.5]])
    np.testing.assert_allclose(turned.cost, [[0.2, 0.1], [0.4, 0.3], [0.6, 0.5]], rtol=1e-6)
    with pytest.raises(InputError, match="no column for c, d"):
        table().with_models(["a", "c", "d"])


def test_log_with_models_renumbers_arms():
    record = log(propensities=np.array([[0.5, 0.5], [0.75, 0.25], [0.25, 0.75]]))
    turned = record.with_models(["b", "new", "a"])
    assert turned.arms.tolist() == [2, 0, 0]
    np.testing.assert_allclose(
        turned.propensities, [[0.5, 0, 0.5], [0.25, 0, 0.75], [0.75, 0, 0.25]]
    )
    np.testing.assert_allclose(turned.logged_propensities, record.logged_propensities)
    with pytest.raises(InputError, match="row 1: answered by 'b', not one of a, c"):
        record.with_models(["a", "c"])


def test_models_that_never_answered():
    three = log(
        models=["a", "x", "b"],
        arms=np.array([0, 2, 2]),
        propensities=np.array([[0.4, 0.2, 0.4], [0.2, 0.6, 0.2], [0.5, 0.0, 0.5]]),
    )
    assert three.arm_counts.tolist() == [1, 0, 2]
    two = three.without_unlogged()
    assert two.models == ("a", "b") and two.arms.tolist() == [0, 1, 1]
    np.testing.assert_allclose(two.propensities, np.full((3, 2), 0.5), rtol=1e-6)


def test_logged_propensities():
    assert log().logged_propensities.tolist() == [0.5, 0.25, 0.75]
    assert log(propensities=None).logged_propensities is None
    full = log(propensities=np.array([[0.5, 0.5], [0.75, 0.25], [0.25, 0.75]]))
    assert full.logged_propensities.tolist() == [0.5, 0.25, 0.75]


def test_fingerprint_is_of_the_content():
    assert table().fingerprint == table(source="elsewhere").fingerprint
    assert len(table().fingerprint) == 16
    others = [
        table(prompts=["x", "y", "w"]),
        table(models=["a", "c"]),
        table(quality_range=(0, 2)),
        table(cost=np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.7]])),
        table(split=None),
        table().rows([1, 0, 2]),
    ]
    assert len({record.fingerprint for record in (table(), *others)}) == 7


def test_features_need_embeddings():
    with pytest.raises(InputError, match="no embeddings; encode the prompts first"):
        _ = table(embeddings=None).features
    assert table().features.shape == (3, 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"models": ["a", "a"]}, "model names repeat: a, a"),
        ({"models": ["a", "b", "c"]}, r"'quality': has shape \(3, 2\), not \(3, 3\)"),
        ({"cost": np.ones((2, 2))}, r"'cost': has shape \(2, 2\), not \(3, 2\)"),
        ({"quality": np.ones((0, 2)), "cost": np.ones((0, 2))}, "there are no rows"),
        ({"quality_range": (1, 0)}, "quality range 1:0 must be two finite numbers"),
        ({"quality_range": (0, INF)}, "must be two finite numbers"),
        ({"prompts": ["x"]}, "'prompts': holds 1 rows where quality has 3"),
        ({"embeddings": np.ones((2, 2))}, "'embeddings': holds 2 rows"),
        ({"embeddings": np.ones(3)}, "must be a matrix"),
        ({"embeddings": np.ones((3, 0))}, "must be a matrix"),
        ({"embeddings": np.array([[1, 2], [1, NAN], [0, 0]])}, "row 1: not a finite number"),
    ],
)
def test_tables_refuse_fields_that_do_not_fit(changes, message):
    with pytest.raises(InputError, match=message):
        table(**changes)


def test_a_table_of_one_model_is_refused():
    with pytest.raises(InputError, match="at least two models, and this holds 'a' alone"):
        table(models=["a"], quality=np.ones((3, 1)), cost=np.ones((3, 1)))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("quality", 1.5, r"column 'score:b', row 1: quality is 1.5, outside \[0, 1\]"),
        ("quality", -0.5, "quality is -0.5, outside"),
        ("quality", INF, "quality is inf, outside"),
        ("cost", -1.0, "column 'cost:b', row 1: cost is -1; it must be 0 or more"),
        ("cost", INF, "cost is inf; it must be 0 or more"),
    ],
)
def test_tables_refuse_impossible_cells(field, value, message):
    values = np.full((3, 2), 0.5)
    values[1, 1] = value
    with pytest.raises(InputError, match=message):
        table(**{field: values})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"models": ["a"], "arms": np.zeros(3)}, "at least two models, and this holds 'a' alone"),
        ({"arms": np.array([0, 2, 1])}, "row 1: arm 2 is not one of the 2 models"),
        ({"arms": np.array([0, 0, -1])}, "row 2: arm -1 is not one of the 2 models"),
        ({"arms": np.array([0, 1])}, r"'model': has shape \(2,\), not \(3,\)"),
        ({"quality": np.array([1, NAN, NAN])}, r"row 1: no quality here \(2 such rows\)"),
        ({"cost": np.array([1, 1, NAN])}, r"row 2: no cost here \(the only such row\)"),
        ({"quality": np.array([1, 7.0, 0])}, "row 1: quality is 7, outside"),
        ({"cost": np.array([1, -0.1, 0])}, "row 1: cost is -0.1"),
        ({"propensities": np.array([0.5, 0.0, 1.0])}, "row 1: propensity .* is 0; it must lie"),
        ({"propensities": np.array([0.5, 0.5, 1.5])}, "row 2: propensity .* is 1.5; it must lie"),
        ({"propensities": np.ones((3, 3)) / 3}, r"neither \(3,\) nor \(3, 2\)"),
        ({"propensities": np.full((3, 2), 0.6)}, "row 0: .* 0 or more and sum to 1"),
        (
            {"propensities": np.array([[0.5, 0.5], [0.5, 0.5], [-0.25, 1.0]])},
            "row 2: .* 0 or more and sum to 1",
        ),
        ({"split": ["train"]}, "'split': holds 1 rows where quality has 3"),
    ],
)
def test_logs_refuse_what_cannot_be(changes, message):
    with pytest.raises(InputError, match=message):
        log(**changes)


def test_a_propensity_of_one_and_a_cost_of_zero_are_fine():
    record = log(propensities=np.ones(3), cost=np.array([0.0, 0.0, 0.1]))
    assert record.logged_propensities.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("cost", "message"),
    [
        (11.0, r"the mean cost is \$11 per query; is the unit US dollars"),
        (5e-8, r"the mean cost is \$5e-08 per query"),
        (0.0, "every cost is 0, so that cost weights change nothing"),
    ],
)
def test_costs_in_another_unit_draw_a_warning(cost, message):
    with pytest.warns(DataWarning, match=message):
        log(cost=np.full(3, cost))
    with pytest.warns(DataWarning, match=message):
        table(cost=np.full((3, 2), cost))


@pytest.mark.parametrize("cost", [9.9, 2e-7])
def test_dear_and_cheap_costs_that_can_be_draw_none(cost):
    assert log(cost=np.full(3, cost)).cost.tolist() == [np.float32(cost)] * 3


def test_errors_are_kept_in_parts():
    error = InputError("is wrong", source="log.csv", field="cost", row=4)
    assert str(error) == "log.csv, column 'cost', row 4: is wrong"
    assert (error.problem, error.source, error.field, error.row) == (
        "is wrong",
        "log.csv",
        "cost",
        4,
    )
    assert str(InputError("is wrong")) == "is wrong"
    assert isinstance(error, ValueError)
