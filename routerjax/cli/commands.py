"""The command line: inspect, fit, evaluate, route, serve, refit, rollback, newcomer,
reprice, plan, simulate, data.

Results go to standard output, progress and warnings to standard error. Input that cannot be
used ends with one sentence and exit code 2.
"""

from __future__ import annotations

import sys
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


COMMANDS = {
    "inspect": inspect,
    "fit": fit,
    "evaluate": evaluate,
    "route": route,
    "serve": serve,
    "refit": refit,
    "rollback": refit,
    "newcomer": newcomer,
    "reprice": reprice,
    "plan": plan,
    "simulate": simulate,
    "data": data,
}
"""What is typed, in the order of the help, and the module that adds it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    typed = sys.argv[1:] if arguments is None else arguments
    return exit_code(lambda: apps.run(app(typed), arguments), prog="routerjax")


def app(typed: Sequence[str] = ()) -> App:
    """The application of all commands; of the one alone that was typed, which is quicker."""
    found = apps.make_app(
        "routerjax",
        "Learn which language model should answer which query, from the log of one model's answer "
        "per query.",
        version=f"routerjax {routerjax.__version__}",
    )
    named = [COMMANDS[name] for name in typed[:1] if name in COMMANDS]
    for command in named or dict.fromkeys(COMMANDS.values()):
        command.add(found)
    return found


def check(arguments: Sequence[str]) -> None:
    """Raise InputError unless a command takes these arguments; nothing is carried out."""
    apps.run(app(arguments), arguments, execute=False)
