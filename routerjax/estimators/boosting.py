"""Newton boosting of oblivious trees on the likelihood of which arm answered.

All of it is of a few thousand rows, in NumPy: compiling it would take longer than it takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from routerjax.estimators.softmax import softmax
from routerjax.estimators.trees import DEPTH, ROUNDS, Trees

BINS = 32
MOST_FEATURES = 32
PATIENCE = 10
"""Rounds without a better held-out likelihood after which no more are grown."""
BETTER = 1.0
"""Standard errors by which trees must better the likelihood of all arms, to be kept. It is low:
trees that are kept needlessly take little support away, those that are missed leave it where there
is none."""
ALONE = 0.3
"""Chance, of all arms together, that trees are kept for an arm alone that does not need them, were
their number not chosen by the same rows."""
SURE = 1 - 1e-6
"""Propensity beyond which an arm is taken to be certain."""
STEP = 0.25
"""Share of a Newton step that a tree goes."""
RIDGE = 1.0
"""Rows, in units of curvature, by which a leaf is drawn to 0."""


class TreeRows(NamedTuple):
    """What the trees of a fold are grown on, and what chooses their number.

    Attributes:
      x: [t, d] features of the rows to grow on.
      arms: [t] arm that answered; −1 marks a row that is none.
      held_out, held_out_arms: rows that choose the number of trees, likewise.
      offsets, held_out_offsets: [t, m] and [h, m] log odds that are added to those of the trees:
        `NEVER` where an arm could not be chosen, or what the shares of a period say. None, in all
        folds or in none, adds nothing.
      held_out_groups: [h] numbers of what is independent; None where every row is.
    """

    x: Float[np.ndarray, "t d"]
    arms: Int[np.ndarray, " t"]
    held_out: Float[np.ndarray, "h d"]
    held_out_arms: Int[np.ndarray, " h"]
    offsets: Float[np.ndarray, "t m"] | None = None
    held_out_offsets: Float[np.ndarray, "h m"] | None = None
    held_out_groups: Int[np.ndarray, " h"] | None = None


class Told(NamedTuple):
    """What trees gain on a fold's held-out rows, over none; after each of t rounds.

    Attributes:
      sums: [t, 1 + m] over the rows, of the log likelihood of the arm that answered, and of every
        arm's having answered or not.
      squares: [t, 1 + m] sum over groups of the square of a group's sum.
      rows: their number.
    """

    sums: Float[np.ndarray, "*k t s"]
    squares: Float[np.ndarray, "*k t s"]
    rows: Int[np.ndarray, "*k"]


def grow(folds: Sequence[TreeRows], *, models: int, rounds: int = ROUNDS) -> Trees:
    """Grow trees by Newton boosting on the multinomial likelihood, stopped by held-out rows.

    A round adds to the logits F the leaves ν·G / (H + 1), G = Σ (1{t = m} − p_m) and
    H = Σ p_m (1 − p_m) over a leaf's rows. Its questions are those with the largest Σ G² / (N + 1)
    over leaves and arms, N the rows of a leaf. Questions are asked of at most `MOST_FEATURES`
    columns, those whose means differ most between the arms, at `BINS` quantiles. Trees after
    the round of the best held-out likelihood are set to 0, all of them unless that is better than
    none (`_kept`). The folds decide together: an arm of many that is missing somewhere changes the
    likelihood of all arms by little, and of one fold's rows by less than chance does. In that
    number alone a row has a say in the trees of its own fold. No more are grown after `PATIENCE`
    rounds without a better one.

    Args:
      folds: k of them, of equal widths.
      models: m.
      rounds: t.

    Returns:
      `Trees`, leading axis k, without the offsets.

    Reference: Friedman (2001), Greedy Function Approximation; Prokhorenkova et al. (2018),
    CatBoost, for oblivious trees.
    """
    grown, told = zip(*(_boosted(rows, models, rounds) for rows in folds), strict=True)
    kept = np.arange(rounds)[:, None] < _kept(_stacked(Told, told), models)[None]
    trees: Trees = _stacked(Trees, grown)
    return trees._replace(leaves=trees.leaves * kept[None, :, None])


def _stacked(kind: Any, parts: Sequence[Any]) -> Any:
    """Records of arrays as one, leading axis k."""
    return kind(*map(np.stack, zip(*parts, strict=True)))


def _boosted(rows: TreeRows, models: int, rounds: int) -> tuple[Trees, Told]:
    """The trees of a fold, grown until `PATIENCE` rounds made the held-out rows no likelier."""
    learnt, away = rows.arms >= 0, rows.held_out_arms >= 0
    columns = _telling(rows.x, rows.arms, models)
    edges = _edges(rows, columns)
    x, answered = rows.x[learnt][:, columns], np.eye(models, dtype=np.float32)[rows.arms[learnt]]
    above = (x.T[:, None] > edges[:, :, None]).astype(np.float32)
    above = above.reshape(edges.size, len(x))  # [f·bins, t], the sums along its rows
    shares = (answered.sum(axis=0) + 0.5) / (answered.sum(axis=0) + 0.5).sum()
    start = np.log(shares).astype(np.float32)
    held_out = _held_out(rows, away)
    logits = _begun(start, len(x), rows.offsets, learnt)
    outside = _begun(start, len(held_out.arms), rows.held_out_offsets, away)
    untouched = _likelihoods(outside, held_out.arms)
    feature, edge = np.zeros((rounds, DEPTH), np.int32), np.zeros((rounds, DEPTH), np.float32)
    leaves = np.zeros((rounds, 2**DEPTH, models), np.float32)
    sums, squares = np.full((rounds, 1 + models), -np.inf), np.zeros((rounds, 1 + models))
    for place in range(rounds):
        asked, leaf, leaves[place] = _tree(above, answered, softmax(logits))
        feature[place], edge[place] = columns[asked // BINS], edges.ravel()[asked]
        logits += leaves[place, leaf]
        bits = held_out.x[:, feature[place]] > edge[place]
        outside += leaves[place, bits @ (1 << np.arange(DEPTH))]
        sums[place], squares[place] = _told(
            _likelihoods(outside, held_out.arms) - untouched, held_out
        )
        better = sums[:, 0]
        last = int(better.argmax()) + 1 if better.max() > 0 else 0
        if place + 1 - last >= PATIENCE:
            sums[place:], squares[place:] = sums[place], squares[place]  # no more is grown
            break
    return Trees(start, feature, edge, leaves), Told(sums, squares, np.asarray(away.sum()))


class _HeldOut(NamedTuple):
    """Held-out rows of a fold, and their groups, numbered 0, 1, …; None where each is its own."""

    x: Float[np.ndarray, "h d"]
    arms: Int[np.ndarray, " h"]
    groups: Int[np.ndarray, " h"] | None


def _held_out(rows: TreeRows, away: Bool[np.ndarray, " h"]) -> _HeldOut:
    real = _HeldOut(rows.held_out[away], rows.held_out_arms[away], None)
    if rows.held_out_groups is None:
        return real
    groups, own = np.unique(rows.held_out_groups[away], return_inverse=True)
    return real if len(groups) == len(own) else real._replace(groups=own)


def _begun(
    start: Float[np.ndarray, " m"],
    count: int,
    offsets: Float[np.ndarray, "_ m"] | None,
    real: Bool[np.ndarray, " _"],
) -> Float[np.ndarray, "r m"]:
    """Log odds before the first tree."""
    found = np.tile(start, (count, 1))
    return found if offsets is None else (found + offsets[real]).astype(np.float32)


def _told(
    better: Float[np.ndarray, "h s"], held_out: _HeldOut
) -> tuple[Float[np.ndarray, " s"], Float[np.ndarray, " s"]]:
    """Sums over the rows, and over groups the squares of a group's sum."""
    together = better.astype(np.float64)
    if held_out.groups is not None:
        columns = [np.bincount(held_out.groups, column) for column in better.T]
        together = np.stack(columns, axis=1)
    return together.sum(axis=0), (together**2).sum(axis=0)


