"""Outcome models: what each head means and the likelihood it is trained on."""

from __future__ import annotations

import abc
import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree, Shaped

from routerjax.estimators.hierarchical import Posterior
from routerjax.models.heads import Head, outputs
from routerjax.models.pooled import PooledHead
from routerjax.records.on_disk import BLOCK, Stored, read
from routerjax.records.tables import Estimates
from routerjax.support.compilation import padded, padded_size
from routerjax.support.kept_programs import kept_program

Batch = Mapping[str, Array]
"""Rows by name: scaled embeddings x [b, d], arm [b, k], quality and cost [b, k]."""

LARGEST_LOG_RATIO = 8.0  # e⁸ times the arm's mean is as far as a cost model may go


def _of_arms(outputs: Float[Array, "b m"], arms: Int[Array, "b k"]) -> Float[Array, "b k"]:
    """Outputs [b, m] of the arms [b, k] whose outcomes are known: one in a log, all in a table."""
    return jnp.take_along_axis(outputs, arms, axis=1)


def relative_cost(outputs: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """Cost over the arm's unit cost, exp(output), from the outputs of a cost head."""
    return jnp.exp(jnp.clip(outputs, -LARGEST_LOG_RATIO, LARGEST_LOG_RATIO))


def ratio_of(outputs: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """`relative_cost` in NumPy, in the precision of the outputs."""
    return np.exp(np.clip(outputs, -LARGEST_LOG_RATIO, LARGEST_LOG_RATIO))


class _Likelihood(abc.ABC):
    """An objective whose held-out score is minus the loss."""

    @abc.abstractmethod
    def loss(
        self, params: PyTree, context: PyTree, batch: Batch, key: PRNGKeyArray | None
    ) -> Float[Array, " b"]:
        """Minus the log likelihood of every row, but for a constant."""

    def score(self, params: PyTree, context: PyTree, rows: Batch) -> Float[Array, " h"]:
        return -self.loss(params, context, rows, None)


@dataclasses.dataclass(frozen=True)
class QualityLikelihood(_Likelihood):
    """Bernoulli quasi-likelihood of the known arms' quality, scaled to [0, 1].

    ℓ = log(1 + eᶠ) − q·f: bounded predictions, and arm by arm the mean of the data.
    """

    head: Head

    def loss(
        self, params: PyTree, context: PyTree, batch: Batch, key: PRNGKeyArray | None
    ) -> Float[Array, " b"]:
        logit = _of_arms(outputs(self.head, params, batch["x"]), batch["arm"])
        losses = jnp.logaddexp(0.0, logit) - batch["quality"] * logit
        return jnp.mean(losses, axis=1)


@dataclasses.dataclass(frozen=True)
class CostLikelihood(_Likelihood):
    """Poisson quasi-likelihood of the known arms' cost over its unit cost.

    ℓ = eᶠ − (c / unit)·f: positive predictions, and arm by arm the mean of the data.
    `context` is the unit cost of every arm, [m] dollars.
    """

    head: Head

    def loss(
        self, params: PyTree, context: Float[Array, " m"], batch: Batch, key: PRNGKeyArray | None
    ) -> Float[Array, " b"]:
        ratio = relative_cost(_of_arms(outputs(self.head, params, batch["x"]), batch["arm"]))
        observed = batch["cost"] / jnp.maximum(context[batch["arm"]], 1e-30)
        return jnp.mean(ratio - observed * jnp.log(ratio), axis=1)


OutcomeHead = Head | PooledHead
"""A head of one output per arm."""


def outcome_head(models: int, widths: tuple[int, ...]) -> Head:
    """The network whose parameters an `OutcomeModel` holds: one output per arm."""
    return Head(outputs=(models,), widths=widths)


def quality_share(head: OutcomeHead, outputs: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """Quality as a share of its range, in [0, 1], from the outputs of a quality head.

    A network's outputs are logits; those of a pooled head are shares, cut off at the ends.
    """
    if isinstance(head, PooledHead):
        return jnp.clip(outputs, 0.0, 1.0)
    return jax.nn.sigmoid(outputs)


class OutcomeModel(NamedTuple):
    """Quality and cost models of K folds, or one of all rows; a new query gets their average.

    Attributes:
      quality: parameters of the quality heads, leading axis k.
      cost: parameters of the cost heads, leading axis k.
      unit_cost: [k, m] dollars.
      quality_range: [2] lowest and highest quality.
    """

    quality: PyTree
    cost: PyTree
    unit_cost: Float[Array | np.ndarray, "k m"]
    quality_range: Float[Array | np.ndarray, " 2"]


def tasks_of(model: OutcomeModel) -> int:
    """Places of tasks in the features of a pooled model; 0 of any other."""
    features = model.quality["params"].get("features", {})
    return int(np.shape(features["task_start"])[-1]) if "task_start" in features else 0


def at_prices(
    model: OutcomeModel, scale: Float[np.ndarray, " m"], dollars: Float[np.ndarray, " m"]
) -> OutcomeModel:
    """The model whose expected costs are scale·ĉ, and a fixed sum where `scale` is 0.

    Exact: a cost is the arm's unit cost times a ratio, and an arm of a fixed sum has ratio 1.

    Args:
      model: of m arms.
      scale: [m] what the expected cost is multiplied by, 0 for a fixed sum.
      dollars: [m] that sum.
    """
    fixed, factor, sums = (jnp.asarray(each)[None] for each in (scale == 0, scale, dollars))
    layers = dict(model.cost["params"])
    for name in ("out", "coefficients"):  # the last layer of a network, or of a pooled head
        if name in layers:
            layers[name] = jax.tree.map(
                lambda leaf: jnp.where(fixed.reshape((1,) * (leaf.ndim - 1) + (-1,)), 0, leaf),
                layers[name],
            )
    unit_cost = jnp.where(fixed, sums, model.unit_cost * factor)
    return model._replace(cost={**model.cost, "params": layers}, unit_cost=unit_cost)


class FittedOutcomes(NamedTuple):
    """Outcome models of a record, and what they say of its rows.

    Attributes:
      predicted: [n, m] quality and cost, by models that never saw the row.
      model: for new queries.
      posterior: of quality as a share of its range, where the models are closed forms.
    """

    predicted: Estimates
    model: OutcomeModel
    posterior: Posterior | None = None


@functools.partial(kept_program, static=("head",))
def predict_folds(head: OutcomeHead, model: OutcomeModel, x: Float[Array, "n d"]) -> Estimates:
    """Quality and cost of every arm by every fold's model, [k, n, m] each."""
    low, high = model.quality_range

    def one(fold: tuple[PyTree, PyTree, Float[Array, " m"]]) -> Estimates:
        quality, cost, unit_cost = fold
        return Estimates(
            quality=low + (high - low) * quality_share(head, outputs(head, quality, x)),
            cost=unit_cost[None] * relative_cost(outputs(head, cost, x)),
        )

    folds: Estimates = jax.lax.map(one, (model.quality, model.cost, model.unit_cost))
    return folds


def predict(
    head: OutcomeHead, model: OutcomeModel, x: Float[Array | np.ndarray, "n d"] | Stored
) -> Estimates:
    """Expected quality and cost of every arm for scaled embeddings x [n, d], [n, m] each."""

    def mean(block: Float[np.ndarray, "b d"], _: slice) -> Estimates:
        folds = on_rows(functools.partial(predict_folds, head), model, block)
        means: Estimates = jax.tree.map(lambda fold: fold.mean(axis=0), folds)
        return means

    estimates: Estimates = over_blocks(mean, x)
    return estimates


def on_rows(call: Callable[[Any, Any], PyTree], model: Any, rows: Float[np.ndarray, "n d"]) -> Any:
    """What a compiled call makes of rows [n, d], arrays [k, n, ...], in one of few shapes.

    Args:
      call: of the model and rows [b, d], each row by itself; b is n, filled up.
      model: its first argument.
      rows: [n, d].
    """
    found = call(model, padded(np.asarray(rows, np.float32), padded_size(len(rows))))
    return jax.tree.map(lambda leaf: np.asarray(leaf)[:, : len(rows)], found)


def over_blocks(
    call: Callable[[Float[np.ndarray, "b d"], slice], PyTree],
    x: Float[Array | np.ndarray, "n d"] | Stored,
) -> PyTree[Shaped[np.ndarray, "n ..."]]:
    """A call for each block of rows of x [n, d], its arrays [b, ...] joined to [n, ...].

    `call` takes the block and its place in x; no array of all rows has to fit beside x.
    """
    parts = []
    for first in range(0, len(x), BLOCK):
        place = slice(first, min(first + BLOCK, len(x)))
        parts.append(jax.tree.map(np.asarray, call(np.asarray(read(x[place])), place)))
    return jax.tree.map(lambda *part: np.concatenate(part), *parts)
