"""Boosted oblivious trees: which arm answers a query, where rules with thresholds decide it.

Production logs are written by rules: prompts longer than this go there, this tenant never goes
elsewhere. A network smooths such an edge over; a tree finds it. In an oblivious tree all nodes
of a level ask the same question, so that a tree is a table and a query's leaf a few bits.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from routerjax.support.compilation import padded, padded_size, quickly_compiled

ROUNDS = 50
DEPTH = 2
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
NEVER = -1e9
"""Log odds of an arm that could not be chosen: their softmax is 0, and no number is infinite."""
STEP = 0.25
"""Share of a Newton step that a tree goes."""
RIDGE = 1.0
"""Rows, in units of curvature, by which a leaf is drawn to 0."""


class Trees(NamedTuple):
    """A boosted multinomial model of m arms, t trees of depth l.

    Attributes:
      start: [m] log share of each arm.
      feature: [t, l] column that each level asks of.
      edge: [t, l] the bit of a level is whether the column lies above this.
      leaves: [t, 2^l, m] log odds that a leaf adds.
    """

    start: Float[Array, "*k m"]
    feature: Int[Array, "*k t l"]
    edge: Float[Array, "*k t l"]
    leaves: Float[Array, "*k t leaves m"]


def log_odds(trees: Trees, x: Float[Array, "n d"]) -> Float[Array, "n m"]:
    """Logits of the arms at queries x; their softmax is the propensity π(m | x)."""
    bits = x[:, trees.feature] > trees.edge[None]  # [n, t, l]
    leaf = jnp.sum(bits * 2 ** jnp.arange(bits.shape[-1])[None, None], axis=-1)
    added = jax.vmap(lambda own: trees.leaves[jnp.arange(own.shape[0]), own].sum(axis=0))(leaf)
    return trees.start[None] + added


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

    sums: Float[Array | np.ndarray, "*k t s"]
    squares: Float[Array | np.ndarray, "*k t s"]
    rows: Int[Array | np.ndarray, "*k"]


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
    columns = np.stack([_telling(rows.x, rows.arms, models) for rows in folds])
    edges = np.stack([_edges(rows, own) for rows, own in zip(folds, columns, strict=True)])
    grown, told = _grown(
        _asked([rows.x for rows in folds], columns),
        _filled([rows.arms for rows in folds], -1),
        _asked([rows.held_out for rows in folds], columns),
        _filled([rows.held_out_arms for rows in folds], -1),
        _filled([_numbered(rows) for rows in folds], 0),
        edges,
        *_offsets(folds),
        models=models,
        rounds=rounds,
    )
    fold = np.arange(len(folds))[:, None, None]
    feature = columns[fold, np.asarray(grown.feature)].astype(np.int32)
    kept = np.arange(rounds)[:, None] < _kept(Told(*map(np.asarray, told)), models)[None]
    leaves = np.asarray(grown.leaves) * kept[None, :, None]
    return Trees(grown.start, *map(jax.device_put, (feature, np.asarray(grown.edge), leaves)))


def _numbered(rows: TreeRows) -> Int[np.ndarray, " h"]:
    """Numbers 0, 1, … of the groups of a fold's held-out rows."""
    if rows.held_out_groups is None:
        return np.arange(len(rows.held_out_arms), dtype=np.int32)
    return np.unique(rows.held_out_groups, return_inverse=True)[1].astype(np.int32)


def _offsets(folds: Sequence[TreeRows]) -> tuple[np.ndarray, ...]:
    """[k, t, m] and [k, h, m] offsets, filled up with zeros; none where there are none."""
    parts = [(rows.offsets, rows.held_out_offsets) for rows in folds]
    grown_on = [own for own, _ in parts if own is not None]
    held_out = [own for _, own in parts if own is not None]
    return (_filled(grown_on, 0), _filled(held_out, 0)) if grown_on else ()


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


def _asked(parts: Sequence[np.ndarray], columns: Int[np.ndarray, "k f"]) -> np.ndarray:
    """[k, r, f] the asked columns of every fold's rows, filled up with zeros."""
    return _filled([part[:, own] for part, own in zip(parts, columns, strict=True)], 0)


def _filled(parts: Sequence[np.ndarray], fill: int) -> np.ndarray:
    size = padded_size(max(len(part) for part in parts))
    return np.stack([padded(part, size, fill=fill) for part in parts])


@functools.partial(quickly_compiled, static=("models", "rounds"))
def _grown(
    x: Float[Array, "k t f"],
    arms: Int[Array, "k t"],
    held_out: Float[Array, "k h f"],
    held_out_arms: Int[Array, "k h"],
    held_out_groups: Int[Array, "k h"],
    edges: Float[Array, "k f bins"],
    *offsets: Float[Array, "k _ m"],
    models: int,
    rounds: int,
) -> tuple[Trees, Told]:
    def one(fold: tuple[Array, ...]) -> tuple[Trees, Told]:
        return _boosted(*fold, models=models, rounds=rounds)

    grown: tuple[Trees, Told] = jax.lax.map(
        one, (x, arms, held_out, held_out_arms, held_out_groups, edges, *offsets)
    )
    return grown


