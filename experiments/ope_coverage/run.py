"""The study: one cell after another, each kind of log with recorded and estimated propensities."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from experiments.ope_coverage.cell import Kind, measure
from experiments.ope_coverage.config import CoverageConfig
from experiments.ope_coverage.null import measure_null


def kinds(config: CoverageConfig) -> list[Kind]:
    """Every kind of log, those of equal shape together, so that little is compiled anew."""
    product = itertools.product(config.rows, config.models, config.logging, config.dependence)
    return [Kind(*each) for each in product]


def study(
    config: CoverageConfig, *, on_kind: Callable[[Kind], None]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Records of the cells, and of the cells in which all models are alike.

    Args:
      config: checked.
      on_kind: told of every kind of log before it is measured.
    """
    cells, null = [], []
    for kind in kinds(config):
        on_kind(kind)
        cells += measure(kind, config.propensities, logs=config.logs, seed=config.seed)
        null += measure_null(kind, config.propensities, logs=config.null_logs, seed=config.seed)
    return cells, null
