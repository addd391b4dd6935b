"""Warnings about a log that covers its models badly."""

from __future__ import annotations

import warnings

from routerjax.errors import DataWarning
from routerjax.estimators.overlap import Overlap

FEW_ROWS = 30
"""Below this effective sample size a model's estimates deserve a warning."""


def warn_of_overlap(overlap: Overlap) -> None:
    """Warn where a model has hardly been logged or many propensities are clipped."""
    model, size = overlap.weakest
    if size < FEW_ROWS:
        warnings.warn(
            f"{model} answered so few rows (effective sample size {size:.0f}) that what the "
            "router believes of it is weak",
            DataWarning,
            stacklevel=2,
        )
    if overlap.share_clipped > 0.05:
        warnings.warn(
            f"{overlap.share_clipped:.0%} of the propensities lie below {overlap.floor:g} and "
            "were clipped; dr and ips estimates are biased there",
            DataWarning,
            stacklevel=2,
        )
