"""The same rows in Open Bandit Pipeline's hands. Importing this needs the package `sb-obp`."""

from __future__ import annotations

from typing import Any

import numpy as np
from obp import ope

from experiments.off_policy_peers.bandit import Given

BOOTSTRAPS = 1_000
CLASSES = {
    "direct": ope.DirectMethod,
    "ips": ope.InverseProbabilityWeighting,
    "snips": ope.SelfNormalizedInverseProbabilityWeighting,
    "dr": ope.DoublyRobust,
    "sndr": ope.SelfNormalizedDoublyRobust,
    "switch-dr": ope.SwitchDoublyRobust,
    "dros": ope.DoublyRobustWithShrinkage,
}
TUNED = {
    "switch-dr": ope.SwitchDoublyRobustTuning,
    "dros": ope.DoublyRobustWithShrinkageTuning,
}
"""Estimators whose parameter the package chooses itself, from a list."""


def value(name: str, given: Given, parameter: float | None) -> float:
    """The policy's value by the class of the same formula."""
    return float(_class(name, parameter).estimate_policy_value(**_inputs(given)))


def interval(name: str, given: Given, parameter: float | None, *, seed: int) -> dict[str, float]:
    """Its 95 % interval, a bootstrap of the rows' terms."""
    found = _class(name, parameter).estimate_interval(
        **_inputs(given), alpha=0.05, n_bootstrap_samples=BOOTSTRAPS, random_state=seed
    )
    low, high = (float(found[f"95.0% CI ({end})"]) for end in ("lower", "upper"))
    return {"low": low, "high": high}


def tuned(name: str, given: Given, values: list[float]) -> dict[str, Any]:
    """The value at the parameter that the package chooses of the same list, by its two rules."""
    if name not in TUNED:
        return {}
    return {
        f"by {rule}": float(
            TUNED[name](lambdas=values, tuning_method=rule).estimate_policy_value_with_tuning(
                **_inputs(given)
            )
        )
        for rule in ("slope", "mse")
    }


def _class(name: str, parameter: float | None) -> Any:
    return CLASSES[name]() if parameter is None else CLASSES[name](lambda_=parameter)


def _inputs(given: Given) -> dict[str, np.ndarray]:
    return {
        "reward": np.asarray(given.log.quality, np.float64),
        "action": np.asarray(given.log.arms),
        "position": np.zeros(len(given.log), int),  # its tuning fails without
        "pscore": np.maximum(given.propensities, given.floor),
        "action_dist": given.policy[:, :, None],
        "estimated_rewards_by_reg_model": np.asarray(given.predicted.quality)[:, :, None],
    }
