"""What an evaluation says: a line a method and cost weight, and the page they stand on."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from routerjax.artefacts.base import listed
from routerjax.evaluation.intervals import Interval
from routerjax.pipelines.uncorrected import Uncorrected

if TYPE_CHECKING:
    import pandas

INTERVALS = ("utility", "regret", "quality", "cost", "advantage", "over_today")
"""The fields of a `Line` that are intervals."""
FEW = 10
"""Effective rows (groups) with fewer of which an interval cannot be relied on."""


@dataclasses.dataclass(frozen=True)
class Line:
    """A method at one cost weight; means per query with standard error and 95 % interval.

    Where a policy chooses what the log does not support, its quality there may be anything in the
    quality range: the interval then reaches from the lower bound's end to the upper bound's, and
    its mean is the middle.

    On the page of a fit the lines are those of routers fitted without a fold of rows; where the
    router that is saved is one model, cost is its own, and quality what its utility comes to at
    that cost (`on_log.at_own_cost`).

    Attributes:
      regret: against the oracle; None on a log, where no row knows its best arm.
      advantage: paired difference in utility to the best single model, picked on other rows.
      over_today: paired difference in utility to the policy that wrote the log; None on a table.
      band: (lowest, highest) of `over_today`, at all cost weights at once; None on a table.
      effective_sample_size: of the groups that speak of the policy; None on a table.
      unsupported: Share of the queries on which the log does not support the choice, or on which
        what the judge is off by is not known (`Evaluation.uncorrected`), or which lies near an edge
        of today's policy that let the router choose (`Propensities.near`).
      mostly: (model, share) the policy chooses most; on the page of a fit, of the router that is
        saved and of its best single model.
      nearly_certain: whether today's policy, by estimated propensities, is nearly certain of most
        queries, so that values of other choices may be too high, and "better" is not said.
    """

    method: str
    cost_weight: float
    utility: Interval
    regret: Interval | None
    quality: Interval
    cost: Interval
    advantage: Interval
    over_today: Interval | None = None
    band: tuple[float, float] | None = None
    effective_sample_size: float | None = None
    unsupported: float | None = None
    mostly: tuple[str, float] | None = None
    nearly_certain: bool = False

    @property
    def verdict(self) -> str:
        """What the log says of the method beside today's policy.

        "better", "worse", "the same policy" (identical on every row) or "cannot tell".
        """
        if self.over_today is None or self.band is None:
            return "cannot tell"
        low, high = self.band
        if self.over_today.mean == 0 and self.over_today.standard_error == 0:
            return "the same policy"
        few = self.effective_sample_size is not None and self.effective_sample_size < FEW
        if few or not (np.isfinite(low) and np.isfinite(high)):
            return "cannot tell"
        better = low > 0 and not self.nearly_certain
        return "better" if better else "worse" if high < 0 else "cannot tell"


@dataclasses.dataclass(frozen=True)
class Single:
    """One model asked for every query, by the log: a point of the cost–quality plane."""

    model: str
    quality: Interval
    cost: Interval
    unsupported: float


@dataclasses.dataclass(frozen=True)
class Retiring:
    """A router without some of its models beside the whole one; means per query, 95 % intervals.

    Attributes:
      exclude: models that are retired.
      cost_weight: λ.
      lost: utility of the whole router minus that without them.
      quality_change, cost_change: without them minus with them, in quality and in dollars.
      moved: share of the queries that go to another model.
      unsupported: share on which the log does not support the choice without them; None on a table.
    """

    exclude: tuple[str, ...]
    cost_weight: float
    lost: Interval
    quality_change: Interval
    cost_change: Interval
    moved: float
    unsupported: float | None = None


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What `evaluate` returns.

    Attributes:
      kind: "table" or "log".
      source: Where the data came from.
      rows: queries evaluated.
      groups: what is independent among them, which standard errors count.
      left_out: Rows left out: in another split, with a missing cell, logged twice, or of queries
        the router was fitted on.
      fingerprint: Fingerprint of the evaluated rows.
      quality_range: unit of quality, utility, regret and cost weights.
      notes: what a reader must know of the numbers.
      lines: method × cost weight.
      overlap: of the log, as `routerjax.estimators.overlap.Overlap`; None on a table.
      singles: every model asked for every query; none on a table.
      verdict: sentences that the numbers support; none on a table.
      retiring: what it costs to retire the models that were to be left out, at every cost weight.
      uncorrected: models whose judge's scores hardly any gold score corrects, so that what they are
        worth the log does not say.
    """

    kind: str
    source: str
    rows: int
    groups: int
    left_out: int
    fingerprint: str
    quality_range: tuple[float, float]
    notes: tuple[str, ...]
    lines: tuple[Line, ...]
    overlap: dict[str, Any] | None = None
    singles: tuple[Single, ...] = ()
    verdict: tuple[str, ...] = ()
    retiring: tuple[Retiring, ...] = ()
    uncorrected: tuple[Uncorrected, ...] = ()

    def __repr__(self) -> str:
        methods = list(dict.fromkeys(line.method for line in self.lines))
        weights = sorted({line.cost_weight for line in self.lines})
        said = "".join(f"\n  {sentence}" for sentence in self.verdict)
        return (
            f"Evaluation on the {self.kind} {self.source}: {self.rows:,} rows, "
            f"{self.left_out:,} left out; quality in "
            f"[{self.quality_range[0]:g}, {self.quality_range[1]:g}]\n"
            f"  methods: {listed(methods)}\n"
            f"  {len(weights)} cost weights from {weights[0]:g} to {weights[-1]:g}{said}"
        )

    def of(self, method: str) -> tuple[Line, ...]:
        """The lines of one method, in the order of the cost weights."""
        return tuple(line for line in self.lines if line.method == method)

    def to_frame(self) -> pandas.DataFrame:
        """One row a method and cost weight, in the order of `lines`.

        Every interval is four columns, such as utility, utility_low, utility_high and
        utility_standard_error; what the kind of data does not have is NaN.
        """
        import pandas

        rows = []
        for line in self.lines:
            row: dict[str, object] = {"method": line.method, "cost_weight": line.cost_weight}
            for name in INTERVALS:
                found = getattr(line, name)
                row[name] = np.nan if found is None else found.mean
                for part in ("low", "high", "standard_error"):
                    row[f"{name}_{part}"] = np.nan if found is None else getattr(found, part)
            row["band_low"], row["band_high"] = line.band or (np.nan, np.nan)
            for name in ("effective_sample_size", "unsupported"):
                value = getattr(line, name)
                row[name] = np.nan if value is None else value
            row["mostly"], row["mostly_share"] = line.mostly or (None, np.nan)
            row["verdict"] = line.verdict if self.kind == "log" else None
            rows.append(row)
        return pandas.DataFrame(rows)


