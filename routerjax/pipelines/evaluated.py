"""Which rows of a table or a log a router is evaluated on: none of what it learnt from."""

from __future__ import annotations

import warnings

import numpy as np

from routerjax.artefacts.router import Router
from routerjax.data.encoders.encoding import Record, encoded
from routerjax.errors import DataWarning, InputError
from routerjax.records.parted import LEARNT, example, parted


def encoded_for(data: Record, router: Router) -> Record:
    """The data with embeddings of the router's own encoder."""
    if data.embeddings is None and router.encoder is None:
        problem = "holds prompts alone, and the router was fitted on ready-made embeddings"
        raise InputError(f"{problem}; give them with --embeddings", source=data.source)
    data = encoded(data, encoder=router.encoder or data.encoder or "")
    width = data.features.shape[1]
    if width != router.dimensions:
        problem = f"embeddings hold {width} numbers a row; this router takes {router.dimensions}"
        raise InputError(problem, source=data.source)
    return data


def test_rows(data: Record, router: Router) -> Record:
    """Rows of the test split, where the data name splits, but of groups that were learnt from.

    A group is one that was learnt from if the router has seen a query of the other splits.
    """
    if data.split is None:
        return data
    if "test" not in data.split:
        there = ", ".join(sorted(set(data.split)))
        problem = f"no row is in the test split, which alone is evaluated; there are {there}"
        raise InputError(problem, source=data.source, field="split")
    both = parted(data, of=("test",), learnt=LEARNT)
    if not both.any() or not router.has_seen(data.in_split(*LEARNT)).any():
        return data.in_split("test")
    rest = np.asarray(data.split) == "test"
    if not (rest & ~both).any():
        problem = (
            f"every row of the test split is of a group that was learnt from, such as "
            f"{example(data, both)}"
        )
        raise InputError(problem, source=data.source, field="split")
    warnings.warn(
        f"{data.source}: {both.sum()} of {rest.sum()} rows of the test split are of groups that "
        f"were learnt from, such as {example(data, both)}, and are left out",
        DataWarning,
        stacklevel=5,
    )
    return data.rows(rest & ~both)


def unseen(router: Router, data: Record) -> Record:
    """The rows of queries that the router was not fitted on; how many it was is said.

    Raises:
      InputError: it was fitted on all of them.
    """
    seen = router.has_seen(data)
    if not seen.any():
        return data
    if seen.all():
        problem = "the router was fitted on the query of every row; evaluate it on other queries"
        raise InputError(problem, source=data.source)
    warnings.warn(
        f"{data.source}: {seen.sum()} of {len(data)} rows are of queries that the router was "
        "fitted on, and are left out: its value there is optimistic",
        DataWarning,
        stacklevel=5,
    )
    return data.rows(~seen)
