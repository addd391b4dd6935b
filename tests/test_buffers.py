"""Arrow's numbers and truth values as NumPy's, whatever the chunks, and without pandas."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from routerjax.data.columns.buffers import reals, truths
from routerjax.data.columns.prompts import is_missing, prompts_of


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_numbers_of_slices_chunks_and_nulls(kind):
    whole = pa.array([1.0, None, 3.0, 4.0, 5.0], pa.from_numpy_dtype(kind))
    column = pa.chunked_array([whole[1:4], whole[:0], whole[3:]])
    found = reals(column, kind)
    assert found.dtype == kind
    np.testing.assert_array_equal(found, [np.nan, 3.0, 4.0, 4.0, 5.0])
    np.testing.assert_array_equal(reals(whole[1:3], kind), [np.nan, 3.0])  # an array, no column


def test_numbers_of_nothing_and_of_nulls_alone():
    assert reals(pa.chunked_array([], pa.float64())).shape == (0,)
    column = pa.chunked_array([pa.nulls(2, pa.float64())])
    np.testing.assert_array_equal(reals(column), [np.nan, np.nan])


def test_one_chunk_without_nulls_is_not_copied():
    values = np.arange(4.0)
    found = reals(pa.chunked_array([pa.array(values)[1:]]))
    assert np.shares_memory(found, values) and found.tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("missing", [True, False])
def test_truth_values_of_slices_chunks_and_nulls(missing):
    whole = pa.array([True, False, None] * 5)
    column = pa.chunked_array([whole[1:11], whole[:0], whole[12:]])
    expected = ([True, False, missing] * 5)[1:11] + [True, False, missing]
    assert truths(column, missing=missing).tolist() == expected


def test_a_text_and_a_column_of_it_are_missing_alike():
    signs = [
        " ",
        "\t",
        "\x0b",
        "\u200b",
        "\u00a0",
        "\u2028",
        "{",
        "}",
        "[",
        "]",
        '"',
        "null",
        "N/A",
    ]
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(signs, rng.integers(0, 6))) for _ in range(2000)]
    texts = [text for text in texts if not text.lstrip().startswith(("{", "["))]
    found = prompts_of(pa.chunked_array([pa.array(texts)])).texts
    assert [text is None for text in found] == [is_missing(text) for text in texts]
    assert 100 < sum(text is None for text in found) < len(texts) - 100


def test_a_log_is_read_without_pandas(tmp_path, clean_environment):
    file = tmp_path / "log.parquet"
    columns = {"prompt": ["one", "two"], "model": ["a", "b"], "quality": [1.0, 0.0]}
    table = pa.table({**columns, "cost": [0.1, 0.2], "embedding": [[1.0, 2.0], [3.0, 4.0]]})
    import pyarrow.parquet as pq

    pq.write_table(table, file)
    script = (
        "import sys, routerjax as rj\n"
        f"log = rj.read_log({str(file)!r})\n"
        "print(len(log), log.prompts, 'pandas' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=clean_environment, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("2 ('one', 'two') False\n", "")


def test_the_length_of_lists_is_a_number():
    lists = pa.chunked_array([pa.array([[1, 2], None, []])])
    lengths = reals(pc.list_value_length(lists).cast(pa.float64()))
    np.testing.assert_array_equal(lengths, [2.0, np.nan, 0.0])
