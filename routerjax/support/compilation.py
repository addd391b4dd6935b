"""What compiling costs: programs kept on disk, programs that are compiled quickly, few shapes."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from routerjax.support.kept_programs import kept_program
from routerjax.support.program_folder import keep_in

Call = TypeVar("Call", bound=Callable[..., Any])
SIZES = (512, 2048, 8192)
"""Numbers of rows to which fewer are filled up; larger ones are powers of two."""


def padded_size(rows: int) -> int:
    """The next of a few numbers of rows: few shapes, few compilations."""
    return next((size for size in SIZES if rows <= size), 1 << max(rows - 1, 0).bit_length())


def padded(values: np.ndarray, size: int, *, fill: float = 0) -> np.ndarray:
    """Values [n, ...] filled up to `size` rows."""
    if len(values) == size:
        return values
    found = np.full((size, *values.shape[1:]), fill, values.dtype)
    found[: len(values)] = values
    return found


def full_precision(function: Call) -> Call:
    """The function, its products in full single precision on every device.

    Accelerators multiply float32 matrices at fewer bits unless they are told otherwise (an H100 at
    the 10 of TF32), which is too few where a Gram matrix is factorised.
    """

    @functools.wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        import jax

        with jax.default_matmul_precision("highest"):
            return function(*arguments, **options)

    return call  # type: ignore[return-value]


def quickly_compiled(
    function: Callable[..., Any], *, static: Sequence[str] = ()
) -> Callable[..., Any]:
    """`jax.jit` of a program that runs a few times, and whose compiling would cost more.

    On a CPU the compiler leaves its own loops as they are; products and factorisations are library
    calls either way. Up to JAX 0.10 its former code for loops compiles in a third of the time;
    later ones do not know it. It cannot be called from another compiled program. Products are in
    full single precision. It is kept on disk (`routerjax.support.kept_programs`).

    Args:
      function: to be compiled at its first call.
      static: names of its arguments that are no arrays.
    """

    return kept_program(full_precision(function), static=static, options=_quick)


def _quick() -> dict[str, Any]:
    """Options of the compiler."""
    import jax

    quick: dict[str, Any] = {}
    if jax.default_backend() == "cpu":
        quick["xla_backend_optimization_level"] = 0
        if jax.__version__.startswith("0.10."):
            quick["xla_cpu_use_fusion_emitters"] = False
    return quick


def seeded_key(seed: int) -> Any:
    """`jax.random.key` of a seed below 2³², by a kept program: by itself it compiles two."""
    return _key(np.uint32(seed))


@kept_program
def _key(seed: Any) -> Any:
    import jax

    return jax.random.key(seed)


@functools.partial(kept_program, static=("count",))
def split_keys(key: Any, count: int = 2) -> tuple[Any, ...]:
    """The keys of `jax.random.split`, one by one: a program instead of one for each of them."""
    import jax

    return tuple(jax.random.split(key, count))


def keep_compiled() -> None:
    """Use JAX's persistent compilation cache, under the user's cache folder.

    What fits, evaluates or routes calls it, since compiling is most of a first short run. A folder
    that the program has chosen (`jax_compilation_cache_dir`) stays, `JAX_ENABLE_COMPILATION_CACHE`
    switches all of it off, and a cache that cannot be written is done without.
    """
    import jax

    from routerjax.support.cache import cache_folder

    if getattr(jax.config, "jax_compilation_cache_dir", None) is not None:
        return  # the user has chosen one
    with contextlib.suppress(OSError):
        folder = cache_folder() / "compiled"
        folder.mkdir(parents=True, exist_ok=True)
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        keep_in(folder)
