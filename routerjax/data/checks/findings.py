"""All tests of a log or a table, and what a reader makes of what they find."""

from __future__ import annotations

import warnings

import numpy as np

from routerjax.data.checks.cells import cells_of
from routerjax.data.checks.costs import cost_findings
from routerjax.data.checks.embeddings import embedding_findings
from routerjax.data.checks.finding import Finding
from routerjax.data.checks.names import name_findings
from routerjax.data.checks.scores import score_findings
from routerjax.data.checks.splits import split_findings
from routerjax.errors import DataWarning, InputError
from routerjax.records.logs import Log
from routerjax.records.tables import Table
from routerjax.records.validation import cost_unit_problem


def findings(record: Log | Table, *, unbilled: np.ndarray | None = None) -> tuple[Finding, ...]:
    """Numbers that cannot be true, or are hardly what was meant.

    Looked for are models whose costs are all or largely 0 while others' are not, one cost a
    thousand times the median of its model, costs in another unit than dollars per query; a
    constant quality, many scores of one model at an edge of the range, a code for failed calls
    among the scores, scales that are mixed, missing feedback taken for 0; one model in several
    spellings; groups, or queries, that the record's own splits part; and embeddings a thousand
    times as long as the others.

    Args:
      record: a log or a table.
      unbilled: [n] bool, rows of a log that are known to have cost nothing, which failed calls do;
        None where none is.

    Returns:
      One `Finding` a thing, those of which a reader makes an error first; empty for ordinary data.
    """
    cells = cells_of(record)
    unit = cost_unit_problem(record)
    billed = cells if unbilled is None else cells.only(~unbilled[cells.rows])
    found = [*cost_findings(billed), *score_findings(cells), *name_findings(cells)]
    found += [*split_findings(record), *embedding_findings(record)]
    if unit is not None:
        problem, right = unit
        found = [each for each in found if each.name != "cost-unit"]
        found.append(Finding(name="cost-unit", column="cost", problem=problem, right=right))
    return tuple(sorted(found, key=lambda each: not each.refused))


def warn_of(record: Log | Table, *, strict: bool = False) -> None:
    """Say what `findings` finds in a log or table of one's own: a `DataWarning` each.

    Args:
      record: a log or a table.
      strict: whether each is an error instead.

    Raises:
      InputError: a finding that is refused, or any where `strict` is set.
    """
    for each in findings(record):
        said = InputError(
            f"{each.problem}; {each.right}",
            source=record.source,
            field=each.column,
            row=each.row,
        )
        if strict or each.refused:
            raise said
        warnings.warn(str(said), DataWarning, stacklevel=3)
