"""From the roles of fields to a `Schema`, with what is uncertain about it in words."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence

from routerjax.data.columns.arrays import quoted
from routerjax.data.columns.schema import Names, Schema
from routerjax.data.columns.synonyms import BY_ENDING, named, plain
from routerjax.data.columns.times import moment
from routerjax.data.inspection import wide
from routerjax.data.inspection.fields import Field
from routerjax.data.inspection.gold import of_judges, scores_by
from routerjax.data.inspection.lacking import COSTS, FIRST, SECOND, lacking, of_pairs
from routerjax.data.inspection.parts import cost_parts, sum_of_fields, whole_cost
from routerjax.data.inspection.presets import preset_of
from routerjax.data.inspection.roles import PLAYS, Guess, guess_roles
from routerjax.data.inspection.rules import cost_rules, decimal_rule, quality_rules, status_rules
from routerjax.data.inspection.score_names import wrong_scores
from routerjax.data.io.availability import YES

GROUP = "model_group"
"""Column of LiteLLM's spend logs: the model that a client asked for, not its deployment."""

ASKED_NAME = re.compile(r"(?:^|[._])(?:request|requested|asked|original|wanted|intended)(?:[._]|$)")
"""What columns are called that name the model that a client asked for."""
ANOTHER = "is another model than"
"""What a note says of two columns of models, whatever else is known of a file."""
TAKES = "too: --columns quality=COLUMN takes"
"""What a note says of other columns that may be the quality."""
NAMED_VALUE = re.compile(r"\[name=[^\]]*\]\.value$")
"""A path to one of several scores of a trace, by its name."""
MOST_OTHERS = 4  # columns that may be the quality, of which a note speaks
UNLIKE = 0.01  # share of rows from which two columns of models are said to differ
NUMBERS = ("cost", "quality", "gold_quality")
"""Roles of numbers that may have decimals."""


@dataclasses.dataclass(frozen=True)
class Proposal:
    """How a file seems to be meant.

    Attributes:
      kind: "log", "table" of every model's answers, "pairs" of answers of which the better is
        known, or "gains", labels of a pair of models; "unknown".
      schema: how to read it.
      roles: role → the field that plays it.
      lacks: what no field plays and is needed, each as a clause that says what to give.
      notes: what a reader should know of the guesses, in sentences.
    """

    kind: str
    schema: Schema
    roles: Mapping[str, Guess]
    lacks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def propose(
    fields: Sequence[Field], *, fixed: Mapping[str, str] | None = None, given: Schema | None = None
) -> Proposal:
    """The likely meaning of a file's fields.

    Args:
      fields: of the file, of `fields_of`.
      fixed: routerjax's name to the path of the field, where it is known already.
      given: what else is known, beside which notes would be wrong.
    """
    paths = [field.path for field in fields]
    if set(FIRST) & set(paths) and set(SECOND) & set(paths):
        return Proposal("pairs", Schema(layout="arena"), guess_roles(fields), of_pairs(fields))
    if {"GL", "PL"} & set(paths):
        return Proposal(
            "gains", Schema(), guess_roles(fields), (COSTS.format("", "PRIMARY,OTHER"),)
        )
    patterns = wide.patterns_of(fields)
    if patterns is not None:
        return _table(fields, patterns, given or Schema())
    return _log(fields, fixed or {}, given or Schema())


def _table(fields: Sequence[Field], patterns: Mapping[str, str], given: Schema) -> Proposal:
    numbers = wide.numbers_of(fields)
    others = [field for field in fields if field not in numbers]
    lacks: list[str] = []
    notes: list[str] = []
    rules = wide.written(numbers, patterns, given, notes, lacks)
    schema = Schema(columns={**patterns, **_labels(others)}, **rules)  # type: ignore[arg-type]
    return Proposal("table", schema, guess_roles(others), tuple(lacks), tuple(notes))


def _labels(fields: Sequence[Field]) -> dict[str, str]:
    """Columns of a table beside scores and costs."""
    roles = guess_roles([field for field in fields if "|" not in field.path])
    kept = ("prompt", "embedding", "task", "split", "group")
    labels = {
        role: roles[role].field.path
        for role in kept
        if role in roles and roles[role].field.path != role
    }
    if "time" in roles and _is_time(roles["time"].field, roles):
        labels["time"] = roles["time"].field.path
    return labels


