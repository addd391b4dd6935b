"""A forest on doubly robust estimates (scikit-learn, extra ``baselines``): the tree baseline.

It is the DR-learner with random forests, for m arms: estimates q̃ and c̃ of every arm, cross-fitted
and noisy but unbiased where either nuisance is right, are regressed on the embedding by one
forest for quality and one for cost. Utility is affine in the cost weight, so the policy at any λ
is the arm of highest predicted q − λ·c (`policies.greedy`). Each tree splits where all arms
together differ most; its leaves hold one mean an arm, as those of a policy tree do, but it is
grown for squared error, not for the value of the policy, so that it serves every λ at once. A
policy forest grown for value (econml's ``DRPolicyForest``) must be grown anew for every λ.

References: Kennedy (2023), Towards optimal doubly robust estimation of heterogeneous causal
effects; Zhou, Athey, Wager (2023), Offline multi-action policy learning.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from routerjax.baselines.forest import check_installed, regressor
from routerjax.records.tables import Estimates


def dr_forest(
    x: Float[np.ndarray, "n d"],
    dr_estimates: Estimates,
    queries: Float[np.ndarray, "q d"],
    *,
    seed: int,
    trees: int = 100,
    depth: int | None = None,
    smallest_leaf: int = 20,
    jobs: int | None = None,
) -> Estimates:
    """Predict quality and cost of every arm by forests on doubly robust estimates, [q, m].

    The same inputs and seed give the same predictions, whatever `jobs` is.

    Args:
      x: [n, d] features of the logged queries.
      dr_estimates: [n, m] of the same rows, cross-fitted.
      queries: [q, d] features to predict at.
      seed: Seed of the forests.
      trees, depth, smallest_leaf: Size of each forest, and of a tree and a leaf of it. Leaves
        are large by default because one estimate may weigh 1 / π.
      jobs: threads; None takes one, −1 all cores.

    Raises:
      InputError: scikit-learn is not installed.
    """
    check_installed()

    def predicted(targets: np.ndarray) -> np.ndarray:
        model = regressor(trees, depth, smallest_leaf, seed, jobs)
        model.fit(np.asarray(x), np.asarray(targets))
        model.set_params(n_jobs=None)  # threads would add the trees up in any order
        return model.predict(np.asarray(queries)).astype(np.float32)

    return Estimates(quality=predicted(dr_estimates.quality), cost=predicted(dr_estimates.cost))
