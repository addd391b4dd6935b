"""Logs of a world in which all models are alike: how often is a learnt policy said to be better?

A policy is learnt on one half of a log's groups, greedy on the outcome model, and judged on the
other half: its dr scores less the outcomes that were met, paired, clustered.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from experiments.ope_coverage import nuisances
from experiments.ope_coverage.cell import (
    BATCH,
    Kind,
    Support,
    covered,
    log_of,
    propensities_from,
    rounded,
    supported,
    worth,
)
from experiments.ope_coverage.world import MAIN, Draws, World, draw
from routerjax.evaluation.intervals import Interval
from routerjax.evaluation.ope import difference, logged_scores, policy_scores
from routerjax.records.tables import Estimates


class Judged(NamedTuple):
    """What one log's second half says of the policy that its first half taught.

    Attributes:
      advantage: over the outcomes that were met, in utility at `MAIN`.
      value: of the policy.
      support: of the policy in the second half.
    """

    advantage: Interval
    value: Interval
    support: Support

    @property
    def excludes(self) -> bool:
        """Whether the advantage's interval excludes 0."""
        return self.advantage.low > 0 or self.advantage.high < 0


def measure_null(
    kind: Kind, sources: tuple[str, ...], *, logs: int, seed: int
) -> list[dict[str, Any]]:
    """One record a source of propensities: how often the advantage's interval excludes 0.

    Args:
      kind: of the logs; the rows are those of both halves.
      sources: "recorded", "estimated".
      logs: how many.
      seed: of the study.
    """
    world = World(kind.models, level=True)
    key = [seed, 1, kind.rows, kind.models, ord(kind.logging[0]), ord(kind.dependence[0])]
    rng = np.random.default_rng(key)
    found: dict[str, list[Judged]] = {source: [] for source in sources}
    for done in range(0, logs, BATCH):
        draws = draw(
            world,
            rng,
            logs=min(BATCH, logs - done),
            rows=kind.rows,
            logging=kind.logging,
            dependence=kind.dependence,
        )
        for source in sources:
            found[source] += _both(world, draws, kind, source)
    return [
        {**kind._asdict(), "propensities": source, **_summary(world, found[source])}
        for source in sources
    ]


def _both(world: World, draws: Draws, kind: Kind, source: str) -> list[Judged]:
    """Advantage and value of the learnt policy on each log's second half."""
    half = nuisances.folds_of(draws.groups, nuisances.HALVES)
    quality, cost = (
        np.asarray(
            nuisances.outcomes(
                draws.features,
                draws.arms,
                each,
                jnp.asarray(half),
                models=world.models,
                count=nuisances.HALVES,
            )
        )
        for each in (draws.quality, draws.cost)
    )
    second = np.flatnonzero(half == 1)
    later = draws.rows(second)
    every = propensities_from(source, world, later, kind)
    groups = None if kind.dependence == "independent" else later.groups
    found = []
    for i in range(len(draws.arms)):
        predicted = Estimates(quality=quality[i][second], cost=cost[i][second])
        choice = np.asarray(predicted.utilities(MAIN)).argmax(axis=1)
        log = log_of(later, i, world.models)
        scores = policy_scores(choice, log, predicted, every[i], groups=groups)
        found.append(
            Judged(
                difference(scores, logged_scores(log), cost_weight=MAIN, groups=groups),
                scores.interval(MAIN, groups=groups),
                Support.of(choice, log, every[i], groups),
            )
        )
    return found


def _summary(world: World, found: list[Judged]) -> dict[str, Any]:
    advantages = [each.advantage for each in found]
    truth = worth(world.truth(1.0), MAIN)
    said = [each.excludes and not each.support.flagged for each in found]
    return {
        "logs": len(found),
        **supported([each.support for each in found]),
        "better": rounded(np.mean([each.low > 0 for each in advantages])),
        "worse": rounded(np.mean([each.high < 0 for each in advantages])),
        "said": rounded(np.mean(said)),
        "advantage": covered(advantages, 0.0),
        "value": covered([each.value for each in found], truth),
    }
