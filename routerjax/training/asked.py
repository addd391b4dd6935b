"""What a surrogate asks of the data, and at which settings it is tried."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from routerjax.errors import InputError
from routerjax.losses.arguments import OF_A_LOG
from routerjax.losses.by_name import Chosen
from routerjax.records.tables import Estimates
from routerjax.training.config import RouterConfig

RATE = "learning rate"


class Logged(NamedTuple):
    """The answers of a log, for surrogates that read them themselves.

    Attributes:
      arm: [n] index of the model that answered.
      quality, cost: [n] of its answer, as logged.
      propensity: [n] probability with which it was chosen, clipped where the estimates' are.
    """

    arm: Int[np.ndarray, " n"]
    quality: Float[np.ndarray, " n"]
    cost: Float[np.ndarray, " n"]
    propensity: Float[np.ndarray, " n"]


def asked_rows(
    asked: Sequence[str],
    shape: tuple[int, ...],
    predicted: Estimates,
    logged: Logged | None,
    available: Bool[np.ndarray, "n m"] | None,
    surrogate: str,
) -> dict[str, Any]:
    """Rows that a training carries because its surrogate asks for them, by name.

    Args:
      asked: names of `routerjax.losses.ARGUMENTS`.
      shape: (n, m).
      predicted: [n, m] outcome predictions.
      logged: The log's answers; None for a complete table.
      available: [n, m] True where the arm could be chosen; None where every arm could.
      surrogate: its name, for the message.

    Raises:
      InputError: it asks for what only a log has, and there is none.
    """
    rows: dict[str, Any] = {}
    of_a_log = [name for name in asked if name in OF_A_LOG]
    if of_a_log:
        if logged is None:
            problem = f"surrogate asks for {', '.join(of_a_log)}, which only a log has"
            raise InputError(f"{problem}; here every model answered", source=surrogate)
        rows["logged"] = logged
    if "predicted" in asked:
        rows["predicted"] = predicted
    if "weight" in asked:
        rows["weight"] = np.ones(shape[0], np.float32)
    if "mask" in asked:
        rows["mask"] = np.ones(shape, bool) if available is None else available
    return rows


def tries_of(config: RouterConfig, surrogate: Chosen) -> list[dict[str, float]]:
    """What each run is trained at: a learning rate, and values of the surrogate's settings."""
    rates = [float(rate) for rate in np.atleast_1d(np.asarray(config.learning_rate, np.float32))]
    return [{RATE: rate, **own} for rate in rates for own in surrogate.combinations]
