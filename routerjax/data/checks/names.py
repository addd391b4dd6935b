"""Tests of model names: one model in several spellings."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence

import numpy as np

from routerjax.data.checks.cells import Cells
from routerjax.data.checks.finding import Finding, listed

DATE = re.compile(r"[-@:](\d{4}-\d{2}-\d{2}|20\d{6}|latest)$")


def spellings(models: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Names that differ by case, blanks, a vendor's prefix or a date alone.

    ``openai/gpt-4o`` and ``gpt-4o`` are one model, ``azure/gpt-4o`` and ``openai/gpt-4o`` may be
    two. A date counts where one dated name stands beside the bare one; two dated names are two.

    Args:
      models: names, without repetition.

    Returns:
      The name to keep → its other spellings, in the order of `models`.
    """
    keys = [_key(model) for model in models]
    dated = [DATE.sub("", key) for key in keys]
    found: dict[str, list[str]] = {}
    for at in sorted(range(len(models)), key=lambda i: (_ugliness(models[i]), i)):
        kept = next((name for name in found if _same(_key(name), keys[at])), None)
        if kept is None and dated[at] != keys[at]:
            alike = [
                key for key in set(keys) if DATE.sub("", key) == dated[at] and key != dated[at]
            ]
            base = next((name for name in found if _same(_key(name), dated[at])), None)
            kept = base if len(alike) == 1 else None
        if kept is None:
            found[models[at]] = []
        else:
            found[kept].append(models[at])
    return {
        name: tuple(model for model in models if model in others)
        for name, others in found.items()
        if others
    }


def alias_of(name: str, others: Sequence[str]) -> str:
    """The option that makes one model of several spellings; what stripping merges needs none."""
    needed = [other for other in others if other.strip() != name]
    told = f"{name}={','.join(needed)}"
    return f"--alias {shlex.quote(told)}"


def name_findings(cells: Cells) -> Iterator[Finding]:
    """Models that are probably one."""
    for name, others in spellings(cells.models).items():
        arms = [cells.models.index(other) for other in others]
        among = np.isin(cells.arms, arms)
        needed = any(other.strip() != name for other in others)
        right = f"{alias_of(name, others)} makes them one" if needed else "strip the blanks"
        yield Finding(
            name="model-names",
            column="model",
            problem=f"models {listed([name, *others])} look like one model in several spellings",
            right=right,
            model=name,
            share=float(among.mean()),
            row=int(cells.rows[among.argmax()]) if among.any() and not cells.wide else None,
        )


def _key(name: str) -> str:
    return re.sub(r"[\s_]+", "-", name.strip().casefold())


def _same(one: str, other: str) -> bool:
    """Equal, or equal after a prefix that ends in a slash."""
    return one == other or one.endswith(f"/{other}") or other.endswith(f"/{one}")


def _ugliness(name: str) -> tuple[bool, int, bool, bool]:
    """The spelling to keep comes first: without date, prefix, blanks and capitals."""
    key = _key(name)
    return (
        DATE.search(key) is not None,
        name.count("/"),
        name != name.strip() or " " in name,
        name != name.casefold(),
    )
