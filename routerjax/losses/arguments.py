"""What a surrogate may ask for by the names of its parameters, and how it is mapped over a batch.

A surrogate of (logits, utilities) is a few lines. One that needs more names it: `cost_weight`,
`propensity` and whatever else `ARGUMENTS` lists. The signature is read once; what nobody asks for
is neither computed nor carried along. Parameters that have a default and no name of `ARGUMENTS` are
settings of the surrogate. Data go one way: problem → batch → the arguments here.
"""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from routerjax.errors import InputError

Surrogate = Callable[..., Float[Array, ""]]
"""Loss of one row: logits [m], utilities [m] and what else it names → scalar; or of a batch."""

Given = Mapping[str, Any]
"""Arguments by name, with the axes that `ARGUMENTS` says."""

Marked = TypeVar("Marked", bound=Surrogate)


class Argument(NamedTuple):
    """One thing that a surrogate may ask for.

    Attributes:
      by_row, by_cost_weight: Whether each row, each cost weight has its own.
      text: shape for one row and one cost weight, and meaning.
    """

    by_row: bool
    by_cost_weight: bool
    text: str


ARGUMENTS: dict[str, Argument] = {
    "logits": Argument(True, True, "[m] the router's scores; the query goes to the largest"),
    "utilities": Argument(True, True, "[m] estimates (q̃ − λ·c̃) / s_λ, of about unit spread"),
    "quality": Argument(True, False, "[m] estimates q̃, in the unit of the data"),
    "cost": Argument(True, False, "[m] estimates c̃, dollars per query"),
    "predicted": Argument(True, True, "[m] the outcome models' (q̂ − λ·ĉ) / s_λ, out of fold"),
    "cost_weight": Argument(False, True, "λ, quality per dollar"),
    "unit": Argument(False, True, "s_λ, by which utilities are divided"),
    "arm": Argument(True, False, "index of the model that answered"),
    "outcome": Argument(True, True, "(q − λ·c) / s_λ of its answer, as logged"),
    "propensity": Argument(True, False, "probability with which the log's policy chose it"),
    "weight": Argument(True, False, "1, or 0 in a place of the batch that holds no row"),
    "mask": Argument(True, False, "[m] whether each model could be asked"),
    "key": Argument(True, True, "a random key of its own"),
}
OF_A_LOG = frozenset({"arm", "outcome", "propensity"})
"""What only a log has: in a complete table every model answered."""


class Form(NamedTuple):
    """A surrogate's signature, as the caller needs it.

    Attributes:
      positional: arguments that are passed by position.
      named: arguments that are passed by their names.
      settings: names and defaults of the other parameters.
      batchwise: Whether it takes a whole batch.
    """

    positional: tuple[str, ...]
    named: tuple[str, ...]
    settings: tuple[tuple[str, Any], ...]
    batchwise: bool

    @property
    def asked(self) -> tuple[str, ...]:
        """Names of all arguments."""
        return self.positional + self.named

    @property
    def traced(self) -> tuple[str, ...]:
        """Settings whose default is a number with a point: these can be swept."""
        return tuple(name for name, default in self.settings if isinstance(default, float))


def batchwise(surrogate: Marked) -> Marked:
    """Mark a surrogate as one of a whole batch: its arguments have a leading axis b of rows.

    It returns one scalar for the batch. It must ask for `weight` [b] and take its means with it,
    as in `jnp.average(values, weights=weight)`: the last batch of an epoch is filled up with
    places of weight 0. Cost weights are mapped as for other surrogates, so that `cost_weight`,
    `unit` and `key` have no axis.

    >>> @batchwise
    ... def spread(logits, utilities, weight):
    ...     value = jnp.sum(jax.nn.softmax(logits) * utilities, axis=-1)
    ...     return -jnp.average(value, weights=weight)
    >>> form_of(spread).batchwise
    True
    """
    surrogate.batchwise = True  # type: ignore[attr-defined]
    return surrogate


