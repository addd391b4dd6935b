"""A column that seems to say what scored the answers, in a log whose scores have no `scored_by`."""

from __future__ import annotations

import re
import shlex
import warnings
from collections.abc import Sequence

import numpy as np

from routerjax.data.columns.arrays import is_text
from routerjax.data.columns.source_file import SourceFile
from routerjax.data.columns.synonyms import MODEL_WORDS, ROLES, plain
from routerjax.data.io.ungrouped import free_columns
from routerjax.errors import DataWarning, InputError
from routerjax.records.logs import Log

MOST = 30  # values of a column of judges
NAMED = 4  # of them in a message
SCORERS = re.compile(
    r"human|judge|annotat|expert|rater|crowd|gold|llm|reviewer|grader|labell?er|user|staff|"
    r"heuristic|auto",
    re.IGNORECASE,
)
"""What a scorer is called."""
BEYOND = 4.0
"""Standard deviations beyond its degrees of freedom from which a χ² tells that two things are not
independent."""


def warn_of_scorers(file: SourceFile, log: Log, rows: np.ndarray) -> None:
    """Warn where a column without a role is called like that of scorers and names several.

    Taken as they are, scores of several judges make the model better that was scored by the kind
    one. A `source` whose values are not called like scorers may be where a query comes from: it is
    named only where both the models and a model's scores differ from value to value, by χ²
    (`BEYOND`), which biases a comparison of models whatever it is.

    Args:
      file: that the log was read from.
      log: n rows.
      rows: [n] the file's row for every row of the log.

    Raises:
      InputError: there is such a column, and the schema is strict.
    """
    if log.scored_by is not None or log.gold_quality is not None:
        return
    known = ROLES["scored_by"].split()
    for path, column in free_columns(file):
        if plain(path) not in known or not is_text(column):
            continue
        values = [(value or "").strip() for value in column.to_pylist()]
        cells = np.array([values[row] for row in rows], object)
        names = sorted({value for value in cells.tolist() if value})
        if not 2 <= len(names) <= MOST:
            continue
        scorers = plain(path) != "source" or _are_scorers(names)
        if scorers or _tilts(cells, log):
            said = _said(path, names, scorers)
            if file.schema.strict:
                raise InputError(said, source=file.source, field=path)
            warnings.warn(f"{file.source}: {said}", DataWarning, stacklevel=5)
            return


def _said(path: str, names: Sequence[str], scorers: bool) -> str:
    named = ", ".join(names[:NAMED]) + (", …" if len(names) > NAMED else "")
    column, value = shlex.quote(path), shlex.quote(f"{path}=VALUE")
    other = "" if scorers else f"; if it is the kind of query, --columns task={column}"
    return (
        f"'{path}' seems to say what scored the answers ({named}): taken as they are, scores carry "
        f"every judge's bias; --gold-column {value} corrects the others by those of VALUE, "
        f"--columns scored_by={column} says that they differ{other}"
    )


def _are_scorers(names: Sequence[str]) -> bool:
    """Whether most values are called like people or models that score."""
    like = [bool(SCORERS.search(name) or MODEL_WORDS.search(name)) for name in names]
    return 2 * sum(like) > len(like)


def _tilts(cells: np.ndarray, log: Log) -> bool:
    """Whether models, and a model's scores, differ from value to value."""
    there = np.flatnonzero(cells != "")
    arms = np.unique(np.asarray(log.arms)[there], return_inverse=True)[1]
    value = np.unique(cells[there].astype(str), return_inverse=True)[1]
    models, kinds = int(arms.max()) + 1, int(value.max()) + 1
    count = np.bincount(arms * kinds + value, minlength=models * kinds).reshape(models, kinds)
    expected = np.outer(count.sum(axis=1), count.sum(axis=0)) / count.sum()
    asked = ((count - expected) ** 2 / expected).sum()
    quality = np.asarray(log.quality, np.float64)[there]
    left = quality - (np.bincount(arms, quality) / count.sum(axis=1))[arms]
    variance = max(float((left**2).mean()), 1e-12)
    scored = (np.bincount(value, left) ** 2 / np.bincount(value)).sum() / variance
    return _is_far(asked, (models - 1) * (kinds - 1)) and _is_far(scored, kinds - 1)


def _is_far(statistic: float, freedom: int) -> bool:
    """Whether a χ² of so many degrees of freedom lies `BEYOND` its standard deviations."""
    return freedom > 0 and statistic > freedom + BEYOND * np.sqrt(2 * freedom)
