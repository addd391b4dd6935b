"""RouterEval: scores of pools of models on benchmarks, each in a pickle of arrays.

A pickle is a dictionary: `data` with `train_score`, `val_score` and `test_score`, [n, m] arrays,
and `train_embed` and so on; where it has texts, `prompt` with `train_prompt` and so on; where it
has names, `model`. The layout is as public code that writes such files states it. No cost is
recorded.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from routerjax.data.public.left_out import without_prompt
from routerjax.data.public.safe_pickle import read_arrays
from routerjax.errors import InputError
from routerjax.records.tables import Table

SPLITS = {"train": "train", "val": "validation", "test": "test"}


def read_routereval(path: str | os.PathLike[str]) -> Table:
    """Read a pickle of RouterEval as a table that keeps its splits and whose costs are all 0.

    `task` is the name of the file. Where there are no prompts the file's embeddings are taken.

    Args:
      path: a .pkl file, or a folder that holds one.

    Raises:
      InputError: no file, several, a pickle of more than dictionaries, lists, texts, numbers and
        arrays, or arrays that do not fit together.
    """
    file = _file(Path(path).expanduser(), str(path))
    source = str(file)
    content = read_arrays(file)
    if not isinstance(content, Mapping):
        raise InputError("is no dictionary of RouterEval", source=source)
    scores = _parts(content, "data", "score")
    if not scores:
        raise InputError("has no 'train_score', 'val_score' or 'test_score'", source=source)
    try:
        quality = np.concatenate([np.asarray(each, np.float64) for each in scores.values()])
    except (ValueError, TypeError):
        raise InputError("the scores are no [n, m] numbers of one width", source=source) from None
    if quality.ndim != 2 or not quality.shape[1]:
        raise InputError("the scores are no [n, m] numbers of one width", source=source)
    split = [SPLITS[name] for name, each in scores.items() for _ in range(len(each))]
    prompts = _prompts(content, scores, source)
    embeddings = None if prompts is not None else _embeddings(content, scores, source)
    kept = np.arange(len(quality)) if prompts is None else without_prompt(prompts, source)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*every cost is 0")
        return Table.from_arrays(
            quality[kept],
            np.zeros((len(kept), quality.shape[1]), np.float32),
            models=_models(content, quality.shape[1], source),
            prompts=None if prompts is None else [prompts[row] for row in kept],
            embeddings=embeddings,
            task=[file.stem] * len(kept),
            split=[split[row] for row in kept],
            source=source,
        )


def _file(place: Path, source: str) -> Path:
    if not place.is_dir():
        return place
    files = sorted(place.rglob("*.pkl"))
    if len(files) != 1:
        some = ", ".join(file.name for file in files[:5])
        problem = f"holds {len(files)} .pkl files ({some}); give one" if files else "has no .pkl"
        raise InputError(problem, source=source)
    return files[0]


def _parts(content: Mapping[str, Any], group: str, kind: str) -> dict[str, Any]:
    """What the dictionary holds of a kind by split, in the group or beside it."""
    inner = content.get(group)
    for place in (inner, content) if isinstance(inner, Mapping) else (content,):
        found = {name: place[f"{name}_{kind}"] for name in SPLITS if f"{name}_{kind}" in place}
        if found:
            return found
    return {}


def _prompts(
    content: Mapping[str, Any], scores: Mapping[str, Any], source: str
) -> list[str] | None:
    found = _parts(content, "prompt", "prompt")
    if not found:
        return None
    prompts = []
    for name, each in scores.items():
        own = [text if isinstance(text, str) else "" for text in list(found.get(name, ()))]
        if len(own) != len(each):
            problem = f"{len(own)} prompts for {len(each)} scores of '{name}'"
            raise InputError(problem, source=source)
        prompts += own
    return prompts


def _embeddings(content: Mapping[str, Any], scores: Mapping[str, Any], source: str) -> np.ndarray:
    found = _parts(content, "data", "embed")
    try:
        parts = [np.asarray(found[name], np.float32) for name in scores]
        together = np.concatenate(parts)
    except (KeyError, ValueError, TypeError):
        problem = "has neither prompts nor embeddings [n, d] beside its scores"
        raise InputError(problem, source=source) from None
    if together.ndim != 2 or len(together) != sum(map(len, scores.values())):
        raise InputError("the embeddings are not one row a score", source=source)
    return together


def _models(content: Mapping[str, Any], count: int, source: str) -> list[str]:
    named = content.get("model")
    if named is None:
        return [f"model {place}" for place in range(count)]
    names = [str(name) for name in named] if isinstance(named, list | tuple | np.ndarray) else []
    if len(names) != count:
        raise InputError(f"{len(names)} model names for {count} columns of scores", source=source)
    return names
