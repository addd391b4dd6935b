"""What `routerjax route` prints for people: a line a query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from routerjax.artefacts.routes import Routes
from routerjax.errors import printable

if TYPE_CHECKING:
    from routerjax.artefacts.gains import GainRoutes
    from routerjax.estimators.envelope import Envelope


def route_lines(routes: Routes, models: Sequence[str], *, probabilities: bool) -> list[str]:
    """One line a query: model, expected quality, expected cost, and probabilities if asked; "fell
    back" where support, not expectation, chose the model."""
    lines = []
    for row, model in enumerate(routes.models):
        line = f"{printable(model)}\tquality {routes.quality[row]:.3f}\t${routes.cost[row]:.6f}"
        if probabilities:
            pairs = sorted(zip(routes.probabilities[row], models, strict=True), reverse=True)
            line += "\t" + ", ".join(f"{printable(name)} {p:.3f}" for p, name in pairs)
        lines.append(line + ("\tfell back" if routes.fell_back[row] else ""))
    return lines


def fallbacks(routes: Routes) -> str:
    """How many queries fell back; the empty text where none did."""
    count, queries = int(routes.fell_back.sum()), len(routes.models)
    if not count:
        return ""
    return (
        f"{count:,} of {queries:,} queries at cost weight {routes.cost_weight:g} fell back to the "
        "best supported model: the log does not tell what the router's first choice is worth there"
    )


def explanation(
    envelope: Envelope, models: Sequence[str], chosen: str | None, cost_weight: float | None
) -> str:
    """The best expected model of a query by cost weight: "below 12.4: a; to 85: b; above: c".

    Where the router chose another model than this, the line says so.
    """
    names = [printable(models[arm]) for arm in envelope.arms]
    if len(names) == 1:
        line = f"at every cost weight: {names[0]}"
    else:
        first, *ends = (f"{end:.4g}" for end in envelope.breaks)
        parts = [f"below {first}", *(f"to {end}" for end in ends), "above"]
        line = "; ".join(f"{part}: {name}" for part, name in zip(parts, names, strict=True))
    if chosen is None or cost_weight is None:
        return line
    expected = names[sum(end < cost_weight for end in envelope.breaks)]
    return (
        line
        if printable(chosen) == expected
        else f"{line} (by expected outcomes; training moved it)"
    )


def gain_lines(routes: GainRoutes) -> list[str]:
    """One line a query: model, the primary's expected gain, cost of the model."""
    return [
        f"{printable(model)}\tgain {gain:+.3f}\t${cost:.6f}"
        for model, gain, cost in zip(routes.models, routes.gain, routes.cost, strict=True)
    ]