def _boosted(
    rows: Float[Array, "t f"],
    arms: Int[Array, " t"],
    held_out: Float[Array, "h f"],
    held_out_arms: Int[Array, " h"],
    held_out_groups: Int[Array, " h"],
    edges: Float[Array, "f bins"],
    *offsets: Float[Array, "_ m"],
    models: int,
    rounds: int,
) -> tuple[Trees, Told]:
    """The trees of a fold; their features are positions among the columns that are asked.

    `offsets` are those of the rows to grow on and of those held out, or none.
    """
    answered = jax.nn.one_hot(arms, models)  # all 0 for −1
    real = (arms >= 0).astype(jnp.float32)
    start = jnp.log((answered.sum(axis=0) + 0.5) / jnp.sum(answered.sum(axis=0) + 0.5))
    above = (rows.T[:, None, :] > edges[:, :, None]).astype(jnp.float32)
    above = above.reshape(-1, rows.shape[0]) * real[None]  # [f·bins, t], the sums along its rows

    def one_round(state: tuple[Array, ...]) -> tuple[Array, ...]:
        logits, outside, place, *grown, sums, squares = state
        chance = jax.nn.softmax(logits) * real[:, None]
        slopes = jnp.concatenate([answered - chance, real[:, None]], axis=1)
        leaf = jnp.zeros(rows.shape[0], jnp.int32)
        every, right = slopes[:, None], _columns_of(above, slopes[:, None])
        questions = []
        for level in range(DEPTH):
            question = jnp.argmax(_gains(right, jnp.sum(every, axis=0)))
            questions.append(question)
            higher = above[question] > 0
            leaf = leaf + 2**level * higher
            if level + 1 < DEPTH:
                inside = every * higher[:, None, None]
                part = _columns_of(above, inside)
                every = jnp.concatenate([every - inside, inside], axis=1)
                right = jnp.concatenate([right - part, part], axis=1)
        inside = jax.nn.one_hot(leaf, 2**DEPTH).T
        curvature = inside @ (chance * (1 - chance)) + RIDGE
        leaves = STEP * (inside @ slopes[:, :models]) / curvature
        asked = jnp.stack(questions)
        tree = (asked // BINS, edges.reshape(-1)[asked], leaves)
        one = Trees(jnp.zeros(models), *(each[None] for each in tree))
        outside = outside + log_odds(one, held_out)
        grown = [every.at[place].set(own) for every, own in zip(grown, tree, strict=True)]
        better = (_likelihoods(outside, held_out_arms) - untouched) * held
        together = jax.ops.segment_sum(better, held_out_groups, num_segments=better.shape[0])
        sums = sums.at[place].set(jnp.sum(better, axis=0))
        squares = squares.at[place].set(jnp.sum(together**2, axis=0))
        return logits + leaves[leaf], outside, place + 1, *grown, sums, squares

    first = jnp.broadcast_to(start, (rows.shape[0], models))
    outside = jnp.broadcast_to(start, (held_out.shape[0], models))
    if offsets:
        first, outside = first + offsets[0], outside + offsets[1]
    untouched = _likelihoods(outside, held_out_arms)
    held = (held_out_arms >= 0).astype(jnp.float32)[:, None]

    def promising(state: tuple[Array, ...]) -> Array:
        place, better = state[2], state[-2][:, 0]
        last = jnp.where(jnp.max(better) > 0, jnp.argmax(better) + 1, 0)
        return (place < rounds) & (place - last < PATIENCE)

    none = (
        jnp.zeros((rounds, DEPTH), jnp.int32),
        jnp.zeros((rounds, DEPTH)),
        jnp.zeros((rounds, 2**DEPTH, models)),
        jnp.full((rounds, 1 + models), -jnp.inf),
        jnp.zeros((rounds, 1 + models)),
    )
    state: tuple[Array, ...] = (first, outside, jnp.zeros((), jnp.int32), *none)
    *_, place, feature, edge, leaves, sums, squares = jax.lax.while_loop(
        promising, one_round, state
    )
    last = jnp.minimum(jnp.arange(rounds), place - 1)  # rounds that were not grown change nothing
    told = Told(sums[last], squares[last], jnp.sum(held_out_arms >= 0))
    return Trees(start, feature, edge, leaves), told


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


def _columns_of(above: Float[Array, "q t"], inside: Float[Array, "t l s"]) -> Float[Array, "q l s"]:
    """Sums of the columns over the rows for which each question's answer is yes."""
    found = above @ inside.reshape(inside.shape[0], -1)
    return found.reshape(above.shape[0], *inside.shape[1:])


def _gains(right: Float[Array, "q l s"], total: Float[Array, "l s"]) -> Float[Array, " q"]:
    """Σ G² / (N + 1) over the two leaves that each question would make of each of l, and the arms.

    Args:
      right: of each question and leaf the sums over the rows whose answer is yes: Σ 1{t = m} − p_m
        of every arm, and last their number.
      total: of each leaf the same sums over all its rows.
    """

    def gain(sums: Array) -> Array:
        return jnp.sum(sums[..., :-1] ** 2 / (sums[..., -1:] + RIDGE), axis=(1, 2))

    return gain(total[None] - right) + gain(right)


def _likelihoods(logits: Float[Array, "h m"], arms: Int[Array, " h"]) -> Float[Array, "h m+1"]:
    """Log likelihood of the arm that answered, and of every arm having answered or not.

    Of −1, no row, the first is 0.
    """
    answered = jax.nn.one_hot(arms, logits.shape[1])
    chance = jax.nn.log_softmax(logits)
    other = jnp.log1p(-jnp.minimum(jnp.exp(chance), SURE))
    whole = jnp.sum(chance * answered, axis=1, keepdims=True)
    return jnp.concatenate([whole, jnp.where(answered > 0, chance, other)], axis=1)