def _log(fields: Sequence[Field], fixed: Mapping[str, str], given: Schema) -> Proposal:
    roles = guess_roles([field for field in fields if field.path not in fixed.values()])
    for role, path in fixed.items():
        known = next((field for field in fields if field.path == path), None)
        known = known or (sum_of_fields(path, fields) if role == "cost" else None)
        roles.pop(role, None)
        if known is not None:
            roles[role] = Guess(role, known, "option")
    notes: list[str] = []
    if "model" not in fixed and "model" in roles:
        asked = _asked_for(roles["model"], fields, notes)
        roles["model"] = _answering(asked, fields, notes) if asked == roles["model"] else asked
    if "quality" in roles and "gold_quality" not in roles:
        roles |= _two_scores(fields, roles, notes)
    if "cost" not in fixed:
        _of_parts(roles, fields, notes)
    wrong: str | None = None
    if "quality" in roles and "quality" not in fixed and roles["quality"].field.path != "quality":
        wrong = wrong_scores(roles["quality"].field, fields)
        if wrong is None:
            _other_scores(roles, fields, notes)
        else:
            del roles["quality"]
    rules: dict[str, object] = {"columns": _columns(roles)}
    if "quality" in roles:
        rules |= quality_rules(roles["quality"].field, notes, given)
    lacks = lacking(roles, fields, quality=wrong)
    if "cost" in roles:
        rules |= cost_rules(roles["cost"].field, roles.get("currency"), notes, lacks)
    if given.decimal is None:
        numbers = [roles[role].field for role in NUMBERS if role in roles]
        rules |= decimal_rule(numbers, notes, lacks)
    if "status" in roles:
        rules |= status_rules(roles["status"].field, notes, given)
    if not {"model", "quality"} & roles.keys():
        return Proposal("unknown", Schema(), roles, tuple(lacks), tuple(notes))
    schema = Schema(**rules)  # type: ignore[arg-type]
    return Proposal("log", schema, roles, tuple(lacks), tuple(notes))


def _of_parts(roles: dict[str, Guess], fields: Sequence[Field], notes: list[str]) -> None:
    """Take the sum of the costs of input and output for the cost, where no column has the whole."""
    parts = [part.path for part in cost_parts(fields)]
    if "cost" in roles and roles["cost"].field.path not in parts:
        return
    roles.pop("cost", None)
    played = [*parts, *(guess.field.path for guess in roles.values())]
    other = guess_roles([field for field in fields if field.path not in played]).get("cost")
    if other is not None and other.by == "name":
        roles["cost"] = other
    elif (whole := whole_cost(fields)) is not None:
        roles["cost"] = Guess("cost", whole, "name")
        notes.append(f"the cost of a call is the sum of {parts[0]} and {parts[1]}")


def _answering(model: Guess, fields: Sequence[Field], notes: list[str]) -> Guess:
    """The model that answered, where another column names it than the one that was asked for.

    Where the column has one name in every row, a router's own say, another one of several names is
    taken; where both name the same models, and not always the same one, it is said, and the one
    that is not called that of the request is taken.
    """
    named_so = [each for each in fields if each.path != model.field.path and _names_models(each)]
    if model.field.distinct == 1 and model.by == "name":
        other = next((each for each in named_so if each.distinct > 1), None)
        if other is None:
            return model
        notes.append(
            f"{model.field.path} is {quoted(model.field.example)} in every row: models are told by "
            f"the column {other.path}"
        )
        return Guess("model", other, "name")
    names = set(model.field.texts)
    for other in named_so:
        pairs = zip(model.field.values, other.values, strict=False)
        unlike = [one != two for one, two in pairs if one is not None and two is not None]
        if set(other.texts) <= names and len(other.values) == len(model.field.values):
            if (share := sum(unlike) / max(len(unlike), 1)) > UNLIKE:
                is_asked = model.by == "name" and _is_asked(model.field) and not _is_asked(other)
                taken, left = (other, model.field) if is_asked else (model.field, other)
                notes.append(
                    f"{left.path} {ANOTHER} {taken.path} in {share:.0%} of the rows: "
                    f"if it is the one that answered, --columns model={left.path} takes it"
                )
                if is_asked:
                    return Guess("model", other, "content")
    return model


def _is_asked(field: Field) -> bool:
    return ASKED_NAME.search(plain(field.path)) is not None


def _names_models(field: Field) -> bool:
    return field.kind == "text" and named("model", field.path) > 0 and PLAYS["model"](field)


def _asked_for(model: Guess, fields: Sequence[Field], notes: list[str]) -> Guess:
    """The name that clients ask for, where a spend log has it beside that of the provider.

    It is what the preset of spend logs takes. Where it is one name for several models, a router has
    nothing to choose between, and the provider's is kept.
    """
    group = next((field for field in fields if field.path == GROUP), None)
    if group is None or model.field.path != "model" or preset_of("log", fields) != "litellm":
        return model
    if group.distinct > 1 or model.field.distinct < 2:
        return Guess("model", group, "name")
    notes.append(
        f"{GROUP} is {quoted(group.example)} in every row: models are told by the column model, "
        f"which --schema litellm takes only where {GROUP} is empty"
    )
    return model


