"""Tables of the study: the embedded one, or a file, with logging policies by name."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from experiments.causal_routing.config import StudyConfig
from experiments.log_size.data import DERIVED, derived_cost
from routerjax.cli.parse import parse_range
from routerjax.data.encoders.encoding import encoded
from routerjax.data.io.files import read_table
from routerjax.data.public.prices import read_prices
from routerjax.data.public.tables import load_public_table
from routerjax.data.synthetic.logging_policies import LoggingPolicy, confounded, epsilon_greedy
from routerjax.data.synthetic.simulation import logging_policy
from routerjax.data.synthetic.table import SYNTHETIC_NOTICE, EmbeddedTable, embedded_table
from routerjax.errors import InputError
from routerjax.records.tables import Estimates, Table


class Source(NamedTuple):
    """What a study draws its logs from.

    Attributes:
      name: for headings.
      table: complete rows with embeddings.
      evaluated_by: outcomes the policies are evaluated by: true means where known, else the cells.
      hidden: what a confounded policy acts on; None where the table hides nothing known.
      notices: sentences every report must carry.
    """

    name: str
    table: Table
    evaluated_by: Estimates
    hidden: np.ndarray | None
    notices: tuple[str, ...]


def load_source(config: StudyConfig, *, stand_ins: Sequence[str] = ()) -> Source:
    """The table of a study, encoded, rows with missing cells left out and counted.

    Args:
      config: of the study.
      stand_ins: encoders that are tried in this order where the configured one cannot be loaded;
        the table names the one that was taken, and a notice tells it.
    """
    if config.table is None and config.dataset is None:
        synthetic = embedded_table(0, queries=config.queries, dimensions=config.dimensions)
        note = "Policies are evaluated by the true mean quality and cost of each query."
        return Source(
            "the embedded table",
            synthetic.table,
            synthetic.true_estimates,
            _bad_luck(synthetic),
            (SYNTHETIC_NOTICE, note),
        )
    table, notices = _read(config)
    table, told = _encoded(table, (config.encoder, *stand_ins))
    whole = table.complete()
    notices += [*told, "Policies are evaluated by the table's cells, single observations."]
    if config.test_share is None and whole.split is not None and "test" in whole.split:
        notices.append(
            "Every seed is evaluated on the table's own test split: standard errors over seeds "
            "leave out what other test rows would change."
        )
    if len(whole) < len(table):
        notices.append(f"{len(table) - len(whole)} rows with a missing cell are left out.")
    name = table.source.rsplit("/", maxsplit=1)[-1]
    return Source(name, whole, whole.estimates, None, tuple(notices))


def _encoded(table: Table, encoders: Sequence[str]) -> tuple[Table, list[str]]:
    """The table by the first encoder that can be loaded, and what must be said of it."""
    first, *others = encoders
    try:
        return encoded(table, encoder=first), []
    except InputError:
        if not others:
            raise
    found, _ = _encoded(table, others)
    return found, [f"The encoder {first} cannot be loaded here; {found.encoder} stands in for it."]


def _read(config: StudyConfig) -> tuple[Table, list[str]]:
    """The table of the configuration, and what must be said of its costs."""
    if config.dataset is not None:
        return load_public_table(config.dataset, path=config.data, prices=config.prices), []
    assert config.table is not None
    span = parse_range(config.quality_range or "0:1")
    if config.prices is not None:
        table = table_at_prices(config.table, config.prices, config.embeddings, span)
        return table, [f"Costs are {DERIVED}."]
    if config.derive_cost is None:
        table = read_table(config.table, embeddings=config.embeddings, quality_range=span)
        return table, []
    prefix, dollars = config.derive_cost
    models = read_table(config.table, quality_range=span).models
    columns = {f"cost:{model}": f"{prefix}:{model}" for model in models}
    table = read_table(
        config.table, columns=columns, embeddings=config.embeddings, quality_range=span
    )
    cost = np.asarray(table.cost, np.float32) * np.float32(dollars)
    note = f"Costs are derived, not recorded: {dollars:g} dollars times the column {prefix}:MODEL."
    return dataclasses.replace(table, cost=cost), [note]


def table_at_prices(
    file: str, prices: str, embeddings: str | None, span: tuple[float, float]
) -> Table:
    """A table without costs, with those that its prompts would have at list prices.

    Raises:
      InputError: it has costs, or what `derived_cost` refuses.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*every cost is 0")
        table = read_table(file, embeddings=embeddings, quality_range=span)
    if table.cost.any():
        raise InputError("has costs of its own; leave out --prices", source=file)
    return table.replace(cost=derived_cost(table, read_prices(Path(prices))))


def _bad_luck(synthetic: EmbeddedTable) -> np.ndarray:
    """[n] how far a query's answers fall short of their true means, standardised.

    Nothing in an embedding tells it, but users who see a poor answer and ask a better model
    act on it.
    """
    short = (synthetic.true_quality - np.asarray(synthetic.table.quality)).mean(axis=1)
    return (short - short.mean()) / short.std()


def policy_named(
    name: str, source: Source, rows: np.ndarray, *, strength: float, key: jax.Array
) -> LoggingPolicy:
    """A logging policy for the table's `rows`.

    "uniform", "quality" and "cheap" are those of `routerjax.data.synthetic.simulation`; "epsilon"
    follows, nine times in ten, a router deployed before: the arm of best mean
    quality, seen through noise; "confounded" sends the queries
    that turn out worse than their embedding could tell to better models.

    Raises:
      InputError: "confounded" on a table that hides nothing known.
    """
    if name == "epsilon":
        deployed = logging_policy("quality", source.table.rows(rows), strength=20.0)
        return epsilon_greedy(deployed(source.table.rows(rows), key).argmax(axis=1))
    if name == "confounded":
        if source.hidden is None:
            problem = "confounded logging needs a hidden variable, and only the embedded table"
            raise InputError(f"{problem} has one; leave out --table")
        return confounded(source.hidden[rows], strength=strength)
    return logging_policy(name, source.table.rows(rows), strength=strength)
