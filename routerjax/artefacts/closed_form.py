"""What a plug-in router of pooled outcome models decides, in NumPy.

It is a few products of small matrices: starting a compiled program takes longer than they do, and
nothing has to be compiled before the first query.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from routerjax.artefacts.arrays import Arrays
from routerjax.estimators.trees import NEVER, Trees
from routerjax.estimators.utility import Unit
from routerjax.models.outcomes import ratio_of
from routerjax.models.policy import LEAST
from routerjax.models.propensity import PropensityModel, supported_rows
from routerjax.records.tables import Estimates


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
      unit_cost: [m] dollars.
      quality_range: lowest and highest.
      sharpness: logits per unit of scaled utility.
      unit: of the utilities.
      constant: [m] means to start from; None starts from what is expected of the query.
      support: [m] True where the log supports the arm whatever the query; None where trees say it.
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
    unit_cost: np.ndarray
    quality_range: np.ndarray
    sharpness: np.float32
    unit: Unit
    constant: Estimates | None
    support: np.ndarray | None


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
    count, half = 1 + features["directions"].shape[1], features["half"].astype(np.float64)
    points = features["points"]
    width = max(float(features["width"]), 1e-6)
    return ClosedForm(
        arrays=arrays,
        centre=features["centre"],
        directions=features["directions"],
        points=points,
        squares=(points**2).sum(axis=1),
        rate=np.float32(-0.5 / width**2),
        intercept=(rows[0] - features["shift"].astype(np.float64) @ rows[count:]).astype(
            np.float32
        ),
        linear=rows[1:count].astype(np.float32),
        smooth=(half @ rows[count:]).astype(np.float32),
        unit_cost=np.asarray(model.unit_cost, np.float32)[0],
        quality_range=np.asarray(model.quality_range, np.float32),
        sharpness=np.float32(sharpness),
        unit=Unit(float(unit.quality_width), float(unit.mean_cost)),
        constant=constant,
        support=_everywhere(arrays.propensities),
    )


def _everywhere(model: PropensityModel | None) -> np.ndarray | None:
    """The arms with support, [m], where no tree asks of the query."""
    if model is None or np.asarray(model.trees.leaves).shape[1]:
        return None
    nothing = np.zeros((1, 1), np.float32)
    return supported_rows(_propensities(model.trees, nothing, None), np.asarray(model.threshold))[0]


def expected_of(form: ClosedForm, x: Float[np.ndarray, "n d"]) -> Estimates:
    """Expected quality and cost of every arm for scaled embeddings, [n, m] each."""
    z = (x - form.centre) @ form.directions
    square = (z**2).sum(axis=1, keepdims=True) + form.squares
    square -= 2 * (z @ form.points.T)
    near = np.exp(form.rate * np.maximum(square, 0, out=square))
    found = form.intercept + z @ form.linear + near @ form.smooth
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
    if model is None:
        return found, np.zeros(found.shape[:2], bool), expected
    known = form.support
    if known is None or available is not None:
        chances = _propensities(model.trees, x, available)
        known = supported_rows(chances, np.asarray(model.threshold), available)
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
    shares, shape = _softmax(logits), (len(cost_weights), *expected.quality.shape)
    return shares if shares.shape == shape else np.broadcast_to(shares, shape)


def _propensities(
    trees: Trees, x: Float[np.ndarray, "n d"], available: np.ndarray | None
) -> Float[np.ndarray, "n m"]:
    """π̂(m | x), the mean of the folds' trees."""
    found = []
    for start, feature, edge, leaves in zip(*(np.asarray(each) for each in trees), strict=True):
        odds = np.broadcast_to(start, (len(x), len(start)))
        if len(feature):
            bits = x[:, feature] > edge  # [n, t, l]
            leaf = bits @ (1 << np.arange(bits.shape[-1]))
            odds = start + leaves[np.arange(len(leaves)), leaf].sum(axis=1)
        found.append(_softmax(odds if available is None else np.where(available, odds, NEVER)))
    mean: np.ndarray = np.mean(found, axis=0)
    return mean


def _softmax(logits: np.ndarray) -> np.ndarray:
    shares: np.ndarray = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return shares / shares.sum(axis=-1, keepdims=True)