def _tree(
    above: Float[np.ndarray, "q t"],
    answered: Float[np.ndarray, "t m"],
    chance: Float[np.ndarray, "t m"],
) -> tuple[Int[np.ndarray, " l"], Int[np.ndarray, " t"], Float[np.ndarray, "leaves m"]]:
    """The questions of a tree, the leaf of every row, and what the leaves add."""
    slopes = np.concatenate([answered - chance, np.ones((len(chance), 1), np.float32)], axis=1)
    leaf, asked = np.zeros(len(chance), np.int64), []
    every = slopes[:, None]
    right = _sums_of(above, every)
    for level in range(DEPTH):
        question = int(_gains(right, every.sum(axis=0)).argmax())
        higher = above[question] > 0
        asked.append(question)
        leaf += higher << level
        if level + 1 < DEPTH:  # the sums of one side are those of both less the other's
            inside = every * higher[:, None, None]
            part = _sums_of(above, inside)
            every = np.concatenate([every - inside, inside], axis=1)
            right = np.concatenate([right - part, part], axis=1)
    places = np.eye(2**DEPTH, dtype=np.float32)[:, leaf]
    curvature = places @ (chance * (1 - chance)) + RIDGE
    return np.array(asked), leaf, STEP * (places @ slopes[:, :-1]) / curvature


