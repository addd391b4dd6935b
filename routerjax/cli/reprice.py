"""`routerjax reprice`: prices of a router in service are changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from routerjax.cli.app import Argument, Options, Parsed, add_command
from routerjax.cli.options import Loading, Prices
from routerjax.cli.reading import changes, keep_compiled

if TYPE_CHECKING:
    from cyclopts import App

TEXT = """Put a router at other prices, without fitting again.

A service takes the router up; rollback brings back the one before.
"""


def add(app: App) -> None:
    """Add the command."""
    add_command(
        app,
        "reprice",
        handle,
        text=TEXT,
        arguments=[Argument("router", "The router folder that fit wrote.")],
        groups=[Options("Prices", Prices()), Options("Loading", Loading())],
    )


def handle(parsed: Parsed) -> None:
    """Change the prices and say what the models cost now."""
    keep_compiled()
    from routerjax.serving.repricing import change_prices

    folder, told = parsed.arguments["router"], changes(parsed[Prices])
    router = change_prices(folder, told, trust_encoder=parsed[Loading].trust_encoder)
    for model in told:
        cost = dict(zip(router.models, router.arm_cost, strict=False)).get(model)
        mean = "" if cost is None else f", {cost:.3g} dollars a query of the log"
        print(f"{model} is at its new price{mean}")
    print(f"{folder} is in service at these prices; rollback brings back the old.")
