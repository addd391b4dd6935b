"""The records that travel through routerjax: `Table`, `Log` and `Estimates`.

All three are frozen pytrees. The arrays are leaves; names, prompts and ranges are static.
A record is validated where it is built from NumPy arrays; inside jit it is passed on as it is.

Quality keeps the unit in which it was declared (`quality_range`), so that every utility,
regret and cost weight a user sees is in that unit; models and losses divide by its width.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Sequence
from typing import Any, Self, TypeAlias, dataclass_transform

import jax
import numpy as np

from routerjax import validation
from routerjax.errors import InputError

Array: TypeAlias = Any  # NumPy on the host, JAX inside jit


@dataclass_transform(frozen_default=True, kw_only_default=True, eq_default=False)
def _record(*, data: tuple[str, ...]):
    """Make a frozen dataclass a pytree whose leaves are the fields named in `data`."""

    def wrap(cls):
        cls = dataclasses.dataclass(frozen=True, eq=False, kw_only=True)(cls)
        static = [field.name for field in dataclasses.fields(cls) if field.name not in data]
        return jax.tree_util.register_dataclass(cls, data_fields=list(data), meta_fields=static)

    return wrap


@_record(data=("quality", "cost"))
class Estimates:
    """Quality and cost of every arm for every query: known, predicted or counterfactual.

    Attributes:
      quality: [n, m] quality q̃, in the unit of the record it came from.
      cost: [n, m] cost c̃, dollars per query.
    """

    quality: Array
    cost: Array

    def utilities(self, cost_weight: Array | float) -> Array:
        """u_λ(x, m) = q(x, m) − λ·c(x, m), shape [n, m], for one cost weight λ."""
        return self.quality - cost_weight * self.cost

    def __getitem__(self, rows: Any) -> Estimates:
        return Estimates(quality=self.quality[rows], cost=self.cost[rows])


class _Rows:
    """What a `Table` and a `Log` share: rows with prompts, embeddings, tasks and splits."""

    quality: Array
    cost: Array
    models: tuple[str, ...]
    embeddings: Array | None
    prompts: tuple[str, ...] | None
    task: tuple[str, ...] | None
    split: tuple[str, ...] | None
    quality_range: tuple[float, float]
    encoder: str | None
    source: str

    def __len__(self) -> int:
        return int(self.quality.shape[0])

    @property
    def quality_width(self) -> float:
        """Width of the declared quality range: what one full unit of quality is."""
        return self.quality_range[1] - self.quality_range[0]

    def rows(self, index: Any) -> Self:
        """The record restricted to `index`: positions, a slice or a boolean mask."""
        index = np.arange(len(self))[index]
        changes: dict[str, Any] = {}
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if field.name in ("models", "quality_range") or value is None:
                continue
            if isinstance(value, tuple):
                changes[field.name] = tuple(value[i] for i in index)
            elif hasattr(value, "shape"):
                changes[field.name] = value[index]
        return dataclasses.replace(self, **changes)  # type: ignore[type-var]

    @property
    def features(self) -> Array:
        """[n, d] embeddings, where there must be some.

        Raises:
          InputError: the prompts have not been encoded.
        """
        if self.embeddings is None:
            problem = "no embeddings; encode the prompts first (routerjax.encoded)"
            raise InputError(problem, source=self.source)
        return self.embeddings

    def in_split(self, *names: str) -> Self:
        """The rows whose split is one of `names`."""
        assert self.split is not None
        return self.rows(np.isin(np.asarray(self.split), names))

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed, validated anew."""
        return dataclasses.replace(self, **changes)  # type: ignore[type-var]

    @functools.cached_property
    def fingerprint(self) -> str:
        """Sixteen hex digits of the SHA-256 of the content: same rows, same fingerprint."""
        digest = hashlib.sha256()
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if field.name == "source" or value is None:
                continue
            digest.update(field.name.encode())
            if hasattr(value, "shape"):
                digest.update(repr(value.shape).encode())
                digest.update(np.ascontiguousarray(value).tobytes())
            else:
                digest.update(repr(value).encode())
        return digest.hexdigest()[:16]


