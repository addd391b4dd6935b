"""Files of rows: every format and encoding, several files as one, and JSON that is large or odd."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from routerjax.data.formats import delimited, json_rows, loading, opening, several
from routerjax.data.inspection.inspecting import inspect
from routerjax.data.io.files import read_log
from routerjax.data.io.queries import read_prompts
from routerjax.data.io.writing import write_log
from routerjax.errors import InputError

ROWS = [
    {"prompt": "2+2?", "model": "small", "quality": 1.0, "cost": 0.25},
    {"prompt": "why;\tso, |so|?\nNA", "model": "large", "quality": 0.5, "cost": 2.0},
    {"prompt": "größer \u2028\x0c 🎲", "model": "small", "quality": 0.0, "cost": 0.0},
]
PROMPTS = tuple(row["prompt"] for row in ROWS)


def lines(rows: list[dict]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def table(rows: list[dict], separator: str = ",", end: str = "\n") -> str:
    """Delimited text, every cell in double quotes."""
    cells = [list(rows[0]), *([row[name] for name in rows[0]] for row in rows)]
    return "".join(separator.join(f'"{cell}"' for cell in row) + end for row in cells)


def put(place: Path, content: str | bytes) -> Path:
    content = content.encode() if isinstance(content, str) else content
    if place.suffix == ".gz":
        content = gzip.compress(content)
    elif place.suffix == ".zst":
        content = pa.compress(content, codec="zstd", asbytes=True)
    place.write_bytes(content)
    return place


def said(path, **options) -> str:
    with pytest.raises(InputError) as caught:
        loading.load(path, **options)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 400
    return message.removeprefix(f"{path}")


# Formats


def in_parquet(rows: list[dict]) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return sink.getvalue().to_pybytes()


CONTENTS = {
    ".parquet": in_parquet(ROWS),
    ".csv": table(ROWS),
    ".tsv": table(ROWS, "\t"),
    ".jsonl": lines(ROWS),
    ".ndjson": lines(ROWS),
    ".json": json.dumps(ROWS),
}


@pytest.mark.parametrize("packed", ["", ".gz", ".zst"])
@pytest.mark.parametrize("suffix", CONTENTS)
def test_a_log_is_read_from_every_format_packed_or_not(tmp_path, suffix, packed):
    log = read_log(put(tmp_path / f"my.log{suffix}{packed}", CONTENTS[suffix]))
    assert (log.prompts, log.models) == (PROMPTS, ("large", "small"))
    np.testing.assert_array_equal(log.quality, [1, 0.5, 0])
    np.testing.assert_array_equal(log.cost, [0.25, 2, 0])


@pytest.mark.parametrize(
    "name", ["rows.txt", "gateway.log", "gateway.log.1", "rows", "rows.txt.gz"]
)
@pytest.mark.parametrize("content", [lines(ROWS), "\n " + json.dumps(ROWS, indent=1)])
def test_json_is_known_by_its_content_where_the_name_says_nothing(tmp_path, name, content):
    packed = gzip.compress if name.endswith(".gz") else bytes
    (tmp_path / name).write_bytes(packed(content.encode()))
    assert read_log(tmp_path / name).prompts == PROMPTS
    found = inspect(tmp_path / name)
    assert found.format.startswith("JSON by its content") and found.rows == len(ROWS)


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("rows.txt", "prompt,model", "unknown suffix '.txt'; use .parquet"),
        ("rows", " ", "unknown suffix ''; use .parquet"),
        ("rows.doc", "[{}]", "unknown suffix '.doc'; use .parquet"),
        ("rows.log", "[{", "is not valid JSON"),
    ],
)
def test_other_contents_need_a_suffix(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message):
        read_log(tmp_path / name)


@pytest.mark.parametrize("suffix", [".csv.gz", ".tsv", ".jsonl.zst", ".JSONL", ".parquet"])
def test_a_log_is_written_in_the_format_that_is_asked_for(tmp_path, suffix):
    log = read_log(put(tmp_path / "a.jsonl", lines(ROWS)))
    write_log(log, tmp_path / f"b{suffix}")
    assert read_log(tmp_path / f"b{suffix}").fingerprint == log.fingerprint


def test_what_is_packed_is_known_by_its_bytes_whatever_its_name(tmp_path):
    (tmp_path / "a.csv").write_bytes(gzip.compress(table(ROWS).encode()))
    (tmp_path / "a.csv.gz").write_bytes(table(ROWS).encode())
    for name in ("a.csv", "a.csv.gz"):
        assert read_log(tmp_path / name).prompts == PROMPTS


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_encodings_are_known_by_their_byte_order_mark(tmp_path, suffix, encoding):
    text = str(CONTENTS[suffix])
    path = put(tmp_path / f"log{suffix}", text.encode(encoding))
    assert read_log(path).prompts == PROMPTS


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_of_a_table_is_found(tmp_path, separator, end):
    path = put(tmp_path / "log.csv", table(ROWS, separator, end))
    assert read_log(path).prompts == PROMPTS
    assert several.separator_of(loading.load(path)) == separator


@pytest.mark.parametrize(
    ("head", "separator"),
    [
        ("prompt,model|total_cost,b|x\nhi,1,2\nho,3,4\n", ","),
        ("a;b\n1,5;2,5\n", ";"),
        ("prompt\nhello, you\nbye; all\n", ","),
        ("a\tb,c\n1\t2,3\n", ","),  # a tie: the suffix decides
        ('"x;y",b\n1,2\n', ","),
        ("", ","),
    ],
)
def test_a_separator_is_what_gives_rows_the_width_of_the_header(head, separator):
    assert delimited.sniffed(head, whole=True) == separator
    assert delimited.sniffed("a\tb,c\n1\t2,3\n", whole=True, suffix=".tsv") == "\t"


def test_what_excel_says_of_the_separator_is_heard(tmp_path):
    path = put(tmp_path / "log.csv", "sep=^\r\n" + table(ROWS, "^", "\r\n"))
    assert read_log(path).prompts == PROMPTS


def test_a_message_says_where_the_separator_is_the_matter(tmp_path):
    path = put(tmp_path / "log.csv", "prompt^model\na^b\n")
    with pytest.raises(InputError, match="its only column is prompt.model; its cells are not sep"):
        read_log(path)
    path = put(tmp_path / "log.csv", "prompt;model\na;b\nc;d;e\n")
    assert said(path) == (
        ", row 1: has 3 cells where the header has 2 (by semicolon); text that holds the "
        "separator or a line break belongs in double quotes"
    )


def test_cells_of_a_table_are_text_and_empty_ones_null(tmp_path):
    path = put(tmp_path / "log.csv", '\n\na,b\n007,NA\n\n"",2024-01-01\n1e5,"say ""so"""')
    assert loading.load(path).to_pylist() == [
        {"a": "007", "b": "NA"},
        {"a": None, "b": "2024-01-01"},
        {"a": "1e5", "b": 'say "so"'},
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,b\n1,2\n3,\xe9t\xe9\n", ", column 'b', row 1: is not UTF-8 text; save the file as "),
        (b"a,\xe9\n1,2\n", ": the header is not UTF-8 text; save the file as UTF-8"),
        (b"a\0,b\0\n1,2\n", ": the header is not UTF-8 text"),
        (b"a,b\n1,2\n3\n", ", row 1: has 1 cell where the header has 2 (by comma)"),
        (b'a,b\n1,"2\n3,4\n', ", row 0: a double quote is opened here and never closed"),
        (b"\xff\xfea\0,\0b\0\n\0\x00\xd8", ": begins as UTF-16"),
        (b"PAR1" * 9, ": is a parquet file; give it the suffix .parquet"),
        (b"PK\x03\x04" * 9, ": is a workbook or an archive; save it as .csv"),
        (b"x" * 5000 + b",b\n1,2\n", ": the first line is no header: a name in it is far too long"),
    ],
)
def test_tables_that_are_refused(tmp_path, content, message):
    assert said(put(tmp_path / "log.csv", content)).startswith(message)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".json", ".parquet"])
