"""From an unknown file to what it holds and how to use it."""

from __future__ import annotations

import dataclasses
import os
import shlex
from collections.abc import Callable, Sequence

from routerjax.data.checks.drift import drift_notes
from routerjax.data.checks.finding import Finding
from routerjax.data.checks.findings import findings
from routerjax.data.columns import paths, schema_file
from routerjax.data.columns.schema import Schema, each
from routerjax.data.formats.frames import SOURCE, Frame, is_frame
from routerjax.data.inspection import statistics
from routerjax.data.inspection.commands import beside, commands_of, options_of, says_it_all
from routerjax.data.inspection.describe import columns_of, format_of
from routerjax.data.inspection.fields import SAMPLE
from routerjax.data.inspection.gold import WORDS
from routerjax.data.inspection.missing import missing_by_model
from routerjax.data.inspection.opening import loaded, together
from routerjax.data.inspection.presets import kind_of
from routerjax.data.inspection.propose import ANOTHER, ASKED, TAKES, Proposal, propose
from routerjax.data.inspection.record import Inspection
from routerjax.data.inspection.roles import FEWEST_GROUPS
from routerjax.data.inspection.several_answers import several_answers
from routerjax.data.inspection.trying import (
    Opened,
    Reading,
    fitting_preset,
    grouped,
    one_spelling,
    read_as,
    without_zeros,
)
from routerjax.data.io.decision_events import SUFFIX
from routerjax.data.io.decisions import is_decision_log
from routerjax.errors import InputError
from routerjax.records.logs import Log
from routerjax.records.tables import Table

Path = str | os.PathLike[str]

WRITTEN = "mylog.toml"  # what a schema is written into that options cannot say
FEWEST = {"log": 50, "table": 56}  # rows that can be learnt from, or that a log is drawn from


def inspect(
    *sources: Path | Frame,
    schema: Schema | None = None,
    written: Path | None = None,
    on_progress: Callable[[str], None] | None = None,
) -> Inspection:
    """Look at an unknown file: what it holds, what its columns seem to be, how to read it.

    Args:
      sources: a file or a data frame; or several files, parts of one log if their columns are the
        same, else joined by the id that they share.
      schema: what is known already; it is laid over what is guessed.
      written: the .toml file in which the schema will stand; proposed commands then name it.
      on_progress: called with what is being done.

    Returns:
      Inspection. Its `problems` say what is lacking where the file cannot be used as it is.

    Raises:
      InputError: a file that cannot be read at all, or several that do not belong together.
    """
    tell = on_progress or (lambda what: None)
    if not sources:
        raise InputError("a file is needed")
    _check_unknown(sources)
    given = schema or Schema()
    names = [SOURCE if is_frame(each) else str(each) for each in sources]
    tables = [loaded(each, name, tell) for each, name in zip(sources, names, strict=True)]
    tell("looking at its columns")
    whole = together(names, tables, layout=given.layout)
    fixed = {role: path for role, path in given.columns.items() if isinstance(path, str)}
    proposal = propose(whole.fields, fixed=fixed, given=given)
    if proposal.kind == "log" and (lacks := several_answers(whole.table, proposal.roles)):
        proposal = dataclasses.replace(proposal, lacks=(*proposal.lacks, lacks))
    guessed = dataclasses.replace(proposal.schema, joins=whole.joins)
    if whole.layout != Schema().layout:
        guessed = dataclasses.replace(guessed, layout=whole.layout)
    proposal = dataclasses.replace(proposal, schema=given.over(guessed))
    tell("reading it as it seems to be meant")
    return _inspection(
        Opened(names, whole, format_of(whole.main[0], whole.table)),
        _answered(proposal, given),
        given,
        None if written is None else str(written),
        tell,
    )


def _check_unknown(sources: Sequence[Path | Frame]) -> None:
    """Raise InputError for a decision log, which needs no columns to be guessed."""
    for source in sources:
        name = str(source) if isinstance(source, str | os.PathLike) else ""
        if is_decision_log(source) or name.endswith(SUFFIX):
            folder = (os.path.dirname(name) or ".") if name.endswith(SUFFIX) else name
            problem = f"is of a decision log: fit, evaluate and refit take the folder {folder}"
            raise InputError(f"{problem} as it is", source=name)


