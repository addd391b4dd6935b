"""Defaults that estimators and settings share, apart from anything that imports JAX."""

FLOOR = 0.01
"""Propensities below this are taken as this unless the caller says otherwise."""

SUPPORT = 0.1
"""Share of an even share, 1/m, with which the log's policy must have asked a model of such queries
for the log to support its choice."""
