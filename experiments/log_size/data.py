"""The study's tables: complete, encoded, with costs; and logs drawn from them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Int

from experiments.log_size.config import FEWEST_TEST, SizeConfig
from routerjax.data.encoders.encoding import encoded
from routerjax.data.formats import loading
from routerjax.data.io.files import read_table
from routerjax.data.public.prices import Price, price_of, read_prices
from routerjax.data.synthetic.logging_policies import (
    LoggingPolicy,
    noisy_softmax,
    simulate_log,
    uniform,
)
from routerjax.data.synthetic.table import embedded_table
from routerjax.errors import InputError
from routerjax.records.logs import Log
from routerjax.records.tables import Table
from routerjax.training.config import FitConfig

EMBEDDED_SEED = 123
MOST_MISSING = 0.05
"""Of a model's cells; a model with more missing is left out, and then rows with missing cells."""
CHARACTERS_PER_TOKEN, FURTHER_TOKENS = 4, 300
RECORDED = "recorded"
DERIVED = "derived: (prompt characters / 4 + 300) tokens at the model's input price"
STRENGTHS = {"biased": (3.0, 0.02), "sharp": (6.0, 0.002)}
"""Strength of the preference for good models; least propensity, at most half an even one's."""


class Source(NamedTuple):
    """A table with its name and where its costs come from.

    Attributes:
      name: of the table.
      table: complete, with embeddings and prompts.
      costs: `RECORDED`, `DERIVED`, or "synthetic".
      left_out: models left out because too many of their cells are missing.
    """

    name: str
    table: Table
    costs: str
    left_out: tuple[str, ...] = ()

    def facts(self) -> dict[str, Any]:
        """What the results say of the table."""
        return {
            "name": self.name,
            "rows": len(self.table),
            "models": len(self.table.models),
            "left_out": self.left_out,
            "costs": self.costs,
            "fingerprint": self.table.fingerprint,
        }


class Draw(NamedTuple):
    """A log and the rows that it does not hold.

    Attributes:
      log: n rows.
      table: the same rows with all their cells.
      test: every other row of the table.
    """

    log: Log
    table: Table
    test: Table


def sources(
    config: SizeConfig,
    tables: Sequence[str] = (),
    *,
    embeddings: Sequence[str] = (),
    prices: Path | None = None,
) -> list[Source]:
    """The embedded table and those of the files.

    Args:
      config: checked.
      tables: wide files.
      embeddings: .npy files, each of the table whose file's name without suffix its own begins
        with; the prompts of the other tables are encoded.
      prices: file of prices, for tables without costs.

    Raises:
      InputError: no table at all, two of one name, embeddings of no table, a table that cannot be
        read, or that has no costs where there are no prices.
    """
    found = [] if config.queries == 0 else [_embedded(config)]
    found += read_all(tables, embeddings=embeddings, prices=prices)
    if not found:
        raise InputError("no table is left; give --tables, or --queries above 0")
    return found


def read_all(
    tables: Sequence[str], *, embeddings: Sequence[str] = (), prices: Path | None = None
) -> list[Source]:
    """The tables of files, complete and encoded.

    Args, Raises: as `sources`, which adds the embedded table; none at all are no error here.
    """
    names = [Path(each).stem for each in tables]
    if len(set(names)) < len(names):
        raise InputError(f"tables are named {', '.join(names)}; a name may stand for one alone")
    beside: dict[str, str] = {}
    for file in embeddings:
        own = [name for name in names if Path(file).name.startswith(f"{name}.")]
        if not own:
            raise InputError("is named after none of the tables", source=file)
        beside[own[0]] = file
    known = {} if prices is None else read_prices(prices)
    return [
        read(file, embeddings=beside.get(name), prices=known)
        for file, name in zip(tables, names, strict=True)
    ]


def _embedded(config: SizeConfig) -> Source:
    made = embedded_table(EMBEDDED_SEED, queries=config.queries, dimensions=config.dimensions)
    return Source("embedded", made.table, "synthetic")


def read(file: str, *, embeddings: str | None, prices: dict[str, Price]) -> Source:
    """A table of a file, complete and encoded; its split, if it has one, plays no part."""
    source = complete(file, embeddings=embeddings, prices=prices)
    return source._replace(table=encoded(source.table, encoder=FitConfig().encoder))


def complete(file: str, *, embeddings: str | None, prices: dict[str, Price]) -> Source:
    """The same with the embeddings of the file alone."""
    rows = loading.load(file)
    if "split" in rows.column_names:  # whose words may be none that a record knows
        rows = rows.drop_columns(["split"])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*every cost is 0")
        table = read_table(rows, embeddings=embeddings).replace(source=file)
    missing = np.isnan(table.quality).mean(axis=0) > MOST_MISSING
    kept = [m for m, out in zip(table.models, missing, strict=True) if not out]
    left_out = tuple(m for m in table.models if m not in kept)
    table = table.with_models(kept).complete()
    costs = RECORDED
    if not table.cost.any():
        table, costs = table.replace(cost=derived_cost(table, prices)), DERIVED
    return Source(Path(file).stem, table, costs, left_out)


def derived_cost(table: Table, prices: dict[str, Price]) -> np.ndarray:
    """[n, m] dollars: (characters / 4 + 300) tokens at the input price.

    Raises:
      InputError: there are no prices, a model has none, or the table has no prompts.
    """
    if not prices or table.prompts is None:
        raise InputError(
            "no costs; they are derived from --prices and prompts", source=table.source
        )
    tokens = [len(text) / CHARACTERS_PER_TOKEN + FURTHER_TOKENS for text in table.prompts]
    each = [price_of(model, prices, source=table.source).input for model in table.models]
    return np.asarray(np.outer(tokens, each) / 1e6, np.float32)


def cost_weights_of(table: Table, config: SizeConfig) -> tuple[float, ...]:
    """The configuration's cost weights in quality per dollar."""
    return weights_over(table, config.cost_weights)


def weights_over(table: Table, shares: Sequence[float]) -> tuple[float, ...]:
    """Cost weights given over the mean cost of the table's dearest model, in quality per dollar."""
    dearest = float(np.asarray(table.cost, np.float64).mean(axis=0).max())
    return tuple(each / dearest for each in shares)


def policy_of(logging: str, models: int) -> LoggingPolicy:
    """A logging policy by name."""
    if logging == "uniform":
        return uniform
    strength, floor = STRENGTHS[logging]
    return noisy_softmax(strength=strength, floor=min(floor, 0.5 / models))


def draw(table: Table, *, logging: str, rows: int, seed: int, recorded: bool) -> Draw:
    """The first rows of a seeded order of the table as a log, and the rest.

    The order is the seed's alone, and so a smaller log is the beginning of a larger one, and
    logs of different policies are of the same queries.
    """
    order = order_of(len(table), seed)
    key = jax.random.fold_in(jax.random.key(seed), sum(logging.encode()))
    policy = policy_of(logging, len(table.models))
    log, _ = simulate_log(table.rows(order), policy, key=key, record=recorded)
    return Draw(log.rows(slice(0, rows)), table.rows(order[:rows]), table.rows(order[rows:]))


def order_of(rows: int, seed: int) -> Int[np.ndarray, " n"]:
    """The order in which a seed puts the rows of a table."""
    return np.random.default_rng(seed).permutation(rows)


def fits(table: Table, rows: int) -> bool:
    """Whether enough rows are over for the test."""
    return len(table) - rows >= FEWEST_TEST
