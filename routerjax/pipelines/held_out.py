"""What a fit reports of rows that its networks were not trained on."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from routerjax.artefacts.router import Router
from routerjax.evaluation.intervals import mean_interval
from routerjax.evaluation.metrics import outcome
from routerjax.pipelines.prepare import Prepared
from routerjax.records.tables import Estimates


def held_out_report(
    router: Router, prepared: Prepared, selection: Estimates, best_arms: Sequence[int]
) -> dict[str, Any]:
    """Overlap, and dr utility of router and best single model on rows held out of training.

    Each member is evaluated on its own held-out rows, so that no row evaluates a network trained
    on it; rows held out of several members count once, with the mean of their scores.

    Args:
      router: fitted.
      prepared: the log it was fitted on.
      selection: [n, m] dr estimates of the log's rows.
      best_arms: [w] best single model at every cost weight.
    """
    assert prepared.nuisances is not None
    choices = _held_out_choices(router, prepared)
    rows = np.flatnonzero((choices >= 0).any(axis=(0, 1)))
    lines = []
    for w, (cost_weight, arm) in enumerate(zip(router.cost_weights, best_arms, strict=True)):
        shares = _arm_shares(choices[:, w][:, rows], len(router.models))
        routed = outcome(shares, selection[rows], cost_weight=cost_weight)
        single = outcome(np.full(len(rows), arm), selection[rows], cost_weight=cost_weight)
        lines.append(
            {
                "cost_weight": cost_weight,
                "router": mean_interval(routed.utility)._asdict(),
                "best_single": mean_interval(single.utility)._asdict(),
                "advantage": mean_interval(routed.utility - single.utility)._asdict(),
                "best_single_model": router.models[arm],
                "quality": float(routed.quality.mean()),
                "cost": float(routed.cost.mean()),
            }
        )
    sizes = {"log": len(prepared.record), "held_out": len(rows), "members": len(prepared.held_out)}
    return {
        "overlap": dataclasses.asdict(prepared.nuisances.overlap),
        "rows": sizes,
        "held_out": lines,
    }


def _held_out_choices(router: Router, prepared: Prepared) -> np.ndarray:
    """[b, w, n] arm each member chooses for the rows held out of it; −1 elsewhere."""
    features, held_out = prepared.record.features, prepared.held_out
    shape = (len(held_out), len(router.cost_weights), len(prepared.record))
    choices = np.full(shape, -1, np.int32)
    for member, rows in enumerate(held_out):
        x = router.arrays.scaling(features[rows])
        own = router.policy.member(member)
        probabilities = own.at(x, prepared.predicted[rows], cost_weights=router.cost_weights)
        choices[member][:, rows] = probabilities.argmax(axis=-1)
    return choices


def _arm_shares(choices: np.ndarray, models: int) -> np.ndarray:
    """[n, m] share of the members' choices [b, n] that fell on each arm, −1 left out."""
    votes = (choices[..., None] == np.arange(models)).sum(axis=0)
    return votes / votes.sum(axis=1, keepdims=True)
