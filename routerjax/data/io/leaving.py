"""Rows that leave, or count as failed, for a reason; and what is said of it."""

from __future__ import annotations

import collections
import dataclasses
import warnings
from collections.abc import Iterable, Mapping

import numpy as np

from routerjax.data.columns.prompts import Prompts
from routerjax.data.columns.schema import Schema, condition, each
from routerjax.data.columns.source_file import SourceFile
from routerjax.errors import DataWarning, InputError

MANY, MANY_SHARE = 50, 0.05
"""Rows, and their share, without a score from which it is said what that may do."""
MOST_MODELS = 4  # models that a message counts
FAILED = "failed calls without a quality"
OF_LOGS = ("failed", "failed_quality", "aliases", "prices")
"""Rules that a table of every model's answers has no use for."""


def failed_calls(
    file: SourceFile, quality: np.ndarray, quality_range: tuple[float, float]
) -> np.ndarray:
    """[n] bool: rows whose call failed, by the schema's condition or a quality below the range.

    The second holds only where the schema says what failed calls are worth.
    """
    failed = file.failed()
    if file.schema.failed_quality is None:
        return failed
    with np.errstate(invalid="ignore"):
        return failed | (quality < quality_range[0])


def of_failed(
    file: SourceFile, failed: np.ndarray, quality: np.ndarray, cost: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Quality and cost [n] with those of failed calls: as the schema says, and 0 where not billed.

    Without a `failed_quality` a failed call has no quality, so that its row is missing one.
    """
    worth = file.schema.failed_quality
    if worth is None:
        return np.where(failed, np.nan, quality), cost
    return np.where(failed, worth, quality), np.where(failed & np.isnan(cost), 0.0, cost)


def kept_rows(
    file: SourceFile,
    missing: Mapping[str, np.ndarray],
    models: list[str | None] | None,
    failed: np.ndarray | None,
    *,
    drop_missing: bool,
) -> np.ndarray:
    """Positions of the rows that the schema keeps and in which nothing is missing.

    Args:
      file: of n rows.
      missing: [n] bool by column.
      models: n names of the models that answered, None in a table.
      failed: [n] bool, failed calls; None in a table.
      drop_missing: leave rows out with a `DataWarning` that counts them by reason and model.

    Raises:
      InputError: something is missing and nothing may be left out, or nothing is left.
    """
    wanted = np.ones(len(file), bool) if file.kept is None else file.kept
    missing = {name: mask & wanted for name, mask in missing.items() if (mask & wanted).any()}
    if not missing:
        return np.flatnonzero(wanted)
    if not drop_missing:
        name = min(missing, key=lambda name: int(missing[name].argmax()))
        raise _lacking(file, name, missing[name], failed)
    lacking = np.logical_or.reduce(list(missing.values()))
    rows = np.arange(len(file))
    listed = ", ".join(
        f"{mask.sum()} {_reason(file, name, mask, failed)}{by_model(models, rows[mask])}"
        for name, mask in missing.items()
    )
    if not (wanted & ~lacking).any():
        raise file.fail(f"every row has something missing: {listed}")
    warnings.warn(
        f"{file.source}: left out {lacking.sum()} of {wanted.sum()} rows: {listed}"
        f"{_by_chance(missing, wanted)}",
        DataWarning,
        stacklevel=4,
    )
    return np.flatnonzero(wanted & ~lacking)


def _by_chance(missing: Mapping[str, np.ndarray], wanted: np.ndarray) -> str:
    """What many missing scores may do, for a message; nothing of few."""
    unscored = missing["quality"].sum() if "quality" in missing else 0
    if unscored < max(MANY, MANY_SHARE * wanted.sum()):
        return ""
    return (
        "; scores that are missing more often for good answers, or for bad ones, make what is left "
        "look worse or better than it was, which nothing here can mend"
    )


def by_model(models: list[str | None] | None, rows: Iterable[int]) -> str:
    """The models of some rows and how often each is there, for a message."""
    if models is None:
        return ""
    counts = collections.Counter(models[row] for row in rows)
    counts.pop(None, None)
    shown = [f"{name} {count}" for name, count in counts.most_common(MOST_MODELS)]
    more = len(counts) - MOST_MODELS
    return f" ({', '.join(shown)}{f' and {more} more' if more > 0 else ''})" if shown else ""


def say_parts(file: SourceFile, prompts: Prompts) -> None:
    """Warn where prompts hold parts that no text encoder sees."""
    if prompts.parts:
        said = ", ".join(f"a part [{name}] in {rows}" for name, rows in prompts.parts.items())
        problem = f"the messages of {len(file)} rows hold {said}; the names stand in the prompts"
        warnings.warn(f"{file.source}: {problem}", DataWarning, stacklevel=4)


def refuse_on_tables(schema: Schema) -> None:
    """Raise InputError for a rule that has no effect on a table."""
    for field in dataclasses.fields(schema):
        if field.name in OF_LOGS and getattr(schema, field.name) not in (None, (), {}):
            name = field.name.replace("_", " ")
            problem = "has no effect on a table of every model's answers; it is a rule for logs"
            raise InputError(problem, source=name)


def _reason(file: SourceFile, name: str, mask: np.ndarray, failed: np.ndarray | None) -> str:
    if name == "quality" and failed is not None and failed[mask].all():
        coded = _codes(file)
        return f"with {coded} and so without a quality" if coded else FAILED
    return f"without {file.names.get(name, name)}"


def _codes(file: SourceFile) -> str:
    """The values of the quality that stand for none, "quality=0", where nothing else says which
    calls failed."""
    conditions = [condition(text) for text in each(file.schema.failed)]
    own = file.names.get("quality", "quality")
    if not all(equal and column in (own, "quality") for column, equal, _ in conditions):
        return ""
    return " or ".join(f"{column}={value}" for column, _, value in conditions)


def _lacking(
    file: SourceFile, name: str, mask: np.ndarray, failed: np.ndarray | None
) -> InputError:
    rows, first = int(mask.sum()), int(mask.argmax())
    counted = "the only such row" if rows == 1 else f"{rows} such rows"
    if name == "quality" and failed is not None and failed[first] and (coded := _codes(file)):
        advice = "leave it out with --drop-missing, or say what it is worth with --failed-quality"
        problem = f"no quality, as {coded} stands for none ({counted}); {advice}"
    elif name == "quality" and failed is not None and failed[first]:
        advice = "say what a failed call is worth with --failed-quality 0 (failed_quality=0)"
        problem = f"the call failed and has no quality ({counted}); {advice}"
    else:
        advice = "fill it in or leave it out with --drop-missing (drop_missing=True)"
        problem = f"no {name} here ({counted}); {advice}"
    return file.fail(problem, field=name, row=first)
