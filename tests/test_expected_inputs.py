"""Thirty ways to write down one log that people expect to work, and that do."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from routerjax.data.io.files import read_log

ROWS = [
    {"prompt": "What is 2 + 2?", "model": "small", "quality": 1.0, "cost": 0.25},
    {"prompt": 'Say "so",\nthen; stop | NA', "model": "large", "quality": 0.5, "cost": 2.0},
    {"prompt": "größer als \u2028 🎲?", "model": "small", "quality": 0.0, "cost": 0.0},
]


def lines(rows: list[dict], end: str = "\n", **options) -> bytes:
    return "".join(json.dumps(row, **options) + end for row in rows).encode()


def table(rows: list[dict], encoding: str = "utf-8", **options) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), **options)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode(encoding)


def parquet(rows: list[dict], **options) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows), sink, **options)
    return sink.getvalue().to_pybytes()


def zstd(content: bytes) -> bytes:
    return pa.compress(content, codec="zstd", asbytes=True)


def in_cells() -> list[dict]:
    """Numbers and truth as text, with blanks around."""
    return [
        {**row, "quality": text, "cost": f" {row['cost']} "}
        for row, text in zip(ROWS, ("TRUE", "5e-1", "false"), strict=True)
    ]


INPUTS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "CSV": ("log.csv", lambda: table(ROWS)),
    "CSV as pandas writes it, with an index": (
        "log.csv",
        lambda: table([{"": at, **row} for at, row in enumerate(ROWS)]),
    ),
    "CSV with \\n": ("log.csv", lambda: table(ROWS, lineterminator="\n")),
    "CSV with every cell quoted": ("log.csv", lambda: table(ROWS, quoting=csv.QUOTE_ALL)),
    "CSV without an end of its last line": ("log.csv", lambda: table(ROWS).removesuffix(b"\r\n")),
    "CSV with empty lines at its end": ("log.csv", lambda: table(ROWS) + b"\r\n\r\n"),
    "CSV from Excel, semicolons and a mark": (
        "log.csv",
        lambda: table(ROWS, "utf-8-sig", delimiter=";"),
    ),
    "CSV from Excel, the separator named": (
        "log.csv",
        lambda: b"sep=;\r\n" + table(ROWS, delimiter=";"),
    ),
    "Unicode text from Excel": ("log.csv", lambda: table(ROWS, "utf-16", delimiter="\t")),
    "CSV by pipes": ("log.csv", lambda: table(ROWS, delimiter="|")),
    "CSV with other columns": ("log.csv", lambda: table([{**row, "note": ""} for row in ROWS])),
    "CSV in upper case": ("LOG.CSV", lambda: table(ROWS)),
    "CSV with numbers as people type them": ("log.csv", lambda: table(in_cells())),
    "TSV": ("log.tsv", lambda: table(ROWS, delimiter="\t")),
    "TSV that is a CSV": ("log.tsv", lambda: table(ROWS)),
    "CSV packed": ("log.csv.gz", lambda: gzip.compress(table(ROWS))),
    "CSV packed in two members": (
        "log.csv.gz",
        lambda: gzip.compress(table(ROWS)[:50]) + gzip.compress(table(ROWS)[50:]),
    ),
    "CSV that a browser unpacked": ("log.csv.gz", lambda: table(ROWS)),
    "TSV packed": ("log.tsv.zst", lambda: zstd(table(ROWS, delimiter="\t"))),
    "JSON lines": ("log.jsonl", lambda: lines(ROWS)),
    "JSON lines in Unicode": ("log.jsonl", lambda: lines(ROWS, ensure_ascii=False)),
    "JSON lines from Windows": (
        "log.jsonl",
        lambda: b"\xef\xbb\xbf" + lines(ROWS, "\r\n", ensure_ascii=False),
    ),
    "JSON lines with empty lines": ("log.ndjson", lambda: lines(ROWS, "\n\n")),
    "JSON lines with numbers as text": ("log.jsonl", lambda: lines(in_cells())),
    "JSON lines packed": ("log.jsonl.gz", lambda: gzip.compress(lines(ROWS))),
    "JSON lines packed by zstd": ("log.jsonl.zst", lambda: zstd(lines(ROWS))),
    "JSON lines under .json": ("log.json", lambda: lines(ROWS)),
    "a JSON array": ("log.json", lambda: json.dumps(ROWS).encode()),
    "a JSON array, indented": ("log.json", lambda: json.dumps(ROWS, indent=2).encode()),
    "a JSON array under .jsonl": ("log.jsonl", lambda: json.dumps(ROWS).encode()),
    "JSON objects, indented": ("log.json", lambda: lines(ROWS, indent=2)),
    "a page of an API": (
        "log.json",
        lambda: json.dumps({"object": "list", "data": ROWS, "meta": {"page": 1}}).encode(),
    ),
    "JSON as pandas writes it unless told": (
        "log.json",
        lambda: json.dumps(
            {name: {str(at): row[name] for at, row in enumerate(ROWS)} for name in ROWS[0]}
        ).encode(),
    ),
    "CSV of messages as pandas writes lists": (
        "log.csv",
        lambda: table(
            [{**row, "prompt": str([{"role": "user", "content": row["prompt"]}])} for row in ROWS]
        ),
    ),
    "JSON with nested columns besides": (
        "log.jsonl",
        lambda: lines([{**row, "meta": {"tags": ["a", {"b": None}]}} for row in ROWS]),
    ),
    "parquet": ("log.parquet", lambda: parquet(ROWS)),
    "parquet inside packed by zstd": ("log.parquet", lambda: parquet(ROWS, compression="zstd")),
    "parquet packed": ("log.parquet.gz", lambda: gzip.compress(parquet(ROWS))),
}


@pytest.mark.parametrize(("name", "content"), INPUTS.values(), ids=INPUTS)
def test_an_expected_input_works(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content())
    log = read_log(path)
    assert log.models == ("large", "small")
    assert [prompt.replace("\r\n", "\n") for prompt in log.prompts or ()] == [
        row["prompt"] for row in ROWS
    ]
    np.testing.assert_array_equal(log.arms, [1, 0, 1])
    np.testing.assert_array_equal(log.quality, [1, 0.5, 0])
    np.testing.assert_array_equal(log.cost, [0.25, 2, 0])


def test_files_of_every_day_are_one_log(tmp_path, monkeypatch):
    days = tmp_path / "logs [2026]"
    days.mkdir()
    (days / "day 1.jsonl").write_bytes(lines(ROWS[:1]))
    (days / "day 2.csv").write_bytes(table(ROWS[1:2]))
    (days / "day 3.jsonl.gz").write_bytes(gzip.compress(lines(ROWS[2:])))
    monkeypatch.chdir(days)
    for paths in ("day*", "./day ?.*", sorted(days.iterdir()), ["day 1.jsonl", "day [23].*"]):
        log = read_log(paths)
        assert log.prompts == tuple(row["prompt"] for row in ROWS)
    monkeypatch.setenv("HOME", str(days))
    assert len(read_log("~/day*")) == 3 and len(
        read_log(Path("~/day 2.csv"), models=["large", "x"])
    )
