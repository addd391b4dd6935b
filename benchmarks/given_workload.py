"""python -m benchmarks.given_workload --workload FILE: a plain loop's utility on another's table.

FILE (.npz) is a table that somebody else wrote: x [n, d], acc and cost [n, m], and the rows `train`
and `test`. The plain loop is that of `time_to_quality`, a PyTorch network for each of 5 seeds and
10 cost weights, with the number of threads that suits it best. routerjax fits outcome models in
closed form, anew for each seed, which serve all cost weights at once. Warm, what it runs is
compiled; cold, a process of its own starts with nothing compiled, and imports and reading count.
Set OPENBLAS_NUM_THREADS=1, as the command line does: threads of NumPy spin without gain.
Claim: at every cost weight at least the loop's utility on the test rows, at a tenth of its CPU
seconds warm and at a fifth cold; and that of RM-Interval in plain PyTorch, whose endpoints are the
loop's networks, at a fiftieth warm. RM-Interval is trained once, it takes long.
"""

from __future__ import annotations

import dataclasses
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks import measuring
from benchmarks.plain_interval import interval_loop
from benchmarks.plain_loop import Choose, Rows, Steps, best_threads, loop
from routerjax.errors import InputError

SHARES = (0.0, 0.03, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Cost weights, over the mean cost of the dearest model."""
SEEDS, STEPS = (0, 1, 2, 3, 4), Steps(256, 1e-3)
WARM, COLD, OF_INTERVAL = 0.1, 0.2, 1 / 50
AIM = (
    "on a table of another hand, the utility of a plain PyTorch loop at every cost weight, for at "
    f"most {WARM:g} of its CPU seconds warm and {COLD:g} cold; that of RM-Interval in PyTorch for "
    f"at most {OF_INTERVAL:g}"
)


class Workload(NamedTuple):
    """Train and test rows, and ten cost weights."""

    train: Rows
    test: Rows
    weights: tuple[float, ...]


def read(path: Path) -> Workload:
    """The workload in a file.

    Raises:
      InputError: there is no such file, it is no .npz, or an array is missing.
    """
    try:
        with np.load(path) as held:
            parts = [np.asarray(held[name], np.float32) for name in ("x", "acc", "cost")]
            chosen = [np.asarray(held[name]) for name in ("train", "test")]
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(
            f"this is no .npz file that can be read ({error})", source=str(path)
        ) from error
    except KeyError as error:
        raise InputError(
            f"it must hold x, acc, cost, train and test: {error}", source=str(path)
        ) from error
    train, test = (Rows(*(part[rows] for part in parts)) for rows in chosen)
    dearest = float(train.cost.mean(axis=0).max())
    return Workload(train, test, tuple(share / dearest for share in SHARES))


def routers(rows: Rows, seeds: Sequence[int]) -> list[Choose]:
    """Greedy on outcome models that saw every model's answer, seed by seed."""
    import jax

    from routerjax.pipelines.prepare import prepare
    from routerjax.records.tables import Table
    from routerjax.training.config import FitConfig, NuisanceConfig

    models = [f"model-{arm}" for arm in range(rows.quality.shape[1])]
    table = Table.from_arrays(rows.quality, rows.cost, embeddings=rows.x, models=models)
    config = FitConfig(nuisance=NuisanceConfig(folds=2))  # no row is estimated out of fold here

    def one(seed: int) -> Choose:
        nuisance, training = jax.random.split(jax.random.key(seed))
        own = dataclasses.replace(config, seed=seed)
        made = prepare(table, own, nuisance_key=nuisance, training_key=training)

        def choose(new: np.ndarray, weight: float) -> np.ndarray:
            _, expected = made.predict(new)
            arms: np.ndarray = (expected.quality - weight * expected.cost).argmax(axis=1)
            return arms

        return choose

    return [one(seed) for seed in seeds]


def utilities(choices: Sequence[Choose], given: Workload) -> np.ndarray:
    """Mean utility [w] of what is chosen on the test rows, over seeds, by cost weight."""
    test = given.test
    rows = np.arange(len(test.x))
    found = [
        [
            (test.quality - each * test.cost)[rows, choose(test.x, each)].mean()
            for each in given.weights
        ]
        for choose in choices
    ]
    return np.mean(found, axis=0)


def compare(path: Path, repeats: int) -> dict[str, Any]:
    """Utilities and CPU seconds of both; repeats are interleaved."""
    given = read(path)
    threads = best_threads(loop([given.train], SEEDS[:1], given.weights[:1], STEPS))
    train = loop([given.train] * len(SEEDS), SEEDS, given.weights, STEPS)

    def fit() -> list[Choose]:
        from routerjax.pipelines.pooled_features import forget_features

        forget_features()  # of the calls before; seeds of one call share them
        return routers(given.train, SEEDS)

    kinds = {"loop": train, "routerjax": fit}
    chosen = {name: call() for name, call in kinds.items()}
    whole = interval_loop([given.train] * len(SEEDS), SEEDS, given.weights, STEPS)
    *took, chosen["interval"] = measuring.timed(whole)
    pairs: dict[str, list[measuring.Pair]] = {name: [] for name in kinds}
    arguments = ["-m", "benchmarks.given_workload", "--workload", str(path), "--only-routerjax"]
    cold = []
    for repeat in range(repeats):
        for name, call in kinds.items():
            pairs[name].append(measuring.timed(call)[:2])
        with tempfile.TemporaryDirectory() as folder:
            cold.append(measuring.fresh_process(arguments, cache=Path(folder) / f"cache{repeat}"))
    found = {name: utilities(own, given) for name, own in chosen.items()}
    return {
        "rows": len(given.train.x),
        "test_rows": len(given.test.x),
        "cost_weights": given.weights,
        "threads": threads,
        "utility": {name: own.tolist() for name, own in found.items()},
        "seconds": {name: measuring.medians(own)._asdict() for name, own in pairs.items()}
        | {"interval": measuring.medians([(took[0], took[1])])._asdict()},
        "cold": measuring.medians(cold)._asdict(),
    }


def row(figures: dict[str, Any]) -> measuring.Row:
    """Shares of the CPU seconds of both, and the least and the mean difference in utility."""
    took, cold = figures["seconds"], figures["cold"]["cpu"]
    own, loop_took, interval = (took[name]["cpu"] for name in ("routerjax", "loop", "interval"))
    away = {
        name: np.subtract(figures["utility"]["routerjax"], figures["utility"][name])
        for name in ("loop", "interval")
    }
    said = {
        name: f"utility less its: mean {each.mean():+.4f}, least {each.min():+.4f}"
        for name, each in away.items()
    }
    measured = (
        f"{own / loop_took:.2f} warm and {cold / loop_took:.2f} cold of the loop's {loop_took:.0f} "
        f"CPU s, {said['loop']}; {own / interval:.3f} of RM-Interval's {interval:.0f} CPU s, "
        f"{said['interval']}"
    )
    met = [bool(away["loop"].min() >= 0), own / loop_took <= WARM, cold / loop_took <= COLD]
    met += [bool(away["interval"].min() >= 0), own / interval <= OF_INTERVAL]
    return measuring.Row(measured, tuple(met))


def main() -> None:
    """Measure, print, write."""
    parser = measuring.options(__doc__, repeats=2)
    parser.add_argument("--workload", type=Path, required=True, help="the table, an .npz file")
    parser.add_argument("--only-routerjax", action="store_true", help="fit, and write no file")
    given = parser.parse_args()
    if given.only_routerjax:
        held = read(given.workload)
        print(utilities(routers(held.train, SEEDS), held))
        return
    figures = compare(given.workload, given.repeats)
    print(row(figures).measured)
    measuring.write("given_workload", figures, given.out, packages=["torch"])


if __name__ == "__main__":
    main()
