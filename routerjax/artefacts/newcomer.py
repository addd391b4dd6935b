"""A model that no log knows yet: what a router expects of it, from its price and a few rows.

The newcomer is taken for the model it resembles, but for an offset in quality and a factor in cost
that a few rows of its own tell, shrunk to none. With residuals r_i of its rows as shares of the
quality range, and k = `PRIOR_ROWS`,

    q̂_new(x) = q̂_like(x) + δ,  δ = Σ_i r_i / (n + k),  sd(δ) = σ / √(n + k),
    ĉ_new(x) = ρ·price(ĉ_like(x)),  ρ = (n·c̄ / c̄_like + k) / (n + k):

the posterior mean of a normal offset whose prior is worth k rows. The log says nothing of the
newcomer, so that a router never chooses it: it is explored until a refit has its rows.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from routerjax.artefacts.cost_units import warn_of_own_costs, warn_of_prices
from routerjax.artefacts.router import Router
from routerjax.errors import InputError
from routerjax.estimators.holes import Holes
from routerjax.estimators.logit import Logit
from routerjax.estimators.trees import NEVER
from routerjax.models.pooled import PooledHead
from routerjax.models.propensity import Cuts
from routerjax.records.logs import Log
from routerjax.records.repricing import PriceChange, check_changes
from routerjax.records.tables import Estimates

PRIOR_ROWS = 16.0
"""Rows of its own that weigh as much as the resemblance."""
NOISE = 0.4
"""Standard deviation of a score about its mean, as a share of the quality range; a right-or-wrong
score has at most 0.5. Without rows an offset of 0.1 of the range is then nothing unusual."""

OF_ARMS = ("arm_quality", "arm_cost", "arm_deviation", "logged_quality", "logged_cost")
"""Fields of a router with one number a model."""
SAME_PRICE = PriceChange()


def with_newcomer(
    router: Router,
    name: str,
    *,
    like: str,
    price: PriceChange = SAME_PRICE,
    rows: Log | None = None,
) -> Router:
    """The router with one model more, without fitting again.

    Args:
      router: a plug-in router of pooled outcome models.
      name: of the new model.
      like: the model of the router that it resembles.
      price: what it costs beside that model: a share of its cost, or dollars per query.
      rows: a log with embeddings; its rows that the new model answered are learnt from, if any.

    Raises:
      InputError: another kind of router, a name that it has or does not have, a price that is
        none, or rows of another unit of quality or of other embeddings.
    """
    _check(router, name, like)
    check_changes({like: price}, router.models)
    warn_of_prices(router, {like: price})
    arm = router.models.index(like)
    own = _own_rows(router, name, rows)
    offset, factor = 0.0, 1.0
    if own is not None:
        offset, ratio = _told(router, arm, price, own)
        warn_of_own_costs(name, ratio, source=own.source)
        if price.dollars is None:
            factor = (len(own) * ratio + PRIOR_ROWS) / (len(own) + PRIOR_ROWS)
    count = 0 if own is None else len(own)
    known = {
        "like": like,
        **price._asdict(),
        "rows": count,
        "offset": offset,
        "standard_deviation": NOISE / (count + PRIOR_ROWS) ** 0.5,
        "cost_factor": factor,
    }
    names = {**newcomers(router), name: known}
    return dataclasses.replace(
        router,
        models=(*router.models, name),
        arrays=_arrays(router, arm, price, offset, factor),
        **_of_arms(router, (*range(len(router.models)), arm)),
        provenance={**router.provenance, "newcomers": names},
    )


def newcomers(router: Router) -> Mapping[str, dict[str, Any]]:
    """The models that were added after the fit, and what is known of each."""
    found = router.provenance.get("newcomers", {})
    return found if isinstance(found, dict) else {}


def without_newcomers(router: Router, names: Sequence[str]) -> Router:
    """The router without some of the models that were added to it; it chooses as before.

    Args:
      router: with newcomers.
      names: of those to take away.

    Raises:
      InputError: a model that is none of its newcomers.
    """
    known = newcomers(router)
    if not names:
        return router
    for name in names:
        if name not in known:
            raise InputError(f"{name!r} is no newcomer of the router and cannot be taken away")
    arms = np.array([arm for arm, name in enumerate(router.models) if name not in names])

    def kept(values: Any) -> Any:
        return jnp.asarray(np.asarray(values)[..., arms])

    def heads(head: Any) -> Any:
        own = head["params"]
        return {**head, "params": {**own, "coefficients": kept(own["coefficients"])}}

    arrays, left = router.arrays, {each: known[each] for each in known if each not in names}
    assert arrays.propensities is not None
    trees, outcomes, mean = arrays.propensities.trees, arrays.outcomes, arrays.constant
    cuts, holes = arrays.propensities.cuts, arrays.propensities.holes
    logit, regions = arrays.propensities.logit, arrays.propensities.regions
    arrays = arrays._replace(
        constant=Estimates(quality=kept(mean.quality), cost=kept(mean.cost)),
        outcomes=outcomes._replace(
            quality=heads(outcomes.quality),
            cost=heads(outcomes.cost),
            unit_cost=kept(outcomes.unit_cost),
        ),
        propensities=arrays.propensities._replace(
            trees=trees._replace(start=kept(trees.start), leaves=kept(trees.leaves)),
            threshold=kept(arrays.propensities.threshold),
            cuts=None if cuts is None else Cuts(kept(cuts.directions), kept(cuts.least)),
            holes=None if holes is None else jax.tree.map(lambda each: each[arms], holes),
            logit=None if logit is None else jax.tree.map(kept, logit),
            regions=None if regions is None else regions._replace(apart=kept(regions.apart)),
        ),
    )
    return dataclasses.replace(
        router,
        models=tuple(router.models[arm] for arm in arms),
        arrays=arrays,
        **_of_arms(router, arms.tolist()),
        provenance={**router.provenance, "newcomers": left},
    )


def _check(router: Router, name: str, like: str) -> None:
    if not isinstance(router._outcome_head, PooledHead) or router._architecture.stages:
        problem = "a model can be added to a plug-in router of pooled outcome models alone"
        raise InputError(f"{problem}; fit this one again on a log that has the model")
    if router.arrays.propensities is None:
        raise InputError("this router is of a version before; fit it again to add a model")
    if not name or name in router.models:
        raise InputError(f"the router has a model {name!r}; a new one needs a name of its own")
    if like not in router.models or like in newcomers(router):
        known = ", ".join(each for each in router.models if each not in newcomers(router))
        raise InputError(f"no fitted model {like!r} to resemble; the fitted ones are {known}")


def _own_rows(router: Router, name: str, rows: Log | None) -> Log | None:
    """The rows that the new model answered."""
    if rows is None:
        return None
    if rows.quality_range != router.quality_range:
        problem = f"quality lies in {list(rows.quality_range)} here and in "
        problem += f"{list(router.quality_range)} in the router; give the same --quality-range"
        raise InputError(problem, source=rows.source)
    answered = np.asarray([rows.models[arm] == name for arm in np.asarray(rows.arms)])
    if not answered.any():
        raise InputError(f"no row was answered by {name!r}", source=rows.source)
    return rows.rows(answered)


def _told(router: Router, arm: int, price: PriceChange, own: Log) -> tuple[float, float]:
    """Offset in quality as a share of the range, shrunk to 0; and cost over what the price says."""
    count, expected = len(own), router.expected(np.asarray(own.features, np.float32))
    low, high = router.quality_range
    apart = np.asarray(own.quality, np.float64) - np.asarray(expected.quality)[:, arm]
    offset = float(apart.sum() / (high - low) / (count + PRIOR_ROWS))
    due = float(np.asarray(expected.cost, np.float64)[:, arm].mean()) * price.scale
    due = due if price.dollars is None else price.dollars
    return offset, float(np.asarray(own.cost, np.float64).mean()) / due if due > 0 else 1.0


def _arrays(router: Router, arm: int, price: PriceChange, offset: float, factor: float) -> Any:
    """The router's arrays with one arm more at the end."""
    arrays = router.arrays
    outcomes, log_policy, mean = arrays.outcomes, arrays.propensities, arrays.constant
    assert log_policy is not None
    ratios = np.asarray(outcomes.cost["params"]["coefficients"])[..., arm]
    unit = np.asarray(outcomes.unit_cost)[:, arm] * price.scale * factor
    if price.dollars is not None:
        ratios, unit = np.zeros_like(ratios), np.full(len(unit), price.dollars)
    shares = np.array(np.asarray(outcomes.quality["params"]["coefficients"])[..., arm])
    shares[:, 0] += offset
    outcomes = outcomes._replace(
        quality=_with_column(outcomes.quality, shares),
        cost=_with_column(outcomes.cost, ratios),
        unit_cost=_joined(outcomes.unit_cost, unit),
    )
    trees = log_policy.trees
    trees = trees._replace(
        start=_joined(trees.start, np.full(len(np.asarray(trees.start)), NEVER)),
        leaves=_joined(trees.leaves, np.zeros(np.asarray(trees.leaves).shape[:-1])),
    )
    never, cuts = _joined(log_policy.threshold, np.array(np.inf)), log_policy.cuts
    if cuts is not None:
        cuts = Cuts(
            directions=_joined(cuts.directions, np.zeros(len(np.asarray(cuts.directions)))),
            least=_joined(cuts.least, np.array(-np.inf)),
        )
    holes = None if log_policy.holes is None else _with_no_box(log_policy.holes)
    logit, regions = log_policy.logit, log_policy.regions
    if regions is not None:
        nowhere = np.zeros(len(np.asarray(regions.apart)))
        regions = regions._replace(apart=_joined(regions.apart, nowhere))
    if logit is not None:
        logit = Logit(
            coefficients=_joined(logit.coefficients, np.zeros(logit.coefficients.shape[:-1])),
            intercepts=_joined(logit.intercepts, np.full(len(logit.intercepts), NEVER)),
            random=_joined(logit.random, np.zeros(len(logit.random))),
        )
    quality, cost = (_joined(each, np.asarray(each)[arm]) for each in (mean.quality, mean.cost))
    return arrays._replace(
        constant=Estimates(quality=quality, cost=cost),
        outcomes=outcomes,
        propensities=log_policy._replace(
            trees=trees, threshold=never, cuts=cuts, holes=holes, logit=logit, regions=regions
        ),
    )


