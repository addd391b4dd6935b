"""The fitted router: a frozen record that is saved, loaded and called."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, overload

import numpy as np
from jaxtyping import Bool, Int

from routerjax.artefacts import migrate, shapes, values
from routerjax.artefacts.arrays import Arrays, FormerArrays
from routerjax.artefacts.base import Saved, listed
from routerjax.artefacts.closed_form import ClosedForm
from routerjax.artefacts.decide import Decided, Model, decided, model_of
from routerjax.artefacts.prices import with_prices
from routerjax.artefacts.routes import Routes, routes_of
from routerjax.artefacts.singles import keeps, kept_arms, single_ranks
from routerjax.baselines.policies import first_available
from routerjax.estimators.envelope import Envelope, envelopes
from routerjax.estimators.utility import Unit, check_range
from routerjax.models.architectures import Architecture
from routerjax.models.outcomes import OutcomeHead
from routerjax.models.policy import Policy, within_range
from routerjax.records.available import Available, available_mask
from routerjax.records.repricing import PriceChange
from routerjax.records.rows import Rows
from routerjax.records.seen import among_seen
from routerjax.records.tables import Estimates
from routerjax.training.architecture import architecture_of, outcome_head_of
from routerjax.training.config import FitConfig

Queries = Sequence[str] | np.ndarray
"""n prompts, or embeddings [n, d]."""


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
        closed form, or by dr estimates.
      arm_deviation: standard deviation of that quality; empty where outcome models do not tell it.
      logged_quality, logged_cost: of every model the mean over the rows that it answered; empty
        likewise. By these five the best single model of any cost weight is found
        (`baselines.singles`); the last three are empty in routers of before, and all in older ones.
      kept: per cost weight True where the router is the best single model for every query, since
        choosing by query is not expected to be worth more; empty where that was not asked.
      seen: number of digests of queries it was fitted on, 0 where it does not know them.
      salt: of their digests.
      prompt_form: what became of lists of messages in the log: their "last-user" turn, or the whole
        "conversation"; what is routed should have the same form.
      cuts: whether a sum of many numbers of the embedding says which models the log supports.
      holes: how many boxes of queries leave a model without support, of the model of most.
      logit: whether the log's policy is known by a logit of the embedding beside trees.
      tasks: places of tasks in the features of its outcome models.
      regions: how many regions of like queries there are, in some of which the log's policy never
        asked a model.
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
    arm_deviation: tuple[float, ...] = ()
    logged_quality: tuple[float, ...] = ()
    logged_cost: tuple[float, ...] = ()
    seen: int = 0
    salt: str = ""
    kept: tuple[bool, ...] = ()
    prompt_form: str = "last-user"
    cuts: bool = False
    holes: int = 0
    logit: bool = False
    tasks: int = 0
    regions: int = 0

    def __repr__(self) -> str:
        own, low, high = self.config.router, self.cost_weights[0], self.cost_weights[-1]
        surrogate = getattr(own.surrogate, "__name__", own.surrogate)
        trained = f"{own.architecture}, {surrogate}, members: {own.members}"
        if not self._architecture.stages:
            trained = f"{own.architecture} of {self.config.nuisance.outcomes} outcome models"
        if any(self.kept):
            trained += f"; its best single model at {sum(self.kept)} of them"
        components = self.config.components
        by = f" by {self.encoder}" if self.encoder else ""
        by += f", {components} principal components" if components else ""
        return (
            f"Router of {len(self.models)} models: {listed(self.models)}\n"
            f"  {len(self.cost_weights)} cost weights from {low:g} to {high:g}; "
            f"quality in [{self.quality_range[0]:g}, {self.quality_range[1]:g}]\n"
            f"  {trained}\n"
            f"  {self.dimensions}-wide embeddings{by}"
        )

    @overload
    def route(
        self, queries: Queries, *, cost_weight: float, available: Available | None = None
    ) -> Routes: ...

    @overload
    def route(
        self, queries: Queries, *, cost_weight: Sequence[float], available: Available | None = None
    ) -> tuple[Routes, ...]: ...

    def route(
        self,
        queries: Queries,
        *,
        cost_weight: float | int | Sequence[float | int],
        available: Available | None = None,
    ) -> Routes | tuple[Routes, ...]:
        """Choose a model for every query, at one cost weight or at several.

        Args:
          queries: n prompts, encoded by the router's own encoder, or embeddings [n, d].
          cost_weight: λ within the fitted range, quality given up per dollar; or several of them,
            for which the queries are encoded and the networks run once.
          available: the models that can be chosen: names that hold for every query, names for
            each query, or a mask [n, m] or [m]. None: all can. No other is chosen, and the best
            single model gives way to the next best where it is not there.

        Returns:
          Routes: names, arms, probabilities, expected quality and cost; a tuple of them, in the
          order given, for several cost weights.

        Raises:
          InputError: λ outside the fitted range, embeddings of another width, prompts for a
            router that was fitted on ready-made embeddings, an available model that the router
            does not have, or a query without any.
        """
        several = tuple(np.atleast_1d(np.asarray(cost_weight, np.float64)).tolist())
        for each in several:
            check_range(each, self.cost_weights)
        embeddings = queries if isinstance(queries, np.ndarray) else self.embed(queries)
        mask = self._mask(available, len(embeddings))
        probabilities, moved, expected = self._decided(embeddings, several, mask)
        routes = tuple(
            routes_of(self.models, own, fell_back, expected, cost_weight=each)
            for own, fell_back, each in zip(probabilities, moved, several, strict=True)
        )
        return routes[0] if np.ndim(cost_weight) == 0 else routes

    def choices(
        self,
        embeddings: np.ndarray,
        *,
        cost_weights: Sequence[float],
        available: Available | None = None,
    ) -> np.ndarray:
        """Arms [k, n] chosen at k cost weights; arguments and errors as in `route`."""
        return self.choices_and_fallbacks(
            embeddings, cost_weights=cost_weights, available=available
        )[0]

    def choices_and_fallbacks(
        self,
        embeddings: np.ndarray,
        *,
        cost_weights: Sequence[float],
        available: Available | None = None,
    ) -> tuple[Int[np.ndarray, "k n"], Bool[np.ndarray, "k n"]]:
        """Arms chosen at k cost weights, and where they are a fallback, as `Routes.fell_back`."""
        for cost_weight in cost_weights:
            check_range(cost_weight, self.cost_weights)
        mask = self._mask(available, len(embeddings))
        found = self._decided(embeddings, cost_weights, mask)
        return found.probabilities.argmax(axis=-1), found.moved

    def _mask(self, available: Available | None, rows: int) -> np.ndarray | None:
        if available is None:
            return None
        return available_mask(available, models=self.models, rows=rows)

    def best_single_at(self, cost_weight: float) -> str:
        """The best single model by the log it was fitted on, at any cost weight.

        Utility is affine in the cost weight, so that what `baselines.singles` compares is known
        exactly. Old routers kept no means; of them it is that of the nearest fitted cost weight.
        """
        return self.models[int(single_ranks(self, cost_weight).argmax())]

    def best_singles_at(
        self, cost_weight: float, available: Bool[np.ndarray, "n m"]
    ) -> Int[np.ndarray, " n"]:
        """Arms [n]: the best single model where it is available, elsewhere the next best that is.

        Routers of before, which kept no means, know the best alone; the first that is available
        comes next.
        """
        return first_available(single_ranks(self, cost_weight), available)

    def keeps_at(self, cost_weight: float) -> str | None:
        """The best single model where the router is that model for every query, else None.

        Between two fitted cost weights it is, where it is at both.
        """
        return self.best_single_at(cost_weight) if keeps(self, cost_weight) else None

    def with_prices(self, changes: Mapping[str, PriceChange]) -> Router:
        """The router at other prices, without fitting again.

        Utility is affine in cost, u_λ = q − λ·c, so that what the outcome models expect and the
        means of the log are at the new prices exactly, and with them the choices by query of a
        plug-in router. Two things were settled at the old prices and stay: at which cost weights
        the router keeps to its best single model (`kept`), which is now that of the new prices;
        and what the networks of a trained router add to its start, which a `DataWarning` says.

        Args:
          changes: model → `PriceChange`, such as {"gpt-4o": PriceChange(scale=0.5)}.

        Raises:
          InputError: a model that the router does not have, or a price below 0 or not finite.
        """
        return with_prices(self, changes)

    def has_seen(self, record: Rows) -> Bool[np.ndarray, " n"]:
        """[n] True where the router was fitted on a row of the same query."""
        if self.arrays.seen is None:
            return np.zeros(len(record), bool)
        given = record.embeddings
        if given is not None and given.shape[1] != self.dimensions:  # of another encoder
            given = None
        x = None if given is None else self.arrays.scaling(given)
        return among_seen(record, x, self.arrays.seen, salt=self.salt)

    def expected(self, embeddings: np.ndarray) -> Estimates:
        """Expected quality and cost of every model for every query, [n, m] each."""
        return self._decided(embeddings, (self.cost_weights[0],)).expected

    def _decided(
        self,
        embeddings: np.ndarray,
        cost_weights: Sequence[float],
        available: np.ndarray | None = None,
    ) -> Decided:
        def checked(block: np.ndarray, first: int) -> np.ndarray:
            return self.checked(block, first=first)

        asked = within_range(cost_weights, self.cost_weights)
        kept = kept_arms(self, cost_weights, available)
        return decided(self._model, embeddings, asked, kept, checked, available)

    def explain(
        self, embeddings: np.ndarray, *, available: Available | None = None
    ) -> list[Envelope]:
        """The model of highest expected utility as a function of λ, query by query.

        Pieces of the fitted range, by the outcome models' expectations; the router's own choice
        starts from them and may differ. Of available models alone, where these are given as in
        `route`.
        """
        expected, mask = self.expected(embeddings), self._mask(available, len(embeddings))
        low, high = self.cost_weights[0], self.cost_weights[-1]
        return envelopes(expected.quality, expected.cost, low=low, high=high, available=mask)

    @functools.cached_property
    def _model(self) -> Model | ClosedForm:
        return model_of(
            self._architecture,
            self._outcome_head,
            self.arrays,
            self.policy.unit,
            constant_start=self._has_constant_start,
        )

    @property
    def _has_constant_start(self) -> bool:
        return self.config.router.start != "plug-in"

    @functools.cached_property
    def _ranks(self) -> dict[float, np.ndarray]:
        """What `singles.single_ranks` found, by cost weight."""
        return {}

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
        width = self.config.components or self.dimensions
        models = len(self.models)
        return outcome_head_of(self.config.nuisance, models, width, tasks=self.tasks)

    def template(self) -> Arrays | FormerArrays:
        """The shapes of what is stored."""
        return shapes.router(
            self._architecture,
            self._outcome_head,
            dimensions=self.dimensions,
            members=self.config.router.members,
            folds=self.config.nuisance.folds,
            seen=self.seen,
            components=self.config.components,
            cuts=self.cuts,
            holes=self.holes,
            regions=self.regions,
            logit=self.logit,
        )

    def check(self) -> None:
        """Raise InputError where a field, of a manifest, is what it cannot be."""
        values.check_router(self)

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
