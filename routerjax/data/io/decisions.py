"""The decision log of a served router, as a `Log`: decisions, answers and feedback joined by id.

A folder of JSON lines, ``DATE.SERVER.decisions.jsonl``, one file a day and server. Each line is an
event with its `time` (seconds since 1970, UTC):

- ``start``: a server began to write, with `encoder`, `prompt_form` and `quality_range` of its
  router; what follows in the file is of these.
- ``decision``: `id`, `models` that were available, `propensities` of these in their order, `model`
  that was drawn, `cost_weight`, `router` (fingerprint), `expected_quality` and `expected_cost` of
  these models, `embedding` (base64 of float32, little-endian) or its `digest`, and where there are
  any `group`, `tenant` and `prompt`.
- ``answer``: `id`, `model` that answered, which is another one where the upstream failed and the
  fallback order was followed, and its `cost` in US dollars where the upstream said what it used.
- ``feedback``: `id`, `quality` and `cost`, either of which may come later than the other.

Feedback may be written by another server than the decision, or days later. What is said twice
holds as it was said last. What cannot be used is left out and counted; where it is left out more
often of some models than of others, `feedback_rates` says what becomes of the propensities.
"""

from __future__ import annotations

import base64
import binascii
import collections
import dataclasses
import math
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from routerjax.data.columns.schema import FORMS
from routerjax.data.io.decision_events import SUFFIX, events, is_number
from routerjax.data.io.feedback_rates import of_known, said_of, shares_known
from routerjax.errors import DataWarning, InputError
from routerjax.records.logs import Log

ALIKE = ("encoder", "prompt_form", "quality_range")
"""What the servers of all rows must have in common."""


@dataclasses.dataclass(frozen=True)
class Joined:
    """What a decision log holds.

    Attributes:
      log: the decisions whose quality and cost are known.
      counts: what was left out and what was met, by name: decisions, rows, without feedback,
        without cost, answered by another model, of another encoder or quality range than the
        last server's, repeated feedback, unknown ids, out of range, damaged lines.
      routers: fingerprint of the router that decided, [n].
      times: [n] seconds since 1970.
      cost_weights: [n] λ of the decision.
    """

    log: Log
    counts: dict[str, int]
    routers: tuple[str, ...]
    times: np.ndarray
    cost_weights: np.ndarray


def is_decision_log(path: Any) -> bool:
    """Whether a path is a folder of decision logs."""
    if not isinstance(path, str | os.PathLike) or "\0" in str(path):
        return False
    try:
        folder = Path(path).expanduser()
        return folder.is_dir() and any(folder.glob(f"*{SUFFIX}"))
    except (OSError, RuntimeError):  # RuntimeError: ``~`` of no such user
        return False


def read_decisions(
    path: str | os.PathLike[str],
    *,
    since: float | None = None,
    quality_range: tuple[float, float] | None = None,
    models: Sequence[str] | None = None,
) -> Joined:
    """Read a decision log.

    Args:
      path: the folder.
      since: seconds since 1970; decisions before it are left out.
      quality_range: lowest and highest quality, by default as the servers wrote it.
      models: the arms, in order; by default all that were available once, sorted.

    Raises:
      InputError: no such folder, or no decision in it has both a quality and a cost.
    """
    folder = Path(path).expanduser()
    counts: collections.Counter[str] = collections.Counter()
    decisions: dict[str, dict[str, Any]] = {}
    said: dict[str, dict[str, tuple[float, float]]] = {}
    answered: dict[str, tuple[float, dict[str, Any]]] = {}
    header: dict[str, Any] = {}
    for event, start in events(folder, counts):
        kind, time = event["event"], event["time"]
        if kind == "start":
            header = event if time >= header.get("time", -math.inf) else header
        elif kind == "decision" and time >= (since or -math.inf):
            decisions[event["id"]] = {**event, "start": start}
        elif kind == "answer":
            if time >= answered.get(event["id"], (-math.inf, {}))[0]:
                answered[event["id"]] = (time, event)
        elif kind == "feedback":
            _note(said.setdefault(event["id"], {}), event, time, counts)
    low, high = quality_range or _range(header, folder)
    counts["decisions"] = len(decisions)
    if since is None:
        counts["unknown ids"] = len(said.keys() - decisions.keys())
    alike = {name: header[name] for name in ALIKE if name in header}
    if quality_range is not None:
        alike.pop("quality_range", None)
    rows = _rows(decisions, said, answered, (low, high), alike, counts)
    known = {decision["id"] for decision, _, _ in rows}
    drawn = [
        (each["model"], name in known)
        for name, each in decisions.items()
        if _is_whole(each) and _is_alike(each, alike)
    ]
    return _joined(rows, drawn, counts, header, folder, (low, high), models)


def _note(
    known: dict[str, tuple[float, float]],
    event: dict[str, Any],
    time: float,
    counts: collections.Counter[str],
) -> None:
    """Keep what feedback says, the last word for each of quality and cost."""
    for name in ("quality", "cost"):
        value = event.get(name)
        if value is None:
            continue
        if not is_number(value) or (name == "cost" and value < 0):
            counts["out of range"] += 1
            continue
        counts["repeated feedback"] += name in known
        if time >= known.get(name, (-math.inf, 0.0))[0]:
            known[name] = (time, float(value))


