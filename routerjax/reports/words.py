"""Text and tables for rich: no name is taken for markup, an emoji or a command to the terminal."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from routerjax.errors import printable
from routerjax.pipelines.lines import Single


def cell(text: str) -> Text:
    """A text of a table: rich would read ``model[/fast]`` as an end of markup and fail."""
    return Text(printable(text))


def say(console: Console, text: str = "") -> None:
    """Print sentences, which may hold line breaks, without cutting them at the console's width."""
    console.print(Text("\n".join(map(printable, text.split("\n")))), soft_wrap=True)


def grid_of(first: str, *others: str) -> Grid:
    """An empty table: a column of names under `first`, and of numbers under each of the others.

    On a narrow terminal the names give way: a number that is cut off is none.
    """
    grid = Grid(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    grid.add_column(cell(first), overflow="fold")
    for name in others:
        grid.add_column(cell(name), no_wrap=True, justify="right")
    return grid


def costs(single: Single) -> str:
    """Dollars per 1,000 queries of a model; the ends where the log does not support all."""
    if single.unsupported == 0:
        return f"{1000 * single.cost.mean:.3g}"
    return f"{1000 * single.cost.low:.3g} to {1000 * single.cost.high:.3g}"
