"""Prompts to route: which bytes end a line, what is a prompt, and what is said of the rest."""

from __future__ import annotations

import gzip
import io
import json
import os
import threading

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from routerjax.data.io.queries import read_embeddings, read_prompts
from routerjax.errors import InputError

ODD = "form\x0cfeed \u2028 \u2029 \x85 \x1c \x0b and\rreturn"


def said(call, *arguments) -> str:
    with pytest.raises(InputError) as caught:
        call(*arguments)
    message = str(caught.value)
    assert message.isprintable() and len(message) < 400
    return message


def test_lines_end_at_line_feeds_and_nowhere_else(tmp_path):
    path = tmp_path / "p.txt"
    path.write_bytes(f"one\r\n{ODD}\n  three ".encode())
    assert read_prompts(str(path)) == ["one", ODD, "  three "]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_marks_of_encodings_are_no_part_of_a_prompt(tmp_path, encoding):
    path = tmp_path / "p.txt"
    path.write_bytes("größer?\nzwei\n".encode(encoding))
    assert read_prompts(str(path)) == ["größer?", "zwei"]


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
def test_packed_text_is_unpacked(tmp_path, codec):
    path = tmp_path / f"p.txt.{codec}"
    packed = pa.compress(b"one\ntwo\n" * 99, codec="zstd", asbytes=True)
    packed = gzip.compress(b"one\ntwo\n" * 99) if codec == "gzip" else packed
    path.write_bytes(packed)
    assert read_prompts(str(path)) == ["one", "two"] * 99
    path.write_bytes(packed[:-6])
    assert f"{path}: cannot be read" in said(read_prompts, str(path))


def test_standard_input_is_read_as_a_file(monkeypatch):
    for stream in (
        io.TextIOWrapper(io.BytesIO(b"\xef\xbb\xbfa\x0cb\r\nc")),
        io.StringIO("a\x0cb\nc"),
    ):
        monkeypatch.setattr("sys.stdin", stream)
        assert read_prompts("-") == ["a\x0cb", "c"]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"")))
    assert said(read_prompts, "-") == "standard input: is empty; one prompt a line is needed"


def test_a_pipe_is_read_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_text("one\ntwo\n"))
    writer.start()
    assert read_prompts(str(tmp_path / "pipe")) == ["one", "two"]
    writer.join()


MESSAGES = [{"role": "system", "content": "short"}, {"role": "user", "content": "Hi\nyou"}]


@pytest.mark.parametrize(
    "content",
    [
        '"first"\n"Hi\\nyou"\n',
        '{"prompt": "first"}\n' + json.dumps({"messages": MESSAGES}) + "\n",
        '{"prompt": "first", "id": 1}\n' + json.dumps(MESSAGES) + "\n",
        json.dumps(["first", {"messages": MESSAGES}]),
        json.dumps([{"prompt": "first"}, {"prompt": MESSAGES}], indent=2),
    ],
)
def test_json_holds_texts_messages_or_objects_of_them(tmp_path, content):
    path = tmp_path / "p.jsonl"
    path.write_text(content)
    assert read_prompts(str(path)) == ["first", "Hi\nyou"]


def test_tables_hold_prompts_in_a_column(tmp_path):
    (tmp_path / "p.csv").write_text('id,prompt\n1,first\n2,"Hi\nyou"\n')
    pq.write_table(pa.table({"messages": [[MESSAGES[1]], MESSAGES]}), tmp_path / "p.parquet")
    assert read_prompts(str(tmp_path / "p.csv")) == ["first", "Hi\nyou"]
    assert read_prompts(str(tmp_path / "p.parquet")) == ["Hi\nyou", "Hi\nyou"]
    (tmp_path / "q.csv").write_text("text\nfirst\n")
    assert "has no column 'prompt' or 'messages'" in said(read_prompts, str(tmp_path / "q.csv"))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "the line is empty; a prompt is needed"),
        (" \t", "the line is empty; a prompt is needed"),
        ("\u200b\u200d\ufeff", r"'\u200b\u200d\ufeff' is no prompt; one is needed"),
        ("{}", "'{}' is no prompt; one is needed"),
        ("[]", "'[]' is no prompt; one is needed"),
        ("null", "'null' is no prompt; one is needed"),
        ("N/A", "'N/A' is no prompt; one is needed"),
    ],
)
def test_lines_without_a_prompt_are_refused(tmp_path, line, message):
    path = tmp_path / "p.txt"
    path.write_text(f"one\n{line}\ntwo\n", encoding="utf-8")
    assert said(read_prompts, str(path)) == f"{path}, row 1: {message}"
    path = tmp_path / "p.jsonl"
    path.write_text(json.dumps("one") + "\n" + json.dumps({"prompt": line}) + "\n")
    assert said(read_prompts, str(path)).startswith(f"{path}, row 1: ")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("p.txt", b"", ": is empty; one prompt a line is needed"),
        ("p.txt", b"\n", ", row 0: the line is empty"),
        ("p.txt", b"a\nb\n\xe9t\xe9\n", ", row 2: is not UTF-8 text, one prompt a line"),
        ("p.jsonl", b'"a"\n"b', ", row 1: is not valid JSON"),
        ("p.jsonl", b'"a"\n' + b"[" * 100_000, ", row 1: brackets are nested more than 100 deep"),
        ("p.jsonl", b'"a"\n{"prompt": null}', ", row 1: what stands here is no prompt"),
        ("p.jsonl", b'"a"\n{"x": 1, "y": 2}', ", row 1: holds an object with x, y; its text is"),
        ("p.json", b"[]", ": is empty"),
        ("p.csv", b"prompt,b\n1\n", ", row 0: has 1 cell where the header has 2"),
    ],
)
def test_files_that_are_refused(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    assert said(read_prompts, str(path)).startswith(f"{path}{message}")


def test_places_that_are_no_file(tmp_path):
    assert said(read_prompts, str(tmp_path)).endswith("cannot be read (Is a directory)")
    for name in ("none.txt", "none.jsonl"):
        message = said(read_prompts, str(tmp_path / name))
        assert message == f"{tmp_path / name}: cannot be read (No such file or directory)"
    assert said(read_prompts, "~nobody-of-this-name/p.txt").endswith("there is no such user")
    assert said(read_prompts, "x" * 5000).endswith("cannot be read (File name too long)")


def test_half_a_character_is_replaced(tmp_path):
    (tmp_path / "p.jsonl").write_text('"cut \\ud83d"')
    assert read_prompts(str(tmp_path / "p.jsonl")) == ["cut \ufffd"]


def test_embeddings_of_a_file_of_rows(tmp_path):
    path = str(tmp_path / "log.jsonl")
    (tmp_path / "log.jsonl").write_text('{"embedding": [1, 2]}\n{"embedding": [3, 4.5]}\n')
    np.testing.assert_array_equal(read_embeddings(path), [[1, 2], [3, 4.5]])
    (tmp_path / "log.jsonl").write_text('{"embedding": [1, 2]}\n{"embedding": null}\n')
    assert said(read_embeddings, path) == f"{path}, column 'embedding', row 1: holds no embedding"
    (tmp_path / "log.jsonl").write_text('{"prompt": "a"}\n')
    assert said(read_embeddings, path) == f"{path}: has no column 'embedding'"


def test_embeddings_beyond_single_precision_are_refused(tmp_path):
    np.save(tmp_path / "e.npy", np.array([[1.0], [1e300]]))
    path = str(tmp_path / "e.npy")
    assert said(read_embeddings, path) == f"{path}, row 1: not a finite number"
