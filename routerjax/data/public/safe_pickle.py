"""Columns of a pickled pandas DataFrame, read without running anything that the file names.

A pickle calls whatever it names. This reader admits the few names of pandas and NumPy that a
frame of numbers and text needs, and even for these it calls nothing of the two libraries: each
name stands for a `_Part`, which keeps the arguments and the state that the pickle hands it. What
comes out is a graph of parts, from which the columns are taken afterwards. Any other name is
refused before it is imported.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from routerjax.data.formats.opening import located
from routerjax.data.public.arrow_texts import arrow_texts
from routerjax.data.public.pickle_machine import Builders, load, shortened
from routerjax.errors import InputError, printable

PLAIN = re.compile(r"[biuf][1248]|O8?")  # dtypes of numbers and of Python objects
LEGACY = "0.14.1"  # key under which a BlockManager of pandas before 1.3 keeps its blocks


class _Part:
    """Something that a pickle builds: which, from what, and with what state. It does nothing."""

    __slots__ = ("args", "state")
    kind = ""
    args: tuple[Any, ...]
    state: Any

    def __new__(cls, *args: Any) -> _Part:
        part = super().__new__(cls)
        part.args, part.state = args, None
        return part

    def __setstate__(self, state: Any) -> None:
        self.state = state


def _part(kind: str) -> type[_Part]:
    return type(kind, (_Part,), {"__slots__": (), "kind": kind})


FRAME, MANAGER, BLOCK, NEW_INDEX = map(_part, ("frame", "manager", "block", "new index"))
INDEX, RANGE = map(_part, ("index", "range index"))
ARRAY, NEW_ARRAY, BUFFER, SCALAR = map(_part, ("array", "new array", "buffer", "scalar"))
DTYPE, SLICE = map(_part, ("dtype", "slice"))
TEXTS, ARROW, ARROW_TYPE = map(_part, ("array of texts", "arrow array", "arrow type"))
ARROW_BUFFER, BYTES, TEXT_TYPE = map(_part, ("arrow buffer", "bytes", "type of texts"))

ALLOWED: dict[tuple[str, str], type[_Part]] = {
    ("builtins", "slice"): SLICE,
    ("builtins", "bytearray"): BYTES,
    ("numpy", "dtype"): DTYPE,
    ("numpy", "ndarray"): ARRAY,
    ("numpy.core.multiarray", "_reconstruct"): NEW_ARRAY,
    ("numpy._core.multiarray", "_reconstruct"): NEW_ARRAY,
    ("numpy.core.multiarray", "scalar"): SCALAR,
    ("numpy._core.multiarray", "scalar"): SCALAR,
    ("numpy.core.numeric", "_frombuffer"): BUFFER,
    ("numpy._core.numeric", "_frombuffer"): BUFFER,
    ("pandas", "DataFrame"): FRAME,
    ("pandas.core.frame", "DataFrame"): FRAME,
    ("pandas.core.internals.managers", "BlockManager"): MANAGER,
    ("pandas._libs.internals", "_unpickle_block"): BLOCK,
    ("pandas.core.indexes.base", "_new_Index"): NEW_INDEX,
    ("pandas", "Index"): INDEX,
    ("pandas.core.indexes.base", "Index"): INDEX,
    ("pandas.core.indexes.numeric", "Int64Index"): INDEX,
    ("pandas", "StringDtype"): TEXT_TYPE,
    ("pandas.arrays", "ArrowStringArray"): TEXTS,
    ("pyarrow.lib", "_restore_array"): ARROW,
    ("pyarrow.lib", "type_for_alias"): ARROW_TYPE,
    ("pyarrow.lib", "py_buffer"): ARROW_BUFFER,
    ("pandas", "RangeIndex"): RANGE,
    ("pandas.core.indexes.range", "RangeIndex"): RANGE,
}
"""What DataFrames of numbers, texts and objects name, as pandas 1.2, 1.5, 2 and 3 write them.

