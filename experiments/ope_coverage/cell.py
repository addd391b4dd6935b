"""One cell of the study: logs of one kind, every estimator's interval on each, and its coverage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from experiments.ope_coverage import nuisances
from experiments.ope_coverage.influence import accounted_for
from experiments.ope_coverage.world import MAIN, POWERS, Draws, World, draw
from routerjax.evaluation.intervals import Interval, mean_interval, simultaneous_band
from routerjax.evaluation.off_policy import OFF_POLICY
from routerjax.evaluation.ope import (
    Scores,
    difference,
    effective_sample_size,
    logged_scores,
    policy_scores,
)
from routerjax.records.logs import Log
from routerjax.records.tables import Estimates

BATCH = 50
"""Logs whose nuisances are fitted at once."""

BAND_DRAWS = 4_000
CORRECTED = "ips, corrected"
TODAY = "dr − today"
BAND = "dr, band"
UNSUPPORTED = 0.1
"""A choice is without support if its propensity is below this share of 1/m."""

FEWEST, MOST = 30, 0.05
"""Support is enough with an effective sample size of so many groups, and with at most this share of
the policy's choices without support."""


class Kind(NamedTuple):
    """What the logs of a cell have in common."""

    rows: int
    models: int
    logging: str
    dependence: str


class Support(NamedTuple):
    """How far a log speaks of a policy, as can be seen in the log.

    Attributes:
      effective: effective sample size, of groups.
      unsupported: share of the policy's choices without support, by the propensities at hand.
    """

    effective: float
    unsupported: float

    @classmethod
    def of(
        cls, choice: np.ndarray, log: Log, propensities: np.ndarray, groups: np.ndarray | None
    ) -> Support:
        """Of a policy's arms [n], with propensities [n, m]."""
        rows, models = np.arange(len(choice)), propensities.shape[1]
        return cls(
            effective_sample_size(choice, log, propensities[rows, log.arms], groups=groups),
            float((propensities[rows, choice] < UNSUPPORTED / models).mean()),
        )

    @property
    def flagged(self) -> bool:
        """Whether the log itself says that its support is not enough."""
        return self.effective < FEWEST or self.unsupported > MOST


class Row(NamedTuple):
    """What one log says.

    Attributes:
      intervals: estimator → its interval of the utility at `MAIN`.
      band: Whether the band holds the truth at every cost weight.
      support: of the policy.
    """

    intervals: dict[str, Interval]
    band: bool
    support: Support


class Given(NamedTuple):
    """A log with what its evaluation takes.

    Attributes:
      features: [n, 3] of 1, u and v.
      log, predicted: as of `policy_scores`.
      propensities: [n, m].
      groups: [n], or None where rows are independent.
    """

    features: np.ndarray
    log: Log
    predicted: Estimates
    propensities: np.ndarray
    groups: np.ndarray | None

    def scores(self, choice: np.ndarray, estimator: str) -> Scores:
        """Of a policy by an estimator."""
        return policy_scores(
            choice,
            self.log,
            self.predicted,
            self.propensities,
            estimator=estimator,
            groups=self.groups,
        )


def measure(kind: Kind, sources: tuple[str, ...], *, logs: int, seed: int) -> list[dict[str, Any]]:
    """One record a source of propensities: coverage, bias and width of every estimator.

    Args:
      kind: of the logs.
      sources: "recorded", "estimated".
      logs: how many.
      seed: of the study; a cell has its own draws, the same for both sources.
    """
    world = World(kind.models)
    rng = np.random.default_rng([seed, *_numbers(kind)])
    found: dict[str, list[Row]] = {source: [] for source in sources}
    for count in _batches(logs):
        draws = _draw(world, rng, kind, count)
        for source in sources:
            found[source] += [
                _one(world, given, estimated=source == "estimated")
                for given in _given(world, draws, kind, source)
            ]
    return [
        {**kind._asdict(), "propensities": source, **_summary(world, kind, found[source])}
        for source in sources
    ]


def _draw(world: World, rng: np.random.Generator, kind: Kind, logs: int) -> Draws:
    return draw(
        world, rng, logs=logs, rows=kind.rows, logging=kind.logging, dependence=kind.dependence
    )


def _numbers(kind: Kind) -> list[int]:
    """The kind as whole numbers, for a seed of its own."""
    return [kind.rows, kind.models, *map(ord, kind.logging[0] + kind.dependence[0])]


def _batches(logs: int) -> list[int]:
    return [min(BATCH, logs - done) for done in range(0, logs, BATCH)]


