"""Presets of the study of the closed loop: each is the record of a run."""

from __future__ import annotations

import dataclasses

from routerjax.errors import InputError


@dataclasses.dataclass(frozen=True)
class LoopConfig:
    """A router that is served, logged, refitted and promoted, on users who are simulated.

    Attributes:
      rounds: Times that the log is refitted, after as many queries each.
      users: Queries of a round.
      start: Rows of the log that the first router is fitted on, mostly of one cheap model.
      explore: The share of the queries that the loop explores.
      rule: By which a refitted router is promoted.
      cost_weight: The cost weight, over the mean cost of the dearest model.
      missing: The share of users who never say how the answer was.
      silent: The share of contented users who say nothing beside these: feedback is one-sided.
      delayed: The share of feedback that comes a round later.
      price: What the dearest model costs from half way on, as a share of its price before.
      retired: Whether the model that the first router chooses most is retired half way.
      trial: Answers of the model that is added half way, which are known before it is.
      newcomer: The share of the queries that it gets until a router is fitted on its answers.
      seeds: Number of repetitions.
      dimensions: Width of the embeddings.
    """

    rounds: int = 4
    users: int = 3_000
    start: int = 500
    explore: float = 0.05
    rule: str = "advantage.low > 0"
    cost_weight: float = 0.3
    missing: float = 0.2
    silent: float = 0.1
    delayed: float = 0.2
    price: float = 0.5
    retired: bool = True
    trial: int = 10
    newcomer: float = 0.05
    seeds: int = 1
    dimensions: int = 64


PRESETS = {
    "smoke": LoopConfig(rounds=2, users=300, start=200, seeds=1, dimensions=16),
    "quick": LoopConfig(),
    "seeds": LoopConfig(seeds=5),
    "full": LoopConfig(rounds=5, users=4_000, seeds=5),
}
"""smoke: a minute, for CI. quick: two minutes of one core. seeds: that five times. full: 20,000
users a seed, ten minutes of one core."""


def check(config: LoopConfig) -> LoopConfig:
    """The configuration, if it can be run.

    Raises:
      InputError: too few rounds, users, rows or seeds, or a share outside [0, 1).
    """
    for name, least in (("rounds", 2), ("users", 200), ("start", 100), ("seeds", 1), ("trial", 1)):
        if getattr(config, name) < least:
            raise InputError(f"{name} is {getattr(config, name)}; it must be at least {least}")
    for name in ("explore", "missing", "silent", "delayed", "newcomer"):
        if not 0 <= getattr(config, name) < 1:
            raise InputError(f"{name} is {getattr(config, name):g}; it must be 0 or more, below 1")
    if config.cost_weight < 0 or config.price <= 0:
        raise InputError("the cost weight must be 0 or more and the price above 0")
    return config
