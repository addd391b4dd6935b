"""Regressions and bias learners by name: the one list that routers, logs and studies choose from.

A regression is any `Regress`, a learner any `Learner`: wherever a name is taken, a function is
taken as well.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from routerjax.baselines.boosted import boosted
from routerjax.baselines.forest import forest
from routerjax.errors import InputError
from routerjax.estimators.bias import Learner, dr_learner, r_learner
from routerjax.estimators.cross_fit import FOLDS, LabelledRows, Regress, held
from routerjax.estimators.ridge import kernel_ridge, ridge
from routerjax.pipelines.cate_heads import STYLES, HeadConfig, cate_head, heads
from routerjax.support.mapping import mapped

REGRESSIONS: dict[str, Regress] = {
    "ridge": ridge,
    "kernel-ridge": kernel_ridge,
    "heads": heads,
    "forest": forest,
    "boosted": boosted,
}
"""What predicts a label from features; the last two need scikit-learn (extra ``baselines``)."""


def head_learner(
    rows: LabelledRows,
    weights: Float[Array, " n"],
    *,
    style: str,
    regress: Regress,
    key: PRNGKeyArray,
    folds: int = FOLDS,
    config: HeadConfig = HeadConfig(),
) -> tuple[Float[Array, "k n"], None]:
    """Learn the bias by `cate_head`, once without each fold: a head is a regression of its own.

    Args:
      rows: n rows with folds and propensities.
      weights: [n], 0 takes a row out.
      style: "t", "s", "r" or "dr".
      regress: not used; the nuisances are heads too.
      key, folds: of the cross-fitting.
      config: trunk and optimiser of the heads.

    Returns:
      [k, n] bias itself, and None: there is nothing left to regress.
    """
    del regress

    def without(fold: tuple[Array, Array]) -> Array:
        k, propensity = fold
        kept = weights * (rows.fold != k)
        own = rows._replace(propensity=propensity)
        own_key = jax.random.fold_in(key, k)
        return cate_head(style, own, kept, rows.x, key=own_key, folds=folds, config=config)

    propensity = jnp.broadcast_to(rows.propensity, (folds, rows.label.shape[0]))
    return mapped(without, (jnp.arange(folds), propensity), holds=folds * held(rows.x)), None


LEARNERS: dict[str, Learner] = {
    "dr": dr_learner,
    "r": r_learner,
    **{f"{style}-head": functools.partial(head_learner, style=style) for style in STYLES},
}
"""How the bias of cheap labels is learnt: pseudo-outcomes for a regression, or a head alone."""

_Known = TypeVar("_Known", bound=Callable[..., Any])


def regression_named(nuisance: str | Regress) -> Regress:
    """Find a regression of `REGRESSIONS` by name; a function is taken as it is.

    Raises:
      InputError: there is no such regression.
    """
    return _named(nuisance, REGRESSIONS, kind="nuisance")


def learner_named(learner: str | Learner) -> Learner:
    """Find a learner of `LEARNERS` by name; a function is taken as it is.

    Raises:
      InputError: there is no such learner.
    """
    return _named(learner, LEARNERS, kind="learner")


def _named(name: str | _Known, known: Mapping[str, _Known], *, kind: str) -> _Known:
    if not isinstance(name, str):
        return name
    if name not in known:
        raise InputError(f"no {kind} {name!r}; known are {', '.join(known)}")
    return known[name]