@pytest.mark.parametrize("pack", ["gz", "zst"])
def test_a_packed_file_that_is_cut_short_or_damaged(tmp_path, suffix, pack):
    path = put(tmp_path / f"log{suffix}.{pack}", CONTENTS[suffix])
    whole = path.read_bytes()
    for content in (whole[:-5], whole[: len(whole) // 2], whole[:9] + b"\xff\xff" + whole[11:]):
        path.write_bytes(content)
        assert said(path).startswith(f": cannot be read as {suffix[1:]}: ")
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


# Several files


@pytest.mark.parametrize("suffix", [".csv.gz", ".jsonl.zst"])
def test_a_file_that_unpacks_to_far_more_than_rows_is_refused(tmp_path, monkeypatch, suffix):
    """Zeros are a thousand times their packed size; many equal rows are allowed up to a size."""
    monkeypatch.setattr(opening, "MUCH", 1 << 20)
    monkeypatch.setattr(opening, "BLOCK", 1 << 16)
    head, row = ("prompt,model\n", "0,0\n") if suffix == ".csv.gz" else ("", '{"prompt": "0"}\n')
    bomb = put(tmp_path / f"bomb{suffix}", head + row * (1 << 19))
    with pytest.raises(InputError) as raised:
        loading.load(bomb)
    assert raised.value.problem == (
        "unpacks to more than 250 times its size, which files of rows do not; if this one does, "
        "unpack it yourself"
    )
    small = put(tmp_path / "rows.csv.gz", "prompt,model\n" + "why?,a\n" * 100_000)
    assert small.stat().st_size * 250 < 700_000 < opening.MUCH
    assert len(loading.load(small)) == 100_000


def test_several_files_are_one_log_and_messages_name_the_file_and_its_row(tmp_path):
    put(tmp_path / "2.csv", table(ROWS[1:]))
    put(tmp_path / "1.jsonl", lines([{**ROWS[0], "task": "t"}]))
    paths = [tmp_path / "2.csv", tmp_path / "1.jsonl"]
    log = read_log(paths)
    assert log.prompts == (*PROMPTS[1:], PROMPTS[0])
    assert log.task == ("", "", "t")
    put(tmp_path / "3.csv", table([ROWS[0], {**ROWS[1], "quality": 7}]))
    with pytest.raises(InputError) as caught:
        read_log([*paths, tmp_path / "3.csv"])
    assert str(caught.value).startswith(
        f"{tmp_path / '3.csv'}, column 'quality', row 1: quality is 7, outside [0, 1]"
    )
    with pytest.raises(InputError) as caught:
        read_log(paths, columns={"model": "llm"})
    assert str(caught.value).startswith(f"{tmp_path / '2.csv'} and 1 more: no column 'llm'")


def test_a_pattern_reads_its_files_in_the_order_of_their_names(tmp_path):
    for name, row in zip(("c.jsonl", "a.jsonl", "b.jsonl"), ROWS, strict=True):
        put(tmp_path / name, lines([row]))
    put(tmp_path / "other.csv", "x\n1\n")
    table = loading.load(str(tmp_path / "*.jsonl"))
    assert table["prompt"].to_pylist() == [PROMPTS[1], PROMPTS[2], PROMPTS[0]]
    assert several.parts(table) == tuple((str(tmp_path / f"{name}.jsonl"), 1) for name in "abc")
    assert several.place_of(table, 2, source="all") == (str(tmp_path / "c.jsonl"), 0)
    assert said(str(tmp_path / "*.tsv")) == ": no file matches this pattern"
    assert "is named twice" in said([str(tmp_path / "*.jsonl"), str(tmp_path / "a.jsonl")])
    assert said([]) == "no file is named"


def test_a_file_whose_name_reads_as_a_pattern_is_that_file(tmp_path):
    put(tmp_path / "log1.jsonl", lines(ROWS))
    path = put(tmp_path / "log[1].jsonl", lines(ROWS[:1]))
    assert len(loading.load(path)) == 1


def test_columns_of_several_files_get_a_type_in_common(tmp_path):
    put(tmp_path / "a.jsonl", lines([{"a": 1, "b": {"x": 1}, "c": [1], "d": "t", "e": True}]))
    put(tmp_path / "b.jsonl", lines([{"a": 1.5, "b": {"y": "z"}, "c": None, "d": 2, "e": [1]}]))
    assert loading.load([tmp_path / "a.jsonl", tmp_path / "b.jsonl"]).to_pylist() == [
        {"a": 1.0, "b": {"x": 1, "y": None}, "c": [1], "d": "t", "e": "true"},
        {"a": 1.5, "b": {"x": None, "y": "z"}, "c": None, "d": "2", "e": "[1]"},
    ]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("x" * 5000 + ".csv", "cannot be read (File name too long)"),
        ("~nobody-of-this-name/x.csv", "no such file: there is no such user"),
        ("a\0b.csv", "no such file: a path holds no zero bytes"),
        ("none\x1bc.csv", r"none\x1bc.csv: no such file"),
    ],
)
def test_paths_that_name_no_place(path, message):
    with pytest.raises(InputError) as caught:
        loading.load(path)
    assert str(caught.value).endswith(message) and len(str(caught.value)) < 300
    assert str(caught.value).isprintable()


