"""wordllama: the mean of learned token vectors, with NumPy alone and weights in its wheel."""

from __future__ import annotations

import logging
from importlib import metadata
from pathlib import Path

import numpy as np

from routerjax.data.encoders.encoder import Encoder
from routerjax.errors import InputError

NAME = "wordllama"


def load() -> Encoder:
    """The encoder, which reads every token of a prompt.

    Raises:
      InputError: the package is not installed, or lacks its weights.
    """
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        import wordllama
    except ImportError:
        raise InputError(
            "encoder 'wordllama' is not installed; pip install 'routerjax[text]'"
        ) from None
    finally:
        root.handlers[:] = handlers  # its import configures the logging of the whole process
        root.setLevel(level)
    try:
        # Told where its own wheel keeps the weights: by default it would ask the hub for some.
        model = wordllama.WordLlama.load(
            cache_dir=Path(wordllama.__file__).parent, disable_download=True
        )
    except OSError as error:
        raise InputError(
            f"encoder 'wordllama' lacks its weights ({error}); "
            "pip install --force-reinstall 'routerjax[text]'"
        ) from None
    tokenizer, vectors = model.tokenizer, model.embedding
    tokenizer.no_padding()

    def embed(texts: list[str]) -> np.ndarray:
        # What `model.embed(texts, norm=True)` computes, to the bit, without padding every prompt
        # of a batch to the longest: five times as fast, and one long prompt takes no gigabytes.
        out = np.zeros((len(texts), vectors.shape[1]), np.float32)
        for row, tokens in enumerate(tokenizer.encode_batch(texts, add_special_tokens=False)):
            if tokens.ids:
                out[row] = vectors[np.minimum(tokens.ids, len(vectors) - 1)].mean(axis=0)
        return out

    return Encoder(embed)


def recipe() -> str:
    """What makes its vectors what they are: the version, which brings the weights."""
    try:
        return metadata.version(NAME)
    except metadata.PackageNotFoundError:
        return ""
