"""The reader of pickled DataFrames: what pandas wrote comes back, and nothing else is run."""

from __future__ import annotations

import base64
import pickle
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

from routerjax.data.public import safe_pickle
from routerjax.data.public.arrow_texts import arrow_texts
from routerjax.data.public.safe_pickle import read_columns
from routerjax.errors import InputError


def said(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_columns(path)
    return str(caught.value)


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def frame(columns: dict[str, list | np.ndarray]):
    """A DataFrame as pandas built it before it had a type of its own for text."""
    import pandas

    arrays = {
        name: np.array(values, object if isinstance(values[0], str) else None)
        for name, values in columns.items()
    }
    made = pandas.DataFrame({name: pandas.Series(values) for name, values in arrays.items()})
    made = made.astype({name: object for name in arrays if arrays[name].dtype == object})
    made.columns = pandas.Index(list(columns), dtype=object)
    return made


# What pandas wrote

COLUMNS = {
    "text": ["a", "ü\n", ""],
    "score": [0.5, np.nan, 1.0],
    "count": [1, -2, 3],
    "small": np.array([1, 2, 3], np.int8),
    "right": [True, False, True],
    "more": [1e-300, 0.0, np.inf],
}


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_columns_come_back_bit_for_bit(tmp_path, protocol):
    path = write(tmp_path / "f.pkl", pickle.dumps(frame(COLUMNS), protocol))
    read = read_columns(path)
    assert list(read) == list(COLUMNS)
    for name, values in COLUMNS.items():
        np.testing.assert_array_equal(read[name], values)
    assert read["small"].dtype == np.int8 and read["score"].dtype == np.float64


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("protocol", [4, 5])
def test_a_block_by_rows_or_by_columns_of_any_byte_order(tmp_path, order, protocol):
    import pandas

    values = np.arange(6.0).reshape(3, 2)
    for kind in ("<f8", ">f8"):
        made = pandas.DataFrame(np.array(values, kind, order=order))
        read = read_columns(write(tmp_path / "f.pkl", pickle.dumps(made, protocol)))
        assert list(read) == ["0", "1"]
        np.testing.assert_array_equal(np.stack(list(read.values()), axis=1), values)


def test_cells_of_objects_may_be_none_or_numpy_scalars(tmp_path):
    cells = np.array([None, np.float64(0.25), np.int64(7), "x", np.nan], object)
    read = read_columns(write(tmp_path / "f.pkl", pickle.dumps(frame({"a": cells}))))
    assert read["a"][:4].tolist() == [None, 0.25, 7, "x"] and np.isnan(read["a"][4])


def test_rows_that_were_picked_and_columns_that_were_moved(tmp_path):
    made = frame(COLUMNS)
    picked = made.iloc[[2, 0]][["count", "text", "score"]]
    read = read_columns(write(tmp_path / "f.pkl", pickle.dumps(picked)))
    assert {name: list(values) for name, values in read.items()} == {
        "count": [3, 1],
        "text": ["", "a"],
        "score": [1.0, 0.5],
    }


OLDER = {
    "pandas 2.1.2, numpy 1.26.1, protocol 5": (
        "eNqVVM1qFEEQ3t3s7GaTYH7EGBFkD4GNqCMGDx7EBSOKDtloUDyEMOmZ7d0eMn9095gEEtRDkg30QUzrAwgefABf"
        "xCcQ9AHMLQdBq3t2yG6ih+2Bnpru+qq+qpqqN8aHT0ZOLzEZo7CJmOlGFJstigIsReUB4uihlg/l1bdyR86Joh20"
        "qRRXetW9kGMaIp+ZAQpRG1Mmxdh9P3LXF9NvgM+J6S7E9j2HnWCkGLeTMPbcdR/bjgKBtrgQJkG8lZoPEp97iFK0"
        "BWZtit0oZJwmLleKhlaUogy2tcqhtHK7ciHvyH25LOesPDyFPUnGhdHkW7EKRRSW7siDTno/JPLbstFoPPkDS29W"
        "nUvnYBUol4LAT8xb4KXNAnNeYrgQw07iAaEQmBvM91ysXSo/yqBVUDsZJefIpCJCzvfTuKwNT63UXhLEqx6rzlev"
        "VefrtVUpJlZqSyE2a9ertecbkTpS/sisQg5iXLO+sQk5CbiDQ5dkdgrW0AB2HtV/pf9Gowsfsor9cDHVUyUQMfVc"
        "KUbtFo0CJ2m10sJ/nMj1ru/1TJJkRhRafZW4e6oSOfCcchL5BcmV11lgYQySjvxtKHgYZUkwrNIAaIKI0wWWrPIp"
        "4OJJbL+/HH1bdJ7W0/daXZJnXTMvuqzL1vD/4UfkR+fr8c976dfx67PwYasySNBl52YQNbEPeUNZ5BVrpNcEl0px"
        "pr+Rm3gTM9NBDNp/xA7xhv1YnUEdyTthZLIeBE0YDvIsi5HdjEOFoSCGpvaaUpRi+CdiDjMFv0K+HaqZQvZJR0yg"
        "bU0U+prF0Njgd7rL/czFGNrmEQe4GzEwNZXp9R7ORBS54DTF8simUcIxCGnzFrXnRrKncvheXPpX9BSFbRX+snr3"
        "hEw+N6DjOaIc+l0UGY9iSKUSMAh5bROrDYYkTBqIVaUom6V2gDnSOYNWNxDnMCV3IDF2y0dtLV5Evh9tMLuZxDBW"
        "ELD2kYNhQnZY4ph/ATjbGSk="
    ),
    "pandas 1.2.5, numpy 1.22.4, protocol 4": (
        "eNp1VE9PFDEU31n2DyBEMSJwIetBdxEYgXDgYNxEiEY2LAZJPBgydmbKduPMdGw7AglEPYCQ9Eb9EH4Av4ifwEQ/"
        "gCQeOJjoa2fWLLLOYd5r+3597/1+bd8VPv4s5MwnR2IU+YjbHmXY3mYoxEoOrCCBHhn/VE29VweqJgtO2GJKTnaH"
        "tyOBWYQCbocoQi3MuJJDDwPqvVpLxym8tgX48YtAH+9ibruIQ7pBJ8I7zhM9BwByRRY7vknsQzFKjkZJGO+l8DAJ"
        "RBsxhvYgn8OwRyMuWOIJgMiiCVSyDOlMyKlq5A7VsuWqD2pD1RpWY/BQkVFZ9MVerDuU+fUldXKcrvZJa181m83V"
        "3/CZX6MulHuiexjgKIwD7LR9JUsxo2EsgCz8BgVOZIgru/dC6uNASQtKvob2zQgq5DGUCAE3s4BLC0NoX1ABG3mU"
        "w6bXO3Hdk+OUIQ/Sp1hBHUYTgcFRGCqUBVNDMzmCPsiwnOhFOENRSzO+oW0Xy2SuKYtcICaALFnggsaqkdcOBscy"
        "e2KggNwgY5pNMtHhsq+RP1JkUua3L3B4/x8Oc5rD5bn00H2t57Lv16ezL2vu03pqX9bPyLfjz+ffH6Sr528VwC7n"
        "LJuct4wmpTAMEnsedG/x0F4A6l5UnxMkKm1eWahMVxbq1S2Q4kV1PcJ2daZS3dyhZsoAZ3dBtFC4OPKIelz/keZt"
        "SmsRTkVEFXlGNkmNTGmCTf/D5Kqma6QHEYdZSWSKzJBZjQBWMzX+iyr/Rd0md0gVct0l08TuRuMDKHbOnl+ELs2F"
        "QKCkIoOy5OqrxhWg9XwJzmGiV+qyH+6qA4sw6FknyNXukous9BJrPHsicuXM9mdWi5LofmKySl737mn3ZHmpI7KV"
        "2Xxm+zJbzGwpswPd++OEm0PtwCWFS6Yfgc7r5IRYIPMqgIxFJAS8O5ojZztALeOOoSCgO9zxkzhoewguSYBcHHB1"
        "zBPX/gNGRM9u"
    ),
}
"""One frame of two rows as two releases of pandas pickled it; compressed."""


@pytest.mark.parametrize("writer", OLDER)
def test_what_older_releases_wrote_is_read(tmp_path, writer):
    content = zlib.decompress(base64.b64decode(OLDER[writer]))
    read = read_columns(write(tmp_path / "f.pkl", content))
    assert read["prompt"].tolist() == ["['What is 2 + 2?']", "['One.', 'Two?']"]
    assert read["b/model"].tolist() == [1.0, None]
    np.testing.assert_array_equal(read["a|total_cost"], [0.001, 0.002])
    np.testing.assert_array_equal(read["b/model|total_cost"], [1e-5, np.nan])
    assert list(read)[-1] == "oracle_model_to_route_to" and len(read) == 10


# What nobody should run

HOSTILE = (
    *("os system", "posix system", "subprocess Popen", "shutil rmtree", "importlib import_module"),
    *("builtins eval", "builtins exec", "builtins getattr", "builtins __import__", "builtins open"),
    *("__builtin__ eval", "functools partial", "functools reduce", "operator attrgetter"),
    *("operator methodcaller", "copyreg __newobj__", "_codecs encode", "types FunctionType"),
    *("numpy load", "numpy fromfile", "numpy memmap", "numpy.lib.npyio load", "numpy.testing run"),
    *("numpy.core.multiarray fromfile", "numpy._core.multiarray frombuffer"),
    *("numpy ndarray.tofile", "numpy.core.multiarray _reconstruct.__globals__"),
    *("pandas eval", "pandas read_pickle", "pandas.io.pickle read_pickle", "pandas DataFrame.eval"),
    *("pandas.core.frame DataFrame.query", "pandas.core.frame DataFrame.__init__.__globals__"),
    *("pandas.core.computation.eval eval", "pandas.io.common os.system", "pandas Series"),
    *("routerjax.data.public.safe_pickle _Part", "routerjax.support.atomic write_text"),
)


def named(name: str) -> str:
    return name.replace(" ", ".")


@pytest.mark.parametrize("name", HOSTILE)
def test_any_other_name_is_refused(tmp_path, name):
    module, attribute = name.split()
    target = str(tmp_path / "ran")
    argument = b"(V" + f"touch {target}".encode() + b"\nt"
    called = b"c" + f"{module}\n{attribute}\n".encode() + argument + b"R."
    spelled = [b"\x8c" + bytes([len(part)]) + part.encode() for part in (module, attribute)]
    stacked = b"\x80\x04" + b"".join(spelled) + b"\x93" + argument + b"R."
    started = b"(V" + target.encode() + b"\ni" + f"{module}\n{attribute}\n".encode() + b"."
    for content in (called, stacked, started):
        message = said(write(tmp_path / "f.pkl", content))
        assert message.startswith(f"{tmp_path / 'f.pkl'}: the pickle asks for {named(name)}, ")
        assert "nothing was run" in message
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.pkl"]


def test_a_module_that_is_named_is_not_imported(tmp_path):
    assert "this" not in sys.modules
    assert "this.d" in said(write(tmp_path / "f.pkl", b"cthis\nd\n."))
    assert "this" not in sys.modules


class Bomb:
    """Runs a command where it is unpickled."""

    def __init__(self, target: Path):
        self.target = target

    def __reduce__(self):
        import os

        return os.system, (f"touch {self.target}",)


def test_a_bomb_inside_a_cell_does_not_go_off(tmp_path):
    made = frame({"prompt": np.array(["a", Bomb(tmp_path / "ran")], object)})
    assert "system" in said(write(tmp_path / "f.pkl", pickle.dumps(made)))
    assert not (tmp_path / "ran").exists()


def test_a_pickle_cannot_change_the_reader(tmp_path):
    """State set on the names themselves, as a pickle may, would outlive the file."""
    slots = b"(N}(V__new__\ncnumpy\ndtype\nut"
    for target in ("pandas\nDataFrame", "numpy\nndarray", "builtins\nslice"):
        content = b"c" + target.encode() + b"\n" + slots + b"b."
        assert "is not a pickle that can be read" in said(write(tmp_path / "f.pkl", content))
    test_columns_come_back_bit_for_bit(tmp_path, 5)


def test_admitted_names_call_nothing_of_pandas_and_numpy():
    """Whatever a pickle hands to an admitted name is kept, not interpreted."""
    for part in safe_pickle.ALLOWED.values():
        made = part("anything", 1)
        made.__setstate__({"what": "ever"})
        assert made.args == ("anything", 1) and made.state == {"what": "ever"}
        assert part.__module__ == "routerjax.data.public.safe_pickle"


# What is no frame of plain columns


def test_no_pickle_at_all(tmp_path):
    whole = pickle.dumps(frame(COLUMNS))
    for content in (b"", b"prompt,score\n", b"\x80\x05.", whole[:-20], whole[: len(whole) // 2]):
        assert "is not a pickle that can be read" in said(write(tmp_path / "f.pkl", content))
    assert "cannot be read (No such file" in said(tmp_path / "none.pkl")
    assert "cannot be read (Is a directory" in said(tmp_path)


@pytest.mark.parametrize(
    "value",
    [
        None,
        1,
        "text",
        [1, 2],
        {"prompt": ["a"]},
        np.arange(3.0),
        np.arange(3).astype("M8[s]"),
    ],
)
def test_a_pickle_of_something_else(tmp_path, value):
    message = said(write(tmp_path / "f.pkl", pickle.dumps(value)))
    assert "is not a pickled DataFrame of plain columns (" in message


def test_columns_of_other_kinds_are_named(tmp_path):
    import pandas

    path = tmp_path / "f.pkl"
    made = pandas.DataFrame({"a": pandas.Categorical(["x", "y"])})
    assert "the pickle asks for pandas._libs" in said(write(path, pickle.dumps(made)))
    assert "the pickle asks for pandas" in said(write(path, pickle.dumps(made["a"])))


def test_blocks_that_do_not_fit_are_refused(tmp_path):
    """Raw numbers under the dtype of objects would be taken for addresses."""
    whole = pickle.dumps(frame({"a": [1.0, 2.0]}), 4)
    assert whole.count(b"\x8c\x02f8") == 1
    objects = whole.replace(b"\x8c\x02f8", b"\x8c\x02O8")
    assert "bytes where a list of objects should be" in said(write(tmp_path / "f.pkl", objects))
    structured = whole.replace(b"\x8c\x02f8", b"\x8c\x02V8")
    assert "dtype 'V8'" in said(write(tmp_path / "f.pkl", structured))
    shorter = whole.replace(b"\x8c\x02f8", b"\x8c\x02f4")
    assert "is not a pickled DataFrame" in said(write(tmp_path / "f.pkl", shorter))


# What would take memory or time

MARKED, DICT, LIST = b"(", b"}", b"]"


def shared(deep: int, wide: int = 2) -> bytes:
    """A tuple of `wide` times the same tuple, and so on: wide^deep parts to compare."""
    content = b"\x80\x04)\x94"
    for level in range(deep):
        content += MARKED + (b"h" + bytes([level])) * wide + b"t\x94"
    return content


def sized(code: bytes, size: int, width: int) -> bytes:
    return b"\x80\x04" + code + size.to_bytes(width, "little")


GREEDY = {
    "a note of a high number": b"Nr\xff\xff\xff\x7f.",
    "notes of high numbers": b"N" + b"r\xff\xff\xff\x7f" * 50 + b".",
    "shared tuples as a key": shared(200) + DICT + b"h\xc8N" + b"s.",
    "shared tuples as a frame": shared(200) + b".",
    "deep lists": b"\x80\x04" + LIST * 100_000 + b"a" * 99_999 + b".",
    "deep tuples": b"\x80\x04)" + b"\x85" * 100_000 + b".",
    "bytes": sized(b"\x8e", 2**62, 8),
    "text": sized(b"\x8d", 2**62, 8),
    "a byte array": sized(b"\x96", 2**62, 8),
    "bytes of 4 GB": sized(b"B", 2**32 - 1, 4),
    "a frame": sized(b"\x95", 2**62, 8),
    "a whole number": sized(b"\x8b", 2**31 - 1, 4) + b"\xff" * 99,
    "many lists": b"\x80\x04" + LIST * 2_000_001 + b".",
    "many notes": b"\x80\x04N" + b"\x94" * 3_000_001 + b".",
    "a set": b"\x80\x04\x8f" + b"(K\x01\x90.",
    "an extension": b"\x80\x04\x82\x01.",
    "a class": b"\x80\x04" + b"\x8c\x08builtins\x8c\x05slice\x93)}\x92.",
}


@pytest.mark.parametrize("content", GREEDY.values(), ids=GREEDY)
def test_a_greedy_pickle_is_refused_at_once_and_takes_no_memory(tmp_path, content):
    """In a process of its own, whose memory is limited to what a small frame needs."""
    path = write(tmp_path / "f.pkl", content)
    limited = (
        "import resource, sys\n"
        "from routerjax.data.public.safe_pickle import read_columns\n"
        "from routerjax.errors import InputError\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try:\n    read_columns(sys.argv[1])\n"
        "except InputError as error:\n    print(len(str(error)))\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", limited, str(path)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    length, mebibytes = map(int, done.stdout.split())
    assert length < 300 + len(str(path))
    assert mebibytes < 100 + 150 * len(content) / 2**20


def small() -> bytes:
    return pickle.dumps(frame({"a": ["x", "y"], "b": [1.0, 2.0]}), 4)


@pytest.mark.parametrize(
    ("part", "other"),
    [
        (b"\x8c\x02f8", b"\x8c\x02f2"),  # half as wide, so that there are twice as many
        (b"\x8c\x01x", b"\x8c\x01\xff"),
        (b"K\x01K\x02\x86", b"K\x02K\x02\x86"),
        (b"K\x01K\x02\x86", b"K\x00K\x02\x86"),
        (b"K\x01K\x02\x86", b"J\xff\xff\xff\x7fK\x00\x86"),
    ],
)
def test_shapes_that_do_not_fit_are_refused_or_read(tmp_path, part, other):
    whole = small()
    assert part in whole
    try:
        assert set(read_columns(write(tmp_path / "f.pkl", whole.replace(part, other)))) == {
            "a",
            "b",
        }
    except InputError as error:
        assert "is not a pickle" in str(error) and len(error.problem) < 250


def test_any_byte_of_a_pickle_may_be_wrong(tmp_path):
    whole = small()
    rng = np.random.default_rng(0)
    for place in rng.permutation(len(whole))[:300]:
        content = bytearray(whole)
        content[place] = rng.integers(256)
        try:
            read_columns(write(tmp_path / "f.pkl", bytes(content)))
        except InputError as error:
            assert len(error.problem) < 300 and str(error).isprintable()


def test_cells_that_are_neither_text_nor_numbers_are_refused(tmp_path):
    for value in ([1], (1,), {"a": 1}, b"x"):
        made = frame({"a": ["x", "y"]})
        made.at[1, "a"] = value
        message = said(write(tmp_path / "f.pkl", pickle.dumps(made)))
        assert "is not a pickled DataFrame of plain columns" in message


def test_paths_that_name_no_place():
    assert said(Path("~nobody-of-this-name/x.pkl")).endswith("there is no such user")
    assert "File name too long" in said(Path("x" * 5000))


# Texts as pandas 3 keeps them


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_texts_of_a_type_of_their_own(tmp_path, protocol):
    pandas = pytest.importorskip("pandas", minversion="3")
    made = pandas.DataFrame(
        {"id": ["a", None, "ü\n"], "name": ["", "bb", "c"], "score": [0.5, np.nan, 1.0]}
    )
    for each in (made, made.iloc[1:], pandas.concat([made, made], ignore_index=True)):
        read = read_columns(write(tmp_path / "f.pkl", pickle.dumps(each, protocol)))
        assert list(read) == ["id", "name", "score"]
        for name in ("id", "name"):
            wanted = [None if value != value else value for value in each[name].tolist()]
            assert read[name].tolist() == wanted
        np.testing.assert_array_equal(read["score"], each["score"])


def test_texts_outside_of_their_buffers_are_refused():
    ends = np.array([0, 1, 3], "<i8").tobytes()
    given = {"known": None, "ends": ends, "letters": b"xyz"}
    assert arrow_texts("large_string", 2, 0, **given) == ["x", "yz"]
    assert arrow_texts("large_string", 1, 1, **{**given, "known": b"\x02"}) == ["yz"]
    assert arrow_texts("large_string", 1, 1, **{**given, "known": b"\x01"}) == [None]
    for kind, count, start, changes in (
        ("large_string", 3, 0, {}),
        ("large_string", 1 << 62, 0, {}),
        ("large_string", -1, 0, {}),
        ("large_string", 2, 0, {"letters": b"xy"}),
        ("large_string", 2, 0, {"known": b""}),
        ("large_string", 2, 0, {"ends": np.array([2, 1, 3], "<i8").tobytes()}),
        ("large_string", 2, 0, {"ends": np.array([-1, 1, 3], "<i8").tobytes()}),
        ("large_string", 2, 0, {"letters": b"\xff\xff\xff"}),
        ("binary", 2, 0, {}),
    ):
        with pytest.raises(ValueError):
            arrow_texts(kind, count, start, **{**given, **changes})
