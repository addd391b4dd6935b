"""Progress bars: what they write, where to, and that one argument shows them."""

from __future__ import annotations

import io
import time

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
        if at_most > 1:  # what has no epochs is shown in a terminal alone
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


def test_what_has_no_epochs_is_shown_while_it_lasts_and_leaves_nothing():
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=80)
    with progress_bars(console=console) as on_progress:
        execution = Execution(on_progress=on_progress)
        with execution.step("log's policy"):
            time.sleep(0.2)  # the bars are drawn ten times a second
        assert "log's policy" in text.getvalue() and "epochs" not in text.getvalue()
        with execution.step("outcome models"), execution.step("outcome models"):
            pass
        with pytest.raises(KeyError), execution.step("what fails"):
            raise KeyError
    assert text.getvalue().count("\n") == text.getvalue().count("\x1b[1A")  # all lines taken back


def test_steps_stay_silent_where_nobody_watches():
    text = io.StringIO()
    with progress_bars(console=Console(file=text)) as on_progress:
        with Execution(on_progress=on_progress).step("log's policy"):
            pass
    assert text.getvalue() == ""
    with Execution().step("nobody is told"):
        pass


def test_a_plug_in_fit_says_what_it_is_at(world):
    told = []
    execution = Execution(on_progress=lambda *call: told.append(call))
    config = rj.FitConfig(cost_weights=(0.0, 64.0))
    router = rj.fit(world.log.rows(slice(0, 150)), config=config, execution=execution)
    names = ("log's policy", "outcome models", "value of the router")
    assert told == [(name, done, 1) for name in names for done in (0, 1)]
    told.clear()
    with pytest.warns(rj.DataWarning, match="answered so few rows"):
        rj.evaluate(router, world.log.rows(slice(150, 200)), execution=execution)
    assert told == [(name, done, 1) for name in (names[0], names[2]) for done in (0, 1)]
