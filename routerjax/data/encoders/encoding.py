"""Prompts to embeddings, with a cache on disk.

The default encoder, ``wordllama``, needs NumPy alone and brings its weights along: the mean of
learned token vectors, 256 wide. ``bert-base-uncased`` (768) and ``llama-3.2-1b`` (2048) are means
of contextual ones; any other name is a sentence-transformers model. Embeddings have unit norm,
whatever the encoder.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np

from routerjax.data.encoders import sentence
from routerjax.errors import InputError
from routerjax.records.tables import Log, Table
from routerjax.support import atomic
from routerjax.support.cache import cache_folder

Record = TypeVar("Record", Log, Table)
Embed = Callable[[list[str]], np.ndarray]  # strings to [n, d] float32

DEFAULT = "wordllama"
FEWEST_CACHED = 64  # prompts; fewer are encoded faster than they are looked up
CHUNK = 1024  # prompts between two steps of the progress bar
FEWEST_SHOWN = 4 * CHUNK


def encode(
    prompts: Sequence[str],
    *,
    encoder: str = DEFAULT,
    cache: str | os.PathLike[str] | None | Literal["user"] = "user",
) -> np.ndarray:
    """Encode prompts as unit vectors [n, d] float32; a prompt without any token is zeros.

    The same prompts give the same bits, from the cache or not. With ``wordllama`` a prompt has
    the same vector alone as among others.

    Args:
      prompts: n strings.
      encoder: ``wordllama``, ``bert-base-uncased``, ``llama-3.2-1b``, or the name or folder of a
        sentence-transformers model.
      cache: folder that keeps embeddings by encoder and content; ``"user"`` is
        ``$ROUTERJAX_CACHE``, or ``routerjax`` in the user's cache folder; None keeps nothing.

    Raises:
      InputError: prompts that are not text, or an encoder that cannot be loaded.
    """
    texts = _checked(prompts)
    if cache is None or len(texts) < FEWEST_CACHED:
        return _encode(texts, encoder)
    folder = cache_folder() if cache == "user" else Path(cache)
    kept = folder / f"{_file_name(texts, encoder)}.npy"
    values = _load(kept, len(texts))
    if values is None:
        values = _encode(texts, encoder)
        _save(kept, values)
    return values


def encoded(
    record: Record,
    *,
    encoder: str = DEFAULT,
    cache: str | os.PathLike[str] | None | Literal["user"] = "user",
) -> Record:
    """The record with the embeddings of its prompts, if it has none yet.

    Embeddings that are there are kept: those of this encoder, and those of which no encoder is
    known.

    Args:
      record: a log or a table.
      encoder, cache: As in `encode`.

    Raises:
      InputError: there are neither prompts nor embeddings, or the embeddings are another
        encoder's.
    """
    if record.embeddings is not None:
        if record.encoder not in (None, encoder):
            problem = f"holds embeddings by '{record.encoder}', and '{encoder}' is asked for"
            raise InputError(problem, source=record.source)
        return record
    if record.prompts is None:
        raise InputError("has neither prompts to encode nor embeddings", source=record.source)
    try:
        embeddings = encode(record.prompts, encoder=encoder, cache=cache)
    except InputError as error:
        source = error.source or record.source
        raise InputError(error.problem, source=source, field=error.field, row=error.row) from None
    return record.replace(embeddings=embeddings, encoder=encoder)


def _checked(prompts: Sequence[str]) -> list[str]:
    if isinstance(prompts, str):
        raise InputError("prompts must be a list of strings, and this is one string")
    for row, prompt in enumerate(prompts):
        if not isinstance(prompt, str):
            problem = f"a prompt must be a string, not {type(prompt).__name__}"
            raise InputError(problem, field="prompt", row=row)
        try:
            prompt.encode()
        except UnicodeEncodeError:
            raise InputError("the prompt is not valid Unicode", field="prompt", row=row) from None
    return list(prompts)


def _encode(texts: list[str], encoder: str) -> np.ndarray:
    embed = _loaded(encoder)
    if not texts:
        return np.empty((0, embed(["width"]).shape[1]), np.float32)
    steps: Iterable[int] = range(0, len(texts), CHUNK)
    if len(texts) >= FEWEST_SHOWN:
        from rich.console import Console
        from rich.progress import track

        steps = track(
            steps,
            f"encoding {len(texts)} prompts",
            transient=True,
            console=Console(stderr=True),
            disable=not sys.stderr.isatty(),
        )
    return np.concatenate([embed(texts[start : start + CHUNK]) for start in steps])


@functools.lru_cache(maxsize=2)
def _loaded(encoder: str) -> Embed:
    return _wordllama() if encoder == DEFAULT else _sentence_transformer(encoder)


def _wordllama() -> Embed:
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
        return _unit(out)

    return embed


def _sentence_transformer(name: str) -> Embed:
    embed = sentence.load(name, cache_folder() / "encoders")
    return lambda texts: _unit(embed(texts))


def _unit(values: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(values, axis=1, keepdims=True)
    return values / np.where(norms > 0, norms, 1)


def _file_name(texts: list[str], encoder: str) -> str:
    """Encoder, what it makes of tokens, and content; the version too: it may bring its weights."""
    package = DEFAULT if encoder == DEFAULT else "sentence-transformers"
    try:
        version = metadata.version(package)
    except metadata.PackageNotFoundError:
        version = ""
    recipe = sentence.recipe(encoder)
    digest = hashlib.sha256(f"{encoder}\0{version}\0{recipe}".encode())
    for text in texts:
        content = text.encode()
        digest.update(len(content).to_bytes(8, "little"))
        digest.update(content)
    return f"{re.sub('[^A-Za-z0-9.-]+', '-', encoder)[-40:]}-{digest.hexdigest()[:32]}"


def _load(path: Path, rows: int) -> np.ndarray | None:
    """Embeddings from the cache, or None where there are none or the file is damaged."""
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    if not isinstance(values, np.ndarray) or values.dtype != np.float32:
        return None
    whole = values.ndim == 2 and len(values) == rows and np.isfinite(values).all()
    return values if whole else None


def _save(path: Path, values: np.ndarray) -> None:
    try:
        with atomic.new_file(path) as temporary:
            np.save(temporary, values)
    except InputError:
        pass  # a cache that cannot be written costs time, nothing else
