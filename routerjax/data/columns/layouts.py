"""Files whose rows are not queries yet: spans of OpenTelemetry, prompts as lists of Python."""

from __future__ import annotations

import pyarrow as pa

from routerjax.data.columns import otel
from routerjax.data.columns.arrays import is_text
from routerjax.data.columns.schema import Schema, each
from routerjax.data.formats.nested_text import nested


def in_rows(table: pa.Table, schema: Schema, *, source: str) -> pa.Table:
    """The table with a query a row, as the layout of a schema asks for.

    Raises:
      InputError: a table that is not of that layout.
    """
    if schema.layout == "otel":
        return otel.calls(table, source=source)
    if schema.layout in ("python-lists", "arena"):
        for name in each(schema.columns.get("prompt", "prompt")):
            if name in table.column_names and is_text(table[name]):
                texts = [None if t is None else joined_turns(t) for t in table[name].to_pylist()]
                place = table.column_names.index(name)
                table = table.set_column(place, name, pa.array(texts, pa.string()))
    return table


def in_answers(table: pa.Table) -> pa.Table:
    """A second file with a row an answer, where it holds evaluations of OpenTelemetry alone."""
    found = otel.evaluations(table)
    return table if found is None else found


def joined_turns(text: str) -> str:
    """A prompt that is written as a list of texts, in Python or JSON: one below another.

    >>> joined_turns("['What is 2 + 2?', 'And 3 + 3?']")
    'What is 2 + 2?\\n\\nAnd 3 + 3?'
    """
    if not text.lstrip().startswith("["):
        return text
    turns = nested(text)
    if isinstance(turns, list) and all(isinstance(turn, str) for turn in turns):
        return "\n\n".join(turns)
    return text  # a prompt that merely begins with a bracket
