"""The tables of the comparison: complete, with prompts, and not yet encoded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from experiments.encoders.config import EncodersConfig
from experiments.log_size.data import EMBEDDED_SEED, Source, complete, fits
from routerjax.data.public.prices import read_prices
from routerjax.data.synthetic.table import embedded_table
from routerjax.errors import InputError


def sources(
    config: EncodersConfig, files: Sequence[str] = (), *, prices: Path | None = None
) -> list[Source]:
    """The embedded table, if it is asked for, and those of the files.

    Args:
      config: checked.
      files: wide tables.
      prices: file of prices, for tables without costs.

    Raises:
      InputError: no table at all, one without prompts, or one with too few rows for the test.
    """
    known = {} if prices is None else read_prices(prices)
    found = [complete(file, embeddings=None, prices=known) for file in files]
    if config.queries:
        made = embedded_table(EMBEDDED_SEED, queries=config.queries, dimensions=16)
        found.insert(0, Source("embedded", made.table, "synthetic"))
    if not found:
        raise InputError("no table is left; give --tables, or --queries above 0")
    for source in found:
        if source.table.prompts is None:
            raise InputError("has no prompts to encode", source=source.name)
        if not fits(source.table, config.rows):
            problem = f"has {len(source.table)} rows, too few to test beside {config.rows} logged"
            raise InputError(problem, source=source.name)
    return [
        source._replace(table=source.table.replace(embeddings=None, encoder=None))
        for source in found
    ]
