"""Linen heads for the label bias: T-, S-, R- and DR-style, and a regression for everything else.

The styles differ in what is trained on the shared trunk and in how the bias is read off:

    t   outputs (μ₀, μ₁), loss (Y − μ_s)²                            τ̂ = μ₁ − μ₀
    s   one output f(x, s) of the query and its source, (Y − f)²     τ̂ = f(x, 1) − f(x, 0)
    r   output τ, loss (s − ê)² ((Y − m̂)/(s − ê) − τ)²               τ̂ = τ
    dr  output τ, loss (φ − τ)², φ the DR pseudo-outcome             τ̂ = τ

The nuisances of r and dr are cross-fitted among the rows the head is trained on. All train by
`routerjax.training.fit`, the folds of a cross-fit along its run axis.

Reference: Curth and van der Schaar (2021) for the styles; Meta-Router (arXiv 2509.25535).
"""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from routerjax.errors import InputError
from routerjax.estimators.bias import dr_pseudo_outcome, r_pseudo_outcome
from routerjax.estimators.cross_fit import FOLDS, LabelledRows, cross_fit, held
from routerjax.models.heads import Head, initial, outputs
from routerjax.support.mapping import mapped
from routerjax.training.config import Schedule
from routerjax.training.fit import fit

STYLES = ("t", "s", "r", "dr")


@dataclasses.dataclass(frozen=True)
class HeadConfig:
    """How a head is trained.

    Attributes:
      widths: trunk.
      learning_rate, weight_decay: AdamW's step size and decoupled weight decay.
      held_out: share of the rows on which training stops.
      draws: row positions an epoch.
      schedule: batch size, epochs, patience.
    """

    widths: tuple[int, ...] = (32,)
    learning_rate: float = 5e-3
    weight_decay: float = 0.1
    held_out: float = 0.2
    draws: int = 2048
    schedule: Schedule = Schedule(batch_size=256, max_epochs=15, patience=4, chunk=15)


@dataclasses.dataclass(frozen=True)
class SquaredError:
    """Weighted (label − output)² of a head with one output."""

    head: Head

    def predict(self, params, batch):
        return outputs(self.head, params, batch["x"])[..., 0]

    def loss(self, params, context, batch, key):
        return batch["weight"] * (batch["label"] - self.predict(params, batch)) ** 2

    def score(self, params, context, rows):
        return -self.loss(params, context, rows, None) / jnp.mean(rows["weight"])


@dataclasses.dataclass(frozen=True)
class OwnSource(SquaredError):
    """T-style: (label − output of the row's own source)² of a head with outputs (μ₀, μ₁)."""

    def predict(self, params, batch):
        both = outputs(self.head, params, batch["x"])
        return jnp.where(batch["gold"], both[..., 1], both[..., 0])


def train_head(
    objective: SquaredError,
    rows: dict[str, Array],
    weights: Float[Array, " n"],
    *,
    key: PRNGKeyArray,
    config: HeadConfig = HeadConfig(),
):
    """Train one head on weighted rows; traceable.

    A row of weight w is drawn in proportion to √w and its loss carries the other √w: few rows
    of large weight are seen often, many of small weight by a sample, without heavy tails. The
    draw is systematic, each row its share of `draws` rounded up or down. A share of the rows is
    held out and stops the training.

    Args:
      objective: loss and score.
      rows: arrays [n, ...], "x" [n, d] and "label" [n] among them.
      weights: [n].
      key: Random key of the split, starting values and shuffling.
      config: trunk and optimiser.

    Returns:
      Parameters of the best epoch.
    """
    split, draw, begin, train = jax.random.split(key, 4)
    # a random order, rows of weight first: the leading share of them is held out
    order = jnp.argsort(jax.random.uniform(split, weights.shape) - (weights > 0))
    rank = jnp.zeros_like(order).at[order].set(jnp.arange(order.shape[0]))
    apart = rank < jnp.maximum(1, config.held_out * jnp.sum(weights > 0))
    root = jnp.sqrt(weights)
    rows = {**rows, "weight": root / jnp.maximum(jnp.mean(root, where=root > 0), 1e-30)}
    sizes = (config.draws, max(1, round(config.draws * config.held_out)))
    offset = jax.random.uniform(draw)
    index = [
        _systematic(root * part, size, offset)
        for part, size in zip((~apart, apart), sizes, strict=True)
    ]
    start = jnp.zeros((1, *objective.head.outputs))
    fitted = fit(
        objective,
        initial(objective.head, rows["x"].shape[1], begin, start),
        rows=rows,
        train_index=index[0][None],
        held_out_index=index[1][None],
        context=jnp.zeros(1),
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        key=train,
        schedule=config.schedule,
    )
    return jax.tree.map(lambda leaf: leaf[0], fitted.params)


