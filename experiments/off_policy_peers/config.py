"""Presets of the study of peers: each is the record of a run."""

from __future__ import annotations

import dataclasses

from routerjax.errors import InputError

FEWEST_ROWS, FEWEST_GOLD, MOST_MODELS = 300, 20, 5


@dataclasses.dataclass(frozen=True)
class PeersConfig:
    """Our values and other people's on the same rows.

    Attributes:
      rows: Rows of a log of effects.
      models: Numbers of models in it.
      logs: Number of logs of effects.
      scored: Rows that a judge or a gold-standard reading scored.
      gold: Numbers of gold rows among them.
      draws: Number of draws of those.
      seed: Seed of the draws and the folds.
    """

    rows: int = 2_000
    models: tuple[int, ...] = (2, 5)
    logs: int = 20
    scored: int = 1_000
    gold: tuple[int, ...] = (60, 100, 300)
    draws: int = 50
    seed: int = 0


PRESETS = {
    "smoke": PeersConfig(rows=400, models=(2,), logs=2, scored=200, gold=(40,), draws=3),
    "quick": PeersConfig(),
    "full": PeersConfig(logs=150, draws=500),
}
"""smoke: seconds, for CI. quick: under a minute of one core. full: the tables of the README."""


def check(config: PeersConfig) -> PeersConfig:
    """The configuration, if it can be run; a value given twice counts once.

    Raises:
      InputError: too few rows, models, logs or draws, or gold rows that are too few or all.
    """
    for field in ("rows", "scored"):
        count, least = getattr(config, field), FEWEST_ROWS if field == "rows" else 2 * FEWEST_GOLD
        if count < least:
            raise InputError(f"{field} is {count}; it must be at least {least}")
    for count in config.models:
        if not 2 <= count <= MOST_MODELS:
            raise InputError(f"models is {count}; it must be from 2 to {MOST_MODELS}")
    for count in config.gold:
        if not FEWEST_GOLD <= count <= config.scored - FEWEST_GOLD:
            least, most = FEWEST_GOLD, config.scored - FEWEST_GOLD
            raise InputError(f"gold is {count}; it must be from {least} to {most}")
    for field in ("logs", "draws"):
        if getattr(config, field) < 2:
            raise InputError(f"{field} is {getattr(config, field)}; it must be at least 2")
    return dataclasses.replace(
        config,
        models=tuple(dict.fromkeys(config.models)),
        gold=tuple(dict.fromkeys(config.gold)),
    )
