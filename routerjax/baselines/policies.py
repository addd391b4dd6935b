"""Policies that need no training of their own: best single model, plug-in, oracle, random."""

from __future__ import annotations

import numpy as np

from routerjax.records.tables import Estimates


def greedy(outcomes: Estimates, *, cost_weight: float) -> np.ndarray:
    """Arm of highest utility of every query, argmax_m q(x, m) − λ·c(x, m), [n].

    On predicted outcomes this is the plug-in policy (predict, then choose); on known outcomes
    it is the oracle.
    """
    return np.asarray(outcomes.utilities(cost_weight)).argmax(axis=1)


def best_single(outcomes: Estimates, *, cost_weight: float) -> int:
    """The one arm of highest mean utility: picked from a log if given dr estimates, in
    hindsight if given the cells it will be judged on."""
    utilities = np.asarray(outcomes.utilities(cost_weight), np.float64)
    return int(utilities.mean(axis=0).argmax())


def random_choice(rows: int, models: int) -> np.ndarray:
    """Every arm with probability 1 / M, [n, m]."""
    return np.full((rows, models), 1.0 / models)
