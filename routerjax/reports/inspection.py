"""What `routerjax inspect` prints for people."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as Grid

from routerjax.data.inspection.record import Inspection
from routerjax.errors import printable
from routerjax.reports.words import cell, say

MOST_COLUMNS, MOST_OTHERS, MOST_MODELS = 40, 20, 30
KINDS = {
    "log": "a log: one model's answer per row",
    "table": "a table: every model's answer per row",
    "pairs": "pairs of answers, of which the better is known",
    "gains": "labelled gains of one model over another",
    "unknown": "neither a log nor a table, as far as names and contents tell",
}


def print_inspection(found: Inspection, console: Console) -> None:
    """Format, columns with roles, models, prompts, what is the matter, and the commands."""
    files = ", ".join(found.files)
    say(console, f"{files}: {found.format}, {found.rows:,} rows. It looks like {_kind(found)}.\n")
    console.print(_columns(found, console.width))
    if found.models:
        console.print(_models(found))
    for line in _facts(found):
        say(console, line)
    for each in found.findings:
        place = f"column '{each.column}'" + ("" if each.row is None else f", row {each.row}")
        say(console, f"warning: {place}: {each.problem}; {each.right}")
    for note in found.notes:
        say(console, f"note: {note}")
    if found.commands:
        say(console, "\nThis uses it:\n")
        for command in found.commands:
            say(console, f"  {command}")


def _kind(found: Inspection) -> str:
    preset = "" if found.preset is None else f", as the preset {found.preset} reads it"
    return KINDS[found.kind] + preset


NUMBERS = ("filled", "distinct", "rows", "quality", "cost")
NARROW, LONGEST = 12, 32  # characters of an example at least, of another cell until it is folded


def _grid(*names: str) -> Grid:
    grid = Grid(box=SIMPLE_HEAD, pad_edge=False)
    for name in names:
        grid.add_column(
            name,
            justify="right" if name in NUMBERS else "left",
            no_wrap=name in NUMBERS or name == "example",
            overflow="ellipsis" if name == "example" else "fold",
        )
    return grid


def _columns(found: Inspection, width: int) -> Grid:
    names = ("role", "column", "holds", "filled", "distinct")
    grid = _grid(*names, "example")
    told = [column for column in found.columns if column.role is not None][:MOST_COLUMNS]
    rows = [
        (
            f"{column.role}" + ("" if column.by in ("name", "option") else f" (by {column.by})"),
            printable(column.path),
            column.kind,
            f"{column.filled:.0%}",
            f"{column.distinct:,}",
        )
        for column in told
    ]
    used = sum(min(max(map(len, cells)), LONGEST) + 2 for cells in zip(names, *rows, strict=True))
    left = max(width - used - 2, NARROW)
    for cells, column in zip(rows, told, strict=True):
        texts = [cell(text) for text in (*cells, _cut(printable(column.example), left))]
        grid.add_row(*texts)
    return grid


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."


def _left_alone(found: Inspection) -> str:
    """The columns without a role, in one line."""
    others = [column.path for column in found.columns if column.role is None]
    more = f" and {len(others) - MOST_OTHERS} more" if len(others) > MOST_OTHERS else ""
    return f"Left alone: {', '.join(others[:MOST_OTHERS])}{more}." if others else ""


def _models(found: Inspection) -> Grid:
    grid = _grid("model", "rows", "quality", "cost", "lacks")
    told = sorted(found.models, key=lambda each: -each.rows)
    for each in told[:MOST_MODELS]:
        lacks = found.missing.get(each.model, {})
        listed = ", ".join(f"{what} {count:,}" for what, count in lacks.items())
        cells = (f"{each.quality:.3g}", f"${each.cost:.3g}")
        grid.add_row(cell(each.model), f"{each.rows:,}", *cells, listed)
    if len(told) > MOST_MODELS:
        grid.add_row(f"and {len(told) - MOST_MODELS} more")
    return grid


def _facts(found: Inspection) -> list[str]:
    facts = [_left_alone(found), *(f"{each}." for each in found.prompts)]
    if found.models:
        used = sum(each.rows for each in found.models)
        facts.append(f"{used:,} rows of {found.groups:,} independent groups can be learnt from.")
    if found.repeats:
        facts.append(f"{found.repeats:,} rows repeat an earlier one and count once.")
    if found.span is not None:
        facts.append(f"From {found.span[0]} to {found.span[1]} (UTC where the file says a zone).")
    facts += [f"warning: {each}." for each in found.gaps]
    return list(filter(None, facts))
