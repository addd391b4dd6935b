"""The one rule for prompts, in a log as in what is to be routed.

Text stays text. A list of messages, as lists and objects or as JSON in text, becomes the text of
its last user turn ("last-user"), or of all turns but the system's, each as ``role: text`` with a
blank line between ("conversation"). The system text stands apart: it is the same in every row and
says nothing of the query. Parts that are no text are named and counted, ``[image]``,
``[tool call: search]``; their data are not taken. A blank text, also one of invisible signs,
``{}``, ``[]``, ``null`` and ``N/A`` are no prompt.
"""

from __future__ import annotations

import collections
import re
import unicodedata
from collections.abc import Sequence
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from routerjax.data.columns.arrays import is_text, kind_of
from routerjax.data.columns.buffers import truths
from routerjax.data.columns.paths import loaded
from routerjax.errors import InputError

LAST_USER, CONVERSATION = "last-user", "conversation"
SYSTEM, USER = ("system", "developer"), ("user", "human")
TEXT_PARTS = ("text", "input_text", "output_text", "refusal")
TOOL_PARTS = ("tool_use", "tool_call", "function_call", "functioncall")
RESULT_PARTS = ("tool_result", "tool_call_response", "function_response", "functionresponse")
HOLDERS = ("messages", "prompt", "input", "query", "question", "text", "content", "contents")
"""Keys under which an object may hold its messages or its text, where it has one of them alone."""

INVISIBLE = r"[\s\pZ\p{Cc}\p{Cf}]*"
NO_MORE = r'(?:\{\s*\}|\[\s*\]|null|n/a|"\s*")?'
NOTHING = f"(?i)^{INVISIBLE}{NO_MORE}{INVISIBLE}$"
SIGN = re.compile(NO_MORE.replace(r"\s", r"[\t\n\f\r ]"), re.IGNORECASE | re.ASCII)
NESTED = r"^\s*[\[{]"
DATA = re.compile(r"data:(image|audio|video|application)/[\w.+-]+;base64,[A-Za-z0-9+/=]+")
MOST_DEEP = 20  # objects in objects
LONG = 30  # characters of a text that says something if it begins with a letter or a bracket


class Prompt(NamedTuple):
    """What a cell says was asked.

    Attributes:
      text: to be embedded; None where there is none.
      system: the system text; empty where there is none.
      parts: names of parts that are no text, in order: "image", "tool call", …
    """

    text: str | None
    system: str = ""
    parts: tuple[str, ...] = ()


class Prompts(NamedTuple):
    """The prompts of a column.

    Attributes:
      texts: n texts, None where a row has none.
      conversations: the number of rows that held messages.
      systems: the number of different system texts.
      parts: rows by kind of a part that is no text.
    """

    texts: list[str | None]
    conversations: int
    systems: int
    parts: dict[str, int]


def prompt_of(value: Any, *, form: str = LAST_USER) -> Prompt:
    """The prompt in a text, or in lists and objects of Python.

    >>> prompt_of([{"role": "system", "content": "Be short."}, {"role": "user", "content": "Hi"}])
    Prompt(text='Hi', system='Be short.', parts=())

    Args:
      value: text, or messages as lists and dictionaries or as JSON text.
      form: "last-user" or "conversation".

    Raises:
      InputError: an object in which no prompt can be told from the rest, or an unknown form.
    """
    if form not in (LAST_USER, CONVERSATION):
        raise InputError(f"'{form}' is none of {LAST_USER}, {CONVERSATION}", source="prompt form")
    if isinstance(value, str):
        if is_missing(value):
            return Prompt(None)
        nested = loaded(value)
        messages = _messages(nested)
        return Prompt(value) if messages is None else _read(messages, form)
    if value is None:
        return Prompt(None)
    value = _without_nulls(value)
    if value in ({}, [], None):
        return Prompt(None)
    messages = _messages(value)
    if messages is not None:
        return _read(messages, form)
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return prompt_of("\n\n".join(value), form=form)
    if isinstance(value, dict):
        held = [key for key in HOLDERS if value.get(key) not in (None, {}, [])]
        if len(held) == 1:
            return prompt_of(value[held[0]], form=form)
        keys = ", ".join(list(value)[:5])
        raise InputError(f"holds an object with {keys}")
    if isinstance(value, list):
        raise InputError("holds a list that is no list of messages")
    return Prompt(str(value))


def prompt_text(value: Any, *, form: str = LAST_USER) -> str | None:
    """The text of `prompt_of`: what is embedded, or None where there is no prompt."""
    return prompt_of(value, form=form).text


def is_missing(text: str) -> bool:
    """Whether a text is no prompt: blank, invisible, or one of the signs of nothing."""
    if len(text) > LONG and (text[0].isalnum() or text[0] in "[{"):
        return False
    first, last = 0, len(text)  # `NOTHING` again, without Arrow: a scalar of it imports pandas
    while first < last and _is_invisible(text[first]):
        first += 1
    while first < last and _is_invisible(text[last - 1]):
        last -= 1
    return SIGN.fullmatch(text, first, last) is not None


def _is_invisible(sign: str) -> bool:
    return unicodedata.category(sign) in ("Zs", "Zl", "Zp", "Cc", "Cf")


