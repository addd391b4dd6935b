"""Costs that are not logged: from tokens and prices, or from other rows of the model."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from routerjax.data.columns.arrays import quoted
from routerjax.data.columns.source_file import SourceFile
from routerjax.errors import DataWarning


def costs_of(file: SourceFile, answered: Sequence[str | None], *, drop_missing: bool) -> np.ndarray:
    """[n] US dollars per query of a log, NaN where they are not known.

    Where the schema names a file of prices, a cost that is missing or 0 (but for a `zero_cost` of
    "keep") is that of the row's tokens. With a `zero_cost` of "missing" a cost of 0 that is left is
    not known: its row is missing a cost if rows may leave, and else has the mean cost of its
    model's other rows, which a `DataWarning` says.

    Args:
      file: of n rows.
      answered: n names of the models that answered, None where missing.
      drop_missing: whether rows leave for what they lack.

    Raises:
      InputError: no cost and no prices, a model without a price, or one whose cost is 0 in all its
        rows and is to be taken from them.
    """
    zero_cost = file.schema.zero_cost
    priced = file.schema.prices is not None
    if not priced:
        file.require("cost")
    cost = file.costs("cost") if "cost" in file else np.full(len(file), np.nan)
    zero = cost == 0
    if priced:
        unknown = np.isnan(cost) | (zero & (zero_cost != "keep"))
        cost = np.where(unknown, _by_tokens(file, answered, unknown, cost), cost)
        zero = cost == 0
    if zero_cost != "missing" or not zero.any():
        return cost
    if drop_missing:
        return np.where(zero, np.nan, cost)
    return _of_other_rows(file, answered, cost, zero)


def _by_tokens(
    file: SourceFile, answered: Sequence[str | None], unknown: np.ndarray, cost: np.ndarray
) -> np.ndarray:
    """[n] costs, those that are unknown by tokens; as they were where tokens are unknown too."""
    from routerjax.data.public.prices import cost_by_tokens, read_prices

    assert file.schema.prices is not None
    prices = read_prices(file.schema.prices)
    rows = np.flatnonzero(unknown & np.array([name is not None for name in answered]))
    if not any(price.query and not (price.input or price.output) for price in prices.values()):
        file.require("input_tokens")
        file.require("output_tokens")
    tokens = [
        file.numbers(name)[rows] if name in file else None
        for name in ("input_tokens", "output_tokens")
    ]
    found = cost.copy()
    models = [str(answered[row]) for row in rows.tolist()]
    own = cost_by_tokens(models, *tokens, prices=prices, source=file.schema.prices)
    found[rows] = np.where(np.isnan(own), cost[rows], own)
    return found


def _of_other_rows(
    file: SourceFile, answered: Sequence[str | None], cost: np.ndarray, zero: np.ndarray
) -> np.ndarray:
    """Costs of 0 as the mean of the model's other costs."""
    names = np.array([name or "" for name in answered], dtype=object)
    filled = cost.copy()
    said = []
    for name in sorted(set(names[zero].tolist())):
        own = names == name
        others = own & ~zero & ~np.isnan(cost)
        if not others.any():
            raise file.fail(
                f"model {quoted(name)} costs 0 or nothing in every row, so that its cost is not "
                "known; price it with --prices prices.toml, keep the zeros with --zero-cost keep, "
                "or leave its rows out with --drop-missing",
                field="cost",
                row=int((own & zero).argmax()),
            )
        mean = float(cost[others].mean())
        filled[own & zero] = mean
        said.append(f"{(own & zero).sum()} of {quoted(name)} as ${mean:.3g}")
    warnings.warn(
        f"{file.source}: rows of cost 0 count with the mean cost of their model's other rows: "
        f"{', '.join(said)}",
        DataWarning,
        stacklevel=4,
    )
    return filled
