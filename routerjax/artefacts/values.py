"""What a manifest may say: its values are checked before anything is made of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from routerjax.errors import InputError
from routerjax.estimators.holes import BOXES
from routerjax.estimators.regions import COUNTS
from routerjax.estimators.task_logit import places_for
from routerjax.training.config import FitConfig

if TYPE_CHECKING:
    from routerjax.artefacts.router import Router

MOST = 10_000_000
"""Of a size that a manifest states; what sizes come to together, the file of parameters shows."""
PROMPT_FORMS = ("last-user", "conversation")
LAYERS = 100
"""Hidden layers at most, each of which takes its time to describe."""


def check_whole(name: str, value: Any, *, least: int = 1, most: int = MOST) -> None:
    """Raise InputError unless a value is a whole number from `least` to `most`."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise InputError(f"{name} is {_short(value)}; it must be a whole number, {least} to {most}")


def check_numbers(
    name: str, values: Any, *, counts: Sequence[int] | None = None, least: float = -math.inf
) -> None:
    """Raise InputError unless values are finite numbers, `least` or more.

    Args:
      name: of the values.
      values: should be a tuple.
      counts: How many there may be; None leaves it open.
      least: the smallest that may be.
    """
    are = isinstance(values, tuple) and all(
        _is_number(value) and value >= least for value in values
    )
    if not are or (counts is not None and len(values) not in counts):
        many = "" if counts is None else f"{' or '.join(map(str, sorted(set(counts))))} of "
        bound = "" if least == -math.inf else f", {least:g} or more"
        problem = f"{name}: {_short(values)}; there must be {many}finite numbers{bound}"
        raise InputError(problem)


def check_rising(name: str, values: Sequence[float]) -> None:
    """Raise InputError unless there are numbers, each greater than the one before it."""
    if not values or any(not low < high for low, high in zip(values, values[1:], strict=False)):
        raise InputError(f"{name}: {_short(values)}; they must rise")


def check_names(name: str, values: Any, *, count: int | None = None) -> None:
    """Raise InputError unless values are distinct texts, none of them empty."""
    are = isinstance(values, tuple) and all(isinstance(each, str) and each for each in values)
    if not are or not values or len(set(values)) != len(values) or count not in (None, len(values)):
        many = "" if count is None else f"{count} "
        raise InputError(f"{name}: {_short(values)}; there must be {many}distinct names")


def check_among(name: str, values: Any, known: Sequence[str], *, count: int) -> None:
    """Raise InputError unless there are `count` values, each of them known."""
    are = isinstance(values, tuple) and all(each in known for each in values)
    if not are or len(values) != count:
        raise InputError(
            f"{name}: {_short(values)}; there must be {count}, each of {_short(known)}"
        )


def check_switches(name: str, values: Any, *, counts: Sequence[int]) -> None:
    """Raise InputError unless values are as many of true and false as there may be."""
    are = isinstance(values, tuple) and all(isinstance(each, bool) for each in values)
    if not are or len(values) not in counts:
        many = " or ".join(map(str, sorted(set(counts))))
        raise InputError(f"{name}: {_short(values)}; there must be {many} of true and false")


def check_text(name: str, value: Any, *, optional: bool = False) -> None:
    """Raise InputError unless a value is text, or, where it is optional, nothing."""
    if not isinstance(value, str) and not (optional and value is None):
        raise InputError(f"{name} is {_short(value)}; it must be text")


def check_object(name: str, value: Any) -> None:
    """Raise InputError unless a value is an object of JSON."""
    if not isinstance(value, dict):
        raise InputError(f"{name} is {_short(value)}; it must be an object")


def check_router(router: Router) -> None:
    """Raise InputError where a field of a router, of a manifest, is what it cannot be."""
    count, grid = len(router.models), router.cost_weights
    check_names("models", router.models)
    check_numbers("cost weights", grid, least=0.0)
    check_rising("cost weights", grid)
    check_whole("dimensions", router.dimensions)
    check_numbers("quality range", router.quality_range, counts=(2,))
    check_rising("quality range", router.quality_range)
    check_numbers("mean cost", (router.mean_cost,), least=0.0)
    check_among("best single models", router.best_single, router.models, count=len(grid))
    for name in ("arm_quality", "arm_cost", "logged_quality", "logged_cost"):
        check_numbers(name, getattr(router, name), counts=(0, count))
    check_numbers("arm_deviation", router.arm_deviation, counts=(0, count), least=0.0)
    if bool(router.logged_quality) != bool(router.logged_cost):
        raise InputError("logged_quality and logged_cost must be of the same models")
    check_switches("kept", router.kept, counts=(0, len(grid)))
    check_whole("seen", router.seen, least=0, most=1 << 40)
    check_text("salt", router.salt)
    check_switches("cuts", (router.cuts,), counts=(1,))
    check_switches("logit", (router.logit,), counts=(1,))
    check_whole("holes", router.holes, least=0, most=BOXES)
    check_whole("regions", router.regions, least=0, most=max(COUNTS))
    check_text("encoder", router.encoder, optional=True)
    check_among("prompt form", (router.prompt_form,), PROMPT_FORMS, count=1)
    for name in ("report", "provenance"):
        check_object(name, getattr(router, name))
    check_config(router.config)
    check_whole("tasks", router.tasks, least=0, most=places_for(router.config.nuisance.tasks))
    if router.config.components is not None:
        check_whole("components", router.config.components, least=0, most=router.dimensions)


def check_config(config: FitConfig) -> None:
    """Raise InputError where a configuration states a size that cannot be."""
    router, nuisance = config.router, config.nuisance
    check_whole("members", router.members)
    for name in ("folds", "components", "landmarks"):
        check_whole(name, getattr(nuisance, name))
    check_whole("tasks", nuisance.tasks, least=0)
    for widths in (router.widths, nuisance.widths):
        check_whole("hidden layers", len(widths), least=0, most=LAYERS)
        for width in widths:
            check_whole("a hidden width", width)


def _is_number(value: Any) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number of 400 digits
        return False


def _short(value: Any) -> str:
    text = repr(list(value) if isinstance(value, tuple) else value)
    return text if len(text) <= 60 else f"{text[:57]}..."
