"""How trainings are carried out: what they tell, on which devices, and what survives a crash.

None of it changes a result beyond the order of sums, so that it travels beside the
configuration, not in it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import re
from collections.abc import Iterator
from typing import Any

from routerjax.training.checkpoint import Checkpoints
from routerjax.training.fit import OnProgress
from routerjax.training.parallel import Devices
from routerjax.training.progress import progress_bars
from routerjax.training.sweep import Sweep


@dataclasses.dataclass(frozen=True)
class Execution:
    """How the trainings of a fit or a study are carried out.

    Attributes:
      on_progress: called with (what is trained, epochs done, epochs at most), and as `step` does.
      sweep: runs one after another or side by side.
      devices: how many, and what they share out; None is JAX's default device.
      checkpoints: where trainings leave their state and take it up again; None leaves none.
    """

    on_progress: OnProgress | None = None
    sweep: Sweep = Sweep()
    devices: Devices | None = None
    checkpoints: Checkpoints | None = None

    def of(self, stage: str) -> dict[str, Any]:
        """Arguments of `routerjax.training.fit.fit` for one training by its name."""
        return {
            "on_progress": functools.partial(self.on_progress, stage) if self.on_progress else None,
            "sweep": self.sweep,
            "devices": self.devices,
            "checkpoint": self.checkpoints and self.checkpoints.stage(_folder(stage)),
        }

    @contextlib.contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Say what is at hand while it lasts, where nothing counts epochs: 0 of 1, then 1 of 1."""
        told = self.on_progress or (lambda *call: None)
        told(what, 0, 1)
        try:
            yield
        finally:
            told(what, 1, 1)

    def within(self, name: str) -> Execution:
        """The execution of one part among several: its progress and checkpoints say which."""
        told, checkpoints = self.on_progress, self.checkpoints

        def on_progress(what: str, done: int, at_most: int) -> None:
            if told is not None:
                told(f"{name}, {what}", done, at_most)

        return dataclasses.replace(
            self,
            on_progress=on_progress if told else None,
            checkpoints=checkpoints and checkpoints.stage(_folder(name)),
        )


@contextlib.contextmanager
def watched(execution: Execution, progress: bool) -> Iterator[Execution]:
    """The execution with progress bars, if `progress`, beside whatever it tells already."""
    with progress_bars(quiet=not progress) as bars:
        told = execution.on_progress
        if bars is None or told is None:
            yield dataclasses.replace(execution, on_progress=bars or told)
            return
        shown = bars

        def both(what: str, done: int, at_most: int) -> None:
            told(what, done, at_most)
            shown(what, done, at_most)

        yield dataclasses.replace(execution, on_progress=both)


def _folder(name: str) -> str:
    """A name as one folder's."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name)
