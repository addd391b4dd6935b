"""`routerjax newcomer`: a model that no log knows yet is added to a router."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from routerjax.cli.app import Argument, Options, Parsed, add_command, refuse
from routerjax.cli.options import Reading, option
from routerjax.cli.parse import price_changes
from routerjax.cli.reading import keep_compiled, read
from routerjax.errors import InputError

if TYPE_CHECKING:
    from cyclopts import App

    from routerjax.artefacts.router import Router
    from routerjax.records.logs import Log
    from routerjax.records.repricing import PriceChange

TEXT = """Add a model that no log knows yet to a router, without fitting again.

It is taken for the model that it resembles, at its own price; a few rows of its own move its
quality and its cost from there. The router chooses it for no query until a refit knows its
answers: it is explored, by serve --newcomer MODEL=SHARE first of all. A service takes the router
up; rollback brings back the one before.
"""


def one_price(text: str) -> tuple[float, float | None]:
    """``"0.5x"`` or ``"0.002"`` as (scale, dollars)."""
    try:
        [(_, scale, dollars)] = price_changes(f"it={text}")
    except ValueError:
        raise ValueError(f"{text!r} is neither FACTORx nor DOLLARS, as in 0.5x or 0.002") from None
    return scale, dollars


@dataclasses.dataclass(frozen=True)
class Adding:
    """What the new model is like.

    Attributes:
      like: The model of the router that it resembles.
      price: What it costs: 0.5x is half of what that model costs, 0.002 that many US dollars a
        query; by default the same.
      rows: A file of rows that the new model answered, read as fit reads a log.
      trust_encoder: The router's text encoder is loaded although it is none of routerjax's own.
    """

    like: str = option("", "MODEL", required=True)
    price: tuple[float, float | None] | None = option(None, "FACTORx|DOLLARS", one_price)
    rows: str | None = option(None, "FILE")
    trust_encoder: bool = False


def add(app: App) -> None:
    """Add the command."""
    add_command(
        app,
        "newcomer",
        handle,
        text=TEXT,
        arguments=[
            Argument("router", "The router folder that fit wrote."),
            Argument("model", "The name of the new model."),
        ],
        groups=[Options("Newcomer", Adding()), Options("Reading", Reading())],
    )


def handle(parsed: Parsed) -> None:
    """Add the model and say what is expected of it."""
    keep_compiled()
    from routerjax.artefacts.router import Router
    from routerjax.records.repricing import PriceChange
    from routerjax.serving.newcomers import add_newcomer

    asked, folder, name = parsed[Adding], parsed.arguments["router"], parsed.arguments["model"]
    if asked.rows is None:
        names = tuple(field.name for field in dataclasses.fields(Reading))
        refuse(parsed, {Reading: names}, why="without --rows")
    rows = None
    if asked.rows is not None:
        known = Router.load(folder, trust_encoder=asked.trust_encoder)
        rows = _log(parsed[Reading], asked.rows, known, name)
    price = PriceChange() if asked.price is None else PriceChange(*asked.price)
    router = add_newcomer(
        folder,
        name,
        like=asked.like,
        price=price,
        rows=rows,
        trust_encoder=asked.trust_encoder,
    )
    print("\n".join(sentences(router, name, folder, price)))


def _log(reading: Reading, path: str, router: Router, name: str) -> Log:
    """The rows of a file, whose models are the router's and the new one."""
    from routerjax.records.logs import Log

    models = tuple(dict.fromkeys((*router.models, name)))
    found = read(reading, path, prompt_form=router.prompt_form, models=models)
    if not isinstance(found, Log):
        raise InputError("is a table; rows that the new model answered are needed", source=path)
    return found


def sentences(router: Router, name: str, folder: str, price: PriceChange) -> list[str]:
    """What is expected of a newcomer."""
    from routerjax.artefacts.newcomer import newcomers

    known = newcomers(router)[name]
    low, high = router.quality_range
    by = f" from {known['rows']:,} rows" if known["rows"] else ""
    cost = (
        f"{price.dollars:g} dollars a query"
        if price.dollars is not None
        else f"{price.scale * known['cost_factor']:.3g} times its cost"
    )
    return [
        f"{name} is taken for {known['like']}{by}: quality {known['offset'] * (high - low):+.3g} "
        f"± {known['standard_deviation'] * (high - low):.2g}, at {cost}.",
        f"{folder} offers it and chooses it for no query yet; "
        f"serve --newcomer '{name}=0.05' gives it that share of the queries.",
    ]
