"""A surrogate tried out before anything is trained: what is wrong with it, in words.

Rows of one to twelve arms, drawn at random, with ties, with logits and utilities far apart. A
surrogate of the logged answer is tried on rows that every arm answered in turn, with equal
propensities, so that what is true of its mean shows.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from routerjax.errors import InputError
from routerjax.losses.arguments import ARGUMENTS, Surrogate, form_of, losses

MOST = 12
TRIED = (3, 2, 12, 1)
"""Numbers of arms with which values are looked at; all up to `MOST` are traced."""

LEADS = (10.0, 30.0, 100.0, 1e3, 1e4)
"""Distances between logits, and between utilities."""

WORDS = dict(enumerate("one two three four five six seven eight nine ten eleven twelve".split(), 1))

Rows = dict[str, np.ndarray]
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
    plain = {arms: _ordinary(arms) for arms in TRIED}
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
        each = losses(surrogate, _with_axes(rows | {"logits": logits}), settings)[:, 0]
        shared = len(logits) if form_of(surrogate).batchwise else 1  # each row holds the batch's
        return jnp.sum(each) / shared, each

    sloped = jax.jit(jax.value_and_grad(total, has_aux=True))

    def graded(rows: Mapping[str, Any], settings: Mapping[str, Any]) -> tuple[Any, Any]:
        (_, each), slopes = sloped(rows["logits"], dict(rows), dict(settings))
        return np.asarray(each), np.asarray(slopes)

    return graded


def _with_axes(rows: Mapping[str, Any]) -> dict[str, Any]:
    """Rows of one cost weight with the axis of cost weights where they have one, and keys."""
    with_axis = {
        name: jnp.asarray(value)[:, None]
        if ARGUMENTS[name].by_cost_weight and ARGUMENTS[name].by_row
        else jnp.asarray(value)
        for name, value in rows.items()
    }
    count = len(rows["logits"])
    return with_axis | {"key": jax.random.split(jax.random.key(0), (count, 1))}


def _shape_problem(surrogate: Surrogate, settings: dict[str, float], arms: int) -> Iterator[str]:
    rows, count = _with_axes(_ordinary(arms)), WORDS[arms]
    one = "arm" if arms == 1 else "arms"
    of_three = "" if arms == 3 else ", though not on one of three: nothing may rest on their number"
    try:
        found = jax.eval_shape(functools.partial(losses, surrogate), rows, dict(settings))
    except Exception as error:
        reason = (str(error).strip().splitlines() or [""])[0]
        yield (
            f"fails on a row of {count} {one} ({type(error).__name__}: {reason}){of_three}; it "
            "must take (logits [m], utilities [m]) and return a differentiable scalar"
        )
        return
    shape = getattr(found, "shape", None)
    if shape != rows["logits"].shape[:2] or not jnp.issubdtype(found.dtype, jnp.floating):
        own = "a batch" if form_of(surrogate).batchwise else "a row"
        given = f"an array of shape {shape[2:]}" if shape is not None else "no array"
        if shape == rows["logits"].shape[:2]:
            given = "a number that is no float"
        yield (
            f"fails on a row of {count} {one} (it gives {given} for {own}){of_three}; it must "
            "return a differentiable scalar"
        )


def _ordinary(arms: int, seed: int = 0) -> Rows:
    """Rows of utilities drawn at random, each answered by every arm in turn."""
    rng = np.random.default_rng([arms, seed])
    queries = max(1, 24 // arms)
    logits, utilities = rng.normal(size=(2, queries, arms))
    predicted = utilities + 0.3 * rng.normal(size=(queries, arms))
    cost = rng.uniform(0.001, 0.01, size=(queries, arms))
    return _logged(logits, utilities, predicted, cost)


def _logged(
    logits: np.ndarray, utilities: np.ndarray, predicted: np.ndarray, cost: np.ndarray
) -> Rows:
    """Rows [n, m] as rows of a log, n·m of them; utilities are (q − 50·c) / 1.25."""
    count, arms = utilities.shape
    arm = np.tile(np.arange(arms), count)

    def each(values: np.ndarray) -> np.ndarray:
        return np.repeat(values, arms, axis=0).astype(np.float32)

    repeated = each(utilities)
    return {
        "logits": each(logits),
        "utilities": repeated,
        "predicted": each(predicted),
        "quality": each(1.25 * utilities + 50 * cost),
        "cost": each(cost),
        "cost_weight": np.array([50.0], np.float32),
        "unit": np.array([1.25], np.float32),
        "arm": arm,
        "outcome": repeated[np.arange(len(arm)), arm],
        "propensity": np.full(len(arm), 1 / arms, np.float32),
        "weight": np.ones(len(arm), np.float32),
        "mask": np.ones(repeated.shape, bool),
    }


def _not_finite(graded: Graded, settings: dict[str, float], arms: int) -> Iterator[str]:
    """Where the loss or its gradient is not finite: ordinary rows, ties, then ever larger."""
    what = "gives a loss or gradient that is not finite"
    plain = _ordinary(arms)

    def fails(rows: Rows) -> bool:
        loss, slopes = graded(rows, settings)
        return not (np.isfinite(loss).all() and np.isfinite(slopes).all())

    zero = np.zeros_like(plain["logits"])
    if fails(plain):
        yield what
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


def _centred(slopes: np.ndarray) -> np.ndarray:
    """Slopes [n, m] without what moves all logits of a row alike."""
    centred: np.ndarray = slopes - slopes.mean(axis=1, keepdims=True)
    return centred


def _alike(slopes: np.ndarray) -> bool:
    return bool((np.abs(_centred(slopes)) <= 1e-6 * (1 + np.abs(slopes))).all())


def _lowers(graded: Graded, settings: dict[str, float], arms: int) -> bool:
    """Whether a step down the gradient lowers the mean utility of every query, from even logits."""
    rows = _ordinary(arms, seed=1)
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
