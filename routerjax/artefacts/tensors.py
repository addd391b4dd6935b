"""Arrays in one file of the safetensors format, which holds numbers and cannot hold anything else.

The file is eight bytes with the length of a header (little-endian), the header in JSON, a type,
shape and place of every array by its name, and the arrays' bytes one after another. What an array
is called, and what shape it must have, is told by the caller; a file that says anything else is
refused before memory is taken for its arrays.

Source: https://huggingface.co/docs/safetensors, "Format".
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import PyTree, Shaped

from routerjax.errors import InputError
from routerjax.support.atomic import settle

TYPES = {"float32": "F32", "float64": "F64", "int32": "I32", "uint32": "U32", "int64": "I64"}
"""NumPy's names of the types of a router's parameters, and the format's."""


def save(path: Path, tree: PyTree) -> None:
    """Write a pytree of arrays into a new file; returns when it is on disk.

    Raises:
      OSError: it cannot be written.
    """
    header = _header(tree)
    with open(path, "xb") as file:
        file.write(len(header).to_bytes(8, "little"))
        file.write(header)
        for leaf in jax.tree.leaves(tree):
            values = np.asarray(leaf)
            file.write(values.astype(values.dtype.newbyteorder("<"), order="C").tobytes())
        settle(file)


def load(path: Path, template: PyTree) -> PyTree[Shaped[np.ndarray, "*_"]]:
    """Read a pytree of NumPy arrays.

    Args:
      path: a file that `save` wrote.
      template: pytree of arrays or shapes like what it is to hold.

    Raises:
      InputError: the file is missing, damaged, or holds arrays of other names, types or shapes.
    """
    wanted = _header(template)
    try:
        with open(path, "rb") as file:
            start = file.read(8 + len(wanted))
            if start[8:] != wanted or int.from_bytes(start[:8], "little") != len(wanted):
                problem = "the saved arrays have other shapes than declared, or are damaged"
                raise InputError(problem, source=str(path))
            if os.fstat(file.fileno()).st_size != len(start) + _bytes(template):
                raise InputError("the saved arrays are cut off or damaged", source=str(path))
            content = file.read()
    except OSError as error:
        raise InputError("the saved arrays are missing", source=str(path)) from error
    leaves, at = [], 0
    for leaf in jax.tree.leaves(template):
        kind, count = np.dtype(leaf.dtype), int(np.prod(leaf.shape, dtype=np.int64))
        values = np.frombuffer(content, kind.newbyteorder("<"), count, offset=at)
        leaves.append(values.astype(kind).reshape(leaf.shape))
        at += values.nbytes
    return jax.tree.unflatten(jax.tree.structure(template), leaves)


def _header(tree: PyTree) -> bytes:
    """The header of the arrays of a pytree, padded so that they start at a multiple of eight."""
    described: dict[str, Any] = {}
    at = 0
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        size = _bytes(leaf)
        name = jax.tree_util.keystr(path, simple=True, separator=".")
        described[name] = {
            "dtype": TYPES[np.dtype(leaf.dtype).name],
            "shape": list(leaf.shape),
            "data_offsets": [at, at + size],
        }
        at += size
    text = json.dumps(described, separators=(",", ":")).encode()
    return text + b" " * (-len(text) % 8)


def _bytes(tree: PyTree) -> int:
    """Bytes of the arrays of a pytree, in whole numbers however large."""
    total = 0
    for leaf in jax.tree.leaves(tree):
        count = 1
        for size in leaf.shape:
            count *= int(size)
        total += count * np.dtype(leaf.dtype).itemsize
    return total
