"""A machine that carries out the few instructions of a pickle of plain columns, within limits.

The standard machine does what a file says: it makes room for as many notes as a file claims (a
file of 7 bytes took 839 MB) and compares structures that share their parts over and over (a file
of 2 KB took 83 s). This one knows the instructions that pickled tables need. What it makes is at
most a fixed multiple of the file: sizes are compared with the bytes that are left before anything
is taken, notes are kept by number as they come, objects are counted, and keys are texts or
numbers, so that nothing is ever compared in depth.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable
from typing import Any, NamedTuple

from routerjax.errors import InputError, printable

MOST_OBJECTS = 2_000_000
"""Lists, tuples, dictionaries and parts of one file; a frame has one or two a column, and two a
cell where cells are NumPy's own numbers."""

MOST_NOTES = 3_000_000  # values that are kept to be used again; every text is
MOST_STEPS = 30_000_000
LONGEST_NUMBER = 32  # bytes of a whole number
LONGEST_LINE = 1 << 16  # bytes of an argument that is a line of text


class Damaged(ValueError):
    """A pickle that is none, or that has instructions which a table does not need."""


class Builders(NamedTuple):
    """What becomes of names.

    Attributes:
      named: module and name → what stands for it; raises where a table does not need it.
      called: what stands for a name, and arguments → what is built.
      stated: what was built, and its state; raises where it takes none.
    """

    named: Callable[[str, str], Any]
    called: Callable[[Any, tuple[Any, ...]], Any]
    stated: Callable[[Any, Any], None]


class Machine:
    """One run over the bytes of a pickle: a position, a stack, marks in it, and notes."""

    def __init__(self, content: bytes, builders: Builders):
        self.content, self.at = content, 0
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.notes: dict[int, Any] = {}
        self.objects = 0
        self.builders = builders

    def run(self) -> Any:
        """What the pickle holds.

        Raises:
          Damaged: no pickle, or one of other instructions or beyond the limits.
        """
        content, steps = self.content, STEPS
        for _ in range(MOST_STEPS):
            if self.at >= len(content):
                raise Damaged("it ends early")
            code = content[self.at]
            self.at += 1
            if code == STOP:
                return self.pop()
            step = steps.get(code)
            if step is None:
                raise Damaged(f"instruction {bytes([code])!r} at byte {self.at - 1}")
            step(self)
        raise Damaged(f"it has more than {MOST_STEPS:,} instructions")

    def take(self, size: int) -> bytes:
        """The next bytes."""
        start = self.at
        if size > len(self.content) - start:
            raise Damaged(f"it ends early: {size:,} bytes are announced at byte {start:,}")
        self.at = start + size
        return self.content[start : self.at]

    def sized(self, width: int) -> bytes:
        """As many bytes as the number before them says, which has `width` bytes itself."""
        return self.take(int.from_bytes(self.take(width), "little"))

    def line(self) -> str:
        """A line of text."""
        end = self.content.find(b"\n", self.at, self.at + LONGEST_LINE)
        if end < 0:
            raise Damaged("a line has no end")
        return self.take(end + 1 - self.at)[:-1].decode("utf-8", "replace")

    def push(self, value: Any) -> None:
        """Put a value on the stack."""
        self.stack.append(value)

    def made(self, value: Any) -> None:
        """Put an object on the stack and count it."""
        self.objects += 1
        if self.objects > MOST_OBJECTS:
            raise Damaged(f"it builds more than {MOST_OBJECTS:,} objects")
        self.stack.append(value)

    def pop(self) -> Any:
        """Take the last value off the stack; those before a mark stay."""
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise Damaged("a value is missing")
        return self.stack.pop()

    def last(self, kind: type) -> Any:
        """The last value on the stack, which stays."""
        if not self.stack or type(self.stack[-1]) is not kind:
            raise Damaged(f"a {kind.__name__} is missing")
        return self.stack[-1]

    def marked(self) -> list[Any]:
        """The values since the last mark."""
        if not self.marks:
            raise Damaged("a mark is missing")
        start = self.marks.pop()
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def note(self, number: int) -> None:
        """Note the last value under a number."""
        if not self.stack:
            raise Damaged("a value is missing")
        self.notes[number] = self.stack[-1]
        if len(self.notes) > MOST_NOTES:
            raise Damaged(f"it keeps more than {MOST_NOTES:,} values")

    def noted(self, number: int) -> None:
        """Put a noted value on the stack."""
        if number not in self.notes:
            raise Damaged(f"note {number} is missing")
        self.stack.append(self.notes[number])


def _number(machine: Machine, width: int) -> int:
    return int.from_bytes(machine.take(width), "little")


def _whole(machine: Machine, width: int) -> None:
    size = _number(machine, width)
    if size > LONGEST_NUMBER:
        raise Damaged(f"a whole number of {size:,} bytes")
    machine.push(int.from_bytes(machine.take(size), "little", signed=True))


def _text(machine: Machine, width: int) -> None:
    machine.push(machine.sized(width).decode("utf-8", "replace"))


def _bytes(machine: Machine, width: int) -> None:
    machine.push(machine.sized(width))


def _frame(machine: Machine) -> None:
    size = _number(machine, 8)
    if size > len(machine.content) - machine.at:
        raise Damaged("it ends early")


def _protocol(machine: Machine) -> None:
    version = _number(machine, 1)
    if version > pickle.HIGHEST_PROTOCOL:
        raise Damaged(f"protocol {version}")


