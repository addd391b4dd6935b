"""The world of the loop: queries whose answers are known, a first log, users who report late."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

from experiments.loop.config import LoopConfig
from routerjax.data.synthetic.table import embedded_table
from routerjax.records.logs import Log
from routerjax.records.repricing import PriceChange

MODELS = 6
"""Of the embedded table: the cheapest, the dearest, and four of high quality, of which the best is
added half way."""


class World(NamedTuple):
    """Queries in the order in which they come.

    Attributes:
      models: m names.
      embeddings: [n, d].
      quality, cost: [n, m] of the answers that would be given, at the first prices.
      true_quality, true_cost: [n, m] their means.
      cost_weight: λ.
      first: a log of queries before these.
      dearest: position of the model whose price changes.
      change: of its price.
      newcomer: position of the model that is added half way.
      like: position of the one nearest to it in mean quality, which it is said to resemble.
      trial: some of its answers to the first queries.
    """

    models: tuple[str, ...]
    embeddings: np.ndarray
    quality: np.ndarray
    cost: np.ndarray
    true_quality: np.ndarray
    true_cost: np.ndarray
    cost_weight: float
    first: Log
    dearest: int
    change: PriceChange
    newcomer: int
    like: int
    trial: Log

    @property
    def new_price(self) -> PriceChange:
        """What the newcomer costs beside the model it resembles."""
        means = self.true_cost.mean(axis=0)
        return PriceChange(float(means[self.newcomer] / means[self.like]))

    def changes(self, *, later: bool) -> dict[str, PriceChange]:
        """The price changes of a half."""
        return {self.models[self.dearest]: self.change} if later else {}

    def prices(self, *, later: bool) -> np.ndarray:
        """[m] what costs are multiplied by."""
        scale = np.ones(len(self.models))
        if later:
            scale[self.dearest] = self.change.scale
        return scale

    def utility(self, rows: slice, *, later: bool) -> np.ndarray:
        """[b, m] mean utility of every model for some queries."""
        cost = self.true_cost[rows] * self.prices(later=later)
        return np.asarray(self.true_quality[rows] - self.cost_weight * cost)


def world(config: LoopConfig, seed: int) -> World:
    """The world of a seed."""
    count = config.start + config.rounds * config.users
    made = embedded_table(seed, queries=count, dimensions=config.dimensions)
    means = made.true_quality.mean(axis=0)
    mean_cost = made.true_cost.mean(axis=0)
    cheapest, dearest = int(mean_cost.argmin()), int(mean_cost.argmax())
    others = [arm for arm in np.argsort(-means) if arm not in (cheapest, dearest)]
    arms = np.array(sorted([cheapest, dearest, *others[: MODELS - 2]]))
    table = made.table
    models = tuple(table.models[arm] for arm in arms)
    place = int(np.flatnonzero(arms == dearest)[0])
    cheap = int(np.flatnonzero(arms == cheapest)[0])
    newcomer = int(np.flatnonzero(arms == others[0])[0])
    known = [arm for arm in range(MODELS) if arm != newcomer]
    apart = abs(means[arms] - means[others[0]])
    like = min((arm for arm in known if arm != cheap), key=lambda arm: float(apart[arm]))
    rng = np.random.default_rng([seed, 1])
    policy = np.where(np.arange(MODELS) == cheap, 0.7, 0.3 / (MODELS - 2))[known]
    logged = rng.choice(MODELS - 1, size=config.start, p=policy)
    rows = np.arange(config.start)
    quality, cost = np.asarray(table.quality)[:, arms], np.asarray(table.cost)[:, arms]
    embeddings = np.asarray(table.features)
    first = Log.from_arrays(
        logged,
        quality[rows, np.array(known)[logged]],
        cost[rows, np.array(known)[logged]],
        models=tuple(models[arm] for arm in known),
        propensities=np.tile(policy, (config.start, 1)),
        embeddings=embeddings[: config.start],
        source="the first log",
    )
    tried = rows[: config.trial]
    trial = Log.from_arrays(
        np.full(len(tried), newcomer),
        quality[tried, newcomer],
        cost[tried, newcomer],
        models=models,
        embeddings=embeddings[tried],
        source="the trial",
    )
    later = slice(config.start, None)
    return World(
        models=models,
        embeddings=embeddings[later],
        quality=quality[later],
        cost=cost[later],
        true_quality=made.true_quality[:, arms][later],
        true_cost=made.true_cost[:, arms][later],
        cost_weight=config.cost_weight / float(mean_cost[dearest]),
        first=first,
        dearest=place,
        change=PriceChange(config.price, None),
        newcomer=newcomer,
        like=like,
        trial=trial,
    )


@dataclasses.dataclass
class Users:
    """Who says what, and when.

    Attributes:
      config: shares of those who say nothing, and of those who are late.
      rng: of the draws.
      late: (decision, quality, cost) that come a round later.
    """

    config: LoopConfig
    rng: np.random.Generator
    late: list[tuple[str, float, float]] = dataclasses.field(default_factory=list)

    def reports(self, answers: list[tuple[str, float, float]]) -> list[tuple[str, float, float]]:
        """What is said in this round, of this round's answers and of the last one's."""
        said, self.late = self.late, []
        for answer in answers:
            _, quality, _ = answer
            silent = self.rng.random() < self.config.missing
            silent |= self.rng.random() < self.config.silent * quality
            if silent:
                continue
            is_late = self.rng.random() < self.config.delayed
            (self.late if is_late else said).append(answer)
        return said
