"""Files of any content through every reader: a record, or one short line that says what is wrong.

The generators write logs, tables and labels in every format, with cells of the wrong type, odd
texts and huge numbers, and then cut, splice and change the bytes.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from routerjax.cli.commands import main
from routerjax.data.io.files import read_log, read_rows, read_table
from routerjax.data.io.gain_labels import read_labels
from routerjax.data.io.queries import read_prompts
from routerjax.data.public.safe_pickle import read_columns
from routerjax.errors import InputError

LONGEST = 680  # characters of a sentence with the names of its file and column
PATIENCE = 20  # seconds

NAMES = (
    *("prompt", "model", "quality", "cost", "embedding", "propensity", "task", "split", "group"),
    *("messages", "score:a", "score:b", "cost:a", "cost:b", "GL", "PL", "scored_by", "x", ""),
)
ODD_TEXTS = (
    *("", " ", "NA", "nan", "null", "{}", "[]", "[0.1, 0.2]", "[0.1 0.2]", "[1. ... 2.]", "1e999"),
    *("$0.01", "0,5", "-1", "9" * 400, "2024-01-01", "test", "\x00", "\x1b[2J", "\u2028", "\u200b"),
    *("a" * 3000, '{"role": "user", "content": "x"}', "[{]", '"', "'", ";", "[/x]", "é", "🎲"),
)
ODD_NUMBERS = (0, 1, -1, 0.5, 1e308, 1e-320, 2**63, -(2**70), 10**400, float("inf"), float("nan"))

texts = st.one_of(st.sampled_from(ODD_TEXTS), st.text(max_size=20))
plain = st.one_of(
    st.none(), st.booleans(), texts, st.sampled_from(ODD_NUMBERS), st.floats(0, 1), st.integers()
)
cells = st.recursive(
    plain,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=6,
)
shares = st.floats(0, 1)
usual = {
    "model": st.sampled_from(["a", "b", "a ", "A"]),
    "prompt": st.text(min_size=1, max_size=9),
    "split": st.sampled_from(["train", "test", "validation"]),
    "task": texts,
    "group": texts,
    "messages": st.lists(st.fixed_dictionaries({"role": texts, "content": texts}), max_size=2),
    "embedding": st.lists(st.floats(-1, 1, width=32), min_size=2, max_size=2),
}


WHOLE = {
    "log": ("model", "quality", "cost", "prompt"),
    "embedded": ("model", "quality", "cost", "embedding"),
    "table": ("prompt", "score:a", "score:b", "cost:a", "cost:b"),
    "labels": ("embedding", "GL", "PL"),
    "nothing": (),
}


@st.composite
def tables(draw) -> list[dict[str, Any]]:
    """Rows of a log, a table or labels, half of them with an odd column, cell or gap."""
    names = list(WHOLE[draw(st.sampled_from(list(WHOLE)))])
    names += draw(st.lists(st.sampled_from([n for n in NAMES if n not in names]), max_size=2))
    names = list(dict.fromkeys(names))
    odd = draw(st.sampled_from([None, None, None, *names]))
    count = draw(st.integers(2, 8)) if draw(st.integers(0, 9)) else draw(st.integers(0, 1))
    gap = draw(st.sampled_from([None, None, *range(count)]))
    rows = [{name: draw(usual.get(name, shares)) for name in names} for _ in range(count)]
    if odd is not None and count:
        for row in draw(st.sampled_from([rows, rows[:1], rows[-1:]])):
            row[odd] = draw(cells)
    if gap is not None and names:
        del rows[gap][draw(st.sampled_from(names))]
    return rows


def in_lines(rows: list[dict], draw) -> bytes:
    end = draw(st.sampled_from(["\n", "\n", "\r\n", "\n\n", "", ",\n"]))
    return "".join(json.dumps(row, ensure_ascii=draw(st.booleans())) + end for row in rows).encode(
        "utf-8", "surrogatepass"
    )


def in_array(rows: list[dict], draw) -> bytes:
    whole = draw(
        st.sampled_from([rows, rows, rows, {"data": rows}, {"a": rows, "b": rows}, [rows]])
    )
    return json.dumps(whole, indent=draw(st.sampled_from([None, 1]))).encode()


def delimited(rows: list[dict], draw) -> bytes:
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.writer(
        text,
        delimiter=draw(st.sampled_from(",,,,;\t|^ ")),
        quoting=draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])),
        lineterminator=draw(st.sampled_from(["\n", "\r\n", "\r"])),
    )
    for row in [names, *([row.get(name) for name in names] for row in rows)]:
        writer.writerow(row)
    encoding = draw(st.sampled_from(["utf-8"] * 6 + ["utf-8-sig", "utf-16", "latin1", "utf-16-le"]))
    return text.getvalue().encode(encoding, "replace")


def in_parquet(rows: list[dict], draw) -> bytes:
    sink = pa.BufferOutputStream()
    try:
        pq.write_table(pa.Table.from_pylist(rows), sink)
    except (pa.ArrowException, OverflowError, UnicodeError, ValueError):
        return in_lines(rows, draw)  # one type a column does not fit
    return sink.getvalue().to_pybytes()


FORMATS: dict[str, Callable[[list[dict], Any], bytes]] = {
    ".jsonl": in_lines,
    ".json": in_array,
    ".csv": delimited,
    ".tsv": delimited,
    ".parquet": in_parquet,
}


@st.composite
def files(draw) -> tuple[str, bytes]:
    """The name of a file, and its content: whole, cut, spliced or changed, packed or not."""
    suffix = draw(st.sampled_from(list(FORMATS)))
    written = draw(st.sampled_from([suffix] * 20 + list(FORMATS)))  # seldom of another format
    content = FORMATS[written](draw(tables()), draw)
    packed = draw(st.sampled_from(["", "", "", ".gz", ".zst"]))
    early = draw(st.booleans())  # what is wrong is wrong inside of the packing
    content = draw(changed(content)) if early else content
    if packed == ".gz":
        content = gzip.compress(content, 1)
    elif packed == ".zst":
        content = pa.compress(content, codec="zstd", asbytes=True)
    return f"file{suffix}{packed}", content if early else draw(changed(content))


def changed(content: bytes) -> st.SearchStrategy[bytes]:
    """The content, mostly as it is."""
    places = st.integers(0, len(content))
    pieces = st.one_of(
        st.binary(max_size=8),
        st.sampled_from([b"[" * 5000, b'{"a":' * 3000, b"\xff\xfe", b"\n", b'"', b",", b"9" * 500]),
    )
    return st.one_of(
        *[st.just(content)] * 9,
        places.map(lambda at: content[:at]),
        st.tuples(places, places, pieces).map(
            lambda cut: content[: min(cut[:2])] + cut[2] + content[max(cut[:2]) :]
        ),
        st.tuples(places, pieces).map(lambda cut: content[: cut[0]] + cut[1] + content[cut[0] :]),
        places.map(lambda at: content[at:] + content[:at]),
        st.binary(max_size=60),
    )


READERS: dict[str, Callable[[str], Any]] = {
    "log": read_log,
    "log without what is missing": lambda path: read_log(path, drop_missing=True),
    "log of any quality": lambda path: read_log(path, quality_range=(-1e9, 1e9)),
    "table": read_table,
    "rows": read_rows,
    "labels": lambda path: read_labels(path, gold="GL", preference="PL"),
    "one label": lambda path: read_labels(path, gold="quality", preference="cost"),
    "several": lambda path: read_log([path, str(Path(path).parent / "other.csv")]),
    "prompts": read_prompts,
    "pickle": read_columns,
}


def check(folder: Path, name: str, content: bytes, reader: str) -> None:
    """Read the file; whatever comes of it, it is a record or one short line, and no trace."""
    path = folder / name
    path.write_bytes(content)
    (folder / "other.csv").write_text("prompt,model,quality,cost\na,a,1,1\nb,b,0,1\n")
    before = sorted(os.listdir(folder)), sorted(os.listdir(tempfile.gettempdir()))
    start = time.monotonic()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            READERS[reader](str(path))
    except InputError as error:
        said = str(error)
        assert said.isprintable() and said.strip(), said
        assert len(said.replace(str(folder), "")) <= LONGEST, said
    assert time.monotonic() - start < PATIENCE
    assert (sorted(os.listdir(folder)), sorted(os.listdir(tempfile.gettempdir()))) == before
    path.unlink()


def fuzzed(count: int) -> Callable:
    """So many examples, the same in every run, and nothing of them kept."""
    return settings(
        max_examples=count,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A folder for the file, and one for what readers put aside."""
    (tmp_path / "aside").mkdir()
    (tmp_path / "files").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "aside"))
    return tmp_path / "files"


