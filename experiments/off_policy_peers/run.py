"""The study: the Open Bandit logs where they are given, effects, and means of gold scores."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from experiments.off_policy_peers import bandit, effects, gold_mean, tree
from experiments.off_policy_peers.config import PeersConfig
from routerjax.data.io.files import read_log
from routerjax.errors import DataWarning
from routerjax.records.logs import Log


def read_logs(random: Path | None, bts: Path | None) -> tuple[Log, Log] | None:
    """The logs of the uniform policy and of Thompson sampling; None where they are not given."""
    if random is None or bts is None:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # clicks cost nothing
        return read_log(random), read_log(bts)


def study(
    config: PeersConfig, logs: tuple[Log, Log] | None, *, on_step: Callable[[str], None]
) -> dict[str, Any]:
    """Records of the three parts.

    Args:
      config: checked.
      logs: of `read_logs`.
      on_step: told of every part before it begins and of every draw in it.
    """

    def step(name: str) -> Callable[[], None]:
        return lambda: on_step(name)

    found = None
    if logs is not None:
        on_step("open bandit")
        found = bandit.measure(*logs, seed=config.seed)
    return {
        "bandit": found,
        "effects": [
            _effects(config, models, step(f"effects, {models} models")) for models in config.models
        ],
        "gold": gold_mean.measure(
            rows=config.scored,
            golds=config.gold,
            draws=config.draws,
            seed=config.seed,
            on_draw=step("gold scores"),
        ),
    }


def _effects(config: PeersConfig, models: int, on_draw: Callable[[], None]) -> dict[str, Any]:
    """Effects and a fixed policy's lead, and under "tree" a learnt policy's."""
    rows, seed = config.rows, config.seed
    found = effects.measure(rows=rows, models=models, draws=config.logs, seed=seed, on_draw=on_draw)
    learnt = tree.measure(
        rows=rows, models=models, draws=config.logs, seed=seed + 1, on_draw=on_draw
    )
    return {**found, "tree": learnt}


def steps(config: PeersConfig, logs: tuple[Log, Log] | None) -> int:
    """How often `study` tells of a step."""
    effects_logs = (config.logs + min(config.logs, tree.MOST)) * len(config.models)
    parts = effects_logs + config.draws * len(config.gold)
    return parts + (logs is not None)
