"""Which surrogate bounds which, and what else is known of each: tests hold every line to it.

Stated for one row of m arms with logits f and utilities ũ, default hyper-parameters. *Regret* is
that of the arm of highest logit; Δ is the row's range, max ũ − min ũ. Surrogates that draw or read
the log bound nothing row by row, and are not listed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from routerjax.reports.tables import markdown

REGRET = "regret"

Factor = Callable[[np.ndarray], np.ndarray | float]


class Bound(NamedTuple):
    """For every row, `smaller` ≤ `factor` × `larger`.

    Attributes:
      smaller, larger: names of surrogates, or "regret".
      factor: of the utilities [..., m], one number a row.
      written: the factor as text.
      because: why, in a few words.
    """

    smaller: str
    larger: str
    factor: Factor
    written: str
    because: str


def _one(utilities: np.ndarray) -> float:
    return 1.0


def _nats(utilities: np.ndarray) -> float:
    return 1 / math.log(2)


def _range_in_nats(utilities: np.ndarray) -> np.ndarray:
    return (utilities.max(axis=-1) - utilities.min(axis=-1)) / math.log(2)


def _arms(utilities: np.ndarray) -> float:
    return float(utilities.shape[-1])


def _others(utilities: np.ndarray) -> float:
    return float(utilities.shape[-1] - 1)


def _two(utilities: np.ndarray) -> float:
    return 2.0


BOUNDS = (
    Bound(
        REGRET,
        "classification_bound",
        _range_in_nats,
        "Δ / log 2",
        "where the choice is wrong, the best arm's probability is at most 1/2",
    ),
    Bound(REGRET, "weighted_classification", _nats, "1 / log 2", "the same, Δ inside"),
    Bound(REGRET, "softmax_regret", _arms, "m", "the chosen arm's probability is at least 1/m"),
    Bound(
        REGRET,
        "soft_regret",
        _two,
        "2",
        "the pair of chosen and best arm is in the wrong order, σ ≥ 1/2",
    ),
    Bound(REGRET, "pairwise_ranking", _nats, "1 / log 2", "the same pair, log(1 + e^z) ≥ log 2"),
    Bound(REGRET, "spo_plus", _one, "1", "put the chosen arm into the maximum"),
    Bound("softmax_regret", "weighted_classification", _one, "1", "1 − p ≤ −log p"),
    Bound(
        "softmax_regret",
        "soft_regret",
        _one,
        "1",
        "p_a ≤ p_a / (p_a + p_best), the pairs with the best arm",
    ),
    Bound("soft_regret", "pairwise_ranking", _one, "1", "σ(z) ≤ log(1 + e^z)"),
    Bound("softmax_regret", "counterfactual_risk", _one, "1", "the penalty is 0 or more"),
    Bound("softmax_regret", "policy_gradient", _one, "1", "an entropy is at most log m"),
    Bound(
        REGRET,
        "perturbed_argmax",
        _arms,
        "m",
        "noise that is alike for all leaves the chosen arm the likeliest",
    ),
    Bound(
        REGRET,
        "cost_sensitive_hinge",
        _others,
        "(m − 1)",
        "the chosen arm's logit is at least the mean, its hinge at least the margin",
    ),
)
"""What follows from two of them is left out, but for what bounds the regret itself."""


class Nature(NamedTuple):
    """What kind of function of its two arguments a surrogate is.

    Attributes:
      convex: in the logits.
      linear: in the utilities, up to what does not depend on the logits; then unbiased noise
        in the utilities leaves the gradient unbiased.
      keeps: what it keeps of the utilities.
    """

    convex: bool
    linear: bool
    keeps: str


NATURES: Mapping[str, Nature] = {
    "classification_bound": Nature(True, False, "which arm is best"),
    "softmax_regret": Nature(False, True, "all"),
    "weighted_classification": Nature(True, False, "which arm is best, and Δ"),
    "soft_regret": Nature(False, True, "all differences"),
    "pairwise_ranking": Nature(True, False, "all differences"),
    "spo_plus": Nature(True, False, "which arm is best, and by how much"),
    "counterfactual_risk": Nature(False, False, "all"),
    "policy_gradient": Nature(False, True, "all"),
    "perturbed_argmax": Nature(False, True, "all"),
    "cost_sensitive_hinge": Nature(True, False, "all differences to the best"),
}


def bounds_list() -> str:
    """Markdown: one line a bound."""
    times = {"1": ""}
    return "\n".join(
        f"- {b.smaller} ≤ {times.get(b.written, f'{b.written} × ')}{b.larger}: {b.because}"
        for b in BOUNDS
    )


def natures_table() -> str:
    """Markdown: what kind of function each is."""
    word = {True: "yes", False: "no"}
    rows = [[name, word[n.convex], word[n.linear], n.keeps] for name, n in NATURES.items()]
    return markdown(["surrogate", "convex in f", "linear in ũ", "what it keeps of ũ"], rows)
