"""Queries to route: prompts from a text file or standard input, embeddings from .npy."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from routerjax.data.io.source_file import load_matrix
from routerjax.errors import InputError


def read_prompts(path: str) -> list[str]:
    """Prompts, one a line, of a UTF-8 text file or of standard input ("-").

    Raises:
      InputError: no such file, not text, an empty line or no line at all.
    """
    name = "standard input" if path == "-" else path
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", source=name) from error
    except UnicodeDecodeError as error:
        raise InputError("is not UTF-8 text, one prompt a line", source=name) from error
    prompts = text.splitlines()
    if not prompts:
        raise InputError("is empty; one prompt a line is needed", source=name)
    for row, prompt in enumerate(prompts):
        if not prompt.strip():
            raise InputError("the line is empty; a prompt is needed", source=name, row=row)
    return prompts


def read_embeddings(path: str) -> np.ndarray:
    """Embeddings [n, d] of an .npy file.

    Raises:
      InputError: no such file, not a matrix of finite floats, or no rows.
    """
    try:
        values = np.asarray(load_matrix(path, None), np.float32)
    except InputError as error:
        raise InputError(error.problem, source=path) from None
    if not len(values):
        raise InputError("holds no rows", source=path)
    bad = ~np.isfinite(values).all(axis=1)
    if bad.any():
        raise InputError("not a finite number", source=path, row=int(bad.argmax()))
    return values
