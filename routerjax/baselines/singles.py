"""Which single model is best by a log: shrunk means, with care, and plain means where they differ.

Plain means may pick a model with a handful of rows and luck; means that outcome models have shrunk
let a model lead by less than they can tell. So a model takes the place of the one that plain means
pick only where it leads that by a part of what is not known of its own value.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from routerjax.records.tables import Estimates

CAUTION = 2.0
"""Standard deviations of a model's mean quality that are taken from it."""
WORTH = 0.25
"""Of its own standard deviation by which a model must lead the one that plain means pick."""


class Singles(NamedTuple):
    """What a log tells of m models, were each to answer every query.

    Attributes:
      means: [m] quality and cost that are expected.
      deviation: [m] standard deviation of the mean quality; None where it is not known.
      logged: [m] plain means of the rows that each model answered, of one that answered none such
        that it is never the best; None where they are not to be minded.
    """

    means: Estimates
    deviation: Float[np.ndarray, " m"] | None = None
    logged: Estimates | None = None

    def utilities(self, cost_weight: float) -> Float[np.ndarray, " m"]:
        """[m] expected utility, u_m = q_m − λ c_m."""
        return _utilities(self.means, cost_weight)

    def ranks(self, cost_weight: float) -> Float[np.ndarray, " m"]:
        """[m] numbers that order the models, the best single model's the highest.

        With u_m = q_m − λ c_m, s_m the deviation of q_m, ū_m the utility by plain means:

            b = argmax_m u_m − 2 s_m,   p = argmax_m ū_m

        and the best single model is b where u_b − u_p > ¼ s_b, and else p. The others follow by
        u_m − 2 s_m, which also tells apart models of equal ū. A lower bound prefers models that
        were asked often, as the policies of most logs prefer what is good. The two numbers were
        chosen by draws of `experiments/log_size`.

        Args:
          cost_weight: λ.
        """
        utility = self.utilities(cost_weight)
        if self.deviation is None:
            return utility
        deviation = np.asarray(self.deviation, np.float64)
        ranks = utility - CAUTION * deviation
        if self.logged is None:
            return ranks
        best = int(ranks.argmax())
        plain = int(np.lexsort((ranks, _utilities(self.logged, cost_weight)))[-1])
        if best != plain and utility[best] - utility[plain] <= WORTH * deviation[best]:
            ranks[plain] = np.nextafter(ranks[best], np.inf)
        return ranks

    def best(self, cost_weight: float) -> int:
        """The best single model's arm."""
        return int(self.ranks(cost_weight).argmax())


def logged_means(
    arms: Int[np.ndarray, " n"],
    quality: Float[np.ndarray, " n"],
    cost: Float[np.ndarray, " n"],
    *,
    models: int,
    lowest: float,
) -> Estimates:
    """[m] plain means of the rows that each model answered.

    A model without rows gets the lowest quality and the highest of the means of cost, so that no
    cost weight makes it the best alone.

    Args:
      arms: [n] the model that answered.
      quality, cost: [n] of its answer, dollars.
      models: m.
      lowest: quality.
    """
    count = np.bincount(arms, minlength=models)
    found = (
        np.bincount(arms, np.asarray(values, np.float64), models) / np.maximum(count, 1)
        for values in (quality, cost)
    )
    mean_quality, mean_cost = found
    dearest = mean_cost.max(initial=0.0)
    return Estimates(
        quality=np.where(count > 0, mean_quality, lowest),
        cost=np.where(count > 0, mean_cost, dearest),
    )


def _utilities(means: Estimates, cost_weight: float) -> Float[np.ndarray, " m"]:
    quality, cost = (np.asarray(each, np.float64) for each in (means.quality, means.cost))
    return quality - cost_weight * cost
