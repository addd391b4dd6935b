"""What the benchmarks share: interleaved repeats, medians, the result file, a table's row."""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from routerjax.errors import InputError
from routerjax.support.atomic import write_text
from routerjax.support.provenance import dumps, git_commit, versions
from routerjax.support.threads import half_the_cores_for_xla

FOLDER = Path(__file__).parent / "results"

Pair = tuple[float, float]
"""Wall and CPU seconds."""


class Seconds(NamedTuple):
    """Medians over the repeats, and the fastest repeat.

    Attributes:
      wall: seconds on the clock.
      cpu: seconds of this process on all cores.
      fastest: smallest wall seconds, the least disturbed by other work on the machine.
    """

    wall: float
    cpu: float
    fastest: float


class Row(NamedTuple):
    """What a result file says of its benchmark's AIM, for the table of all benchmarks.

    Attributes:
      measured: the figures the aim speaks of.
      met: whether they are within it, one for each part of the aim.
    """

    measured: str
    met: tuple[bool, ...]


def interleaved(kinds: Mapping[str, Callable[[], Any]], *, repeats: int) -> dict[str, Seconds]:
    """Time every kind `repeats` times in turn, so that a busy minute hits all of them alike.

    Each is called once beforehand, to compile; each must wait for its own result.
    """
    for call in kinds.values():
        call()
    pairs: dict[str, list[Pair]] = {name: [] for name in kinds}
    for _ in range(repeats):
        for name, call in kinds.items():
            pairs[name].append(timed(call)[:2])
    return {name: medians(own) for name, own in pairs.items()}


def timed(call: Callable[[], Any]) -> tuple[float, float, Any]:
    """Wall seconds, CPU seconds and result of one call."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = call()
    return time.perf_counter() - wall, time.process_time() - cpu, result


def fresh_process(arguments: Sequence[str], *, cache: Path, folder: str | None = None) -> Pair:
    """Wall and CPU seconds of a Python process of its own.

    It may keep the bytecode of its modules, as Python does unless it is told not to: a second one
    compiles none.

    Args:
      arguments: of Python.
      cache: folder of what routerjax keeps.
      folder: the process runs in; None is this one's.
    """
    environment = {**os.environ, "ROUTERJAX_CACHE": str(cache)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, *arguments]
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def medians(pairs: list[Pair]) -> Seconds:
    """Medians of (wall, CPU) pairs."""
    walls, cpus = zip(*pairs, strict=True)
    return Seconds(statistics.median(walls), statistics.median(cpus), min(walls))


def options(doc: str | None, *, repeats: int) -> argparse.ArgumentParser:
    """The parser every benchmark starts from; XLA has as many threads as on the command line."""
    half_the_cores_for_xla()
    lines = (doc or "").splitlines()
    parser = argparse.ArgumentParser(
        description="\n".join(lines), formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=repeats, help="of each kind, interleaved")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder of the result file")
    return parser


def write(
    name: str,
    figures: Mapping[str, Any],
    folder: Path,
    *,
    packages: Sequence[str] = (),
    file: str | None = None,
    quiet: bool = False,
) -> None:
    """Write NAME.json, or another file: the figures, the machine, versions, commit and devices.

    Versions are those of what routerjax always needs, and of `packages`.

    Raises:
      InputError: the folder is that of the results, and files differ from the commit.
    """
    import jax

    commit = git_commit()
    if folder.resolve() == FOLDER.resolve() and (commit or "").endswith("+"):
        problem = "files differ from the commit that a result would name"
        raise InputError(f"{problem}: commit first, or write elsewhere with --out")

    result = {
        "benchmark": name,
        **figures,
        "machine": machine(),
        "devices": [f"{device.platform} {device.device_kind}" for device in jax.devices()],
        "versions": versions() | {own: importlib.metadata.version(own) for own in packages},
        "git_commit": commit,
    }
    path = folder / (file or f"{name}.json")
    write_text(path, dumps(result, indent=2) + "\n")
    if not quiet:
        print(f"wrote {path}")


def machine() -> dict[str, Any]:
    """Kind and number of processors, and how busy they were at the end of the measurement."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        model = names[0].split(":", 1)[1].strip() if names else model
    return {"cpu": model, "cores": os.cpu_count(), "load_average": os.getloadavg()[0]}