def _with_no_box(holes: Holes) -> Holes:
    """Holes of one arm more, which has none."""
    column, sign, edge = (np.asarray(each) for each in holes)
    one = (1, *edge.shape[1:])
    return Holes(
        jnp.asarray(np.concatenate([column, np.zeros(one, column.dtype)])),
        jnp.asarray(np.concatenate([sign, np.ones(one, sign.dtype)])),
        jnp.asarray(np.concatenate([edge, np.full(one, -np.inf, edge.dtype)])),
    )


def _with_column(head: Any, column: Float[np.ndarray, "k D"]) -> Any:
    """A head's parameters with one output more."""
    own = head["params"]
    return {**head, "params": {**own, "coefficients": _joined(own["coefficients"], column)}}


def _joined(values: Any, last: np.ndarray | np.floating) -> Any:
    """Values [..., m] with one more at the end."""
    found = np.concatenate([np.asarray(values), np.asarray(last)[..., None]], axis=-1)
    return jnp.asarray(found, np.asarray(values).dtype)


def _of_arms(router: Router, arms: Sequence[int]) -> dict[str, Any]:
    """The fields that have a number for each model, of these models."""
    values = {name: getattr(router, name) for name in OF_ARMS}
    return {name: tuple(own[arm] for arm in arms) if own else () for name, own in values.items()}