# JSON


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ('{"a": {"b": [{"c": 1}, {"d": "x"}]}}', [{"a": {"b": [{"c": 1}, {"d": "x"}]}}]),
        ('{"a": NaN}\n{"a": 1}', [{"a": None}, {"a": 1}]),
        ('{"a": NaN}\n{"a": "t"}', [{"a": None}, {"a": "t"}]),
        ('{"a": "2024-05-13T10:00:00Z"}', [{"a": "2024-05-13T10:00:00Z"}]),
        ('{"a": "cut \\ud83d"}', [{"a": "cut \ufffd"}]),
        ('{"a": "tab\there"}', [{"a": "tab\there"}]),
        ('{"a": 12345678901234567890}', [{"a": "12345678901234567890"}]),
        ('{"a": 1}{"a": 2} {"a": 3}', [{"a": 1}, {"a": 2}, {"a": 3}]),
        ('{"a": 1}\r\n\r\n{"b": 2}\r\n', [{"a": 1, "b": None}, {"a": None, "b": 2}]),
        ('{\n  "a": 1\n}\n{\n  "a": 2\n}\n', [{"a": 1}, {"a": 2}]),
        ('\n [\n{"a": 1},\n{"a": 2}\n]\n', [{"a": 1}, {"a": 2}]),
        ('{"meta": {"page": 1},\n "data": [{"a": 1}, {"a": 2}]}', [{"a": 1}, {"a": 2}]),
        ('{"data": [{"a": 1}]}', [{"a": 1}]),
        ('{"data": [{"a": 1}]}\n{"data": []}', [{"data": [{"a": 1}]}, {"data": []}]),
        ('{"m": "x", "messages": [{"a": 1}]}', [{"m": "x", "messages": [{"a": 1}]}]),
        ('{"a": [[], [1, 2.5]]}', [{"a": [[], [1, 2.5]]}]),
        ('{"a": {}}\n{"a": {"x": null}}', [{"a": {}}, {"a": {"x": None}}]),
        ("{}\n{}", [{}, {}]),
        ('{}\n{"a": 1}', [{}, {"a": 1}]),
    ],
)
def test_json_is_read_as_it_is(tmp_path, content, rows):
    def shown(value):  # without the nulls that a structure of several keys needs
        if isinstance(value, dict):
            return {key: shown(each) for key, each in value.items() if each is not None}
        return [shown(each) for each in value] if isinstance(value, list) else value

    read = loading.load(put(tmp_path / "log.json", content)).to_pylist()
    assert shown(read) == shown(rows)


