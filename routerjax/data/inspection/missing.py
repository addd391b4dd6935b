"""What rows lack, by model."""

from __future__ import annotations

import collections
import warnings

import numpy as np
import pyarrow as pa

from routerjax.data.columns.source_file import open_file
from routerjax.data.inspection.propose import Proposal
from routerjax.errors import DataWarning, InputError


def missing_by_model(table: pa.Table, proposal: Proposal) -> dict[str, dict[str, int]]:
    """Model → what its rows lack (prompt, quality, cost) → how many; "" where no model is named."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # the reader has said it
        return _missing(table, proposal)


def _missing(table: pa.Table, proposal: Proposal) -> dict[str, dict[str, int]]:
    try:
        file = open_file(table, proposal.schema)
        models = np.array([model or "" for model in file.texts("model")], dtype=object)
        lacking = {"quality": np.isnan(file.numbers("quality"))}
        if "cost" in file:
            lacking["cost"] = np.isnan(file.costs("cost"))
        if "prompt" in file:
            lacking["prompt"] = np.array([text is None for text in file.prompts().texts])
        lacking["quality"] |= file.failed()
    except InputError:
        return {}
    found: dict[str, dict[str, int]] = {}
    for what, mask in lacking.items():
        for model, count in sorted(collections.Counter(models[mask].tolist()).items()):
            found.setdefault(model, {})[what] = count
    return found