def _two_scores(
    fields: Sequence[Field], roles: Mapping[str, Guess], notes: list[str]
) -> dict[str, Guess]:
    """The judge's scores as the quality and gold ones beside them, where a file seems to hold both.

    Scores of another scale cannot correct a judge's, and are named in a note.
    """
    played = [guess.field.path for role, guess in roles.items() if role != "quality"]
    judge, gold = scores_by([each for each in fields if each.path not in played], _of(roles))
    if gold is None or judge.kind != "number":
        return {}
    (lowest, highest), (low, high) = (_range_of(each) for each in (judge, gold))
    if high != highest or low < lowest:
        notes.append(
            f"{gold.path} seems to hold gold scores beside those of {judge.path}, but from {low:g} "
            f"to {high:g}, and these from {lowest:g} to {highest:g}: on one scale --gold-column "
            f"{gold.path} would correct them"
        )
        return {}
    others = [each.path for each in of_judges(fields) if each.path not in (judge.path, gold.path)]
    if others:
        shown = ", ".join(others[:MOST_OTHERS])
        notes.append(f"the judge's score is {judge.path}; {shown} may be one, {TAKES} it")
    by = roles["quality"].by if judge is _of(roles) else "name"
    return {"quality": Guess("quality", judge, by), "gold_quality": Guess("gold", gold, "name")}


def _other_scores(roles: Mapping[str, Guess], fields: Sequence[Field], notes: list[str]) -> None:
    """Say which other columns sound as much like the quality as the one that is taken for it."""
    path = roles["quality"].field.path
    played = [guess.field.path for guess in roles.values()]
    sound = min(named("quality", path), BY_ENDING + 1)
    others = [
        field.path
        for field in fields
        if field.kind in ("number", "bool") and field.distinct > 1 and field.path not in played
        if _alone(field.path, path) and named("quality", field.path) >= sound > 0
    ]
    if others:
        shown = ", ".join(others[:MOST_OTHERS])
        are = f"sounds like a quality, {TAKES} it"
        if len(others) > 1:
            are = f"sound like qualities, {TAKES} one of them"
        notes.append(f"the quality is {path}; {shown} {are}")


def _alone(path: str, quality: str) -> bool:
    """Whether a column is no part of another, or a trace's score as the quality is one."""
    return "." not in path or bool(NAMED_VALUE.search(path) and NAMED_VALUE.search(quality))


def _of(roles: Mapping[str, Guess]) -> Field:
    return roles["quality"].field


def _range_of(field: Field) -> tuple[float, float]:
    """The quality range of scores, whatever stands for a failed call left out."""
    found: tuple[float, float] = quality_rules(field, []).get("quality_range", (0.0, 1.0))  # type: ignore[assignment]
    return found


def _columns(roles: Mapping[str, Guess]) -> dict[str, Names]:
    columns: dict[str, Names] = {
        role: guess.field.path
        for role, guess in roles.items()
        if (role in ASKED and ASKED[role](guess.field, roles))
        or (role not in ("status", *ASKED) and guess.field.path != role)
    }
    if columns.get("model") == GROUP and roles["model"].field.filled < 1:
        columns["model"] = (GROUP, "model")
    if "prompt" in roles and "embedding" in roles and roles["prompt"].by == "content":
        del columns["prompt"]
    if "scored_by" in columns and roles["scored_by"].field.distinct < 2:
        del columns["scored_by"]
    if "cost" in roles:  # tokens are needed where no cost is logged
        columns.pop("input_tokens", None), columns.pop("output_tokens", None)
    return columns


def _is_time(field: Field, roles: Mapping[str, Guess]) -> bool:
    """Whether every row has a time, and not all the same."""
    del roles
    times = {None if value is None else moment(value) for value in field.values}
    return None not in times and len(times) > 1 and min(times) > 0  # type: ignore[operator,type-var]


def _is_available(field: Field, roles: Mapping[str, Guess]) -> bool:
    """Whether the model that answered is among those named, wherever some are."""
    if "model" not in roles:
        return False
    pairs = zip(field.values, roles["model"].field.values, strict=True)
    return all(str(model).strip() in str(cell) for cell, model in pairs if cell and model)


def _is_pinned(field: Field, roles: Mapping[str, Guess]) -> bool:
    """Whether some rows are marked, and not all."""
    del roles
    marked = [str(value).strip().lower() in YES for value in field.values if value is not None]
    return any(marked) and not (all(marked) and len(marked) == len(field.values))


ASKED = {"time": _is_time, "available": _is_available, "pinned": _is_pinned}
"""Roles that are played only where they are named, whatever the column is called, and when."""