def test_a_column_of_mixed_types_becomes_text(tmp_path):
    rows = [{"a": 1}, {"a": "x"}, {"a": {"k": [1, "é"]}}, {"a": None}, {"a": True}]
    read = loading.load(put(tmp_path / "log.jsonl", lines(rows)))["a"].to_pylist()
    assert read == ["1", "x", '{"k": [1, "é"]}', None, "true"]


def test_numbers_of_hundreds_of_digits_are_infinite(tmp_path):
    digits = "9" * 400
    rows = lines(ROWS).replace('"cost": 2.0', f'"cost": {digits}')
    with pytest.raises(InputError, match="column 'cost', row 1: cost is inf"):
        read_log(put(tmp_path / "log.jsonl", rows))
    with pytest.raises(InputError, match="column 'cost', row 1: cost is inf"):
        read_log(put(tmp_path / "log.csv", table(ROWS).replace('"2.0"', f'"{digits}"')))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": 1}\n{"a": 1, "b": 2, "a": 3}', ", row 1: the key 'a' stands twice in one object"),
        (b'{"a": {"b": 1, "b": 1}}', ", row 0: the key 'b' stands twice in one object"),
        (b'{"a": 1}\n\n{"a": "\xe9"}', ", row 1: is not UTF-8 text (byte 0xe9); save the file as"),
        (b'[{"a": "\xe9"}]', ": is not UTF-8 text (byte 0xe9)"),
        (b'{"a": 1}\n{"a"', ", row 1: is not valid JSON: expecting ':' delimiter at its end; it"),
        (
            b'{"a": 1}\n{"a" 1}',
            ", row 1: is not valid JSON: expecting ':' delimiter at character 6",
        ),
        (b'[{"a": 1}, {"a": 2}', ": is not valid JSON: the array has no end"),
        (b'[{"a": 1}] {"a": 2}', ": is not valid JSON: something follows the end of the array"),
        (b'"text"', ", row 0: is not a JSON object"),
        (b"[", ": is not valid JSON: the array has no end"),
        (b"[]", ": there are no rows; at least one is needed"),
        (b"\n \n", ": there are no rows; at least one is needed"),
    ],
)
def test_json_that_is_refused(tmp_path, content, message):
    assert said(put(tmp_path / "log.json", content)).startswith(message)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "# of today\na,b\n1,2\n",
            ", row 0: the first line, '# of today', names one column where there are 2 cells; "
            "leave out lines above the header; text that holds the separator",
        ),
        (
            "Report of June,,\n,,\na,b,c\n1,2,3\n",
            ": the first line, 'Report of June', names one column where there are 3 cells; leave",
        ),
        ("a,b,a\n1,2,3\n", ", column 'a': the header names this column twice; rename one"),
    ],
)
def test_lines_above_the_header_and_names_that_repeat(tmp_path, content, message):
    assert said(put(tmp_path / "log.csv", content)).startswith(message)
    assert loading.load(put(tmp_path / "more.csv", "a,b,\n1,2,\n")).num_columns == 3


