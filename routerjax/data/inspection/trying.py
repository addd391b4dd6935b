"""Reading a file as it was proposed to be read, and what comes of it."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pyarrow as pa

from routerjax.data.checks.findings import findings
from routerjax.data.checks.names import alias_of, spellings
from routerjax.data.columns import schema_file
from routerjax.data.columns.schema import Schema
from routerjax.data.formats.frames import SOURCE
from routerjax.data.inspection.opening import Together
from routerjax.data.inspection.presets import kind_of, preset_of
from routerjax.data.inspection.propose import ASKED, Proposal
from routerjax.data.inspection.roles import FEWEST_GROUPS
from routerjax.data.inspection.score_names import has_wrong_scores
from routerjax.data.io import files
from routerjax.data.io.ungrouped import GroupError, GroupWarning
from routerjax.data.io.untimed import TimeError
from routerjax.errors import DataWarning, InputError
from routerjax.records.logs import Log
from routerjax.records.tables import Table

COMPARED = 5000  # rows by which a preset is compared with what was guessed


@dataclasses.dataclass(frozen=True)
class Opened:
    """Files that were read: all names, what they hold together, and the format."""

    names: list[str]
    whole: Together
    format: str

    @property
    def source(self) -> str:
        return self.whole.main[0]


@dataclasses.dataclass(frozen=True)
class Reading:
    """What came of reading a file: a record or a problem, what was said, what seems its group."""

    record: Log | Table | None
    schema: Schema
    drop_missing: bool
    said: tuple[str, ...] = ()
    problem: str | None = None
    group: str | None = None


def fitting_preset(opened: Opened, proposal: Proposal, given: Schema) -> str | None:
    """The preset that reads the file at least as well as what was guessed, by some of its rows."""
    name = preset_of(proposal.kind, opened.whole.fields)
    if name is None or name not in schema_file.presets() or proposal.kind == "pairs":
        return None
    if "quality" not in proposal.roles and has_wrong_scores(opened.whole.fields):
        return None
    picked = np.unique(np.linspace(0, opened.whole.table.num_rows - 1, COMPARED).astype(np.int64))
    part = opened.whole._replace(table=opened.whole.table.take(pa.array(picked)))
    some = dataclasses.replace(opened, whole=part)
    schema = dataclasses.replace(given, joins=proposal.schema.joins).over(schema_file.named(name))
    kind = kind_of(name)
    by_preset = attempt(some, kind, schema, drop_missing=kind == "log").record
    if by_preset is None:
        return None
    if proposal.lacks:
        return name
    guessed = attempt(some, proposal.kind, proposal.schema, drop_missing=kind == "log").record
    return name if guessed is None or len(by_preset) >= len(guessed) else None


def read_as(opened: Opened, proposal: Proposal, *, lossy: bool = False) -> Reading:
    """Read the file as proposed; rows leave for what they lack where that is the matter.

    A column that was only guessed to hold times, available models or pins is given up, and said,
    where the file cannot be read by it or rows would leave for it.
    """
    found = _as_proposed(opened, proposal, lossy=lossy)
    guessed = {
        role: proposal.schema.columns[role]
        for role in ASKED
        if role in proposal.schema.columns
        and (role not in proposal.roles or proposal.roles[role].by != "option")
    }
    lost = any(f"without {path}" in text for text in found.said for path in guessed.values())
    if not guessed or (found.record is not None and not lost):
        return found
    kept = {role: path for role, path in proposal.schema.columns.items() if role not in guessed}
    plain = dataclasses.replace(proposal.schema, columns=kept)
    other = _as_proposed(opened, dataclasses.replace(proposal, schema=plain), lossy=lossy)
    if other.record is None:
        return found
    names = ", ".join(f"{path} ({role})" for role, path in guessed.items())
    said = f"not every row can be read by the columns {names}, which are not used"
    return dataclasses.replace(other, said=(*other.said, said))


def _as_proposed(opened: Opened, proposal: Proposal, *, lossy: bool) -> Reading:
    needed = ("prompt", "embedding", "model", "quality", "cost")
    guesses = [proposal.roles[role] for role in needed if role in proposal.roles]
    lossy = lossy or any(guess.field.filled < 1 for guess in guesses)
    lossy = lossy or bool(proposal.schema.failed)
    if proposal.kind != "log":
        return attempt(opened, proposal.kind, proposal.schema, drop_missing=False)
    first = attempt(opened, "log", proposal.schema, drop_missing=lossy)
    if lossy and not any("left out" in text for text in first.said) and first.record is not None:
        return dataclasses.replace(first, drop_missing=False)  # nothing was missing after all
    if first.record is not None or lossy:
        return first
    second = attempt(opened, "log", proposal.schema, drop_missing=True)
    return first if second.record is None else second


def attempt(opened: Opened, kind: str, schema: Schema, *, drop_missing: bool) -> Reading:
    record: Log | Table | None = None
    table = opened.whole.table
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DataWarning)
        try:
            if kind == "log":
                record = files.read_log(
                    opened.whole.table, schema=schema, drop_missing=drop_missing
                )
            else:
                record = files.read_table(table, schema=schema)
        except (GroupError, TimeError):  # all else was well: it is read, and the column said
            lenient = dataclasses.replace(schema, strict=False)
            found = attempt(opened, kind, lenient, drop_missing=drop_missing)
            return dataclasses.replace(found, schema=schema)
        except InputError as error:
            where = opened.source if error.source == SOURCE else error.source
            problem = str(InputError(error.problem, source=where, field=error.field, row=error.row))
            return Reading(None, schema, drop_missing, problem=problem)
    said = [str(each.message) for each in caught if issubclass(each.category, DataWarning)]
    group = next((w.message.column for w in caught if isinstance(w.message, GroupWarning)), None)
    return Reading(record, schema, drop_missing, said=tuple(said), group=group)


def one_spelling(opened: Opened, read: Reading, notes: list[str]) -> Reading:
    """The log with a model's spellings taken for one, which is said."""
    assert read.record is not None
    alike = spellings(read.record.models)
    if not alike:
        return read
    for name, others in alike.items():
        are, models = (
            ("is", "it is a model of its own")
            if len(others) == 1
            else ("are", "they are models of their own")
        )
        notes.append(
            f"{', '.join(map(repr, others))} {are} taken for {name!r}: leave out "
            f"{alias_of(name, others)} where {models}"
        )
    schema = dataclasses.replace(read.schema, aliases={**alike, **read.schema.aliases})
    merged = attempt(opened, "log", schema, drop_missing=read.drop_missing)
    return merged if merged.record is not None else read


