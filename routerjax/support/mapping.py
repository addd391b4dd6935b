"""A function of every element of a leading axis: one after another, or side by side.

Folds, arms, runs and members are such axes. One element fills a CPU, and `lax.map` gives each the
bits it would have alone. An accelerator that is handed one small element at a time mostly waits;
there elements are vmapped, as many at once as a share of its memory holds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

SHARE_OF_MEMORY = 0.25
"""Of the device's memory, for what the elements that are computed at once hold."""

UNKNOWN_MEMORY = 8 << 30
"""Bytes a device is taken to have that does not say."""


def side_by_side() -> bool:
    """Whether elements are computed side by side on JAX's default backend."""
    import jax

    return bool(jax.default_backend() != "cpu")


def device_memory() -> int | None:
    """Bytes of memory of the default device, None where it does not say."""
    import jax

    statistics = jax.local_devices()[0].memory_stats() or {}
    return int(statistics["bytes_limit"]) if "bytes_limit" in statistics else None


def mapped(function: Callable[[Any], Any], elements: Any, *, holds: int) -> Any:
    """function(element) of every element, stacked.

    Args:
      function: of one element; traced once.
      elements: pytree of arrays with one leading axis.
      holds: bytes that one element takes while it is computed, roughly. No more elements are
        computed at once than a share of the memory has room for.

    Returns:
      What `jax.lax.map` returns, up to the order of sums.

    >>> import jax.numpy as jnp
    >>> mapped(lambda pair: pair[0] * pair[1], (jnp.arange(3), jnp.arange(3)), holds=4).tolist()
    [0, 1, 4]
    """
    import jax

    if not side_by_side():
        return jax.lax.map(function, elements)
    count = len(jax.tree.leaves(elements)[0])
    at_once = room_for(holds)
    if at_once >= count:
        return jax.vmap(function)(elements)
    return jax.lax.map(function, elements, batch_size=at_once)


def room_for(holds: int) -> int:
    """How many elements of so many bytes are computed at once, at least one."""
    budget = int(SHARE_OF_MEMORY * (device_memory() or UNKNOWN_MEMORY))
    return max(1, budget // max(holds, 1))