def _range(header: dict[str, Any], folder: Path) -> tuple[float, float]:
    found = header.get("quality_range", (0.0, 1.0))
    if isinstance(found, list | tuple) and len(found) == 2 and all(map(is_number, found)):
        return float(found[0]), float(found[1])
    raise InputError("its quality range is damaged; give --quality-range LO:HI", source=str(folder))


def _rows(
    decisions: dict[str, dict[str, Any]],
    said: dict[str, dict[str, tuple[float, float]]],
    answered: dict[str, tuple[float, dict[str, Any]]],
    quality_range: tuple[float, float],
    alike: dict[str, Any],
    counts: collections.Counter[str],
) -> list[tuple[dict[str, Any], float, float]]:
    """(decision, quality, cost) of the decisions that can be learnt from, in order of time.

    `alike` is what a ``start`` must say, where it says anything of it: embeddings of two encoders,
    or scores of two ranges, are no one log.
    """
    rows = []
    for name, decision in sorted(decisions.items(), key=lambda each: (each[1]["time"], each[0])):
        answer = answered.get(name, (0.0, {}))[1]
        known = said.get(name, {})
        if not _is_whole(decision):
            counts["damaged lines"] += 1
        elif answer.get("model", decision["model"]) != decision["model"]:
            counts["answered by another model"] += 1
        elif not _is_alike(decision, alike):
            counts["of another encoder or quality range"] += 1
        elif "quality" not in known:
            counts["without feedback"] += 1
        elif not quality_range[0] <= known["quality"][1] <= quality_range[1]:
            counts["out of range"] += 1
        else:
            cost: Any = known["cost"][1] if "cost" in known else answer.get("cost")
            if not is_number(cost) or cost < 0:
                counts["without cost"] += 1
            else:
                rows.append((decision, known["quality"][1], float(cost)))
    return rows


def _is_alike(decision: dict[str, Any], alike: dict[str, Any]) -> bool:
    return all(decision["start"].get(name, value) == value for name, value in alike.items())


def _is_whole(decision: dict[str, Any]) -> bool:
    models, chances = decision.get("models"), decision.get("propensities")
    if not isinstance(models, list) or not isinstance(chances, list):
        return False
    right = len(models) == len(chances) and all(map(is_number, chances))
    return right and decision.get("model") in models and min(chances) >= 0


def _joined(
    rows: list[tuple[dict[str, Any], float, float]],
    drawn: list[tuple[str, bool]],
    counts: collections.Counter[str],
    header: dict[str, Any],
    folder: Path,
    quality_range: tuple[float, float],
    models: Sequence[str] | None,
) -> Joined:
    met = ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items()) if count)
    if not rows:
        problem = f"no decision has both a quality and a cost ({met})"
        raise InputError(problem, source=str(folder))
    counts["rows"] = len(rows)
    found = [row[0] for row in rows]
    names = tuple(models or sorted({name for each in found for name in each["models"]}))
    position = {name: arm for arm, name in enumerate(names)}
    chances = np.zeros((len(rows), len(names)), np.float32)
    available = np.zeros(chances.shape, bool)
    for row, each in enumerate(found):
        if not set(each["models"]) <= position.keys():
            strange = ", ".join(sorted(set(each["models"]) - position.keys()))
            raise InputError(f"decisions chose among {strange} as well", source=str(folder))
        arms = [position[name] for name in each["models"]]
        chances[row, arms], available[row, arms] = each["propensities"], True
    if len(rows) < counts["decisions"]:
        left_out = counts["decisions"] - len(rows)
        warnings.warn(
            f"{folder}: {left_out:,} of its decisions cannot be learnt from ({met})",
            DataWarning,
            stacklevel=3,
        )
    own = np.array(
        [(position[name], is_known) for name, is_known in drawn if name in position], int
    )
    shares = shares_known(own[:, 0], own[:, 1], len(names))
    if shares is not None:
        warnings.warn(f"{folder}: {said_of(shares, names)}", DataWarning, stacklevel=3)
        chances = of_known(chances, shares)
    prompts: Any = [each.get("prompt") for each in found]
    groups = [each.get("group") for each in found]
    log = Log.from_arrays(
        np.array([position[each["model"]] for each in found]),
        np.array([row[1] for row in rows]),
        np.array([row[2] for row in rows]),
        models=names,
        propensities=chances,
        available=None if available.all() else available,
        embeddings=_embeddings(found, folder),
        prompts=prompts if all(isinstance(each, str) for each in prompts) else None,
        group=[str(each or "") for each in groups] if any(groups) else None,
        quality_range=quality_range,
        encoder=header.get("encoder"),
        prompt_form=form if (form := header.get("prompt_form")) in FORMS else None,
        source=str(folder),
        ids=[each["id"] for each in found],
    )
    return Joined(
        log=log,
        counts={name: count for name, count in counts.items() if count},
        routers=tuple(str(each.get("router")) for each in found),
        times=np.array([each["time"] for each in found]),
        cost_weights=np.array([float(each.get("cost_weight", 0.0)) for each in found]),
    )


def _embeddings(found: list[dict[str, Any]], folder: Path) -> np.ndarray:
    try:
        rows = [np.frombuffer(base64.b64decode(each["embedding"]), "<f4") for each in found]
        return np.stack(rows).astype(np.float32)
    except KeyError:
        problem = "holds digests of embeddings alone (serve --log-digests), which cannot be fitted"
        raise InputError(problem, source=str(folder)) from None
    except (TypeError, ValueError, binascii.Error):
        raise InputError(
            "its embeddings are damaged or of several widths", source=str(folder)
        ) from (None)
