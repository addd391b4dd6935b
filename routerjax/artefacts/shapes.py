"""Shapes of a router's parameters, from what its manifest says: what a saved file must hold."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp

from routerjax.artefacts.arrays import Arrays, FormerArrays
from routerjax.estimators.holes import Holes
from routerjax.estimators.logit import Logit
from routerjax.estimators.regions import Regions
from routerjax.estimators.trees import DEPTH, ROUNDS, Trees
from routerjax.models.architectures import Architecture
from routerjax.models.heads import Scaling
from routerjax.models.outcomes import OutcomeHead, OutcomeModel
from routerjax.models.pooled import PooledHead
from routerjax.models.propensity import Cuts, PropensityModel
from routerjax.records.tables import Estimates


def router(
    architecture: Architecture,
    head: OutcomeHead,
    *,
    dimensions: int,
    members: int,
    folds: int,
    seen: int,
    components: int | None = None,
    cuts: bool = False,
    holes: int = 0,
    regions: int = 0,
    logit: bool = False,
) -> Arrays | FormerArrays:
    """Shapes of all that a router stores.

    Args:
      architecture: of its policy.
      head: of its outcome models.
      dimensions: d of the embeddings.
      members: networks of the policy.
      folds: of outcome and propensity models.
      seen: queries it knows it was fitted on; 0 for a router of before, which knows no
        propensities either.
      components: of the embeddings, on which all else is; None where it is on all of them.
      cuts: whether its propensity model has any.
      holes: how many boxes of each arm it has.
      regions: how many regions of like queries it has.
      logit: whether its trees are added to one.
    """
    models, width = architecture.models, components or dimensions
    directions = real(dimensions, components) if components else None
    former = FormerArrays(
        scaling=Scaling(real(dimensions), real(), directions),
        policy=policy(architecture, width, members),
        constant=Estimates(quality=real(models), cost=real(models)),
        outcomes=outcomes(head, width, models, folds),
    )
    if not seen:
        return former
    digests: Any = jax.ShapeDtypeStruct((seen, 2), jnp.uint32)
    own = propensities(models, folds)
    if cuts:
        own = own._replace(cuts=Cuts(directions=real(width, models), least=real(models)))
    if holes:
        sides = (models, holes, 2)
        columns: Any = jax.ShapeDtypeStruct(sides, jnp.int32)
        own = own._replace(holes=Holes(columns, real(*sides), real(*sides)))
    if regions:
        own = own._replace(regions=Regions(real(regions, width), real(regions, models)))
    if logit:
        own = own._replace(logit=Logit(real(folds, width, models), *[real(folds, models)] * 2))
    return Arrays(*former, own, digests)


def policy(architecture: Architecture, dimensions: int, members: int) -> dict[str, Any]:
    """Shapes of the parameters of a policy."""

    def by_member(networks: tuple[int, ...], leaf: Any) -> Any:
        return jax.ShapeDtypeStruct((members, *networks, *leaf.shape[1:]), leaf.dtype)

    found = {}
    for stage in architecture.stages:
        initial = functools.partial(stage.initial, dimensions, members)
        found[stage.key] = jax.tree.map(
            functools.partial(by_member, stage.networks), jax.eval_shape(initial, jax.random.key(0))
        )
    return found


def outcomes(head: OutcomeHead, dimensions: int, models: int, folds: int) -> Any:
    """Shapes of the outcome models of K folds; pooled ones are one of all rows."""
    folds = 1 if isinstance(head, PooledHead) else folds
    own = jax.eval_shape(head.init, jax.random.key(0), jnp.zeros(dimensions))
    stacked = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((folds, *leaf.shape), leaf.dtype), own)
    return OutcomeModel(
        quality=stacked, cost=stacked, unit_cost=real(folds, models), quality_range=real(2)
    )


def propensities(models: int, folds: int) -> Any:
    """Shapes of the propensity models of K folds."""
    asked = (folds, ROUNDS, DEPTH)
    columns: Any = jax.ShapeDtypeStruct(asked, jnp.int32)
    return PropensityModel(
        trees=Trees(
            start=real(folds, models),
            feature=columns,
            edge=real(*asked),
            leaves=real(folds, ROUNDS, 2**DEPTH, models),
        ),
        threshold=real(models),
    )


def real(*sizes: int) -> Any:
    """The shape of an array in single precision."""
    return jax.ShapeDtypeStruct(sizes, jnp.float32)