def ended(arguments: list[str], capsys) -> None:
    """Run a command; it ends well, or with one short line after its warnings."""
    start = time.monotonic()
    code = main(arguments)
    said = capsys.readouterr()
    *before, last = said.err.splitlines() or [""]
    assert all(line.startswith("routerjax: warning: ") for line in before), said.err
    tells = arguments[:1] == ["inspect"]  # what it found, before what is the matter
    assert code == 0 or (code == 2 and (tells or not said.out)), (code, said.out)
    if code == 2:
        assert last.startswith("routerjax: ") and last.isprintable() and len(last) < LONGEST + 200
    assert time.monotonic() - start < PATIENCE


def inspected(folder: Path, capsys, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    ended(["inspect", str(folder / name)], capsys)
    (folder / name).unlink()


words = st.one_of(
    st.sampled_from(
        ["fit", "evaluate", "route", "plan", "file.csv", "none.csv", ".", "-", "--", "--out", "run"]
    ),
    st.sampled_from(
        ["--quality-range", "-1:1", "1:", "--columns", "cost=x", "--prompts", "--prompt", "--help"]
    ),
    st.sampled_from(
        ["--cost-weight", "nan", "-5", "--gains", "--costs", "1,2", "--json", "~nobody/x"]
    ),
    st.text(max_size=6).filter(lambda text: "\0" not in text),
)


@pytest.mark.slow
@fuzzed(150)
@given(arguments=st.lists(words, max_size=6))
def test_any_command_line_ends_well_or_in_one_line(folder, capsys, monkeypatch, arguments):
    monkeypatch.chdir(folder)
    (folder / "file.csv").write_text("prompt,model\na,b\n")
    ended(arguments, capsys)
    assert os.listdir(folder) == ["file.csv"]


@pytest.mark.slow
@fuzzed(60)
@given(file=files())
def test_any_file_is_planned_with_or_refused_in_one_line(folder, capsys, file):
    name, content = file
    (folder / name).write_bytes(content)
    ended(["plan", str(folder / name), "--drop-missing"], capsys)
    (folder / name).unlink()


@fuzzed(200)
@given(file=files(), reader=st.sampled_from(list(READERS)))
def test_any_file_is_read_or_refused_in_one_line(folder, file, reader):
    check(folder, *file, reader)


@pytest.mark.slow
@fuzzed(2000)
@given(file=files(), reader=st.sampled_from(list(READERS)))
def test_many_files_are_read_or_refused_in_one_line(folder, file, reader):
    check(folder, *file, reader)


@fuzzed(30)
@given(file=files())
def test_any_file_is_inspected_or_refused_in_one_line(folder, capsys, file):
    inspected(folder, capsys, *file)


@pytest.mark.slow
@fuzzed(300)
@given(file=files())
def test_many_files_are_inspected_or_refused_in_one_line(folder, capsys, file):
    inspected(folder, capsys, *file)
