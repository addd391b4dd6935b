"""The fitted router: a frozen record that is saved, loaded and called."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, overload

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PyTree, UInt32

from routerjax.artefacts import migrate, shapes
from routerjax.artefacts.base import Saved, listed
from routerjax.estimators.envelope import Envelope, upper_envelope
from routerjax.estimators.utility import Unit, check_range
from routerjax.models.architectures import Architecture
from routerjax.models.heads import Scaling
from routerjax.models.outcomes import OutcomeHead, OutcomeModel, predict_folds
from routerjax.models.policy import (
    ROWS,
    Policy,
    mean_probabilities,
    within_range,
    within_support,
)
from routerjax.models.propensity import PropensityModel, supported
from routerjax.records.groups import query_digests
from routerjax.records.rows import Rows
from routerjax.records.tables import Estimates
from routerjax.training.architecture import architecture_of, outcome_head_of
from routerjax.training.config import FitConfig

if TYPE_CHECKING:
    import pandas

Queries = Sequence[str] | np.ndarray
"""n prompts, or embeddings [n, d]."""


class Arrays(NamedTuple):
    """The numbers of a router.

    Attributes:
      scaling: of the embeddings.
      policy: parameters of the policy, leading axis b.
      constant: [m] means the policy starts from where `start` is "best-single"; else zeros.
      outcomes: quality and cost models, for the expected outcome of a route.
      propensities: The log's policy and where it supports which model; None in routers of before.
      seen: [g, 2] digests of the queries that the router was fitted on; None in those too.
    """

    scaling: Scaling
    policy: PyTree
    constant: Estimates
    outcomes: OutcomeModel
    propensities: PropensityModel | None = None
    seen: UInt32[np.ndarray, "g 2"] | None = None


class FormerArrays(NamedTuple):
    """The numbers of a router that knows neither propensities nor the queries it was fitted on."""

    scaling: Scaling
    policy: Any
    constant: Estimates
    outcomes: OutcomeModel


class Routes(NamedTuple):
    """Where n queries go at one cost weight.

    Attributes:
      models: [n] names.
      arms: [n] their positions.
      probabilities: [n, m] of the router's softmax.
      quality: [n] expected quality of the chosen model, in the log's unit.
      cost: [n] its expected cost, dollars.
      cost_weight: λ, quality given up per dollar.
      candidates: m names, in the order of the arms.
      fell_back: [n] True where the router would have chosen another model, which the log it was
        fitted on does not support for such a query.
    """

    models: tuple[str, ...]
    arms: Int[np.ndarray, " n"]
    probabilities: Float[np.ndarray, "n m"]
    quality: Float[np.ndarray, " n"]
    cost: Float[np.ndarray, " n"]
    cost_weight: float
    candidates: tuple[str, ...]
    fell_back: Bool[np.ndarray, " n"]

    def __repr__(self) -> str:
        counts = np.bincount(self.arms, minlength=len(self.candidates))
        sent = [f"{counts[arm]:,} to {self.candidates[arm]}" for arm in np.flatnonzero(counts)]
        queries = f"{len(self.models):,} queries at cost weight {self.cost_weight:g}"
        return f"Routes({queries}: {listed(sent)})"

    def to_frame(self) -> pandas.DataFrame:
        """One row a query: cost_weight, model, quality, cost, and ``probability:MODEL`` of each."""
        import pandas

        columns: dict[str, Any] = {
            "cost_weight": np.full(len(self.models), self.cost_weight),
            "model": self.models,
            "quality": self.quality,
            "cost": self.cost,
        }
        for arm, model in enumerate(self.candidates):
            columns[f"probability:{model}"] = self.probabilities[:, arm]
        return pandas.DataFrame(columns)


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Router(Saved):
    """A fitted policy with everything needed to use it on another machine.

    Attributes:
      models: m names, the order of every arm axis.
      cost_weights: [w] cost weights λ it was fitted at, rising, quality per dollar.
      encoder: name of the text encoder, None where the log came with embeddings.
      dimensions: d of the embeddings.
      quality_range: unit of quality, utility and cost weights.
      config: how it was fitted.
      mean_cost: dollars per query, of the unit of the utilities at each cost weight.
      best_single: per cost weight the best single model by the log.
      arm_quality, arm_cost: of every model the mean over the log's queries by its outcome models in
        closed form, or by dr estimates; the best single model of any cost weight follows. They are
        empty in routers of before.
      kept: per cost weight True where the router is the best single model for every query, since
        choosing by query is not expected to be worth more; empty where that was not asked.
      seen: number of queries the router was fitted on, 0 where it does not know them.
      salt: of their digests.
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
    config: FitConfig
    mean_cost: float
    best_single: tuple[str, ...]
    report: dict[str, Any]
    provenance: dict[str, Any]
    arrays: Arrays
    arm_quality: tuple[float, ...] = ()
    arm_cost: tuple[float, ...] = ()
    seen: int = 0
    salt: str = ""
    kept: tuple[bool, ...] = ()

    def __repr__(self) -> str:
        own, low, high = self.config.router, self.cost_weights[0], self.cost_weights[-1]
        surrogate = getattr(own.surrogate, "__name__", own.surrogate)
        trained = f"{own.architecture}, {surrogate}, members: {own.members}"
        if not self._architecture.stages:
            trained = f"{own.architecture} of {self.config.nuisance.outcomes} outcome models"
        if any(self.kept):
            trained += f"; its best single model at {sum(self.kept)} of them"
        return (
            f"Router of {len(self.models)} models: {listed(self.models)}\n"
            f"  {len(self.cost_weights)} cost weights from {low:g} to {high:g}; "
            f"quality in [{self.quality_range[0]:g}, {self.quality_range[1]:g}]\n"
            f"  {trained}\n"
            f"  {self.dimensions}-wide embeddings{f' by {self.encoder}' if self.encoder else ''}"
        )

    @overload
    def route(self, queries: Queries, *, cost_weight: float) -> Routes: ...

    @overload
    def route(self, queries: Queries, *, cost_weight: Sequence[float]) -> tuple[Routes, ...]: ...

    def route(
        self, queries: Queries, *, cost_weight: float | int | Sequence[float | int]
    ) -> Routes | tuple[Routes, ...]:
        """Choose a model for every query, at one cost weight or at several.

        Args:
          queries: n prompts, encoded by the router's own encoder, or embeddings [n, d].
          cost_weight: λ within the fitted range, quality given up per dollar; or several of them,
            for which the queries are encoded and the networks run once.

        Returns:
          Routes: names, arms, probabilities, expected quality and cost; a tuple of them, in the
          order given, for several cost weights.

        Raises:
          InputError: λ outside the fitted range, embeddings of another width, or prompts for a
            router that was fitted on ready-made embeddings.
        """
        several = tuple(np.atleast_1d(np.asarray(cost_weight, np.float64)).tolist())
        for each in several:
            check_range(each, self.cost_weights)
        embeddings = queries if isinstance(queries, np.ndarray) else self.embed(queries)
        probabilities, moved, expected = self._decided(embeddings, several)
        routes = tuple(
            self._routes(own, fell_back, expected, each)
            for own, fell_back, each in zip(probabilities, moved, several, strict=True)
        )
        return routes[0] if np.ndim(cost_weight) == 0 else routes

    def _routes(
        self,
        probabilities: np.ndarray,
        fell_back: np.ndarray,
        expected: Estimates,
        cost_weight: float,
    ) -> Routes:
        arms = probabilities.argmax(axis=1)
        rows = np.arange(len(arms))
        return Routes(
            models=tuple(self.models[arm] for arm in arms),
            arms=arms,
            probabilities=probabilities,
            quality=expected.quality[rows, arms],
            cost=expected.cost[rows, arms],
            cost_weight=cost_weight,
            candidates=self.models,
            fell_back=fell_back,
        )

    def choices(self, embeddings: np.ndarray, *, cost_weights: Sequence[float]) -> np.ndarray:
        """Arms [k, n] chosen at k cost weights; errors as in `route`."""
        for cost_weight in cost_weights:
            check_range(cost_weight, self.cost_weights)
        return self._decided(embeddings, cost_weights)[0].argmax(axis=-1)

    def best_single_at(self, cost_weight: float) -> str:
        """The best single model by the log it was fitted on, at any cost weight.

        Utility is affine in the cost weight, so that means of quality and cost tell it exactly.
        Routers of before kept no means; of them it is that of the nearest fitted cost weight.
        """
        if not self.arm_quality:
            nearest = int(abs(np.asarray(self.cost_weights) - cost_weight).argmin())
            return self.best_single[nearest]
        utility = np.asarray(self.arm_quality) - cost_weight * np.asarray(self.arm_cost)
        return self.models[int(utility.argmax())]

    def keeps_at(self, cost_weight: float) -> str | None:
        """The best single model where the router is that model for every query, else None.

        Between two fitted cost weights it is, where it is at both.
        """
        if not self.kept:
            return None
        above = int(np.searchsorted(self.cost_weights, cost_weight))
        above = min(above, len(self.kept) - 1)
        below = above if self.cost_weights[above] <= cost_weight else max(above - 1, 0)
        kept = self.kept[above] and self.kept[below]
        return self.best_single_at(cost_weight) if kept else None

    def has_seen(self, record: Rows) -> Bool[np.ndarray, " n"]:
        """[n] True where the router was fitted on a row of the same query."""
        if self.arrays.seen is None:
            return np.zeros(len(record), bool)
        seen = np.ascontiguousarray(np.asarray(self.arrays.seen, np.uint32)).view(np.uint64)
        return np.isin(query_digests(record, salt=self.salt), seen.ravel())

    def expected(self, embeddings: np.ndarray) -> Estimates:
        """Expected quality and cost of every model for every query, [n, m] each."""
        return self._decided(embeddings, (self.cost_weights[0],))[2]

    def _decided(
        self, embeddings: np.ndarray, cost_weights: Sequence[float]
    ) -> tuple[np.ndarray, np.ndarray, Estimates]:
        """Probabilities [k, n, m], whether support moved the choice [k, n], expected outcomes."""
        device = self._on_device
        asked = within_range(cost_weights, self.cost_weights)
        names = [self.keeps_at(each) for each in cost_weights]
        kept = np.array([-1 if name is None else self.models.index(name) for name in names])
        parts = []
        for first in range(0, len(embeddings), ROWS):
            block = self.checked(np.asarray(embeddings[first : first + ROWS]), first=first)
            filled = np.zeros((_round_up(len(block)), block.shape[1]), np.float32)
            filled[: len(block)] = block
            found = _decide(self._architecture, self._outcome_head, *device, filled, asked, kept)
            probabilities, moved, expected = jax.tree.map(np.asarray, found)
            rows = slice(len(block))
            by_row = (probabilities[:, rows], moved[:, rows])
            parts.append((*by_row, expected.quality[rows], expected.cost[rows]))
        probabilities, moved, quality, cost = zip(*parts, strict=True)
        expected = Estimates(quality=np.concatenate(quality), cost=np.concatenate(cost))
        return np.concatenate(probabilities, axis=1), np.concatenate(moved, axis=1), expected

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
        arrays = jax.tree.map(jnp.asarray, self.arrays._replace(seen=None))
        return arrays, self.policy.unit, arrays.constant if self._has_constant_start else None

    @property
    def _has_constant_start(self) -> bool:
        return self.config.router.start != "plug-in"

    @functools.cached_property
    def _architecture(self) -> Architecture:
        return architecture_of(self.config.router, self.cost_weights, len(self.models))

    @property
    def policy(self) -> Policy:
        """The policy on scaled embeddings."""
        low, high = self.quality_range
        return Policy(
            architecture=self._architecture,
            params=self.arrays.policy,
            unit=Unit(high - low, self.mean_cost),
            constant=self.arrays.constant if self._has_constant_start else None,
        )

    @property
    def _outcome_head(self) -> OutcomeHead:
        return outcome_head_of(self.config.nuisance, len(self.models), self.dimensions)

    def template(self) -> Arrays | FormerArrays:
        """The shapes of what is stored."""
        models, d, folds = len(self.models), self.dimensions, self.config.nuisance.folds
        former = FormerArrays(
            scaling=Scaling(centre=shapes.real(d), scale=shapes.real()),
            policy=shapes.policy(self._architecture, d, self.config.router.members),
            constant=Estimates(quality=shapes.real(models), cost=shapes.real(models)),
            outcomes=shapes.outcomes(self._outcome_head, d, models, folds),
        )
        if not self.seen:
            return former
        digests: Any = jax.ShapeDtypeStruct((self.seen, 2), jnp.uint32)
        return Arrays(*former, shapes.propensities(models, folds), digests)

    def stored(self) -> Arrays | FormerArrays:
        """The arrays, without those that a router of before does not have."""
        return self.arrays if self.seen else FormerArrays(*self.arrays[:4])

    def restored(self, arrays: Arrays | FormerArrays) -> Arrays:
        """The arrays of a router of before have neither propensities nor digests."""
        return Arrays(*arrays)

    @classmethod
    def unread(cls) -> Arrays:
        """`Arrays` of nothing."""
        return Arrays._make([None] * len(Arrays._fields))

    @classmethod
    def from_manifest(cls, fields: dict[str, Any], *, version: int) -> dict[str, Any]:
        """Fields of a manifest as this version's, the configuration as its record."""
        if version == 1:
            fields = migrate.router_of_format_1(fields)
        if version < 4:
            fields = migrate.router_with_networks(fields)
        return {**fields, "config": migrate.rebuilt(FitConfig, fields["config"])}


