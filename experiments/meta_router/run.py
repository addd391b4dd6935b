"""The study: every run of every method in one compiled program, and the blocks of it on disk."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import warnings
import zipfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.meta_router.config import MetaRouterConfig
from experiments.meta_router.data import Source
from experiments.meta_router.methods import (
    AS_PUBLISHED,
    METHODS,
    PAPER,
    Methods,
    Run,
    Setting,
    integrative,
    method_name,
    unscaled,
)
from experiments.meta_router.protocol import area, draw_roles, efficiency_curve
from routerjax.errors import DataWarning
from routerjax.estimators.components import fit_components
from routerjax.estimators.cross_fit import held_by_all
from routerjax.estimators.integrative import CANDIDATES, Candidate
from routerjax.pipelines.regressions import learner_named, regression_named
from routerjax.support.atomic import new_file
from routerjax.support.mapping import mapped, side_by_side
from routerjax.support.settings import check_settings, named

FACTOR = "label factor"
Block = dict[str, np.ndarray]
"""What a call found: METHOD.curves [b, g, 61], METHOD.omega [b, g] and the label factor [b, g]
for b runs."""


@dataclasses.dataclass(frozen=True)
class Blocks:
    """Finished blocks of a study on disk, each a file with the settings it was made with.

    A block is a function of its settings and its number, so that a study that takes some from
    here ends with the bits of one that was never interrupted.

    Attributes:
      folder: theirs alone.
      settings: what they depend on, by name. Blocks made with others are refused.
    """

    folder: Path
    settings: Mapping[str, Any]

    FILES = "block-*.npz"

    def read(self, number: int) -> Block | None:
        """A block, None where it is missing or, with a warning, damaged.

        Raises:
          InputError: it was made with other settings; the first that differs is named.
        """
        path = self._path(number)
        if not path.is_file():
            return None
        try:
            with path.open("rb") as file, np.load(file) as saved:
                block = dict(saved)
        except (OSError, EOFError, ValueError, zipfile.BadZipFile):
            warnings.warn(f"{path}: damaged and passed over", DataWarning, stacklevel=2)
            return None
        made = json.loads(block.pop("settings").item())
        check_settings(made, named(self.settings), self.folder)
        return block

    def write(self, number: int, block: Block) -> None:
        """Keep a block; it appears whole or not at all."""
        contents: dict[str, Any] = {**block, "settings": json.dumps(named(self.settings))}
        with new_file(self._path(number)) as path:
            np.savez(path, **contents)

    def _path(self, number: int) -> Path:
        return self.folder / self.FILES.replace("*", str(number))


class Outcome(NamedTuple):
    """What a study found.

    Attributes:
      source: its data.
      gold_rows: gold rows asked for.
      curves: method → [r, 61] efficiency, divided by the mean gold gain.
      omega: method → [r] ω used, NaN where the method has none.
      factor: [r] what preference labels were multiplied by, found on training rows.
    """

    source: Source
    gold_rows: int
    curves: Mapping[str, np.ndarray]
    omega: Mapping[str, np.ndarray]
    factor: np.ndarray

    @property
    def areas(self) -> dict[str, np.ndarray]:
        """Method → [r] area under the curve."""
        return {method: area(curves) for method, curves in self.curves.items()}


def setting_of(config: MetaRouterConfig, source: Source) -> Setting:
    """What the methods of a study share."""
    fixed = None if config.omega is None else (Candidate(config.omega),)
    return Setting(
        regress=regression_named(config.nuisance),
        folds=config.folds,
        candidates=fixed or CANDIDATES,
        limit=source.limit,
        known_propensity=source.known_propensity,
        learners=tuple(learner_named(learner) for learner in config.learners),
        beside=Candidate(1.0) if config.omega != 1 else None,
        scale=config.scale,
    )


def methods_of(config: MetaRouterConfig) -> dict[tuple[str, ...], Methods]:
    """The methods of a study by the names of what they find."""
    learnt = tuple(method_name(learner) for learner in config.learners)
    beside = tuple(f"{name}_alone" for name in learnt) if config.omega != 1 else ()
    without = (*(f"{name}_unscaled" for name in learnt), "pooled_unscaled")
    simple = {names: method for names, method in METHODS.items() if names != PAPER}
    return {
        (*learnt, *beside): integrative,
        **({without: unscaled} if config.scale != "none" else {}),
        **simple,
        **(AS_PUBLISHED if config.as_published else {}),
    }


def study(
    config: MetaRouterConfig,
    source: Source,
    *,
    on_block: Callable[[int], None] = lambda runs: None,
    kept: Blocks | None = None,
) -> list[Outcome]:
    """Run every method `config.runs` times for each number of gold rows.

    Run r has the same queries, roles and folds for every method, and the same queries and test
    rows for every number of gold rows, so that differences are paired.

    Args:
      config: the study.
      source: its data.
      on_block: called with the number of runs whenever some are done.
      kept: where finished blocks are left, and taken from if they are there.
    """
    blocks = [kept and kept.read(number) for number in range(-(-config.runs // config.block))]
    left = [number for number, block in enumerate(blocks) if block is None]
    on_block((len(blocks) - len(left)) * config.block)

    def on_done(number: int, block: Block) -> None:
        blocks[number] = block
        if kept:
            kept.write(number, block)
        on_block(config.block)

    if left:
        _run(config, source, left, on_done)
    joined = jax.tree.map(lambda *part: np.concatenate(part)[: config.runs], *blocks)
    names = [name for group in methods_of(config) for name in group]
    return [
        Outcome(
            source=source,
            gold_rows=count,
            curves={name: joined[f"{name}.curves"][:, place] / source.mean_gain for name in names},
            omega={name: joined[f"{name}.omega"][:, place] for name in names},
            factor=joined[FACTOR][:, place],
        )
        for place, count in enumerate(config.gold_rows)
    ]


def _run(
    config: MetaRouterConfig,
    source: Source,
    numbers: Sequence[int],
    on_done: Callable[[int, Block], None],
) -> None:
    """Blocks of runs, one a core; an accelerator is filled by one."""
    block = program(config, source)
    with ThreadPoolExecutor(max_workers=1 if side_by_side() else os.cpu_count()) as pool:
        for _ in pool.map(lambda number: on_done(number, block(number)), numbers):
            pass


def program(config: MetaRouterConfig, source: Source) -> Callable[[int], Block]:
    """Compile the study once; what comes back computes the block of a number.

    On a CPU the runs of a block follow each other, and so do gold sizes, folds and candidates
    within a run; elsewhere all of them are computed side by side, as far as memory goes.
    """
    methods = methods_of(config)
    compute = jax.jit(functools.partial(_block, source, methods, setting_of(config, source)))
    key = jax.vmap(functools.partial(jax.random.fold_in, jax.random.key(config.seed)))
    runs = jnp.arange(config.block)
    gold_rows = jnp.asarray(config.gold_rows, jnp.int32)
    compiled = compute.lower(source.arrays, gold_rows, key(runs)).compile()

    def block(number: int) -> Block:
        done = compiled(source.arrays, gold_rows, key(number * config.block + runs))
        return jax.tree.map(np.asarray, done)

    return block


def _block(
    source: Source,
    methods: Mapping[tuple[str, ...], Methods],
    setting: Setting,
    arrays,
    gold_rows,
    keys,
):
    """A `Block` of b runs and g numbers of gold rows."""

    def one(key):
        make, roles, fit = jax.random.split(key, 3)
        data = source.make(arrays, make)
        draw = functools.partial(draw_roles, data, test_rows=source.test_rows, key=roles)
        train = (~draw(gold_rows=0).test).astype(jnp.float32)
        x = fit_components(data.embeddings, train, components=source.components)(data.embeddings)

        def with_gold(count):
            run = Run(x, data, draw(gold_rows=count), fit).scaled(setting.scale)
            found: dict[str, jax.Array] = {FACTOR: jnp.float32(run.factor)}
            for names, method in methods.items():
                for name, (predicted, omega) in zip(names, method(run, setting), strict=True):
                    curve = efficiency_curve(predicted, data.score, run.roles.test)
                    found |= {f"{name}.curves": curve, f"{name}.omega": omega}
            return found

        return mapped(with_gold, gold_rows, holds=held_by_all(x, setting.folds))

    rows = jax.ShapeDtypeStruct((source.rows, source.components or 0), jnp.float32)
    holds = len(gold_rows) * held_by_all(rows, setting.folds)
    return mapped(one, keys, holds=holds)
