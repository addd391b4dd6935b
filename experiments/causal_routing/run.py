"""The study: every setting, every method, every seed, as records."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from experiments.causal_routing.config import StudyConfig
from experiments.causal_routing.data import Source
from experiments.causal_routing.methods import methods
from experiments.causal_routing.repetition import Repetition, Setting, overlaps, repetitions
from routerjax.evaluation.metrics import Choice, label_error, outcome, shares
from routerjax.evaluation.published import routing_collapse_index
from routerjax.reports.scores import reference_record
from routerjax.training.execution import Execution

Record = dict[str, Any]


def settings(config: StudyConfig) -> list[Setting]:
    """What the study varies, every combination."""
    return [
        Setting(*each) for each in itertools.product(config.logging, config.strength, config.rows)
    ]


def study(source: Source, config: StudyConfig, *, execution: Execution) -> list[Record]:
    """Run every method in every setting.

    All seeds of a method train as one sweep. Records are of four kinds: "result" (a method,
    seed and cost weight: means over the test rows, and the share of queries each model got),
    "reference" (a seed's test rows: every model alone), "overlap" and "label_error".

    Args:
      source: the table.
      config: the study.
      execution: progress, devices, checkpoints.
    """
    records: list[Record] = []
    for setting in settings(config):
        part = execution.within(str(setting))
        repeated = repetitions(source, config, setting, execution=part)
        rows = len(repeated[0].log)
        found = [
            *overlaps(repeated),
            *map(_reference, repeated),
            *itertools.chain(*map(_label_errors, repeated)),
        ]
        for method, choices in methods(repeated, execution=part):
            for own, chosen in zip(repeated, choices, strict=True):
                found += _results(method, own, chosen)
        common = {"logging": setting.logging, "strength": setting.strength, "rows": rows}
        records += [record | common for record in found]
    return records


def _results(method: str, own: Repetition, choices: Sequence[Choice]) -> Iterator[Record]:
    """Means over the test rows at every evaluated cost weight."""
    models = len(own.log.models)
    for cost_weight, choice in zip(own.cost_weights, choices, strict=True):
        got = outcome(choice, own.evaluated_by, cost_weight=cost_weight)
        yield {
            "record": "result",
            "method": method,
            "seed": own.seed,
            "cost_weight": cost_weight,
            "held_out": cost_weight not in own.config.cost_weights,
            **{name: float(value.mean()) for name, value in got._asdict().items()},
            "shares": shares(choice, models).tolist(),
            "rci": routing_collapse_index(choice, own.evaluated_by),
        }


def _reference(own: Repetition) -> Record:
    """What the models score and cost alone, and the range of costs a router can have."""
    return reference_record(
        own.evaluated_by,
        models=own.log.models,
        cost_weights=own.cost_weights,
        logging=own.setting.logging,
        seed=own.seed,
    )


def _label_errors(own: Repetition) -> Iterator[Record]:
    """The winner's curse: how often an estimate's best arm is not the best, and its optimism."""
    for estimator in own.config.estimators:
        estimates = own.estimates(estimator)
        for cost_weight in own.config.cost_weights:
            yield {
                "record": "label_error",
                "seed": own.seed,
                "estimator": estimator,
                "cost_weight": float(cost_weight),
                **label_error(estimates, own.truth, cost_weight=cost_weight)._asdict(),
            }
