"""Commands of cyclopts made of records: parsing, help and errors of one sentence."""

from __future__ import annotations

import dataclasses
import inspect
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Annotated, Any, NamedTuple, TypeVar

from cyclopts import (
    App,
    CycloptsError,
    Group,
    MissingArgumentError,
    Parameter,
    UnusedCliTokensError,
)

from routerjax.cli.parse import parse
from routerjax.cli.settings import Path, Setting, laid_over, settings_of, shown
from routerjax.errors import InputError

Kind = TypeVar("Kind")


class Argument(NamedTuple):
    """A positional argument.

    Attributes:
      name: of it, as in "log".
      text: what it is.
      optional: whether it may be left out.
      several: whether it may be given more than once; it is the last one then.
    """

    name: str
    text: str
    optional: bool = False
    several: bool = False


class Options(NamedTuple):
    """A group of options: the settings of one record.

    Attributes:
      title: of the group in the help.
      record: with its defaults.
      without: names of fields that are no options of this command.
    """

    title: str
    record: Any
    without: Collection[str] = ()

    @property
    def settings(self) -> list[Setting]:
        """The settings that are options of the command."""
        return [each for each in settings_of(self.record) if each.path[0] not in self.without]


@dataclasses.dataclass(frozen=True)
class Parsed:
    """What was typed.

    Attributes:
      arguments: positional arguments by name, None where left out, a list of texts where several
        were given of one that may be.
      given: per record, the settings that were given, by path.
      groups: of the command.
    """

    arguments: dict[str, Any]
    given: dict[type, dict[Path, Any]]
    groups: Sequence[Options]

    def __getitem__(self, kind: type[Kind]) -> Kind:
        """A record with what was given laid over its defaults."""
        (record,) = [group.record for group in self.groups if type(group.record) is kind]
        return laid_over(record, self.given[kind])

    def over(self, record: Kind, kind: type) -> Kind:
        """Another record of the same fields, such as a preset, with what was given laid over it."""
        return laid_over(record, self.given[kind])

    def names(self, *kinds: type) -> list[str]:
        """Options of some records that were given, as they are typed."""
        return [
            setting.names[0]
            for group in self.groups
            if type(group.record) in kinds
            for setting in group.settings
            if setting.path in self.given[type(group.record)]
        ]


def make_app(name: str, text: str, *, version: str | None = None) -> App:
    """An application whose commands return and whose errors are raised.

    Args:
      name: what is typed to start it.
      text: its help.
      version: what --version prints; None offers no such option.
    """
    return App(
        name=name,
        help=text,
        help_format="plaintext",
        result_action="return_value",
        suppress_keyboard_interrupt=False,
        version=version,
        version_flags=() if version is None else ("--version",),
    )


def add_command(
    app: App,
    name: str | None,
    handle: Callable[[Parsed], None],
    *,
    text: str,
    arguments: Sequence[Argument] = (),
    groups: Sequence[Options] = (),
) -> None:
    """Add a command; `name` None makes it what the application itself does.

    Args:
      app: of `make_app`.
      name: of the command.
      handle: called with what was parsed.
      text: its help, the first line a summary.
      arguments: positional ones, in order.
      groups: its options.
    """
    fields = {
        f"{i}_{j}": (group, setting)
        for i, group in enumerate(groups)
        for j, setting in enumerate(group.settings)
    }

    def command(*values: Any, **options: Any) -> None:
        named = _named(arguments, values)
        given: dict[type, dict[Path, Any]] = {type(group.record): {} for group in groups}
        for field, value in options.items():
            if value is not None:
                group, setting = fields[field.removeprefix("option_")]
                typed = value[0] if setting.repeated else value
                is_flag = setting.hint is bool
                given[type(group.record)][setting.path] = True if is_flag else typed.value
        handle(Parsed(named, given, groups))

    parameters = [_positional(argument) for argument in arguments]
    titles = {group.title: Group.create_ordered(group.title) for group in groups}
    for field, (group, setting) in fields.items():
        parameters.append(_option(f"option_{field}", setting, titles[group.title]))
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in parameters}
    command.__doc__ = "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))
    if name is None:
        app.default(command)
    else:
        command.__name__ = name
        app.command(command, name=name)


