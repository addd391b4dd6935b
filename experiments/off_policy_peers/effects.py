"""Average effects and a policy's lead from logs of known truth: ours, EconML's and causalml's.

A log is drawn from the embedded table by a policy that prefers good models, and its propensities
are recorded. Model 0 is the baseline. The effect is that of asking model 1 instead; the lead is
that of a policy that asks a model by the query's task. The truth of both is a mean over tasks.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.off_policy_peers.peers import module
from routerjax.data.synthetic.logging_policies import noisy_softmax, simulate_log
from routerjax.data.synthetic.table import MODELS, TASK_MEANS, TASKS, EmbeddedTable, embedded_table
from routerjax.estimators.components import fit_components
from routerjax.estimators.defaults import FLOOR
from routerjax.estimators.folds import Folds, make_folds
from routerjax.evaluation.intervals import student_quantile
from routerjax.evaluation.ope import difference, policy_scores
from routerjax.pipelines.propensities import fit_propensities
from routerjax.pipelines.quick_outcomes import COMPONENTS, quick_outcomes
from routerjax.records.logs import Log
from routerjax.records.tables import Estimates

ASKED = (
    "mistralai/mixtral-8x7b-chat",
    "gpt-4-1106-preview",
    "claude-v2",
    "zero-one-ai/Yi-34B-Chat",
    "mistralai/mistral-7b-chat",
)
"""Models of the logs, the baseline first."""

FOLDS, DIMENSIONS, STRENGTH = 5, 64, 2.0
NORMAL = student_quantile(0.975, 1e9)

EFFECT, LEAD = "effect", "lead"
ESTIMATED, ELASTIC = "ours, propensities estimated", "causalml, its own"
SLOW, FEW = (ESTIMATED, ELASTIC), 15
"""Estimators that take seconds a log, and the number of logs that they get at most."""

Record = dict[str, Any]


class Estimate(NamedTuple):
    """What an estimator says of a quantity; NaN where it has no standard error.

    Attributes:
      mean, standard_error: in quality.
      reach: half-width of the 95 % interval.
    """

    mean: float
    standard_error: float = float("nan")
    reach: float = float("nan")


class Rows(NamedTuple):
    """A log as everybody gets it.

    Attributes:
      log: n rows.
      x: [n, d] principal components of the embeddings.
      folds: of the rows.
      predicted: [n, m] cross-fitted quality.
      propensities: [n, m] with which the arms were drawn.
      choice: [n] the policy's arms.
      columns: of the table, in the order of the log's models.
      key: for folds of parts of the log.
    """

    log: Log
    x: np.ndarray
    folds: Folds
    predicted: np.ndarray
    propensities: np.ndarray
    choice: np.ndarray
    columns: list[int]
    key: jax.Array

    @property
    def splits(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """(training, predicted) positions of every fold."""
        return [(np.flatnonzero(out), np.flatnonzero(~out)) for out in self.folds.outside()]


Estimator = Callable[[Rows], dict[str, Estimate]]
"""From a log to its word on the effect and, where it has one, on the lead."""


def arms_of(tasks: np.ndarray, models: int) -> np.ndarray:
    """The policy: the k-th task goes to model k mod m."""
    arms: np.ndarray = np.asarray(tasks) % models
    return arms


def columns_of(models: int) -> list[int]:
    """Columns of the embedded table of the first models."""
    return [list(MODELS).index(name) for name in ASKED[:models]]


def truth(models: int) -> dict[str, float]:
    """The effect and the lead: Σ_k share_k·(mean of the chosen − mean of model 0 on task k)."""
    share = np.array([task.share for task in TASKS.values()])
    means = TASK_MEANS[:, columns_of(models)]
    chosen = means[np.arange(len(share)), arms_of(np.arange(len(share)), models)]
    return {
        EFFECT: float(share @ (means[:, 1] - means[:, 0])),
        LEAD: float(share @ (chosen - means[:, 0])),
    }


def draw(seed: int, *, rows: int, models: int) -> tuple[Rows, EmbeddedTable]:
    """A log of its own rows with cross-fitted outcomes, and the table that it was drawn from."""
    made = embedded_table(seed, queries=rows, dimensions=DIMENSIONS)
    log, propensities = simulate_log(
        made.table.with_models(ASKED[:models]),
        noisy_softmax(strength=STRENGTH),
        key=jax.random.key(seed),
    )
    folds = make_folds(log.arms, folds=FOLDS, held_out=0.1, key=jax.random.key(seed + 1))
    embeddings = jnp.asarray(log.features)
    x = fit_components(embeddings, jnp.ones(rows), components=COMPONENTS)(embeddings)
    names = list(TASKS)
    tasks = np.array([names.index(task) for task in log.task or ()])
    found = Rows(
        log=log,
        x=np.asarray(x, np.float64),
        folds=folds,
        predicted=quick_outcomes(log, folds).quality,
        propensities=propensities,
        choice=arms_of(tasks, models),
        columns=columns_of(models),
        key=jax.random.key(seed + 2),
    )
    return found, made


def dr_lead(
    choice: np.ndarray, log: Log, predicted: Estimates, propensities: np.ndarray, floor: float = 0.0
) -> Estimate:
    """The library's dr value of a policy's arms [n], minus that of model 0 on the same rows."""
    policy, base = (
        policy_scores(arms, log, predicted, propensities, estimator="dr", floor=floor)
        for arms in (choice, np.zeros_like(choice))
    )
    apart = difference(policy, base, cost_weight=0.0)
    return Estimate(apart.mean, apart.standard_error, (apart.high - apart.low) / 2)


def ours(rows: Rows) -> dict[str, Estimate]:
    """By the recorded propensities, without a floor; the time is that with the outcomes."""
    predicted = quick_outcomes(rows.log, rows.folds)
    ones = np.ones_like(rows.choice)
    return {
        name: dr_lead(choice, rows.log, predicted, rows.propensities)
        for name, choice in ((EFFECT, ones), (LEAD, rows.choice))
    }


def ours_estimated(rows: Rows) -> dict[str, Estimate]:
    """By propensities that the library estimates, with its floor."""
    predicted = quick_outcomes(rows.log, rows.folds)
    silent = rows.log.replace(propensities=None)
    found = fit_propensities(silent, rows.log.features, rows.folds, support=0.0)
    every, ones = np.asarray(found.every, np.float64), np.ones_like(rows.choice)
    return {
        name: dr_lead(choice, rows.log, predicted, every, FLOOR)
        for name, choice in ((EFFECT, ones), (LEAD, rows.choice))
    }


def estimators(models: int) -> dict[str, Estimator]:
    """Ours, and the peers' that are installed and have one for so many models."""
    found: dict[str, Estimator] = {"ours": ours, ESTIMATED: ours_estimated}
    for name, package in (("with_econml", "econml"), ("with_causalml", "causalml")):
        theirs = module(f"experiments.off_policy_peers.{name}", package)
        if theirs is not None:
            found.update(theirs.estimators(models))
    return found


