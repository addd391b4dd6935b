"""Surrogates by name: the losses of `routerjax.losses.surrogates`, or a user's own.

A surrogate takes the logits and the utilities of one query, [m] each, and returns a scalar.
It sees nothing else, so that a new one is a few lines in a file of its own. The trainer
vmaps it over rows and cost weights and divides the utilities by one fixed number per cost
weight beforehand, so that a surrogate may assume utilities of about unit spread.
"""

from __future__ import annotations

import functools
from collections.abc import Hashable

import jax
import jax.numpy as jnp

from routerjax.errors import InputError
from routerjax.losses.surrogates import SURROGATES, Surrogate
from routerjax.support.own_code import named


def resolve(surrogate: str | Surrogate) -> Surrogate:
    """Find a surrogate by name, a user's own by ``file.py:function``, or check a function.

    Args:
      surrogate: a key of `SURROGATES`; a path to a Python file, a colon and a function in it; or
        the function itself.

    Returns:
      The function (logits [m], utilities [m]) → scalar.

    Raises:
      InputError: no such surrogate, file or function; the file does not run; or the function
        does not give a finite scalar with a finite gradient for a row of three arms.
    """
    if callable(surrogate):
        name = getattr(surrogate, "__name__", repr(surrogate))
        if not isinstance(surrogate, Hashable):
            raise InputError("a surrogate must be hashable, as a function is", source=name)
        _try_out(surrogate, name)
        return surrogate
    found: Surrogate = named(surrogate, SURROGATES, kind="surrogate")
    if surrogate not in SURROGATES:
        _try_out(found, surrogate)
    return found


@functools.lru_cache
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
