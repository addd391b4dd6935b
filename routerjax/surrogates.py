"""Surrogate losses of routing regret: the functions a router is trained on.

A surrogate takes the logits and the utilities of one query, [m] each, and returns a scalar.
It sees nothing else, so that a new one is a few lines in a file of its own. The trainer
vmaps it over rows and cost weights and divides the utilities by one fixed number per cost
weight beforehand, so that a surrogate may assume utilities of about unit spread.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from routerjax.errors import InputError

Surrogate = Callable[[Float[Array, " m"], Float[Array, " m"]], Float[Array, ""]]


def classification_bound(
    logits: Float[Array, "*batch m"], utilities: Float[Array, "*batch m"]
) -> Float[Array, "*batch"]:
    """Penalise a low probability of the arm of highest utility.

    ℓ = −log softmax(logits)_{m*},  m* = argmax_m ũ_m (the first one at a tie).

    The regret of the argmax policy is at most (max ũ − min ũ)·1{argmax logits ≠ m*}, and
    ℓ / log 2 is at least that indicator, so that (max ũ − min ũ)·ℓ / log 2 bounds the regret.
    Only the label is kept of ũ: noise in ũ biases it towards arms that look good by luck.

    Args:
      logits: [..., m] real scores.
      utilities: [..., m] utilities in any unit; only their order counts.

    Returns:
      [...] loss in nats, 0 or more.

    Reference: Causal LLM Routing (arXiv 2505.16037), the classification upper bound.

    >>> float(classification_bound(jnp.array([0.0, 0.0]), jnp.array([1.0, 3.0]))).__round__(4)
    0.6931
    """
    best = jnp.argmax(utilities, axis=-1)
    log_probabilities = jax.nn.log_softmax(logits, axis=-1)
    return -jnp.take_along_axis(log_probabilities, best[..., None], axis=-1)[..., 0]


def softmax_regret(
    logits: Float[Array, "*batch m"],
    utilities: Float[Array, "*batch m"],
    *,
    temperature: float = 1.0,
) -> Float[Array, "*batch"]:
    """Average the regret of the arms under the softmax policy of the logits.

    ℓ = Σ_m softmax(logits / T)_m · (max_m' ũ_m' − ũ_m).

    Up to the constant max ũ it is linear in ũ: unbiased noise in ũ leaves its gradient
    unbiased. As T → 0, or as the logits grow, it becomes the regret of the argmax policy.

    Args:
      logits: [..., m] real scores.
      utilities: [..., m] utilities ũ; the loss has their unit.
      temperature: T > 0.

    Returns:
      [...] expected regret, 0 or more.

    Reference: Causal LLM Routing (arXiv 2505.16037), the softmax-weighted regret.

    >>> float(softmax_regret(jnp.array([0.0, 0.0]), jnp.array([1.0, 3.0])))
    1.0
    """
    regrets = jnp.max(utilities, axis=-1, keepdims=True) - utilities
    return jnp.sum(jax.nn.softmax(logits / temperature, axis=-1) * regrets, axis=-1)


SURROGATES: dict[str, Surrogate] = {
    "classification_bound": classification_bound,
    "softmax_regret": softmax_regret,
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
    surrogate = _load(Path(path), function)
    _try_out(surrogate, name)
    return surrogate


def _load(path: Path, function: str) -> Surrogate:
    if not path.is_file():
        raise InputError("no such file, where a surrogate was expected", source=str(path))
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