def _interval(saved: dict[str, Any]) -> Interval:
    numbers: dict[str, Any] = {n: np.nan if part is None else part for n, part in saved.items()}
    return Interval(**numbers)


def evaluation_of(saved: dict[str, Any]) -> Evaluation:
    """An evaluation from the plain form in which a router's report holds it.

    Args:
      saved: ``router.report["evaluation"]``, of a router just fitted or one that was loaded.
    """

    def intervals(fields: dict[str, Any]) -> dict[str, Any]:
        return {
            name: _interval(value) if isinstance(value, dict) else value
            for name, value in fields.items()
        }

    def pair(value: Sequence[Any] | None) -> Any:
        return None if value is None else tuple(np.nan if each is None else each for each in value)

    lines = []
    for line in saved["lines"]:
        band, mostly = pair(line["band"]), pair(line["mostly"])
        lines.append(Line(**{**intervals(line), "band": band, "mostly": mostly}))
    return Evaluation(
        **{
            **saved,
            "quality_range": pair(saved["quality_range"]),
            "notes": pair(saved["notes"]),
            "verdict": pair(saved["verdict"]),
            "lines": tuple(lines),
            "singles": tuple(Single(**intervals(single)) for single in saved["singles"]),
            "retiring": tuple(
                Retiring(**{**intervals(own), "exclude": tuple(own["exclude"])})
                for own in saved.get("retiring", ())
            ),
            "uncorrected": tuple(Uncorrected(**own) for own in saved.get("uncorrected", ())),
        }
    )
