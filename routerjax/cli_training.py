"""Options of every command that trains: devices, sweeps, checkpoints."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from routerjax.errors import InputError

CORES = 4
"""Host devices at most that auto makes of a CPU's cores: each holds a copy of the rows."""

if TYPE_CHECKING:
    from routerjax.training.execution import Execution
    from routerjax.training.fit import OnProgress
    from routerjax.training.parallel import Devices


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options; `execution` reads them."""
    group = parser.add_argument_group("training")
    add = group.add_argument
    add("--devices", type=_devices, default="auto", metavar="auto|N",
        help="accelerators to train on, or cores of a CPU; auto takes all accelerators, or up "
        f"to {CORES} cores")  # fmt: skip
    add("--parallel", choices=("runs", "rows", "both"), default="runs",
        help="what devices share out: networks, the rows of every batch, or both")  # fmt: skip
    add("--sweep-mode", choices=("auto", "map", "vmap"), default="auto",
        help="networks of a device one after another or side by side; auto: by kind of "
        "device")  # fmt: skip
    add("--checkpoint-every", type=int, default=20, metavar="EPOCHS",
        help="epochs between checkpoints in OUT.checkpoints, which goes when all is done; 0 "
        "leaves none")  # fmt: skip
    add("--resume", action="store_true", help="take up what an interrupted run left there")


def _devices(text: str) -> str | int:
    if text == "auto":
        return text
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither auto nor a number") from None


@contextlib.contextmanager
def execution(
    options: argparse.Namespace,
    out: Path,
    *,
    settings: Mapping[str, Any],
    on_progress: OnProgress | None,
) -> Iterator[Execution]:
    """The execution that the options ask for; its checkpoints go when the block ends well.

    Args:
      options: with those of `add_options`.
      out: what the command writes; checkpoints are kept beside it.
      settings: what the result depends on, by name, to compare with before resuming.
      on_progress: told as training proceeds.

    Raises:
      InputError: devices there are not, or checkpoints that nobody asked to resume.
    """
    from routerjax.training.checkpoint import Checkpoints
    from routerjax.training.execution import Execution
    from routerjax.training.sweep import Sweep

    if options.checkpoint_every < 0:
        problem = f"--checkpoint-every is {options.checkpoint_every}; it must be 0 or more"
        raise InputError(problem)
    store = out.absolute().with_name(f"{out.absolute().name}.checkpoints")
    checkpoints = None
    if options.checkpoint_every:
        checkpoints = Checkpoints(store, every=options.checkpoint_every, settings=settings)
        if checkpoints.exist() and not options.resume:
            problem = "an interrupted run left checkpoints here; take them up with --resume, or"
            raise InputError(f"{problem} remove the folder to start over", source=str(store))
    elif options.resume:
        raise InputError("--resume has no effect with --checkpoint-every 0")
    yield Execution(
        on_progress=on_progress,
        sweep=Sweep(mode=options.sweep_mode),
        devices=_chosen(options),
        checkpoints=checkpoints,
    )
    shutil.rmtree(store, ignore_errors=True)


def _chosen(options: argparse.Namespace) -> Devices | None:
    """The devices to train on; a CPU's cores count as devices, and share out the runs."""
    import jax

    from routerjax.training.parallel import Devices

    count = None if options.devices == "auto" else options.devices
    devices = Devices(count=count, parallel=options.parallel)
    with contextlib.suppress(RuntimeError):  # too late where JAX has been used already
        jax.config.update("jax_num_cpu_devices", count or min(os.cpu_count() or 1, CORES))
    devices.grid(1)  # too many are refused here, before anything is read
    return None if (count or jax.local_device_count()) == 1 else devices
