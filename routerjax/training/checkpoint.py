"""Arrays on disk, and trainings that survive a crash, by orbax. No other file knows orbax.

A checkpoint holds a block of runs between two chunks of epochs: parameters, optimiser, key,
epoch, best parameters so far (the best by validation is never pruned, since it is part of
every state) and the settings it was trained with. A sweep's position is which of its blocks
have a finished checkpoint. Training is a function of that state alone, so that a resumed run
ends with the bits of one that was never interrupted.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import functools
import hashlib
import logging
import math
import os
import re
import shutil
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import PyTree, Shaped

from routerjax.errors import DataWarning, InputError
from routerjax.support.atomic import folder_digest, write_text
from routerjax.support.locks import locked
from routerjax.support.settings import check_settings, named
from routerjax.training.processes import of_all


@dataclasses.dataclass(frozen=True)
class Checkpoints:
    """Where trainings leave their state, and how often; `fit` resumes what it finds there.

    Attributes:
      folder: theirs alone.
      every: epochs between checkpoints at least; they fall between two chunks of epochs.
      keep: newest checkpoints kept of each block of runs; 2 at least, since a crash may take
        one with it.
      settings: what else the result depends on, by name. Checkpoints made with others are
        refused. `fit` adds what it knows: objective, schedule, data, starting point.

    Raises:
      InputError: `every` or `keep` is too small.
    """

    folder: Path | str
    every: int = 10
    keep: int = 2
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, least in (("every", 1), ("keep", 2)):
            if getattr(self, name) < least:
                problem = f"{name} is {getattr(self, name)}; it must be at least {least}"
                raise InputError(problem)

    def stage(self, name: str, **settings: Any) -> Checkpoints:
        """The checkpoints of one training among several, with settings of its own."""
        settings = {**self.settings, **settings}
        return dataclasses.replace(self, folder=Path(self.folder) / name, settings=settings)


class Position(NamedTuple):
    """Where a training was left.

    Attributes:
      state: NumPy arrays, shaped as asked for.
      epoch: epochs done.
      finished: whether it had ended.
    """

    state: PyTree[Shaped[np.ndarray, "*_"]]
    epoch: int
    finished: bool


STEP, STATE, POSITION, SUM = "epoch", "state", "position", "sha256"
"""A checkpoint's folder is epoch_N: two items, and the file that says it is whole."""


class Journal:
    """The checkpoints of one block of runs, open for reading and writing."""

    def __init__(self, folder: Path, checkpoints: Checkpoints, manager: Any):
        self._folder, self._manager = folder, manager
        self._every, self._settings = checkpoints.every, named(checkpoints.settings)
        self._last = 0

    def resume(self, template: PyTree) -> Position | None:
        """The newest checkpoint, None where there is none.

        Args:
          template: pytree of arrays or shapes like the state's.

        Raises:
          InputError: it was made with other settings; the first that differs is named.
        """
        epoch = self._manager.latest_step()
        if epoch is None:
            return None
        position = self._read(epoch, POSITION, _orbax().args.JsonRestore())
        check_settings(position["settings"], self._settings, self._folder)
        how = _orbax().args.PyTreeRestore(template, restore_args=_as_numpy(template))
        state = self._read(epoch, STATE, how)
        self._last = epoch
        return Position(state, epoch, position["finished"])

    def due(self, epoch: int) -> bool:
        """Whether `every` epochs have passed since the start or the last checkpoint."""
        return epoch - self._last >= self._every

    def write(self, state: PyTree, *, epoch: int, finished: bool) -> None:
        """Write a checkpoint; returns when it is on disk and older ones are pruned.

        Raises:
          InputError: it cannot be written; the last good checkpoint is named, and nothing is
            left of this one.
        """
        state, args = jax.tree.map(np.asarray, state), _orbax().args
        position = {"settings": self._settings, "finished": finished}
        items = {STATE: args.PyTreeSave(state), POSITION: args.JsonSave(position)}
        path = self._folder / f"{STEP}_{epoch}"
        try:
            _check_space(self._folder, state)
            with _settled():
                self._manager.save(epoch, args=args.Composite(**items), force=True)
            if jax.process_index() == 0:
                write_text(path / SUM, folder_digest(path))
        except Exception as error:  # orbax and tensorstore raise many kinds
            if jax.process_index() == 0:
                _remove_unfinished(path)
            last = f"the last is of epoch {self._last}" if self._last else "there is none yet"
            problem = f"the checkpoint of epoch {epoch} cannot be written ({_reason(error)})"
            raise InputError(f"{problem}; {last}", source=str(self._folder)) from error
        self._last = epoch

    def _read(self, epoch: int, item: str, how: Any) -> Any:
        return self._manager.restore(epoch, args=_orbax().args.Composite(**{item: how}))[item]


@contextlib.contextmanager
def opened(checkpoints: Checkpoints) -> Iterator[Journal]:
    """Open the checkpoints of one block of runs, for this process alone; what is not whole goes.

    Raises:
      InputError: the folder cannot be written, or another process is writing it.
    """
    folder = Path(checkpoints.folder).absolute()
    with locked(folder) if jax.process_index() == 0 else contextlib.nullcontext():
        with _open(folder, checkpoints) as journal:
            yield journal


@contextlib.contextmanager
def _open(folder: Path, checkpoints: Checkpoints) -> Iterator[Journal]:
    ocp = _orbax()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if jax.process_index() == 0:
            _remove_broken(folder)
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror})", source=str(folder)) from error
    of_all(0)  # the others wait for it
    options = ocp.CheckpointManagerOptions(
        step_prefix=STEP,
        max_to_keep=checkpoints.keep,
        enable_async_checkpointing=False,
        save_root_metadata=False,
    )
    arrays = ocp.PyTreeCheckpointHandler(type_handler_registry=_registry())
    handlers = {STATE: arrays, POSITION: ocp.JsonCheckpointHandler()}
    with ocp.CheckpointManager(folder, options=options, item_handlers=handlers) as manager:
        yield Journal(folder, checkpoints, manager)


