"""Are a judge's scores its own, or were the gold ones filled in where there are any?"""

from __future__ import annotations

import warnings

import numpy as np
from jaxtyping import Bool, Float

from routerjax.errors import DataWarning, InputError
from routerjax.pipelines.gold import FEWEST_GOLD

FILLED_IN = 0.5
"""Share of the judge's other scores that are of values which no gold score has, above which it is
certain that gold scores were filled in."""


def check_own_scores(
    judge: Float[np.ndarray, " n"],
    gold: Float[np.ndarray, " n"],
    pairs: Bool[np.ndarray, " n"],
    *,
    source: str,
) -> None:
    """Refuse judge's scores that are the gold ones where there are any, and warn if they may be.

    Whoever fills gold scores into the judge's column leaves nothing to learn the judge's bias from:
    it comes out as 0, and the judge's other scores count as if they were gold. That is certain
    where most of these are of values that no gold score has, and where there are none.

    Args:
      judge: [n] the judge's scores.
      gold: [n] gold scores, NaN where there is none.
      pairs: [n] True for rows with both.
      source: of the log, for messages.

    Raises:
      InputError: it is certain.
    """
    if pairs.sum() < FEWEST_GOLD or (judge[pairs] != gold[pairs]).any():
        return
    told = (
        f"the judge's score is the gold one on all {pairs.sum()} rows that have both, so that "
        "nothing says what the judge is off by elsewhere; "
    )
    others = judge[np.isnan(gold)]
    if not len(others) or (~np.isin(others, gold[pairs])).mean() > FILLED_IN:
        advice = (
            "give the judge's own score on these rows too, or name the column that says who scored "
            "each row (--gold-column COLUMN=VALUE)"
        )
        raise InputError(told + advice, source=source, field="gold_quality")
    warnings.warn(
        f"{source}: {told}if gold scores were filled into the judge's column, its bias stays",
        DataWarning,
        stacklevel=5,
    )
