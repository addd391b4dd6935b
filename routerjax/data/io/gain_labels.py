"""Files of gains: by a gold-standard judge for some queries, by a cheap one for most or all."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

import numpy as np

from routerjax.data.columns import arena, arrays
from routerjax.data.columns.arrays import single
from routerjax.data.columns.schema import Schema, resolved
from routerjax.data.columns.source_file import SourceFile, found, open_file
from routerjax.data.encoders.encoding import DEFAULT, encode
from routerjax.data.formats import loading
from routerjax.data.io.model_names import models_of
from routerjax.errors import InputError
from routerjax.records.groups import group_numbers
from routerjax.records.wording import wording

AUTHORS_FILE = "1_PC50_varstd.csv of the public repository github.com/yichistat/Meta-router"
"""Where the labels of the Meta-Router paper's Figure 1(a) are published (HealthBench)."""

AUTHORS_COMPONENT = re.compile(r"embd\.PC(\d+)")


class GainLabels(NamedTuple):
    """Queries with the gain of a primary model over an alternative, by one label or both.

    Attributes:
      embeddings: [n, d] float32.
      gold, preference: [n] float32 gain in quality, NaN where not labelled.
      groups: [n] int, equal where the query repeats.
      dropped: rows of the file left out for want of a label.
      encoder: of the prompts, None where the features came ready-made.
      components: whether the features are principal components already (the authors' file).
      source: the file, for messages.
      columns: its columns of gold and preference labels, for messages.
    """

    embeddings: np.ndarray
    gold: np.ndarray
    preference: np.ndarray
    groups: np.ndarray
    dropped: int
    encoder: str | None
    components: bool
    source: str
    columns: tuple[str, str] = ("GL", "PL")

    def __len__(self) -> int:
        return len(self.gold)

    def __repr__(self) -> str:
        gold, preference = (int(np.sum(~np.isnan(label))) for label in (self.gold, self.preference))
        return (
            f"GainLabels({len(self):,} rows, {gold:,} gold and {preference:,} preference labels, "
            f"{self.embeddings.shape[1]}-wide embeddings; source {self.source})"
        )


def read_labels(
    path: loading.Paths,
    *,
    gold: str = "GL",
    preference: str = "PL",
    group: str | None = None,
    embeddings: str | os.PathLike[str] | None = None,
    encoder: str = DEFAULT,
    both: bool = False,
    schema: Schema | str | os.PathLike[str] | None = None,
    models: tuple[str, str] | None = None,
) -> GainLabels:
    """Read queries that have a gold label, a preference label or both.

    The features are, in this order of precedence: the .npy file `embeddings`; the columns
    ``embd.PC1``, ``embd.PC2`` … of the authors' file; a column ``embedding`` of lists; the
    prompts of the column ``prompt``, encoded.

    Args:
      path: .csv, .parquet or .jsonl, or several files; the authors' is `AUTHORS_FILE`.
      gold, preference: the two label columns.
      group: column that is equal where the query repeats; ``prompt`` where there is one.
      embeddings: .npy file [n, d], a row for every row of the file.
      encoder: of the prompts.
      both: keep only the queries that have both labels.
      schema: rules of reading, as in `read_log`. With its layout "arena" (the preset of that name)
        a label is a word: which of two models answered better. Gold labels are then those of
        `gold` or else of the column ``winner``, and preference labels need not be there.
      models: the primary and the alternative of such pairs.

    Raises:
      InputError: a file that cannot be read, a column that is not there or holds no numbers,
        nothing to make features of, no row with a label (fewer than two with `both`).
    """
    rules = resolved(schema)
    file = open_file(path, rules, embeddings)
    group = group or ("prompt" if "prompt" in file else None)
    labels = _labels(file, gold, preference, models)
    if group is not None:
        file.require(group)
    labelled = [~np.isnan(label) for label in labels]
    kept = np.flatnonzero(labelled[0] & labelled[1] if both else labelled[0] | labelled[1])
    if both and len(kept) < 2:
        problem = f"{len(kept)} rows have both '{gold}' and '{preference}'; at least 2 are needed"
        raise file.fail(problem)
    if not len(kept):
        raise file.fail(f"no row has a label in '{gold}' or '{preference}'")
    features, used = _features(file, kept, encoder)
    bad = ~np.isfinite(features).all(axis=1)
    if bad.any():
        raise file.fail("features are not finite numbers", row=int(kept[bad.argmax()]))
    return GainLabels(
        embeddings=features,
        gold=labels[0][kept],
        preference=labels[1][kept],
        groups=_groups(file, kept, group),
        dropped=len(file) - len(kept),
        encoder=used,
        components=embeddings is None and bool(_authors_components(file)),
        source=file.source,
        columns=(gold, preference),
    )


