"""A router that needs no fit, for tests of how routers are saved."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from routerjax.artefacts.gains import SavedGains
from routerjax.estimators.components import Components
from routerjax.estimators.ridge import Linear
from routerjax.models.gain_router import GainRouter

WHOLE = ["parameters.safetensors", "router.json"]
"""What is in a router's folder, as `names` tells it."""


def pair(value: float = 1.0) -> SavedGains:
    """A router of gains that needs no fit: of 4 numbers, the gain is `value` times the first."""
    directions = np.zeros((4, 2), np.float32)
    directions[0, 0] = 1
    return SavedGains(
        models=("cheap", "dear"),
        costs=(0.001, 0.01),
        encoder=None,
        dimensions=4,
        components=2,
        report={"value": value},
        provenance={},
        arrays=GainRouter(
            components=Components(centre=np.zeros(4, np.float32), directions=directions),
            gain=Linear(coefficients=np.float32([[value, 0]]), intercept=np.zeros(1, np.float32)),
            costs=np.float32([0.001, 0.01]),
        ),
    )


def value_of(folder: Path) -> float:
    """The value of the router in a folder, which its manifest and its parameters must agree on."""
    router = SavedGains.load(folder)
    value = float(np.asarray(router.arrays.gain.coefficients)[0, 0])
    assert router.report == {"value": value}, "manifest of one router, parameters of another"
    return value


def names(folder: Path) -> list[str]:
    """What is in a folder, versions without their number."""
    return sorted(re.sub("-[0-9a-f]{16}", "", path.name) for path in folder.iterdir())
