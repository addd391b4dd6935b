"""Cells of queries in which an arm was never asked: what is found, and what may be chance."""

import numpy as np
import pytest

from routerjax.estimators.cells import never_asked


def test_one_cell_by_hand():
    """Two arms of level ¹⁄₂₀, so that c = ¼. b answered none of the n rows of the first of two
    cells: (¾)ⁿ · C(2, 1) · 2 · 2 ≤ 0.05 from n = 18 on, since (¾)¹⁷ · 8 = 0.0601 and (¾)¹⁸ · 8 =
    0.0451."""
    for rows, found in ((17, False), (18, True)):
        could = np.array([[rows, rows], [100.0, 100.0]])
        did = np.array([[rows, 0.0], [50.0, 50.0]])
        expected = np.array([[False, found], [False, False]])
        np.testing.assert_array_equal(never_asked(could, did, np.full(2, 0.05)), expected)


def test_cells_tell_together_what_none_tells_alone():
    """Four of thirty tasks of 50 rows each, as rows of groups of two, and of five arms."""
    rows = np.full((30, 5), 50.0)
    hits = np.full((30, 5), 10.0)
    hits[:4, 2] = 0
    level = np.full(5, 0.02)
    expected = hits == 0
    np.testing.assert_array_equal(never_asked(rows, hits, level), expected)
    one = np.where(np.arange(30)[:, None] == 0, hits, 10.0)
    assert not never_asked(rows, one, level).any()
    assert not never_asked(rows, hits, level, together=3.0).any()
    assert not never_asked(rows, hits, np.zeros(5)).any()


def test_groups_of_a_cell_count_once():
    """Three users of sixty rows each, with a task of their own, are three rows in their tasks."""
    rows = np.array([[60.0, 60.0], [60.0, 60.0], [900.0, 900.0]])
    hits = np.array([[60.0, 0.0], [60.0, 0.0], [450.0, 450.0]])
    level = np.full(2, 0.05)
    assert never_asked(rows, hits, level)[:2, 1].all()
    assert not never_asked(rows, hits, level, together=np.array([60.0, 60.0, 1.0])).any()


@pytest.mark.parametrize("share", [0.1, 0.2])
def test_arms_that_are_asked_enough_lose_no_cell(share):
    """Of forty cells; one log in twenty may lose one where an arm is asked of c or more."""
    rng, rows, lost = np.random.default_rng(0), np.round(np.geomspace(5, 200, 40)).astype(int), 0
    for _ in range(1000):
        hits = rng.binomial(rows, share).astype(float)
        both = np.stack([hits, rows - hits], axis=1)
        lost += never_asked(np.stack([rows, rows], axis=1), both, np.full(2, 0.02)).any()
    assert lost <= 50


def test_recorded_propensities_count_for_answers():
    rows = np.full((2, 2), 200.0)
    hits = np.array([[199.0, 0.4], [100.0, 100.0]])
    found = never_asked(rows, hits, np.full(2, 0.05))
    np.testing.assert_array_equal(found, [[False, True], [False, False]])
