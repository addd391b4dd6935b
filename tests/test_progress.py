"""Progress bars: what they write, where to, and that one argument shows them."""

from __future__ import annotations

import io

import numpy as np
import pytest
from rich.console import Console

import routerjax as rj
from routerjax.training.execution import Execution, watched
from routerjax.training.progress import progress_bars


def test_one_bar_a_thing_trained_on_the_console_given(capsys):
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=80)
    with progress_bars(console=console) as on_progress:
        on_progress("router", 3, 10)
        on_progress("outcomes", 1, 4)
        on_progress("router", 10, 10)
    shown = text.getvalue()
    assert "router" in shown and "10/10 epochs" in shown and "1/4 epochs" in shown
    assert capsys.readouterr() == ("", "")


def test_nothing_is_written_where_nothing_was_trained():
    text = io.StringIO()
    with pytest.raises(KeyError), progress_bars(console=Console(file=text, force_terminal=True)):
        raise KeyError
    assert text.getvalue() == ""


def test_quiet_has_no_callback():
    with progress_bars(quiet=True) as on_progress:
        assert on_progress is None


def test_fit_shows_bars_on_standard_error_if_asked(world, router, capsys):
    told = []

    def on_progress(what, done, at_most):
        told.append(what)

    execution = Execution(on_progress=on_progress)
    shown = rj.fit(world.log, config=world.config, execution=execution, progress=True)
    out, err = capsys.readouterr()
    assert out == "" and "epochs" in err
    assert told and all(what[:20] in err for what in set(told))  # both are told
    embeddings = world.log.features[:9]
    ours, theirs = (rj.route(one, embeddings, cost_weight=64) for one in (shown, router))
    np.testing.assert_array_equal(ours.probabilities, theirs.probabilities)


def test_without_the_argument_nothing_is_shown(capsys):
    with watched(Execution(), False) as execution:
        assert execution == Execution()
    assert capsys.readouterr() == ("", "")
