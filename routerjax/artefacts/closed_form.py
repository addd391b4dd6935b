"""What a plug-in router of pooled outcome models decides, in NumPy.

It is a few products of small matrices: starting a compiled program takes longer than they do, and
nothing has to be compiled before the first query.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from routerjax.artefacts.arrays import Arrays
from routerjax.estimators.logit import Logit, with_random
from routerjax.estimators.softmax import softmax
from routerjax.estimators.trees import NEVER, Trees
from routerjax.estimators.utility import Unit
from routerjax.models.outcomes import ratio_of
from routerjax.models.policy import LEAST
from routerjax.models.propensity import (
    PropensityModel,
    asked_alike,
    asked_there,
    supported_rows,
    surely,
)
from routerjax.records.tables import Estimates

ROWS = 256
"""Queries at a time: what is computed of them stays in a core's own cache."""


class Chances(NamedTuple):
    """The trees of the propensity model as one product a fold.

    A leaf is reached where some questions are answered yes; its value is a sum over the sets of
    questions that hold, v(leaf) = Σ_{S ⊆ yes(leaf)} rise(S), and so are the log-odds of all trees.

    Attributes:
      start: [k, m] log-odds of each fold where every answer is no.
      feature, edge: [l·k·t] what each of l questions of t trees asks: x[feature] > edge.
      rise: [k, (2^l − 1)·t, m] what the questions of a set add together where all are answered yes.
      levels: l.
      logit: to which the trees are added; None where there are trees alone.
      slopes: [d, k·m] its coefficients, as one product; None likewise.
    """

    start: np.ndarray
    feature: np.ndarray
    edge: np.ndarray
    rise: np.ndarray
    levels: int
    logit: Logit | None
    slopes: np.ndarray | None


class Tasks(NamedTuple):
    """Probabilities of tasks, softmax(start + z·slopes), and what they add, [T, 2m] added."""

    slopes: np.ndarray
    start: np.ndarray
    added: np.ndarray


class ClosedForm(NamedTuple):
    """A router's numbers, as NumPy uses them: the smooth features' rows of K(Z, Z)^(−½) are
    multiplied into the coefficients, and quality and cost are one product.

    Attributes:
      arrays: of the router; their scaling and propensities are used.
      centre, directions, points: [d], [d, c] and [l, c] of the features.
      squares: [l] squared lengths of the points.
      rate: −1 / (2 width²) of the kernel.
      intercept: [2m] of quality and cost.
      linear, smooth: [c, 2m] and [l, 2m].
      tasks: of a router whose log told tasks; None of another.
      unit_cost: [m] dollars.
      quality_range: lowest and highest.
      sharpness: logits per unit of scaled utility.
      unit: of the utilities.
      constant: [m] means to start from; None starts from what is expected of the query.
      support: [m] True where the log supports the arm whatever the query; None where it depends.
      chances: of the propensity model; None where the router has none.
    """

    arrays: Arrays
    centre: np.ndarray
    directions: np.ndarray
    points: np.ndarray
    squares: np.ndarray
    rate: np.float32
    intercept: np.ndarray
    linear: np.ndarray
    smooth: np.ndarray
    tasks: Tasks | None
    unit_cost: np.ndarray
    quality_range: np.ndarray
    sharpness: np.float32
    unit: Unit
    constant: Estimates | None
    support: np.ndarray | None
    chances: Chances | None


