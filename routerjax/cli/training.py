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
    add(
        "--devices",
        type=_devices,
        default="auto",
        metavar="auto|N",
        help="accelerators to train on, or cores of a CPU; auto takes all accelerators, or up "
        f"to {CORES} cores",
    )
    add(
        "--parallel",
        choices=("runs", "rows", "both"),
        help="what devices share out: networks (runs, if not given), the rows of every batch, or "
        "both",
    )
    add(
        "--sweep-mode",
        choices=("auto", "map", "vmap"),
        default="auto",
        help="networks of a device one after another or side by side; auto: by kind of device",
    )
    add(
        "--checkpoint-every",
        type=int,
        default=20,
        metavar="EPOCHS",
        help="epochs between checkpoints in OUT.checkpoints, which goes when all is done; 0 "
        "leaves none",
    )
    add("--resume", action="store_true", help="take up what an interrupted run left there")


def add_processes(parser: argparse.ArgumentParser) -> None:
    """Add the options of a command that several processes, on one host or many, run together."""
    group = parser.add_argument_group(
        "several processes",
        "Start the same command once per process, with folders and files that all can reach; "
        "each trains on its share of the rows, and process 0 writes.",
    )
    add = group.add_argument
    add(
        "--cluster",
        action="store_true",
        help="join the processes that Slurm, Open MPI, Kubernetes or a TPU started",
    )
    add("--coordinator", metavar="HOST:PORT", help="of process 0, where there is no cluster to ask")
    add("--processes", type=int, metavar="P", help="how many there are")
    add("--process-id", type=int, metavar="I", help="which of them this is, from 0")


def join(options: argparse.Namespace) -> bool:
    """Join the processes that the options name; whether this one is to write what comes of it.

    Raises:
      InputError: options that do not go together, or processes that cannot be joined.
    """
    named = (options.coordinator, options.processes, options.process_id)
    if not options.cluster and named == (None, None, None):
        return True
    if options.cluster and named != (None, None, None):
        raise InputError("--cluster asks the cluster; give no coordinator, processes or process id")
    if options.parallel not in (None, "rows"):
        problem = f"--parallel is {options.parallel}; with several processes it must be rows"
        raise InputError(problem)
    import jax

    from routerjax.training.processes import initialize

    _cores(options)
    initialize(*named)
    return jax.process_index() == 0


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
    """The execution that the options ask for, its checkpoints in a `store`.

    Args:
      options: with those of `add_options`.
      out: what the command writes; checkpoints are kept beside it.
      settings: what the result depends on, by name, to compare with before resuming.
      on_progress: told as training proceeds.

    Raises:
      InputError: devices there are not, or checkpoints that nobody asked to resume.
    """
    from routerjax.training.checkpoint import SUM, Checkpoints
    from routerjax.training.execution import Execution
    from routerjax.training.sweep import Sweep

    if options.checkpoint_every < 0:
        problem = f"--checkpoint-every is {options.checkpoint_every}; it must be 0 or more"
        raise InputError(problem)
    if options.resume and not options.checkpoint_every:
        raise InputError("--resume has no effect with --checkpoint-every 0")
    with store(out, whole=SUM, resume=options.resume) as folder:
        every, devices = options.checkpoint_every, _chosen(options)
        yield Execution(
            on_progress=on_progress if _first() else None,
            sweep=Sweep(mode=options.sweep_mode),
            devices=devices,
            checkpoints=Checkpoints(folder, every=every, settings=settings) if every else None,
        )


@contextlib.contextmanager
def store(out: Path, *, whole: str, resume: bool) -> Iterator[Path]:
    """The folder beside `out` for what survives a crash; it goes when the block ends well.

    Args:
      out: what the command writes.
      whole: pattern of the files that say there is something to resume.
      resume: whether to take it up.

    Raises:
      InputError: checkpoints that nobody asked to resume.
    """
    folder = out.absolute().with_name(f"{out.absolute().name}.checkpoints")
    if not resume and any(folder.rglob(whole)):
        problem = "an interrupted run left checkpoints here; take them up with --resume, or"
        raise InputError(f"{problem} remove the folder to start over", source=str(folder))
    yield folder
    if _first():
        shutil.rmtree(folder, ignore_errors=True)


def _first() -> bool:
    """Whether this is process 0, or the only one."""
    import jax

    return jax.process_index() == 0


def _chosen(options: argparse.Namespace) -> Devices | None:
    """The devices to train on; a CPU's cores count as devices, and share out the runs."""
    import jax

    from routerjax.training.parallel import Devices

    count = _cores(options)
    several = jax.process_count() > 1
    devices = Devices(count=count, parallel=options.parallel or ("rows" if several else "runs"))
    devices.grid(1)  # too many are refused here, before anything is trained
    alone = (count or jax.local_device_count()) == 1 and not several
    return None if alone else devices


def _cores(options: argparse.Namespace) -> int | None:
    """The number of devices asked for, None for all; a CPU gets as many."""
    import jax

    count = None if options.devices == "auto" else options.devices
    with contextlib.suppress(RuntimeError):  # too late where JAX has been used already
        jax.config.update("jax_num_cpu_devices", count or min(os.cpu_count() or 1, CORES))
    return count