def _named(arguments: Sequence[Argument], values: Sequence[str]) -> dict[str, Any]:
    """What was given of each positional argument."""
    named: dict[str, Any] = dict.fromkeys(argument.name for argument in arguments)
    named |= dict(zip(named, values, strict=False))
    if len(values) > len(named):
        named[arguments[-1].name] = list(values[len(named) - 1 :])
    return named


class _Given(NamedTuple):
    """A value that was typed, which may be None itself."""

    value: Any


def _positional(argument: Argument) -> inspect.Parameter:
    name = argument.name.upper()
    parameter = Parameter(
        help=argument.text,
        name=name,
        show_default=not argument.optional,
        required=not argument.optional,
    )
    if argument.several:
        kind = inspect.Parameter.VAR_POSITIONAL
        return inspect.Parameter(argument.name, kind, annotation=Annotated[str, parameter])
    return inspect.Parameter(
        argument.name,
        inspect.Parameter.POSITIONAL_ONLY,
        default=None if argument.optional else inspect.Parameter.empty,
        annotation=Annotated[str | None if argument.optional else str, parameter],
    )


def _option(name: str, setting: Setting, group: Group) -> inspect.Parameter:
    is_flag, default = setting.hint is bool, shown(setting.default)
    read = setting.parse or (lambda text: parse(setting.hint, text))

    def convert(_: Any, tokens: Sequence[Any]) -> _Given | list[_Given]:
        values = tuple(read(token.value) for token in tokens)
        # A list, which the annotation promises: where pydantic is imported it is checked.
        return [_Given(values)] if setting.repeated else _Given(values[0])

    parameter = Parameter(
        name=list(setting.names),
        help=setting.text,
        group=group,
        converter=None if is_flag else convert,
        metavar=None if is_flag else setting.metavar,
        n_tokens=None if is_flag else 1,
        allow_leading_hyphen=not is_flag,
        negative="",
        show_default=(lambda _: default) if default else False,
        required=setting.required,
    )
    kind: Any = bool | None if is_flag else list[Any] | None if setting.repeated else Any
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if setting.required else None,
        annotation=Annotated[kind, parameter],
    )


def run(app: App, arguments: Sequence[str] | None, *, execute: bool = True) -> None:
    """Parse the arguments and run the command they name.

    Args:
      app: of `make_app`.
      arguments: of the command line; None takes those of the process.
      execute: False parses alone.

    Raises:
      InputError: arguments that no command takes, in one sentence.
    """
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    if not tokens and app.default_command is None:
        known = ", ".join(name for name in app if not name.startswith("-"))
        raise InputError(f"a command is needed: {known} (see {app.name[0]} --help)")
    try:
        if execute:
            app(tokens, exit_on_error=False, print_error=False)
        else:
            app.parse_args(tokens, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        chain = " ".join([app.name[0], *(error.command_chain or ())])
        raise InputError(f"{_sentence(error)} (see {chain} --help)") from None


def _sentence(error: CycloptsError) -> str:
    """What is wrong, as one sentence."""
    if isinstance(error, MissingArgumentError) and error.argument is not None:
        return f"{error.argument.name} is needed"
    if isinstance(error, UnusedCliTokensError):
        return f"nothing takes {', '.join(map(repr, error.unused_tokens or ()))}"
    return " ".join(str(error).split()).rstrip(" .,")


def refuse(parsed: Parsed, names: Mapping[type, Collection[str]], *, why: str) -> None:
    """Raise InputError for the first option that was given and has no effect.

    Args:
      parsed: what was typed.
      names: per record the first fields of its settings that have no effect.
      why: when they have none, as in "without --gains".
    """
    for group in parsed.groups:
        kind = type(group.record)
        for setting in group.settings:
            if setting.path in parsed.given[kind] and setting.path[0] in names.get(kind, ()):
                raise InputError(f"{setting.names[0]} has no effect {why}")