Pandas 1.3 names ``functools.partial``, which is refused."""


def _named(module: str, name: str) -> type[_Part]:
    if (module, name) not in ALLOWED:
        asked = printable(f"{module}.{name}", 80)
        raise InputError(
            f"the pickle asks for {asked}, which a table does not need; only pandas "
            "and NumPy containers of numbers and text are read, and nothing was run"
        )
    return ALLOWED[module, name]


def _called(what: Any, arguments: tuple[Any, ...]) -> _Part:
    if not (isinstance(what, type) and issubclass(what, _Part)):
        raise TypeError(f"a {type(what).__name__} is called")
    return what(*arguments)


def _stated(made: Any, state: Any) -> None:
    if not isinstance(made, _Part):
        raise TypeError(f"a {type(made).__name__} is given a state")
    made.state = state


def read_columns(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Read the columns of a pickled DataFrame, by name: [n] arrays of numbers or of objects.

    Time and memory are at most a fixed multiple of the file's size.

    Args:
      path: a pickle of protocol 3 or later, not compressed.

    Raises:
      InputError: no such file, a pickle that names anything outside `ALLOWED`, or one that is
        not a DataFrame of plain columns.
    """
    source, place = str(path), located(path)
    try:
        content = place.read_bytes()
        frame = load(content, Builders(_named, _called, _stated))
        return _columns(frame, most=len(content))
    except InputError as error:
        raise InputError(error.problem, source=source) from None
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", source=source) from None
    except MemoryError:
        raise InputError("is too large for the memory of this machine", source=source) from None


def read_arrays(path: str | os.PathLike[str]) -> Any:
    """Read a pickle of dictionaries, lists, texts, numbers and NumPy arrays, and of nothing else.

    Time and memory are at most a fixed multiple of the file's size.

    Args:
      path: a pickle of protocol 3 or later, not compressed.

    Raises:
      InputError: no such file, or a pickle that names anything outside `ALLOWED`.
    """
    source, place = str(path), located(path)
    try:
        content = place.read_bytes()
        return _plain(load(content, Builders(_named, _called, _stated)), [len(content)])
    except InputError as error:
        raise InputError(error.problem, source=source) from None
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", source=source) from None
    except MemoryError:
        raise InputError("is too large for the memory of this machine", source=source) from None
    except Exception as error:  # parts that do not fit together fail in many ways
        problem = f"is not a pickle of plain arrays ({shortened(error)})"
        raise InputError(problem, source=source) from None


def _plain(value: Any, left: list[int], depth: int = 0) -> Any:
    """What a pickle holds, arrays in place of their parts.

    Args:
      value: of the machine.
      left: the number of cells and entries that may still come: what is shared counts each time.
      depth: of `value`; four are enough for RouterEval.
    """
    if depth > 4:
        raise ValueError("too deep")
    left[0] -= 1
    if isinstance(value, _Part):
        if isinstance(value, SCALAR):
            return _cell(value)
        array = _array(value)
        left[0] -= array.size
    if left[0] < 0:
        raise ValueError("more cells than the file has room for")
    if isinstance(value, _Part):
        return array
    if isinstance(value, dict):
        return {str(key): _plain(each, left, depth + 1) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each, left, depth + 1) for each in value]
    return value


def _columns(frame: Any, *, most: int) -> dict[str, np.ndarray]:
    """The columns by name; `most` is the number of cells that the file has room for."""
    try:
        blocks, names, rows = _layout(frame)
        if not rows or len(names) * rows > most:
            raise ValueError(f"{len(names):,} columns of {rows:,} rows in {most:,} bytes")
        if not all(type(name) in (str, int, float) for name in names):
            raise TypeError("a column's name is neither text nor a number")
        columns: dict[int, np.ndarray] = {}
        cells = 0
        for content, where in blocks:
            values = _texts(content) if isinstance(content, TEXTS) else _array(content)  # [k, n]
            if values.ndim != 2 or values.shape[1] != rows:
                raise ValueError(f"a block of {values.ndim} axes for {rows:,} rows")
            cells += values.size
            if cells > most:  # blocks that share what they hold
                raise ValueError(f"more cells than {most:,} bytes hold")
            columns.update(zip(_places(where, len(values)), values, strict=True))
        if len(columns) != len(names) or set(columns) != set(range(len(columns))):
            raise ValueError(f"{len(columns)} columns for {len(names)} names")
        return {str(name): columns[place] for place, name in enumerate(names)}
    except Exception as error:  # parts that do not fit together fail in many ways
        problem = f"is not a pickled DataFrame of plain columns ({shortened(error)})"
        raise InputError(problem) from None


