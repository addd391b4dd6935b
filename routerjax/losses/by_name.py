"""Surrogates by name: the losses of `routerjax.losses.surrogates`, or a user's own in a file.

A surrogate takes the logits and the utilities of one query, [m] each, and returns a scalar.
It sees nothing else, so that a new one is a few lines in a file of its own. The trainer
vmaps it over rows and cost weights and divides the utilities by one fixed number per cost
weight beforehand, so that a surrogate may assume utilities of about unit spread.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from routerjax.errors import InputError
from routerjax.losses.surrogates import (
    classification_bound,
    counterfactual_risk,
    pairwise_ranking,
    soft_regret,
    softmax_regret,
    spo_plus,
    weighted_classification,
)

Surrogate = Callable[[Float[Array, " m"], Float[Array, " m"]], Float[Array, ""]]

SURROGATES: dict[str, Surrogate] = {
    "classification_bound": classification_bound,
    "softmax_regret": softmax_regret,
    "weighted_classification": weighted_classification,
    "soft_regret": soft_regret,
    "pairwise_ranking": pairwise_ranking,
    "spo_plus": spo_plus,
    "counterfactual_risk": counterfactual_risk,
}


def resolve(name: str) -> Surrogate:
    """Find a surrogate by name, or a user's own by ``file.py:function``.

    Args:
      name: a key of `SURROGATES`, or a path to a Python file, a colon and a function in it.

    Returns:
      The function (logits [m], utilities [m]) → scalar.

    Raises:
      InputError: no such surrogate, file or function; the file does not run; or the function
        does not give a finite scalar with a finite gradient for a row of three arms.
    """
    if name in SURROGATES:
        return SURROGATES[name]
    path, _, function = name.rpartition(":")
    if not path.endswith(".py"):
        known = ", ".join(SURROGATES)
        raise InputError(f"no surrogate {name!r}; known are {known}, or name your_file.py:function")
    file = Path(path)
    if not file.is_file():
        raise InputError("no such file, where a surrogate was expected", source=path)
    return _own(path, function, (file.resolve(), file.stat().st_mtime_ns))


@functools.lru_cache
def _own(path: str, function: str, state: tuple[Path, int]) -> Surrogate:
    """One object for one state of a file, so that it is compiled once for all its trainings."""
    del state  # only tells apart
    surrogate = _load(Path(path), function)
    _try_out(surrogate, f"{path}:{function}")
    return surrogate


def _load(path: Path, function: str) -> Surrogate:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise InputError(f"the file does not run ({reason})", source=str(path)) from error
    if not callable(getattr(module, function, None)):
        raise InputError(f"the file has no function {function!r}", source=str(path))
    return getattr(module, function)


def _try_out(surrogate: Surrogate, name: str) -> None:
    logits, utilities = jnp.array([0.1, 0.2, -0.1]), jnp.array([0.3, -0.2, 0.5])
    try:
        loss, slope = jax.jit(jax.value_and_grad(surrogate))(logits, utilities)
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else ""
        raise InputError(
            f"surrogate fails on a row of three arms ({type(error).__name__}: {reason}); "
            "it must take (logits [m], utilities [m]) and return a differentiable scalar",
            source=name,
        ) from error
    if not (jnp.isfinite(loss) and jnp.isfinite(slope).all()):
        raise InputError("surrogate gives a loss or gradient that is not finite", source=name)
