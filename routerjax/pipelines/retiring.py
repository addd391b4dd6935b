"""What it costs in value to retire models without fitting again: the router with and without them.

Where the router chose a model that is retired, it takes the next best by what it knows itself;
nothing else changes. The difference is paired, row by row: from all cells of a table, doubly robust
on a log.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from routerjax.artefacts.router import Router
from routerjax.errors import InputError
from routerjax.evaluation.intervals import Interval, mean_interval
from routerjax.evaluation.metrics import outcome
from routerjax.pipelines.compare import could_be_chosen
from routerjax.pipelines.evidence import Evidence, difference, interval, scored, unsupported_share
from routerjax.pipelines.lines import Retiring
from routerjax.pipelines.page import Choices, of_the_policy
from routerjax.records.logs import Log
from routerjax.records.tables import Table


def check_exclude(router: Router, exclude: Sequence[str]) -> None:
    """Raise InputError for a model that the router does not have, or where none would be left."""
    strange = [name for name in exclude if name not in router.models]
    if strange:
        known = ", ".join(router.models)
        raise InputError(f"no model {strange[0]!r} to retire; the router's are {known}")
    if not set(router.models) - set(exclude):
        raise InputError("no model would be left; leave one out of --exclude")


def on_table(
    router: Router, table: Table, *, cost_weights: Sequence[float], exclude: Sequence[str]
) -> tuple[Retiring, ...]:
    """What retiring models costs at every cost weight, by all cells.

    Args:
      router: fitted.
      table: complete, with the router's models and embeddings.
      cost_weights: λ.
      exclude: models that are retired.

    Raises:
      InputError: a row is left without any model.
    """
    found, choices = [], _choices(router, table, cost_weights, exclude)
    for k, cost_weight in enumerate(cost_weights):
        whole, less = (
            outcome(choices[name][k], table.estimates, cost_weight=cost_weight)
            for name in ("whole", "less")
        )
        found.append(
            Retiring(
                exclude=tuple(exclude),
                cost_weight=cost_weight,
                lost=mean_interval(whole.utility - less.utility, groups=table.groups),
                quality_change=mean_interval(less.quality - whole.quality, groups=table.groups),
                cost_change=mean_interval(less.cost - whole.cost, groups=table.groups),
                moved=_moved(choices, k),
            )
        )
    return tuple(found)


def on_log(
    router: Router, evidence: Evidence, *, cost_weights: Sequence[float], exclude: Sequence[str]
) -> tuple[Retiring, ...]:
    """What retiring models costs at every cost weight, by what a log says.

    Args:
      router: fitted.
      evidence: of a log that it was not fitted on.
      cost_weights: λ.
      exclude: models that are retired.

    Raises:
      InputError: a row is left without any model.
    """
    choices = _choices(router, evidence.log, cost_weights, exclude)
    choices, evidence, _ = of_the_policy(choices, evidence)
    found, groups = [], evidence.log.groups
    for k, cost_weight in enumerate(cost_weights):
        whole, less = (scored(choices[name][k], evidence) for name in ("whole", "less"))
        same = choices["whole"][k] == choices["less"][k]

        def change(low: np.ndarray, high: np.ndarray, same: np.ndarray = same) -> Interval:
            return interval(np.where(same, 0.0, low), np.where(same, 0.0, high), groups)

        found.append(
            Retiring(
                exclude=tuple(exclude),
                cost_weight=cost_weight,
                lost=interval(*difference(whole, less, cost_weight=cost_weight), groups),
                quality_change=change(
                    less.low.quality - whole.high.quality, less.high.quality - whole.low.quality
                ),
                cost_change=change(
                    less.high.cost - whole.low.cost, less.low.cost - whole.high.cost
                ),
                moved=_moved(choices, k),
                unsupported=unsupported_share(choices["less"][k], evidence),
            )
        )
    return tuple(found)


def _choices(
    router: Router, rows: Log | Table, cost_weights: Sequence[float], exclude: Sequence[str]
) -> Choices:
    return {
        name: list(
            router.choices(
                rows.features,
                cost_weights=cost_weights,
                available=could_be_chosen(rows, router.models, exclude=out),
            )
        )
        for name, out in (("whole", ()), ("less", tuple(exclude)))
    }


def _moved(choices: Choices, k: int) -> float:
    return float(np.mean(choices["whole"][k] != choices["less"][k]))
