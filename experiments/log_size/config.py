"""Presets of the study of log sizes: each is the record of a run."""

from __future__ import annotations

import dataclasses

from routerjax.errors import InputError

LOGGING = ("uniform", "biased", "sharp")
FEWEST_ROWS, FEWEST_TEST = 60, 500


@dataclasses.dataclass(frozen=True)
class SizeConfig:
    """What routers from logs of several sizes add to the best single model of the same log.

    Attributes:
      rows: Numbers of logged rows. A table is left out of those that leave fewer than 500 to test.
      logging: Logging policies: uniform, biased, sharp.
      seeds: Number of draws of every cell.
      cost_weights: Cost weights, over the mean cost of the table's dearest model.
      former: Whether the method of version 0.1.0 is fitted too; it is trained, and slow.
      recorded: Whether the log records its propensities.
      queries: Rows of the embedded table; 0 leaves it out.
      dimensions: Width of its embeddings.
    """

    rows: tuple[int, ...] = (500, 2_500)
    logging: tuple[str, ...] = ("uniform", "biased")
    seeds: int = 3
    cost_weights: tuple[float, ...] = (0.0, 0.05, 0.2, 0.5, 1.0, 3.0)
    former: bool = False
    recorded: bool = False
    queries: int = 6_000
    dimensions: int = 64


PRESETS = {
    "smoke": SizeConfig(
        rows=(100,), logging=("uniform",), seeds=2, cost_weights=(0.0, 0.5), queries=700
    ),
    "quick": SizeConfig(),
    "full": SizeConfig(rows=(500, 1_000, 2_500, 10_000), logging=LOGGING, seeds=20, queries=20_000),
}
"""smoke: seconds, for CI. quick: a minute of one core. full: the sizes of the README's tables, with
more seeds; about two minutes of one core a seed with the README's four tables."""


def check(config: SizeConfig) -> SizeConfig:
    """The configuration, if it can be run; a value given twice counts once.

    Raises:
      InputError: an unknown logging policy, too few rows or seeds, or cost weights below 0.
    """
    for name in config.logging:
        if name not in LOGGING:
            raise InputError(f"no logging {name!r}; known are {', '.join(LOGGING)}")
    for count in config.rows:
        if count < FEWEST_ROWS:
            raise InputError(f"rows is {count}; it must be at least {FEWEST_ROWS}")
    if config.seeds < 2:
        raise InputError(f"seeds is {config.seeds}; it must be at least 2")
    if not config.cost_weights or min(config.cost_weights) < 0:
        raise InputError("cost weights must be given, each of them 0 or more")
    return dataclasses.replace(
        config,
        rows=tuple(sorted(set(config.rows))),
        logging=tuple(dict.fromkeys(config.logging)),
        cost_weights=tuple(sorted(set(config.cost_weights))),
    )
