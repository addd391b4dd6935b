"""The same rows in ppi-python's hands. Importing this needs the package `ppi-python`."""

from __future__ import annotations

import numpy as np
from ppi_py import ppi_mean_ci, ppi_mean_pointestimate

from experiments.off_policy_peers.effects import NORMAL, Estimate

TUNED, PLAIN, AS_OURS = "PPI, λ tuned", "PPI, λ = 1", "PPI, λ = 1 − e"


def estimates(right: np.ndarray, predicted: np.ndarray, others: np.ndarray) -> dict[str, Estimate]:
    """Its mean with the λ that it chooses, with λ = 1, and with the λ that makes it ours.

    Args:
      right: [g] gold scores.
      predicted: [g] predictions of the gold rows.
      others: [n − g] predictions of the others.
    """
    share = len(right) / (len(right) + len(others))
    found = {}
    for name, power in ((TUNED, None), (PLAIN, 1.0), (AS_OURS, 1 - share)):
        mean = ppi_mean_pointestimate(right, predicted, others, lam=power)
        low, high = ppi_mean_ci(right, predicted, others, alpha=0.05, lam=power)
        reach = float(np.squeeze(high) - np.squeeze(low)) / 2
        found[name] = Estimate(float(np.squeeze(mean)), reach / NORMAL, reach)
    return found
