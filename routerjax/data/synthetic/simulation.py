"""A log to try routerjax on: drawn from a table by a named logging policy."""

from __future__ import annotations

import jax
import numpy as np

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
from routerjax.records.validation import check_seed

POLICIES = ("uniform", "quality", "cheap")


def logging_policy(name: str, table: Table, *, strength: float = 2.0) -> LoggingPolicy:
    """A logging policy by name.

    "uniform"; "quality", a softmax of a previous router's noisy estimates of quality; "cheap",
    the same for the utility at the cost weight at which the table's mean costs outweigh its
    range of quality.

    Raises:
      InputError: an unknown name.
    """
    if name == "uniform":
        return uniform
    if name == "quality":
        return noisy_softmax(strength=strength)
    if name == "cheap":
        dearest = float(np.nanmean(table.cost, axis=0).max())
        weight = table.quality_width / dearest if dearest else 0.0
        return noisy_softmax(strength=strength, cost_weight=weight)
    raise InputError(f"no logging policy {name!r}; known are {', '.join(POLICIES)}")


def split_test(table: Table, *, share: float, seed: int) -> tuple[Table, Table]:
    """Rows to log and rows to test on: by the table's own split, else a random share.

    The rows to log keep no split: all that are not for testing are there to be learnt from.
    """
    if table.split is not None and "test" in table.split:
        test = np.asarray(table.split) == "test"
        return table.rows(~test).replace(split=None), table.rows(test)
    if not 0 < share < 1:
        raise InputError(f"test share is {share:g}; it must lie between 0 and 1")
    if len(table) < 2:
        problem = "one row cannot be split into rows to log and rows to test on"
        raise InputError(problem, source=table.source)
    order = np.random.default_rng(seed).permutation(len(table))
    count = min(max(1, round(share * len(table))), len(table) - 1)
    return table.rows(order[count:]), table.rows(order[:count])


def simulate(
    table: Table | None,
    *,
    policy: str = "quality",
    strength: float = 2.0,
    rows: int = 12_000,
    test_share: float = 0.3,
    record: bool = False,
    seed: int = 0,
) -> tuple[Log, Table]:
    """A log drawn from a table, and the rows of the table kept for testing.

    Args:
      table: full feedback; None takes the synthetic embedded table, prompts only, so that the
        text path is tried as well.
      policy: "uniform", "quality" or "cheap".
      strength: How sharply the policy prefers.
      rows: Rows of the synthetic table.
      test_share: Share of the rows kept for testing, where the table names no test split.
      record: whether the log holds the propensities.
      seed: Seed of table, split and draw.

    Raises:
      InputError: an unknown policy, a share outside (0, 1), a seed below 0, or a single row.
    """
    check_seed(seed)
    if table is None:
        table = embedded_table(seed, queries=rows).table.replace(embeddings=None)
    logged, test = split_test(table, share=test_share, seed=seed)
    chosen = logging_policy(policy, logged, strength=strength)
    log, _ = simulate_log(logged, chosen, key=jax.random.key(seed), record=record)
    return log, test
