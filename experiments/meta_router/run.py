"""The study: every run of every method in one compiled program."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.meta_router.config import MetaRouterConfig
from experiments.meta_router.data import Source
from experiments.meta_router.methods import AS_PUBLISHED, METHODS, Methods, Run, Setting
from experiments.meta_router.protocol import area, draw_roles, efficiency_curve
from routerjax.components import fit_components
from routerjax.integrative import CANDIDATES, Candidate
from routerjax.label_sources import Regress


class Outcome(NamedTuple):
    """What a study found.

    Attributes:
      source: its data.
      gold_rows: gold rows asked for.
      curves: method → [r, 61] efficiency, divided by the mean gold gain.
      omega: method → [r] ω used, NaN where the method has none.
    """

    source: Source
    gold_rows: int
    curves: Mapping[str, np.ndarray]
    omega: Mapping[str, np.ndarray]

    @property
    def areas(self) -> dict[str, np.ndarray]:
        """Method → [r] area under the curve."""
        return {method: area(curves) for method, curves in self.curves.items()}


def regression(nuisance: str) -> Regress:
    """The callable of a nuisance's name."""
    if nuisance == "forest":
        from routerjax.baselines.forest import forest

        return forest
    if nuisance == "heads":
        from routerjax.cate_heads import heads

        return heads
    from routerjax.ridge import kernel_ridge, ridge

    return kernel_ridge if nuisance == "kernel" else ridge


def setting_of(config: MetaRouterConfig, source: Source) -> Setting:
    """What the methods of a study share."""
    fixed = None if config.omega is None else (Candidate(config.omega),)
    return Setting(
        regress=regression(config.nuisance),
        folds=config.folds,
        candidates=fixed or CANDIDATES,
        limit=source.limit,
        known_propensity=source.known_propensity,
    )


def methods_of(config: MetaRouterConfig) -> dict[tuple[str, ...], Methods]:
    """The methods of a study by the names of what they find."""
    return {**METHODS, **(AS_PUBLISHED if config.as_published else {})}


def study(
    config: MetaRouterConfig,
    source: Source,
    *,
    on_block: Callable[[int], None] = lambda runs: None,
) -> list[Outcome]:
    """Run every method `config.runs` times for each number of gold rows.

    Run r has the same queries, roles and folds for every method, and the same queries and test
    rows for every number of gold rows, so that differences are paired. The program is compiled
    once and called for blocks of runs, one block a core.

    Args:
      config: the study.
      source: its data.
      on_block: called with the number of runs whenever some are done.
    """
    methods = methods_of(config)
    program = jax.jit(functools.partial(_block, source, methods, setting_of(config, source)))
    keys = jax.vmap(functools.partial(jax.random.fold_in, jax.random.key(config.seed)))(
        jnp.arange(-(-config.runs // config.block) * config.block)
    )
    blocks = keys.reshape(-1, config.block)
    gold_rows = jnp.asarray(config.gold_rows, jnp.int32)
    compiled = program.lower(source.arrays, gold_rows, blocks[0]).compile()

    def call(block):
        done = jax.tree.map(np.asarray, compiled(source.arrays, gold_rows, block))
        on_block(config.block)
        return done

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        parts = list(pool.map(call, blocks))
    joined = jax.tree.map(lambda *part: np.concatenate(part)[: config.runs], *parts)
    names = [name for group in methods for name in group]
    return [
        Outcome(
            source=source,
            gold_rows=count,
            curves={name: joined[name][0][:, place] / source.mean_gain for name in names},
            omega={name: joined[name][1][:, place] for name in names},
        )
        for place, count in enumerate(config.gold_rows)
    ]


def _block(
    source: Source,
    methods: Mapping[tuple[str, ...], Methods],
    setting: Setting,
    arrays,
    gold_rows,
    keys,
):
    """Curves [b, g, 61] and ω [b, g] of every method for b runs and g numbers of gold rows."""

    def one(key):
        make, roles, fit = jax.random.split(key, 3)
        data = source.make(arrays, make)
        draw = functools.partial(draw_roles, data, test_rows=source.test_rows, key=roles)
        train = (~draw(gold_rows=0).test).astype(jnp.float32)
        x = fit_components(data.embeddings, train, components=source.components)(data.embeddings)

        def with_gold(count):
            run = Run(x, data, draw(gold_rows=count), fit)
            found = {}
            for names, method in methods.items():
                for name, (predicted, omega) in zip(names, method(run, setting), strict=True):
                    found[name] = efficiency_curve(predicted, data.score, run.roles.test), omega
            return found

        return jax.lax.map(with_gold, gold_rows)

    return jax.lax.map(one, keys)
