"""Presets of the comparison of encoders: each is the record of a run."""

from __future__ import annotations

import dataclasses

from routerjax.errors import InputError

FEWEST_ROWS = 60


@dataclasses.dataclass(frozen=True)
class EncodersConfig:
    """What routers from logs are worth under several encoders, and what encoding takes.

    Attributes:
      encoders: Encoders, the first of which the others are compared with.
      rows: Number of logged rows; the others of a table are its test.
      logging: Logging policies: uniform, biased, sharp.
      seeds: Number of draws of every log.
      cost_weights: Cost weights, over the mean cost of the table's dearest model.
      timed: Number of prompts of each table on which encoding is timed.
      queries: Rows of the embedded table, whose prompts are encoded anew; 0 leaves it out.
    """

    encoders: tuple[str, ...] = ("wordllama+length", "wordllama", "minilm+length", "minilm")
    rows: int = 2_500
    logging: tuple[str, ...] = ("uniform",)
    seeds: int = 5
    cost_weights: tuple[float, ...] = (0.0, 0.05, 0.2, 0.5, 1.0, 3.0)
    timed: int = 300
    queries: int = 0


PRESETS = {
    "smoke": EncodersConfig(
        encoders=("wordllama",),
        rows=100,
        logging=("uniform",),
        seeds=2,
        cost_weights=(0.0, 0.5),
        timed=20,
        queries=700,
    ),
    "quick": EncodersConfig(
        encoders=("wordllama+length", "wordllama"), rows=1_000, seeds=3, queries=4_000
    ),
    "full": EncodersConfig(),
}
"""smoke: seconds, for CI. quick: a minute, without a table. full: the README's, ten minutes of one
core, most of them MiniLM's."""


def check(config: EncodersConfig) -> EncodersConfig:
    """The configuration, if it can be run.

    Raises:
      InputError: no or repeated encoders, too few rows, seeds or prompts, or cost weights below 0.
    """
    if not config.encoders or len(set(config.encoders)) < len(config.encoders):
        raise InputError("encoders must be given, each of them once")
    if config.rows < FEWEST_ROWS:
        raise InputError(f"rows is {config.rows}; it must be at least {FEWEST_ROWS}")
    if config.seeds < 2:
        raise InputError(f"seeds is {config.seeds}; it must be at least 2")
    if config.timed < 1:
        raise InputError(f"timed is {config.timed}; it must be at least 1")
    if not config.cost_weights or min(config.cost_weights) < 0:
        raise InputError("cost weights must be given, each of them 0 or more")
    return config
