"""Prompts to embeddings: which encoder a name means, progress, and what is kept on disk.

``wordllama`` needs NumPy alone and brings its weights along: the mean of learned token vectors,
256 wide. ``minilm`` (384) has its weights in a package of its own;
``bert-base-uncased`` (768) and ``llama-3.2-1b`` (2048) are means of contextual token vectors;
``openai:MODEL@URL`` asks an endpoint; any other name is a sentence-transformers model. Embeddings
have unit norm, whatever the encoder.

``ENCODER+length`` puts the prompt's length beside them, as one more column: an encoder averages
over tokens and so hardly knows how many there are, and what an answer costs begins with what is
asked. ``wordllama+length`` is the default of `FitConfig`.
"""

from __future__ import annotations

import functools
import os
import sys
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np

from routerjax.data.encoders import cache as kept
from routerjax.data.encoders import endpoint, sentence, static
from routerjax.data.encoders.encoder import Encoder, unit
from routerjax.errors import DataWarning, InputError
from routerjax.records.logs import Log
from routerjax.records.tables import Table
from routerjax.support.cache import cache_folder

Record = TypeVar("Record", Log, Table)

DEFAULT = static.NAME
LENGTH = "+length"
"""What the name of an encoder ends in, where the prompt's length is a column of its own."""
USUAL_LENGTH, PER_E_FOLD = 256.0, 0.3
"""Characters at which that column is 0, and its step to a prompt e times as long: over prompts of
many kinds it moves about a third as much as an embedding."""
FEWEST_STEPS = 5  # of a progress bar
FEWEST_KEPT = 64  # prompts; fewer are encoded faster than they are looked up


def encode(
    prompts: Sequence[str],
    *,
    encoder: str = DEFAULT,
    cache: str | os.PathLike[str] | None | Literal["user"] = "user",
) -> np.ndarray:
    """Encode prompts as unit vectors [n, d] float32; a prompt without any token is zeros.

    With ``+length`` there is one more column, 0.3·log((1 + characters) / 256). A prompt that
    repeats is encoded once. The same prompts give the same bits, from the cache or not. With
    ``wordllama`` a prompt has the same vector alone as among others; the last bits of another
    encoder's may depend on the prompts beside it.

    Args:
      prompts: n strings.
      encoder: ``wordllama``, ``minilm``, ``bert-base-uncased``, ``llama-3.2-1b``,
        ``openai:MODEL@http://host/v1``, or the name or folder of a sentence-transformers model;
        each with ``+length`` behind it or without.
      cache: folder that keeps embeddings by encoder and prompt; ``"user"`` is ``embeddings`` in
        ``$ROUTERJAX_CACHE``, or in ``routerjax`` in the user's cache folder; None keeps nothing.

    Raises:
      InputError: prompts that are not text, an encoder that cannot be loaded or asked, or one
        whose vectors are not finite.

    Warns:
      DataWarning: prompts are longer than what the encoder reads of them.
    """
    texts = _checked(prompts)
    distinct = list(dict.fromkeys(texts))
    folder = cache_folder() / "embeddings" if cache == "user" else cache
    words, with_length = parted(encoder)
    vectors, dropped = _vectors(distinct, words, None if folder is None else Path(folder))
    if with_length:
        vectors = np.column_stack([vectors, length_of(distinct)])
    if len(distinct) < len(texts):
        rows = {text: row for row, text in enumerate(distinct)}
        places = [rows[text] for text in texts]
        vectors, dropped = vectors[places], dropped[places]
    _say_dropped(words, dropped)
    return vectors


def encoded(
    record: Record,
    *,
    encoder: str = DEFAULT,
    cache: str | os.PathLike[str] | None | Literal["user"] = "user",
) -> Record:
    """The record with the embeddings of its prompts, if it has none yet.

    Embeddings that are there are kept: those of this encoder, those of which no encoder is known,
    and, where the length alone is missing, those of the same encoder, the length put beside them.

    Args:
      record: a log or a table.
      encoder, cache: As in `encode`.

    Raises:
      InputError: there are neither prompts nor embeddings, or the embeddings are another
        encoder's.
    """
    if record.embeddings is not None:
        short = f"{record.encoder}{LENGTH}" == encoder and isinstance(record.embeddings, np.ndarray)
        if short and record.prompts is not None:
            wider = np.column_stack([record.embeddings, length_of(record.prompts)])
            return record.replace(embeddings=wider, encoder=encoder)
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


