"""Where a comparison's rows come from: the embedded table, a table of one's own, or a log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np

from experiments.surrogates.config import SurrogatesConfig
from routerjax.cli.parse import parse_range
from routerjax.data.encoders.encoding import encoded
from routerjax.data.io.files import read_log, read_table
from routerjax.data.synthetic.logging_policies import simulate_log
from routerjax.data.synthetic.simulation import logging_policy
from routerjax.data.synthetic.table import SYNTHETIC_NOTICE, embedded_table
from routerjax.errors import InputError
from routerjax.estimators.folds import member_splits
from routerjax.records.logs import Log
from routerjax.records.tables import Estimates, Table

FEWEST = 100
"""Rows to train on and to test on, at least."""


class Source(NamedTuple):
    """What a comparison is made on.

    Attributes:
      name: for headings.
      record: a complete table, or a log, with embeddings.
      truth: [n, m] what test rows of a table are evaluated by; None for a log.
      notice: what must be said of it.
      apart: Whether every seed has queries of its own, the next of the record; otherwise seeds
        split the same.
    """

    name: str
    record: Table | Log
    truth: Estimates | None
    notice: str
    apart: bool = False


class Drawn(NamedTuple):
    """One repetition before anything is fitted.

    Attributes:
      seed: its number.
      full: the training rows with all their cells; None of a log.
      log: the training rows with the logged cell alone.
      truth, evaluated_by: of the training and of the test rows; None of a log.
      tests: the test rows.
    """

    seed: int
    full: Table | None
    log: Log
    truth: Estimates | None
    evaluated_by: Estimates | None
    tests: Table | Log

    def key(self, purpose: int) -> jax.Array:
        """A key of the seed's own for every purpose."""
        return jax.random.fold_in(jax.random.key(self.seed), purpose)


def load(config: SurrogatesConfig) -> Source:
    """The rows of a comparison, encoded."""
    if config.table is None and config.log is None:
        count = config.seeds * config.queries
        synthetic = embedded_table(0, queries=count, dimensions=config.dimensions)
        note = (
            f"{SYNTHETIC_NOTICE} Every seed has queries of its own, and its test rows are "
            "evaluated by their true means."
        )
        truth = synthetic.true_estimates
        return Source("the embedded table", synthetic.table, truth, note, apart=True)
    span = parse_range(config.quality_range)
    if config.log is not None:
        log = read_log(config.log, embeddings=config.embeddings, quality_range=span)
        log = encoded(log.without_unlogged(), encoder=config.encoder)
        note = (
            "A log: test rows are evaluated by dr estimates of nuisances that are fitted to the "
            "test rows alone, cross-fitted."
        )
        return Source(file_name(config.log), log, None, note)
    assert config.table is not None
    table = read_table(config.table, embeddings=config.embeddings, quality_range=span)
    table = encoded(table, encoder=config.encoder).complete()
    note = "Test rows are evaluated by the table's cells, single observations."
    return Source(file_name(config.table), table, table.estimates, note)


def draw(source: Source, config: SurrogatesConfig) -> list[Drawn]:
    """Every seed's split and log, all of one shape; training rows at their most.

    Raises:
      InputError: too few rows, or fewer than a size of `config.rows`.
    """
    splits = [_split(source, config, seed) for seed in range(config.seeds)]
    trains, tests = (min(len(one[side]) for one in splits) for side in (0, 1))
    if min(trains, tests) < FEWEST:
        problem = f"{trains} rows to train on and {tests} to test on are too few"
        raise InputError(f"{problem}; at least {FEWEST} are needed", source=source.name)
    if max(config.rows, default=0) > trains:
        problem = f"rows is {max(config.rows)}; there are {trains} to train on"
        raise InputError(problem, source=source.name)
    return [
        _drawn(source, config, seed, train[:trains], test[:tests])
        for seed, (train, test) in enumerate(splits)
    ]


def of_size(drawn: Sequence[Drawn], rows: int) -> list[Drawn]:
    """The same repetitions with their first training rows alone; 0 takes all."""
    if not rows:
        return list(drawn)
    first = np.arange(rows)
    return [
        one._replace(
            full=None if one.full is None else one.full.rows(first),
            log=one.log.rows(first),
            truth=None if one.truth is None else one.truth[first],
        )
        for one in drawn
    ]


def _split(source: Source, config: SurrogatesConfig, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Training and test positions; rows of one group on one side."""
    count = config.queries if source.apart else len(source.record)
    groups = None if source.apart else source.record.groups
    train, test = member_splits(
        count, members=1, held_out=config.test_share, seed=seed, groups=groups
    )
    first = seed * count if source.apart else 0
    return first + train[0][train[0] >= 0], first + test[0][test[0] >= 0]


def _drawn(
    source: Source, config: SurrogatesConfig, seed: int, train: np.ndarray, test: np.ndarray
) -> Drawn:
    record, truth = source.record, source.truth
    if isinstance(record, Log):
        return Drawn(seed, None, record.rows(train), None, None, record.rows(test))
    assert truth is not None
    full = record.rows(train)
    policy = logging_policy(config.logging, full, strength=config.strength)
    log, _ = simulate_log(full, policy, key=jax.random.fold_in(jax.random.key(seed), 0))
    log = log.replace(task=None)  # propensities are those of the query, as in the paper
    return Drawn(seed, full, log, truth[train], truth[test], record.rows(test))


def file_name(path: str) -> str:
    """A path, or a surrogate by its path, without the folder."""
    return str(path).rsplit("/", maxsplit=1)[-1]
