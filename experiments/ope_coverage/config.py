"""Presets of the coverage study: each is the record of a run."""

from __future__ import annotations

import dataclasses

from experiments.ope_coverage.world import DEPENDENCE, LOGGING
from routerjax.errors import InputError

PROPENSITIES = ("recorded", "estimated")
FEWEST_ROWS = 200


@dataclasses.dataclass(frozen=True)
class CoverageConfig:
    """Intervals of a policy's value on logs drawn from a world whose truth is known.

    Attributes:
      rows: Numbers of logged rows.
      models: Numbers of models.
      logging: Logging policies: uniform, biased, sharp.
      dependence: How rows depend on each other: independent, repeats, sessions.
      propensities: Where propensities come from: recorded, estimated.
      logs: Number of logs of every cell.
      null_logs: Number of logs of every cell of the world in which all models are alike.
      seed: Seed of the draws.
    """

    rows: tuple[int, ...] = (500, 2_000)
    models: tuple[int, ...] = (2, 11)
    logging: tuple[str, ...] = tuple(LOGGING)
    dependence: tuple[str, ...] = tuple(DEPENDENCE)
    propensities: tuple[str, ...] = PROPENSITIES
    logs: int = 50
    null_logs: int = 50
    seed: int = 0


PRESETS = {
    "smoke": CoverageConfig(
        rows=(240,), models=(2,), dependence=("independent", "sessions"), logs=8, null_logs=8
    ),
    "quick": CoverageConfig(),
    "full": CoverageConfig(rows=(500, 2_000, 8_000), logs=500, null_logs=500),
}
"""smoke: seconds, for CI. quick: under a minute of one core, coverage to within 6 points. full: the
tables of the README, a quarter of an hour of one core."""


def check(config: CoverageConfig) -> CoverageConfig:
    """The configuration, if it can be run; a value given twice counts once.

    Raises:
      InputError: an unknown name, or too few rows, models or logs.
    """
    for field, known in (
        ("logging", tuple(LOGGING)),
        ("dependence", tuple(DEPENDENCE)),
        ("propensities", PROPENSITIES),
    ):
        for name in getattr(config, field):
            if name not in known:
                raise InputError(f"no {field} {name!r}; known are {', '.join(known)}")
    for field, least in (("rows", FEWEST_ROWS), ("models", 2)):
        for count in getattr(config, field):
            if count < least:
                raise InputError(f"{field} is {count}; it must be at least {least}")
    for field in ("logs", "null_logs"):
        if getattr(config, field) < 2:
            raise InputError(f"{field} is {getattr(config, field)}; it must be at least 2")
    return dataclasses.replace(
        config,
        rows=tuple(dict.fromkeys(config.rows)),
        models=tuple(dict.fromkeys(config.models)),
        logging=tuple(dict.fromkeys(config.logging)),
        dependence=tuple(dict.fromkeys(config.dependence)),
        propensities=tuple(dict.fromkeys(config.propensities)),
    )
