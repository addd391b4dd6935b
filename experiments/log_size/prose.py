"""The findings of the study in sentences, every number of them read off its results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from experiments.log_size.compare import (
    FAR,
    Comparison,
    Key,
    advantages,
    cells,
    compare,
    expectation,
)
from experiments.log_size.methods import BEST_DR, BEST_FIT, FIT, FULL, RIDGE, TWO_LEVEL

Record = dict[str, Any]
Found = dict[Key, list[Record]]
LEAST_CELLS = 3
"""Of lowest advantage that are named."""


def findings(results: Record) -> str:
    """Markdown: one item a finding."""
    found = cells(results["draws"])
    parts = (_in_all, _single_model, _by_rows, _least, _kept, _unpooled, _two_level, _by_dr)
    return "\n".join(f"- {part(found)}" for part in parts)


def _of(found: Found, method: str, wanted: Callable[[Key], bool] = lambda key: True) -> Comparison:
    """A method over the cells that are wanted."""
    own = compare({key: draws for key, draws in found.items() if wanted(key)}, method)
    assert own is not None
    return own


def _with_error(own: Comparison) -> str:
    return f"{own.mean:+.4f} ± {own.error:.4f}"


def _in_all(found: Found) -> str:
    own = _of(found, FIT)
    place, value = min(
        (
            ((*key, draw["seed"]), float(lead))
            for key, draws in found.items()
            for draw, lead in zip(draws, advantages(draws, FIT).mean(axis=1), strict=True)
        ),
        key=lambda pair: pair[1],
    )
    table, logging, rows, seed = place
    return (
        f"**`fit` adds {_with_error(own)} on average**, {own.recovered:.0%} of what full feedback "
        f"adds, over {own.draws} draws of {own.cells} cells. It is below by more than a standard "
        f"error in {own.below} of the cells and in {own.weights_below} of {own.weights} cells × "
        f"cost weights, where equal methods would be in one of six. Draws below -{FAR}: "
        f"{own.far_below}; above {FAR}: {own.far_above}. The worst has {value:+.4f}: {table}, "
        f"{rows:,} rows, {logging}, seed {seed}."
    )


def _single_model(found: Found) -> str:
    uniform = {method: _of(found, method, _is("uniform")) for method in (FIT, BEST_FIT)}
    return (
        f"**The best single model of `fit`** alone adds {_with_error(_of(found, BEST_FIT))} to the "
        "one that plain means pick: under sharp logging these pick a model with a handful of rows "
        f"and luck. Under uniform logging `fit` adds {uniform[FIT].mean:+.4f}, its single model "
        f"{uniform[BEST_FIT].mean:+.4f}."
    )


def _is(logging: str, rows: int | None = None) -> Callable[[Key], bool]:
    return lambda key: key[1] == logging and rows in (None, key[2])


def _by_rows(found: Found) -> str:
    sizes = sorted({key[2] for key in found})[-2:]
    told = [
        " and ".join(
            f"{_of(found, FIT, _is(logging, rows)).recovered:.0%} with {rows:,}"
            for rows in sizes
            if any(map(_is(logging, rows), found))
        )
        + f" {logging} rows"
        for logging in dict.fromkeys(key[1] for key in found)
    ]
    return f"**By rows**: of what full feedback adds `fit` adds {'; '.join(told)}."


def _least(found: Found) -> str:
    leads = {key: float(advantages(draws, FIT).mean()) for key, draws in found.items()}
    least = sorted(leads, key=lambda key: leads[key])[:LEAST_CELLS]
    told = [
        f"{table}, {rows:,} rows, {logging}: {leads[table, logging, rows]:+.4f} (full feedback "
        f"{advantages(found[table, logging, rows], FULL).mean():+.4f})"
        for table, logging, rows in least
    ]
    return f"**The cells of least advantage** are {'; '.join(told)}."


def _kept(found: Found) -> str:
    kept, others = (expectation(found, kept=each) for each in (True, False))
    assert kept is not None and others is not None
    return (
        "**Where routers keep to their best single model**, choosing by query was expected to add "
        f"{kept.expected:+.4f}; `fit` gained {kept.came[FIT]:+.4f} over it by falling back for "
        f"want of support, and full feedback {kept.came[FULL]:+.4f}, which such logs do not tell. "
        f"Elsewhere it was expected to add {others.expected:+.4f}, and it added "
        f"{others.came[FIT]:+.4f} ({others.came[FIT] / others.expected:.0%})."
    )


def _unpooled(found: Found) -> str:
    own = _of(found, RIDGE)
    return (
        f"**Ridges without pooling** add {_with_error(own)}, are below in {own.below} cells of "
        f"{own.cells}, and have {own.worst:+.2f} in the worst draw."
    )


def _two_level(found: Found) -> str:
    own = _of(found, TWO_LEVEL)
    return (
        f"**The two-level ridge** adds {_with_error(own)} and is below in {own.below} cells; its "
        f"worst draw has {own.worst:+.4f}. Under uniform logging it adds "
        f"{_of(found, TWO_LEVEL, _is('uniform')).mean:+.4f}."
    )


def _by_dr(found: Found) -> str:
    own = _of(found, BEST_DR)
    return (
        f"**The best single model by dr estimates** adds {_with_error(own)} and is below in "
        f"{own.below} cells; its worst draw has {own.worst:+.4f}."
    )
