"""Commands on a terminal: one-sentence errors, exit codes, help, lists of numbers."""

from __future__ import annotations

import argparse
import functools
import sys
import warnings
from collections.abc import Callable
from typing import NoReturn

from routerjax.errors import DataWarning, InputError


class Help(argparse.HelpFormatter):
    """Help that names the defaults worth naming."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        unset = action.default in (None, False, "", argparse.SUPPRESS)
        return action.help if unset else f"{action.help} (default: %(default)s)"


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one sentence, like all others."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message} (see {self.prog} --help)")


def exit_code(run: Callable[[], None], *, prog: str) -> int:
    """Run a command: 0 if it ends well, 2 with one sentence on standard error if its input
    cannot be used, 130 if it is interrupted."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", DataWarning)  # whatever PYTHONWARNINGS says
            warnings.showwarning = functools.partial(_show_warning, prog)
            run()
    except InputError as error:
        print(f"{prog}: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        return 0
    except KeyboardInterrupt:
        print(f"{prog}: interrupted", file=sys.stderr)
        return 130
    return 0


def _show_warning(prog, message, category, filename, lineno, file=None, line=None) -> None:
    del filename, lineno, file, line
    if issubclass(category, DataWarning):
        print(f"{prog}: warning: {message}", file=sys.stderr)


def pair(text: str) -> tuple[str, str]:
    """An option's NAME=VALUE."""
    name, equals, value = (part.strip() for part in text.partition("="))
    if not (name and equals and value):
        raise argparse.ArgumentTypeError(f"{text!r} is not COLUMN=VALUE, as in source=human")
    return name, value


def numbers(text: str) -> tuple[float, ...]:
    """An option's list of numbers, as in 0,10,100."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a list of numbers, as in 0,10,100"
        ) from None
