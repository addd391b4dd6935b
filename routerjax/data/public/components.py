"""Labels of Meta-Router's authors: principal components, a gold and a preference gain a query.

Reference: Zhang, Xie, Yang, Wu (2026), Meta-Router (arXiv 2509.25535).
"""

from __future__ import annotations

import os

import numpy as np
import pyarrow as pa

from routerjax.data.columns import arrays
from routerjax.data.formats import loading
from routerjax.data.io.gain_labels import AUTHORS_COMPONENT
from routerjax.errors import InputError

GOLD, PREFERENCE = "GL", "PL"


def read_components(path: str | os.PathLike[str]) -> pa.Table:
    """Read the columns ``embd.PC1`` …, ``GL`` and ``PL`` as numbers.

    Args:
      path: the authors' .csv, or a file of the same columns.

    Raises:
      InputError: a file that cannot be read, a column that lacks, or one that holds no numbers.
    """
    source = str(path)
    table = loading.load(str(path))
    parts = [name for name in table.column_names if AUTHORS_COMPONENT.fullmatch(name)]
    lacking = [name for name in (GOLD, PREFERENCE) if name not in table.column_names]
    if lacking or not parts:
        wanted = lacking[0] if lacking else "embd.PC1"
        listed = ", ".join(table.column_names[:30])
        raise InputError(f"no column '{wanted}'; it has {listed}", source=source)
    found = {}
    for name in (*parts, GOLD, PREFERENCE):
        try:
            values = arrays.numbers(table[name])
        except InputError as error:
            raise InputError(error.problem, source=source, field=name, row=error.row) from None
        found[name] = pa.array(np.asarray(values, np.float64), from_pandas=True)
    return pa.table(found)
