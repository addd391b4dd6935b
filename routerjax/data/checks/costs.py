"""Tests of costs: models without a price, cache hits, one row that outweighs all, another unit."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from routerjax.data.checks.cells import Cells, by_group
from routerjax.data.checks.finding import Finding
from routerjax.data.columns.arrays import quoted

LARGELY = 0.1  # share of a model's rows at cost 0 that is said
ENOUGH = 20  # rows from which anything is said
FEW = 5  # rows below which a share says nothing
LEAST_COST = 1e-7  # dollars that a query costs: ten tokens at a cent per million
OUTLYING = 1000.0  # times the model's median
LETTERS_A_TOKEN = 4.0
HIDDEN_TOKENS = 1000.0  # of context and answer, which a log does not hold
DEAREST_MILLION = 50.0  # dollars per million tokens that a typical model may cost
CHEAPEST_COST = 2e-7  # dollars per query that the dearest model must cost
CHEAPEST_FIXED = 1e-5  # and a typical one, where every query of a model costs the same
LIST_PRICE = 0.1  # from which a cost that never changes looks like a price per million tokens

WAYS = (
    "take it from its tokens with --prices prices.toml, keep the zeros with --zero-cost keep "
    "where the model is free, or count them as missing with --zero-cost missing"
)


def cost_findings(cells: Cells) -> Iterator[Finding]:
    """All tests of costs; none where every cost is 0, or of a handful of rows."""
    if cells.cost.size < ENOUGH or not cells.cost.any():
        return
    groups = by_group(cells.arms, len(cells.models))
    for model, own in zip(cells.models, groups, strict=True):
        yield from _zero(cells, model, own)
    for model, own in zip(cells.models, groups, strict=True):
        yield from _placeholder(cells, model, own)
        yield from _outlying(cells, model, own)
    yield from _unit(cells, groups)


def _zero(cells: Cells, model: str, own: np.ndarray) -> Iterator[Finding]:
    """A model whose cost is 0 in all or many of its rows, while other models' costs are not."""
    zero = cells.cost[own] == 0
    count, rows = int(zero.sum()), len(own)
    whole = rows > 0 and count == rows
    if not whole and (count < FEW or count < LARGELY * rows):
        return
    of = f"all {rows}" if whole else f"{count} of {rows} ({count / rows:.0%})"
    why = "no price was known" if whole else "cache hits, or calls without a price"
    yield Finding(
        name="zero-cost",
        column=cells.column("cost", model),
        problem=f"model {quoted(model)} costs 0 in {of} of its rows, and other models do not: "
        f"probably {why}",
        right=f"say what it costs: {WAYS}",
        model=model,
        share=count / rows,
        row=int(cells.rows[own[zero.argmax()]]),
        refused=whole and not cells.wide,
    )


def _placeholder(cells: Cells, model: str, own: np.ndarray) -> Iterator[Finding]:
    """A model whose queries cost less than any query can, while those of others do not."""
    cost, others = cells.cost[own], np.delete(cells.cost, own)
    positive = cost[cost > 0]
    if positive.size < FEW or not others.any():
        return
    typical, elsewhere = (float(np.median(each[each > 0])) for each in (cost, others))
    if typical >= LEAST_COST or elsewhere < OUTLYING * typical:
        return
    low = cost < LEAST_COST
    yield Finding(
        name="placeholder-cost",
        column=cells.column("cost", model),
        problem=f"model {quoted(model)} costs ${typical:.3g} per query at the median, less than a "
        f"query can, and other models cost ${elsewhere:.3g}: probably no price was known",
        right="say what it costs: take it from its tokens with --prices prices.toml, or correct it",
        model=model,
        share=float(low.mean()),
        row=int(cells.rows[own[low.argmax()]]),
    )


def _outlying(cells: Cells, model: str, own: np.ndarray) -> Iterator[Finding]:
    """A cost a thousand times the median of its model."""
    cost = cells.cost[own]
    positive = cost[cost > 0]
    if positive.size < 2 * FEW:
        return
    median = float(np.median(positive))
    over = cost >= OUTLYING * median
    count = int(over.sum())
    if not count:
        return
    worst = int(cost.argmax())
    rows = "one row" if count == 1 else f"{count} rows"
    yield Finding(
        name="outlying-cost",
        column=cells.column("cost", model),
        problem=f"{rows} of model {quoted(model)} cost more than {OUTLYING:g} times its median of "
        f"${median:.3g}, up to ${cost[worst]:.3g}",
        right="correct the cost or leave the row out: it outweighs every other in a mean",
        model=model,
        share=count / len(own),
        row=int(cells.rows[own[worst]]),
    )


def _unit(cells: Cells, groups: list[np.ndarray]) -> Iterator[Finding]:
    """Costs that look like another unit than dollars per query."""
    costs = [cells.cost[own] for own in groups]
    costs = [each[each > 0] for each in costs]
    costs = [each for each in costs if each.size]
    medians = np.array([np.median(each) for each in costs])
    typical, dearest = float(np.exp(np.log(medians).mean())), float(medians.max())
    fixed = cells.cost.size > 2 * len(costs) and all(np.ptp(each) == 0 for each in costs)
    million = 1e6 * typical / (cells.letters / LETTERS_A_TOKEN + HIDDEN_TOKENS)
    if fixed and dearest >= LIST_PRICE:
        problem = (
            f"every row of a model costs the same, up to ${dearest:.3g}: these look like list "
            "prices per million tokens"
        )
        right = "a cost is that of the row's own query, in US dollars (--prices takes list prices)"
    elif million > DEAREST_MILLION:
        problem = (
            f"a typical query costs ${typical:.3g} (the geometric mean of the models' medians), "
            f"which would be some ${million:.0f} per million tokens"
        )
        right = (
            "is this in cents or per thousand queries? Say so with --cost-unit cents or "
            "--cost-unit per-1k"
        )
    elif dearest < CHEAPEST_COST or (fixed and typical < CHEAPEST_FIXED):
        problem = f"even the dearest model costs ${dearest:.3g} per query at the median"
        if fixed:
            problem = f"every row of a model costs the same, ${dearest:.3g} at most"
        right = "is this a price per token? A cost is that of the whole query, in US dollars"
    else:
        return
    yield Finding(name="cost-unit", column="cost", problem=problem, right=right)