def _answered(proposal: Proposal, given: Schema) -> Proposal:
    """The proposal without what is lacking no more, since it was given."""
    lacks = proposal.lacks
    if given.cost_unit != Schema().cost_unit:
        lacks = tuple(each for each in lacks if "--cost-unit" not in each)
    has_tokens = {"input_tokens", "output_tokens"} <= proposal.roles.keys()
    if "cost" not in proposal.roles and has_tokens and given.prices is None:
        lacks += (
            "the prices of its tokens, as no cost is logged: --prices prices.toml, with an entry "
            "for every model",
        )
    return dataclasses.replace(proposal, lacks=lacks)


def _inspection(
    opened: Opened,
    proposal: Proposal,
    given: Schema,
    written: str | None,
    tell: Callable[[str], None],
) -> Inspection:
    notes = list(proposal.notes)
    preset = fitting_preset(opened, proposal, given)
    if preset is None:
        read = Reading(None, proposal.schema, False)
        if not proposal.lacks and proposal.kind in ("log", "table"):
            read = read_as(opened, proposal)
    else:
        schema = dataclasses.replace(given, joins=proposal.schema.joins)
        schema = schema.over(schema_file.named(preset))
        quality = str(proposal.schema.columns.get("quality", ""))
        kept = (ANOTHER, TAKES) if "[name=" in quality else (ANOTHER,)
        notes = [note for note in notes if any(each in note for each in kept)]
        if kind_of(preset) == "log" and schema.layout == opened.whole.layout:
            roles = (*ASKED, "group", "gold_quality")
            asked = {k: path for k, path in proposal.schema.columns.items() if k in roles}
            if "[name=" in quality:
                asked["quality"] = quality
            schema = schema.having(columns=asked)
        if (answered := _answered_by(opened, proposal, schema)) is not None:
            schema = schema.having(columns={"model": answered})
        notes += _read_elsewhere(opened, proposal, schema)
        proposal = dataclasses.replace(proposal, kind=kind_of(preset), schema=schema, lacks=())
        read = read_as(opened, proposal, lossy=True)
    if isinstance(read.record, Log):
        read = one_spelling(opened, read, notes)
        read = grouped(opened, without_zeros(opened, read, notes), notes)
    tell("counting")
    record, gold = read.record, _gold(proposal, read.schema, notes)
    problems = [*proposal.lacks, *([read.problem] if read.problem else [])]
    if isinstance(record, Log):
        wrong = statistics.impossible_propensities(record)
        problems += [wrong] if wrong is not None else []
    if record is not None and not proposal.lacks and len(record) < FEWEST[proposal.kind]:
        few = f"{len(record)} rows to learn from are too few"
        problems.append(f"{few}; {FEWEST[proposal.kind]} are needed")
    elif isinstance(record, Log) and int(record.groups.max()) + 1 < FEWEST_GROUPS:
        problems.append(_too_few_groups(record, proposal))
    if proposal.kind == "unknown" and not problems:
        problems = ["which column is the model and which the quality"]
    found = () if record is None else _findings(record, read)
    if gold is not None:  # of judges: a fit corrects none whose scores are on another scale
        scales = [each for each in found if each.name == "mixed-scales" and each.model is None]
        problems += [f"{each.problem}; {each.right}" for each in scales]
        found = tuple(each for each in found if each not in scales)
    commands: tuple[str, ...] = ()
    if not problems:
        base = preset if written is None else written
        commands = _commands(opened, proposal, read, base, gold, given)
    notes += _unsaid(read.said, found)
    notes += drift_notes(record) if record is not None else ()
    time = proposal.roles.get("time")
    inspection = Inspection(
        files=tuple(opened.names),
        format=opened.format,
        kind=proposal.kind,
        rows=opened.whole.rows,
        columns=columns_of(opened.whole.fields, proposal, group=read.group),
        preset=preset,
        schema=read.schema,
        drop_missing=read.drop_missing,
        gold=gold,
        span=None if time is None else statistics.span(time.field),
        findings=found,
        notes=tuple(notes),
        problems=tuple(problems),
        commands=commands,
    )
    if not isinstance(record, Log):
        return inspection
    return dataclasses.replace(
        inspection,
        models=statistics.model_rows(record),
        missing=missing_by_model(opened.whole.table, proposal) if read.drop_missing else {},
        repeats=statistics.repeats(record),
        groups=int(record.groups.max()) + 1,
        prompts=statistics.prompt_facts(record),
        gaps=statistics.gaps(record),
    )


