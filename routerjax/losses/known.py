"""The library's own surrogates by name."""

from __future__ import annotations

from routerjax.losses.arguments import Surrogate, form_of
from routerjax.losses.logged import mrdr, poem, shrunk_dr
from routerjax.losses.policies import (
    barp,
    cost_sensitive_hinge,
    perturbed_argmax,
    policy_gradient,
)
from routerjax.losses.surrogates import (
    classification_bound,
    counterfactual_risk,
    pairwise_ranking,
    soft_regret,
    softmax_regret,
    spo_plus,
    weighted_classification,
)

SURROGATES: dict[str, Surrogate] = {
    surrogate.__name__: surrogate
    for surrogate in (
        classification_bound,
        softmax_regret,
        weighted_classification,
        soft_regret,
        pairwise_ranking,
        spo_plus,
        counterfactual_risk,
        policy_gradient,
        perturbed_argmax,
        cost_sensitive_hinge,
        barp,
        shrunk_dr,
        poem,
        mrdr,
    )
}
"""A loss that is added here is compared by every study and held to every property that the shared
tests ask of all."""

OF_A_ROW: dict[str, Surrogate] = {
    name: surrogate
    for name, surrogate in SURROGATES.items()
    if form_of(surrogate).asked == ("logits", "utilities")
}
"""Those of logits and utilities alone."""

UNMASKED = frozenset({"cost_sensitive_hinge"})
"""Those that mean something only where every model could be chosen: an arm put last moves them."""
