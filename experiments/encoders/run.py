"""The comparison: the same logs of the same tables under one encoder after another."""

from __future__ import annotations

import itertools
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from experiments.encoders.config import EncodersConfig
from experiments.log_size import methods
from experiments.log_size.data import Source, draw, weights_over
from routerjax.data.encoders.encoding import encode, encoded
from routerjax.errors import DataWarning

Record = dict[str, Any]
SAMPLE_SEED = 0
DIGITS = 6  # of utilities, which are shares of the range of quality


class Timing(NamedTuple):
    """What encoding takes, a thousand prompts.

    Attributes:
      wall, cpu: seconds passed, and of all cores.
      prompts: number of prompts that were timed.
      characters: mean length of a prompt.
    """

    wall: float
    cpu: float
    prompts: int
    characters: float


def timing(prompts: Sequence[str], encoder: str, *, count: int) -> Timing:
    """Time an encoder, loaded and without the cache, on some prompts drawn evenly."""
    order = np.random.default_rng(SAMPLE_SEED).permutation(len(prompts))[:count]
    sample = [prompts[row] for row in order]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # said of the whole table
        encode(sample[:1], encoder=encoder, cache=None)
        wall, cpu = time.perf_counter(), time.process_time()
        encode(sample, encoder=encoder, cache=None)
    per_thousand = 1000 / len(sample)
    return Timing(
        wall=(time.perf_counter() - wall) * per_thousand,
        cpu=(time.process_time() - cpu) * per_thousand,
        prompts=len(sample),
        characters=float(np.mean([len(text) for text in sample])),
    )


def study(
    config: EncodersConfig, tables: Sequence[Source], *, on_place: Callable[[str], None]
) -> Iterator[Record]:
    """One record per table and encoder: what encoding takes, and every draw's utilities.

    Args:
      config: checked.
      tables: with prompts and without embeddings.
      on_place: told of what is measured next.
    """
    for source, encoder in itertools.product(tables, config.encoders):
        on_place(f"{source.name}, {encoder}, encoding")
        assert source.table.prompts is not None
        taken = timing(source.table.prompts, encoder, count=config.timed)
        # `fit` takes embeddings of no known encoder as they are
        table = encoded(source.table, encoder=encoder).replace(encoder=None)
        cost_weights = weights_over(table, config.cost_weights)
        draws = []
        for logging, seed in itertools.product(config.logging, range(config.seeds)):
            on_place(f"{source.name}, {encoder}, {logging}, seed {seed}")
            made = draw(table, logging=logging, rows=config.rows, seed=seed, recorded=False)
            fit = methods.fitted(made, cost_weights, seed=seed).router
            full = methods.full_feedback(made, cost_weights, seed=seed)
            best = methods.single(methods.arm_means(made.log), cost_weights, len(made.test))
            chosen = {
                methods.BEST: best,
                methods.FIT: fit.choices,
                methods.FULL: full.choices,
            }
            values = {
                name: [round(each, DIGITS) for each in methods.values(own, made.test, cost_weights)]
                for name, own in chosen.items()
            }
            draws.append({"logging": logging, "seed": seed, "values": values})
        yield {
            "table": source.name,
            "encoder": encoder,
            "width": int(np.shape(table.features)[1]),
            "seconds": taken._asdict(),
            "test_rows": len(table) - config.rows,
            "draws": draws,
        }