@_record(data=("quality", "cost", "embeddings"))
class Table(_Rows):
    """Full feedback: every model's quality and cost on every query.

    Attributes:
      quality: [n, m] float, NaN where a cell is missing.
      cost: [n, m] float, US dollars per query, NaN where a cell is missing.
      models: m names, in column order.
      embeddings: [n, d] float, or None until the prompts are encoded.
      prompts, task, split: n strings each, or None.
      quality_range: declared (lowest, highest) quality.
      encoder: name of the encoder that made the embeddings, None where they came ready-made.
      source: where the rows came from, for messages.

    Raises:
      InputError: fewer than two models, no rows, quality outside its range, negative cost,
        infinite numbers, or fields of different length.
    """

    quality: Array
    cost: Array
    models: tuple[str, ...]
    embeddings: Array | None = None
    prompts: tuple[str, ...] | None = None
    task: tuple[str, ...] | None = None
    split: tuple[str, ...] | None = None
    quality_range: tuple[float, float] = (0.0, 1.0)
    encoder: str | None = None
    source: str = "table"

    def __post_init__(self) -> None:
        if not isinstance(self.quality, np.ndarray) or not isinstance(self.cost, np.ndarray):
            return  # inside jit, or a pytree of something else than rows
        validation.check_table(self)

    @classmethod
    def from_arrays(
        cls,
        quality: np.ndarray,
        cost: np.ndarray,
        *,
        models: Sequence[str],
        embeddings: np.ndarray | None = None,
        prompts: Sequence[str] | None = None,
        task: Sequence[str] | None = None,
        split: Sequence[str] | None = None,
        quality_range: tuple[float, float] = (0.0, 1.0),
        encoder: str | None = None,
        source: str = "table",
    ) -> Table:
        """Build a table from arrays, [n, m] quality and cost; warns of implausible cost units."""
        table = cls(
            quality=np.asarray(quality, np.float32),
            cost=np.asarray(cost, np.float32),
            models=tuple(models),
            embeddings=_matrix(embeddings),
            prompts=_strings(prompts),
            task=_strings(task),
            split=_strings(split),
            quality_range=_pair(quality_range),
            encoder=encoder,
            source=source,
        )
        validation.warn_of_cost_unit(table)
        return table

    def with_models(self, models: Sequence[str]) -> Table:
        """The table with its model columns picked and ordered as `models`.

        Raises:
          InputError: the table lacks one of them.
        """
        lacking = [model for model in models if model not in self.models]
        if lacking:
            raise InputError(f"no column for {', '.join(lacking)}", source=self.source)
        columns = [self.models.index(model) for model in models]
        return self.replace(
            models=tuple(models), quality=self.quality[:, columns], cost=self.cost[:, columns]
        )

    @property
    def missing(self) -> int:
        """Number of cells without a quality or without a cost."""
        return int((~np.isfinite(self.quality) | ~np.isfinite(self.cost)).sum())

    def complete(self) -> Table:
        """The rows in which no cell is missing.

        Raises:
          InputError: every row has a missing cell.
        """
        whole = (np.isfinite(self.quality) & np.isfinite(self.cost)).all(axis=1)
        if whole.all():
            return self
        if not whole.any():
            problem = "every row has a missing cell; at least one complete row is needed"
            raise InputError(problem, source=self.source)
        return self.rows(whole)

    @property
    def estimates(self) -> Estimates:
        """The table's own cells as `Estimates`."""
        return Estimates(quality=self.quality, cost=self.cost)