def without_zeros(opened: Opened, read: Reading, notes: list[str]) -> Reading:
    """The log with costs of 0 taken for not recorded where a model has some, which is said."""
    assert read.record is not None
    if read.schema.zero_cost != Schema().zero_cost:
        return read
    zeros = [each for each in findings(read.record) if each.name == "zero-cost"]
    told = [each.problem for each in zeros if any(each.problem in text for text in read.said)]
    schema = dataclasses.replace(read.schema, zero_cost="missing")
    if not told:
        return read
    other = attempt(opened, "log", schema, drop_missing=read.drop_missing)
    if other.record is None:
        return read
    notes += told
    notes.append(
        "costs of 0 are taken for not recorded: --zero-cost keep in the place of --zero-cost "
        "missing takes them as they are"
    )
    return other


def grouped(opened: Opened, read: Reading, notes: list[str]) -> Reading:
    """The log with the column as its group whose rows belong together, which is said."""
    if read.group is None:
        return read
    schema = read.schema.having(columns={"group": read.group})
    other = attempt(opened, "log", schema, drop_missing=read.drop_missing)
    if other.record is None or int(other.record.groups.max()) + 1 < FEWEST_GROUPS:
        return dataclasses.replace(read, group=None)
    said = next(text for text in read.said if f"the same '{read.group}'" in text)
    notes.append(
        f"{said.partition('; ')[0].removeprefix(f'{SOURCE}: ')}: it is taken for the group"
    )
    return dataclasses.replace(other, group=read.group)
