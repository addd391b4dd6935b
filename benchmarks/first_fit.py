"""python -m benchmarks.first_fit: what a person waits for who fits a router on a log.

Claims, in CPU seconds of a fresh `routerjax fit`: the first of a machine takes at most 6; the same
log again 2.5; another log of another size 3, and 5 at 10,000 rows; each at most three times a
plug-in of scikit-learn on the same file. Every call is a process of its own; the cache of compiled
programs is empty before a first fit, and kept for the other two. Repeats are interleaved.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import measuring

ROWS = (500, 10_000)
DIMENSIONS, MODELS = 256, 11
MOST = {"first": (6.0, 6.0), "again": (2.5, 2.5), "next": (3.0, 5.0)}
"""CPU seconds, by number of rows."""
TIMES = 3.0
"""The plug-in of scikit-learn, for a fit whose programs are kept."""
AIM = (
    f"`routerjax fit`, CPU seconds at 500 and 10,000 rows: the first of all at most "
    f"{MOST['first'][0]:g}; the same log again {MOST['again'][0]:g}; the next log "
    f"{MOST['next'][0]:g} and {MOST['next'][1]:g}; at most {TIMES:g} times scikit-learn's plug-in"
)


def write_log(path: Path, rows: int, seed: int) -> None:
    """A log with embeddings, uniform arms, and qualities that a few directions decide."""
    import pyarrow as pa
    from pyarrow import parquet

    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, DIMENSIONS)).astype(np.float32)
    truth = np.random.default_rng(0).normal(size=(DIMENSIONS, MODELS)) / np.sqrt(DIMENSIONS)
    arms = rng.integers(0, MODELS, rows)
    odds = (x @ truth + np.linspace(-0.5, 1.0, MODELS))[np.arange(rows), arms]
    quality = (rng.random(rows) < 1 / (1 + np.exp(-odds))).astype(np.float64)
    cost = np.exp(np.linspace(-9, -5, MODELS))[arms] * np.exp(0.3 * rng.normal(size=rows))
    columns = {
        "model": [f"m{arm}" for arm in arms],
        "quality": quality,
        "cost": cost,
        "embedding": pa.FixedSizeListArray.from_arrays(pa.array(x.ravel()), DIMENSIONS),
    }
    parquet.write_table(pa.table(columns), path)


def plug_in(path: str) -> None:
    """What one writes with scikit-learn: a ridge an arm, propensities, dr, the best by mean."""
    from pyarrow import parquet
    from sklearn.linear_model import LogisticRegression, RidgeCV
    from sklearn.model_selection import KFold

    table = parquet.read_table(path)
    x = np.stack(table["embedding"].to_numpy())
    models, arms = np.unique(table["model"].to_numpy(), return_inverse=True)
    outcomes = [table[name].to_numpy() for name in ("quality", "cost")]
    predicted, chance = np.zeros((2, len(x), len(models))), np.zeros(len(x))
    for train, test in KFold(5, shuffle=True, random_state=0).split(x):
        for arm in range(len(models)):
            own = train[arms[train] == arm]
            for place, values in zip(predicted, outcomes, strict=True):
                place[test, arm] = (
                    RidgeCV(np.logspace(0, 4, 5)).fit(x[own], values[own]).predict(x[test])
                )
        fitted = LogisticRegression(C=0.01, max_iter=200).fit(x[train], arms[train])
        chance[test] = fitted.predict_proba(x[test])[np.arange(len(test)), arms[test]]
    rows = np.arange(len(x))
    for place, values in zip(predicted, outcomes, strict=True):
        place[rows, arms] += (values - place[rows, arms]) / np.maximum(chance, 0.01)
    for cost_weight in (0.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0):
        utility = predicted[0] - cost_weight * predicted[1]
        print(cost_weight, models[utility.mean(axis=0).argmax()], np.bincount(utility.argmax(1)))


def measure(repeats: int) -> dict[str, Any]:
    """By number of rows, medians of wall and CPU seconds of every kind."""
    found: dict[str, dict[str, list[measuring.Pair]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for rows in ROWS:
            own, following = (Path(folder) / f"{name}{rows}.parquet" for name in ("own", "next"))
            write_log(own, rows, 1)
            write_log(following, rows + rows // 7, 2)
            kinds = found.setdefault(str(rows), {})
            for repeat in range(repeats):
                run = ["-m", "routerjax", "fit", "--quiet", "--overwrite", "--out"]
                run.append(str(Path(folder) / "router"))
                cache = Path(folder) / f"cache{rows}.{repeat}"
                for kind, arguments in (
                    ("first", [*run, str(own)]),
                    ("again", [*run, str(own)]),
                    ("next", [*run, str(following)]),
                    ("scikit-learn", ["-m", "benchmarks.first_fit", "--plug-in", str(own)]),
                ):
                    kinds.setdefault(kind, []).append(
                        measuring.fresh_process(arguments, cache=cache)
                    )
    return {
        "repeats": repeats,
        "dimensions": DIMENSIONS,
        "models": MODELS,
        "rows": {
            rows: {kind: _medians(each) for kind, each in own.items()}
            for rows, own in found.items()
        },
    }


def _medians(pairs: list[measuring.Pair]) -> dict[str, float]:
    walls, cpus = zip(*pairs, strict=True)
    return {"wall_seconds": statistics.median(walls), "cpu_seconds": statistics.median(cpus)}


def row(figures: dict[str, Any]) -> measuring.Row:
    """CPU seconds at both numbers of rows."""
    cpu = {
        kind: [own[kind]["cpu_seconds"] for own in figures["rows"].values()]
        for kind in (*MOST, "scikit-learn")
    }
    said = "; ".join(f"{kind} {' and '.join(f'{each:.1f}' for each in cpu[kind])}" for kind in cpu)
    met = [
        each <= most
        for kind, limits in MOST.items()
        for each, most in zip(cpu[kind], limits, strict=True)
    ]
    met += [
        each <= TIMES * peer for each, peer in zip(cpu["again"], cpu["scikit-learn"], strict=True)
    ]
    return measuring.Row(said, tuple(met))


def main() -> None:
    """Measure, print, write."""
    parser = measuring.options(__doc__, repeats=3)
    parser.add_argument("--plug-in", metavar="LOG", help="fit scikit-learn's on a log, and no more")
    given = parser.parse_args()
    if given.plug_in is not None:
        plug_in(given.plug_in)
        return
    result = measure(given.repeats)
    for rows, kinds in result["rows"].items():
        for kind, figures in kinds.items():
            wall, cpu = figures["wall_seconds"], figures["cpu_seconds"]
            print(f"{int(rows):7,} rows  {kind:14} {wall:6.2f} s wall  {cpu:6.2f} s CPU")
    measuring.write("first_fit", result, given.out, packages=("scikit-learn",))


if __name__ == "__main__":
    main()