def _systematic(weights: Array, size: int, offset: Array) -> Array:
    """`size` positions, each row's count its share of the weights, rounded up or down."""
    total = jnp.cumsum(weights)
    points = (jnp.arange(size) + offset) / size * total[-1]
    return jnp.minimum(jnp.searchsorted(total, points, side="right"), weights.shape[0] - 1)


def heads(
    x: Float[Array, "n d"],
    label: Float[Array, " n"],
    weights: Float[Array, " n"],
    queries: Float[Array, "q d"],
    *,
    key: PRNGKeyArray,
    config: HeadConfig = HeadConfig(),
) -> Float[Array, " q"]:
    """Predict `queries` by a head trained on weighted rows: the `Regress` of this file.

    The label is centred and scaled beforehand, and the head starts at the weighted mean.
    """
    share = weights / jnp.maximum(jnp.sum(weights), 1e-30)
    mean = share @ label
    scale = jnp.maximum(jnp.sqrt(share @ (label - mean) ** 2), 1e-6)
    objective = SquaredError(Head(outputs=(1,), widths=config.widths))
    rows = {"x": x, "label": (label - mean) / scale}
    params = train_head(objective, rows, weights, key=key, config=config)
    return mean + scale * objective.predict(params, {"x": queries})


def cate_head(
    style: str,
    rows: LabelledRows,
    weights: Float[Array, " n"],
    queries: Float[Array, "q d"],
    *,
    key: PRNGKeyArray,
    folds: int = FOLDS,
    config: HeadConfig = HeadConfig(),
) -> Float[Array, " q"]:
    """Estimate the bias τ(x) of queries by a head of one of the four styles.

    Args:
      style: "t", "s", "r" or "dr".
      rows: n rows; folds and propensities are used by r and dr.
      weights: [n], 0 takes a row out.
      queries: [q, d].
      key: Random key of the nuisances and the head.
      folds: K of the rows.
      config: trunk and optimiser.

    Returns:
      [q] bias in the unit of the label.

    Raises:
      InputError: an unknown style.
    """
    if style not in STYLES:
        raise InputError(f"no CATE head {style!r}; known are {', '.join(STYLES)}")
    regress = functools.partial(heads, config=config)
    nuisance, last = jax.random.split(key)
    if style == "dr":
        outcomes = _outcomes(rows, weights, key=nuisance, folds=folds, config=config)
        value = dr_pseudo_outcome(rows.label, rows.gold, *outcomes, rows.propensity)
        return regress(rows.x, value, weights, queries, key=last)
    if style == "r":
        outcome = cross_fit(regress, rows, weights, key=nuisance, folds=folds)
        value, weight = r_pseudo_outcome(rows.label, rows.gold, outcome, rows.propensity)
        return regress(rows.x, value, weights * weight, queries, key=last)
    # both sources weigh alike, or a hundred gold rows would drown among thousands of others
    balanced = weights * jnp.where(rows.gold, 1 / rows.propensity, 1 / (1 - rows.propensity))
    if style == "s":
        gold = jnp.asarray(rows.gold, jnp.float32)[:, None]
        joined = [
            jnp.concatenate([queries, jnp.full_like(queries[:, :1], side)], axis=1)
            for side in (0.0, 1.0)
        ]
        both = regress(
            jnp.concatenate([rows.x, gold], axis=1),
            rows.label,
            balanced,
            jnp.concatenate(joined),
            key=last,
        )
        without, with_gold = jnp.split(both, 2)
    else:
        without, with_gold = _two_outputs(rows, balanced, queries, key=last, config=config)
    return with_gold - without


def _two_outputs(rows, weights, queries, *, key, config) -> tuple[Array, Array]:
    """μ̂₀ and μ̂₁ of queries, on one trunk."""
    objective = OwnSource(Head(outputs=(2,), widths=config.widths))
    share = weights / jnp.sum(weights)
    mean = share @ rows.label
    data = {"x": rows.x, "label": rows.label - mean, "gold": rows.gold}
    params = train_head(objective, data, weights, key=key, config=config)
    both = mean + outputs(objective.head, params, queries)
    return both[:, 0], both[:, 1]


def _outcomes(rows, weights, *, key, folds, config) -> tuple[Array, Array]:
    """Cross-fitted μ̂₀ and μ̂₁ [n], on one trunk a fold."""
    balanced = weights * jnp.where(rows.gold, 1 / rows.propensity, 1 / (1 - rows.propensity))

    def without(k):
        kept = balanced * (rows.fold != k)
        return jnp.stack(
            _two_outputs(rows, kept, rows.x, key=jax.random.fold_in(key, k), config=config)
        )

    both = mapped(without, jnp.arange(folds), holds=held(rows.x))
    own = jnp.take_along_axis(both, rows.fold[None, None], axis=0)[0]
    return own[0], own[1]