@functools.lru_cache
def form_of(surrogate: Surrogate) -> Form:
    """Read a surrogate's signature.

    The first two parameters are the logits and the utilities, whatever they are called, unless
    they bear another name of `ARGUMENTS`; all others go by their names.

    Raises:
      InputError: a parameter without a default that is none of `ARGUMENTS`, or one of the first two
        that begins as another argument does, such as `qualities`.
    """
    inner = surrogate.func if isinstance(surrogate, functools.partial) else surrogate
    batch = bool(getattr(inner, "batchwise", False))
    try:
        parameters = list(inspect.signature(surrogate).parameters.values())
    except (TypeError, ValueError):  # written in C, say
        return Form(("logits", "utilities"), (), (), batch)
    positional: list[str] = []
    named: list[str] = []
    settings: list[tuple[str, Any]] = []
    for place, parameter in enumerate(parameters):
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        name = parameter.name
        by_position = parameter.kind is not parameter.KEYWORD_ONLY
        if name not in ARGUMENTS and parameter.default is not parameter.empty:
            settings.append((name, parameter.default))
            continue
        if name not in ARGUMENTS:
            if place > 1 or not by_position:
                raise InputError(_unknown(name), source=name_of(surrogate))
            own = ("logits", "utilities")[place]
            if any(name.startswith(other[:5]) for other in ARGUMENTS if other != own):
                raise InputError(_unknown(name), source=name_of(surrogate))
            name = own
        leading = by_position and not settings and not named
        (positional if leading else named).append(name)
    return Form(tuple(positional), tuple(named), tuple(settings), batch)


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, ARGUMENTS, n=1, cutoff=0.7)
    meant = f" (did you mean {near[0]!r}?)" if near else ""
    return (
        f"surrogate asks for {name!r}, which nobody has{meant}; it may ask for "
        f"{', '.join(ARGUMENTS)}; a setting of its own needs a default"
    )


def losses(
    surrogate: Surrogate, given: Given, settings: Mapping[str, Any] | None = None
) -> Float[Array, "b k"]:
    """A surrogate of every row at every cost weight; of a batch, the batch's at every row.

    Args:
      surrogate: of a row, or marked `batchwise`.
      given: what it asks for, [b, k, ...], [b, ...] or [k, ...] as `ARGUMENTS` says.
      settings: values of its settings; defaults where there are none.
    """
    form, own = form_of(surrogate), dict(settings or {})
    if form == Form(("logits", "utilities"), (), form.settings, False) and not own:
        plain: Array = jax.vmap(jax.vmap(surrogate))(given["logits"], given["utilities"])
        return plain
    asked = {name: given[name] for name in ("logits", *form.asked)}

    def call(one: Given) -> Float[Array, ""]:
        first = [one[name] for name in form.positional]
        return surrogate(*first, **{name: one[name] for name in form.named}, **own)

    def axes(by_row: int | None, by_cost_weight: int | None, both: int) -> dict[str, int | None]:
        kinds = {(True, True): both, (True, False): by_row, (False, True): by_cost_weight}
        return {name: kinds[ARGUMENTS[name][:2]] for name in asked}

    if form.batchwise:
        of_batch = axes(None, 0, 1)
        if "key" in asked:  # one for the batch
            asked["key"], of_batch["key"] = asked["key"][0], 0
        found = jax.vmap(call, in_axes=(of_batch,))(asked)
        return jnp.broadcast_to(found, (len(given["logits"]), *found.shape))
    over_cost_weights = jax.vmap(call, in_axes=(axes(None, 0, 0),))
    return jax.vmap(over_cost_weights, in_axes=(axes(0, None, 0),))(asked)


def name_of(surrogate: str | Surrogate) -> str:
    """A surrogate's name for messages."""
    return (
        surrogate if isinstance(surrogate, str) else getattr(surrogate, "__name__", repr(surrogate))
    )