def closed_form(
    arrays: Arrays, sharpness: float, unit: Unit, constant: Estimates | None
) -> ClosedForm | None:
    """The form of a router with one pooled outcome model; None where the features of quality and
    cost differ, which a fit never makes."""
    model = arrays.outcomes
    quality, cost = ({**each["params"]} for each in (model.quality, model.cost))
    features = {name: np.asarray(each)[0] for name, each in quality["features"].items()}
    if len(model.unit_cost) != 1 or not all(
        np.array_equal(each, np.asarray(cost["features"][name])[0])
        for name, each in features.items()
    ):
        return None
    both = [np.asarray(each["coefficients"])[0] for each in (quality, cost)]
    rows = np.concatenate(both, axis=1).astype(np.float64)
    log_policy = arrays.propensities
    chances = None if log_policy is None else chances_of(log_policy.trees, log_policy.logit)
    points = features["points"]
    width = max(float(features["width"]), 1e-6)
    return ClosedForm(
        arrays=arrays,
        centre=features["centre"],
        directions=features["directions"],
        points=points,
        squares=(points**2).sum(axis=1),
        rate=np.float32(-0.5 / width**2),
        **_products(features, rows),
        unit_cost=np.asarray(model.unit_cost, np.float32)[0],
        quality_range=np.asarray(model.quality_range, np.float32),
        sharpness=np.float32(sharpness),
        unit=Unit(float(unit.quality_width), float(unit.mean_cost)),
        constant=constant,
        support=_everywhere(arrays.propensities, chances),
        chances=chances,
    )


def _products(features: dict[str, np.ndarray], rows: Float[np.ndarray, "D m2"]) -> dict[str, Any]:
    """Fields of `ClosedForm` that are products of coefficients [D, 2m] and what the features are
    centred by and multiplied with."""
    half, components = features["half"].astype(np.float64), features["directions"].shape[1]
    linear, smooth, told = np.split(rows[1:], [components, components + len(half)])
    intercept = rows[0] - features["shift"].astype(np.float64) @ smooth
    tasks = None
    if len(told):
        intercept -= features["task_shares"].astype(np.float64) @ told
        tasks = Tasks(features["task_slopes"], features["task_start"], told.astype(np.float32))
    return {
        "intercept": intercept.astype(np.float32),
        "linear": linear.astype(np.float32),
        "smooth": (half @ smooth).astype(np.float32),
        "tasks": tasks,
    }


def chances_of(trees: Trees, logit: Logit | None) -> Chances:
    """Trees of k folds as sums over sets of questions, by Möbius' inversion, beside a logit."""
    start, feature, edge, leaves = (np.asarray(each) for each in trees)
    folds, count, levels = feature.shape
    rise = leaves.astype(
        np.float64
    )  # leaf number: the answers as bits, the first question's lowest
    for level in range(levels):
        asked = [leaf for leaf in range(1 << levels) if leaf >> level & 1]
        rise[:, :, asked] -= rise[:, :, [leaf ^ (1 << level) for leaf in asked]]
    sets = rise[:, :, 1:].transpose(0, 2, 1, 3)
    slopes = None
    if logit is not None:
        logit = Logit(*(np.asarray(each, np.float32) for each in logit))
        across = np.asarray(logit.coefficients).transpose(1, 0, 2)
        slopes = np.ascontiguousarray(across.reshape(len(across), -1))
    return Chances(
        start=(start + rise[:, :, 0].sum(axis=1)).astype(np.float32),
        feature=feature.transpose(2, 0, 1).ravel(),
        edge=edge.transpose(2, 0, 1).ravel(),
        rise=sets.reshape(folds, -1, start.shape[-1]).astype(np.float32),
        levels=levels,
        logit=logit,
        slopes=slopes,
    )


def _everywhere(model: PropensityModel | None, chances: Chances | None) -> np.ndarray | None:
    """The arms with support, [m], where no tree, cut, hole or region asks of the query."""
    if model is None or chances is None or len(chances.feature) or chances.logit is not None:
        return None
    if not asked_alike(model):
        return None
    nothing = np.zeros((1, 1), np.float32)
    return supported_rows(propensities(chances, nothing, None), np.asarray(model.threshold))[0]


def expected_of(form: ClosedForm, x: Float[np.ndarray, "n d"]) -> Estimates:
    """Expected quality and cost of every arm for scaled embeddings, [n, m] each."""
    z = (x - form.centre) @ form.directions
    square = (z**2).sum(axis=1, keepdims=True) + form.squares
    square -= 2 * (z @ form.points.T)
    near = np.exp(form.rate * np.maximum(square, 0, out=square))
    found = form.intercept + z @ form.linear + near @ form.smooth
    if form.tasks is not None:
        found += softmax(z @ form.tasks.slopes + form.tasks.start) @ form.tasks.added
    models = len(form.unit_cost)
    low, high = form.quality_range
    quality = low + (high - low) * np.minimum(np.maximum(found[:, :models], 0), 1)
    return Estimates(quality=quality, cost=form.unit_cost * ratio_of(found[:, models:]))


