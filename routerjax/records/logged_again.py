"""One answer that was logged again under a query that only looks like another: a retry with a new
id in its prompt, or a replay whose embedding carries noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int, Num

from routerjax.records.alike import compared, joined, projected
from routerjax.records.groups import together
from routerjax.records.on_disk import Stored, blocks

if TYPE_CHECKING:
    from routerjax.records.logs import Log

RARE = 0.1
"""Share of a model's answers up to which an answer's score and cost are its own."""
SURE = 0.8
"""Share of such rows whose nearest row must be the same answer, before any are taken for one."""
FEWEST = 10  # such rows, fewer of which are left as they are
MOST = 0.99  # of the distances that tell how far an answer is from itself
SAMPLE = 200  # of them, whose nearest rows are looked for
READ = 1 << 13  # rows at a time that these are compared with
STEPS = (1, 2, 3)  # between rows of an answer, in order along a direction, that are compared


def origins_of(log: Log) -> Int[np.ndarray, " n"]:
    """[n] numbers that are equal where queries are, or where rows are one answer logged again.

    Rows i and k of two queries *carry one answer*, a_i = a_k, where model, score, cost and gold
    score are the same to the last digit. Chance makes such rows as well, the more the fewer values
    there are. An answer is *rare* if another one of its model is the same in at most a share
    `RARE`, (|{k: a_k = a_i}| − 1) / (|{k: model_k = model_i}| − 1), so that flat costs with scores
    of a few values have none. With D the Euclidean distance in standard deviations of the columns,
    a row of a rare answer has its own and the others nearest at

    s_i = min {D(x_i, x_k): a_k = a_i, query_k ≠ query_i},
    o_i = min {D(x_i, x_k): a_k ≠ a_i, query_k ≠ query_i}.

    If rows agree by chance, the nearest of all carries the same answer as seldom as any other that
    is about as near. So only where s_i < o_i for a share `SURE` of the rows of rare answers, rows
    i and k of a rare answer are one if

    D(x_i, x_k) ≤ max(median o, quantile of `MOST` of those s_i that are below o_i).

    A sample tells s and o, all rows pass by once, and pairs of an answer are neighbours along
    random directions: the time is linear in n, and embeddings may be on disk.
    """
    queries: np.ndarray = log.queries
    if log.embeddings is None:
        return queries
    answer = _answers(log)
    number = np.unique(queries, return_inverse=True)[1].astype(np.int32)
    _, once = np.unique(together(answer, number), return_index=True)
    arms = np.asarray(log.arms)
    same = np.bincount(answer[once])[answer[once]] - 1
    most = RARE * (np.bincount(arms[once])[arms[once]] - 1)
    rare = once[(same > 0) & (same <= most)]
    if len(rare) < FEWEST:
        return queries
    some = rare
    if len(rare) > SAMPLE:
        some = np.sort(np.random.default_rng(0).choice(rare, SAMPLE, replace=False))
    places, per_spread = projected(log.embeddings)
    own, other = _nearest(log.embeddings, some, answer, number, per_spread)
    if (own < other).mean() < SURE:
        return queries
    pairs = _of_one_answer(answer[rare], places[rare])
    far = compared(log.embeddings, rare[pairs], per_spread, order=2)
    within = max(np.median(other), np.quantile(own[own < other], MOST))
    near = number[rare[pairs[:, far <= within]]]
    return joined(near, int(number.max()) + 1)[number] if near.size else queries


def _answers(log: Log) -> Int[np.ndarray, " n"]:
    """[n] numbers that are equal where rows carry one answer."""
    columns = [np.asarray(log.arms), np.asarray(log.quality), np.asarray(log.cost)]
    columns += [np.asarray(more) for more in (log.gold_quality, log.judged) if more is not None]
    return together(*columns).astype(np.int32)


def _nearest(
    embeddings: Num[np.ndarray, "n d"] | Stored,
    some: Int[np.ndarray, " s"],
    answer: Int[np.ndarray, " n"],
    number: Int[np.ndarray, " n"],
    per_spread: Float[np.ndarray, " d"],
) -> tuple[Float[np.ndarray, " s"], Float[np.ndarray, " s"]]:
    """[s] distances of some rows to the nearest of the same answer, and to that of another one."""
    theirs = np.asarray(embeddings[some]) * per_spread
    centre = theirs.mean(axis=0)
    theirs = theirs - centre
    length = np.square(theirs).sum(axis=1)[:, None]
    own, other = np.full((2, len(some)), np.inf, np.float32)
    first = 0
    for block in blocks(embeddings, READ):
        x = block * per_spread - centre
        squares = length - 2 * theirs @ x.T + np.square(x).sum(axis=1)
        rows = slice(first, first + len(x))
        squares[number[some][:, None] == number[rows]] = np.inf
        same = answer[some][:, None] == answer[rows]
        own = np.minimum(own, np.where(same, squares, np.inf).min(axis=1))
        squares[same] = np.inf
        other = np.minimum(other, squares.min(axis=1))
        first += len(x)
    return np.sqrt(np.maximum(own, 0)), np.sqrt(np.maximum(other, 0))


def _of_one_answer(answer: Int[np.ndarray, " u"], places: Float[np.ndarray, "u k"]) -> np.ndarray:
    """[2, p] pairs of rows that carry one answer: all of few, of many those near each other along
    a random direction."""
    many = np.flatnonzero(np.bincount(answer)[answer] > len(STEPS) + 1)
    found = []
    for at, place in enumerate(places.T):
        rows = many if at else np.arange(len(answer))
        order = rows[np.lexsort((place[rows], answer[rows]))]
        for step in STEPS:
            pairs = np.stack([order[:-step], order[step:]])
            found.append(pairs[:, answer[pairs[0]] == answer[pairs[1]]])
    return np.concatenate(found, axis=1)
