"""The numbers of a fitted router, as they are called and as routers of before stored them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import PyTree, UInt32

from routerjax.models.heads import Scaling
from routerjax.models.outcomes import OutcomeModel
from routerjax.models.propensity import PropensityModel
from routerjax.records.tables import Estimates


class Arrays(NamedTuple):
    """The numbers of a router.

    Attributes:
      scaling: of the embeddings.
      policy: parameters of the policy, leading axis b.
      constant: [m] means the policy starts from where `start` is "best-single"; else zeros.
      outcomes: quality and cost models, for the expected outcome of a route.
      propensities: The log's policy and where it supports which model; None in routers of before.
      seen: [g, 2] digests of the queries that the router was fitted on; None in those too.
    """

    scaling: Scaling
    policy: PyTree
    constant: Estimates
    outcomes: OutcomeModel
    propensities: PropensityModel | None = None
    seen: UInt32[np.ndarray, "g 2"] | None = None


class FormerArrays(NamedTuple):
    """The numbers of a router that knows neither propensities nor the queries it was fitted on."""

    scaling: Scaling
    policy: Any
    constant: Estimates
    outcomes: OutcomeModel
