"""What a plan says: where each policy stands, and what random traffic would do."""

from __future__ import annotations

import dataclasses

from routerjax.evaluation.intervals import Interval
from routerjax.pipelines.uncorrected import Uncorrected


@dataclasses.dataclass(frozen=True)
class Standing:
    """What the log says of a policy's utility, or of a difference, and what would say it better.

    Attributes:
      name: of the policy, or "A minus B".
      utility: with its 95 % interval; it reaches over the bounds where there is no support.
      width: of those bounds, which rows of the same kind do not narrow.
      unsupported: Share of the queries whose choice the log does not support.
      half_width: δ that is asked for.
      more_rows, more_groups: that it takes; None where no number of rows is enough.
      gold_share: Share of the variance that only gold rows shrink; None with one source.
      more_gold: rows of the log that need a gold score in addition, for a half-width half of
        today's, or to tell what the judge is off by at all where it rests on an uncorrected model;
        None where gold on every row is not enough, and with one source.
    """

    name: str
    utility: Interval
    width: float
    unsupported: float
    half_width: float
    more_rows: int | None
    more_groups: int | None
    gold_share: float | None = None
    more_gold: int | None = None


@dataclasses.dataclass(frozen=True)
class Traffic:
    """The next rows with a share sent at random.

    Attributes:
      share: ε.
      standard_error: of the difference, from the next rows alone; infinite where a model that
        matters would not be asked.
      detects: The difference that is found with 80 % power at 5 %.
      loss: expected loss in utility per query against today.
    """

    share: float
    standard_error: float
    detects: float
    loss: float


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a log says today and what it would take to say more.

    Attributes:
      source: of the log.
      rows, groups: that were counted.
      models: names.
      cost_weight: λ.
      gold_rows: gold scores among them; None with one source.
      policies: today's policy, then every single model.
      difference: between the two policies asked for.
      next_rows: N.
      detect: The difference that random traffic is to find.
      traffic: at several shares.
      least_share: ε that finds it with 80 % power at 5 %; None where no share does.
      random_loss: utility per query that a random choice loses against today's policy.
      notes: what the numbers leave out.
      uncorrected: models whose judge's scores hardly any gold score corrects.
    """

    source: str
    rows: int
    groups: int
    models: tuple[str, ...]
    cost_weight: float
    gold_rows: int | None
    policies: tuple[Standing, ...]
    difference: Standing
    next_rows: int
    detect: float
    traffic: tuple[Traffic, ...]
    least_share: float | None
    random_loss: Interval
    notes: tuple[str, ...]
    uncorrected: tuple[Uncorrected, ...] = ()