def _labels(
    file: SourceFile, gold: str, preference: str, models: tuple[str, str] | None
) -> list[np.ndarray]:
    """Gold and preference labels [n], NaN where there is none."""
    if file.schema.layout == "arena":
        labels = _votes(file, gold, preference, models)
    else:
        for name in (gold, preference):
            file.require(name)
        labels = [single(file.numbers(name)) for name in (gold, preference)]
    for name, label in zip((gold, preference), labels, strict=True):
        if np.isinf(label).any():
            row = int(np.isinf(label).argmax())
            raise file.fail(f"gain is {label[row]:g}, not a finite number", field=name, row=row)
    return labels


def _groups(file: SourceFile, rows: np.ndarray, group: str | None) -> np.ndarray:
    """[n] numbers of the queries of these rows, equal where the column `group` is."""
    if group is None:
        return np.arange(len(rows), dtype=np.int32)
    by_prompt = group == "prompt"
    texts = file.prompts().texts if by_prompt else file.texts(group)
    named = [wording(text) if text and by_prompt else text for text in texts]
    # a missing group is a query of its own
    return group_numbers([(row,) if named[row] is None else named[row] for row in rows])


def _votes(
    file: SourceFile, gold: str, preference: str, models: tuple[str, str] | None
) -> list[np.ndarray]:
    """Gold and preference labels [n] of pairs; NaN where there is none."""
    for name in ("model_a", "model_b"):
        file.require(name)
    if models is None:
        raise file.fail("pairs of answers need the names of two models, the dear one first")
    pairs = (models_of(file, "model_a"), models_of(file, "model_b"))

    def label(name: str) -> np.ndarray:
        column = file.column(name)
        if not (arena.is_words(column) or (name == "winner" and arrays.is_text(column))):
            return np.asarray(file.numbers(name), np.float32)
        with file.place(name):
            return _gains(arrays.texts(column))

    def _gains(verdicts: list[str | None]) -> np.ndarray:
        bad = file.schema.both_bad
        source = file.source
        found = arena.gains(pairs, verdicts, models=models, both_bad=bad, source=source)
        return np.asarray(found, np.float32)

    nothing = np.full(len(file), np.nan, np.float32)
    winners = arena.verdicts_of(file.table)
    name = gold if gold in file else "winner"
    if name not in file and winners is None:
        file.require("winner")
    first = label(name) if name in file else _gains(winners or [])
    return [first, label(preference) if preference in file else nothing]


def _features(file: SourceFile, rows: np.ndarray, encoder: str) -> tuple[np.ndarray, str | None]:
    """[n, d] features of these rows, and the encoder if they are encoded prompts."""
    parts = _authors_components(file)
    if file.embeddings is None and parts:
        return np.stack([file.numbers(name)[rows] for name in parts], axis=1, dtype="f4"), None
    if "embedding" in file:
        return np.asarray(file.matrix()[0][rows], np.float32), None
    if "prompt" not in file:
        problem = "no features: give --embeddings FILE.npy, or a column 'embedding' or 'prompt'"
        raise InputError(f"{problem}; {found(file.table)}", source=file.source)
    texts = file.prompts().texts
    for row in rows:
        if not texts[row]:
            raise file.fail("no prompt here", field="prompt", row=int(row))
    return encode([texts[row] or "" for row in rows], encoder=encoder), encoder


def _authors_components(file: SourceFile) -> list[str]:
    matches = filter(None, map(AUTHORS_COMPONENT.fullmatch, file.names))
    return [match.group() for match in sorted(matches, key=lambda match: int(match.group(1)))]
