"""Limits of exploration: which models a tenant may be given, how near the best, for how much."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float

from routerjax.errors import InputError

ANYONE = "*"
"""The tenant that stands for all."""


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a served policy may do.

    Attributes:
      forbidden: tenant → models that it is never given, by choice or by exploration; the tenant
        "*" stands for all.
      within: A model is explored only where its expected quality is at most this much below that
        of the router's choice, in the unit of quality; None explores any.
      dollars_a_day: What exploration may cost in a day beyond the router's choices, in
        expectation; None sets no limit.
    """

    forbidden: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    within: float | None = None
    dollars_a_day: float | None = None

    def __post_init__(self) -> None:
        for name, value in (("within", self.within), ("dollars a day", self.dollars_a_day)):
            if value is not None and not (np.isfinite(value) and value >= 0):
                raise InputError(f"{name} is {value:g}; it must be finite and 0 or more")

    def allowed(self, models: Sequence[str], tenant: str | None) -> Bool[np.ndarray, " m"]:
        """[m] True where a tenant may be given a model."""
        barred = {*self.forbidden.get(ANYONE, ()), *self.forbidden.get(tenant or ANYONE, ())}
        return np.array([model not in barred for model in models])


def explorable(
    quality: Float[np.ndarray, "*n m"],
    probabilities: Float[np.ndarray, "*n m"],
    allowed: Bool[np.ndarray, "*n m"],
    *,
    within: float | None,
) -> Bool[np.ndarray, "*n m"]:
    """Models that may be explored: those allowed whose expected quality is near the policy's own.

    Args:
      quality: [..., m] expected.
      probabilities: [..., m] of the policy that explores; its quality is Σ_m p_m q_m.
      allowed: [..., m].
      within: as of `Limits`; None takes all that are allowed.
    """
    if within is None:
        return allowed
    own = (probabilities * quality).sum(axis=-1, keepdims=True)
    return np.asarray(allowed & (quality >= own - within))


def rate_within(
    rate: float,
    *,
    left: float | None,
    cost: Float[np.ndarray, " m"],
    probabilities: Float[np.ndarray, " m"],
    explorable: Bool[np.ndarray, " m"],
) -> tuple[float, float]:
    """The rate of exploration that the rest of a day's dollars allows, and what it costs.

    Exploring at rate ε is expected to cost ε·(mean cost of what may be explored − cost of the
    policy), where that is above 0. It is done as asked or, where less is left, not at all: a
    smaller rate would leave propensities so small that no estimate can use their rows.

    Args:
      rate: ε asked for.
      left: dollars; None where there is no limit.
      cost: [m] expected, dollars.
      probabilities: [m] of the policy.
      explorable: [m] models that may be explored.

    Returns:
      The rate, and the dollars that exploring this query is expected to add.
    """
    if rate == 0 or not explorable.any():
        return 0.0, 0.0
    added = rate * max(float(cost[explorable].mean() - probabilities @ cost), 0.0)
    return (0.0, 0.0) if left is not None and added > left else (rate, added)
