"""Nested values that stand in a cell as text: JSON, or as Python prints lists and dictionaries.

What pandas writes of a column of lists is Python's own notation, ``[{'role': 'user', ...}]``. Only
literals are read: text that holds anything else, a call or an operator, stays text.
"""

from __future__ import annotations

import ast
import json
import re
from typing import Any

OPENERS = ("{", "[", '"')
LITERALS = re.compile(
    r"(?:[\s\[\]{},:]++"
    r"|'(?:[^'\\]|\\.)*+'"
    r'|"(?:[^"\\]|\\.)*+"'
    r"|-?\d[\w.+-]*+|-?inf|True|False|None)++",
    re.DOTALL,
)
MOST_BRACKETS = 1000  # a reader of Python text with more may not return


def nested(text: str) -> Any:
    """The list, the object or the quoted text that a text holds; None where it holds none.

    >>> nested("[{'role': 'user', 'content': 'Hi'}]")
    [{'role': 'user', 'content': 'Hi'}]
    """
    text = text.strip()
    if not text.startswith(OPENERS):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return _of_python(text)


def _of_python(text: str) -> Any:
    if "'" not in text and '"' not in text:
        return None  # NumPy's numbers, say
    if text.count("[") + text.count("{") > MOST_BRACKETS or not LITERALS.fullmatch(text):
        return None
    try:
        found = ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None
    return found if _is_of_json(found) else None


def _is_of_json(value: Any) -> bool:
    """Whether JSON could hold it: no set, no key but text."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_of_json(each) for key, each in value.items())
    if isinstance(value, list):
        return all(map(_is_of_json, value))
    return value is None or isinstance(value, str | int | float)
