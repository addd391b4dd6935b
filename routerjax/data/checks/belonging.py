"""Do rows with the same value of a column belong together? By their models, and by their scores."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

FEWEST_VALUES, FEWEST_ROWS = 10, 3.0  # values, and rows a value on average, that tell anything
PERMUTATIONS = 20
FAR = 5.0  # standard deviations over permutations beyond which it is no chance
STICKY = 0.15  # of the way from chance to one model a value
ALIKE, DESIGN = 0.02, 1.5  # least intra-class correlation, and design effect, that matter
MOST_ROWS, MOST_OF_VALUE = 50_000, 100  # rows that are looked at, in all and of one value


class Belonging(NamedTuple):
    """How much rows of one value are alike.

    Attributes:
      values: different values there are.
      share: of the rows, those whose model is the most frequent one of their value.
      by_chance: that share where models are shuffled over the rows.
      sticky: whether it is clearly higher than by chance.
      correlation: intra-class correlation of the scores, each less its model's mean.
      alike: whether it is clearly above 0, and enough to widen an interval.
    """

    values: int
    share: float
    by_chance: float
    sticky: bool
    correlation: float
    alike: bool


def belonging(
    codes: Int[np.ndarray, " n"], arms: Int[np.ndarray, " n"], quality: Float[np.ndarray, " n"]
) -> Belonging | None:
    """Compare rows of one value with the same rows shuffled.

    With n_um the rows of value u that model m answered, the share is Σ_u max_m n_um / n. The
    intra-class correlation is that of one-way analysis of variance on r = q − q̄_m,
    ρ = (B − W) / (B + (n₀ − 1)·W), B and W the mean squares between and within values, and the
    design effect 1 + (n₀ − 1)·ρ, n₀ = (n − Σ_u n_u² / n) / (U − 1). What chance gives is taken
    from `PERMUTATIONS` permutations of the rows. Of a large log some values are looked at.

    Args:
      codes: [n] number of the value of each row; negative where there is none.
      arms: [n] model that answered.
      quality: [n] its score.

    Returns:
      Belonging, or None where values are fewer than 10, or have fewer than 3 rows on average.
    """
    rng = np.random.default_rng(0)
    there = np.flatnonzero(codes >= 0)
    if not _enough(codes[there]):
        return None
    there = there[_some(codes[there], rng)]
    values, own = np.unique(codes[there], return_inverse=True)
    counts = np.bincount(own).astype(np.float64)
    arms, scores = arms[there], _beside_model(quality[there], arms[there])
    share, shares = _share(own, arms), np.empty(PERMUTATIONS)
    between, betweens = _between(own, scores, counts), np.empty(PERMUTATIONS)
    for draw in range(PERMUTATIONS):
        order = rng.permutation(len(own))
        shares[draw] = _share(own, arms[order])
        betweens[draw] = _between(own, scores[order], counts)
    chance = float(shares.mean())
    far = share - chance > FAR * max(float(shares.std(ddof=1)), 1e-9)
    correlation, design = _correlation(between, scores, counts)
    unlike = between - betweens.mean() > FAR * max(float(betweens.std(ddof=1)), 1e-12)
    return Belonging(
        values=len(values),
        share=share,
        by_chance=chance,
        sticky=bool(far and share - chance >= STICKY * (1 - chance)),
        correlation=correlation,
        alike=bool(unlike and correlation >= ALIKE and design >= DESIGN),
    )


def _enough(codes: np.ndarray) -> bool:
    values = len(np.unique(codes))
    return values >= FEWEST_VALUES and len(codes) >= FEWEST_ROWS * values


def _some(codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Positions of no more than `MOST_ROWS` rows, `MOST_OF_VALUE` of a value, values whole."""
    if len(codes) <= MOST_ROWS:
        return np.arange(len(codes))
    order = rng.permutation(len(codes))
    order = order[np.argsort(codes[order], kind="stable")]
    counts = np.unique(codes, return_counts=True)[1]
    within = np.arange(len(codes)) - np.repeat(np.cumsum(counts) - counts, counts)
    kept = np.minimum(counts, MOST_OF_VALUE)
    chosen = np.zeros(len(counts), bool)
    picked = rng.permutation(len(counts))
    chosen[picked[np.cumsum(kept[picked]) <= MOST_ROWS]] = True
    taken: np.ndarray = order[(within < MOST_OF_VALUE) & np.repeat(chosen, counts)]
    return taken


def _beside_model(quality: np.ndarray, arms: np.ndarray) -> np.ndarray:
    """[n] scores less the mean of their model."""
    quality = quality.astype(np.float64)
    means = np.bincount(arms, quality) / np.maximum(np.bincount(arms), 1)
    return quality - means[arms]


def _share(own: np.ndarray, arms: np.ndarray) -> float:
    """Σ_u max_m n_um / n."""
    models = int(arms.max()) + 1
    counts = np.bincount(own * models + arms, minlength=(int(own.max()) + 1) * models)
    return float(counts.reshape(-1, models).max(axis=1).sum() / len(own))


def _between(own: np.ndarray, scores: np.ndarray, counts: np.ndarray) -> float:
    """Sum of squares between values, Σ_u n_u·r̄_u²."""
    return float((np.bincount(own, scores) ** 2 / counts).sum())


def _correlation(between: float, scores: np.ndarray, counts: np.ndarray) -> tuple[float, float]:
    """Intra-class correlation ρ and design effect; 0 and 1 where all scores of a model are one."""
    rows, values = len(scores), len(counts)
    within = max(float((scores**2).sum()) - between, 0.0) / max(rows - values, 1)
    between /= values - 1
    size = (rows - (counts**2).sum() / rows) / (values - 1)
    total = between + (size - 1) * within
    if total <= 1e-12:
        return 0.0, 1.0
    rho = (between - within) / total
    return rho, 1 + (size - 1) * rho