def test_cells_whose_names_stand_apart_are_rows(tmp_path):
    split = {"columns": ["a", "b"], "index": [0, 1], "data": [[1, "x"], [2, "y"]]}
    path = put(tmp_path / "log.json", json.dumps(split))
    assert loading.load(path).to_pylist() == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]


def test_workbooks_and_folders_say_what_to_do(tmp_path):
    message = said(put(tmp_path / "log.xlsx", b"PK\x03\x04..."))
    assert message == ": is a workbook or an archive; save it as .csv"
    assert said(tmp_path) == f": is a folder; name its files, as in {tmp_path}/*.jsonl"


def test_a_log_of_text_says_that_it_is_no_json(tmp_path):
    path = put(tmp_path / "server.log", 'INFO {"a": 1}')
    assert "does not begin as JSON does, and has the unknown suffix '.log'" in said(path)


@pytest.mark.parametrize("content", [b'{"a": 1}\n', b'\n[\n {"a": 1}]', b'[{"a, b": "c"}]'])
def test_json_in_a_file_of_cells_is_told(tmp_path, content):
    message = ": holds JSON, not cells; give it the suffix .jsonl or .json"
    assert said(put(tmp_path / "log.csv", content)) == message


@pytest.mark.parametrize(
    "content", [{"a": [1, 2], "b": ["x", "y"]}, {"a": {"0": 1, "1": 2}, "b": {"0": "x", "1": "y"}}]
)
def test_an_object_of_columns_is_its_rows(tmp_path, content):
    path = put(tmp_path / "log.json", json.dumps(content).encode())
    assert loading.load(path).to_pylist() == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]


BY_ID = {
    f"req_{at}": {"prompt": f"what is {at}?", "model": "large", "score": at % 2} for at in range(3)
}
READ = [{"id": key, **row} for key, row in BY_ID.items()]
OF_COLUMNS = {name: {row["id"]: row[name] for row in READ} for name in BY_ID["req_0"]}


@pytest.mark.parametrize("content", [BY_ID, {"data": BY_ID, "page": 1}, OF_COLUMNS])
@pytest.mark.parametrize("indent", [None, 2])
def test_an_object_by_id_is_its_rows_with_the_id(tmp_path, content, indent):
    path = put(tmp_path / "log.json", json.dumps(content, indent=indent))
    assert loading.load(path).to_pylist() == READ


def test_an_object_by_id_keeps_the_ids_that_its_rows_have(tmp_path):
    own = {key: {**row, "id": key} for key, row in BY_ID.items()}
    path = put(tmp_path / "own.json", json.dumps(own))
    assert loading.load(path).to_pylist() == [{**row, "id": key} for key, row in BY_ID.items()]
    other = {key: {**row, "id": f"chat-{at}"} for at, (key, row) in enumerate(BY_ID.items())}
    path = put(tmp_path / "other.json", json.dumps(other))
    assert loading.load(path)["key"].to_pylist() == list(BY_ID)


