"""Do shares of models and their scores, or costs, change together over time? Then time misleads."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

QUARTERS = 4
BLOCKS, LEAST_BLOCKS, BLOCK_ROWS = 64, 16, 10  # most, fewest, and fewest rows of one
SURE = 1e-3
"""Probability with which chance alone is taken for a change, of shares and of scores each."""
OF_QUALITY, OF_COST = 0.02, 0.1
"""Bias that matters: of the width of the quality range, and of a model's mean cost."""
LEAST_SHARE = 0.02  # of the rows, of a model whose mean is looked at
MOST_TIMES_MEAN = 5.0  # of its model's mean cost, beyond which a cost is cut


class Together(NamedTuple):
    """A share and a level that changed together.

    Attributes:
      what: "quality" or "cost".
      arm: the model whose mean misleads most.
      shares: that model's in the quarters of the rows where answers of the same models were best
        and worst, or dearest and cheapest; the earlier quarter first.
      change: of the level of the same models from the earlier to the later of the two, in units of
        quality; of cost as a share of a model's mean.
      bias: by which the model's mean is off for when it was asked, in the same unit.
    """

    what: str
    arm: int
    shares: tuple[float, float]
    change: float
    bias: float


def changed_together(
    time: Float[np.ndarray, " n"],
    arms: Int[np.ndarray, " n"],
    quality: Float[np.ndarray, " n"],
    cost: Float[np.ndarray, " n"],
    *,
    width: float = 1.0,
    groups: int | None = None,
) -> Together | None:
    """Find a model that was asked more when answers of every model were better, or dearer.

    Rows in order of time are parted in b blocks of equal size and these in four quarters. With
    q = μ_m + δ_k + noise (least squares; model m, quarter k) the mean of model m is off by

    bias_m = Σ_k (n_mk/n_m − n_k/n) δ_k,

    which is 0 unless shares and levels both change. It is told where it is large, where δ varies
    and where the share of m varies: by the F statistic of blocks' means between and within
    quarters. Blocks, not rows, are what is independent there, so that sessions that are shorter
    than a block, and costs with heavy tails, look like what they are.

    Args:
      time: [n] seconds; equal times are in random order.
      arms: [n] model that answered.
      quality: [n] scores.
      cost: [n] dollars; of it what is relative to its model's mean counts.
      width: of the quality range.
      groups: number of the rows' groups, than which blocks are no more; None if each row is one.

    Returns:
      What changed, by quality before cost; None where nothing did, or the rows are too few.
    """
    blocks = min(BLOCKS, len(time) // BLOCK_ROWS, len(time) if groups is None else groups)
    if blocks < LEAST_BLOCKS or time.min() == time.max():
        return None
    order = np.lexsort((np.random.default_rng(0).random(len(time)), time))
    block = np.empty(len(time), np.int64)
    block[order] = np.arange(len(time)) * blocks // len(time)
    quarter = np.arange(blocks) * QUARTERS // blocks
    counts = np.bincount(arms).astype(np.float64)
    answered = np.bincount(block * len(counts) + arms, minlength=blocks * len(counts))
    answered = answered.reshape(blocks, -1).astype(np.float64)
    rows = answered.sum(axis=1)
    chance = _chance(answered / rows[:, None], quarter) * max(np.count_nonzero(counts), 1)
    moved = (chance < SURE) & (counts >= LEAST_SHARE * len(time))
    if not moved.any():
        return None
    means = np.bincount(arms, cost) / np.maximum(counts, 1)
    relative = np.minimum(cost / np.where(means > 0, means, np.inf)[arms], MOST_TIMES_MEAN)
    cells = np.stack([answered[quarter == k].sum(axis=0) for k in range(QUARTERS)])
    for what, values, matters in (
        ("quality", quality.astype(np.float64), OF_QUALITY * width),
        ("cost", relative, OF_COST),
    ):
        beside = values - (np.bincount(arms, values) / np.maximum(counts, 1))[arms]
        if _chance((np.bincount(block, beside) / rows)[:, None], quarter)[0] >= SURE:
            continue
        level = _levels(cells, quarter[block], arms, beside)
        bias = level @ (cells / np.maximum(counts, 1)) - level @ cells.sum(axis=1) / len(time)
        bias = np.where(moved, bias, 0.0)
        arm = int(np.abs(bias).argmax())
        if abs(bias[arm]) >= matters:
            first, last = sorted((int(level.argmin()), int(level.argmax())))
            shares = cells[[first, last], arm] / cells[[first, last]].sum(axis=1)
            change = float(level[last] - level[first])
            return Together(what, arm, (shares[0], shares[1]), change, float(bias[arm]))
    return None


def _chance(values: Float[np.ndarray, "b c"], quarter: Int[np.ndarray, " b"]) -> np.ndarray:
    """[c] probability that blocks' values differ as much between quarters by chance."""
    from scipy.special import fdtrc

    count = np.bincount(quarter)
    means = np.stack([values[quarter == k].mean(axis=0) for k in range(len(count))])
    between = (count[:, None] * (means - values.mean(axis=0)) ** 2).sum(axis=0) / (len(count) - 1)
    free = len(values) - len(count)
    within = ((values - means[quarter]) ** 2).sum(axis=0) / free
    found: np.ndarray = fdtrc(len(count) - 1, free, between / np.maximum(within, 1e-15))
    return np.where(between > 1e-15, found, 1.0)


def _levels(
    cells: Float[np.ndarray, "k m"], quarter: np.ndarray, arms: np.ndarray, beside: np.ndarray
) -> Float[np.ndarray, " k"]:
    """[k] δ of least squares of n values less their model's mean, whose mean over rows is 0.

    (diag(n_k) − Σ_m n_mk n_mk′ / n_m) δ = Σ of quarter k; models are eliminated.
    """
    sums = np.bincount(quarter, beside, minlength=len(cells))
    rows = cells.sum(axis=1)
    normal = np.diag(rows) - (cells / np.maximum(cells.sum(axis=0), 1)) @ cells.T
    found: np.ndarray = np.linalg.pinv(normal, hermitian=True, rcond=1e-9) @ sums
    return found - found @ rows / rows.sum()
