"""A file's format and fields in words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from routerjax.data.columns.arena import ONE_HOT
from routerjax.data.columns.sums import parts_of
from routerjax.data.formats.frames import SOURCE
from routerjax.data.formats.kinds import may_be_json
from routerjax.data.inspection.fields import Field
from routerjax.data.inspection.propose import Proposal
from routerjax.data.inspection.record import Column

LONGEST = 48  # characters of an example
WORDS = {
    ".parquet": "parquet",
    ".csv": "CSV",
    ".tsv": "tab-separated",
    ".jsonl": "JSON lines",
    ".ndjson": "JSON lines",
    ".json": "JSON",
}
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "strokes"}
PACKED = {".gz": "gzip", ".zst": "zstd"}
MARKS = {
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
    b"\xef\xbb\xbf": "UTF-8 with a byte order mark",
}


def format_of(path: str, table: pa.Table) -> str:
    """What kind of file it is: format, separator, packing, encoding where it is a special one."""
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    packed = [PACKED[suffix] for suffix in suffixes[-1:] if suffix in PACKED]
    kind = next((WORDS[suffix] for suffix in reversed(suffixes) if suffix in WORDS), None)
    if kind is None:
        kind = "JSON by its content" if path != SOURCE and may_be_json(path) else "table"
    parts = [kind]
    note = (table.schema.metadata or {}).get(b"routerjax.separator")
    if note is not None:
        separator = note.decode()
        parts.append(f"cells separated by {SEPARATORS.get(separator, repr(separator))}")
    parts += [f"packed as {each}" for each in packed]
    if not packed and kind not in ("parquet", "table"):
        parts += _encoding(path)
    return ", ".join(parts)


def columns_of(
    fields: Sequence[Field], proposal: Proposal, *, group: str | None = None
) -> tuple[Column, ...]:
    """The fields as a reader wants to see them, with the role of each.

    Args:
      fields: of the file.
      proposal: which roles they seem to play.
      group: path of the field that is the group by what it holds; None where none is.
    """
    roles = {
        path: (guess.role, guess.by)
        for guess in proposal.roles.values()
        for path in (guess.field.path, *parts_of(guess.role, guess.field.path))
    }
    if group is not None:
        roles[group] = ("group", "content")
    if proposal.kind == "table":
        roles |= {path: (name, "name") for path, name in _of_models(fields, proposal).items()}
    if proposal.kind == "pairs":
        roles |= {name: (name, "name") for name in ("model_a", "model_b", "winner")}
        roles |= {name: ("winner", "name") for name in ONE_HOT}
    if proposal.kind == "gains":
        roles |= {"GL": ("gold", "name"), "PL": ("preference", "name")}
    found = []
    for field in fields:
        role, by = roles.get(field.path, (None, ""))
        example = " ".join(field.example.split()) if field.kind != "vector" else ""
        if len(example) > LONGEST:
            example = example[: LONGEST - 3] + "..."
        found.append(
            Column(field.path, field.kind, role, by, field.filled, field.distinct, example)
        )
    return tuple(found)


def _of_models(fields: Sequence[Field], proposal: Proposal) -> dict[str, str]:
    """Column of a table → "score" or "cost"."""
    patterns = {
        name.removesuffix(":*"): path
        for name, path in proposal.schema.columns.items()
        if name.endswith(":*") and isinstance(path, str)
    } or {"score": "score:*", "cost": "cost:*"}
    ends = {name: pattern.partition("*")[::2] for name, pattern in patterns.items()}

    def models(name: str) -> set[str]:
        before, after = ends[name]
        return {
            field.path[len(before) : len(field.path) - len(after)]
            for field in fields
            if field.path.startswith(before) and field.path.endswith(after)
        }

    both = set.intersection(*map(models, ends)) if len(ends) > 1 else set()
    both = both or models(next(iter(ends)))
    return {
        f"{before}{model}{after}": name for name, (before, after) in ends.items() for model in both
    }


def _encoding(path: str) -> list[str]:
    try:
        with open(Path(path).expanduser(), "rb") as file:
            head = file.read(3)
    except OSError:
        return []
    return [name for mark, name in MARKS.items() if head.startswith(mark)]