def test_rows_of_an_object_by_id_may_lack_keys_and_have_others(tmp_path):
    rows = {f"r{at}": {"prompt": "a", "model": "b", **({"note": 1} if at else {})} for at in (0, 1)}
    path = put(tmp_path / "log.json", json.dumps(rows))
    assert loading.load(path).column_names == ["id", "prompt", "model", "note"]


@pytest.mark.parametrize(
    "row",
    [
        {"request": {"id": 1, "model": "a", "user": "u"}, "response": {"id": 2, "text": "b"}},
        {"usage": {"input": 1}, "cost": {"input": 2}},
        {"prompt": "a", "scores": {"a": 1}},
        {"one": {}, "two": {}},
    ],
)
def test_one_row_with_objects_inside_stays_one_row(tmp_path, row):
    assert loading.load(put(tmp_path / "log.json", json.dumps(row))).num_rows == 1


def test_prompts_are_read_from_an_object_by_id(tmp_path):
    prompts = [row["prompt"] for row in READ]
    for at, indent in enumerate((None, 2)):
        path = put(tmp_path / f"{at}.json", json.dumps(BY_ID, indent=indent))
        assert read_prompts(str(path)) == prompts
    for at, rows in enumerate(({"data": READ}, OF_COLUMNS)):
        assert read_prompts(str(put(tmp_path / f"rows{at}.json", json.dumps(rows)))) == prompts
    messages = [{"role": "user", "content": each} for each in prompts]
    path = put(tmp_path / "alone.json", json.dumps({"messages": messages, "tools": [1, 2, 3]}))
    assert read_prompts(str(path)) == prompts[-1:]
    path = put(tmp_path / "one.json", json.dumps({"prompt": prompts[0]}, indent=2))
    assert read_prompts(str(path)) == prompts[:1]


NESTED = [
    b'{"a": ' + b"[" * 100_000,
    b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n",
    b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    b"[" * 1_000_000,
    b'[{"a": ' + b"[" * 100_000,
    b'{"a": 1}\n' * 100_000 + b'{"a": ' + b"[" * 100_000 + b"\n",
    b'{"a": [1]}\n' * 100_000 + b'{"a": ' + b"[" * 100_000 + b"\n",
    b'{"a": {"a": 1}}\n' * 100_000 + b'{"a":' * 100_000 + b"\n",
]


@pytest.mark.parametrize("suffix", ["jsonl", "json"])
def test_nested_brackets_do_not_end_the_process(tmp_path, suffix):
    """In a process of its own, since what is guarded against is a segmentation fault."""
    paths = [put(tmp_path / f"{i}.{suffix}", content) for i, content in enumerate(NESTED)]
    code = (
        "import sys\nfrom routerjax.data.formats import loading\n"
        "from routerjax.errors import InputError\n"
        "for path in sys.argv[1:]:\n"
        "    try:\n        loading.load(path)\n"
        "    except InputError as error:\n        print(error.problem)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, paths)], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    said = done.stdout.splitlines()
    assert len(said) == len(NESTED)
    assert sum(line == "brackets are nested more than 100 deep" for line in said) >= 7


def test_brackets_in_texts_are_no_nesting(tmp_path):
    text = 'if x["a"][' * 60 + "\\" + '"' + "[" * 200
    read = loading.load(put(tmp_path / "log.jsonl", lines([{"a": text, "b": [text]}])))
    assert read.to_pylist() == [{"a": text, "b": [text]}]


@pytest.fixture
def small_parts(monkeypatch):
    """Many parts of a file, of which all but the first go through Arrow's reader where they can."""
    monkeypatch.setattr(json_rows, "FIRST", 200)
    for module in ("opening", "delimited"):
        monkeypatch.setattr(f"routerjax.data.formats.{module}.BLOCK", 500)


def test_a_file_read_in_parts_is_the_file_read_whole(tmp_path, small_parts, monkeypatch):
    read = json_rows._by_arrow
    kinds: list[bool] = []
    monkeypatch.setattr(
        json_rows, "_by_arrow", lambda *given: kinds.append((t := read(*given)) is not None) or t
    )
    rows = [{"a": i, "b": {"x": "é"}, "c": None, "d": 1, "e": "t", "f": [1]} for i in range(200)]
    rows[100]["a"] = 0.5  # from here on a number with a fraction
    rows[110]["b"] = {"y": 1}
    rows[120]["c"] = "late"
    rows[130] |= {"d": "text", "g": True}
    read_rows = loading.load(put(tmp_path / "log.jsonl", lines(rows))).to_pylist()
    assert True in kinds and False in kinds
    for row, got in zip(rows, read_rows, strict=True):
        assert got["a"] == row["a"] and got["c"] == row["c"] and got["d"] == str(row["d"])
        assert {k: v for k, v in got["b"].items() if v is not None} == row["b"]
        assert got["e"] == "t" and got["f"] == [1] and got["g"] == row.get("g")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"a": 1, "a": 2}', "the key 'a' stands twice in one object"),
        (b'{"a": "\xe9"}', f"is not UTF-8 text (byte 0xe9); {opening.AS_UTF_8}"),
        (b'{"a": 1', "is not valid JSON: expecting ',' delimiter at its end; it may be cut short"),
        (b"[1]", "is not a JSON object"),
    ],
)
def test_a_row_late_in_a_file_is_named(tmp_path, small_parts, line, message):
    content = b'{"a": 1}\n' * 300 + b"\n" + line + b"\n" + b'{"a": 1}\n' * 100
    assert said(put(tmp_path / "log.jsonl", content)) == f", row 300: {message}"