def _given(world: World, draws: Draws, kind: Kind, source: str) -> Iterator[Given]:
    """The logs with cross-fitted outcome predictions, and propensities from a source."""
    folds, models = jnp.asarray(nuisances.folds_of(draws.groups)), kind.models
    quality, cost = (
        np.asarray(nuisances.outcomes(draws.features, draws.arms, each, folds, models=models))
        for each in (draws.quality, draws.cost)
    )
    every = propensities_from(source, world, draws, kind)
    for i in range(len(draws.arms)):
        yield Given(
            draws.features[i],
            log_of(draws, i, models),
            Estimates(quality=quality[i], cost=cost[i]),
            every[i],
            None if kind.dependence == "independent" else draws.groups,
        )


def propensities_from(source: str, world: World, draws: Draws, kind: Kind) -> np.ndarray:
    """[r, n, m] as the logging policy had them, or estimated and cross-fitted."""
    if source == "recorded":
        return world.propensities(draws.features[..., 1], kind.logging)
    folds = jnp.asarray(nuisances.folds_of(draws.groups))
    found = nuisances.propensities(draws.features, draws.arms, folds, models=world.models)
    return np.asarray(found, np.float64)


def log_of(draws: Draws, i: int, models: int, rows: Any = slice(None)) -> Log:
    """Some rows of one of the logs as a record."""
    return Log(
        arms=draws.arms[i][rows],
        quality=draws.quality[i][rows],
        cost=draws.cost[i][rows],
        models=tuple(map(str, range(models))),
    )


def _one(world: World, given: Given, *, estimated: bool) -> Row:
    u, log, groups = given.features[:, 1], given.log, given.groups
    choice = world.choice(u, POWERS[MAIN])
    scores = {name: given.scores(choice, name) for name in OFF_POLICY}
    found = {name: each.interval(MAIN, groups=groups) for name, each in scores.items()}
    found[TODAY] = difference(scores["dr"], logged_scores(log), cost_weight=MAIN, groups=groups)
    if estimated:
        corrected = accounted_for(
            scores["ips"].utility(MAIN), given.features, log.arms, given.propensities, groups
        )
        found[CORRECTED] = mean_interval(corrected, groups=groups, heavy_tails=True)
    return Row(
        intervals=found,
        band=_band_holds(world, given),
        support=Support.of(choice, log, given.propensities, groups),
    )


def _band_holds(world: World, given: Given) -> bool:
    """Whether the band of the dr values holds the truth at every cost weight."""
    u = given.features[:, 1]
    curve = [
        given.scores(world.choice(u, power), "dr").utility(cost_weight)
        for cost_weight, power in POWERS.items()
    ]
    band = simultaneous_band(
        np.stack(curve), groups=given.groups, heavy_tails=True, draws=BAND_DRAWS
    )
    truths = [worth(world.truth(power), cost_weight) for cost_weight, power in POWERS.items()]
    return bool(np.all((band.low <= truths) & (truths <= band.high)))


def worth(value: tuple[float, float], cost_weight: float) -> float:
    """Utility of a quality and a cost."""
    return value[0] - cost_weight * value[1]


def _summary(world: World, kind: Kind, rows: list[Row]) -> dict[str, Any]:
    truth = worth(world.truth(POWERS[MAIN]), MAIN)
    today = worth(world.today(kind.logging), MAIN)
    names = rows[0].intervals
    return {
        "logs": len(rows),
        **supported([row.support for row in rows]),
        "band": rounded(np.mean([row.band for row in rows])),
        "estimators": {
            name: covered(
                [row.intervals[name] for row in rows], truth - today if name == TODAY else truth
            )
            for name in names
        },
    }


def supported(found: list[Support]) -> dict[str, float]:
    """Median effective sample size, mean share without support, share of logs flagged."""
    return {
        "effective": rounded(np.median([each.effective for each in found])),
        "unsupported": rounded(np.mean([each.unsupported for each in found])),
        "flagged": rounded(np.mean([each.flagged for each in found])),
    }


def covered(intervals: list[Interval], truth: float) -> dict[str, Any]:
    """Coverage, bias, spread and mean standard error of the intervals that there are.

    An estimator that says nothing of a log (NaN) is counted apart, as silent.
    """
    there = [each for each in intervals if np.isfinite(each.low)]
    if len(there) < 2:
        return {"silent": 1.0}
    means = np.array([each.mean for each in there])
    return {
        "coverage": rounded(np.mean([each.low <= truth <= each.high for each in there])),
        "bias": rounded(means.mean() - truth),
        "deviation": rounded(means.std(ddof=1)),
        "standard_error": rounded(np.mean([each.standard_error for each in there])),
        "silent": rounded(1 - len(there) / len(intervals)),
    }


def coverages(cells: Sequence[dict[str, Any]], name: str) -> list[float]:
    """Coverage of an estimator, or of the band, in every cell that has it."""
    if name == BAND:
        return [cell["band"] for cell in cells]
    found = (cell["estimators"].get(name, {}) for cell in cells)
    return [each["coverage"] for each in found if "coverage" in each]


def rounded(value: Any) -> float:
    """To four significant digits: a study of 500 logs knows no more."""
    return float(f"{float(value):.4g}")
