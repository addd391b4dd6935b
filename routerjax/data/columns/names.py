"""The names that routerjax has for the columns of a log and of a table."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from routerjax.errors import InputError

SCORE, COST = "score:", "cost:"  # a table's columns: one of each a model
AVAILABLE = "available:"  # whether a model could be chosen, one column a model
PROPENSITY = "propensity:"  # with which a model was chosen, one column a model
TEXT_NAMES = ("prompt", "model", "task", "split", "group", "scored_by", "request_id", "currency")
LOG_NAMES = (
    *("prompt", "embedding", "model", "quality", "cost", "propensity", "task", "split"),
    *("group", "scored_by", "gold_quality", "request_id", "currency", "input_tokens"),
    *("output_tokens", "available", AVAILABLE, PROPENSITY, "time", "pinned"),
)
TABLE_NAMES = (
    *("prompt", "embedding", SCORE, COST, "task", "split", "group"),
    *("available", AVAILABLE, "time"),
)
PAIR_NAMES = ("model_a", "model_b", "winner")
"""Columns of pairs of answers, of which the better is known."""


def check_names(names: Iterable[str], allowed: Sequence[str]) -> None:
    """Raise unless every one of `names` is in `allowed`, or begins with a prefix that is.

    Raises:
      InputError: an unknown name; the message lists those allowed.
    """
    prefixes = tuple(name for name in allowed if name.endswith(":"))
    for name in names:
        if name in prefixes or (name not in allowed and not name.startswith(prefixes)):
            listed = dict.fromkeys(
                f"{each}<model>" if each.endswith(":") else each for each in allowed
            )
            raise InputError(
                f"'{name}' is not a column that can be named here; these are {', '.join(listed)}",
                source="columns",
            )


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that is most like another one, for a message; the empty text if none is."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return close[0] if close else ""
