"""Compiled programs kept whole on disk: another process neither traces nor lowers them again.

JAX's own cache keeps what the compiler made, found by the program that was lowered. Tracing and
lowering are most of what a short fit does, so a program is kept here under what it was asked for:
its function, shapes and dtypes, static values and JAX's settings, in the folder of
`support.program_folder`. A file that cannot be used is made anew.

A compiled program is native code, and the form in which JAX keeps it is a pickle. So a file is
read only if it and its folder belong to the user, with nobody else allowed to write them; and its
first bytes are the digest of the others, so that a damaged one is never run.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import inspect
import os
import pickle
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from routerjax.support.program_folder import is_private, program_folder

OWN = __name__.partition(".")[0]
"""This package: what is made of other source is not kept, since nothing says that it changed."""
DIGEST = hashlib.sha256().digest_size
LIBRARY_CALLS = "lapack_"
"""Library functions that a kept program may call: those that JAX makes ready at one's request."""

_lock = threading.Lock()


class Asked(NamedTuple):
    """What a program is asked for, by which it is found.

    Attributes:
      arrays: tree, shapes and dtypes of the arguments that are arrays.
      static: those that are none, as text.
      settings: of JAX, which may change what is compiled.
    """

    arrays: str
    static: str
    settings: str


def kept_program(
    function: Callable[..., Any],
    *,
    static: Sequence[str] = (),
    options: Callable[[], dict[str, Any]] = dict,
) -> Callable[..., Any]:
    """`jax.jit` of a function, kept on disk where `keep_compiled` was called.

    Functions of this package are kept, on a CPU with one device; what is not kept is compiled by
    `jax.jit` as ever. The results are those of the same program, to the bit.

    Args:
      function: to be compiled at its first call.
      static: names of its arguments that are no arrays.
      options: of the compiler, asked for at the first call.
    """
    signature, name = inspect.signature(function), f"{function.__module__}.{function.__qualname__}"
    is_ours = name.partition(".")[0] == OWN and "<" not in name
    ready: dict[Asked, Callable[..., Any]] = {}

    @functools.cache
    def compiled() -> Any:
        import jax

        return jax.jit(function, static_argnames=tuple(static), compiler_options=options())

    @functools.wraps(function)
    def call(*arguments: Any, **given: Any) -> Any:
        folder = program_folder() if is_ours else None
        if folder is None:
            return compiled()(*arguments, **given)
        bound = signature.bind(*arguments, **given)
        bound.apply_defaults()
        arrays = {name: each for name, each in bound.arguments.items() if name not in static}
        rest = {name: each for name, each in bound.arguments.items() if name in static}
        order, asked = tuple(bound.arguments), _asked(arrays, rest)
        if asked is None:
            return compiled()(*arguments, **given)
        if asked in ready:
            return ready[asked](arrays)

        def program(arrays: dict[str, Any]) -> Any:
            every = {name: (rest if name in static else arrays)[name] for name in order}
            own = inspect.BoundArguments(signature, OrderedDict(every))
            return function(*own.args, **own.kwargs)

        program.__name__ = function.__name__
        ready[asked], found = _first(program, arrays, folder / _file(name, asked), options())
        return found

    return call


def _first(
    program: Callable[[Any], Any], arrays: Any, file: Path, options: dict[str, Any]
) -> tuple[Callable[[Any], Any], Any]:
    """The program and what it makes of these arrays, by the file or anew."""
    import jax

    loaded = _loaded(file)
    if loaded is not None:
        # A program that cannot run says so when its results are there.
        with contextlib.suppress(Exception):
            return loaded, jax.block_until_ready(loaded(arrays))
    made: Any = jax.jit(program, compiler_options=options)
    with contextlib.suppress(ImportError), _without_cache():
        made = made.lower(arrays).compile()
        _keep(made, file)
    return made, made(arrays)


