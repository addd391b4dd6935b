"""One answer a query, as a service logs it: `Log`, a frozen pytree, checked where it is built."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from routerjax.errors import InputError
from routerjax.records import validation as check
from routerjax.records.logged_again import origins_of
from routerjax.records.on_disk import Stored
from routerjax.records.rows import Array, Rows, matrix, pair, record, strings


@record(
    data=(
        *("arms", "quality", "cost", "embeddings", "propensities", "available", "time", "pinned"),
        *("gold_quality", "judged"),
    )
)
class Log(Rows):
    """Observational feedback: only the answering model's quality and cost.

    Attributes:
      arms: [n] int, index into `models` of the model that answered.
      quality: [n] float, quality of its answer.
      cost: [n] float, its cost in US dollars.
      models: m names.
      propensities: probability with which the log's policy chose the arm: [n] for the arm
        that answered, [n, m] for every arm, or None where the log did not record it.
      scored_by: n strings, how each row's quality was scored ("human", a judge's name), or None.
      gold_quality: [n] float, a gold score beside the judge's in `quality`, NaN where there is
        none; None where no row has two scores.
      judged: [n] bool, False where no judge scored the row, so that `quality` is its gold score;
        None where all have a judge's.
      embeddings, prompts, task, split, group, quality_range, encoder, source, available, time: As
        in `Table`.
      pinned: [n] bool, True where not the log's policy but a user chose the model; None if nobody
        did. Such rows are outcomes, and say nothing of the policy.
      prompt_form: what became of lists of messages, where it was not their last user turn.
      ids: n strings that tell decisions apart, or None: rows that are alike in all else are two
        decisions where their ids differ, and one that was logged twice where there are no ids.

    Raises:
      InputError: as `Table`, and for arms outside `models`, missing quality or cost,
        propensities outside (0, 1], rows of propensities that do not sum to 1, or a model that
        answered where it was not available.
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
    group: tuple[str, ...] | None = None
    scored_by: tuple[str, ...] | None = None
    gold_quality: Array | None = None
    judged: Array | None = None
    quality_range: tuple[float, float] = (0.0, 1.0)
    encoder: str | None = None
    source: str = "log"
    available: Array | None = None
    time: Array | None = None
    pinned: Array | None = None
    prompt_form: str | None = None
    ids: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.quality, np.ndarray) or not isinstance(self.cost, np.ndarray):
            return
        check.check_log(self)

    @classmethod
    def from_arrays(
        cls,
        arms: np.ndarray,
        quality: np.ndarray,
        cost: np.ndarray,
        *,
        models: Sequence[str],
        propensities: np.ndarray | None = None,
        embeddings: np.ndarray | Stored | None = None,
        prompts: Sequence[str] | None = None,
        task: Sequence[str] | None = None,
        split: Sequence[str] | None = None,
        group: Sequence[str] | None = None,
        scored_by: Sequence[str] | None = None,
        gold_quality: np.ndarray | None = None,
        quality_range: tuple[float, float] = (0.0, 1.0),
        encoder: str | None = None,
        source: str = "log",
        available: np.ndarray | None = None,
        time: np.ndarray | None = None,
        pinned: np.ndarray | None = None,
        prompt_form: str | None = None,
        ids: Sequence[str] | None = None,
        warn: bool = True,
    ) -> Log:
        """Build a log from arrays, [n] each; warns of odd cost units if `warn`.

        Where a quality is NaN and there is a gold one, no judge scored the row (`judged`).
        """
        quality, gold_quality, judged = _both(quality, gold_quality)
        log = cls(
            arms=np.asarray(arms, np.int32),
            quality=quality,
            cost=np.asarray(cost, np.float32),
            models=tuple(models),
            propensities=None if propensities is None else np.asarray(propensities, np.float32),
            embeddings=matrix(embeddings),
            prompts=strings(prompts),
            task=strings(task),
            split=strings(split),
            group=strings(group),
            scored_by=strings(scored_by),
            gold_quality=gold_quality,
            judged=judged,
            quality_range=pair(quality_range),
            encoder=encoder,
            source=source,
            available=None if available is None else np.asarray(available),
            time=None if time is None else np.asarray(time, np.float64),
            pinned=None if pinned is None else np.asarray(pinned),
            prompt_form=prompt_form,
            ids=strings(ids),
        )
        if warn:
            check.warn_of_cost_unit(log)
        return log

    def _facts(self) -> list[str]:
        return ["no propensities" if self.propensities is None else "propensities recorded"]

    @functools.cached_property
    def origins(self) -> Array:
        """[n] numbers that are equal where queries are, or rows are one answer logged again."""
        return origins_of(self)

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
        """The log with its arms numbered as in `models`; one that it does not know was nowhere
        available, where it says what was.

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
            other = self.models[self.arms[row]]
            problem = (
                f"answered by {other!r}, not one of {', '.join(models)}; if it is one of them "
                f"under another name, say so (--alias {other}=MODEL), else leave its rows out"
            )
            raise InputError(problem, source=self.source, field="model", row=row)
        propensities = self.propensities
        if propensities is not None and propensities.ndim == 2:
            known = {model: propensities[:, i] for i, model in enumerate(self.models)}
            columns = [known.get(model, np.zeros(len(self), np.float32)) for model in models]
            propensities = np.stack(columns, axis=1)
            propensities = propensities / propensities.sum(axis=1, keepdims=True)
        available = self.available
        if available is not None:
            asked = {model: available[:, i] for i, model in enumerate(self.models)}
            nowhere = np.zeros(len(self), bool)
            available = np.stack([asked.get(model, nowhere) for model in models], axis=1)
        return self.replace(
            arms=arms, models=models, propensities=propensities, available=available
        )


def _both(
    quality: np.ndarray, gold: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    """A judge's scores [n] with gold ones where they are missing, gold scores, who was judged."""
    quality = np.asarray(quality, np.float32)
    if gold is None:
        return quality, None, None
    gold = np.asarray(gold, np.float32)
    if quality.shape != gold.shape:
        return quality, gold, None  # the record refuses it
    alone = np.isnan(quality) & ~np.isnan(gold)
    return np.where(alone, gold, quality), gold, ~alone if alone.any() else None
