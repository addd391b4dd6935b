"""Are the splits of a record what they are for? Groups on both sides of one are said."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from routerjax.data.checks.finding import Finding
from routerjax.records.logs import Log
from routerjax.records.parted import LEARNT, example, parted
from routerjax.records.tables import Table
from routerjax.records.validation import VALIDATION_NAMES


def split_findings(record: Log | Table) -> Iterator[Finding]:
    """Rows to evaluate on, or to choose by, of groups with rows to learn from."""
    sides = (
        ("test", ("test",), LEARNT, "evaluate leaves them out"),
        ("validation", VALIDATION_NAMES, ("train",), "fit learns from them instead"),
    )
    for name, of, learnt, what in sides:
        found = parted(record, of=of, learnt=learnt)
        if not found.any():
            continue
        split = np.asarray(record.split)
        count = len(np.unique(record.groups[found]))
        groups = "one group" if count == 1 else f"{count} groups"
        others = "to learn from" if name == "validation" else "that a fit looks at"
        yield Finding(
            name="parted-groups",
            column="split",
            problem=f"{found.sum()} of the {np.isin(split, of).sum()} rows of the {name} split "
            f"are of {groups} with rows {others} as well, such as {example(record, found)}",
            right=f"keep what belongs together in one split; {what}",
            share=float(found.sum() / np.isin(split, of).sum()),
            row=int(found.argmax()),
        )
