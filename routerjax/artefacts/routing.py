"""Routing as a function of a router, beside the method that it calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

import numpy as np

from routerjax.artefacts.decide import Decided
from routerjax.artefacts.router import Queries, Router
from routerjax.artefacts.routes import Routes
from routerjax.estimators.utility import check_range
from routerjax.records.available import Available


@overload
def route(
    router: Router, queries: Queries, *, cost_weight: float, available: Available | None = None
) -> Routes: ...


@overload
def route(
    router: Router,
    queries: Queries,
    *,
    cost_weight: Sequence[float],
    available: Available | None = None,
) -> tuple[Routes, ...]: ...


def route(
    router: Router,
    queries: Queries,
    *,
    cost_weight: float | int | Sequence[float | int],
    available: Available | None = None,
) -> Routes | tuple[Routes, ...]:
    """Choose a model for every query, at one cost weight or at several.

    Args:
      router: fitted.
      queries: n prompts, encoded by the router's own encoder, or embeddings [n, d].
      cost_weight: λ within the fitted range, quality given up per dollar; or several of them.
      available: the models that can be chosen, as in `Router.route`; None: all can.

    Returns:
      Routes: names, arms, probabilities, expected quality and cost; a tuple of them, in the order
      given, for several cost weights.

    Raises:
      InputError: λ outside the fitted range, embeddings of another width, prompts for a
        router that was fitted on ready-made embeddings, or an available model that the router
        does not have.
    """
    return router.route(queries, cost_weight=cost_weight, available=available)


def outlook(
    router: Router, embeddings: np.ndarray, *, cost_weights: Sequence[float | int]
) -> Decided:
    """What a router makes of queries, before a model is chosen: one call of its compiled part.

    Args:
      router: fitted.
      embeddings: [n, d] of the router's encoder.
      cost_weights: k of them within the fitted range.

    Returns:
      Probabilities [k, n, m] of the router, 0 where the log does not support a model, whether
      support moved a choice [k, n], and expected quality and cost [n, m].

    Raises:
      InputError: λ outside the fitted range, or embeddings of another width or not finite.
    """
    for each in cost_weights:
        check_range(each, router.cost_weights)
    return router._decided(embeddings, cost_weights)
