"""The mean of gold scores of which few are known: ours, and prediction-powered inference.

A query is a number u in [−1, 1]. The answer is right with chance 0.6 + 0.3·u, and a lenient judge
calls a right answer right with chance 0.85 and a wrong one with chance 0.35. The truth is 0.6, the
judge's mean 0.65. On g of n rows, picked at random, it is known whether the answer was right.

With predictions f of n rows, s = 1 where the gold score r is known and e = g/n, ours is

  V = mean_i f_i + s_i/e·(r_i − f_i) = mean f + mean_gold (r − f)
    = (1 − e)·mean_rest f + mean_gold (r − (1 − e)·f),

since mean f = e·mean_gold f + (1 − e)·mean_rest f. That is the prediction-powered mean
λ·mean_rest f + mean_gold (r − λ·f) of Angelopoulos, Duchi and Zrnic at λ = 1 − e. Their own choice,
λ = cov(r, f) / ((1 + g/(n − g))·var f), is (1 − e)·cov(r, f)/var f: the same where the slope of r
on f is 1. At λ = 1 theirs leaves the gold rows out of the first mean.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.off_policy_peers.effects import Estimate
from experiments.off_policy_peers.peers import module
from routerjax.estimators.folds import Folds, make_folds
from routerjax.evaluation.ope import Scores
from routerjax.pipelines.evidence import Evidence, today
from routerjax.pipelines.gold import gold_propensities
from routerjax.pipelines.propensities import Propensities
from routerjax.pipelines.quick_outcomes import quick_outcomes
from routerjax.records.logs import Log
from routerjax.records.tables import Estimates

TRUTH = 0.6
SLOPE = 0.3
RIGHT, WRONG = 0.85, 0.35
"""Chance with which the judge calls a right and a wrong answer right."""

FEATURES, FOLDS = 4, 5
PREDICTORS = ("judge's score", "regression")
ESTIMATED, FEW = "ours, e estimated", 100
"""The estimator that fits e to the rows, and the number of draws that it gets at most."""

Record = dict[str, Any]


class Scored(NamedTuple):
    """Rows of one model that a judge and, for a few, a gold-standard reading scored.

    Attributes:
      features: [n, d] u and noise.
      right: [n] 1 where the answer was right.
      judged: [n] 1 where the judge says so.
      gold: [n] True where `right` is known.
    """

    features: np.ndarray
    right: np.ndarray
    judged: np.ndarray
    gold: np.ndarray

    @property
    def log(self) -> Log:
        """As the product has it: gold scores where they are known, the judge's elsewhere."""
        return Log.from_arrays(
            np.zeros(len(self.right), np.int32),
            np.where(self.gold, self.right, self.judged),
            np.full(len(self.right), 0.001),
            models=("asked", "never asked"),
            embeddings=self.features,
            scored_by=np.where(self.gold, "gold", "judge").tolist(),
        )


def draw(rng: np.random.Generator, *, rows: int, gold: int) -> Scored:
    """Rows of which so many are gold, picked at random."""
    features = rng.uniform(-1, 1, (rows, FEATURES))
    right = (rng.random(rows) < TRUTH + SLOPE * features[:, 0]).astype(np.float64)
    judged = (rng.random(rows) < np.where(right == 1, RIGHT, WRONG)).astype(np.float64)
    known = np.zeros(rows, bool)
    known[rng.choice(rows, gold, replace=False)] = True
    return Scored(features, right, judged, known)


def folds_of(scored: Scored, *, seed: int) -> Folds:
    """Gold rows spread evenly."""
    gold, key = scored.gold.astype(np.int32), jax.random.key(seed)
    return make_folds(gold, folds=FOLDS, held_out=0.1, key=key)


def regression(scored: Scored, folds: Folds) -> np.ndarray:
    """[n] cross-fitted predictions from the features, moved to the gold rows on average.

    It is what the library predicts with where scores are mixed: the judge's score of the row
    itself is not among the features, and gold rows need not have one.
    """
    found: np.ndarray = quick_outcomes(scored.log, folds, gold=scored.gold).quality[:, 0]
    return found


