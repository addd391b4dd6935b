"""Nuisances of a log, cross-fitted: propensities, and outcome models in the same folds.

Row i's nuisances never saw row i (`pipelines/outcomes`, `pipelines/propensities`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from routerjax.estimators.counterfactual import Estimator, Transform, estimate
from routerjax.estimators.defaults import SUPPORT, floor_of
from routerjax.estimators.folds import Folds, make_folds
from routerjax.estimators.hierarchical import Posterior
from routerjax.estimators.overlap import Overlap, overlap
from routerjax.models.heads import Scaling
from routerjax.models.outcomes import FittedOutcomes, OutcomeModel
from routerjax.pipelines.outcomes import Joined, fit_joined, join, task_of
from routerjax.pipelines.propensities import Propensities, fit_propensities
from routerjax.records.logs import Log
from routerjax.records.tables import Estimates
from routerjax.support.compilation import split_keys
from routerjax.training.config import NuisanceConfig
from routerjax.training.execution import Execution


class Nuisances(NamedTuple):
    """What the rows of a log need before they can be learnt from or evaluated on.

    Attributes:
      predicted: [n, m] quality and cost, by models that never saw the row.
      propensities: of the arm that answered and of every arm, with support.
      overlap: report on the propensities, with the floor below which they are clipped.
      model: outcome models of the folds; None where the predictions were made by other means.
      posterior: of quality as a share of its range, where the models are closed forms.
      of_row: [n] fold of each row, where the predictions are by models of folds.
      floor: below which propensities are clipped in the estimates that are learnt from; None for
        that of the overlap. Few large weights do a network more harm than a small bias.
    """

    predicted: Estimates
    propensities: Propensities
    overlap: Overlap
    model: OutcomeModel | None
    posterior: Posterior | None = None
    of_row: Int[np.ndarray, " n"] | None = None
    floor: float | None = None

    def estimates(self, log: Log, estimator: str | Estimator | Transform) -> Estimates:
        """[n, m] counterfactual estimates of the log's rows, propensities clipped at the floor."""
        return estimate(
            log,
            self.predicted,
            self.propensities.answered,
            estimator=estimator,
            floor=self._lowest,
        )

    @property
    def clipped(self) -> Float[np.ndarray, " n"]:
        """[n] propensities of the arms that answered, as the estimates take them."""
        found: np.ndarray = np.maximum(np.asarray(self.propensities.answered), self._lowest)
        return found

    @property
    def _lowest(self) -> float:
        return self.overlap.floor if self.floor is None else self.floor


def folds_of(log: Log, *, key: jax.Array, config: NuisanceConfig) -> Folds:
    """The folds of a log's nuisances, as `fit_all_nuisances` makes them of the same key."""
    return make_folds(
        np.asarray(log.arms),
        folds=config.folds,
        held_out=config.held_out,
        key=jax.random.split(key, 3)[0],
        groups=log.groups,
    )


def outcomes_of(
    log: Log,
    scaling: Scaling,
    *,
    key: jax.Array,
    config: NuisanceConfig = NuisanceConfig(),
    propensities: Propensities | None = None,
    execution: Execution = Execution(),
) -> FittedOutcomes:
    """The outcome models of a log alone, in the folds that `fit_all_nuisances` makes of the key.

    Args:
      log: n rows with embeddings.
      scaling: of the embeddings.
      key: Random key of folds and starting values.
      config: folds, trunk, optimiser.
      propensities: of the rows, whose weights they have; None for 1.
      execution: progress, devices, checkpoints.
    """
    of_folds, of_outcomes, _ = jax.random.split(key, 3)
    joined = join([log], [scaling], [of_folds], config, execution)
    if propensities is not None:
        joined = _weighed(joined, [propensities])
    return fit_joined(joined, [of_outcomes])[0]


def propensities_of(
    log: Log,
    scaling: Scaling,
    *,
    key: jax.Array,
    config: NuisanceConfig = NuisanceConfig(),
    support: float = SUPPORT,
) -> Propensities:
    """Propensities of a log's rows, cross-fitted where they were not recorded, and support.

    Args:
      log: n rows with embeddings.
      scaling: of the embeddings.
      key: Random key of the folds.
      config: folds.
      support: as of `fit_propensities`.
    """
    task = task_of(log, scaling, key, config)
    return fit_propensities(log, task.rows["x"], task.folds, support=support)


def fit_all_nuisances(
    logs: Sequence[Log],
    scalings: Sequence[Scaling],
    *,
    keys: Sequence[jax.Array],
    config: NuisanceConfig = NuisanceConfig(),
    floor: float | None = None,
    support: float = SUPPORT,
    execution: Execution = Execution(),
) -> list[Nuisances]:
    """Fit the quality, cost and propensity models of several logs as one sweep.

    Propensities are taken as recorded, and estimated where they were not. Where a log's task
    foretells which model answered, rows have stabilised weights in the pooled outcome models.

    Args:
      logs: of equal shapes, n rows each, with embeddings.
      scalings: of their embeddings.
      keys: one a log, for folds, starting values and shuffling.
      config: folds, trunk, optimiser.
      floor: below which propensities are clipped, as of `floor_of`.
      support: share of an even share, 1/m, from which an arm is supported.
      execution: progress, devices, checkpoints.

    Returns:
      Nuisances of each log, every prediction out of fold, as they would be alone.
    """
    triples = [split_keys(key, 3) for key in keys]
    joined = join(logs, scalings, [triple[0] for triple in triples], config, execution)
    with execution.step("log's policy"):
        chances = [
            fit_propensities(log, task.rows["x"], task.folds, support=support)
            for log, task in zip(logs, joined.tasks, strict=True)
        ]
    with execution.step("outcome models"):
        outcomes = fit_joined(_weighed(joined, chances), [triple[1] for triple in triples])
    return [
        Nuisances(
            found.predicted,
            own,
            overlap(
                log,
                own.answered,
                floor=floor_of(floor, models=len(log.models), recorded=own.recorded),
                supported=own.supported,
            ),
            found.model,
            found.posterior,
            task.folds.of_row,
            floor_of(floor, models=len(log.models), recorded=0.0),
        )
        for found, own, log, task in zip(outcomes, chances, logs, joined.tasks, strict=True)
    ]


def _weighed(joined: Joined, chances: Sequence[Propensities]) -> Joined:
    """The same, rows with the weights that their propensities give them."""
    pairs = zip(joined.tasks, chances, strict=True)
    return joined._replace(tasks=[task._replace(weights=own.weights) for task, own in pairs])
