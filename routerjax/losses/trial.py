"""A surrogate tried out before anything is trained: what is wrong with it, in words.

Rows of one to twelve arms, drawn at random, with ties, with logits and utilities far apart, and at
the ends of what else it asks for: cost weight, propensity, mask.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from routerjax.errors import InputError
from routerjax.losses.arguments import ARGUMENTS, Form, Surrogate, form_of, losses
from routerjax.losses.trial_rows import Rows, left_alone, ordinary, with_axes

MOST = 12
TRIED = (3, 2, 12, 1)
"""Numbers of arms with which values are looked at; all up to `MOST` are traced."""

LEADS = (10.0, 30.0, 100.0, 1e3, 1e4)
"""Distances between logits, and between utilities."""

ENDS = {"cost_weight": (0.0, 1e4), "unit": (1.0, 1e3), "propensity": (1.0, 0.01, 1e-4)}
"""Ends of what a grid or a log may hold, for surrogates that ask for it. The default grids begin at
the cost weight 0; 0.01 is the floor of estimated propensities, and recorded ones may be smaller."""

WORDS = dict(enumerate("one two three four five six seven eight nine ten eleven twelve".split(), 1))

NOT_FINITE = "gives a loss or gradient that is not finite"

Graded = Callable[[Mapping[str, Any], Mapping[str, Any]], tuple[np.ndarray, np.ndarray]]


@functools.lru_cache
def try_out(surrogate: Surrogate, settings: tuple[tuple[str, float], ...], name: str) -> None:
    """Raise InputError if a surrogate cannot be trained on.

    Args:
      surrogate: to be tried.
      settings: values of its settings.
      name: of it, for the message.

    Raises:
      InputError: it fails for some number of arms or returns no scalar; its loss or gradient is not
        finite; its gradient is always 0, or the same for all arms; its gradient step lowers the
        utility on every trial; the order of the arms changes it; or, of a batch, it counts
        places that hold no row.
    """
    form_of(surrogate)  # says itself what it cannot read
    problem = next(_problems(surrogate, dict(settings)), None)
    if problem is not None:
        raise InputError(f"surrogate {problem}", source=name)


def _problems(surrogate: Surrogate, settings: dict[str, float]) -> Iterator[str]:
    """What is wrong, the plainest first."""
    graded = _graded(surrogate)
    for arms in (3, *(each for each in range(1, MOST + 1) if each != 3)):
        yield from _shape_problem(surrogate, settings, arms)
    for arms in TRIED:
        yield from _not_finite(graded, settings, arms)
        yield from _not_finite_at_ends(graded, settings, arms, form_of(surrogate).asked)
    plain = {arms: ordinary(arms) for arms in TRIED}
    found = {arms: graded(rows, settings) for arms, rows in plain.items()}
    slopes = {arms: found[arms][1] for arms in TRIED if arms > 1}
    if not any(slope.any() for slope in slopes.values()):
        yield "does not depend on the logits: its gradient is 0 on every row that was tried"
    if all(_alike(slope) for slope in slopes.values()):
        yield "moves the logits of all arms alike, which changes no choice"
    if all(_lowers(graded, settings, arms) for arms in slopes):
        yield (
            "has the wrong sign: a step down its gradient lowers the utility of the chosen arms on "
            "every trial; a loss is smaller for better choices"
        )
    if "key" not in form_of(surrogate).asked:
        for arms in slopes:
            yield from _order_problem(graded, settings, plain[arms], found[arms])
    if form_of(surrogate).batchwise:
        yield from _counts_nothing(surrogate, graded, settings, plain[3])


@functools.lru_cache
def _graded(surrogate: Surrogate) -> Graded:
    """(rows, settings) → losses [n], and slopes of their sum in the logits [n, m]."""

    def total(logits: jax.Array, rows: Any, settings: Any) -> tuple[jax.Array, jax.Array]:
        each = losses(surrogate, with_axes(rows | {"logits": logits}), settings)[:, 0]
        shared = len(logits) if form_of(surrogate).batchwise else 1  # each row holds the batch's
        return jnp.sum(each) / shared, each

    sloped = jax.jit(jax.value_and_grad(total, has_aux=True))

    def graded(rows: Mapping[str, Any], settings: Mapping[str, Any]) -> tuple[Any, Any]:
        (_, each), slopes = sloped(rows["logits"], dict(rows), dict(settings))
        return np.asarray(each), np.asarray(slopes)

    return graded


def _shape_problem(surrogate: Surrogate, settings: dict[str, float], arms: int) -> Iterator[str]:
    rows, form = with_axes(ordinary(arms)), form_of(surrogate)
    one = "arm" if arms == 1 else "arms"
    own = f"a batch of {len(rows['logits'])} rows" if form.batchwise else "a row"
    where = f"fails on {own} of {WORDS[arms]} {one}"
    of_three = "" if arms == 3 else ", though not on one of three: nothing may rest on their number"
    try:
        found = jax.eval_shape(functools.partial(losses, surrogate), rows, dict(settings))
    except Exception as error:
        reason = (str(error).strip().splitlines() or [""])[0]
        yield (
            f"{where} ({type(error).__name__}: {reason}){of_three}; it must take "
            f"({_taken(form)}) and return a differentiable scalar"
        )
        return
    shape = getattr(found, "shape", None)
    if shape != rows["logits"].shape[:2] or not jnp.issubdtype(found.dtype, jnp.floating):
        given = f"an array of shape {shape[2:]}" if shape is not None else "no array"
        if shape == rows["logits"].shape[:2]:
            given = "a number that is no float"
        each = "a batch" if form.batchwise else "a row"
        yield (
            f"{where} (it gives {given} for {each}){of_three}; it must return a differentiable "
            "scalar"
        )


def _taken(form: Form) -> str:
    """What a surrogate is called with, each with its shape, for a message."""

    def shape(name: str) -> str:
        arms = ["m"] if ARGUMENTS[name].text.startswith("[m]") else []
        of_rows = form.batchwise and ARGUMENTS[name].by_row and name != "key"
        return f"{name} [{', '.join(['b'] * of_rows + arms)}]"

    return ", ".join(map(shape, form.asked))


def _fails(graded: Graded, settings: dict[str, float], rows: Rows) -> bool:
    loss, slopes = graded(rows, settings)
    return not (np.isfinite(loss).all() and np.isfinite(slopes).all())


def _not_finite(graded: Graded, settings: dict[str, float], arms: int) -> Iterator[str]:
    """Where the loss or its gradient is not finite: ordinary rows, ties, then ever larger."""
    what, plain = NOT_FINITE, ordinary(arms)
    fails = functools.partial(_fails, graded, settings)
    zero = np.zeros_like(plain["logits"])
    if fails(plain):
        yield f"{what} on ordinary rows: logits and utilities have either sign"
    if fails(plain | {"logits": zero}):
        yield f"{what} where all logits are equal"
    tied = zero + 0.5
    if fails(plain | {"utilities": tied, "predicted": tied, "outcome": tied[:, 0]}) or fails(
        plain | {"utilities": np.sign(plain["utilities"])}
    ):
        yield f"{what} where utilities are equal"
    halves = np.where(np.arange(arms) % 2, -0.5, 0.5).astype(np.float32)
    single = np.eye(arms, dtype=np.float32)[plain["arm"]]
    for lead in LEADS:
        for logits in (lead * single, -lead * single, lead * halves + zero):
            if fails(plain | {"logits": logits}):
                yield (
                    f"{what} where logits lie {lead:g} apart: jax.nn.logsumexp, softplus and "
                    "log_softmax do not overflow where exp and log do"
                )
        names = ("utilities", "predicted", "outcome", "quality")
        if fails(plain | {name: np.float32(lead) * plain[name] for name in names}):
            yield f"{what} where utilities lie {lead:g} apart"


def _not_finite_at_ends(
    graded: Graded, settings: dict[str, float], arms: int, asked: Sequence[str]
) -> Iterator[str]:
    """Where it is not finite at the ends of what else it asks for."""
    plain = ordinary(arms)
    for name in (name for name in ENDS if name in asked):
        for value in ENDS[name]:
            if _fails(graded, settings, plain | {name: np.full_like(plain[name], value)}):
                yield f"{NOT_FINITE} where the {name.replace('_', ' ')} is {value:g}"
    if "mask" in asked and _fails(graded, settings, left_alone(plain)):
        yield f"{NOT_FINITE} where the mask leaves one model"


def _centred(slopes: np.ndarray) -> np.ndarray:
    """Slopes [n, m] without what moves all logits of a row alike."""
    centred: np.ndarray = slopes - slopes.mean(axis=1, keepdims=True)
    return centred


def _alike(slopes: np.ndarray) -> bool:
    return bool((np.abs(_centred(slopes)) <= 1e-6 * (1 + np.abs(slopes))).all())


def _lowers(graded: Graded, settings: dict[str, float], arms: int) -> bool:
    """Whether a step down the gradient lowers the mean utility of every query, from even logits."""
    rows = ordinary(arms, seed=1)
    _, slopes = graded(rows | {"logits": np.zeros_like(rows["logits"])}, settings)
    by_query = slopes.reshape(-1, arms, arms).mean(axis=1)
    utilities = rows["utilities"].reshape(-1, arms, arms)[:, 0]
    change = -(_centred(by_query) * _centred(utilities)).sum(axis=1)
    return bool((change < 0).all())


def _order_problem(
    graded: Graded,
    settings: dict[str, float],
    rows: Rows,
    found: tuple[np.ndarray, np.ndarray],
) -> Iterator[str]:
    """Whether the same rows with their arms in another order have other losses or slopes."""
    arms = rows["logits"].shape[1]
    order = np.array([*range(2, arms), 1, 0])
    turned = {name: v[:, order] if np.ndim(v) == 2 else v for name, v in rows.items()}
    turned["arm"] = np.argsort(order)[rows["arm"]]
    loss, slopes = graded(turned, settings)
    pairs = ((loss, found[0]), (slopes, found[1][:, order]))
    if not all(np.allclose(*pair, rtol=1e-3, atol=1e-4) for pair in pairs):
        yield (
            f"changes with the order of the arms: {WORDS[arms]} arms in another order have another "
            "loss or gradient"
        )


def _counts_nothing(
    surrogate: Surrogate,
    graded: Graded,
    settings: dict[str, float],
    rows: Rows,
) -> Iterator[str]:
    """Whether a surrogate of a batch minds places of weight 0."""
    remedy = "its means must be taken with it, as in jnp.average(values, weights=weight)"
    if "weight" not in form_of(surrogate).asked:
        yield f"is of a whole batch and does not ask for `weight`: {remedy}"
        return
    half = rows | {"weight": (np.arange(len(rows["weight"])) % 2).astype(np.float32)}
    other = dict(half)
    for name in ("logits", "utilities", "predicted", "quality", "outcome"):
        empty = half["weight"].reshape(-1, *[1] * (half[name].ndim - 1)) == 0
        other[name] = np.where(empty, half[name] + 1, half[name])
        if half[name].ndim == 2:
            other[name] = np.where(empty, other[name][:, ::-1], other[name])
    (loss, slopes), (again, moved) = graded(half, settings), graded(other, settings)
    kept = half["weight"] > 0
    same = np.allclose(loss, again, rtol=1e-4, atol=1e-5)
    if not same or not np.allclose(slopes[kept], moved[kept], rtol=1e-3, atol=1e-4):
        yield f"counts places of weight 0, which hold no row: {remedy}"
