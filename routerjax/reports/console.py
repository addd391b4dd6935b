"""What `routerjax fit` and `evaluate` print for people."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table as Grid

from routerjax.artefacts.base import listed
from routerjax.artefacts.router import Router
from routerjax.errors import printable
from routerjax.evaluation.intervals import Interval
from routerjax.pipelines.lines import FEW, Evaluation, Line, evaluation_of
from routerjax.reports.words import cell, costs, grid_of, say

CELL = 8  # characters of a column of numbers


def _evaluated_rows(report: Mapping[str, Any]) -> str:
    """Which rows speak of what the router is worth."""
    apart = report["rows"]["held_out"]
    if report["evaluation"] is not None and not apart:
        return "each evaluated by models that did not see it"
    return f"{apart} set apart to evaluate on"


def print_fit(router: Router, console: Console) -> None:
    """Overlap of the log, and the page of what the router is worth."""
    overlap, rows = router.report["overlap"], router.report["rows"]
    trained = f"; {rows['members']} networks" if router.report["epochs"] else ""
    say(
        console,
        f"{rows['log']} rows to learn from, {_evaluated_rows(router.report)}"
        f"{trained}.\n{_overlap_sentence(overlap)}\n",
    )
    if "settings" in router.report:
        say(console, _settings_sentence(router.report["settings"]))
    if "correction" in router.report:
        say(console, _correction_sentence(router.report["correction"]))
    console.print(_overlap_grid(overlap))
    if router.report["evaluation"] is None:
        say(
            console,
            f"What the router is worth is not known here: {router.report['why']}. Evaluate it on "
            "another log.",
        )
        return
    print_log_page(evaluation_of(router.report["evaluation"]), console)


def _settings_sentence(settings: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """Which values of the surrogate's settings were kept, by stage."""
    parts = []
    for stage, own in settings.items():
        for name, values in own.items():
            counted = [f"{v:g} ({values.count(v)} of {len(values)})" for v in sorted(set(values))]
            parts.append(f"{name} = {', '.join(counted)} in stage {stage}")
    return f"Of the surrogate's settings held-out rows chose {'; '.join(parts)}.\n"


def _overlap_sentence(overlap: dict[str, Any]) -> str:
    floor = overlap["floor"]
    clipped = f"{overlap['share_clipped']:.1%} below {floor:.3g} and clipped" if floor else ""
    return (
        f"Propensities {overlap['source']}: smallest {overlap['smallest_propensity']:.3g}, "
        f"{clipped or 'none clipped'}. "
        f"{overlap['groups']:,} groups of rows are independent."
    )


def _overlap_grid(overlap: dict[str, Any]) -> Grid:
    """Rows, effective rows, share without support and calibration of every model."""
    grid = grid_of("model of the log", "rows", "effective", "no support", "calibration")
    for model, count, size, without, mean in zip(
        overlap["models"],
        overlap["arm_rows"],
        overlap["effective_sample_size"],
        overlap["unsupported"],
        overlap["calibration"],
        strict=True,
    ):
        grid.add_row(cell(model), str(count), f"{size:.0f}", f"{without:.0%}", f"{mean:.2f}")
    return grid


def print_log_page(evaluation: Evaluation, console: Console) -> None:
    """The verdict, today's policy and the router at every cost weight, and all single models."""
    say(
        console,
        f"{evaluation.source}: {evaluation.rows:,} rows evaluated of {evaluation.groups:,} "
        f"groups, {evaluation.left_out:,} left out.\n",
    )
    for sentence in evaluation.verdict:
        say(console, sentence)
    say(console)
    say(
        console,
        "Utility by cost weight; brackets hold 95 % intervals, those over today's policy at all "
        "cost weights at once:\n",
    )
    today = {line.cost_weight: line for line in evaluation.of("today")}
    grid = grid_of("weight", "today", "router", "over today", "over best single")
    for line in evaluation.of("router"):
        grid.add_row(
            f"{line.cost_weight:g}",
            f"{today[line.cost_weight].utility.mean:.3f}",
            f"{line.utility.mean:.3f}",
            _signed(line, line.over_today, line.band),
            _signed(line, line.advantage, (line.advantage.low, line.advantage.high)),
        )
    console.print(grid)
    say(console, f"{_best_singles(evaluation)}\n")
    grid = grid_of("answers by", "quality", "$/1000", "no support")
    own = evaluation.of("today")[0]
    grid.add_row("today's policy", _range(own.quality), f"{1000 * own.cost.mean:.3g}", "")
    for single in evaluation.singles:
        grid.add_row(
            cell(single.model),
            _range(single.quality),
            costs(single),
            f"{single.unsupported:.0%}",
        )
    console.print(grid)
    for note in evaluation.notes:
        say(console, f"note: {note}")


