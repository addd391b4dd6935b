"""Queries of a fit are known again: by wording, and by embeddings up to noise."""

import numpy as np
import pytest

from routerjax.models.heads import Scaling
from routerjax.records.groups import digests
from routerjax.records.logs import Log
from routerjax.records.seen import among_seen, salt_of, seen_queries

SALT = salt_of("data", 0)


def _log(embeddings=None, prompts=None):
    n = len(embeddings if embeddings is not None else prompts)
    rng = np.random.default_rng(3)
    arms, quality, cost = rng.integers(2, size=n), rng.random(n), rng.random(n) * 1e-3
    return Log.from_arrays(arms, quality, cost, models="ab", embeddings=embeddings, prompts=prompts)


def _known(learnt, asked):
    """Of the rows asked, those known by a fit of the rows learnt."""
    scaling = Scaling.of(learnt.features)
    seen = seen_queries(learnt, scaling(learnt.features), salt=SALT)
    x = None if asked.embeddings is None else scaling(asked.features)
    return among_seen(asked, x, seen, salt=SALT)


NOISE = {
    "none": lambda x: x,
    "half precision": lambda x: x.astype(np.float16).astype(np.float32),
    "four digits": lambda x: np.round(x, 4),
    "another batch": lambda x: x + 1e-6 * np.random.default_rng(5).normal(size=x.shape),
}


@pytest.mark.parametrize("name", NOISE)
@pytest.mark.parametrize("width", [8, 64, 384])
def test_embeddings_with_noise_are_known_and_others_are_not(width, name):
    x = np.random.default_rng(width).normal(size=(3000, width)).astype(np.float32)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    again = _known(_log(x[:2000]), _log(NOISE[name](x[1000:])))
    assert again[:1000].mean() > 0.9 and again[1000:].mean() < 0.002
    if name == "none":
        assert again[:1000].all()


def test_dense_embeddings_are_known_bit_by_bit_alone():
    """Among 400 sites of two numbers no cell is wide enough for noise."""
    x = np.random.default_rng(0).integers(20, size=(900, 3)).astype(np.float32)
    x[:, 2] = x[:, 0] + x[:, 1]
    learnt = _log(x[:600])
    again = _known(learnt, _log(x[600:]))
    sites = {tuple(row) for row in x[:600].tolist()}
    assert again.tolist() == [tuple(row) in sites for row in x[600:].tolist()]
    assert not _known(learnt, _log(x[600:] + 0.3)).any()


def test_prompts_decide_where_both_have_them_and_embeddings_where_one_lacks_them():
    x = np.random.default_rng(1).normal(size=(60, 16)).astype(np.float32)
    prompts = [f"Question {row}?" for row in range(60)]
    with_prompts, bare = _log(x[:40], prompts[:40]), _log(x[:40])
    asked, without = _log(x[20:], prompts[20:]), _log(x[20:])
    expected = np.arange(20, 60) < 40
    for learnt in (with_prompts, bare):
        for query in (asked, without):
            np.testing.assert_array_equal(_known(learnt, query), expected)
    # embeddings of long prompts that begin alike may be equal
    other = _log(x[20:], [f"Another question {row}?" for row in range(40)])
    assert not _known(with_prompts, other).any()
    np.testing.assert_array_equal(_known(bare, other), expected)


def test_a_router_that_was_saved_with_digests_of_prompts_as_they_are_knows_them():
    log = _log(prompts=["Tell me.", "tell  me.", "Hear me."])
    halves = digests(["Tell me."], salt="s").view(np.uint32).reshape(-1, 2)
    assert among_seen(log, None, halves, salt="s").tolist() == [True, False, False]
    assert among_seen(log, None, halves, salt="t").tolist() == [False, False, False]


def test_one_wording_is_one_query():
    x = np.random.default_rng(2).normal(size=(3, 4)).astype(np.float32)
    log = _log(x, ["Tell me.", "tell  me.", "Hear me."])
    assert _known(log.rows([0]), log).tolist() == [True, True, False]


def test_another_salt_knows_nothing():
    x = np.random.default_rng(2).normal(size=(30, 8)).astype(np.float32)
    seen = seen_queries(_log(x), x, salt="s")
    assert among_seen(_log(x), x, seen, salt="s").all()
    assert not among_seen(_log(x), x, seen, salt="t").any()
