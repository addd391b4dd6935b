"""Shares of models where not every model could be chosen on every row."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int

ROUNDS = 200
CLOSE = 1e-6
"""Largest relative change of the odds at which no further round is made."""


def choice_odds(
    arms: Int[np.ndarray, " n"],
    available: Bool[np.ndarray, "n m"] | None,
    *,
    models: int,
    towards: Float[np.ndarray, " m"] | None = None,
    prior: float | None = None,
) -> Float[np.ndarray, " m"]:
    """Odds v, of sum 1, with which each model is chosen among those that are available.

    P(t = m | A) = v_m / Σ_{j ∈ A} v_j. They are the fixed point, which is the maximum of the
    likelihood, of v_m = (n_m + p_m) / (Σ_i a_i(m) / Σ_j a_i(j) v_j + Σ_j p_j): each model is
    expected to answer as often as it did. Where every model is always available they are shares,
    v_m = (n_m + p_m) / (n + Σ_j p_j).

    Args:
      arms: [n] model that answered.
      available: [n, m] True where the model could be chosen; None where every model could.
      models: m.
      towards: [m] odds of the rows, each with every model available, that are added; even ones by
        default.
      prior: how many such rows, Σ p; by default half a row a model.

    Reference: Hunter (2004), MM algorithms for generalized Bradley–Terry models, of which a choice
    from a set is one (Luce's axiom).

    >>> choice_odds(np.array([0, 0, 0, 1]), None, models=2, prior=0.0).tolist()
    [0.75, 0.25]
    """
    even = np.full(models, 1 / models)
    share = even if towards is None else np.asarray(towards) / np.sum(towards)
    rows = models / 2 if prior is None else prior
    wanted: np.ndarray = np.bincount(arms, minlength=models) + rows * share
    odds: np.ndarray = wanted / wanted.sum()
    if available is None:
        return odds
    sets, count = np.unique(np.asarray(available), axis=0, return_counts=True)
    for _ in range(ROUNDS):
        within = np.maximum((sets * odds).sum(axis=1), 1e-300)
        asked = (sets * (count / within)[:, None]).sum(axis=0) + rows
        new = np.where(asked > 0, wanted / np.maximum(asked, 1e-300), 0.0)
        new /= new.sum()
        done = np.abs(new - odds).max() <= CLOSE * odds.max()
        odds = new
        if done:
            break
    return odds