def _asked(arrays: dict[str, Any], static: dict[str, Any]) -> Asked | None:
    """What is asked for; None where that cannot be said in a text, or is no plain computation."""
    import jax

    if jax.default_backend() != "cpu" or jax.device_count() != 1:
        return None
    values = jax.config.values
    if values.get("jax_disable_jit") or not values.get("jax_enable_compilation_cache", True):
        return None
    leaves, tree = jax.tree.flatten(arrays)
    if any(isinstance(leaf, jax.core.Tracer) for leaf in leaves):
        return None
    try:
        told = ", ".join(f"{name}={_text(each)}" for name, each in static.items())
    except TypeError:
        return None
    shapes = ", ".join(str(jax.typeof(leaf)) for leaf in leaves)
    settings = {name: each for name, each in values.items() if "cache" not in name}
    return Asked(f"{tree} of {shapes}", told, repr(settings))


def _text(value: Any) -> str:
    """A static value as a text that tells it from others of this package's making.

    Raises:
      TypeError: it is of another kind, such as a user's own function.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)
    if isinstance(value, tuple):
        return f"{type(value).__qualname__}({', '.join(map(_text, value))})"
    own = type(value).__module__.partition(".")[0] == OWN
    if own and dataclasses.is_dataclass(value):
        fields = dataclasses.fields(value)
        parts = [f"{each.name}={_text(getattr(value, each.name))}" for each in fields]
        return f"{type(value).__module__}.{type(value).__qualname__}({', '.join(parts)})"
    raise TypeError(f"a {type(value).__name__} has no text")


def _file(name: str, asked: Asked) -> str:
    key = hashlib.sha256("\0".join((name, *asked)).encode()).hexdigest()[:32]
    return f"{name.rpartition('.')[2]}-{key}"


def _loaded(file: Path) -> Callable[[Any], Any] | None:
    """The program of a file; None where there is none that can be trusted and used."""
    content = _read(file)
    if content is None or hashlib.sha256(content[DIGEST:]).digest() != content[:DIGEST]:
        return None
    try:
        import jax
        from jax.experimental.serialize_executable import deserialize_and_load

        _library_ready()
        program, given, made = pickle.loads(content[DIGEST:])
        loaded: Callable[[Any], Any] = deserialize_and_load(
            program, given, made, execution_devices=jax.devices()
        )
    except Exception:  # of another release of JAX, whatever it raises
        return None
    return loaded


def _read(file: Path) -> bytes | None:
    """Bytes of a file that only this user can have written."""
    try:
        if not is_private(os.stat(file.parent, follow_symlinks=False)):
            return None
        with open(os.open(file, os.O_RDONLY | os.O_NOFOLLOW), "rb") as opened:
            return opened.read() if is_private(os.fstat(opened.fileno())) else None
    except OSError:
        return None


def _keep(program: Any, file: Path) -> None:
    """Write a compiled program whole, unless it calls what another process would not have ready."""
    calls = re.findall(r'custom_call_target="([^"]*)"', program.as_text())
    if not all(name.startswith(LIBRARY_CALLS) for name in calls):
        return
    try:
        from jax.experimental.serialize_executable import serialize

        content = pickle.dumps(serialize(program))
    except Exception:  # it cannot be written in this release of JAX, which says so in many ways
        return
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        try:
            descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with open(descriptor, "wb") as opened:
                opened.write(hashlib.sha256(content).digest() + content)
            temporary.replace(file)
        finally:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def _without_cache() -> Iterator[None]:
    """JAX's own cache put aside: what it gives back cannot be written a second time."""
    import jax
    from jax.experimental.compilation_cache import compilation_cache

    with _lock:
        jax.config.update("jax_enable_compilation_cache", False)
        compilation_cache.reset_cache()
        try:
            yield
        finally:
            jax.config.update("jax_enable_compilation_cache", True)
            compilation_cache.reset_cache()


@functools.cache
def _library_ready() -> None:
    """Have JAX make LAPACK ready, as it does where a factorisation is lowered."""
    import jax

    try:
        from jaxlib import lapack  # what the lowering calls, without one

        lapack.prepare_lapack_call("potrf_ffi", np.float32)
    except Exception:  # another release of JAX, which may keep it elsewhere
        jax.jit(jax.lax.linalg.cholesky).lower(jax.ShapeDtypeStruct((1, 1), "float32"))
