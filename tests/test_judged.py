"""A column that seems to say what scored the answers, though nobody named it."""

import warnings

import numpy as np
import pytest

from routerjax.data.io.files import read_log
from routerjax.data.io.judged import _is_far, _tilts
from routerjax.errors import DataWarning, InputError
from routerjax.records.logs import Log

pandas = pytest.importorskip("pandas")


def frame(rows=400, *, seed=0, **columns):
    rng = np.random.default_rng(seed)
    arms = rng.integers(0, 2, rows)
    own = {
        "prompt": [f"prompt {row}" for row in range(rows)],
        "model": np.array(["a", "b"])[arms],
        "quality": rng.random(rows),
        "cost": 1e-3,
    }
    return pandas.DataFrame(own | columns), arms, rng


def warned(data, **more):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        read_log(data, **more)
    return [str(each.message) for each in caught if "seems to say what scored" in str(each.message)]


@pytest.mark.parametrize("column", ["judge", "rater", "Evaluator", "label_source"])
def test_a_column_called_like_scorers_is_named(column):
    data, arms, _ = frame()
    data[column] = np.where(arms == 0, "kind", "harsh")
    (said,) = warned(data)
    assert f"'{column}' seems to say what scored the answers (harsh, kind)" in said
    assert f"--gold-column {column}=VALUE" in said and "task=" not in said
    assert warned(data, columns={"scored_by": column}) == []
    with pytest.raises(InputError, match="seems to say what scored"):
        read_log(data, strict=True)


def test_one_scorer_or_very_many_are_not_named():
    data, *_ = frame()
    assert warned(data.assign(judge="gpt-4o")) == []
    assert warned(data.assign(judge=[f"user {row}" for row in range(400)])) == []
    assert warned(data.assign(judge=data.index)) == []
    assert warned(data) == []


def test_a_source_is_named_where_it_is_of_scorers_or_tilts_the_models():
    data, arms, rng = frame()
    by_people = np.where(rng.random(400) < 0.2, "human", "gpt-4o-judge")
    (said,) = warned(data.assign(source=by_people))
    assert "(gpt-4o-judge, human)" in said and "task=" not in said
    kind = rng.random(400) < np.where(arms == 0, 0.8, 0.2)  # asked of model a, and easy
    tilted = data.assign(source=np.where(kind, "faq", "forum"))
    assert warned(tilted) == []  # though all models are as good on either
    (said,) = warned(tilted.assign(quality=np.clip(tilted["quality"] + 0.3 * kind, 0, 1)))
    assert "if it is the kind of query, --columns task=source" in said
    fair = data.assign(source=rng.choice(["faq", "forum"], 400))
    harder = fair["quality"] * np.where(fair["source"] == "faq", 1, 0.5)
    assert warned(fair.assign(quality=harder)) == []  # every model has its share of either


def test_a_tilt_by_chance_is_rare():
    found = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        log = Log.from_arrays(
            rng.integers(0, 4, 300),
            rng.random(300),
            np.full(300, 1e-3),
            models="abcd",
            prompts=[str(row) for row in range(300)],
        )
        found += _tilts(rng.choice(["x", "y", "z"], 300).astype(object), log)
    assert found == 0
    assert _is_far(20.0, 5) and not _is_far(17.0, 5) and not _is_far(99.0, 0)


def test_gold_scores_beside_a_judges_say_it_already():
    data, arms, _ = frame()
    data["gold_quality"] = np.where(arms == 0, 0.5, np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)
        read_log(data.assign(judge=np.where(arms == 0, "kind", "harsh")))
