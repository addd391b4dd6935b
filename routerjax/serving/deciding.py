"""One query, one decision: expectations, the policy that explores, a model drawn from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from routerjax.artefacts.newcomer import newcomers
from routerjax.artefacts.router import Router
from routerjax.artefacts.routing import outlook
from routerjax.errors import InputError
from routerjax.exploration.drawing import drawn
from routerjax.exploration.limits import Limits, explorable, rate_within
from routerjax.exploration.policies import best_of, share_of_best, with_floor, with_shares

WAYS = ("floor", "members", "posterior")
"""How a served policy explores: a floor alone, or Thompson sampling over a router's members or
over draws from its posterior, with the floor under it."""


@dataclasses.dataclass(frozen=True)
class Exploring:
    """How a served policy explores.

    Attributes:
      rate: Share of the queries spread evenly over the models that may be explored.
      by: one of `WAYS`.
      limits: what it may do.
      newcomers: (model, share of the queries that it gets) of models that were added to the router
        and that no fit has met yet; one that the router was fitted on is a model like others.
    """

    rate: float = 0.0
    by: str = WAYS[0]
    limits: Limits = Limits()
    newcomers: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.rate <= 1:
            raise InputError(f"explore is {self.rate:g}; it must lie between 0 and 1")
        if self.by not in WAYS:
            raise InputError(f"explore by {self.by!r}; it must be one of {', '.join(WAYS)}")
        rates = [rate for _, rate in self.newcomers]
        if not all(0 < rate <= 1 for rate in rates) or sum(rates) > 1:
            problem = f"the shares of newcomers are {', '.join(f'{rate:g}' for rate in rates)}"
            raise InputError(f"{problem}; each must be above 0, and all at most 1 together")


class Asked(NamedTuple):
    """What a request says beside its query.

    Attributes:
      cost_weight: λ, quality given up per dollar.
      models: that may be chosen; None leaves it to the service.
      tenant: for whom, where the service has limits by tenant.
      budget: US dollars that the answer may be expected to cost; None sets no limit.
      tokens: that prompt and answer have together; None where only an embedding is known.
    """

    cost_weight: float
    models: tuple[str, ...] | None = None
    tenant: str | None = None
    budget: float | None = None
    tokens: float | None = None


class Decision(NamedTuple):
    """A decision, whole enough to be logged.

    Attributes:
      arm: position of the drawn model among the router's.
      model: its name.
      propensities: [m] the probabilities it was drawn from.
      available: [m] models that could be chosen.
      quality, cost: [m] expected.
      cost_weight: λ.
      preferred: arm that the router would have chosen without exploring.
      fell_back: whether support, not expectation, decided that.
      dollars: what exploring this query was expected to add.
    """

    arm: int
    model: str
    propensities: Float[np.ndarray, " m"]
    available: Bool[np.ndarray, " m"]
    quality: Float[np.ndarray, " m"]
    cost: Float[np.ndarray, " m"]
    cost_weight: float
    preferred: int
    fell_back: bool
    dollars: float


class Served(NamedTuple):
    """A router as it is served.

    Attributes:
      router: fitted.
      fingerprint: of its folder.
      offered: [m] models that the service offers at all (--only, --exclude).
      draws: from the posterior of its outcome model, where it explores by them.
    """

    router: Router
    fingerprint: str
    offered: Bool[np.ndarray, " m"]
    draws: object | None = None


def decide(
    served: Served,
    embedding: Float[np.ndarray, " d"],
    asked: Asked,
    exploring: Exploring,
    *,
    uniform: float,
    left: float | None = None,
) -> Decision:
    """Draw a model for a query.

    The router's choice is the one it gives most probability among the available models that its
    log supports, or where it supports none of them that of highest expected utility. Exploration
    goes to any available model: to learn what a log does not support is what it is for.

    Args:
      served: the router.
      embedding: [d] of the query.
      asked: cost weight, models, tenant.
      exploring: how.
      uniform: a number in [0, 1) that draws the model.
      left: dollars that exploration may still cost today; None where there is no limit.

    Raises:
      InputError: no model is left, or none for the budget, a name that the router does not have,
        a cost weight outside the fitted range, or an embedding of another width or not finite.
    """
    router = served.router
    available = _available(served, asked, exploring.limits)
    found = outlook(router, embedding[None], cost_weights=(asked.cost_weight,))
    quality, cost = (np.asarray(each[0], np.float64) for each in _both(found.expected))
    if asked.budget is not None:
        available = _affordable(available, cost, asked.budget)
    own = np.asarray(found.probabilities[0, 0], np.float64)
    known = available & (own > 0)
    utility = quality - asked.cost_weight * cost
    choice = best_of(own, known) if known.any() else best_of(utility, available)
    near = explorable(quality, choice, available, within=exploring.limits.within)
    policy, sampled = choice, 0.0
    if exploring.by != "floor":
        draws = _draws(served, embedding, asked.cost_weight, found.expected, cost, exploring.by)
        thompson = _near_alone(share_of_best(draws, available), near)
        added = max(float((thompson - choice) @ cost), 0.0)
        if left is None or added <= left:
            policy, sampled = thompson, added
    rate, dollars = rate_within(
        exploring.rate,
        left=None if left is None else left - sampled,
        cost=cost,
        probabilities=policy,
        explorable=near,
    )
    dollars += sampled
    propensities = with_floor(policy, near, rate=rate)
    shares = _of_newcomers(router, exploring.newcomers, near)
    more = max(float(shares @ cost - shares.sum() * (propensities @ cost)), 0.0)
    if left is None or dollars + more <= left:
        propensities, dollars = with_shares(propensities, shares), dollars + more
    propensities = propensities / propensities.sum()
    arm, preferred = int(drawn(propensities, uniform)), int(choice.argmax())
    return Decision(
        arm=arm,
        model=router.models[arm],
        propensities=propensities,
        available=available,
        quality=quality,
        cost=cost,
        cost_weight=asked.cost_weight,
        preferred=preferred,
        fell_back=bool(found.moved[0, 0]) or preferred != int(own.argmax()),
        dollars=dollars,
    )


def offered(
    models: Sequence[str], *, only: Sequence[str] = (), exclude: Sequence[str] = ()
) -> Bool[np.ndarray, " m"]:
    """[m] models that a service offers.

    A name that the router does not have is no error here: a router that is taken up later may
    have lost a model that was retired. `check_known` is for what is asked for at the start.

    Args:
      models: of the router.
      only: these alone, where there are any.
      exclude: not these.

    Raises:
      InputError: nothing is left.
    """
    found = np.array([name not in exclude and (not only or name in only) for name in models])
    if not found.any():
        raise InputError("no model is left of the router's after --only and --exclude")
    return found


def _available(served: Served, asked: Asked, limits: Limits) -> Bool[np.ndarray, " m"]:
    models = served.router.models
    available = served.offered & limits.allowed(models, asked.tenant)
    if asked.models is not None:
        check_known(asked.models, served.router)
        available = available & np.array([name in asked.models for name in models])
    if not available.any():
        raise InputError("no model is left for this query: every one is ruled out")
    return available


def _affordable(
    available: Bool[np.ndarray, " m"], cost: Float[np.ndarray, " m"], budget: float
) -> Bool[np.ndarray, " m"]:
    """The available models that are expected to answer for the budget."""
    found = available & (cost <= budget)
    if not found.any():
        least = f"the least is {cost[available].min():.3g}"
        raise InputError(f"no model is expected to answer for {budget:g} dollars; {least}")
    return found


def check_known(names: Sequence[str], router: Router) -> None:
    """Raise InputError for a name that is no model of the router, and was none of those whose
    place it took: who names a model does not know that a refit has lost it."""
    known = {*router.models, *gone(router)}
    strange = [name for name in names if name not in known]
    if strange:
        problem = f"the router has no model {strange[0][:80]!r}"
        raise InputError(f"{problem}; its models are {', '.join(router.models)}")


def gone(router: Router) -> tuple[str, ...]:
    """Models that routers before this one had in its place, and that it lost by refits."""
    found = router.provenance.get("gone", ())
    return tuple(str(name) for name in found) if isinstance(found, list | tuple) else ()


def _both(expected) -> tuple[np.ndarray, np.ndarray]:
    return expected.quality, expected.cost


def _of_newcomers(
    router: Router, given: Sequence[tuple[str, float]], near: Bool[np.ndarray, " m"]
) -> Float[np.ndarray, " m"]:
    """[m] shares of the newcomers that may be explored."""
    shares, added = np.zeros(len(near)), newcomers(router)
    for name, rate in given:
        if name in added:
            shares[router.models.index(name)] = rate
    return np.where(near, shares, 0.0)


def _near_alone(
    policy: Float[np.ndarray, " m"], near: Bool[np.ndarray, " m"]
) -> Float[np.ndarray, " m"]:
    """The policy over models near the choice; what it gives others goes to these, in proportion."""
    kept = np.where(near, policy, 0.0)
    total = kept.sum()
    return kept / total if total > 0 else near / near.sum()


def _draws(
    served: Served,
    embedding: np.ndarray,
    cost_weight: float,
    expected,
    cost: np.ndarray,
    by: str,
) -> Float[np.ndarray, "s m"]:
    """Utilities, or what orders models as they do, by every member or draw."""
    router = served.router
    if by == "members":
        x = router.arrays.scaling(router.checked(embedding[None]))
        members = router.config.router.members
        own = [
            router.policy.member(each).at(x, expected, cost_weights=(cost_weight,))[0, 0]
            for each in range(members)
        ]
        return np.stack(own)
    from routerjax.exploration.posterior import Draws, qualities

    draws = served.draws
    assert isinstance(draws, Draws)
    x = np.asarray(router.arrays.scaling(router.checked(embedding[None])))[0]
    return qualities(draws, x, quality_range=router.quality_range) - cost_weight * cost