def decide(
    form: ClosedForm,
    embeddings: Float[np.ndarray, "n d"],
    cost_weights: Float[np.ndarray, " k"],
    kept: Int[np.ndarray, "*kept"],
    available: Bool[np.ndarray, "n m"] | None,
) -> tuple[Float[np.ndarray, "k n m"], Bool[np.ndarray, "k n"], Estimates]:
    """Probabilities, whether support moved the choice, and what is expected; as of `decided`."""
    x = form.arrays.scaling(embeddings)
    expected = expected_of(form, x)
    found = _probabilities(form, expected, cost_weights, available)
    model = form.arrays.propensities
    if model is None or form.chances is None:
        return found, np.zeros(found.shape[:2], bool), expected
    known = form.support
    if known is None or available is not None:
        shares = propensities(form.chances, x, available)
        inside = asked_there(model, x)
        known = supported_rows(shares, np.asarray(model.threshold), available, inside)
    kept = kept[:, None] if kept.ndim == 1 else kept
    allowed = np.where(known, found + np.float32(LEAST), np.float32(0))
    allowed /= allowed.sum(axis=-1, keepdims=True)
    wanted = found.argmax(axis=-1)
    if (kept >= 0).any():
        alone = (np.arange(found.shape[-1]) == kept[..., None]).astype(np.float32)
        wanted = np.where(kept >= 0, kept, wanted)
        allowed = np.where((alone * known > 0).any(axis=-1, keepdims=True), alone, allowed)
    return allowed, allowed.argmax(axis=-1) != wanted, expected


def _probabilities(
    form: ClosedForm, expected: Estimates, cost_weights: np.ndarray, available: np.ndarray | None
) -> Float[np.ndarray, "k n m"]:
    start = expected if form.constant is None else form.constant[None]
    weights = cost_weights[:, None, None]
    scaled = (start.quality - weights * start.cost) / form.unit.at(weights)
    logits = np.asarray(form.sharpness * scaled, np.float32)
    if available is not None:
        logits = np.where(available, logits, np.float32(NEVER))
    shares, shape = softmax(logits), (len(cost_weights), *expected.quality.shape)
    return shares if shares.shape == shape else np.broadcast_to(shares, shape)


def propensities(
    chances: Chances, x: Float[np.ndarray, "n d"], available: np.ndarray | None
) -> Float[np.ndarray, "n m"]:
    """π̂(m | x), the mean of the folds; beside a logit, as far as it is sure."""
    rows, levels, folds = len(x), chances.levels, len(chances.start)
    answers = np.asarray(x[:, chances.feature] > chances.edge, np.float32)
    answers = answers.reshape(rows, levels, folds, len(chances.feature) // (levels * folds))
    every = np.empty((rows, folds, (1 << levels) - 1, answers.shape[-1]), np.float32)
    for level in range(levels):
        own, before = answers[:, level], (1 << level) - 1  # sets of the questions before this one
        every[:, :, before] = own
        joint = every[:, :, before + 1 : 2 * before + 1]
        np.multiply(every[:, :, :before], own[:, :, None], out=joint)
    held = every.reshape(rows, folds, chances.rise.shape[1]).transpose(1, 0, 2)
    odds = held @ chances.rise + chances.start[:, None]
    if chances.logit is not None:
        linear = (x @ chances.slopes).reshape(rows, folds, -1).transpose(1, 0, 2)
        linear += chances.logit.intercepts[:, None]
        odds += with_random(linear, chances.logit.random[:, None], available)
    shares: np.ndarray = softmax(odds if available is None else np.where(available, odds, NEVER))
    mean = np.add.reduce(shares) / np.float32(folds)
    return mean if chances.logit is None else surely(shares, mean)
