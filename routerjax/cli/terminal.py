"""Commands on a terminal: one-sentence errors and exit codes."""

from __future__ import annotations

import collections
import functools
import io
import sys
import warnings
from collections.abc import Callable

from routerjax.cli.interrupt import stoppable
from routerjax.errors import DataWarning, InputError, printable

_WARNED: collections.deque[str] = collections.deque(maxlen=1000)  # a service runs for long


def warned() -> tuple[str, ...]:
    """What the command under way has warned of, for what it writes beside the terminal."""
    return tuple(_WARNED)


def exit_code(command: Callable[[], None], *, prog: str) -> int:
    """Carry out a command: 0 if it ends well, 2 with one sentence on standard error if its input
    cannot be used, 130 if it is interrupted."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that its encoding lacks is escaped
            stream.reconfigure(errors="backslashreplace")
    _WARNED.clear()
    try:
        with stoppable(), warnings.catch_warnings():
            warnings.simplefilter("always", DataWarning)  # whatever PYTHONWARNINGS says
            warnings.showwarning = functools.partial(_show_warning, prog)
            command()
    except InputError as error:
        print(f"{prog}: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        return 0
    except KeyboardInterrupt as error:  # which may say how to go on
        print("; ".join([f"{prog}: interrupted", *map(str, error.args)]), file=sys.stderr)
        return 130
    return 0


def _show_warning(prog, message, category, filename, lineno, file=None, line=None) -> None:
    del filename, lineno, file, line
    if issubclass(category, DataWarning):
        _WARNED.append(str(message))
        print(f"{prog}: warning: {printable(str(message))}", file=sys.stderr)