def parted(encoder: str) -> tuple[str, bool]:
    """The encoder of the words, and whether the length of a prompt stands beside them."""
    return encoder.removesuffix(LENGTH), encoder.endswith(LENGTH)


def length_of(prompts: Sequence[str]) -> np.ndarray:
    """[n] float32 0.3·log((1 + characters) / 256)."""
    characters = np.array([len(prompt) for prompt in prompts], np.float64)
    return np.asarray(PER_E_FOLD * np.log((1 + characters) / USUAL_LENGTH), np.float32)


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


def _vectors(texts: list[str], encoder: str, folder: Path | None) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors [n, d] of distinct prompts, and [n] tokens of each that were left out."""
    if not texts:
        return _computed(["width"], encoder, None)[0][:0], np.zeros(0, np.int64)
    if folder is None or len(texts) < _fewest_kept(encoder):
        return _computed(texts, encoder, None)
    own = kept.cache_in(folder, encoder, recipe(encoder))
    found = dict(own.find(texts))
    if len({len(each.vector) for each in found.values()}) > 1:
        found = {}
    missing = [row for row in range(len(texts)) if row not in found]
    new = _computed([texts[row] for row in missing], encoder, own) if missing else None
    width = new[0].shape[1] if new else len(found[0].vector)
    if found and len(next(iter(found.values())).vector) != width:
        return _computed(texts, encoder, own)  # the model changed its width under its name
    vectors, dropped = np.empty((len(texts), width), np.float32), np.zeros(len(texts), np.int64)
    for row, each in found.items():
        vectors[row], dropped[row] = each
    if new:
        vectors[missing], dropped[missing] = new
    return vectors, dropped


def _computed(
    texts: list[str], encoder: str, own: kept.Cache | None
) -> tuple[np.ndarray, np.ndarray]:
    """Vectors and tokens left out, computed and kept chunk by chunk."""
    loaded = _loaded(encoder)
    vectors: list[np.ndarray] = []
    dropped: list[int] = []
    for start in _steps(len(texts), loaded.chunk):
        chunk = texts[start : start + loaded.chunk]
        values = unit(loaded.embed(chunk))
        if values.shape[0] != len(chunk) or not np.isfinite(values).all():
            raise InputError(f"encoder '{encoder}' gives vectors that are not finite numbers")
        beyond = loaded.beyond(chunk) if loaded.beyond is not None else [0] * len(chunk)
        if own is not None:
            own.keep(chunk, values, beyond)
        vectors.append(values)
        dropped += beyond
    return np.concatenate(vectors), np.asarray(dropped, np.int64)


def _steps(count: int, chunk: int) -> Iterable[int]:
    steps = range(0, count, chunk)
    if len(steps) < FEWEST_STEPS:
        return steps
    from rich.console import Console
    from rich.progress import track

    return track(
        steps,
        f"encoding {count} prompts",
        transient=True,
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )


def _say_dropped(encoder: str, dropped: np.ndarray) -> None:
    """Warn of prompts that were not read to their end."""
    cut = dropped[dropped > 0]
    if not len(cut):
        return
    warnings.warn(
        f"encoder '{encoder}' does not read long prompts to their end: it leaves out up to "
        f"{cut.max()} tokens in {len(cut)} of {len(dropped)} prompts "
        f"({len(cut) / len(dropped):.1%})",
        DataWarning,
        stacklevel=3,
    )


@functools.lru_cache(maxsize=2)
def _loaded(encoder: str) -> Encoder:
    if encoder == DEFAULT:
        return static.load()
    if endpoint.is_address(encoder):
        return endpoint.load(encoder)
    if not encoder.strip():
        raise InputError(f"no encoder is named; {DEFAULT} is the default")
    return sentence.load(encoder, cache_folder() / "encoders")


def recipe(encoder: str) -> str:
    """What makes an encoder's vectors what they are beside its name, without loading it."""
    if encoder == DEFAULT:
        return static.recipe()
    return "" if endpoint.is_address(encoder) else sentence.recipe(encoder)


def _fewest_kept(encoder: str) -> int:
    # An endpoint is paid for, or far away.
    return 1 if endpoint.is_address(encoder) else FEWEST_KEPT
