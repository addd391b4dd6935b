"""The study: its draws, and what is measured on one."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

from experiments.log_size import methods
from experiments.log_size.config import SizeConfig
from experiments.log_size.data import Draw, Source, cost_weights_of, draw, fits
from experiments.log_size.methods import Timed, single, values
from experiments.log_size.ridges import plug_in

Record = dict[str, Any]
DIGITS = 6
"""Of utilities, which are shares of the range of quality, and of seconds."""


class Place(NamedTuple):
    """One draw of one cell.

    Attributes:
      table: name.
      logging: policy.
      rows: of the log.
      seed: of the draw.
    """

    table: str
    logging: str
    rows: int
    seed: int


def places(config: SizeConfig, tables: Sequence[Source]) -> list[Place]:
    """Every draw, a whole round of cells before the next seed."""
    return [
        Place(source.name, logging, rows, seed)
        for seed, source, rows, logging in itertools.product(
            range(config.seeds), tables, config.rows, config.logging
        )
        if fits(source.table, rows)
    ]


class Study:
    """Measures draws, and remembers what several of them share.

    Args:
      config: checked.
      tables: of the study.
    """

    def __init__(self, config: SizeConfig, tables: Sequence[Source]):
        self._config = config
        self._tables = {source.name: source.table for source in tables}
        self._seen: set[tuple[Any, ...]] = set()
        self._full: tuple[Any, Timed] | None = None

    def measure(self, place: Place) -> Record:
        """Utilities of all methods on one draw, and the CPU seconds of those that are fitted."""
        table = self._tables[place.table]
        cost_weights = cost_weights_of(table, self._config)
        made = draw(
            table,
            logging=place.logging,
            rows=place.rows,
            seed=place.seed,
            recorded=self._config.recorded,
        )
        rows, seed = len(made.test), place.seed
        fit = methods.fitted(made, cost_weights, seed=seed)
        timed = {methods.FIT: fit.router} | self._others(made, cost_weights, seed=seed)
        fresh = self._fresh(made, place, timed)
        shared = (place.table, place.rows, seed)
        if self._full is None or self._full[0] != shared:
            fresh += self._new(methods.FULL, place.table, place.rows)
            self._full = shared, methods.full_feedback(made, cost_weights, seed=seed)
            timed[methods.FULL] = self._full[1]
        chosen = {
            methods.BEST: single(methods.arm_means(made.log), cost_weights, rows),
            methods.BEST_FIT: fit.best,
            **{name: each.choices for name, each in timed.items()},
            methods.FULL: self._full[1].choices,
            methods.HINDSIGHT: single(made.test.estimates, cost_weights, rows),
            methods.ORACLE: methods.greedy(made.test.estimates, cost_weights),
        }
        if fit.best_by_dr is not None:
            chosen[methods.BEST_DR] = fit.best_by_dr
        return {
            **place._asdict(),
            "test_rows": rows,
            "unlogged": int((made.log.arm_counts == 0).sum()),
            "values": {
                name: [round(each, DIGITS) for each in values(own, made.test, cost_weights)]
                for name, own in chosen.items()
            },
            "expected": {
                name: [round(own[name], DIGITS) for own in timed[methods.FIT].expected]
                for name in ("advantage", "standard_deviation", "kept")
            },
            "seconds": {name: round(each.seconds, 3) for name, each in timed.items()},
            "first": fresh,
        }

    def _others(
        self, made: Draw, cost_weights: tuple[float, ...], *, seed: int
    ) -> dict[str, Timed]:
        """The ridges, and the method of version 0.1.0 where it is asked for."""
        found = {
            name: Timed(*plug_in(made, cost_weights, regression))
            for name, regression in methods.REGRESSIONS.items()
        }
        if self._config.former:
            former = methods.fitted(made, cost_weights, seed=seed, former=True)
            found[methods.FORMER] = former.router
        return found

    def _fresh(self, made: Draw, place: Place, timed: dict[str, Timed]) -> list[str]:
        """Methods that had no log of this table, size and number of models that answered."""
        logged = int((made.log.arm_counts > 0).sum())
        return [n for name in timed for n in self._new(name, place.table, place.rows, logged)]

    def _new(self, name: str, *shape: Any) -> list[str]:
        known = (name, *shape) in self._seen
        self._seen.add((name, *shape))
        return [] if known else [name]
