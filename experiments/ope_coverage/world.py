"""A world of which every policy's value is known in closed form, and logs drawn from it.

A query is u, which decides who answers well, and v; both are uniform on [−1, 1]. With centres c_m
spread evenly over [−1, 1]:

  P(right | u, v, m) = 0.8 − 0.15·(u − c_m)² ± 0.1·v + the user's effect,   + for every other model
  E[cost | u, v, m]  = κ_m·(1 + v/2),  κ from 0.0005 to 0.01 dollars

The policy at a cost weight cuts u into m pieces, ends at z = (j/m)^(1/p) for z = (u + 1)/2, and
sends piece j to model j; p rises with the cost weight, which sends more queries to cheaper models.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

LOGGING = {"uniform": 0.0, "biased": 1.0, "sharp": 5.0}
"""Logging policy → how strongly it avoids the models that answer well: logits −strength·c_m·u."""

DEPENDENCE = {"independent": 1, "repeats": 4, "sessions": 20}
"""How rows depend on each other → rows of a group. Repeats are copies of one row. A session has one
user, one u and one model; its queries differ in v, and are right or wrong each."""

USER_EFFECT = 0.1
"""Largest effect of a user on the chance that an answer is right."""

POWERS = {0.0: 0.7, 5.0: 0.8, 10.0: 0.9, 20.0: 1.0, 40.0: 1.2, 80.0: 1.5, 160.0: 2.0}
"""Cost weight → p of the policy there."""

MAIN = 20.0
"""The cost weight whose intervals are counted; the band is over all."""


@dataclasses.dataclass(frozen=True)
class World:
    """Models, and how they answer.

    Attributes:
      models: m.
      level: Whether all models answer alike and cost the same, so that no policy is better.
    """

    models: int
    level: bool = False

    @property
    def centres(self) -> np.ndarray:
        """[m] where on u each model answers best."""
        return (2 * np.arange(self.models) + 1) / self.models - 1

    @property
    def costs(self) -> np.ndarray:
        """[m] mean cost of a query."""
        if self.level:
            return np.full(self.models, 0.005)
        return np.geomspace(0.0005, 0.01, self.models)

    def quality(self, u: np.ndarray, v: np.ndarray, arms: np.ndarray) -> np.ndarray:
        """Chance that the arm's answer is right, but for the user's effect; any shape."""
        if self.level:
            return 0.6 + 0.1 * v
        sign = np.where(arms % 2 == 0, 1.0, -1.0)
        return 0.8 - 0.15 * (u - self.centres[arms]) ** 2 + 0.1 * sign * v

    def ends(self, power: float) -> np.ndarray:
        """[m + 1] ends on u of the pieces of the policy."""
        return 2 * (np.arange(self.models + 1) / self.models) ** (1 / power) - 1

    def choice(self, u: np.ndarray, power: float) -> np.ndarray:
        """Arms of the policy at u, [n]."""
        return np.clip(np.searchsorted(self.ends(power), u, side="right") - 1, 0, self.models - 1)

    def truth(self, power: float) -> tuple[float, float]:
        """Expected quality and cost of the policy: integrals over u of each piece, density 1/2."""
        ends = self.ends(power)
        width = np.diff(ends) / 2
        if self.level:
            return 0.6, 0.005
        cubes = (ends[1:] - self.centres) ** 3 - (ends[:-1] - self.centres) ** 3
        return float((0.8 * width - 0.15 * cubes / 6).sum()), float((width * self.costs).sum())

    def today(self, logging: str) -> tuple[float, float]:
        """Expected quality and cost of the logging policy: Gauss's quadrature over u, v apart."""
        u, weights = np.polynomial.legendre.leggauss(80)
        asked = self.propensities(u, logging) * weights[:, None] / 2
        arms = np.broadcast_to(np.arange(self.models), asked.shape)
        quality = self.quality(u[:, None], np.zeros(1), arms)
        return float((asked * quality).sum()), float((asked * self.costs).sum())

    def propensities(self, u: np.ndarray, logging: str) -> np.ndarray:
        """[..., m] probability of every arm under the logging policy."""
        logits = -LOGGING[logging] * self.centres * u[..., None]
        weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return weights / weights.sum(axis=-1, keepdims=True)


class Draws(NamedTuple):
    """Logs of one kind; [r, n] each unless said.

    Attributes:
      features: [r, n, 3] of 1, u and v.
      arms: who answered.
      quality, cost: what came of it.
      propensities: [r, n] of the arm that answered, as the logging policy had them.
      groups: [n] number of each row's group.
    """

    features: np.ndarray
    arms: np.ndarray
    quality: np.ndarray
    cost: np.ndarray
    propensities: np.ndarray
    groups: np.ndarray

    def rows(self, rows: np.ndarray) -> Draws:
        """Some rows of every log, their groups numbered anew."""
        return Draws(
            features=self.features[:, rows],
            arms=self.arms[:, rows],
            quality=self.quality[:, rows],
            cost=self.cost[:, rows],
            propensities=self.propensities[:, rows],
            groups=np.unique(self.groups[rows], return_inverse=True)[1],
        )


def draw(
    world: World,
    rng: np.random.Generator,
    *,
    logs: int,
    rows: int,
    logging: str,
    dependence: str,
) -> Draws:
    """Draw logs of rows that depend on each other as said.

    Args:
      world: how models answer.
      rng: where draws come from.
      logs: r.
      rows: n of each log.
      logging: a key of `LOGGING`.
      dependence: a key of `DEPENDENCE`.
    """
    groups = np.arange(rows) // DEPENDENCE[dependence]
    units = groups[-1] + 1
    of_group = (logs, units)
    sessions, own = dependence == "sessions", of_group if dependence == "repeats" else (logs, rows)
    u = rng.uniform(-1, 1, of_group)
    policy = world.propensities(u, logging)
    arms = (policy.cumsum(axis=-1) > rng.random((*of_group, 1))).argmax(axis=-1)
    chosen = np.take_along_axis(policy, arms[..., None], axis=-1)[..., 0]
    effect = rng.uniform(-USER_EFFECT, USER_EFFECT, of_group) * sessions
    u, arms, chosen, effect = (values[:, groups] for values in (u, arms, chosen, effect))
    spread = groups if dependence == "repeats" else np.arange(rows)
    v, luck = (rng.uniform(low, 1, own)[:, spread] for low in (-1, 0))
    length = rng.gamma(4.0, 1 / 4, own)[:, spread]
    return Draws(
        features=np.stack([np.ones_like(u), u, v], axis=-1),
        arms=arms,
        quality=(luck < world.quality(u, v, arms) + effect).astype(np.float64),
        cost=world.costs[arms] * (1 + v / 2) * length,
        propensities=chosen,
        groups=groups,
    )