def measure(
    *, rows: int, models: int, draws: int, seed: int, on_draw: Callable[[], None]
) -> Record:
    """Every estimator on the same logs: its word on the first, bias, coverage, time.

    Args:
      rows, models: of a log.
      draws: number of logs.
      seed: of the first; the others follow.
      on_draw: called before every log.
    """
    every = estimators(models)
    said: dict[str, list[dict[str, Estimate]]] = {name: [] for name in every}
    seconds: dict[str, list[float]] = {name: [] for name in every}
    for number in range(draws):
        on_draw()
        given, _ = draw(seed + 1_000 * number, rows=rows, models=models)
        for name, estimator in every.items():
            if name in SLOW and number >= FEW:
                continue
            begun = time.process_time()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # theirs, of later versions of other packages
                said[name].append(estimator(given))
            seconds[name].append(time.process_time() - begun)
    true = truth(models)
    return {
        "rows": rows,
        "models": models,
        "logs": draws,
        "truth": true,
        "estimators": {
            name: {
                "logs": len(said[name]),
                "seconds": float(np.median(seconds[name])),
                **{
                    quantity: summary(
                        [each[quantity] for each in said[name]],
                        [each[quantity] for each in said["ours"][: len(said[name])]],
                        true[quantity],
                    )
                    for quantity in said[name][0]
                },
            }
            for name in every
        },
    }


def summary(said: list[Estimate], reference: list[Estimate], true: float) -> Record:
    """What was said of the first log, and bias, spread, coverage and distance from ours."""
    means, errors, reach = np.array(said).T
    base = np.array(reference)
    known, apart = np.isfinite(reach).all(), means - base[:, 0]
    return {
        "first": said[0]._asdict(),
        "bias": float(means.mean() - true),
        "deviation": float(means.std(ddof=1)),
        "standard_error": float(errors.mean()),
        "coverage": float((abs(means - true) <= reach).mean()) if known else None,
        "mean difference": float(apart.mean()),
        "error of the difference": float(apart.std(ddof=1) / np.sqrt(len(apart))),
        "largest difference": float(abs(apart).max()),
        "largest difference of errors": float(abs(errors - base[:, 1]).max()),
    }
