"""From settings to architecture and outcome heads; light enough for a router that is called."""

from __future__ import annotations

from collections.abc import Sequence

from routerjax.errors import InputError
from routerjax.models.architectures import Architecture, architecture_named
from routerjax.models.outcomes import OutcomeHead, outcome_head
from routerjax.models.pooled import PooledHead
from routerjax.training.config import NuisanceConfig, RouterConfig

OUTCOMES = ("pooled", "network")


def architecture_of(
    config: RouterConfig, cost_weights: Sequence[float], models: int
) -> Architecture:
    """The architecture that a configuration asks for.

    Raises:
      InputError: an architecture there is not, or settings that mean nothing to it.
    """
    return architecture_named(config.architecture)(
        cost_weights=tuple(float(cost_weight) for cost_weight in cost_weights),
        models=models,
        widths=config.widths,
        sharpness=0.0 if config.start == "random" else config.start_sharpness,
        separate_trunks=config.separate_trunks,
    )


def outcome_head_of(
    config: NuisanceConfig, models: int, dimensions: int, *, tasks: int = 0
) -> OutcomeHead:
    """The outcome head that a configuration asks for.

    Args:
      config: kind of outcome model and its sizes.
      models: m.
      dimensions: d of the embeddings.
      tasks: places of tasks in the features of a pooled model (`estimators/task_logit`).

    Raises:
      InputError: a kind there is not, or sizes that cannot be.
    """
    if config.outcomes not in OUTCOMES:
        raise InputError(f"no outcome model {config.outcomes!r}; known are {', '.join(OUTCOMES)}")
    if config.tasks < 0 or config.tasks == 1:
        problem = f"tasks are {config.tasks}; two or more can be told apart, 0 leaves them out"
        raise InputError(problem)
    if config.outcomes == "network":
        return outcome_head(models, config.widths)
    if config.components < 1 or config.landmarks < 1:
        sizes = f"components are {config.components} and landmarks {config.landmarks}"
        raise InputError(f"{sizes}; a pooled outcome model needs 1 or more of each")
    return PooledHead(models, min(config.components, dimensions), config.landmarks, tasks)
