"""From a file's gold and preference labels of gains to a router of a pair of models.

The router that is saved is fitted on every label. Its decision curve is that of a second router,
fitted in the same way without some of the queries that have a gold label, and evaluated on these.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from routerjax.artefacts.gains import SavedGains, check_cost_weight
from routerjax.data.io.gain_labels import GainLabels
from routerjax.errors import InputError
from routerjax.estimators.cross_fit import FOLDS
from routerjax.estimators.label_scale import check_scale
from routerjax.evaluation.intervals import mean_interval
from routerjax.models.gain_router import GainRouter, decide
from routerjax.pipelines.gain_checks import check_labels
from routerjax.pipelines.meta_router import FittedGains, fit_gains
from routerjax.pipelines.regressions import learner_named, regression_named
from routerjax.records.gains import LabelledGains
from routerjax.records.validation import check_seed
from routerjax.support.compilation import keep_compiled, seeded_key
from routerjax.support.provenance import provenance
from routerjax.training.checkpoint import digest
from routerjax.training.config import GainConfig

COMPONENTS = 50
FEWEST_GOLD = 2 * FOLDS


def fit_labels(labels: GainLabels, *, config: GainConfig) -> SavedGains:
    """Learn a router of a pair from all labels, with a decision curve on held-out gold.

    Args:
      labels: a query with both labels counts as a gold row and a preference row of one query.
      config: models, costs, learner.

    Raises:
      InputError: too few gold rows, no preference rows, or a setting out of its range.
    """
    costs = _check(config)
    check_labels(labels, config)
    keep_compiled()
    width = int(labels.embeddings.shape[1])
    if config.components is not None and config.components > width:
        problem = f"components is {config.components}, but the features have {width} columns"
        raise InputError(problem, source=labels.source)
    components = config.components
    if components is None:
        components = 0 if labels.components else min(COMPONENTS, width)
    held_out = _held_out(labels, config)
    gains, rows = _gains(labels, config, costs)
    others = ~np.isin(labels.groups[rows], labels.groups[held_out])

    def fitted(weights: np.ndarray) -> FittedGains:
        return fit_gains(
            gains,
            key=seeded_key(config.seed),
            weights=weights,
            components=components or None,
            learner=config.learner,
            nuisance=config.nuisance,
            label_scale=config.label_scale,
        )

    without = fitted(others.astype(np.float32)).router
    whole = fitted(np.ones(len(gains), np.float32))
    data = digest((labels.embeddings, labels.gold, labels.preference, labels.groups))
    return SavedGains(
        models=config.models,
        costs=costs,
        encoder=labels.encoder,
        dimensions=width,
        components=int(whole.router.components.directions.shape[1]),
        report={
            **_report(labels, gains, whole, config.label_scale),
            **_curve(labels, without, held_out, config, costs),
        },
        provenance=provenance(config=config, seed=config.seed, data=data),
        arrays=whole.router,
    )


def decision_curve(
    predicted: np.ndarray,
    gold: np.ndarray,
    *,
    costs: tuple[float, float],
    cost_weights: Sequence[float],
    groups: np.ndarray | None = None,
) -> list[dict[str, Any]]:
    """What each cost weight would have gained on queries whose gold gain is known.

    Args:
      predicted: [n] expected gain of the primary.
      gold: [n] its gold gain.
      costs: of alternative and primary, dollars per query.
      cost_weights: λ, one line each.
      groups: [n] numbers, equal where the query repeats; standard errors count queries.

    Returns:
      Lines of cost_weight, threshold λ (C_primary − C_alternative), share sent to the primary,
      gain (mean of gold gain where sent, 0 elsewhere, with its interval), at_random (the mean
      gain of sending as many at random) and cost (mean dollars per query).
    """
    lines = []
    for cost_weight in cost_weights:
        sent = (
            np.asarray(decide(jnp.asarray(predicted)[:, None], jnp.asarray(costs), cost_weight))
            == 1
        )
        share = float(sent.mean())
        lines.append(
            {
                "cost_weight": cost_weight,
                "threshold": cost_weight * (costs[1] - costs[0]),
                "share": share,
                "gain": mean_interval(sent * gold, groups=groups)._asdict(),
                "at_random": share * float(np.mean(gold)),
                "cost": costs[0] + share * (costs[1] - costs[0]),
            }
        )
    return lines


def default_cost_weights(predicted: np.ndarray, costs: tuple[float, float]) -> tuple[float, ...]:
    """0, and where 10 %, 20 % … 90 % of the queries go to the primary, rounded to two digits.

    Fewer where that share is not reached by a weight above 0; 0 alone where the costs are equal.
    """
    difference = costs[1] - costs[0]
    if difference == 0:
        return (0.0,)
    found = np.quantile(predicted, np.linspace(0.1, 0.9, 9)) / difference
    return (0.0, *sorted({float(f"{each:.2g}") for each in found if each > 0}))


def _check(config: GainConfig) -> tuple[float, float]:
    """The costs, where every setting can be used."""
    if len(config.models) != 2 or len(set(config.models)) != 2 or not all(config.models):
        listed = ", ".join(reversed(config.models))
        raise InputError(f"models are {listed}; two different names are needed, primary first")
    costs = config.costs
    if costs is None or len(costs) != 2:
        problem = "two are needed, dollars per query, primary first"
        raise InputError(f"{0 if costs is None else len(costs)} cost(s); {problem}")
    learner_named(config.learner)
    regression_named(config.nuisance)
    check_scale(config.label_scale)
    if config.components is not None and config.components < 0:
        raise InputError(f"components is {config.components}; it must be 0 or more")
    if not 0 < config.held_out < 1:
        raise InputError(f"validation share is {config.held_out:g}; it must lie between 0 and 1")
    for cost_weight in config.cost_weights or ():
        check_cost_weight(cost_weight)
    check_seed(config.seed)
    return costs


def _held_out(labels: GainLabels, config: GainConfig) -> np.ndarray:
    """Gold rows of the queries that are kept for the decision curve."""
    gold = ~np.isnan(labels.gold)
    queries = np.unique(labels.groups[gold])
    kept = max(2, round(config.held_out * len(queries)))
    if gold.any() and len(queries) - kept < FEWEST_GOLD:
        raise InputError(
            f"{len(queries)} queries have a gold label, {kept} of them held out for the decision "
            f"curve; at least {FEWEST_GOLD} more are needed to learn from",
            source=labels.source,
        )
    chosen = np.random.default_rng(config.seed).permutation(queries)[:kept]
    return np.flatnonzero(gold & np.isin(labels.groups, chosen))


def _gains(
    labels: GainLabels, config: GainConfig, costs: tuple[float, float]
) -> tuple[LabelledGains, np.ndarray]:
    """One row a label, and its row of the file."""
    gold, preference = (
        np.flatnonzero(~np.isnan(label)) for label in (labels.gold, labels.preference)
    )
    for column, kind, found in zip(
        labels.columns, ("gold", "preference"), (gold, preference), strict=True
    ):
        if not len(found):
            problem = f"no row has a {kind} label; both kinds are needed to learn the bias"
            if kind == "preference":
                problem += " (--preference COLUMN)"
            raise InputError(problem, source=labels.source, field=column)
    rows = np.concatenate([gold, preference])
    gains = LabelledGains.from_arrays(
        labels.embeddings[rows],
        np.concatenate([labels.gold[gold], labels.preference[preference]]),
        np.arange(len(rows)) < len(gold),
        costs=costs,
        models=config.models,
        groups=labels.groups[rows],
        source=labels.source,
    )
    return gains, rows


def _report(
    labels: GainLabels, gains: LabelledGains, fitted: FittedGains, scale: str
) -> dict[str, Any]:
    bias = np.asarray(fitted.bias)[~np.asarray(gains.gold), 0]
    return {
        "rows": {
            "gold": int(np.sum(gains.gold)),
            "preference": len(bias),
            "dropped": labels.dropped,
        },
        "label_scale": {"how": scale, "factor": float(fitted.factor[0])},
        "omega": float(fitted.omega[0]),
        "spread": float(fitted.spread[0]),
        "bias": {"mean": float(bias.mean()), "standard_deviation": float(bias.std())},
        "overlap": dataclasses.asdict(fitted.overlap),
    }


def _curve(
    labels: GainLabels,
    router: GainRouter,
    held_out: np.ndarray,
    config: GainConfig,
    costs: tuple[float, float],
) -> dict[str, Any]:
    """What a router fitted without the held-out rows decides on them."""
    predicted = np.asarray(router.gains(labels.embeddings[held_out]))[:, 0]
    cost_weights = config.cost_weights or default_cost_weights(predicted, costs)
    gold = labels.gold[held_out]
    _, groups = np.unique(labels.groups[held_out], return_inverse=True)
    return {
        "held_out": len(held_out),
        "held_out_queries": int(groups.max()) + 1,
        "always_primary": mean_interval(gold, groups=groups)._asdict(),
        "decision_curve": decision_curve(
            predicted,
            gold,
            costs=costs,
            cost_weights=sorted(set(map(float, cost_weights))),
            groups=groups,
        ),
    }
