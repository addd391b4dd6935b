"""Whether the log's policy asked models for what suits them, and what that would do to a value.

Estimated propensities see a policy's rule as far as the embeddings show it and as far as the rows
suffice to learn it. What they miss stays in the values. How much that is no log tells; what they
did take out it does tell, for every model m

    R_m = mean of y over the rows that m answered − estimated mean of y, were m asked on every row

and where R_m is seen to differ from 0, the policy chose by what a model is good at.

Reference: Altonji, Elder, Taber (2005), Selection on Observed and Unobserved Variables, where what
is not seen is taken to matter at most as much as what is.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from routerjax.evaluation.intervals import mean_interval
from routerjax.pipelines.evidence import Evidence, scored

LEVEL = 0.05
"""Share of logs of a policy that chose blindly of which it may be said that it did not."""
NAMED = 3
"""Models that are named at most."""
SMALL = 0.01
"""Of the quality range: a difference below it is not worth a word."""
UNSUPPORTED = 0.05
"""Share of the queries without support beyond which a model's mean is no estimate."""


def suited(evidence: Evidence) -> dict[str, float]:
    """R_m of the models for which it is seen, the largest first.

    Args:
      evidence: of a log whose propensities are estimated.
    """
    outcomes, groups = evidence.outcomes, evidence.log.groups
    arms, quality = np.asarray(outcomes.arms), np.asarray(outcomes.quality, np.float64)
    models, found = outcomes.models, {}
    least = -NormalDist().inv_cdf(LEVEL / (2 * len(models)))
    for arm, model in enumerate(models):
        own = arms == arm
        known = evidence.supported[:, arm]
        if not own.any() or 1 - known.mean() > UNSUPPORTED:
            continue
        mean = float(quality[own].mean())
        answered = mean + np.where(own, quality - mean, 0.0) / own.mean()
        score = scored(np.full(len(arms), arm), evidence).low.quality
        found[model] = mean_interval(answered - np.asarray(score, np.float64), groups=groups)
    smallest = SMALL * evidence.log.quality_width
    seen = {
        model: each.mean
        for model, each in found.items()
        if abs(each.mean) > max(least * each.standard_error, smallest)
    }
    return dict(sorted(seen.items(), key=_size, reverse=True))


def suited_note(evidence: Evidence) -> str | None:
    """What a reader must know of estimated propensities; None where nothing is seen."""
    if evidence.gold is not None or evidence.log.available is not None:
        return None
    seen = suited(evidence)
    if not seen:
        return None
    parts = [
        f"{model} {abs(by):.2g} {'more' if by > 0 else 'less'}"
        for model, by in list(seen.items())[:NAMED]
    ]
    return (
        "today's policy chose models by what suits them: answers of a model score otherwise than "
        f"it would on all queries ({', '.join(parts)}). If what the propensities miss matters "
        "as much as what they see, its values are off by as much again, the same way"
    )


def _size(item: tuple[str, float]) -> float:
    return abs(item[1])