def shares(scored: Scored) -> np.ndarray:
    """[n] e as the share of gold rows, which were picked at random."""
    return np.full(len(scored.gold), scored.gold.mean())


def estimated_shares(scored: Scored, folds: Folds) -> np.ndarray:
    """[n] e as the library estimates it where it does not know how gold rows were picked."""
    log = scored.log
    return gold_propensities(log, log.features, folds, scored.gold)


def ours(scored: Scored, predicted: np.ndarray, e: np.ndarray) -> Scores:
    """Scores of the library for the policy that wrote the log.

    Args:
      scored: n rows.
      predicted: [n] f.
      e: [n] probability that a row is gold.
    """
    log, both = scored.log, np.stack([predicted, predicted], axis=1)
    nobody: Any = None  # no query but the log's is asked for
    evidence = Evidence(
        log=log,
        predicted=Estimates(quality=both, cost=np.zeros_like(both)),
        propensities=Propensities(
            np.ones(len(log)), np.ones_like(both), np.ones_like(both, bool), nobody, 1.0
        ),
        floor=0.0,
        gold=(scored.gold, e),
    )
    return today(evidence).low


def estimates(
    scored: Scored, predicted: np.ndarray, estimated: np.ndarray | None
) -> dict[str, Estimate]:
    """Ours, and prediction-powered inference's where it is installed.

    Args:
      scored: n rows.
      predicted: [n] f.
      estimated: [n] estimated e; None leaves that estimator out.
    """
    found = {"ours": _estimate(ours(scored, predicted, shares(scored)))}
    if estimated is not None:
        found[ESTIMATED] = _estimate(ours(scored, predicted, estimated))
    ppi = module("experiments.off_policy_peers.with_ppi", "ppi-python")
    if ppi is not None:
        known = scored.gold
        found.update(ppi.estimates(scored.right[known], predicted[known], predicted[~known]))
    return found


def _estimate(scores: Scores) -> Estimate:
    found = scores.interval(0.0)
    return Estimate(found.mean, found.standard_error, (found.high - found.low) / 2)


def measure(
    *, rows: int, golds: tuple[int, ...], draws: int, seed: int, on_draw: Callable[[], None]
) -> list[Record]:
    """A record a number of gold rows and a predictor: coverage, width and distance from ours."""
    found: list[Record] = []
    for gold in golds:
        said: dict[str, list[dict[str, Estimate]]] = {name: [] for name in PREDICTORS}
        rng, weights = np.random.default_rng([seed, gold]), []
        for number in range(draws):
            on_draw()
            scored = draw(rng, rows=rows, gold=gold)
            folds = folds_of(scored, seed=seed + number)
            predictions = (scored.judged, regression(scored, folds))
            e = estimated_shares(scored, folds) if number < FEW else None
            if e is not None:
                weights.append(scored.gold / e)
            for name, predicted in zip(PREDICTORS, predictions, strict=True):
                said[name].append(estimates(scored, predicted, e))
        for name, each in said.items():
            about = {"rows": rows, "gold": gold, "predictor": name}
            found.append({**about, **summary(each), "estimated": weighed(np.array(weights))})
    return found


def summary(said: list[dict[str, Estimate]]) -> Record:
    """Coverage, bias, spread and mean half-width of every estimator, and its distance from ours."""
    found = {}
    for name in said[0]:
        own = [each for each in said if name in each]
        base = np.array([each["ours"].mean for each in own])
        means, errors, reach = np.array([each[name] for each in own]).T
        found[name] = {
            "draws": len(own),
            "coverage": float((abs(means - TRUTH) <= reach).mean()),
            "bias": float(means.mean() - TRUTH),
            "deviation": float(means.std(ddof=1)),
            "standard_error": float(errors.mean()),
            "reach": float(reach.mean()),
            "largest difference": float(abs(means - base).max()),
        }
    return {"draws": len(said), "estimators": found}


def weighed(weights: np.ndarray) -> Record:
    """Of weights s/e [draws, n]: the mean largest, the mean, and how much the mean varies."""
    means = weights.mean(axis=1)
    return {
        "largest": float(weights.max(axis=1).mean()),
        "mean weight": float(means.mean()),
        "deviation of it": float(means.std(ddof=1)),
    }
