"""The page of a log: a line a policy and cost weight, and every model asked alone.

Each line is what the log says of the policy (`pipelines.evidence`): value, bounds where support
ends, advantage over a base and over today's policy.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from routerjax.evaluation.intervals import Interval, simultaneous_band
from routerjax.evaluation.metrics import Choice, shares
from routerjax.evaluation.ope import effective_sample_size
from routerjax.pipelines.evidence import (
    Evidence,
    Scored,
    difference,
    interval,
    scored,
    today,
    unsupported_share,
)
from routerjax.pipelines.lines import Line, Single
from routerjax.records.logs import Log


class Saved(NamedTuple):
    """What the router that is saved chooses on the rows of its log.

    Attributes:
      router: [k, n] arms, by cost weight.
      single: [k, 1] its best single model, or [k, n] where not every model was available.
      fell_back: [k] share of all rows where its first choice has no support.
    """

    router: Int[np.ndarray, "k n"]
    single: Int[np.ndarray, "k _"]
    fell_back: Float[np.ndarray, " k"]

    def of_rows(self, rows: Bool[np.ndarray, " n"]) -> Saved:
        """On some of the rows."""
        single = self.single if self.single.shape[1] == 1 else self.single[:, rows]
        return Saved(self.router[:, rows], single, self.fell_back)


def as_saved(
    lines: Sequence[Line], saved: Saved, models: Sequence[str], cost_weights: Sequence[float]
) -> tuple[Line, ...]:
    """Lines of the folds' routers that name what the one that is saved chooses.

    Folds may differ in their best single model, and each in its choices from the router that is
    saved: a reader is told which models that one asks. Where it is its best single model on every
    row, its advantage is 0, whatever the folds' routers had. Where it is not and each of theirs
    was, no row tells of its advantage: it is NaN.
    """
    found, alone = [], Interval(0.0, 0.0, 0.0, 0.0, 0)
    unknown = Interval(*(float("nan"),) * 4, 0)
    single = np.broadcast_to(saved.single, saved.router.shape)
    own = {"router": saved.router, "best-single-log": single}
    for line in lines:
        if line.method in own:
            k = cost_weights.index(line.cost_weight)
            line = dataclasses.replace(line, mostly=_most_asked(own[line.method][k], models))
            if line.method == "router":
                kept = np.array_equal(saved.router[k], single[k])
                same = line.advantage.mean == 0 and line.advantage.standard_error == 0
                known = alone if kept else unknown if same else line.advantage
                known = known._replace(n=line.advantage.n)
                line = dataclasses.replace(line, advantage=known)
        found.append(line)
    return tuple(found)


def at_own_cost(
    lines: Sequence[Line],
    saved: Saved,
    choices: Mapping[str, Sequence[Choice]],
    evidence: Evidence,
    cost_weights: Sequence[float],
) -> tuple[Line, ...]:
    """Lines of the folds' routers with the cost of the one that is saved, where it is one model.

    Folds that tell two models hardly apart keep now one and now the other, about equal in utility
    and not in cost. Where a policy that is saved asks model s of every row and its folds' choices
    are others, the cost is c_s, and the quality what the folds' utility comes to at that cost,

        q = (q_fold − λ c_fold) + λ c_s   by row,

    so that utility and differences in it stay those of choices by other rows. Where s lacks support
    a range of costs takes the place of c_s.

    Args:
      lines: of the folds' choices.
      saved: what the router that is saved chooses.
      choices: method → the folds' choices [n] at every cost weight.
      evidence: of the log.
      cost_weights: λ.
    """
    own = {"router": saved.router, "best-single-log": saved.single}
    found, groups = [], evidence.log.groups
    for line in lines:
        if line.method in own:
            k = cost_weights.index(line.cost_weight)
            asked, by_fold = own[line.method][k], choices[line.method][k]
            if (asked == asked[0]).all() and (by_fold != asked[0]).any():
                folds = scored(by_fold, evidence)
                alone = scored(np.full(len(groups), asked[0]), evidence)
                cheap, dear = alone.high.cost, alone.low.cost
                ends = [folds.low.utility(line.cost_weight) + line.cost_weight * cheap]
                ends += [folds.high.utility(line.cost_weight) + line.cost_weight * dear]
                widening = evidence.widening_of(line.method)
                line = dataclasses.replace(
                    line,
                    quality=interval(ends[0], ends[1], groups, widening=widening),
                    cost=interval(cheap, dear, groups),
                )
        found.append(line)
    return tuple(found)


def policy_lines(
    choices: Mapping[str, Sequence[Choice]],
    evidence: Evidence,
    *,
    cost_weights: Sequence[float],
    base: str,
) -> tuple[Line, ...]:
    """A line for today's policy and every choice at every cost weight.

    Args:
      choices: method → its choice at every cost weight.
      evidence: of the log.
      cost_weights: λ.
      base: the method over which the advantage is.
    """
    own = {"today": [today(evidence)] * len(cost_weights)}
    for method, each in choices.items():
        own[method] = _once_each(each, evidence)
    bands = {
        method: _band(each, own["today"], evidence, cost_weights, evidence.widening_of(method))
        for method, each in own.items()
    }
    return tuple(
        _line(
            method,
            scores[k],
            own[base][k],
            own["today"][k],
            evidence,
            cost_weight,
            bands[method][k],
        )
        for k, cost_weight in enumerate(cost_weights)
        for method, scores in own.items()
    )


def _once_each(choices: Sequence[Choice], evidence: Evidence) -> list[Scored]:
    """Scores of choices; one that is the same as that before is scored once."""
    found: list[Scored] = []
    for choice in choices:
        same = found and np.array_equal(choice, found[-1].choice)  # type: ignore[arg-type]
        found.append(found[-1] if same else scored(choice, evidence))
    return found


def _band(
    scores: Sequence[Scored],
    others: Sequence[Scored],
    evidence: Evidence,
    cost_weights: Sequence[float],
    widening: float,
) -> list[tuple[float, float]]:
    """(lowest, highest) difference in utility at every cost weight, all at once."""
    lows: list[int] = []
    highs: list[int] = []  # places in the band; one where no bounds part the two

    def ends() -> Iterator[np.ndarray]:
        """Of one cost weight after another: a million rows are never held for all of them."""
        for one, other, cost_weight in zip(scores, others, cost_weights, strict=True):
            low, high = difference(one, other, cost_weight=cost_weight)
            lows.append(highs[-1] + 1 if highs else 0)
            yield low
            parted = not np.array_equal(low, high)
            highs.append(lows[-1] + parted)
            if parted:
                yield high

    band = simultaneous_band(ends(), groups=evidence.log.groups, heavy_tails=True)
    lowest = band.mean - (band.mean - band.low) * widening
    highest = band.mean + (band.high - band.mean) * widening
    return list(zip(lowest[lows].tolist(), highest[highs].tolist(), strict=True))


def _line(
    method: str,
    own: Scored,
    base: Scored,
    log_policy: Scored,
    evidence: Evidence,
    cost_weight: float,
    band: tuple[float, float],
) -> Line:
    groups, models = evidence.log.groups, evidence.log.models

    def between(low: np.ndarray, high: np.ndarray) -> Interval:
        return interval(low, high, groups, widening=evidence.widening_of(method))

    return Line(
        method=method,
        cost_weight=cost_weight,
        utility=between(own.low.utility(cost_weight), own.high.utility(cost_weight)),
        regret=None,
        quality=between(own.low.quality, own.high.quality),
        cost=between(own.high.cost, own.low.cost),
        advantage=between(*difference(own, base, cost_weight=cost_weight)),
        over_today=between(*difference(own, log_policy, cost_weight=cost_weight)),
        band=band,
        effective_sample_size=_effective(own.choice, evidence),
        unsupported=unsupported_share(own.choice, evidence),
        mostly=_mostly(own.choice, evidence.log, models),
    )


def _effective(choice: Choice | None, evidence: Evidence) -> float:
    log = evidence.log
    if choice is not None:
        return effective_sample_size(choice, log, evidence.chance, floor=0.0, groups=log.groups)
    counted = np.ones(len(log), bool) if evidence.gold is None else evidence.gold[0]
    return float(len(np.unique(log.groups[counted])))


def _mostly(choice: Choice | None, log: Log, models: Sequence[str]) -> tuple[str, float]:
    return _most_asked(np.asarray(log.arms) if choice is None else choice, models)


def _most_asked(choice: Choice, models: Sequence[str]) -> tuple[str, float]:
    found = shares(choice, len(models))
    return models[int(found.argmax())], float(found.max())


def singles(evidence: Evidence) -> tuple[Single, ...]:
    """Every model asked for every query on which it was available."""
    found, groups = [], evidence.log.groups
    for arm, model in enumerate(evidence.log.models):
        choice, rows = np.full(len(evidence.log), arm), _could(evidence.log, arm)
        own = scored(choice, evidence)
        low, high = (each.quality[rows] for each in own[:2])
        dear, cheap = (each.cost[rows] for each in own[:2])
        known = evidence.supported[rows, arm]
        found.append(
            Single(
                model=model,
                quality=interval(low, high, groups[rows]),
                cost=interval(cheap, dear, groups[rows]),
                unsupported=float(1 - known.mean()),
            )
        )
    return tuple(found)


def _could(log: Log, arm: int) -> np.ndarray | slice:
    """The rows on which a model was available; all of them where it never was."""
    if log.available is None or not np.asarray(log.available)[:, arm].any():
        return slice(None)
    return np.flatnonzero(np.asarray(log.available)[:, arm])
