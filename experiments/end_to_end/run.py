"""The study: its draws, and what is measured on one."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from experiments.end_to_end import worlds
from experiments.end_to_end.config import EMBEDDED, ON_TABLES, EndToEndConfig, Setting
from experiments.end_to_end.methods import (
    REFERENCES,
    SHOWN,
    base_of,
    chosen,
    methods_of,
    utilities,
)
from experiments.log_size.data import Source, fits, weights_over

Record = dict[str, Any]
KEPT = 8
"""Draws after which compiled programs are let go: each draw has cost weights, and so programs, of
its own, and a process may map only so many into its memory. They are read again from disk."""
DIGITS = 5
"""Of utilities, which are shares of the range of quality."""


class Place(NamedTuple):
    """One draw of one setting.

    Attributes:
      table: its name, or "embedded".
      setting: what differs from the centre, by name.
      seed: of the draw.
    """

    table: str
    setting: str
    seed: int


def cells(config: EndToEndConfig, tables: Sequence[Source]) -> list[tuple[str, Setting]]:
    """Every table with every setting that it allows."""
    own = [(EMBEDDED, setting) for setting in config.embedded]
    own += [
        (source.name, setting)
        for source in tables
        for setting in (ON_TABLES if config.tables_too else ())
        if fits(source.table, setting.rows)
    ]
    return own


def places(config: EndToEndConfig, tables: Sequence[Source]) -> list[Place]:
    """Every draw, a whole round of settings before the next seed."""
    return [
        Place(table, setting.name, seed)
        for seed in range(config.seeds)
        for table, setting in cells(config, tables)
    ]


def measuring(config: EndToEndConfig, tables: Sequence[Source]) -> Callable[[Place], Record]:
    """What measures a draw; compiled programs are let go after every `KEPT` of them.

    Args:
      config: checked.
      tables: beside the embedded world.
    """
    by_name = {source.name: source for source in tables}
    settings = {(table, setting.name): setting for table, setting in cells(config, tables)}
    count = itertools.count(1)

    def measured(place: Place) -> Record:
        setting = settings[place.table, place.setting]
        record = measure(by_name.get(place.table), setting, config, seed=place.seed)
        if next(count) % KEPT == 0:
            jax.clear_caches()
        return record

    return measured


def measure(
    source: Source | None, setting: Setting, config: EndToEndConfig, *, seed: int
) -> Record:
    """Utilities of all methods on one draw; of the embedded world where there is no table."""
    if source is None:
        made = worlds.embedded(setting, config, seed=seed)
    else:
        made = worlds.of_table(source.table, setting, seed=seed)
    cost_weights = weights_over(made.table, config.cost_weights)
    found = chosen(made, setting, config, cost_weights, seed=seed)
    rows = {
        name: utilities(choices, made.test, cost_weights) for name, choices in found.choices.items()
    }
    trained = methods_of(config)[len(REFERENCES) :]
    each = [rows[name] for name in methods_of(config)]
    return {
        **Place(EMBEDDED if source is None else source.name, setting.name, seed)._asdict(),
        "arms": len(made.log.models),
        "test_rows": len(made.test),
        "values": [round(float(own.mean()), DIGITS) for own in each],
        "by_weight": {
            name: [round(float(each), DIGITS) for each in rows[name].mean(axis=1)]
            for name in (*REFERENCES, *SHOWN)
            if name in rows
        },
        "row_deviations": [
            round(deviation(rows[name], rows[base_of(name)]), DIGITS) for name in trained
        ],
        "epochs": [found.epochs[name] for name in trained],
        "seconds": {name: round(value, 2) for name, value in found.seconds.items()},
    }


def deviation(own: Float[np.ndarray, "w t"], other: Float[np.ndarray, "w t"]) -> float:
    """Standard deviation over rows of the difference, mean over cost weights."""
    return float((own - other).mean(axis=0).std(ddof=1))