@_record(data=("arms", "quality", "cost", "embeddings", "propensities"))
class Log(_Rows):
    """Observational feedback: only the answering model's quality and cost.

    Attributes:
      arms: [n] int, index into `models` of the model that answered.
      quality: [n] float, quality of its answer.
      cost: [n] float, its cost in US dollars.
      models: m names.
      propensities: probability with which the log's policy chose the arm: [n] for the arm
        that answered, [n, m] for every arm, or None where the log did not record it.
      embeddings, prompts, task, split, quality_range, encoder, source: as in `Table`.

    Raises:
      InputError: as `Table`, and for arms outside `models`, missing quality or cost,
        propensities outside (0, 1], or rows of propensities that do not sum to 1.
    """

    arms: Array
    quality: Array
    cost: Array
    models: tuple[str, ...]
    propensities: Array | None = None
    embeddings: Array | None = None
    prompts: tuple[str, ...] | None = None
    task: tuple[str, ...] | None = None
    split: tuple[str, ...] | None = None
    quality_range: tuple[float, float] = (0.0, 1.0)
    encoder: str | None = None
    source: str = "log"

    def __post_init__(self) -> None:
        if not isinstance(self.quality, np.ndarray) or not isinstance(self.cost, np.ndarray):
            return
        validation.check_log(self)

    @classmethod
    def from_arrays(
        cls,
        arms: np.ndarray,
        quality: np.ndarray,
        cost: np.ndarray,
        *,
        models: Sequence[str],
        propensities: np.ndarray | None = None,
        embeddings: np.ndarray | None = None,
        prompts: Sequence[str] | None = None,
        task: Sequence[str] | None = None,
        split: Sequence[str] | None = None,
        quality_range: tuple[float, float] = (0.0, 1.0),
        encoder: str | None = None,
        source: str = "log",
    ) -> Log:
        """Build a log from arrays, [n] each; warns of implausible cost units."""
        log = cls(
            arms=np.asarray(arms, np.int32),
            quality=np.asarray(quality, np.float32),
            cost=np.asarray(cost, np.float32),
            models=tuple(models),
            propensities=None if propensities is None else np.asarray(propensities, np.float32),
            embeddings=_matrix(embeddings),
            prompts=_strings(prompts),
            task=_strings(task),
            split=_strings(split),
            quality_range=_pair(quality_range),
            encoder=encoder,
            source=source,
        )
        validation.warn_of_cost_unit(log)
        return log

    @property
    def logged_propensities(self) -> Array | None:
        """[n] recorded propensity of the arm that answered, or None."""
        if self.propensities is None or self.propensities.ndim == 1:
            return self.propensities
        return self.propensities[np.arange(len(self)), self.arms]

    @property
    def arm_counts(self) -> np.ndarray:
        """[m] number of rows each model answered."""
        return np.bincount(self.arms, minlength=len(self.models))

    def without_unlogged(self) -> Log:
        """The same log with the models that never answered taken out of `models`."""
        return self.with_models([m for m, n in zip(self.models, self.arm_counts, strict=True) if n])

    def with_models(self, models: Sequence[str]) -> Log:
        """The log with its arms numbered as in `models`.

        Raises:
          InputError: a row was answered by another model.
        """
        models = tuple(models)
        if models == self.models:
            return self
        position = np.array([models.index(m) if m in models else -1 for m in self.models])
        arms = position[self.arms].astype(np.int32)
        if (arms < 0).any():
            row = int((arms < 0).argmax())
            problem = f"answered by {self.models[self.arms[row]]!r}, not one of {', '.join(models)}"
            raise InputError(problem, source=self.source, field="model", row=row)
        propensities = self.propensities
        if propensities is not None and propensities.ndim == 2:
            known = {model: propensities[:, i] for i, model in enumerate(self.models)}
            columns = [known.get(model, np.zeros(len(self), np.float32)) for model in models]
            propensities = np.stack(columns, axis=1)
            propensities = propensities / propensities.sum(axis=1, keepdims=True)
        return self.replace(arms=arms, models=models, propensities=propensities)


def _matrix(values: np.ndarray | None) -> np.ndarray | None:
    return None if values is None else np.asarray(values, np.float32)


def _strings(values: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if values is None else tuple(str(value) for value in values)


def _pair(values: tuple[float, float]) -> tuple[float, float]:
    low, high = values
    return float(low), float(high)
