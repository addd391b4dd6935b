"""What `routerjax plan` prints for people."""

from __future__ import annotations

import math

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as Grid

from routerjax.pipelines.plan_records import Plan, Standing
from routerjax.pipelines.uncorrected import advice, counted
from routerjax.reports.words import cell, say


def print_plan(plan: Plan, console: Console) -> None:
    """What the log says today, more rows, gold scores, random traffic, what is left out."""
    say(
        console,
        f"{plan.source}: {plan.rows:,} rows of {plan.groups:,} groups. Utility at cost weight "
        f"{plan.cost_weight:g}, with 95 % intervals; where the log has no support they reach over "
        "the quality range.\n",
    )
    mixed = plan.gold_rows is not None
    names = ["utility", "no support", "half-width", "more rows"]
    grid = _grid("policy", *names, *(["more gold"] if mixed else []))
    for standing in (*plan.policies, plan.difference):
        cells = [
            _range(standing),
            f"{standing.unsupported:.0%}",
            f"{standing.half_width:.3f}",
            _count(standing.more_rows),
        ]
        grid.add_row(cell(standing.name), *cells, *([_count(standing.more_gold)] * mixed))
    console.print(grid)
    for sentence in _sentences(plan):
        say(console, sentence)
    grid = _grid("at random", "standard error", "finds", "costs a query")
    for line in plan.traffic:
        finds = "nothing" if math.isinf(line.detects) else f"{line.detects:.3f}"
        error = "infinite" if math.isinf(line.standard_error) else f"{line.standard_error:.4f}"
        grid.add_row(f"{line.share:.0%}", error, finds, f"{line.loss:+.4f}")
    console.print(grid)
    for note in plan.notes:
        say(console, f"note: {note}")


def _sentences(plan: Plan) -> list[str]:
    """The answers in words."""
    between, found = plan.difference, []
    if plan.uncorrected:
        found.append(
            f"Only {counted(plan.uncorrected)} have a gold score. What the judge is off by on the "
            "others may be anything, and what rests on them reaches over the quality range: "
            f"{advice(plan.uncorrected)} first."
        )
    if between.more_rows is None:
        found.append(
            "No number of rows of the same kind is enough for that half-width of "
            f"{between.name}: "
            + (
                "what the judge is off by is not known."
                if plan.uncorrected
                else "the policy must ask models where it does not ask them today."
            )
        )
    else:
        found.append(
            f"{between.more_rows:,} more rows ({between.more_groups:,} groups) of the same kind "
            f"bring the half-width of {between.name} to {between.half_width:.3f}."
        )
    if between.gold_share is not None:
        much = f"{between.gold_share:.0%} of its variance shrinks with gold scores alone"
        if between.more_gold is None:
            found.append(f"{much}; gold scores on every row would not halve its interval.")
        else:
            found.append(
                f"{much}; gold scores on {between.more_gold:,} more of these rows, beside "
                f"{plan.gold_rows:,}, would halve its interval."
            )
    found.append(_traffic_sentence(plan))
    found.append(
        f"A random choice costs {plan.random_loss.mean:+.3f} of utility a query "
        f"({plan.random_loss.low:+.3f} to {plan.random_loss.high:+.3f}) against today's policy.\n"
    )
    return found


def _traffic_sentence(plan: Plan) -> str:
    what = f"a difference of {plan.detect:.3f} among the next {plan.next_rows:,} rows"
    if plan.difference.width > 0 and plan.detect == abs(plan.difference.utility.mean):
        what = f"{what} (the middle of what the log leaves open; --detect asks for another)"
    end = "with 80 % power at 5 %"
    if plan.least_share is None:
        return f"No share of random traffic finds {what} {end} (--next-rows asks for more of them)."
    if plan.least_share == 0:
        return f"The next rows find {what} {end} without random traffic."
    return f"{plan.least_share:.2%} of random traffic finds {what} {end}."


def _range(standing: Standing) -> str:
    found = standing.utility
    return f"{found.mean:.3f} ({found.low:.3f} to {found.high:.3f})"


def _count(value: int | None) -> str:
    return "not enough" if value is None else f"{value:,}"


def _grid(first: str, *others: str) -> Grid:
    grid = Grid(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    grid.add_column(first, overflow="fold")
    for name in others:
        grid.add_column(name, no_wrap=True, justify="right")
    return grid
