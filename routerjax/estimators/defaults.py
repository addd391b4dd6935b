"""Defaults that estimators and settings share, apart from anything that imports JAX."""

FLOOR = 0.01
"""Propensities below this are taken as this unless the caller says otherwise."""
EVEN_SHARE = 0.1
"""Of an even share, 1/m, that a floor of estimated propensities is at most: an arm of many that is
explored at a few percent is not cut off."""

SUPPORT = 0.1
"""Share of an even share, 1/m, with which the log's policy must have asked a model of such queries
for the log to support its choice."""


def floor_of(floor: float | None, *, models: int, recorded: float) -> float:
    """The floor that is used: the one given, else by what the propensities are.

    Recorded propensities are known, however small, and their standard errors tell; estimated ones
    may be small by error.

    Args:
      floor: as set; None where it is left open.
      models: m.
      recorded: share of the propensities that were recorded.
    """
    if floor is not None:
        return floor
    return 0.0 if recorded == 1 else min(FLOOR, EVEN_SHARE / models)
