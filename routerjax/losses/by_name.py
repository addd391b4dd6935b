"""Surrogates by name: the library's losses, or a user's own, with their settings.

A surrogate takes the logits and the utilities of one query, [m] each, and returns a scalar. What
else it may ask for, by the names of its parameters, stands in `arguments`. The trainer maps it
over rows and cost weights and divides the utilities by one fixed number per cost weight
beforehand, so that a surrogate may assume utilities of about unit spread.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Hashable
from typing import Any, NamedTuple

from routerjax.errors import InputError
from routerjax.losses.arguments import Form, Surrogate, form_of, name_of
from routerjax.losses.known import SURROGATES
from routerjax.support.own_code import named


class Chosen(NamedTuple):
    """A surrogate as it is trained.

    Attributes:
      function: the surrogate; settings that are no numbers with a point are bound in it.
      settings: the other settings that were given, with the values to choose among.
    """

    function: Surrogate
    settings: tuple[tuple[str, tuple[float, ...]], ...] = ()

    @property
    def combinations(self) -> list[dict[str, float]]:
        """Every combination of the values, by setting; one without any where none are given."""
        names = [name for name, _ in self.settings]
        values = itertools.product(*[values for _, values in self.settings])
        return [dict(zip(names, each, strict=True)) for each in values]


def resolve(surrogate: str | Surrogate) -> Surrogate:
    """Find a surrogate by name, a user's own by ``file.py:function``, or check a function.

    Args:
      surrogate: a key of `SURROGATES`; a path to a Python file, a colon and a function in it; or
        the function itself. A name may carry settings, as in ``softmax_regret?temperature=0.5``.

    Returns:
      The function, with its settings bound.

    Raises:
      InputError: as `chosen`, or several values for a setting.
    """
    found = chosen(surrogate)
    if not found.settings:
        return found.function
    if len(found.combinations) > 1:
        raise InputError("a sweep of settings is no single surrogate", source=str(surrogate))
    return _bound(found.function, tuple(found.combinations[0].items()))


def chosen(surrogate: str | Surrogate) -> Chosen:
    """Find or check a surrogate, with the settings it was given.

    ``file.py:loss?beta=0.5`` sets beta; ``?beta=0.1,0.5,1`` has a value chosen on held-out rows;
    ``?beta=0.1,0.5&margin=1`` sets two. A setting is a parameter with a default. Where that is
    written with a point it is traced: all values share one compiled program. Others, whole
    numbers and words, are fixed when it is compiled and take one value.

    Raises:
      InputError: no such surrogate, file, function or setting; the file does not run; a value that
        is no number; or a function that `losses.trial.try_out` refuses.
    """
    if not isinstance(surrogate, str):
        name = name_of(surrogate)
        if not isinstance(surrogate, Hashable):
            raise InputError("a surrogate must be hashable, as a function is", source=name)
        _try_out(surrogate, (), name)
        return Chosen(surrogate)
    name, _, settings = surrogate.partition("?")
    found: Surrogate = named(name, SURROGATES, kind="surrogate")
    form = _form(found, name)
    fixed, swept = _settings(settings, form, surrogate) if settings else ((), ())
    own = Chosen(_bound(found, fixed) if fixed else found, swept)
    if name not in SURROGATES or settings:
        for each in own.combinations:
            _try_out(own.function, tuple(each.items()), surrogate)
    return own


def _try_out(*arguments: Any) -> None:
    """`try_out`, which imports what only functions of one's own need."""
    from routerjax.losses.trial import try_out

    try_out(*arguments)


def joined_names(parts: tuple[str, ...]) -> tuple[str, ...]:
    """Names that a list of the command line cut at the commas of their settings.

    >>> joined_names(("softmax_regret", "mine.py:f?beta=0.1", "0.5&margin=1", "2"))
    ('softmax_regret', 'mine.py:f?beta=0.1,0.5&margin=1,2')
    """
    names: list[str] = []
    for part in parts:
        goes_on = names and "?" in names[-1] and _is_number(part.partition("&")[0])
        if goes_on:
            names[-1] += f",{part}"
        else:
            names.append(part)
    return tuple(names)


Fixed = tuple[tuple[str, Any], ...]
Swept = tuple[tuple[str, tuple[float, ...]], ...]


def _form(surrogate: Surrogate, name: str) -> Form:
    """Its signature; what cannot be read is told with the file."""
    try:
        return form_of(surrogate)
    except InputError as error:
        raise InputError(error.problem, source=name) from None


def _settings(text: str, form: Form, surrogate: str) -> tuple[Fixed, Swept]:
    """Settings as they are written behind the question mark: those fixed, and those traced."""
    known = dict(form.settings)
    fixed: dict[str, Any] = {}
    swept: dict[str, tuple[float, ...]] = {}
    for part in text.split("&"):
        name, equals, value = part.partition("=")
        values = [each.strip() for each in value.split(",")]
        if not equals or not all(values):
            raise InputError(f"setting {part!r} is not written NAME=NUMBER,...", source=surrogate)
        if name not in known:
            listed = ", ".join(known) or "none"
            raise InputError(
                f"surrogate has no setting {name!r}; it has {listed}", source=surrogate
            )
        if name in fixed or name in swept:
            raise InputError(f"setting {name!r} is given twice", source=surrogate)
        if name in form.traced:
            if not all(map(_is_number, values)):
                raise InputError(f"setting {part!r} is not a number", source=surrogate)
            swept[name] = tuple(dict.fromkeys(float(each) for each in values))
            continue
        if len(values) > 1:
            problem = f"setting {name!r} is fixed when it is compiled and takes one value"
            raise InputError(
                f"{problem}; give it a default with a point to sweep it", source=surrogate
            )
        fixed[name] = _as_its_default(values[0], known[name], part, surrogate)
    return tuple(fixed.items()), tuple(swept.items())


def _as_its_default(value: str, default: Any, part: str, surrogate: str) -> Any:
    if isinstance(default, bool):
        if value not in ("True", "False"):
            raise InputError(f"setting {part!r} is not True or False", source=surrogate)
        return value == "True"
    if isinstance(default, int):
        if not value.removeprefix("-").isdecimal():
            raise InputError(f"setting {part!r} is not a whole number", source=surrogate)
        return int(value)
    return value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


@functools.lru_cache
def _bound(surrogate: Surrogate, settings: Fixed) -> Surrogate:
    """The surrogate with settings bound: one object for equal settings, which compiles once."""
    return functools.partial(surrogate, **dict(settings))