@overload
def route(router: Router, queries: Queries, *, cost_weight: float) -> Routes: ...


@overload
def route(
    router: Router, queries: Queries, *, cost_weight: Sequence[float]
) -> tuple[Routes, ...]: ...


def route(
    router: Router, queries: Queries, *, cost_weight: float | int | Sequence[float | int]
) -> Routes | tuple[Routes, ...]:
    """Choose a model for every query, at one cost weight or at several.

    Args:
      router: fitted.
      queries: n prompts, encoded by the router's own encoder, or embeddings [n, d].
      cost_weight: λ within the fitted range, quality given up per dollar; or several of them.

    Returns:
      Routes: names, arms, probabilities, expected quality and cost; a tuple of them, in the order
      given, for several cost weights.

    Raises:
      InputError: λ outside the fitted range, embeddings of another width, or prompts for a
        router that was fitted on ready-made embeddings.
    """
    return router.route(queries, cost_weight=cost_weight)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _decide(
    architecture: Architecture,
    head: OutcomeHead,
    arrays: Arrays,
    unit: Unit,
    constant: Estimates | None,
    embeddings: Float[Array, "n d"],
    cost_weights: Float[Array, " k"],
    kept: Int[Array, " k"],
) -> tuple[Float[Array, "k n m"], Bool[Array, "k n"], Estimates]:
    x = arrays.scaling(embeddings)
    folds = predict_folds(head, arrays.outcomes, x)
    expected = jax.tree.map(lambda fold: jnp.mean(fold, axis=0), folds)
    start = expected
    if constant is not None:
        start = jax.tree.map(lambda mean: mean[None], constant)
    found = mean_probabilities(architecture, arrays.policy, x, start, unit, cost_weights)
    if arrays.propensities is None:
        return found, jnp.zeros(found.shape[:2], bool), expected
    known = supported(arrays.propensities, x)
    alone = jax.nn.one_hot(kept, found.shape[-1])[:, None]
    wanted = jnp.where((kept >= 0)[:, None, None], alone, found)
    allowed = within_support(found, known)
    allowed = jnp.where(jnp.any(alone * known[None] > 0, axis=-1, keepdims=True), alone, allowed)
    return allowed, jnp.argmax(allowed, axis=-1) != jnp.argmax(wanted, axis=-1), expected


def _round_up(count: int) -> int:
    """The next power of two: few shapes, few compilations."""
    return 1 << max(count - 1, 0).bit_length()
