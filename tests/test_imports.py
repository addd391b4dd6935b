"""What a process waits for before its command starts."""

import gc

import pytest

from routerjax.cli.commands import COMMANDS, app, main
from routerjax.support.imports import quick_imports


def _names(application) -> set[str]:
    return {name for name in application if not name.startswith("-")}


def test_the_command_that_was_typed_is_alone_and_others_are_all():
    assert _names(app(["evaluate", "router", "fit"])) == {"evaluate"}
    assert _names(app(["rollback", "router"])) == {"refit", "rollback"}
    for typed in ([], ["--help"], ["fti", "log.csv"]):
        assert _names(app(typed)) == set(COMMANDS)


def test_a_command_that_is_none_is_told_from_all(capsys):
    assert main(["evalute", "router"]) == 2
    assert "evaluate" in capsys.readouterr().err


@pytest.mark.parametrize("was_on", [True, False])
def test_what_is_imported_is_not_searched_and_the_rest_is(was_on):
    on, frozen = gc.isenabled(), gc.get_freeze_count()
    try:
        (gc.enable if was_on else gc.disable)()
        with quick_imports():
            assert not gc.isenabled()
            kept = [[] for _ in range(10)]
        assert gc.isenabled() == was_on
        assert gc.get_freeze_count() >= frozen + len(kept)
    finally:
        gc.unfreeze()
        (gc.enable if on else gc.disable)()
