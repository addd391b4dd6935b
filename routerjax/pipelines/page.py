"""The page of a router on a log: its lines beside today's policy and baselines, and a verdict."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from routerjax.artefacts.router import Router
from routerjax.baselines.policies import greedy, random_choice
from routerjax.estimators.overlap import Overlap
from routerjax.evaluation.metrics import Choice
from routerjax.pipelines.lines import Evaluation
from routerjax.pipelines.on_log import Evidence, policy_lines, singles
from routerjax.pipelines.verdict import impossible, verdict

Choices = dict[str, list[Choice]]
"""Method → its choice at every cost weight."""

ESTIMATED = "propensities are estimated: what they miss of the log's policy is in no interval"


def page(
    choices: Choices,
    evidence: Evidence,
    covered: Overlap,
    *,
    left_out: int,
    cost_weights: Sequence[float],
    notes: Sequence[str] = (),
) -> Evaluation:
    """What a log says of a router, in lines and in words.

    Args:
      choices: of the router and of what it is compared with, by models that never saw the rows.
      evidence: of the log.
      covered: its overlap.
      left_out: rows left out before.
      cost_weights: λ.
      notes: what a reader must know beside what is always said.
    """
    log = evidence.log
    evaluation = Evaluation(
        kind="log",
        source=log.source,
        rows=len(log),
        groups=covered.groups,
        left_out=left_out,
        fingerprint=log.fingerprint,
        quality_range=log.quality_range,
        notes=(),
        lines=policy_lines(choices, evidence, cost_weights=cost_weights, base="best-single-log"),
        overlap=dataclasses.asdict(covered),
        singles=singles(evidence),
    )
    said = ("values are doubly robust estimates from the log, not observations", *notes)
    if evidence.propensities.recorded < 1:
        said = (said[0], ESTIMATED, *notes)
    return dataclasses.replace(
        evaluation,
        notes=(*said, *impossible(evaluation)),
        verdict=verdict(evaluation),
    )


def router_choices(
    router: Router, embeddings: np.ndarray, cost_weights: Sequence[float]
) -> Choices:
    """The router's own choices, and those of what it carries with it."""
    expected = router.expected(embeddings)
    best = [router.best_single_at(each) for each in cost_weights]
    rows, models = len(embeddings), len(router.models)
    return {
        "router": list(router.choices(embeddings, cost_weights=cost_weights)),
        "random": [random_choice(rows, models) for _ in cost_weights],
        "best-single-log": [np.full(rows, router.models.index(name)) for name in best],
        "regression-plug-in": [greedy(expected, cost_weight=each) for each in cost_weights],
    }
