"""Which rows train a model, which stop it, which it predicts: folds, and splits of members."""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, PRNGKeyArray, UInt32

from routerjax.errors import InputError
from routerjax.support.compilation import padded_size, quickly_compiled, split_keys


class Folds(NamedTuple):
    """Row positions of a K-fold split.

    Attributes:
      of_row: [n] fold of each row.
      train, held_out: [k, ·] rows outside fold k, on which its models train and stop.
    """

    of_row: np.ndarray
    train: np.ndarray
    held_out: np.ndarray

    def outside(self) -> list[np.ndarray]:
        """Per fold the mask [n] of the rows outside it."""
        return [self.of_row != k for k in range(self.train.shape[0])]

    def own(self, outputs: Any, rows: slice = slice(None)) -> np.ndarray:
        """Each row's output by its own fold's model, of all or some: [k, n, ...] → [n, ...]."""
        of_row = self.of_row[rows]
        own: np.ndarray = np.asarray(outputs)[of_row, np.arange(len(of_row))]
        return own


def make_folds(
    arms: Int[np.ndarray, " n"],
    *,
    folds: int,
    held_out: float,
    key: PRNGKeyArray,
    groups: Int[np.ndarray, " n"] | None = None,
) -> Folds:
    """Split rows into folds, every arm spread evenly over them, rows of a group together.

    What is held out of the rows outside a fold are the first groups of a random order, from another
    place in it for every fold: where their share is 1/K or less no row is held out twice, but for
    groups at the edges, so that what all folds' held-out rows say together is worth as many rows.

    Args:
      arms: [n] arm that answered.
      folds: K.
      held_out: share of the rows outside a fold that is kept for early stopping.
      key: Random key of the two shuffles.
      groups: [n] numbers 0, 1, … of what is independent; None where every row is. Where groups
        hold several rows, sizes are as even as they allow, and shorter folds end in −1, no row.

    Raises:
      InputError: fewer rows or groups than folds.
    """
    deal, shuffle = split_keys(key)
    order = shuffled(deal, len(arms))
    if groups is None or groups.max(initial=-1) + 1 == len(arms):
        if len(arms) < folds:
            raise InputError(f"{len(arms)} rows are too few; {folds} folds need as many at least")
        order = order[np.argsort(arms[order], kind="stable")]
        of_row = np.empty(len(arms), np.int32)
        of_row[order] = np.arange(len(arms)) % folds
        groups = np.arange(len(arms))
    else:
        of_row = _dealt(groups, order, folds)

    order = shuffled(shuffle, len(arms))
    turns = [np.roll(order, -(k * len(arms) // folds)) for k in range(folds)]
    others = [turn[of_row[turn] != k] for k, turn in enumerate(turns)]
    size = min(len(rows) for rows in others)  # where groups are rows, they differ by a row
    stop = max(1, round(held_out * size))
    cut = [_cut(rows, groups, stop) for rows in others]
    if groups.max(initial=-1) + 1 == len(arms):  # equal shapes compile once
        cut = [(kept[: size - stop], apart) for kept, apart in cut]
    train, apart = (_padded([pair[part] for pair in cut]) for part in (0, 1))
    return Folds(of_row, train, apart)


def shuffled(key: PRNGKeyArray, count: int) -> Int[np.ndarray, " n"]:
    """0 to n − 1 in random order, that of `jax.random.permutation`, compiled for few sizes of n.

    Args:
      key: Random key.
      count: n.
    """
    rounds = math.ceil(3 * math.log(max(1, count)) / math.log(2**32 - 1))
    order, drawn = np.arange(count), np.asarray(_bits(key, size=padded_size(count), rounds=rounds))
    for bits in drawn:
        order = order[np.argsort(bits[:count], kind="stable")]
    return order


@functools.partial(quickly_compiled, static=("size", "rounds"))
def _bits(key: PRNGKeyArray, *, size: int, rounds: int) -> UInt32[Array, "rounds size"]:
    """Random bits of every round; the first of them do not depend on how many are drawn."""
    drawn = []
    for _ in range(rounds):
        key, own = jax.random.split(key)
        drawn.append(jax.random.bits(own, (size,)))
    return jnp.stack(drawn) if drawn else jnp.zeros((0, size), jnp.uint32)


def few_groups(count: int, folds: int) -> str:
    """That there are fewer groups than folds, and what a group is."""
    few = "1 group of rows is" if count == 1 else f"{count} groups of rows are"
    return (
        f"{few} too few; {folds} folds need as many at least (rows of equal queries, or of one "
        "value of --group, are one group)"
    )


def _dealt(groups: np.ndarray, order: np.ndarray, folds: int) -> np.ndarray:
    """[n] fold of each row: groups by falling size, each to the fold with the fewest rows."""
    sizes = np.bincount(groups)
    if len(sizes) < folds:
        raise InputError(few_groups(len(sizes), folds))
    shuffled = groups[order][np.sort(np.unique(groups[order], return_index=True)[1])]
    of_group, rows = np.empty(len(sizes), np.int32), np.zeros(folds, np.int64)
    for group in shuffled[np.argsort(-sizes[shuffled], kind="stable")]:
        of_group[group] = rows.argmin()
        rows[of_group[group]] += sizes[group]
    of_row: np.ndarray = of_group[groups]
    return of_row


def _cut(rows: np.ndarray, groups: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows but for the first groups that hold `count` rows or more between them, and those."""
    found, first, sizes = np.unique(groups[rows], return_index=True, return_counts=True)
    met = np.argsort(first)
    before = np.cumsum(sizes[met]) - sizes[met]
    taken = found[met[: max(1, min(int((before < count).sum()), len(met) - 1))]]
    apart = np.isin(groups[rows], taken)
    return rows[~apart], rows[apart]


def _padded(parts: list[np.ndarray]) -> np.ndarray:
    """Positions of unequal numbers as one array, −1 for no row."""
    longest = max(len(rows) for rows in parts)
    rows = [np.pad(own, (0, longest - len(own)), constant_values=-1) for own in parts]
    return np.stack(rows).astype(np.int32)


def member_splits(
    rows: int,
    *,
    members: int,
    held_out: float,
    seed: int,
    groups: Int[np.ndarray, " n"] | None = None,
) -> tuple[Int[np.ndarray, "b t"], Int[np.ndarray, "b h"]]:
    """Training and held-out positions of each member, [b, ·]: other rows held out for each.

    Args:
      rows: n.
      members: b; their held-out rows overlap only where b·held_out exceeds 1.
      held_out: share of the rows, or of the groups.
      seed: Seed of the shuffle.
      groups: [n] as of `make_folds`; where they hold several rows, −1 fills the shorter splits.

    Raises:
      InputError: a share outside (0, 1), or no members.
    """
    if not 0 < held_out < 1:
        raise InputError(f"validation share is {held_out:g}; it must lie between 0 and 1")
    if members < 1:
        raise InputError(f"members is {members}; at least 1 is needed")
    if groups is not None and groups.max(initial=-1) + 1 < rows:
        units = int(groups.max()) + 1
        train, apart = member_splits(units, members=members, held_out=held_out, seed=seed)
        return _padded([_of_groups(groups, own) for own in train]), _padded(
            [_of_groups(groups, own) for own in apart]
        )
    order = np.random.default_rng(seed).permutation(rows)
    count = min(max(1, round(held_out * rows)), rows - 1)
    turned = np.stack([np.roll(order, -member * count) for member in range(members)])
    return turned[:, count:], turned[:, :count]


def _of_groups(groups: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Rows of these groups, group by group in the order given."""
    place = np.full(int(groups.max()) + 1, -1)
    place[order] = np.arange(len(order))
    rows = np.flatnonzero(place[groups] >= 0)
    return rows[np.argsort(place[groups[rows]], kind="stable")]