def _best_singles(evaluation: Evaluation) -> str:
    """Which model is the best single one at which cost weights."""
    at: dict[str, list[str]] = {}
    for line in sorted(evaluation.of("best-single-log"), key=lambda line: line.cost_weight):
        at.setdefault(line.mostly[0] if line.mostly else "", []).append(f"{line.cost_weight:g}")
    parts = [f"{printable(model)} at {listed(weights)}" for model, weights in at.items()]
    return f"Best single model by cost weight: {'; '.join(parts)}."


def _range(interval: Interval) -> str:
    return f"{interval.mean:.3f} ({interval.low:.3f} to {interval.high:.3f})"


def _signed(line: Line, interval: Interval | None, ends: tuple[float, float] | None) -> str:
    """A difference with its ends, or that there is none, or that the log cannot tell."""
    assert interval is not None and ends is not None
    if interval.mean == 0 and interval.standard_error == 0:
        return "the same policy"
    few = line.effective_sample_size is not None and line.effective_sample_size < FEW
    if few or not math.isfinite(interval.mean):
        return "cannot tell"
    return f"{interval.mean:+.3f} [{ends[0]:+.3f}, {ends[1]:+.3f}]"


def _correction_sentence(correction: dict[str, Any]) -> str:
    overlap = correction["overlap"]
    size = overlap["effective_sample_size"][overlap["models"].index("gold")]
    return (
        f"The {correction['judge_rows']} scores that are not gold were corrected by "
        f"{correction['mean_correction']:+.3f} on average, learnt from {correction['gold_rows']} "
        f"gold ones ({size:.0f} effective){_by_judge(correction.get('judges', ()))}.\n"
    )


def _by_judge(judges: Sequence[dict[str, Any]]) -> str:
    """What each of several judges' scores were corrected by."""
    told = [
        f"{printable(each['judge'] or 'rows without a judge')} {each['mean_correction']:+.3f} "
        f"({each['rows']} scores)"
        for each in judges
    ]
    return f"; by judge: {', '.join(told)}" if told else ""


def print_evaluation(evaluation: Evaluation, console: Console) -> None:
    """The page of a log; of a table utility of every method, then the router's own figures."""
    if evaluation.kind == "log":
        assert evaluation.overlap is not None
        say(console, _overlap_sentence(evaluation.overlap))
        console.print(_overlap_grid(evaluation.overlap))
        print_log_page(evaluation, console)
        print_retiring(evaluation, console)
        return
    cost_weights = sorted({line.cost_weight for line in evaluation.lines})
    by = {(line.method, line.cost_weight): line for line in evaluation.lines}
    methods = list(dict.fromkeys(line.method for line in evaluation.lines))
    largest = max(line.utility.standard_error for line in evaluation.lines)
    say(
        console,
        f"{evaluation.source}: {evaluation.rows} rows evaluated, {evaluation.left_out} left out.\n"
        f"Mean utility by cost weight, "
        f"from all cells; standard errors are {largest:.3f} or less (--json has each).\n",
    )
    step = max(1, (console.width - 26) // CELL)
    for some in (cost_weights[i : i + step] for i in range(0, len(cost_weights), step)):
        grid = grid_of("method at cost weight", *[f"{each:g}" for each in some])
        for method in methods:
            values = [by[method, each].utility.mean for each in some]
            grid.add_row(cell(method), *[f"{value:.3f}" for value in values])
        grid.add_section()
        for name, cells in _own_figures([by["router", each] for each in some]).items():
            grid.add_row(name, *cells)
        console.print(grid)
    print_retiring(evaluation, console)
    for note in evaluation.notes:
        say(console, f"note: {note}")


def print_retiring(evaluation: Evaluation, console: Console) -> None:
    """What it costs to retire models, where that was asked."""
    if not evaluation.retiring:
        return
    names = ", ".join(printable(name) for name in evaluation.retiring[0].exclude)
    say(
        console,
        f"What the router is worth less without {names}, fitted as it is; brackets hold 95 % "
        "intervals:\n",
    )
    grid = grid_of("weight", "lost", "quality", "$ per 1000", "queries moved", "no support")
    for own in evaluation.retiring:
        grid.add_row(
            f"{own.cost_weight:g}",
            f"{own.lost.mean:+.3f} [{own.lost.low:+.3f}, {own.lost.high:+.3f}]",
            f"{own.quality_change.mean:+.3f}",
            f"{1000 * own.cost_change.mean:+.3g}",
            f"{own.moved:.0%}",
            "" if own.unsupported is None else f"{own.unsupported:.0%}",
        )
    console.print(grid)


def _own_figures(lines) -> dict[str, list[str]]:
    figures = {
        "router − best-single-log": [f"{line.advantage.mean:+.3f}" for line in lines],
        "  standard error": [f"{line.advantage.standard_error:.3f}" for line in lines],
        "router's quality": [f"{line.quality.mean:.3f}" for line in lines],
        "router's $ per 1000": [f"{1000 * line.cost.mean:.3g}" for line in lines],
    }
    figures["router's regret"] = [f"{line.regret.mean:.3f}" for line in lines]
    return figures