def test_a_row_late_in_a_table_is_named(tmp_path, small_parts):
    rows = b"1,2\n" * 300
    path = put(tmp_path / "log.csv", b"a,b\n" + rows + b"\xe9,2\n" + rows)
    assert said(path).startswith(", column 'a', row 300: is not UTF-8 text")
    path = put(tmp_path / "log.csv", b"a,b\n" + rows + b"1,2,3\n" + rows)
    assert said(path).startswith(", row 300: has 3 cells where the header has 2")
    path = put(tmp_path / "log.csv", b"a,b\n" + rows + b'1,"' + b"x" * 2000 + b'"\n' + rows)
    assert said(path) == ": a double quote is left open, or a row is longer than 0 MiB"


def test_a_line_without_an_end_is_not_held_in_memory(tmp_path, small_parts, monkeypatch):
    monkeypatch.setattr(json_rows, "LONGEST", 2000)
    path = put(tmp_path / "log.jsonl", b'{"a": 1}\n' + b'{"a": "' + b"x" * 9000)
    assert said(path) == ": holds a line of more than 0 MiB"


def test_keys_that_differ_in_every_row_do_not_become_columns(tmp_path):
    rows = [{"meta": {f"id{i}": i}, "a": 1} for i in range(3000)]
    read = loading.load(put(tmp_path / "log.jsonl", lines(rows)))
    assert read["meta"].to_pylist()[17] == '{"id17": 17}'
    rows = [{f"id{i}": i} for i in range(30_000)]
    message = said(put(tmp_path / "log.jsonl", lines(rows)))
    assert "different keys in" in message and "nearly all without a value" in message
    message = said(put(tmp_path / "log.jsonl", json.dumps({f"id{i}": i for i in range(30_000)})))
    assert message == ", row 0: the rows up to here have more than 20,000 different keys"


# Embeddings as NumPy prints them


def test_embeddings_as_numpy_prints_them(tmp_path):
    values = np.array([[0.5, -2, 3e-7], [1, 0, 1e10], [0.25, 1.125, 7]], np.float32)
    rows = [{**row, "embedding": str(v)} for row, v in zip(ROWS, values, strict=True)]
    wide = np.arange(90, dtype=np.float32) / 8
    assert "\n" in str(wide)
    for suffix, content in ((".csv", table(rows)), (".jsonl", lines(rows))):
        np.testing.assert_array_equal(
            read_log(put(tmp_path / f"log{suffix}", content)).embeddings, values
        )
    rows = [{**row, "embedding": str(wide)} for row in ROWS]
    assert read_log(put(tmp_path / "log.csv", table(rows))).embeddings.shape == (3, 90)


def test_embeddings_of_which_numpy_left_out_the_middle_are_refused(tmp_path):
    rows = [{**row, "embedding": "[1. 2.]"} for row in ROWS]
    rows[1]["embedding"] = str(np.zeros(2000))
    with pytest.raises(InputError) as caught:
        read_log(put(tmp_path / "log.csv", table(rows)))
    assert str(caught.value).endswith(
        "column 'embedding', row 1: NumPy left numbers out of this text ('...'); write embeddings "
        "by .tolist()"
    )