def _read_elsewhere(opened: Opened, proposal: Proposal, schema: Schema) -> list[str]:
    """From where a preset reads what no column is seen to be, by some rows."""
    some = opened.whole.table.slice(0, SAMPLE)
    found = []
    for role in ("prompt", "model", "quality", "cost"):
        if role not in proposal.roles and schema.layout == opened.whole.layout:
            names = each(schema.columns.get(role, ()))
            path = next((name for name in names if paths.column(some, name) is not None), None)
            found += [f"{role} is read from {path}"] if path is not None else []
    return found


def _answered_by(opened: Opened, proposal: Proposal, schema: Schema) -> str | None:
    """The model that answered, by its rows, where a preset reads that of the request."""
    guess = proposal.roles.get("model")
    if guess is None or guess.by != "content":
        return None
    within = "attributes." if schema.layout == "otel" else ""  # of a span, which its rows have
    known = {field.path.removeprefix(within) for field in opened.whole.fields}
    path = guess.field.path.removeprefix(within)
    first = next((name for name in each(schema.columns.get("model", ())) if name in known), path)
    return path if first != path else None


def _findings(record: Log | Table, read: Reading) -> tuple[Finding, ...]:
    """Numbers that cannot be true, without zeros that are kept or that failed calls cost."""
    return tuple(
        each
        for each in findings(record)
        if each.name != "zero-cost"
        or (read.schema.zero_cost != "keep" and any(each.problem in text for text in read.said))
    )


def _too_few_groups(log: Log, proposal: Proposal) -> str:
    """Why rows cannot be parted: few queries, or few values of a group."""
    count = int(log.groups.max()) + 1
    needed = f"{count}, and {FEWEST_GROUPS} are needed"
    guess = proposal.roles.get("group")
    if guess is not None:
        return f"the different values of {guess.field.path} are {needed}"
    return f"the different queries are {needed}: is this the column of the prompts?"


def _commands(
    opened: Opened,
    proposal: Proposal,
    read: Reading,
    base: str | None,
    gold: tuple[str, str | None] | None,
    given: Schema,
) -> tuple[str, ...]:
    """The commands that use the file; a schema that options cannot say is written by the first."""
    schema = read.schema
    if gold is not None:
        own = "gold_quality" if gold[1] is None else "scored_by"
        kept = {name: path for name, path in schema.columns.items() if name != own}
        schema = dataclasses.replace(schema, columns=kept)
    first: tuple[str, ...] = ()
    if base in schema_file.presets():
        schema = beside(schema, schema_file.named(base))
    elif base is not None:
        schema = Schema()
    if not says_it_all(schema):
        told = [*opened.names, *options_of(given), "--write", WRITTEN]
        first, base, schema = (shlex.join(["routerjax", "inspect", *told]),), WRITTEN, Schema()
    return first + commands_of(
        proposal.kind,
        opened.whole.main,
        schema,
        base=base,
        drop_missing=read.drop_missing,
        gold=gold,
        has_prompts="embedding" not in proposal.roles or "prompt" in proposal.roles,
        quality_range=read.schema.quality_range,
        has_time="time" in read.schema.columns,
        rows=opened.whole.rows,
    )


def _gold(proposal: Proposal, schema: Schema, notes: list[str]) -> tuple[str, str | None] | None:
    """The column that says how a row was scored, and its value where the score is gold.

    Or the column of gold scores beside a judge's, and None.
    """
    beside = proposal.roles.get("gold_quality")
    if beside is not None and beside.field.path in ("gold_quality", *schema.columns.values()):
        return beside.field.path, None
    guess = proposal.roles.get("scored_by")
    if guess is None or guess.field.distinct < 2:
        return None
    path, values = guess.field.path, sorted(set(guess.field.texts))
    gold = [value for value in values if any(word in value.lower() for word in WORDS)]
    if len(gold) == 1 and "," not in gold[0]:
        return path, gold[0]
    notes.append(
        f"scores come from {', '.join(values[:6])} (column {path}); --gold-column {path}=VALUE "
        "says which of them are gold, so that the others are corrected for their judge's bias"
    )
    return None


def _unsaid(said: Sequence[str], found: Sequence[Finding]) -> list[str]:
    """Warnings of the reader that are none of the findings, which are listed by themselves."""
    return [
        text.removeprefix(f"{SOURCE}: ")
        for text in said
        if not any(each.problem in text for each in found)
    ]
