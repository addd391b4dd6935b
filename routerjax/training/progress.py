"""Progress bars, in a terminal on standard error or in a notebook."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from routerjax.training.fit import OnProgress

if TYPE_CHECKING:
    from rich.console import Console


@contextlib.contextmanager
def progress_bars(
    *, quiet: bool = False, console: Console | None = None
) -> Iterator[OnProgress | None]:
    """A callback that shows one bar per thing trained; None when `quiet`.

    A bar jumps to its end when a run stops early: epochs at most, not epochs needed, is known. What
    has no epochs is shown in a terminal as long as it lasts.

    Args:
      quiet: show nothing.
      console: where to; by default standard error, or the cell of a notebook.
    """
    if quiet:
        yield None
        return
    from rich import console as consoles
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description:<24}"),
        BarColumn(),
        TextColumn("{task.fields[epochs]}"),
        TimeElapsedColumn(),
    )
    bars = Progress(*columns, console=console or consoles.Console(stderr=True))
    tasks: dict[str, TaskID] = {}

    steps: dict[str, list[TaskID]] = {}

    def on_progress(name: str, done: int, at_most: int) -> None:
        if at_most == 1:
            step(name, done)
            return
        bars.start()  # with the first bar: an error before it stays a single line
        if name not in tasks:
            tasks[name] = bars.add_task(name, total=at_most, epochs="")
        bars.update(tasks[name], completed=done, epochs=f"{done}/{at_most} epochs")

    def step(name: str, done: int) -> None:
        if not bars.console.is_terminal:
            return
        bars.start()
        under_way = steps.setdefault(name, [])
        if not done:
            under_way.append(bars.add_task(name, total=None, epochs=""))
        elif under_way:
            bars.remove_task(under_way.pop())

    try:
        yield on_progress
    finally:
        if bars.live.is_started:
            bars.live.transient = not tasks  # steps leave nothing behind
            bars.stop()
