"""What a long process of many fits takes: no more memory, and no library that no fit uses."""

import subprocess
import sys

MANY_FITS = """
import resource, sys, warnings
import numpy as np
import pyarrow as pa
from pyarrow import parquet
import routerjax as rj

warnings.simplefilter("ignore")

def fitted(seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(600, 16)).astype(np.float32)
    columns = {
        "model": [f"m{arm}" for arm in rng.integers(0, 3, 600)],
        "quality": rng.random(600),
        "cost": np.full(600, 1e-3),
        "embedding": pa.FixedSizeListArray.from_arrays(pa.array(x.ravel()), 16),
    }
    parquet.write_table(pa.table(columns), sys.argv[1])
    rj.fit(sys.argv[1])

def mebibytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

for seed in range(5):
    fitted(seed)
before = mebibytes()
for seed in range(5, 30):
    fitted(seed)
print(mebibytes() - before, *sorted({"torch", "datasets", "matplotlib"} & set(sys.modules)))
"""


def test_many_fits_of_files_take_no_more_memory_and_import_no_torch(tmp_path):
    path = str(tmp_path / "log.parquet")
    done = subprocess.run(
        [sys.executable, "-c", MANY_FITS, path], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    grown, *imported = done.stdout.split()
    assert int(grown) < 40 and imported == []
