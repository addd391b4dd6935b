"""RouterBench: 11 models on every query, with recorded costs, as its authors' pickle holds it.

The pickle is a DataFrame: `sample_id`, `prompt`, `eval_name`, one column of scores a model under
the model's own name, `<model>|model_response`, `<model>|total_cost` in US dollars, and
`oracle_model_to_route_to`.

Reference: Hu et al. (2024), RouterBench (arXiv 2403.12031).
"""

from __future__ import annotations

import os
import warnings
from typing import Any

import numpy as np

from routerjax.data.columns.arrays import quoted
from routerjax.data.columns.layouts import joined_turns
from routerjax.data.public.safe_pickle import read_columns
from routerjax.errors import DataWarning, InputError
from routerjax.records.tables import Table

COST = "|total_cost"


def read_routerbench(path: str | os.PathLike[str]) -> Table:
    """Read RouterBench's pickle as a table, without running what the pickle names.

    Models are the columns that have a `|total_cost` beside them, in the file's order; `task` is
    the evaluation's name. Missing cells stay missing; rows without a prompt are left out, with
    a `DataWarning`.

    Args:
      path: ``routerbench_0shot.pkl`` or ``routerbench_5shot.pkl``.

    Raises:
      InputError: a pickle that asks for more than a DataFrame of plain columns, or columns that
        are missing or hold no numbers.
    """
    columns, source = read_columns(path), str(path)
    models = [name for name in columns if name + COST in columns]
    lacking = [name for name in ("prompt", "eval_name") if name not in columns]
    if lacking or not models:
        wanted = f"'{lacking[0]}'" if lacking else f"'<model>' beside '<model>{COST}'"
        listed = ", ".join(name for name in columns if "|" not in name)
        raise InputError(f"no column {wanted}; it has {listed}", source=source)
    prompts = [prompt_text(value) for value in columns["prompt"]]
    kept = np.flatnonzero([bool(prompt) for prompt in prompts])
    if len(kept) < len(prompts):
        left_out = f"left out {len(prompts) - len(kept)} of {len(prompts)} rows without a prompt"
        warnings.warn(f"{source}: {left_out}", DataWarning, stacklevel=2)
    quality = [_numbers(columns[model], source=source, field=model) for model in models]
    cost = [_numbers(columns[model + COST], source=source, field=model + COST) for model in models]
    return Table.from_arrays(
        np.stack(quality, axis=1)[kept],
        np.stack(cost, axis=1)[kept],
        models=models,
        prompts=[prompts[row] for row in kept],
        task=[str(columns["eval_name"][row]) for row in kept],
        source=source,
    )


def prompt_text(value: Any) -> str:
    """A prompt as one text: its turns, which the file writes as a Python list, one below another.

    >>> prompt_text("['What is 2 + 2?', 'And 3 + 3?']")
    'What is 2 + 2?\\n\\nAnd 3 + 3?'
    """
    if isinstance(value, str) and value.lstrip().startswith("["):
        return joined_turns(value)
    return value if isinstance(value, str) else ""


def _numbers(column: np.ndarray, *, source: str, field: str) -> np.ndarray:
    """[n] float64, NaN where a cell is None or NaN."""
    values = np.full(len(column), np.nan)
    for row, cell in enumerate(column.tolist()):
        try:
            values[row] = np.nan if cell is None else float(cell)
        except (TypeError, ValueError):
            problem = f"{quoted(str(cell))} is not a number"
            raise InputError(problem, source=source, field=field, row=row) from None
    return values