def _telling(x: np.ndarray, arms: np.ndarray, models: int) -> Int[np.ndarray, " f"]:
    """The columns whose means differ most between arms, in units of their spread."""
    rows, arms = x[arms >= 0].astype(np.float64), arms[arms >= 0]
    if not len(rows):
        return np.arange(x.shape[1])[:MOST_FEATURES]
    away = rows - rows.mean(axis=0)
    answered = np.eye(models)[arms]
    count = np.maximum(answered.sum(axis=0), 1.0)[:, None]
    between = ((answered.T @ away) ** 2 / count).sum(axis=0)
    told = between / np.maximum((away**2).sum(axis=0), 1e-30)
    return np.argsort(-told, kind="stable")[:MOST_FEATURES]


def _edges(rows: TreeRows, columns: Int[np.ndarray, " f"]) -> Float[np.ndarray, "f bins"]:
    """Where the questions are asked: the middles of `BINS` equal shares of the rows."""
    real = rows.x[rows.arms >= 0][:, columns].astype(np.float64)
    if not len(real):
        return np.zeros((len(columns), BINS), np.float32)
    return np.quantile(real, (np.arange(BINS) + 0.5) / BINS, axis=0).T.astype(np.float32)


def _kept(told: Told, models: int) -> Int[np.ndarray, " m"]:
    """How many trees of every arm to keep, by the held-out rows of all folds together.

    All up to the best round, if that is better than none by `BETTER` standard errors of the paired
    difference, clustered by group; of an arm up to its own best too, where its own likelihood says
    so at a level of `ALONE` over the number of arms.
    """
    count = max(float(np.sum(told.rows)), 2.0)
    mean = np.asarray(told.sums, np.float64).sum(axis=0) / count  # [t, 1 + m]
    spread = np.asarray(told.squares, np.float64).sum(axis=0) / count - np.square(mean)
    error = np.sqrt(np.maximum(spread, 0.0) / count)
    best = mean.argmax(axis=0)
    every = np.arange(1 + models)
    errors = np.where(every == 0, BETTER, NormalDist().inv_cdf(1 - ALONE / models))
    rounds = np.where(mean[best, every] > errors * error[best, every], best + 1, 0)
    found: np.ndarray = np.maximum(rounds[0], rounds[1:])
    return found


def _sums_of(
    above: Float[np.ndarray, "q t"], inside: Float[np.ndarray, "t l s"]
) -> Float[np.ndarray, "q l s"]:
    """Sums over the rows for which each question's answer is yes."""
    flat = inside.reshape(len(inside), inside.shape[1] * inside.shape[2])
    found: np.ndarray = (above @ flat).reshape(len(above), *inside.shape[1:])
    return found


def _gains(
    right: Float[np.ndarray, "q l s"], total: Float[np.ndarray, "l s"]
) -> Float[np.ndarray, " q"]:
    """Σ G² / (N + 1) over the two leaves that each question would make of each of l, and the arms.

    Args:
      right: of each question and leaf the sums over the rows whose answer is yes: Σ 1{t = m} − p_m
        of every arm, and last their number.
      total: of each leaf the same sums over all its rows.
    """

    def gain(sums: np.ndarray) -> np.ndarray:
        each = sums[..., :-1] ** 2 / (sums[..., -1:] + RIDGE)
        gained: np.ndarray = each.sum(axis=(1, 2))
        return gained

    found: np.ndarray = gain(total[None] - right) + gain(right)
    return found


def _likelihoods(
    logits: Float[np.ndarray, "h m"], arms: Int[np.ndarray, " h"]
) -> Float[np.ndarray, "h m+1"]:
    """Log likelihood of the arm that answered, and of every arm having answered or not."""
    rows = np.arange(len(logits))
    away = logits - logits.max(axis=1, keepdims=True)
    raised = np.exp(away)
    total = raised.sum(axis=1, keepdims=True)
    found = np.empty((len(logits), 1 + logits.shape[1]), np.float32)
    found[:, 0] = away[rows, arms] - np.log(total[:, 0])
    found[:, 1:] = np.log1p(-np.minimum(raised / total, np.float32(SURE)))
    found[rows, 1 + arms] = found[:, 0]
    return found
