"""What the records share: frozen pytrees, and rows with prompts, embeddings, tasks and splits."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self, TypeAlias, TypeVar, dataclass_transform

import jax
import numpy as np

from routerjax.errors import InputError
from routerjax.records.groups import groups_of, queries_of
from routerjax.records.on_disk import Stored, blocks

Kind = TypeVar("Kind")
Array: TypeAlias = Any  # NumPy on the host, JAX inside jit


@dataclass_transform(frozen_default=True, kw_only_default=True, eq_default=False)
def record(*, data: tuple[str, ...]) -> Callable[[type[Kind]], type[Kind]]:
    """Make a frozen dataclass a pytree whose leaves are the fields named in `data`."""

    def wrap(cls: type[Kind]) -> type[Kind]:
        cls = dataclasses.dataclass(frozen=True, eq=False, kw_only=True, repr=False)(cls)
        fields = dataclasses.fields(cls)  # type: ignore[arg-type]
        static = [field.name for field in fields if field.name not in data]
        return jax.tree_util.register_dataclass(cls, data_fields=list(data), meta_fields=static)

    return wrap


class Rows:
    """What a `Table` and a `Log` share: rows with prompts, embeddings, tasks and splits."""

    quality: Array
    cost: Array
    models: tuple[str, ...]
    embeddings: Array | None
    prompts: tuple[str, ...] | None
    task: tuple[str, ...] | None
    split: tuple[str, ...] | None
    group: tuple[str, ...] | None
    quality_range: tuple[float, float]
    encoder: str | None
    source: str
    available: Array | None
    time: Array | None
    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]

    def __len__(self) -> int:
        return int(self.quality.shape[0])

    def __repr__(self) -> str:
        """One line, without prompts and numbers."""
        name = type(self).__name__
        if not hasattr(self.quality, "shape"):
            return f"{name}(of {type(self.quality).__name__})"  # a pytree of something else
        facts = [f"{self.quality.shape[0]:,} rows", f"{len(self.models)} models"]
        if self.embeddings is not None and hasattr(self.embeddings, "shape"):
            by = f" by {self.encoder}" if self.encoder else ""
            facts.append(f"{self.embeddings.shape[-1]}-wide embeddings{by}")
        else:
            facts.append("no embeddings yet")
        facts.append("quality in [{:g}, {:g}]".format(*self.quality_range))
        return f"{name}({', '.join([*facts, *self._facts()])}; source {self.source})"

    def _facts(self) -> list[str]:
        """What else a kind of record says of itself."""
        return []

    @property
    def quality_width(self) -> float:
        """Width of the declared quality range: what one full unit of quality is."""
        return self.quality_range[1] - self.quality_range[0]

    def rows(self, index: Any) -> Self:
        """The record restricted to `index`: positions, a slice or a boolean mask."""
        index = np.arange(len(self))[index]
        changes: dict[str, Any] = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name in ("models", "quality_range") or value is None:
                continue
            if isinstance(value, tuple):
                changes[field.name] = tuple(value[i] for i in index)
            elif hasattr(value, "shape"):
                changes[field.name] = value[index]
        found = dataclasses.replace(self, **changes)
        if self.prompts is not None and "queries" in vars(self):  # a number is its prompt's own
            vars(found)["queries"] = self.queries[index]
        return found

    @functools.cached_property
    def queries(self) -> Array:
        """[n] numbers that are equal where queries are, up to the noise of embeddings."""
        return queries_of(self)

    @property
    def origins(self) -> Array:
        """[n] numbers that are equal where queries are, or what was logged is one thing."""
        return self.queries

    @functools.cached_property
    def groups(self) -> Array:
        """[n] int: what is independent, 0, 1, …: `group`, else equal queries."""
        return groups_of(self)

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
        return dataclasses.replace(self, **changes)

    @functools.cached_property
    def fingerprint(self) -> str:
        """Sixteen hex digits of the SHA-256 of the content: same rows, same fingerprint."""
        digest = hashlib.sha256()
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name == "source" or value is None:
                continue
            digest.update(field.name.encode())
            if hasattr(value, "shape"):
                digest.update(repr(value.shape).encode())
                for block in blocks(value):
                    digest.update(np.ascontiguousarray(block).data)
            else:
                digest.update(repr(value).encode())
        return digest.hexdigest()[:16]


def matrix(values: np.ndarray | Stored | None) -> np.ndarray | Stored | None:
    """An array in single precision; what is on disk or is not there, as it is."""
    if values is None or isinstance(values, Stored):
        return values
    return np.asarray(values, np.float32)


def strings(values: Sequence[str] | None) -> tuple[str, ...] | None:
    """Values as a tuple of texts, where there are any."""
    return None if values is None else tuple(str(value) for value in values)


def pair(values: tuple[float, float]) -> tuple[float, float]:
    """(lowest, highest) as two floats."""
    low, high = values
    return float(low), float(high)
