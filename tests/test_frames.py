"""Data frames in: the same record as the parquet file of the same rows, and the same complaints."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import routerjax as rj
from routerjax.data.io.files import read_rows
from routerjax.errors import DataWarning, InputError

ROWS = {
    "prompt": ["2+2?", "NA", "why?"],
    "embedding": [[0.5, 1.0], [0.25, -1.0], [2.0, 0.0]],
    "model": ["small", "large", "small"],
    "quality": [1, 0, 1],
    "cost": [0.25, 2.0, 0.0],
    "propensity": [0.5, 0.25, 0.5],
    "split": ["train", "test", "train"],
}
WIDE = {
    "prompt": ["a", "b"],
    "score:m1": [1.0, None],
    "score:m0": [0.5, 0.25],
    "cost:m1": [0.1, 0.3],
    "cost:m0": [0.2, None],
}


def pandas(rows: dict) -> pd.DataFrame:
    return pd.DataFrame(rows)


def pandas_categories(rows: dict) -> pd.DataFrame:
    """Categories, nullable integers and strings of pandas' own."""
    frame = pd.DataFrame(rows)
    for name in {"model", "split"} & set(frame):
        frame[name] = frame[name].astype("category")
    if "quality" in frame:
        frame["quality"] = frame["quality"].astype("Int64")
    return frame.astype({"prompt": "string"})


def pandas_index(rows: dict) -> pd.DataFrame:
    return pd.DataFrame(rows, index=[f"row {i}" for i in range(len(rows["prompt"]))])


def polars(rows: dict):
    return pytest.importorskip("polars").DataFrame(rows)


def polars_categories(rows: dict):
    pl = pytest.importorskip("polars")
    return pl.DataFrame(rows).with_columns(
        pl.col(name).cast(pl.Categorical) for name in ("model", "split") if name in rows
    )


def arrow(rows: dict) -> pa.Table:
    return pa.table(rows)


MAKERS = (pandas, pandas_categories, pandas_index, polars, polars_categories, arrow)


@pytest.fixture(params=MAKERS, ids=lambda make: make.__name__)
def make(request):
    return request.param


def test_a_log_is_that_of_the_parquet_file(make, tmp_path):
    pq.write_table(pa.table(ROWS), tmp_path / "log.parquet")
    expected, log = rj.read_log(tmp_path / "log.parquet"), rj.read_log(make(ROWS))
    assert log.fingerprint == expected.fingerprint
    assert log.models == ("large", "small") and log.prompts == tuple(ROWS["prompt"])
    assert log.split == ("train", "test", "train") and log.source == "frame"
    np.testing.assert_array_equal(log.arms, [1, 0, 1])
    np.testing.assert_array_equal(log.embeddings, ROWS["embedding"])


def test_a_table_keeps_its_missing_cells(make):
    table = rj.read_table(make(WIDE))
    assert table.models == ("m1", "m0")
    np.testing.assert_array_equal(table.quality, np.float32([[1.0, 0.5], [np.nan, 0.25]]))
    np.testing.assert_array_equal(table.cost, np.float32([[0.1, 0.2], [0.3, np.nan]]))
    assert isinstance(read_rows(make(WIDE)), rj.Table)


@pytest.mark.parametrize("missing", [None, float("nan")], ids=["null", "NaN"])
def test_null_and_nan_are_missing(make, missing):
    rows = {**ROWS, "cost": [0.25, 2.0, missing], "quality": [1.0, 0.0, 1.0]}
    with pytest.raises(InputError, match=r"^frame, column 'cost', row 2: no cost here"):
        rj.read_log(make(rows))
    with pytest.warns(DataWarning, match="^frame: left out 1 of 3 rows"):
        assert len(rj.read_log(make(rows), drop_missing=True)) == 2


def test_columns_and_range_are_those_of_files(make):
    rows = {**ROWS, "score": [3, 10, 0]}
    log = rj.read_log(make(rows), columns={"quality": "score"}, quality_range=(0, 10))
    np.testing.assert_array_equal(log.quality, [3, 10, 0])
    with pytest.raises(InputError, match="^frame, column 'score', row 0: quality is 3, outside"):
        rj.read_log(make(rows), columns={"quality": "score"})
    with pytest.raises(InputError, match="^frame: no column 'llm' to read model from; its columns"):
        rj.read_log(make(rows), columns={"model": "llm"})


def test_what_is_no_log(make):
    with pytest.raises(InputError, match="^frame: there are no rows"):
        rj.read_log(make({"prompt": []}))
    with pytest.raises(InputError, match="^frame: no column 'model'"):
        rj.read_log(make({name: ROWS[name] for name in ("prompt", "quality", "cost")}))


def test_what_arrow_cannot_hold():
    with pytest.raises(InputError, match="^frame: cannot be read as Arrow: .*quality"):
        rj.read_log(pd.DataFrame({**ROWS, "quality": [1.0, "good", object()]}))
    twice = pd.DataFrame([["a", "b"]], columns=["prompt", "prompt"])
    with pytest.raises(InputError, match="^frame: cannot be read as Arrow: Duplicate column"):
        rj.read_log(twice)
    repeated = pa.table([pa.array(["a"]), pa.array(["b"])], names=["prompt", "prompt"])
    with pytest.raises(InputError, match="^frame, column 'prompt': there are two columns"):
        rj.read_log(repeated)
    with pytest.raises(
        InputError, match="a dict is neither a path, a list of paths nor a data frame"
    ):
        rj.read_log(ROWS)


def test_reading_a_frame_needs_neither_pandas_nor_polars(clean_environment):
    script = """
import sys
class Absent:  # as where they are not installed
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("pandas", "polars"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
import pyarrow as pa
import routerjax as rj
rows = {"embedding": [[0.5], [1.0]], "model": ["a", "b"], "quality": [1.0, 0.0], "cost": [0.1, 0.2]}
print(rj.read_log(pa.table(rows)).models, "datasets" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], env=clean_environment, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("('a', 'b') False\n", "")
