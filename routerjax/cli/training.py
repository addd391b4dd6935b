"""From the options of a command that trains to how its trainings are carried out."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from routerjax.cli.options import CORES, Processes, Training, choose
from routerjax.errors import InputError
from routerjax.support.cores import usable_cores
from routerjax.support.locks import locked

if TYPE_CHECKING:
    from routerjax.training.execution import Execution
    from routerjax.training.fit import OnProgress
    from routerjax.training.parallel import Devices


def join(processes: Processes, training: Training) -> bool:
    """Join the processes that the options name; whether this one is to write what comes of it.

    Raises:
      InputError: options that do not go together, or processes that cannot be joined.
    """
    named = (processes.coordinator, processes.processes, processes.process_id)
    if not processes.cluster and named == (None, None, None):
        return True
    if processes.cluster and named != (None, None, None):
        raise InputError("--cluster asks the cluster; give no coordinator, processes or process id")
    if training.parallel not in (None, "rows"):
        problem = f"--parallel is {training.parallel}; with several processes it must be rows"
        raise InputError(problem)
    import jax

    from routerjax.training.processes import initialize

    _cores(training)
    initialize(*named)
    return jax.process_index() == 0


@contextlib.contextmanager
def execution(
    training: Training,
    out: Path,
    *,
    settings: Mapping[str, Any],
    on_progress: OnProgress | None,
) -> Iterator[Execution]:
    """The execution that the options ask for, its checkpoints in a `store`.

    Args:
      training: the options.
      out: what the command writes; checkpoints are kept beside it.
      settings: what the result depends on, by name, to compare with before resuming.
      on_progress: told as training proceeds.

    Raises:
      InputError: devices there are not, or checkpoints that nobody asked to resume.
    """
    from routerjax.training.checkpoint import SUM, Checkpoints
    from routerjax.training.execution import Execution
    from routerjax.training.sweep import Sweep

    choose(training.parallel, ("runs", "rows", "both"), "--parallel")
    choose(training.sweep_mode, ("auto", "map", "vmap"), "--sweep-mode")
    if training.checkpoint_every < 0:
        problem = f"--checkpoint-every is {training.checkpoint_every}; it must be 0 or more"
        raise InputError(problem)
    if training.resume and not training.checkpoint_every:
        raise InputError("--resume has no effect with --checkpoint-every 0")
    with store(out, whole=SUM, resume=training.resume) as folder:
        every, devices = training.checkpoint_every, _chosen(training)
        yield Execution(
            on_progress=on_progress if _first() else None,
            sweep=Sweep(mode=training.sweep_mode),
            devices=devices,
            checkpoints=Checkpoints(folder, every=every, settings=settings) if every else None,
        )


@contextlib.contextmanager
def store(out: Path, *, whole: str, resume: bool) -> Iterator[Path]:
    """The folder beside `out` for what survives a crash; it goes when the block ends well.

    Nobody else writes `out`, or this folder, within the block. Where it is interrupted and left
    something to take up, the KeyboardInterrupt says so.

    Args:
      out: what the command writes.
      whole: pattern of the files that say there is something to resume.
      resume: whether to take it up.

    Raises:
      InputError: checkpoints that nobody asked to resume, or another process writes `out`.
    """
    folder = out.absolute().with_name(f"{out.absolute().name}.checkpoints")
    with locked(out) if _first() else contextlib.nullcontext():
        if not resume and any(folder.rglob(whole)):
            problem = "an interrupted run left checkpoints here; take them up with --resume, or"
            raise InputError(f"{problem} remove the folder to start over", source=str(folder))
        try:
            yield folder
        except KeyboardInterrupt:
            if any(folder.rglob(whole)):
                raise KeyboardInterrupt("the same command with --resume continues") from None
            raise
        if _first():
            shutil.rmtree(folder, ignore_errors=True)


def _first() -> bool:
    """Whether this is process 0, or the only one."""
    import jax

    return jax.process_index() == 0


def _chosen(training: Training) -> Devices | None:
    """The devices to train on; a CPU's cores count as devices, and share out the runs."""
    import jax

    from routerjax.training.parallel import Devices

    count = _cores(training)
    several = jax.process_count() > 1
    devices = Devices(count=count, parallel=training.parallel or ("rows" if several else "runs"))
    devices.grid(1)  # too many are refused here, before anything is trained
    alone = (count or jax.local_device_count()) == 1 and not several
    return None if alone else devices


def _cores(training: Training) -> int | None:
    """The number of devices asked for, None for all; a CPU gets as many."""
    import jax

    count = None if isinstance(training.devices, str) else training.devices
    with contextlib.suppress(RuntimeError):  # too late where JAX has been used already
        jax.config.update("jax_num_cpu_devices", count or min(usable_cores(), CORES))
    return count
