"""Whether a file of gains and what was told about it can be right, before anything is learnt."""

from __future__ import annotations

import warnings

import numpy as np

from routerjax.data.io.gain_labels import GainLabels
from routerjax.errors import DataWarning, InputError
from routerjax.training.config import GainConfig

SAME = 20
"""So many rows whose two labels are all equal are no accident."""
FAR = 100.0
"""Standard deviations of gold and preference labels that differ by this factor are no one gain."""


def check_labels(labels: GainLabels, config: GainConfig) -> None:
    """Say what is wrong with labels, and warn of what may be.

    Args:
      labels: as read.
      config: models and costs, the alternative's first.

    Raises:
      InputError: the gold labels were given as preference labels too.

    Warns:
      DataWarning: the primary is the cheaper one, or the scales differ a hundredfold.
    """
    gold, preference = labels.gold, labels.preference
    both = ~np.isnan(gold) & ~np.isnan(preference)
    named = labels.columns[0] == labels.columns[1]
    if named or (both.sum() >= SAME and (gold[both] == preference[both]).all()):
        what = "the same column" if named else f"equal on all {both.sum()} rows that have both"
        raise InputError(
            f"gold and preference labels are {what}; cheap labels that are gold have no bias to "
            "learn: name another preference column",
            source=labels.source,
            field=labels.columns[1],
        )
    if config.costs is not None and config.costs[1] < config.costs[0]:
        alternative, primary = config.models
        _warn(
            labels,
            f"the primary, {primary}, costs {config.costs[1]:g} dollars a query and the "
            f"alternative, {alternative}, {config.costs[0]:g}: the primary is the dear one, and is "
            "named first; are the costs swapped?",
        )
    known = [values[~np.isnan(values)].astype(np.float64) for values in (gold, preference)]
    spreads = [float(values.std()) if len(values) else 0.0 for values in known]
    if min(spreads) > 0 and max(spreads) / min(spreads) >= FAR:
        _warn(
            labels,
            f"gold labels have a standard deviation of {spreads[0]:.3g}, preference labels of "
            f"{spreads[1]:.3g}: do both measure the same gain?",
        )


def _warn(labels: GainLabels, problem: str) -> None:
    warnings.warn(f"{labels.source}: {problem}", DataWarning, stacklevel=4)
