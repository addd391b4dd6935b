"""`routerjax refit` and `routerjax rollback`: the next router from the decision log, and back."""

from __future__ import annotations

import dataclasses
import re
import time
from typing import TYPE_CHECKING

from routerjax.cli.app import Argument, Options, Parsed, add_command
from routerjax.cli.options import Loading, option
from routerjax.cli.reading import keep_compiled, print_json
from routerjax.errors import InputError

if TYPE_CHECKING:
    from cyclopts import App

    from routerjax.serving.refitting import Refit

TEXT = """Fit the next router to a decision log, and put it in service if it is worth more.

The router in service and the new one are compared on decisions that neither was fitted on, doubly
robust, with the propensities from which they were drawn. The new one takes the folder, where a
service finds it, only if the rule of --promote-if holds.
"""
BACK = """Bring back the router that was in service before the present one.

A second rollback brings back the present one.
"""
UNITS = {"h": 3600.0, "d": 86_400.0, "w": 604_800.0}


def seconds(text: str) -> float:
    """``"7d"`` as seconds: hours (h), days (d) or weeks (w)."""
    found = re.fullmatch(r"([0-9.]+)([hdw])", text.strip())
    try:
        if found is not None and float(found[1]) > 0:
            return float(found[1]) * UNITS[found[2]]
    except ValueError:
        pass
    raise InputError(f"'{text}' is no time such as 12h, 7d or 2w")


@dataclasses.dataclass(frozen=True)
class Refitting:
    """What is fitted, compared and promoted.

    Attributes:
      router: The folder of the router in service.
      since: Decisions of the last hours, days or weeks alone, as 12h, 7d or 2w.
      promote_if: The rule by which the new router takes the place of the old one, on advantage,
        quality_change and cost_change, each with .low, .mean or .high, joined by "and".
      cost_weight: The cost weight at which they are compared, by default the median of the
        decisions'.
      held_out: The share of the groups that is set apart to compare by.
      draws: Draws from the new router's posterior are written beside it, for serve --explore-by
        posterior.
      exclude: Models that were retired, as of serve --exclude; the routers are compared without
        them.
      trust_encoder: The router's text encoder is loaded although it is none of routerjax's own.
      json: One JSON document is printed instead of text.
    """

    router: str = option("", "ROUTER", required=True)
    since: float | None = option(None, "TIME", seconds)
    promote_if: str = option("advantage.low > 0", "RULE")
    cost_weight: float | None = option(None, "L")
    held_out: float = option(0.3, "SHARE")
    draws: bool = False
    exclude: tuple[str, ...] = option((), "MODEL,...")
    trust_encoder: bool = False
    json: bool = False


def add(app: App) -> None:
    """Add both commands."""
    add_command(
        app,
        "refit",
        handle,
        text=TEXT,
        arguments=[Argument("log", "The folder of the decision log.")],
        groups=[Options("Refitting", Refitting())],
    )
    add_command(
        app,
        "rollback",
        roll_back,
        text=BACK,
        arguments=[Argument("router", "The folder of the router in service.")],
        groups=[Options("Loading", Loading())],
    )


def handle(parsed: Parsed) -> None:
    """Fit, compare, promote, and say what came of it."""
    keep_compiled()
    from routerjax.data.io.decisions import read_decisions
    from routerjax.serving.refitting import refit, rule_of

    asked = parsed[Refitting]
    rule_of(asked.promote_if)
    since = None if asked.since is None else time.time() - asked.since
    found = refit(
        read_decisions(parsed.arguments["log"], since=since),
        asked.router,
        rule=asked.promote_if,
        cost_weight=asked.cost_weight,
        held_out=asked.held_out,
        draws=asked.draws,
        exclude=asked.exclude,
        trust_encoder=asked.trust_encoder,
    )
    if asked.json:
        print_json({"router": asked.router, **dataclasses.asdict(found)})
    else:
        print("\n".join(sentences(found, asked.router)))


def sentences(found: Refit, folder: str) -> list[str]:
    """What came of a refit."""
    own = found.comparison
    low, high = own.advantage.low, own.advantage.high
    said = [
        f"{found.learnt:,} decisions learnt from, {own.rows:,} others compared by, "
        f"at cost weight {own.cost_weight:g}.",
        f"The new router is worth {own.advantage.mean:+.4g} per query beside the one in service "
        f"(95 % {low:+.4g} to {high:+.4g}): quality {own.quality_change.mean:+.4g}, cost "
        f"{own.cost_change.mean:+.3g} dollars. They choose the same model for {own.same:.0%}.",
    ]
    if found.lost:
        names = ", ".join(found.lost)
        said.append(f"The new router is without {names}: nobody said what their answers are worth.")
    if own.unsupported > 0.001:
        said.append(f"The log does not support its choice on {own.unsupported:.1%} of the queries.")
    if found.promoted:
        said.append(f"{found.rule}: it is in service now ({folder}); rollback brings back the old.")
    else:
        said.append(f"{found.rule} does not hold: {folder} is as it was.")
    return said


def roll_back(parsed: Parsed) -> None:
    """Bring back the router before."""
    from routerjax.serving.refitting import rollback

    folder = parsed.arguments["router"]
    rollback(folder, trust_encoder=parsed[Loading].trust_encoder)
    print(f"{folder} is the router before")