def _layout(frame: Any) -> tuple[list[tuple[Any, Any]], Sequence[Any], int]:
    """The blocks of a frame, each content and places; names of its columns; number of rows."""
    state = _built(frame, FRAME).state
    manager = _built(state["_mgr"] if "_mgr" in state else state["_data"], MANAGER)
    if manager.state is None:  # built from its blocks, since pandas 1.3
        blocks, axes = manager.args
        parts = [_built(block, BLOCK).args for block in blocks]
        found = [(values, places) for values, places, _ in parts]
    else:
        state = manager.state[3][LEGACY]
        axes = state["axes"]
        found = [(block["values"], block["mgr_locs"]) for block in state["blocks"]]
    names, index = (_labels(axis) for axis in axes)
    return found, names, len(index)


def _built(value: Any, *kinds: type[_Part]) -> _Part:
    if not isinstance(value, kinds):
        what = value.kind if isinstance(value, _Part) else type(value).__name__
        raise TypeError(f"a {what} where a {kinds[0].kind} should be")
    return value


def _places(value: Any, count: int) -> Iterable[int]:
    """The positions of the `count` columns of a block."""
    if isinstance(value, SLICE):
        start, stop, step = value.args
        places: Any = range(start, stop, 1 if step is None else step)
    else:
        places = _array(value, objects=False)
    if len(places) != count:
        raise ValueError(f"{len(places):,} places for {count:,} columns")
    return places if isinstance(places, range) else places.tolist()


def _labels(value: Any) -> Sequence[Any]:
    kind, state = _built(value, NEW_INDEX).args
    if kind is RANGE:
        return range(state["start"], state["stop"], state["step"])
    data = state["data"]
    return (_texts(data)[0] if isinstance(data, TEXTS) else _array(data)).tolist()


def _texts(value: _Part) -> np.ndarray:
    """[1, n] the texts that pandas keeps as an Arrow array, None where one is missing."""
    ((kind, count, _, start, buffers, children, dictionary),) = _built(
        value.state["_pa_array"], ARROW
    ).args
    (name,) = _built(kind, ARROW_TYPE).args
    if children or dictionary is not None or len(buffers) != 3:
        raise TypeError("an arrow array of other parts than texts")
    known, ends, letters = (None if each is None else _bytes(each) for each in buffers)
    found = arrow_texts(
        str(name), count, start, known=known, ends=ends or b"", letters=letters or b""
    )
    cells = np.empty((1, len(found)), object)
    cells[0] = found
    return cells


def _bytes(value: Any) -> bytes:
    """The bytes that a buffer is over."""
    (content,) = _built(value, ARROW_BUFFER).args
    if isinstance(content, BYTES):
        (content,) = content.args or (b"",)
    if not isinstance(content, bytes | bytearray):
        raise TypeError(f"a buffer over {type(content).__name__}")
    return bytes(content)


def _array(value: Any, *, objects: bool = True) -> np.ndarray:
    """The array that a part describes: by shape, dtype and content, or over a buffer.

    Args:
      value: the part.
      objects: whether its cells may be objects, which are copied.
    """
    part = _built(value, NEW_ARRAY, BUFFER)
    if isinstance(part, BUFFER):
        content, kind, shape, order = part.args
    else:
        _, shape, kind, by_column, content = part.state
        order = "F" if by_column else "C"
    dtype = _dtype(kind)
    if dtype.hasobject:
        if not objects:
            raise TypeError("objects where numbers should be")
        flat = np.fromiter(map(_cell, _listed(content)), object, len(content))
    else:
        flat = np.frombuffer(content, dtype)
    return flat.reshape(shape, order=order)


def _listed(content: Any) -> list[Any]:
    if not isinstance(content, list):
        raise TypeError(f"{type(content).__name__} where a list of objects should be")
    return content


def _cell(value: Any) -> Any:
    if value is None or type(value) in (str, int, float, bool):
        return value
    kind, content = _built(value, SCALAR).args
    return np.frombuffer(content, _dtype(kind), count=1)[0]


def _dtype(value: Any) -> np.dtype:
    part = _built(value, DTYPE)
    code, order = part.args[0], "=" if part.state is None else part.state[1]
    if not PLAIN.fullmatch(code):
        raise TypeError(f"dtype {printable(repr(code), 20)}")
    return np.dtype(code).newbyteorder(order)
