"""The command line of a study: a preset, what is changed of it, and where the files go."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from routerjax.cli.app import Options, Parsed, add_command, make_app, run
from routerjax.cli.options import choose, option
from routerjax.cli.terminal import exit_code
from routerjax.support.threads import half_the_cores_for_xla


@dataclasses.dataclass(frozen=True)
class Study:
    """Which study is run, and where its files go.

    Attributes:
      preset: The configuration that the other options change.
      out: The folder for the files.
      overwrite: An older results folder is replaced.
      quiet: No progress is shown.
    """

    preset: str = "quick"
    out: Path = option(Path("results"), "FOLDER")
    overwrite: bool = False
    quiet: bool = False


def main(
    prog: str,
    text: str,
    presets: Mapping[str, Any],
    handle: Callable[[Parsed, Any], None],
    *,
    out: str,
    groups: Sequence[Options] = (),
    without: Sequence[str] = (),
    arguments: Sequence[str] | None = None,
) -> int:
    """Run a study's command line; returns the exit code.

    Args:
      prog: the module, as in "experiments.surrogates".
      text: its help.
      presets: configurations by name, "quick" among them.
      handle: called with what was parsed and the preset with what was given laid over it.
      out: default folder.
      groups: further options.
      without: names of options of `Study` that this study has not.
      arguments: of the command line; None takes those of the process.
    """
    half_the_cores_for_xla()
    shown = presets["quick"]
    study = dataclasses.replace(Study(), out=Path(out))

    def command(parsed: Parsed) -> None:
        chosen = parsed[Study].preset
        choose(chosen, tuple(presets), "--preset")
        handle(parsed, parsed.over(presets[chosen], type(shown)))

    app = make_app(f"python -m {prog}", text)
    add_command(
        app,
        None,
        command,
        text=text,
        groups=[
            Options("Study", study, without=without),
            Options("Settings of the preset (defaults are those of quick)", shown),
            *groups,
        ],
    )
    return exit_code(lambda: run(app, arguments), prog=prog)
