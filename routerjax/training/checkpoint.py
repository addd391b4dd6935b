"""Arrays on disk, by orbax. No other file knows orbax."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import Any

import jax
import numpy as np

from routerjax.errors import InputError


def save_arrays(path: Path, tree: Any) -> None:
    """Write a pytree of arrays into the new folder `path`; returns when it is on disk."""
    ocp = _orbax()

    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(path.absolute(), jax.tree.map(np.asarray, tree))
        checkpointer.wait_until_finished()


def load_arrays(path: Path, template: Any) -> Any:
    """Read a pytree of NumPy arrays with the structure and shapes of `template`.

    Raises:
      InputError: the folder is missing, damaged, or holds arrays of other shapes.
    """
    ocp = _orbax()
    as_numpy = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), template)
    try:
        with ocp.PyTreeCheckpointer() as checkpointer:
            tree = checkpointer.restore(path.absolute(), item=template, restore_args=as_numpy)
    except Exception as error:  # orbax and tensorstore raise many kinds
        raise InputError("the saved arrays are missing or damaged", source=str(path)) from error
    shapes = jax.tree.map(lambda want, got: tuple(want.shape) == np.shape(got), template, tree)
    if not all(jax.tree.leaves(shapes)):
        raise InputError("the saved arrays have other shapes than declared", source=str(path))
    return tree


def _orbax():
    """orbax, imported where it is used (it costs half a second) and told to be quiet."""
    import orbax.checkpoint

    logging.getLogger("absl").setLevel(logging.WARNING)
    return orbax.checkpoint


def digest(tree: Any) -> str:
    """Sixteen hex digits of the SHA-256 of the arrays of a pytree."""
    sha = hashlib.sha256()
    for leaf in jax.tree.leaves(tree):
        sha.update(np.ascontiguousarray(leaf).tobytes())
    return sha.hexdigest()[:16]
