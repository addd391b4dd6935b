"""The fitted router: a frozen record that is saved, loaded and called."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from routerjax.artefacts.base import Saved
from routerjax.estimators.envelope import Envelope, upper_envelope
from routerjax.estimators.utility import Unit, check_range
from routerjax.models.architectures import Architecture, initial_between
from routerjax.models.heads import Head, Scaling
from routerjax.models.outcomes import OutcomeModel, predict_folds
from routerjax.models.policy import ROWS, Policy, as_weights, mean_probabilities
from routerjax.records.tables import Estimates


class Arrays(NamedTuple):
    """The numbers of a router.

    Attributes:
      scaling: of the embeddings.
      policy: parameters of the policy, leading axis b.
      constant: [m] means the policy starts from where `start` is "best-single"; else zeros.
      outcomes: quality and cost models, for the expected outcome of a route.
    """

    scaling: Scaling
    policy: Any
    constant: Estimates
    outcomes: OutcomeModel


def route(router: Router, queries: Sequence[str] | np.ndarray, *, cost_weight: float) -> Routes:
    """Choose a model for every query at one cost weight.

    Args:
      router: fitted.
      queries: n prompts, encoded by the router's own encoder, or embeddings [n, d].
      cost_weight: λ within the fitted range, quality given up per dollar.

    Returns:
      Routes: names, arms, probabilities, expected quality and cost.

    Raises:
      InputError: λ outside the fitted range, embeddings of another width, or prompts for a
        router that was fitted on ready-made embeddings.
    """
    check_range(cost_weight, router.cost_weights)
    return router.route(router.embed(queries), cost_weight=cost_weight)


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Router(Saved):
    """A fitted policy with everything needed to use it on another machine.

    Attributes:
      models: m names, the order of every arm axis.
      cost_weights: [w] grid of λ it was trained on, rising, quality per dollar.
      encoder: name of the text encoder, None where the log came with embeddings.
      dimensions: d of the embeddings.
      quality_range: unit of quality, utility and cost weights.
      policy_widths, outcome_widths: trunks of the heads.
      folds: K of the outcome model.
      members: networks averaged by the policy.
      architecture: a name of `routerjax.models.architectures.ARCHITECTURES`.
      separate_trunks: whether every endpoint has a network of its own.
      start, gain: what the policy's logits start from, and how sharply.
      mean_cost: dollars per query, of the unit of the utilities at each cost weight.
      best_single: per cost weight the best single model by the log's dr utilities.
      report: overlap, training and validation figures of the fit.
      provenance: configuration, seed, versions, commit, data fingerprint.
      arrays: parameters.
    """

    kind: ClassVar[str] = "router"

    models: tuple[str, ...]
    cost_weights: tuple[float, ...]
    encoder: str | None
    dimensions: int
    quality_range: tuple[float, float]
    policy_widths: tuple[int, ...]
    outcome_widths: tuple[int, ...]
    folds: int
    members: int
    architecture: str
    separate_trunks: bool
    start: str
    gain: float
    mean_cost: float
    best_single: tuple[str, ...]
    report: dict[str, Any]
    provenance: dict[str, Any]
    arrays: Arrays

    def route(self, embeddings: np.ndarray, *, cost_weight: float) -> Routes:
        """Choose a model for every query at one cost weight.

        Args:
          embeddings: [n, d] of the router's own encoder.
          cost_weight: λ within the fitted range, quality given up per dollar.

        Returns:
          Routes.

        Raises:
          InputError: λ outside the fitted range, or embeddings of another width.
        """
        check_range(cost_weight, self.cost_weights)
        (probabilities,), expected = self._decided(embeddings, (cost_weight,))
        arms = probabilities.argmax(axis=1)
        rows = np.arange(len(arms))
        return Routes(
            models=tuple(self.models[arm] for arm in arms),
            arms=arms,
            probabilities=probabilities,
            quality=expected.quality[rows, arms],
            cost=expected.cost[rows, arms],
        )

    def choices(self, embeddings: np.ndarray, *, cost_weights: Sequence[float]) -> np.ndarray:
        """Arms [k, n] chosen at k cost weights; errors as in `route`."""
        for weight in cost_weights:
            check_range(weight, self.cost_weights)
        return self._decided(embeddings, cost_weights)[0].argmax(axis=-1)

    def expected(self, embeddings: np.ndarray) -> Estimates:
        """Expected quality and cost of every model for every query, [n, m] each."""
        return self._decided(embeddings, (self.cost_weights[0],))[1]

    def _decided(
        self, embeddings: np.ndarray, cost_weights: Sequence[float]
    ) -> tuple[np.ndarray, Estimates]:
        """Probabilities [k, n, m] and expected outcomes [n, m], one compiled call a block."""
        device = self._on_device
        weights = as_weights(cost_weights, self.cost_weights)
        parts = []
        for first in range(0, len(embeddings), ROWS):
            block = self.checked(np.asarray(embeddings[first : first + ROWS]), first=first)
            filled = np.zeros((_round_up(len(block)), block.shape[1]), np.float32)
            filled[: len(block)] = block
            found = _decide(self._architecture, self._outcome_head, *device, filled, weights)
            probabilities, expected = jax.tree.map(np.asarray, found)
            rows = slice(len(block))
            parts.append((probabilities[:, rows], expected.quality[rows], expected.cost[rows]))
        probabilities, quality, cost = zip(*parts, strict=True)
        expected = Estimates(quality=np.concatenate(quality), cost=np.concatenate(cost))
        return np.concatenate(probabilities, axis=1), expected

    def explain(self, embeddings: np.ndarray) -> list[Envelope]:
        """The model of highest expected utility as a function of λ, query by query.

        Pieces of the fitted range, by the outcome models' expectations; the router's own choice
        starts from them and may differ.
        """
        expected, (low, high) = (
            self.expected(embeddings),
            (self.cost_weights[0], self.cost_weights[-1]),
        )
        return [
            upper_envelope(quality, cost, low=low, high=high)
            for quality, cost in zip(expected.quality, expected.cost, strict=True)
        ]

    @functools.cached_property
    def _on_device(self) -> tuple[Arrays, Unit, Estimates | None]:
        arrays = jax.tree.map(jnp.asarray, self.arrays)
        return arrays, self.policy.unit, None if self.start == "plug-in" else arrays.constant

    @property
    def _architecture(self) -> Architecture:
        return Architecture(
            name=self.architecture,
            grid=self.cost_weights,
            models=len(self.models),
            widths=self.policy_widths,
            gain=self.gain,
            separate_trunks=self.separate_trunks,
        )

    @property
    def policy(self) -> Policy:
        """The policy on scaled embeddings."""
        low, high = self.quality_range
        return Policy(
            architecture=self._architecture,
            params=self.arrays.policy,
            unit=Unit(high - low, self.mean_cost),
            constant=None if self.start == "plug-in" else self.arrays.constant,
        )

    @property
    def _outcome_head(self) -> Head:
        return Head(outputs=(len(self.models),), widths=self.outcome_widths)

    def template(self) -> Arrays:
        """The shapes of `arrays`."""
        models, d = len(self.models), self.dimensions
        outcome = _stacked(_head_shapes(self._outcome_head, d), self.folds)
        shape = lambda *sizes: jax.ShapeDtypeStruct(sizes, jnp.float32)  # noqa: E731
        return Arrays(
            scaling=Scaling(centre=shape(d), scale=shape()),  # type: ignore[arg-type]
            policy=_policy_shapes(self._architecture, d, self.members),
            constant=Estimates(quality=shape(models), cost=shape(models)),
            outcomes=OutcomeModel(
                quality=outcome,
                cost=outcome,
                unit_cost=shape(self.folds, models),  # type: ignore[arg-type]
                quality_range=shape(2),  # type: ignore[arg-type]
            ),
        )


@functools.partial(jax.jit, static_argnums=(0, 1))
def _decide(architecture, head, arrays, unit, constant, embeddings, weights):
    x = arrays.scaling(embeddings)
    folds = predict_folds(head, arrays.outcomes, x)
    expected = jax.tree.map(lambda fold: jnp.mean(fold, axis=0), folds)
    start = expected
    if constant is not None:
        start = jax.tree.map(lambda mean: mean[None], constant)
    return mean_probabilities(architecture, arrays.policy, x, start, unit, weights), expected


def _round_up(count: int) -> int:
    """The next power of two: few shapes, few compilations."""
    return 1 << max(count - 1, 0).bit_length()


class Routes(NamedTuple):
    """Where n queries go.

    Attributes:
      models: [n] names.
      arms: [n] their positions.
      probabilities: [n, m] of the router's softmax.
      quality: [n] expected quality of the chosen model, in the log's unit.
      cost: [n] its expected cost, dollars.
    """

    models: tuple[str, ...]
    arms: np.ndarray
    probabilities: np.ndarray
    quality: np.ndarray
    cost: np.ndarray


def _policy_shapes(architecture: Architecture, dimensions: int, members: int) -> Any:
    """Shapes of the parameters of a policy."""
    shapes = {}
    if architecture.has_endpoints:
        one = _head_shapes(architecture.endpoint_head, dimensions)
        shapes["endpoints"] = _stacked(one, members, architecture.networks)
    if architecture.trained_between:
        key = jax.random.key(0)
        one = jax.eval_shape(lambda key: initial_between(architecture, dimensions, key), key)
        shapes["between"] = _stacked(one, members)
    return shapes


def _head_shapes(head: Head, dimensions: int) -> Any:
    return jax.eval_shape(head.init, jax.random.key(0), jnp.zeros(dimensions))


def _stacked(shapes: Any, *counts: int) -> Any:
    """Shapes with leading axes before them."""
    more = lambda leaf: jax.ShapeDtypeStruct((*counts, *leaf.shape), leaf.dtype)  # noqa: E731
    return jax.tree.map(more, shapes)
