"""Labelled gains: how much better than a reference each model answered, by gold or cheap label.

The pair of the Meta-Router paper, a primary and an alternative model, is the case of one
column: the alternative is the reference, the gain is the primary's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, NoReturn

import jax
import numpy as np

from routerjax.errors import InputError
from routerjax.records.groups import group_numbers

Array = jax.Array | np.ndarray


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class LabelledGains:
    """Queries with the gain of every model over the reference, from one of two label sources.

    Attributes:
      embeddings: [n, d] float.
      label: [n, a] gain in quality of model 1 … a over model 0, NaN where not labelled.
      gold: [n] bool, True where the row's labels are gold-standard.
      costs: [a + 1] US dollars per query of every model, the reference first.
      groups: [n] int, one number a distinct query; rows of a group never straddle folds.
      propensity: [n] known probability that the row was given a gold label, or None.
      models: a + 1 names, the reference first.
      source: where the rows came from, for messages.

    Build it with `from_arrays`, which validates.
    """

    embeddings: Array
    label: Array
    gold: Array
    costs: Array
    groups: Array
    propensity: Array | None = None
    models: tuple[str, ...] = dataclasses.field(
        default=("alternative", "primary"), metadata={"static": True}
    )
    source: str = dataclasses.field(default="gains", metadata={"static": True})

    def __len__(self) -> int:
        return int(self.label.shape[0])

    def __repr__(self) -> str:
        """One line, without numbers."""
        if not hasattr(self.label, "shape") or not hasattr(self.embeddings, "shape"):
            return f"LabelledGains(of {type(self.label).__name__})"  # a pytree of something else
        facts = [f"{self.label.shape[0]:,} rows"]
        if isinstance(self.gold, np.ndarray):
            facts.append(f"{int(self.gold.sum()):,} of them gold")
        facts.append(f"{self.embeddings.shape[-1]}-wide embeddings")
        facts.append(f"gains of {', '.join(self.models[1:])} over {self.models[0]}")
        facts.append("no propensities" if self.propensity is None else "propensities known")
        return f"LabelledGains({', '.join(facts)}; source {self.source})"

    @classmethod
    def from_arrays(
        cls,
        embeddings: np.ndarray,
        label: np.ndarray,
        gold: np.ndarray,
        *,
        costs: Sequence[float] | np.ndarray,
        models: Sequence[str] = ("alternative", "primary"),
        groups: Sequence[Any] | np.ndarray | None = None,
        propensity: np.ndarray | None = None,
        source: str = "gains",
    ) -> LabelledGains:
        """Build and validate labelled gains.

        Args:
          embeddings: [n, d].
          label: [n] for a pair of models, or [n, a].
          gold: [n] bool.
          costs: dollars per query, the reference's first.
          models: names, the reference first.
          groups: [n] anything hashable that is equal where the query repeats, such as the
            prompts; None where no query repeats.
          propensity: [n] known probability of a gold label; None to have it estimated.
          source: for messages.

        Raises:
          InputError: no rows, shapes that do not fit, numbers that are not finite, a row
            without any label, negative costs, no gold row or no preference row, propensities
            outside (0, 1).
        """

        label = np.asarray(label, np.float32)
        gains = cls(
            embeddings=np.asarray(embeddings, np.float32),
            label=label[:, None] if label.ndim == 1 else label,
            gold=np.asarray(gold).astype(bool),
            costs=np.asarray(costs, np.float32),
            groups=group_numbers(np.arange(len(label)) if groups is None else groups),
            propensity=None if propensity is None else np.asarray(propensity, np.float32),
            models=tuple(str(model) for model in models),
            source=source,
        )
        _check(gains)
        return gains


def _check(gains: LabelledGains) -> None:
    def fail(problem: str, field: str | None = None, row: int | None = None) -> NoReturn:
        raise InputError(problem, source=gains.source, field=field, row=row)

    def first(bad: Any, problem: str, field: str) -> None:
        if np.any(bad):
            fail(problem, field, int(np.argmax(bad)))

    n = len(gains)
    if n == 0 or gains.label.ndim != 2:
        fail("labels must be [n] or [n, models − 1] with at least one row", "label")
    for name in ("embeddings", "gold", "groups", "propensity"):
        value = getattr(gains, name)
        if value is not None and len(value) != n:
            fail(f"holds {len(value)} rows where the labels have {n}", name)
    if gains.embeddings.ndim != 2:
        fail("embeddings must be a matrix, one row a query", "embeddings")
    if gains.gold.ndim != 1:
        fail("the source must be one True or False a row", "gold")
    models = gains.label.shape[1] + 1
    if len(gains.models) != models or gains.costs.shape != (models,):
        fail(
            f"{models - 1} column(s) of gains need {models} models and {models} costs, the "
            f"reference first; there are {len(gains.models)} names and {gains.costs.size} costs"
        )
    first(~np.isfinite(gains.embeddings).all(axis=1), "not a finite number", "embeddings")
    first(np.isinf(gains.label).any(axis=1), "gain is not a finite number", "label")
    first(np.isnan(gains.label).all(axis=1), "the row has no label; leave it out", "label")
    first(
        ~(np.isfinite(gains.costs) & (gains.costs >= 0)),
        "cost must be 0 or more US dollars per query",
        "costs",
    )
    if not gains.gold.any():
        fail("no row has a gold label; the bias of the others cannot be learnt without any", "gold")
    if gains.gold.all():
        fail("every row has a gold label; there is no preference label to correct", "gold")
    if gains.propensity is not None:
        inside = (gains.propensity > 0) & (gains.propensity < 1)
        first(
            ~inside, "probability of a gold label must lie strictly between 0 and 1", "propensity"
        )