def prompts_of(column: pa.ChunkedArray, *, form: str = LAST_USER) -> Prompts:
    """The prompts of a column of n rows.

    Raises:
      InputError: a cell that is neither text nor messages; it names the row.
    """
    if is_text(column):
        texts: list[str | None] = column.to_pylist()
        for row in truths(pc.match_substring_regex(column, NOTHING), missing=True).nonzero()[0]:
            texts[row] = None
        nested = truths(pc.match_substring_regex(column, NESTED), missing=False)
        return _prompts(texts, nested.nonzero()[0].tolist(), list(texts), form)
    if pa.types.is_map(column.type) or pa.types.is_binary(column.type):
        raise InputError(f"holds {kind_of(column)}, not text")
    cells = column.to_pylist()
    return _prompts(cells, range(len(cells)), [None] * len(cells), form)


def _prompts(
    cells: list[Any], nested: Sequence[int], texts: list[str | None], form: str
) -> Prompts:
    conversations, systems, parts = 0, set(), collections.Counter[str]()
    for row in nested:
        try:
            found = prompt_of(cells[row], form=form)
        except InputError as error:
            raise InputError(error.problem + _path_of(cells[row]), row=row) from None
        texts[row] = found.text
        conversations += found.text is not None and found.text != cells[row]
        systems.add(found.system)
        parts.update(set(found.parts))
    return Prompts(texts, conversations, len(systems - {""}), dict(parts))


def _path_of(value: Any) -> str:
    """How to say where the text of an object is."""
    if not isinstance(value, dict):
        return ""
    example = f"prompt=COLUMN.{next(iter(value))}"
    return f"; name the path of its text, as in --columns {example}"


def _messages(value: Any) -> list[dict[str, Any]] | None:
    """The messages in a value, None where it holds something else."""
    for _ in range(MOST_DEEP):
        if not isinstance(value, dict):
            break
        if "role" in value and ("content" in value or "parts" in value):
            return [value]
        inner = value.get("messages", value.get("contents"))
        if not isinstance(inner, list | str) or not inner:
            return None
        value = loaded(inner) if isinstance(inner, str) else inner
    if not isinstance(value, list) or not value:
        return None
    if not all(isinstance(each, dict) for each in value):
        return None
    if all("role" in each or "from" in each for each in value):
        return value
    if all(isinstance(each.get("type"), str) and _is_part(each) for each in value):
        return [{"role": "user", "content": value}]
    return None


def _is_part(part: dict[str, Any]) -> bool:
    kind = part["type"]
    return kind in (*TEXT_PARTS, *TOOL_PARTS, *RESULT_PARTS) or "image" in kind or kind == "file"


def _read(messages: list[dict[str, Any]], form: str) -> Prompt:
    turns: list[tuple[str, str]] = []
    systems, parts = [], []
    for message in messages:
        role = str(message.get("role", message.get("from", ""))).lower()
        text, own = _content(message)
        if role in SYSTEM:
            systems.append(text)
            continue
        parts += own
        if role in ("tool", "function"):
            text = "[tool result]"
            parts.append("tool result")
        if text:
            turns.append((role, text))
    said = [text for role, text in turns if role in USER]
    asked: str | None = said[-1] if said else None
    if form == CONVERSATION and turns:
        asked = "\n\n".join(f"{role}: {text}" for role, text in turns)
    if asked is not None and is_missing(asked):
        asked = None
    return Prompt(asked, "\n\n".join(systems), tuple(parts))


def _content(message: dict[str, Any]) -> tuple[str, list[str]]:
    """Text of a message, parts that are none written as their names; and these names."""
    content = message.get("content", message.get("parts", message.get("value")))
    texts: list[str] = []
    names: list[str] = []
    for part in content if isinstance(content, list) else [content]:
        text, name = _part(part)
        if text:
            texts.append(text)
        if name:
            names.append(name)
    for call in message.get("tool_calls") or []:
        called = call.get("function", call) if isinstance(call, dict) else {}
        texts.append(_named("tool call", called))
        names.append("tool call")
    return "\n".join(texts), names


def _part(part: Any) -> tuple[str, str]:
    """The text of a part of a message, and what it is called if it is no text."""
    if isinstance(part, str):
        return _without_data(part)
    if not isinstance(part, dict):
        return "", ""
    kind = str(part.get("type", "")).lower()
    if kind in TEXT_PARTS or not kind:
        text = part.get("text", part.get("content"))
        if isinstance(text, str):
            return _without_data(text)
    if kind in TOOL_PARTS:
        return _named("tool call", part), "tool call"
    if kind in RESULT_PARTS:
        return "[tool result]", "tool result"
    plain = next((word for word in ("image", "audio", "video", "file") if word in kind), kind)
    if not plain:  # an object without a type: Gemini's inline_data, or something unknown
        plain = "file" if part else ""
    return (f"[{plain}]", plain) if plain else ("", "")


def _without_data(text: str) -> tuple[str, str]:
    """Text with data: addresses, which hold whole files, named instead."""
    found = DATA.search(text) if ";base64," in text else None
    if found is None:
        return text, ""
    kind = "file" if found[1] == "application" else found[1]
    return DATA.sub(f"[{kind}]", text), kind


def _named(what: str, part: dict[str, Any]) -> str:
    name = part.get("name")
    return f"[{what}: {name}]" if isinstance(name, str) and name else f"[{what}]"


def _without_nulls(value: Any, deep: int = 0) -> Any:
    """Objects without the keys that only other rows have, which Arrow fills with nulls."""
    if deep > MOST_DEEP:
        return value
    if isinstance(value, dict):
        held = {key: _without_nulls(each, deep + 1) for key, each in value.items()}
        return {key: each for key, each in held.items() if each is not None}
    if isinstance(value, list):
        return [_without_nulls(each, deep + 1) for each in value]
    return value