def _tuple(machine: Machine, size: int) -> None:
    values = [machine.pop() for _ in range(size)]
    machine.made(tuple(reversed(values)))


def _append(machine: Machine, values: list[Any]) -> None:
    machine.last(list).extend(values)


def _set(machine: Machine, values: list[Any]) -> None:
    if len(values) % 2:
        raise Damaged("a value is missing")
    made = machine.last(dict)
    for key, value in zip(values[::2], values[1::2], strict=True):
        if type(key) not in (str, int):
            raise Damaged(f"a {type(key).__name__} as a key")
        made[key] = value


def _pair(machine: Machine) -> list[Any]:
    value = machine.pop()
    return [machine.pop(), value]


def _named(machine: Machine, module: Any, name: Any) -> Any:
    if type(module) is not str or type(name) is not str:
        raise Damaged("a name is missing")
    return machine.builders.named(module, name)


def _stacked_name(machine: Machine) -> None:
    module, name = _pair(machine)
    machine.push(_named(machine, module, name))


def _call(machine: Machine) -> None:
    what, arguments = _pair(machine)
    if type(arguments) is not tuple:
        raise Damaged("arguments are missing")
    machine.made(machine.builders.called(what, arguments))


def _instance(machine: Machine) -> None:
    what = _named(machine, machine.line(), machine.line())
    machine.made(machine.builders.called(what, tuple(machine.marked())))


def _state(machine: Machine) -> None:
    state = machine.pop()
    made = machine.pop()
    machine.builders.stated(made, state)
    machine.push(made)


def _drop_marked(machine: Machine) -> None:
    machine.marked()


STOP = pickle.STOP[0]

STEPS: dict[int, Callable[[Machine], Any]] = {
    code[0]: step
    for code, step in {
        pickle.PROTO: _protocol,
        pickle.FRAME: _frame,
        pickle.MARK: lambda m: m.marks.append(len(m.stack)),
        pickle.POP: lambda m: m.pop(),
        pickle.POP_MARK: _drop_marked,
        pickle.NONE: lambda m: m.push(None),
        pickle.NEWTRUE: lambda m: m.push(True),
        pickle.NEWFALSE: lambda m: m.push(False),
        pickle.BININT: lambda m: m.push(int.from_bytes(m.take(4), "little", signed=True)),
        pickle.BININT1: lambda m: m.push(_number(m, 1)),
        pickle.BININT2: lambda m: m.push(_number(m, 2)),
        pickle.LONG1: lambda m: _whole(m, 1),
        pickle.LONG4: lambda m: _whole(m, 4),
        pickle.BINFLOAT: lambda m: m.push(struct.unpack(">d", m.take(8))[0]),
        pickle.UNICODE: lambda m: m.push(m.line()),
        pickle.SHORT_BINUNICODE: lambda m: _text(m, 1),
        pickle.BINUNICODE: lambda m: _text(m, 4),
        pickle.BINUNICODE8: lambda m: _text(m, 8),
        pickle.SHORT_BINBYTES: lambda m: _bytes(m, 1),
        pickle.BINBYTES: lambda m: _bytes(m, 4),
        pickle.BINBYTES8: lambda m: _bytes(m, 8),
        pickle.BYTEARRAY8: lambda m: _bytes(m, 8),
        pickle.EMPTY_TUPLE: lambda m: m.push(()),
        pickle.TUPLE1: lambda m: _tuple(m, 1),
        pickle.TUPLE2: lambda m: _tuple(m, 2),
        pickle.TUPLE3: lambda m: _tuple(m, 3),
        pickle.TUPLE: lambda m: m.made(tuple(m.marked())),
        pickle.EMPTY_LIST: lambda m: m.made([]),
        pickle.APPEND: lambda m: _append(m, [m.pop()]),
        pickle.APPENDS: lambda m: _append(m, m.marked()),
        pickle.EMPTY_DICT: lambda m: m.made({}),
        pickle.SETITEM: lambda m: _set(m, _pair(m)),
        pickle.SETITEMS: lambda m: _set(m, m.marked()),
        pickle.GLOBAL: lambda m: m.push(_named(m, m.line(), m.line())),
        pickle.INST: _instance,
        pickle.STACK_GLOBAL: _stacked_name,
        pickle.REDUCE: _call,
        pickle.NEWOBJ: _call,
        pickle.BUILD: _state,
        pickle.BINPUT: lambda m: m.note(_number(m, 1)),
        pickle.LONG_BINPUT: lambda m: m.note(_number(m, 4)),
        pickle.MEMOIZE: lambda m: m.note(len(m.notes)),
        pickle.BINGET: lambda m: m.noted(_number(m, 1)),
        pickle.LONG_BINGET: lambda m: m.noted(_number(m, 4)),
    }.items()
}
"""What every instruction does. Sets, classes of one's own, references outside the file and
extensions are not among them."""


def shortened(error: BaseException) -> str:
    """The first line of an error, short enough for a message."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return printable(lines[0], 120)


def load(content: bytes, builders: Builders) -> Any:
    """What a pickle holds, built by `builders` alone.

    Args:
      content: the whole file.
      builders: what becomes of the names in it.

    Raises:
      InputError: no pickle that can be read, or a name that `builders` refuses.
    """
    try:
        return Machine(content, builders).run()
    except InputError:
        raise
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise InputError(f"is not a pickle that can be read ({shortened(error)})") from None
