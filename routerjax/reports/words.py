"""Text for rich as it is: no name is taken for markup, an emoji or a command to the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from routerjax.errors import printable


def cell(text: str) -> Text:
    """A text of a table: rich would read ``model[/fast]`` as an end of markup and fail."""
    return Text(printable(text))


def say(console: Console, text: str = "") -> None:
    """Print sentences, which may hold line breaks, without cutting them at the console's width."""
    console.print(Text("\n".join(map(printable, text.split("\n")))), soft_wrap=True)
