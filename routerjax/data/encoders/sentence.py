"""Encoders through sentence-transformers (extra ``encoders``): its models, and two checkpoints.

BERT and Llama are no sentence-transformers models: their vector is the mean over a prompt's
tokens. The library would take the last token of a Llama, so the mean is set here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from routerjax.data.io import hub
from routerjax.errors import InputError

BATCH = 32  # prompts at a time


class Checkpoint(NamedTuple):
    """A language model whose mean token vector is the embedding.

    Attributes:
      repository: model on the Hugging Face hub.
      tokens: longest prompt; what is beyond is cut off.
      batch: prompts at a time.
      gated: whether the hub asks for its licence to be accepted.
    """

    repository: str
    tokens: int
    batch: int
    gated: bool = False


CHECKPOINTS = {
    "bert-base-uncased": Checkpoint("google-bert/bert-base-uncased", tokens=512, batch=64),
    "llama-3.2-1b": Checkpoint("meta-llama/Llama-3.2-1B", tokens=2048, batch=8, gated=True),
}
"""The encoders of Causal LLM Routing (arXiv 2505.16037), 768 and 2048 wide, by their short names.

That the vector is the mean is the paper's for BERT; the longest prompt is our choice."""


def short_name(encoder: str) -> str | None:
    """The short name of a checkpoint called by it or by its name on the hub, else None."""
    for name, checkpoint in CHECKPOINTS.items():
        if encoder.lower() in (name, checkpoint.repository.lower()):
            return name
    return None


def load(encoder: str, folder: Path) -> Callable[[list[str]], np.ndarray]:
    """The function from strings to [n, d] float32 of a model, on this disk or the hub.

    Args:
      encoder: short name of a checkpoint, or name or folder of a sentence-transformers model.
      folder: where a checkpoint's files may have been put by hand, under its short name.

    Raises:
      InputError: the package is not installed, or the model is nowhere.
    """
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError:
        raise InputError(
            f"encoder '{encoder}' is not 'wordllama', so it is looked for among the models of "
            "sentence-transformers, which is not installed; pip install 'routerjax[encoders]'"
        ) from None
    name = short_name(encoder)
    place = encoder if name is None else _place(name, folder)
    try:
        try:
            model = SentenceTransformer(place, local_files_only=True)
        except (OSError, ValueError):
            if hub.is_offline() or not hub.is_reachable():
                raise
            model = SentenceTransformer(place)
    except (OSError, ValueError, RuntimeError):
        raise _nowhere(encoder, name, folder) from None
    _pad(model)
    if name is not None:
        _pool_mean(model, CHECKPOINTS[name])
    batch = BATCH if name is None else CHECKPOINTS[name].batch

    def embed(texts: list[str]) -> np.ndarray:
        values = model.encode(
            texts, batch_size=batch, convert_to_numpy=True, show_progress_bar=False
        )
        return np.asarray(values, np.float32)

    return embed


def recipe(encoder: str) -> str:
    """What makes a checkpoint's vectors what they are, beside its weights; "" for other models."""
    name = short_name(encoder)
    return "" if name is None else f"mean of {CHECKPOINTS[name].tokens} tokens"


def _place(name: str, folder: Path) -> str:
    own = folder / name
    return str(own) if own.is_dir() else CHECKPOINTS[name].repository


def _pad(model: Any) -> None:
    """Let a tokenizer without a padding token, as Llama's, pad; the mean leaves padding out."""
    tokenizer = getattr(model, "tokenizer", None)
    if tokenizer is not None and getattr(tokenizer, "pad_token", "") is None:
        tokenizer.pad_token = tokenizer.eos_token


def _pool_mean(model: Any, checkpoint: Checkpoint) -> None:
    """Make a model of transformer and pooling take the mean over the tokens of a prompt."""
    model.float()  # in the half precision of some files a vector depends on its batch
    model.max_seq_length = checkpoint.tokens
    width = model.encode(["width"], convert_to_numpy=True, show_progress_bar=False).shape[1]
    pooling = type(model[1])  # where the class lives differs between releases
    model[1] = pooling(width, pooling_mode="mean")


def _nowhere(encoder: str, name: str | None, folder: Path) -> InputError:
    if name is None:
        return InputError(
            f"encoder '{encoder}' is not on this disk and cannot be had from the Hugging Face "
            "hub; check the name, or use 'wordllama', which needs no network"
        )
    checkpoint = CHECKPOINTS[name]
    licence = ", which asks for its licence to be accepted," if checkpoint.gated else ""
    return InputError(
        f"encoder '{encoder}' is not on this disk and cannot be had from the Hugging Face hub; "
        f"put the files of {checkpoint.repository}{licence} into {folder / name}, or use "
        "'wordllama', which needs no network"
    )
