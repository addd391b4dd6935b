"""Which rows train and which stop: counts by hand, every row where it belongs."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from routerjax.errors import InputError
from routerjax.estimators.folds import make_folds, member_splits

ARMS = np.repeat([0, 1, 2], [50, 30, 7])


def split(key=0, **changes):
    settings = {"folds": 5, "held_out": 0.25, "key": jax.random.key(key), **changes}
    return make_folds(ARMS, **settings)


def test_folds_by_hand():
    """87 rows in five folds: 18, 18, 17, 17, 17; 69 or 70 others, of which 17 stop and 52 train."""
    got = split()
    assert np.bincount(got.of_row).tolist() == [18, 18, 17, 17, 17]
    assert got.train.shape == (5, 52) and got.held_out.shape == (5, 17)
    for fold in range(5):
        own = np.flatnonzero(got.of_row == fold)
        others = [*np.asarray(got.train[fold]), *np.asarray(got.held_out[fold])]
        assert len({*others}) == 69 and not {*others} & {*own}
        counts = np.bincount(ARMS[own], minlength=3)
        assert counts[0] == 10 and counts[1] == 6 and counts[2] in (1, 2)


def test_folds_are_drawn_anew_for_another_key_and_shuffled_within_an_arm():
    first, other = split(0), split(1)
    assert not np.array_equal(first.of_row, other.of_row)
    assert not np.array_equal(first.of_row[:50], np.arange(50) % 5)  # nor dealt in the order given
    # what stops is drawn, too: not the first of the rows outside, nor the last
    outside = np.flatnonzero(first.of_row != 0)
    held_out = np.asarray(first.held_out[0])
    assert {*held_out} not in ({*outside[:17]}, {*outside[-17:]})
    assert np.ptp(ARMS[held_out]) == 2
    # and what trains comes in no order
    assert not np.all(np.diff(np.asarray(first.train[0])) > 0)


def test_at_least_one_row_stops():
    got = split(held_out=0.001)
    assert got.held_out.shape == (5, 1) and got.train.shape == (5, 68)


def test_own_takes_each_rows_output_from_its_own_fold():
    got = split()
    outputs = 1000 * np.arange(5)[:, None, None] + np.stack([np.arange(87)] * 2, axis=1)
    own = got.own(outputs)
    assert own.shape == (87, 2)
    np.testing.assert_array_equal(own[:, 1], 1000 * got.of_row + np.arange(87))
    part = slice(10, 20)
    np.testing.assert_array_equal(got.own(outputs[:, part], part), own[part])
    assert len(got.outside()) == 5
    for fold, outside in enumerate(got.outside()):
        np.testing.assert_array_equal(outside, got.of_row != fold)


def test_members_hold_out_other_rows_each():
    train, held_out = member_splits(10, members=3, held_out=0.3, seed=0)
    assert train.shape == (3, 7) and held_out.shape == (3, 3)
    assert len({*held_out.ravel()}) == 9
    assert all({*one} | {*out} == {*range(10)} for one, out in zip(train, held_out, strict=True))
    again, other = (member_splits(10, members=3, held_out=0.3, seed=s)[1] for s in (0, 1))
    np.testing.assert_array_equal(held_out, again)
    assert not np.array_equal(held_out, other)


@pytest.mark.parametrize(
    ("rows", "held_out", "counts"),
    [(10, 0.01, (9, 1)), (10, 0.25, (8, 2)), (10, 0.99, (1, 9)), (2, 0.9, (1, 1))],
)
def test_members_train_and_stop_on_a_row_at_least(rows, held_out, counts):
    train, stop = member_splits(rows, members=1, held_out=held_out, seed=0)
    assert (train.shape[1], stop.shape[1]) == counts


def test_member_splits_refuse():
    for held_out in (0.0, 1.0, -0.5, 1.5, float("nan")):
        with pytest.raises(InputError, match=f"share is {held_out:g}; it must lie between 0 and 1"):
            member_splits(10, members=1, held_out=held_out, seed=0)
    with pytest.raises(InputError, match="members is 0; at least 1"):
        member_splits(10, members=0, held_out=0.5, seed=0)


def test_fewer_rows_than_folds_are_refused():
    with pytest.raises(InputError, match="4 rows are too few; 5 folds need as many at least"):
        make_folds(np.arange(4) % 2, folds=5, held_out=0.1, key=jax.random.key(0))


def test_folds_hold_out_other_rows():
    """Of five folds with a fifth held out no row is held out twice, but at the edges of turns."""
    arms = np.random.default_rng(0).integers(0, 3, 1000)
    got = make_folds(arms, folds=5, held_out=0.2, key=jax.random.key(0))
    times = np.bincount(np.concatenate(np.asarray(got.held_out)), minlength=1000)
    assert got.held_out.shape == (5, 160) and (times > 1).mean() < 0.02
    assert (times == 1).mean() > 0.75
