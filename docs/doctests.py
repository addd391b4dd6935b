"""For the site: the examples of a docstring, lines that begin with >>>, are shown as code.

Without it Markdown takes them for quotations. It is an extension of griffe, which reads the
docstrings, and is named in mkdocs.yml.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

EXAMPLE = re.compile(r"^>>> .*(?:\n(?!\n).+)*", flags=re.MULTILINE)
"""From a first prompt to the next empty line."""


class Examples(griffe.Extension):
    """Fence the examples of every docstring."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Change one object's docstring, if it has one."""
        if obj.docstring is not None:
            obj.docstring.value = EXAMPLE.sub(_fenced, obj.docstring.value)


def _fenced(example: re.Match[str]) -> str:
    shown = re.sub(r" *# doctest: \+SKIP", "", example[0])
    return f"```pycon\n{shown}\n```"
