"""What the pooled outcome model sees of a query: its features made, computed and summed."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from routerjax.estimators.task_logit import TaskLogit, fit_task_logit
from routerjax.models.heads import outputs
from routerjax.models.outcomes import OutcomeModel
from routerjax.models.pooled import PooledHead
from routerjax.records.groups import digests
from routerjax.records.on_disk import Stored, read
from routerjax.support.compilation import padded, padded_size
from routerjax.support.kept_programs import kept_program

MOST_ROWS = 4096
"""Rows from which the features are made; which ones depends on the rows, not on their order."""
WIDTH = 0.5
"""Width of the Gaussian kernel, in root mean square distances of the rows from their mean."""
BLOCK_ROWS = 8192
MOST_KEPT = 4
"""Sets of rows whose features are kept."""
_KEPT: dict[tuple[Any, ...], dict[str, np.ndarray]] = {}
LARGEST_EXACT = 1024
"""Columns up to which all principal components are computed."""


def make_features(
    head: PooledHead, x: np.ndarray | Stored, task: Int[np.ndarray, " n"] | None = None
) -> dict[str, np.ndarray]:
    """Parameters of `PooledFeatures` from embeddings and tasks; the order of the rows is no matter.

    Those of the last few sets of rows are kept: seeds, folds and prices change nothing in them.

    Args:
      head: sizes.
      x: [n, d] scaled embeddings.
      task: [n] places of the rows' tasks among those of the head, −1 for no task; None for none.
    """
    places, rows = _sample(x)
    told = None
    if head.tasks:
        told = np.full(len(places), -1) if task is None else np.asarray(task)[places]
    sizes = (head.components, head.landmarks, head.tasks, rows.shape)
    parts = (each for each in (rows, told) if each is not None)
    key = (*sizes, *(blake2b(each.tobytes()).digest() for each in parts))
    found = _KEPT.pop(key, None)
    if found is None:
        found = _made(head, rows, told)
    _KEPT[key] = found  # the last used comes last
    while len(_KEPT) > MOST_KEPT:
        _KEPT.pop(next(iter(_KEPT)), None)
    return dict(found)


def forget_features() -> None:
    """Let go of the features that are kept, as in a fresh process."""
    _KEPT.clear()


def told_by(params: Mapping[str, np.ndarray]) -> TaskLogit:
    """The logit of tasks in parameters of `PooledFeatures` that hold one."""
    return TaskLogit(*(np.asarray(params[f"task_{name}"]) for name in TaskLogit._fields))


def _made(
    head: PooledHead, rows: Float[np.ndarray, "s d"], told: Int[np.ndarray, " s"] | None
) -> dict[str, np.ndarray]:
    """The parameters, of rows in an order of their own."""
    centre = rows.mean(axis=0, dtype=np.float64)
    away = rows - centre.astype(np.float32)
    spread = max(float(np.square(away).sum(dtype=np.float64)) / len(away), 1e-12)
    directions = _directions(away, head.components) / np.float32(np.sqrt(spread))
    z = (away @ directions).astype(np.float64)
    points = np.zeros((head.landmarks, head.components))
    half = np.zeros((head.landmarks, head.landmarks))
    shift = np.zeros(head.landmarks)
    _, distinct = np.unique(digests(rows), return_index=True)
    chosen = np.sort(distinct)[: head.landmarks]
    count = len(chosen)
    points[:count] = z[chosen]
    values, vectors = np.linalg.eigh(_kernel(points[:count], points[:count]))
    kept = values > 1e-5 * values[-1]
    half[:count, :count] = vectors * np.where(kept, np.where(kept, values, 1.0) ** -0.5, 0.0)
    shift[:count] = (_kernel(z, points[:count]) @ half[:count, :count]).mean(axis=0)
    found = {
        "centre": centre,
        "directions": directions,
        "points": points,
        "half": half,
        "shift": shift,
        "width": np.float64(WIDTH),
    }
    if told is not None:
        logit = fit_task_logit(z, told, places=head.tasks)
        found |= {f"task_{name}": value for name, value in logit._asdict().items()}
    made = {name: np.asarray(value, np.float32) for name, value in found.items()}
    for value in made.values():
        value.setflags(write=False)
    return made


def _sample(x: np.ndarray | Stored) -> tuple[Int[np.ndarray, " s"], Float[np.ndarray, "s d"]]:
    """At most `MOST_ROWS` rows, in an order that their content decides, and their places."""
    rows = np.arange(len(x))
    if len(x) > 16 * MOST_ROWS:  # a digest of every row would take longer than the fit
        rows = np.linspace(0, len(x) - 1, 16 * MOST_ROWS).astype(np.int64)
    values = np.asarray(read(x[rows]))
    order = np.argsort(digests(values), kind="stable")[:MOST_ROWS]
    return rows[order], np.asarray(values[order], np.float32)


def _directions(away: Float[np.ndarray, "s d"], components: int) -> Float[np.ndarray, "d c"]:
    """The leading principal directions, orthonormal in single precision; zeros where there are no
    more."""
    if away.shape[1] <= LARGEST_EXACT:
        vectors = np.linalg.eigh(away.T @ away)[1][:, ::-1][:, :components]
        return np.asarray(vectors)
    from scipy.sparse.linalg import svds

    count = min(components, min(away.shape) - 1)
    start = np.ones(min(away.shape))
    found = np.zeros((away.shape[1], components), np.float32)
    if count > 0:
        found[:, :count] = svds(away, k=count, v0=start)[2][::-1].T
    return found


def _kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    square = (a**2).sum(axis=1)[:, None] - 2 * a @ b.T + (b**2).sum(axis=1)[None]
    return np.asarray(np.exp(-np.maximum(square, 0.0) / (2 * WIDTH**2)))


@functools.partial(kept_program, static=("head",))
def _features_of(head: PooledHead, params: dict[str, Any], x: Float[Array, "n d"]) -> Any:
    return outputs(head.of_query, {"params": params}, x)


def feature_blocks(
    head: PooledHead, params: dict[str, Any], x: np.ndarray | Stored
) -> Iterator[tuple[slice, Float[np.ndarray, "b D"]]]:
    """Features of the rows, a block at a time, in few shapes."""
    for first in range(0, len(x), BLOCK_ROWS):
        rows = np.asarray(read(x[first : first + BLOCK_ROWS]), np.float32)
        filled = padded(rows, padded_size(len(rows)))
        found = np.asarray(_features_of(head, params, filled))[: len(rows)]
        yield slice(first, first + len(rows)), found


def task_features(logit: TaskLogit, z: Float[np.ndarray, "n c"]) -> Float[np.ndarray, "n T"]:
    """What the tasks add to the features of queries, p(z) − p̄, as `PooledFeatures` does."""
    return logit.probabilities(z) - logit.shares


class RowFeatures(NamedTuple):
    """The features of the rows that an outcome model is fitted to.

    What the logit of tasks says of a row that it was fitted to is surer than what it says of a new
    query. So the probabilities of a row are by a logit of the rows outside its fold.

    Attributes:
      head: sizes.
      params: of `PooledFeatures`.
      x: [n, d] scaled embeddings.
      of_row: [n] fold of each row.
      logits: of the rows outside each fold; none where no tasks are told.
    """

    head: PooledHead
    params: dict[str, np.ndarray]
    x: np.ndarray | Stored
    of_row: Int[np.ndarray, " n"]
    logits: tuple[TaskLogit, ...] = ()

    def blocks(self) -> Iterator[tuple[slice, Float[np.ndarray, "b D"]]]:
        """Places and features of the rows, a block at a time."""
        for place, features in feature_blocks(self.head, self.params, self.x):
            if self.logits:
                features = np.array(features)
                z, of_row = features[:, 1 : 1 + self.head.components], self.of_row[place]
                for fold, logit in enumerate(self.logits):
                    own = of_row == fold
                    features[own, -self.head.tasks :] = task_features(logit, z[own])
            yield place, features


def row_features(
    head: PooledHead,
    x: np.ndarray | Stored,
    of_row: Int[np.ndarray, " n"],
    task: Int[np.ndarray, " n"] | None,
) -> RowFeatures:
    """Make the features of rows; arguments as of `make_features` and `RowFeatures`."""
    made = RowFeatures(head, make_features(head, x, task), x, of_row)
    if task is None or not head.tasks:
        return made
    places, rows = _sample(x)
    z = (rows - made.params["centre"]) @ made.params["directions"]
    near = told_by(made.params)
    logits = [
        fit_task_logit(z, np.where(own, -1, task[places]), places=head.tasks, near=near)
        for own in (of_row[places] == fold for fold in range(int(of_row.max()) + 1))
    ]
    return made._replace(logits=tuple(logits))


def feature_sums(
    head: PooledHead,
    model: OutcomeModel,
    x: np.ndarray | Stored,
    ones: Int[np.ndarray, "k n"],
    others: Int[np.ndarray, "k n"],
) -> Float[np.ndarray, "k m D"]:
    """Σ_i φ(x_i) (1{a_i = m} − 1{b_i = m}) of every arm, for k pairs of policies.

    Args:
      head: sizes of the features, m.
      model: whose features they are.
      x: [n, d] scaled embeddings.
      ones, others: [k, n] arms a and b that they choose.
    """
    params = jax.tree.map(lambda leaf: np.asarray(leaf)[0], model.quality["params"]["features"])
    total, each = np.zeros((len(ones), head.models, head.width)), np.eye(head.models)
    for place, features in feature_blocks(head, params, x):
        for k, (one, other) in enumerate(zip(ones[:, place], others[:, place], strict=True)):
            total[k] += (each[one] - each[other]).T @ features
    return total
