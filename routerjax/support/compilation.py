"""Compiled programs kept on disk between processes."""

from __future__ import annotations

import contextlib


def keep_compiled() -> None:
    """Use JAX's persistent compilation cache, under the user's cache folder.

    Only for the command line and the experiments: a library must not change the settings of
    the program that imports it. A cache that cannot be written is done without.
    """
    import jax

    from routerjax.support.cache import cache_folder

    if getattr(jax.config, "jax_compilation_cache_dir", None) is not None:
        return  # the user has chosen one
    with contextlib.suppress(OSError):
        folder = cache_folder() / "compiled"
        folder.mkdir(parents=True, exist_ok=True)
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
