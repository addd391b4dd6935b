"""A learnt policy's lead: what EconML says of its own tree, and what ours says on other rows.

`DRPolicyTree` learns a policy and predicts what each of its leaves gains over model 0. The mean of
that is its own word on the policy, on the rows that it learnt from or on others; it has no
interval. Ours evaluates the tree's choices on rows that the tree never saw.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from experiments.off_policy_peers.effects import Estimate, dr_lead, draw
from experiments.off_policy_peers.peers import module
from routerjax.estimators.folds import make_folds
from routerjax.pipelines.quick_outcomes import quick_outcomes

Record = dict[str, Any]

MOST = 50
"""Logs at most."""

OWN, OTHER, OURS = "EconML, rows it learnt from", "EconML, other rows", "ours, other rows"


def measure(
    *, rows: int, models: int, draws: int, seed: int, on_draw: Callable[[], None]
) -> Record | None:
    """Bias and spread of everybody's word on the tree's lead; None where EconML is not installed.

    Args:
      rows, models: of a log that a tree learns from; as many rows evaluate it.
      draws: number of logs, of which `MOST` are drawn at most.
      seed: of the first.
      on_draw: called before every log.
    """
    econml = module("experiments.off_policy_peers.econml_tree", "econml")
    said: dict[str, list[Estimate]] = {OWN: [], OTHER: [], OURS: []}
    truths = []
    for number in range(min(draws, MOST)):
        on_draw()
        if econml is None:
            continue
        for name, (estimate, true) in _one(econml, seed + 1_000 * number, rows, models).items():
            said[name].append(estimate)
            truths += [true] if name == OURS else []
    if not truths:
        return None
    return {
        "logs": len(truths),
        "truth": float(np.mean(truths)),
        "estimators": {name: _summary(each, np.array(truths)) for name, each in said.items()},
    }


def _one(econml: Any, seed: int, rows: int, models: int) -> dict[str, tuple[Estimate, float]]:
    """Everybody's word on one tree, and the truth on the rows that evaluate it."""
    given, made = draw(seed, rows=2 * rows, models=models)
    first, second = np.arange(rows), np.arange(rows, 2 * rows)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # theirs, of later versions of other packages
        tree = econml.Tree(given.x[first], given.log.rows(first))
        own, other = tree.lead(given.x[first]), tree.lead(given.x[second])
        choice = tree.choice(given.x[second])
    log = given.log.rows(second)
    folds = make_folds(log.arms, folds=5, held_out=0.1, key=given.key)
    found = dr_lead(choice, log, quick_outcomes(log, folds), given.propensities[second])
    quality = made.true_quality[second][:, given.columns]
    true = float((quality[np.arange(rows), choice] - quality[:, 0]).mean())
    return {OWN: (Estimate(own), true), OTHER: (Estimate(other), true), OURS: (found, true)}


def _summary(said: list[Estimate], truths: np.ndarray) -> Record:
    """Mean, and bias and root mean squared error against the truth of the same log."""
    means, errors, reach = np.array(said).T
    apart = means - truths
    return {
        "mean": float(means.mean()),
        "bias": float(apart.mean()),
        "error of the bias": float(apart.std(ddof=1) / np.sqrt(len(apart))),
        "error": float(np.sqrt((apart**2).mean())),
        "standard_error": float(errors.mean()),
        "coverage": float((abs(apart) <= reach).mean()) if np.isfinite(reach).all() else None,
    }
