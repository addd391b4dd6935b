"""The command line: inspect, fit, evaluate, route, serve, refit, rollback, newcomer,
reprice, plan, simulate, data.

Results go to standard output, progress and warnings to standard error. Input that cannot be
used ends with one sentence and exit code 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import routerjax
from routerjax.cli import app as apps
from routerjax.cli import (
    data,
    evaluate,
    fit,
    inspect,
    newcomer,
    plan,
    refit,
    reprice,
    route,
    serve,
    simulate,
)
from routerjax.cli.terminal import exit_code

if TYPE_CHECKING:
    from cyclopts import App


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return exit_code(lambda: apps.run(app(), arguments), prog="routerjax")


def app() -> App:
    """The application of all commands."""
    found = apps.make_app(
        "routerjax",
        "Learn which language model should answer which query, from the log of one model's answer "
        "per query.",
        version=f"routerjax {routerjax.__version__}",
    )
    for command in (inspect, fit, evaluate, route, serve, refit, newcomer, reprice):
        command.add(found)
    for command in (plan, simulate, data):
        command.add(found)
    return found


def check(arguments: Sequence[str]) -> None:
    """Raise InputError unless a command takes these arguments; nothing is carried out."""
    apps.run(app(), arguments, execute=False)
