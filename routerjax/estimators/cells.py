"""Cells of queries, such as a log's tasks, in which its policy hardly asked an arm."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

from routerjax.estimators.chance import ALONE, enough_share, log_chance


def never_asked(
    rows: Float[np.ndarray, "g m"],
    hits: Float[np.ndarray, "g m"],
    level: Float[np.ndarray, " m"],
    *,
    together: float | Float[np.ndarray, " g"] = 1.0,
    tests: int = 1,
) -> Bool[np.ndarray, "g m"]:
    """Find for each arm the cells in which it was hardly asked, beyond chance.

    Several cells with few answers each tell what one of them cannot. Of an arm those with
    h_g < level · N_g are taken in the order of their chances, and of the first j of them together
    it is asked whether

        P(Binomial(Σ N_g, c) ≤ Σ h_g) · C(g, j) · g · m ≤ α

    with c = `enough_share` and α = `ALONE` of `estimators/chance`: arms that are asked of c or
    more of every cell lose one with a probability of α at most (Bonferroni, over all sets of cells
    of every size). The j of the least chance is taken.

    Args:
      rows: [g, m] of each of g cells, on which the arm could be asked.
      hits: [g, m] of them answered by the arm.
      level: [m] propensity from which an arm has support; 0 switches its cells off.
      together: rows that count as one, where several are of one group; of every cell, or of all.
      tests: ways to part the rows that are all tried, each at an equal part of α.

    Returns:
      [g, m] True where the arm was hardly asked.

    Reference: Kulldorff (1997), A Spatial Scan Statistic, of sets that are all tested at once.
    """
    from scipy.special import gammaln

    (cells, models), together = rows.shape, np.broadcast_to(together, len(rows))
    found = np.zeros(rows.shape, bool)
    share = enough_share(rows.sum(axis=0), hits.sum(axis=0), level)
    sizes = np.arange(1, cells + 1)
    sets = gammaln(cells + 1) - gammaln(sizes + 1) - gammaln(cells - sizes + 1)
    for arm in np.flatnonzero(share > 0):
        could, did = (each[:, arm] / together for each in (rows, hits))
        few = np.flatnonzero(hits[:, arm] < level[arm] * rows[:, arm])
        if not len(few):
            continue
        few = few[np.argsort(log_chance(did[few], could[few], share[arm]), kind="stable")]
        both = did[few].cumsum(), could[few].cumsum()
        chance = log_chance(*both, share[arm]) + sets[: len(few)] + np.log(cells * models)
        if chance.min() <= np.log(ALONE / tests):
            found[few[: chance.argmin() + 1], arm] = True
    return found
