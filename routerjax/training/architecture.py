"""From the settings of a router to its architecture; light enough for a router that is called."""

from __future__ import annotations

from collections.abc import Sequence

from routerjax.models.architectures import Architecture, architecture_named
from routerjax.training.config import RouterConfig


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
        sharpness=config.start_sharpness,
        separate_trunks=config.separate_trunks,
    )
