"""The default that estimators and settings share, apart from anything that imports JAX."""

FLOOR = 0.01
"""Propensities below this are taken as this unless the caller says otherwise."""
