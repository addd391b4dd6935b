"""Files with two labels a query: the gain by a gold-standard judge and by a cheap one."""

from __future__ import annotations

import hashlib
import os
import re
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from routerjax.data import columns, formats
from routerjax.data.encoders import DEFAULT, encode
from routerjax.data.source_file import found, load_matrix
from routerjax.errors import InputError
from routerjax.gains import group_numbers

AUTHORS_FILE = "1_PC50_varstd.csv of the public repository github.com/yichistat/Meta-router"
"""Where the labels of the Meta-Router paper's Figure 1(a) are published (HealthBench)."""

AUTHORS_COMPONENT = re.compile(r"embd\.PC(\d+)")


class PairedLabels(NamedTuple):
    """Queries with both labels.

    Attributes:
      embeddings: [n, d] float32.
      gold, preference: [n] float32 gain of the primary model over the alternative.
      groups: [n] int, equal where the query repeats.
      dropped: rows of the file left out for want of a label.
      components: whether the embeddings are principal components already (the authors' file).
      fingerprint: sixteen hex digits of the content.
    """

    embeddings: np.ndarray
    gold: np.ndarray
    preference: np.ndarray
    groups: np.ndarray
    dropped: int
    components: bool
    fingerprint: str

    def __len__(self) -> int:
        return len(self.gold)


def read_pairs(
    path: str | os.PathLike[str],
    *,
    gold: str = "GL",
    preference: str = "PL",
    group: str | None = None,
    embeddings: str | os.PathLike[str] | None = None,
    encoder: str = DEFAULT,
) -> PairedLabels:
    """Read queries with a gold and a preference label.

    The features are, in this order of precedence: the .npy file `embeddings`; the columns
    ``embd.PC1``, ``embd.PC2`` … of the authors' file; a column ``embedding`` of lists; the
    prompts of the column ``prompt``, encoded.

    Args:
      path: .csv, .parquet or .jsonl; the authors' is `AUTHORS_FILE`.
      gold, preference: the two label columns. Rows without one of them are left out, counted.
      group: column that is equal where the query repeats; ``prompt`` where there is one.
      embeddings: .npy file [n, d], a row for every row of the file.
      encoder: of the prompts.

    Raises:
      InputError: a file that cannot be read, a column that is not there or holds no numbers,
        nothing to make features of, fewer than two rows with both labels.
    """
    source = str(path)
    table = formats.load(path, text=["prompt"])
    labels = [_numbers(table, name, source) for name in (gold, preference)]
    both = np.isfinite(labels[0]) & np.isfinite(labels[1])
    if both.sum() < 2:
        problem = f"{both.sum()} rows have both '{gold}' and '{preference}'; at least 2 are needed"
        raise InputError(problem, source=source)
    kept = table.filter(pa.array(both))
    parts = _authors_components(table) if embeddings is None else []
    if embeddings is not None:
        try:
            features = np.asarray(load_matrix(str(embeddings), len(both))[both], np.float32)
        except InputError as error:
            raise InputError(error.problem, source=str(embeddings)) from None
    elif parts:
        features = np.stack([_numbers(kept, name, source) for name in parts], axis=1)
    elif "embedding" in table.column_names:
        features = columns.matrix(kept["embedding"])[0]
    elif "prompt" in table.column_names:
        features = encode([text or "" for text in columns.texts(kept["prompt"])], encoder=encoder)
    else:
        problem = "no features: give --embeddings FILE.npy, or a column 'embedding' or 'prompt'"
        raise InputError(f"{problem}; {found(table)}", source=source)
    features = np.asarray(features, np.float32)
    bad = ~np.isfinite(features).all(axis=1)
    if bad.any():
        place = int(np.flatnonzero(both)[bad.argmax()])
        raise InputError("features are not finite numbers", source=source, row=place)
    values = [np.asarray(label[both], np.float32) for label in labels]
    return PairedLabels(
        embeddings=features,
        gold=values[0],
        preference=values[1],
        groups=_groups(kept, group, source),
        dropped=int((~both).sum()),
        components=bool(parts),
        fingerprint=_fingerprint(features, *values),
    )


def _numbers(table: pa.Table, name: str, source: str) -> np.ndarray:
    if name not in table.column_names:
        raise InputError(f"no column '{name}'; {found(table)}", source=source)
    try:
        return columns.numbers(table[name])
    except InputError as error:
        raise InputError(error.problem, source=source, field=name, row=error.row) from None


def _authors_components(table: pa.Table) -> list[str]:
    matches = filter(None, map(AUTHORS_COMPONENT.fullmatch, table.column_names))
    return [match.group() for match in sorted(matches, key=lambda match: int(match.group(1)))]


def _groups(table: pa.Table, group: str | None, source: str) -> np.ndarray:
    if group is not None and group not in table.column_names:
        raise InputError(f"no column '{group}' to group by; {found(table)}", source=source)
    name = group or ("prompt" if "prompt" in table.column_names else None)
    if name is None:
        return np.arange(table.num_rows, dtype=np.int32)
    texts = columns.texts(table[name])
    # a missing group is a query of its own
    return group_numbers([(row,) if text is None else text for row, text in enumerate(texts)])


def _fingerprint(*arrays: np.ndarray) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(repr(array.shape).encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]