def _remove_broken(folder: Path) -> None:
    """Remove what a killed process left half-written, and, with a warning, what is damaged."""
    for path in folder.iterdir():
        if not re.fullmatch(rf"{STEP}_\d+(\..*)?", path.name):
            continue
        if not (path / SUM).is_file():
            shutil.rmtree(path)
        elif (path / SUM).read_text() != folder_digest(path, without=SUM):
            problem = f"the checkpoint {path.name} is damaged and passed over"
            warnings.warn(f"{folder}: {problem}", DataWarning, stacklevel=2)
            shutil.rmtree(path)


def _remove_unfinished(path: Path) -> None:
    """Remove the checkpoint at `path`, or what there is of it, unless it is whole."""
    if not (path / SUM).is_file():
        for part in path.parent.glob(f"{path.name}.*"):  # orbax's temporary name
            shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(path, ignore_errors=True)


def _check_space(folder: Path, state: PyTree[Shaped[np.ndarray, "*_"]]) -> None:
    """Raise OSError where the disk has no room: orbax is loud about it."""
    needed = sum(leaf.nbytes for leaf in jax.tree.leaves(state)) + (1 << 20)
    if shutil.disk_usage(folder).free < needed:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def load_arrays(path: Path, template: PyTree) -> PyTree[Shaped[np.ndarray, "*_"]]:
    """Read a pytree of NumPy arrays, as orbax wrote it, of the structure and shapes of `template`.

    Raises:
      InputError: the folder is missing, damaged, or holds arrays of other shapes; or it declares
        far more than its files can hold, which is found before memory is taken.
    """
    ocp, how = _orbax(), _as_numpy(template)
    other = InputError("the saved arrays have other shapes than declared", source=str(path))
    try:
        with ocp.PyTreeCheckpointer() as checkpointer:
            declared = _sizes(checkpointer.metadata(path.absolute()).item_metadata.tree)
            if sorted(declared) != sorted(_sizes(template)) or not _can_hold(path, sum(declared)):
                raise other
            tree = checkpointer.restore(path.absolute(), item=template, restore_args=how)
    except InputError:
        raise
    except Exception as error:  # orbax and tensorstore raise many kinds
        raise InputError("the saved arrays are missing or damaged", source=str(path)) from error
    shapes = jax.tree.map(lambda want, got: tuple(want.shape) == np.shape(got), template, tree)
    if not all(jax.tree.leaves(shapes)):
        raise other
    return tree


def _sizes(tree: PyTree) -> list[int]:
    return [math.prod(leaf.shape) for leaf in jax.tree.leaves(tree)]


def _can_hold(path: Path, numbers: int) -> bool:
    """Whether files so large may hold so many numbers; of equal ones they hold very many."""
    written = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return numbers <= (1 << 24) + 1000 * written


def _as_numpy(template: PyTree) -> PyTree:
    """What orbax needs to be told to read the leaves of `template` as NumPy arrays."""
    return jax.tree.map(lambda _: _orbax().RestoreArgs(restore_type=np.ndarray), template)


@contextlib.contextmanager
def _settled() -> Iterator[None]:
    """A block in which orbax writes: when it ends, by an error or not, nothing is being written.

    orbax raises the first error of its threads while the others still write, and each logs a
    traceback for an error that is raised as well.
    """
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for thread in threading.enumerate():
            if type(thread).__module__.startswith("orbax."):
                with contextlib.suppress(Exception):  # the error that is on its way
                    thread.join()
        logger.setLevel(level)


@functools.cache
def _registry() -> Any:
    """How orbax writes NumPy arrays here: each in a thread of its own, which can be waited for.

    orbax's own handler leaves all arrays to one event loop and closes it at the first error.
    The writes that are left then go on unseen, in a folder that may be removed or written anew
    by that time, and complain on standard error that their loop is closed.
    """
    ocp = _orbax()
    numpy_handler: Any = ocp.type_handlers.NumpyHandler

    class Handler(numpy_handler):
        async def serialize(
            self, values: Sequence[Any], infos: Sequence[Any], args: Sequence[Any] | None = None
        ) -> list[Any]:
            args = args or [ocp.SaveArgs()] * len(values)
            alone = [
                await super(Handler, self).serialize([value], [info], [arg])
                for value, info, arg in zip(values, infos, args, strict=True)
            ]
            return [future for futures in alone for future in futures]

    return ocp.type_handlers.create_type_handler_registry((np.ndarray, Handler()))


def _reason(error: Exception) -> str:
    """An error in a few words: the operating system's, where it is at the bottom of it."""
    for one in (error, error.__cause__):
        if isinstance(one, OSError) and one.strerror:
            return one.strerror
    code = re.search(r"os_error_code='(\d+)'", str(error))  # tensorstore's
    if code:
        return os.strerror(int(code[1]))
    return (str(error) or type(error).__name__).splitlines()[0][:200]


def _orbax() -> Any:
    """orbax, imported where it is used (it costs half a second) and told to be quiet."""
    import orbax.checkpoint

    logging.getLogger("absl").setLevel(logging.ERROR)
    return orbax.checkpoint


def digest(tree: PyTree) -> str:
    """Sixteen hex digits of the SHA-256 of the arrays of a pytree."""
    sha = hashlib.sha256()
    for leaf in jax.tree.leaves(tree):
        sha.update(np.ascontiguousarray(leaf).tobytes())
    return sha.hexdigest()[:16]
