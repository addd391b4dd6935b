"""What a plug-in router is worth on its own log: every row by models that did not see it.

The router of a fold is the plug-in of the outcome models fitted outside the fold, and so is the
best single model it is compared with. The means over all rows are those of k such routers, each
fitted on all rows but a fold's; the router that is saved is fitted on all of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from routerjax.baselines.policies import greedy, random_choice
from routerjax.data.checks.drift import drift_notes
from routerjax.models.policy import Policy
from routerjax.pipelines.evidence import Evidence
from routerjax.pipelines.expected import expected_advantages
from routerjax.pipelines.lines import Evaluation
from routerjax.pipelines.on_log import Saved
from routerjax.pipelines.page import Choices, page
from routerjax.pipelines.prepare import Prepared
from routerjax.records.logs import Log
from routerjax.records.tables import Estimates

CROSSED = (
    "every row is evaluated by a router fitted without its fold; the one that is saved is fitted "
    "on all rows"
)


def crossed_page(
    policy: Policy,
    prepared: Prepared,
    *,
    cost_weights: Sequence[float],
    saved: Saved | None = None,
) -> Evaluation:
    """The page of a plug-in router on the log that it is fitted on.

    Args:
      policy: the plug-in.
      prepared: the log, with predictions and propensities out of fold.
      cost_weights: λ.
      saved: what the router that is fitted on all rows chooses; None leaves it out.
    """
    nuisances, log = prepared.nuisances, prepared.record
    assert nuisances is not None and isinstance(log, Log) and nuisances.of_row is not None
    evidence = Evidence(
        log=log,
        predicted=prepared.predicted,
        propensities=nuisances.propensities.of_own_choices,
        floor=nuisances.overlap.floor,
        widening=widening(int(nuisances.of_row.max()) + 1),
    )
    folds = int(nuisances.of_row.max()) + 1
    return page(
        crossed_choices(policy, [prepared] * folds, cost_weights),
        evidence,
        nuisances.overlap,
        left_out=0,
        cost_weights=cost_weights,
        notes=(CROSSED, *drift_notes(log)),
        saved=saved,
    )


def widening(folds: int) -> float:
    """By which standard errors over k folds are multiplied, √(1 + k/(k − 1)).

    The folds' routers were fitted on rows that they share, and differ from each other and from the
    one that is saved, which a standard error over rows leaves out. It is a rule of thumb: the
    variance 1/k of a mean over folds becomes 1/k + 1/(k − 1), test over training rows.

    Reference: Nadeau, Bengio (2003), Inference for the Generalization Error, the corrected
    resampled t-test.
    """
    return float(np.sqrt(1 + folds / (folds - 1)))


def crossed_choices(
    policy: Policy, prepared: Sequence[Prepared], cost_weights: Sequence[float]
) -> Choices:
    """Choices of the folds' routers on their own folds, and of what they are compared with.

    Args:
      policy: the plug-in.
      prepared: the log of n rows and m models, once a fold, as the fold's router learnt from it.
      cost_weights: k of them.
    """
    predicted = own_predictions(prepared)
    rows, models = predicted.quality.shape
    could = prepared[0].record.available
    router, best = np.zeros((2, len(cost_weights), rows), np.int64)
    for fold, learnt in enumerate(prepared):
        choices, expected = expected_advantages(
            policy, learnt, learnt.predicted, cost_weights=cost_weights, fold=fold
        )
        own = _of_row(learnt) == fold
        best[:, own] = expected.single
        router[:, own] = choices
    return {
        "router": list(router),
        "random": [random_choice(rows, models, available=could)] * len(cost_weights),
        "best-single-log": list(best),
        "regression-plug-in": [
            greedy(predicted, cost_weight=each, available=could) for each in cost_weights
        ],
    }


def own_predictions(prepared: Sequence[Prepared]) -> Estimates:
    """[n, m] outcomes of each row as its fold's models, of `prepared` once a fold, predict them."""
    of_row = _of_row(prepared[0])
    first = prepared[0].predicted
    quality, cost = np.array(first.quality), np.array(first.cost)
    for fold, learnt in enumerate(prepared):
        own = of_row == fold
        quality[own], cost[own] = learnt.predicted.quality[own], learnt.predicted.cost[own]
    return Estimates(quality=quality, cost=cost)


def _of_row(prepared: Prepared) -> Int[np.ndarray, " n"]:
    assert prepared.nuisances is not None and prepared.nuisances.of_row is not None
    return prepared.nuisances.of_row
