"""Presets of the Causal LLM Routing study: each is the record of a run."""

from __future__ import annotations

import dataclasses

from routerjax.counterfactual import DEFAULT_FLOOR, ESTIMATORS
from routerjax.errors import InputError
from routerjax.nuisance import NuisanceConfig
from routerjax.training.fit import Schedule
from routerjax.training.routing import RouterConfig, check_config

LOGGING = ("uniform", "quality", "cheap", "epsilon", "confounded")


@dataclasses.dataclass(frozen=True)
class StudyConfig:
    """Causal LLM Routing (arXiv 2505.16037), methods × cost weights on logs of one arm a row.

    What the paper leaves open and is our choice: the logging policies of
    `routerjax.data.logging_policies`, the architecture and its optimiser, the selection of
    the epoch by doubly robust utility on a fifth of the log, and the clipping floor. No run
    chooses anything on test rows.

    Attributes:
      table: file or hub id of a table; None takes the synthetic embedded table.
      queries, dimensions: of the embedded table.
      rows: rows logged per seed; None logs all that are not test rows.
      test_share: share of the table kept for testing, drawn anew for every seed.
      seeds: number of repetitions: split, log, folds and starting values.
      cost_weights: grid of λ.
      logging: policies, each with a table of its own: uniform, quality, cheap, epsilon,
        confounded.
      strength: of the softmax logging policies.
      record_propensities: whether methods know the log's propensities.
      surrogates, estimators: every pair is a method.
      floor: propensities are clipped from below here.
      validation: share of the log held out of each member to choose its epoch.
      encoder: of a table's prompts.
      router, nuisance: of the two trainings.
    """

    table: str | None = None
    queries: int = 12_000
    dimensions: int = 256
    rows: int | None = None
    test_share: float = 0.3
    seeds: int = 5
    cost_weights: tuple[float, ...] = (0, 10, 20, 50, 100, 200, 500, 1000)
    logging: tuple[str, ...] = ("quality",)
    strength: float = 2.0
    record_propensities: bool = False
    surrogates: tuple[str, ...] = ("classification_bound", "softmax_regret")
    estimators: tuple[str, ...] = ("direct", "ips", "dr")
    floor: float = DEFAULT_FLOOR
    validation: float = 0.2
    encoder: str = "wordllama"
    router: RouterConfig = RouterConfig()
    nuisance: NuisanceConfig = NuisanceConfig()


PRESETS = {
    "smoke": StudyConfig(
        queries=1_500,
        dimensions=32,
        seeds=2,
        cost_weights=(0, 50, 500),
        surrogates=("softmax_regret",),
        estimators=("dr",),
        router=RouterConfig(widths=(32,), schedule=Schedule(max_epochs=20, patience=5, chunk=5)),
        nuisance=NuisanceConfig(folds=3, widths=(32,)),
    ),
    "quick": StudyConfig(queries=8_000, seeds=4),
}
"""smoke: seconds, for CI. quick: the embedded table, four seeds, under 3 minutes on two cores."""


def check(config: StudyConfig) -> StudyConfig:
    """The configuration, if it can be run.

    Raises:
      InputError: an unknown estimator, surrogate, architecture or start, a share outside
        (0, 1), or no seeds.
    """
    for surrogate in config.surrogates:
        check_config(dataclasses.replace(config.router, surrogate=surrogate))
    for estimator in config.estimators:
        if estimator not in ESTIMATORS:
            raise InputError(f"no estimator {estimator!r}; known are {', '.join(ESTIMATORS)}")
    for logging in config.logging:
        if logging not in LOGGING:
            raise InputError(f"no logging policy {logging!r}; known are {', '.join(LOGGING)}")
    if config.seeds < 1:
        raise InputError(f"seeds is {config.seeds}; it must be at least 1")
    if not 0 < config.test_share < 1:
        raise InputError(f"test share is {config.test_share:g}; it must lie between 0 and 1")
    if not config.cost_weights or min(config.cost_weights) < 0:
        raise InputError("cost weights must be numbers of 0 or more, as in 0,10,100")
    return dataclasses.replace(config, cost_weights=tuple(sorted(set(config.cost_weights))))
