"""python -m benchmarks.accelerator: all that is to be known of an accelerator, in one command.

Claims: every surrogate, estimator, architecture and closed form gives there what it gives on the
CPU, within stated tolerances; one device under pmap and a training taken up again give the same
bits. Then it measures: networks a second against the number of runs, one after another and side
by side; a training step beside its matrix products at three precisions; a sweep of a paper's size
as one program; runs of Meta-Router; a log of many rows from the memory of the host; the latency
of a route. Results are written after every part, so that a cut run keeps what it has.

Only jax, flax, optax, orbax, numpy, scipy, jaxtyping and lazy_loader are needed.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from benchmarks import measuring, parity
from benchmarks.problems import log, problem, table
from benchmarks.step_roofline import SHAPES, flops, shape
from experiments.meta_router.config import MetaRouterConfig
from experiments.meta_router.data import sources
from experiments.meta_router.run import program
from routerjax.estimators.counterfactual import estimate
from routerjax.estimators.softmax import softmax
from routerjax.losses.known import OF_A_ROW
from routerjax.pipelines.fit_log import fit
from routerjax.records.tables import Estimates
from routerjax.training.config import FitConfig, NuisanceConfig, RouterConfig, Schedule
from routerjax.training.execution import Execution
from routerjax.training.routing import Problem, train_router, train_routers
from routerjax.training.sweep import Sweep

AIM = "on an accelerator the numbers of the CPU, within tolerances; speed is reported"
RUNS = (1, 4, 16, 64, 256, 1024, 4096)
SWEEP = {"cost_weights": 10, "seeds": 20, "rows": 5_000, "dimensions": 768, "models": 11}
LABELS = ("direct", "ips", "dr")
ROWS = (10_000, 100_000, 1_000_000)
PRECISIONS = ("highest", "tensorfloat32", "bfloat16")
WIDE = list(SHAPES)[-1]
META_RUNS = 200

Part = dict[str, Any]
Left = Callable[[], float]
"""Seconds that are left."""


def _schedule(epochs: int) -> Schedule:
    return Schedule(max_epochs=epochs, patience=epochs, chunk=epochs, caution=0.0)


def _seconds(call: Callable[[], Any]) -> tuple[float, float]:
    """Seconds of a first call, compiling included, and of a second."""
    return measuring.timed(call)[0], measuring.timed(call)[0]


def checks(left: Left) -> Iterator[Part]:
    """Parity with the CPU, pmap on one device, a training that is taken up again."""
    found: Part = {}
    calls: dict[str, Callable[[], dict[str, Any]]] = {
        name: functools.partial(parity.compared, check) for name, check in parity.checks().items()
    }
    calls |= TWICE
    for name, call in calls.items():
        if left() < 0:
            return
        found |= parity.ran({name: call})
        yield found


def runs(left: Left) -> Iterator[Part]:
    """Networks a second for 1 to 4,096 runs, one after another and side by side."""
    found: Part = {"epochs": 2, "rows": 4_000, "map": {}, "vmap": {}}
    for count, mode in itertools.product(RUNS, ("map", "vmap")):
        known = found[mode]
        if left() < 0 or _too_long(known, count, left()):
            continue
        data = problem(4_000, 256, 11, seed=0, members=count)
        config = RouterConfig(architecture="shared", members=count, schedule=_schedule(2))
        execution = Execution(sweep=Sweep(mode=mode))

        def train(data=data, config=config, execution=execution):
            trained = train_router(
                data,
                cost_weights=tuple(np.linspace(0, 500, 8).tolist()),
                quality_width=1.0,
                config=config,
                execution=execution,
            )
            return jax.block_until_ready(trained.policy.params)

        first, again = _seconds(train)
        known[str(count)] = {"first": first, "seconds": again, "networks_a_second": count / again}
        yield found


def _too_long(known: Part, count: int, left: float) -> bool:
    """Whether so many runs, by the last that were measured, take longer than what is left."""
    if not known:
        return False
    last = max(known, key=int)
    return count / int(last) * known[last]["seconds"] > left


def roofline(left: Left) -> Iterator[Part]:
    """A training step of 768-256-256-11 and its matrix products alone, at three precisions."""
    found: Part = {}
    for precision in PRECISIONS:
        if left() < 0:
            return
        with jax.default_matmul_precision(precision):
            calls, steps, sizes = shape(WIDE)
            timed = {name: _seconds(call) for name, call in calls.items()}
        found[precision] = {
            name: {
                "first": first,
                "seconds": again,
                "gflops": flops(sizes) * steps / again / 1e9,
            }
            for name, (first, again) in timed.items()
        }
        yield found


def sweep(left: Left) -> Iterator[Part]:
    """Every surrogate at 10 cost weights, 20 seeds and 3 estimators, all of these one program."""
    weights = tuple(np.linspace(0, 500, SWEEP["cost_weights"]).tolist())
    data = [own for seed in range(SWEEP["seeds"]) for own in _estimated(seed)]
    found: Part = {**SWEEP, "estimators": LABELS, "epochs": 10, "surrogates": {}}
    for name in OF_A_ROW:
        if left() < 0:
            return
        config = RouterConfig(
            architecture="separate", members=1, surrogate=name, schedule=_schedule(10)
        )

        def train(config=config):
            trained = train_routers(data, cost_weights=weights, quality_width=1.0, config=config)
            return jax.block_until_ready([each.policy.params for each in trained])

        found["surrogates"][name] = {"seconds": measuring.timed(train)[0]}
        yield found


def _estimated(seed: int) -> list[Problem]:
    """A problem by every estimator of `LABELS`, of a log whose outcome models know means alone."""
    count, dimensions, models = (SWEEP[name] for name in ("rows", "dimensions", "models"))
    record = log(count, dimensions, models, seed=seed)
    _, cells = table(count, dimensions, models, seed=seed)
    chance = softmax(2 * np.asarray(cells.quality))[np.arange(count), np.asarray(record.arms)]
    quality, cost = (np.asarray(own).mean(axis=0) for own in (cells.quality, cells.cost))
    known = Estimates(
        quality=np.broadcast_to(quality, (count, models)),
        cost=np.broadcast_to(cost, (count, models)),
    )
    own = problem(count, dimensions, models, seed=seed)
    return [own._replace(target=estimate(record, known, chance, estimator=name)) for name in LABELS]


def meta_router(left: Left) -> Iterator[Part]:
    """Runs of the Meta-Router study with ridge: its blocks, each one program."""
    config = MetaRouterConfig(runs=META_RUNS)
    (source,) = sources(config)
    compiling, _, block = measuring.timed(functools.partial(program, config, source))
    found: Part = {"rows": source.rows, "gold": config.gold_rows[0], "compiling": compiling}
    found |= {"runs": 0, "seconds": 0.0}
    yield found
    for number in range(config.runs // config.block):
        if left() < 0:
            return
        found["seconds"] += measuring.timed(functools.partial(block, number))[0]
        found["runs"] += config.block
        yield found


def rows(left: Left) -> Iterator[Part]:
    """The default fit, and a trained one, of a log in the memory of the host."""
    found: Part = {"dimensions": 256, "models": 10, "default": {}, "interval": {}}
    trained = FitConfig(
        router=RouterConfig(architecture="interval", members=1, schedule=_schedule(2)),
        nuisance=NuisanceConfig(outcomes="network", folds=2, schedule=_schedule(2)),
    )
    for count in ROWS:
        data = log(count, 256, 10, seed=0)
        for name, config in (("default", FitConfig()), ("interval", trained)):
            if left() < 0:
                return
            found[name][str(count)] = measuring.timed(functools.partial(fit, data, config=config))[
                0
            ]
            yield found


def latency(left: Left) -> Iterator[Part]:
    """Milliseconds of a route of one embedding, and queries a second in batches."""
    router = fit(log(2_000, 256, 11, seed=0))
    queries = np.random.default_rng(0).standard_normal((65_536, 256), dtype=np.float32)
    router.route(queries[:1], cost_weight=50.0)
    one = functools.partial(router.route, cost_weight=50.0)
    one(queries[:1])
    alone = [
        measuring.timed(functools.partial(one, queries[place : place + 1]))[0]
        for place in range(300)
    ]
    batch = min(_seconds(lambda: router.route(queries, cost_weight=50.0)))
    yield {
        "p50_milliseconds": 1e3 * float(np.median(alone)),
        "p99_milliseconds": 1e3 * float(np.quantile(alone, 0.99)),
        "queries_per_second": len(queries) / batch,
    }


TWICE = {"pmap on one device": parity.one_device, "resumed training": parity.resumed}
"""Checks that give the same bits twice."""

PARTS: dict[str, tuple[Callable[[Left], Iterator[Part]], float]] = {
    "checks": (checks, 0.3),
    "runs": (runs, 0.25),
    "roofline": (roofline, 0.05),
    "sweep": (sweep, 0.15),
    "meta_router": (meta_router, 0.05),
    "rows": (rows, 0.15),
    "latency": (latency, 0.05),
}
"""Every part and its share of the minutes; what one leaves is the next one's."""


def not_reached(parts: Part) -> dict[str, list[str]]:
    """By part, what was planned and no result says anything of; nothing where all was reached."""
    modes, fits = ("map", "vmap"), ("default", "interval")

    def of(name: str, *path: str) -> Any:
        return functools.reduce(lambda found, key: found.get(key, {}), path, parts.get(name, {}))

    planned: dict[str, tuple[Sequence[str], Collection[str]]] = {
        "checks": ([*parity.checks(), *TWICE], of("checks")),
        "runs": (
            [f"{mode} {count}" for mode in modes for count in RUNS],
            [f"{mode} {count}" for mode in modes for count in of("runs", mode)],
        ),
        "roofline": (PRECISIONS, of("roofline")),
        "sweep": (list(OF_A_ROW), of("sweep", "surrogates")),
        "meta_router": (
            [f"{META_RUNS} runs"],
            [f"{parts.get('meta_router', {}).get('runs', 0)} runs"],
        ),
        "rows": (
            [f"{name} {count}" for count in ROWS for name in fits],
            [f"{name} {count}" for name in fits for count in of("rows", name)],
        ),
        "latency": (["latency"], ["latency"] if "latency" in parts else []),
    }
    left = {
        name: [own for own in all_ if own not in done] for name, (all_, done) in planned.items()
    }
    return {name: own for name, own in left.items() if own}


def row(figures: dict[str, Any]) -> measuring.Row:
    """The checks that passed, and the fastest rate of networks."""
    found = figures["parts"].get("checks", {})
    passed = sum(check["passed"] for check in found.values())
    rates = [
        each["networks_a_second"]
        for mode in ("map", "vmap")
        for each in figures["parts"].get("runs", {}).get(mode, {}).values()
    ]
    said = f"{passed} of {len(found)} checks passed"
    if rates:
        said += f"; {max(rates):,.0f} networks a second"
    return measuring.Row(said, (bool(found) and passed == len(found),))


def main() -> None:
    """Carry out the parts in turn and write what each finds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=8.0, help="for all parts")
    parser.add_argument(
        "--out", type=Path, default=measuring.FOLDER, help="a .json file, or the folder of one"
    )
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    given = parser.parse_args()
    is_file = given.out.suffix == ".json"
    folder = given.out.parent if is_file else given.out
    folder.mkdir(parents=True, exist_ok=True)
    start, due, found = time.perf_counter(), 0.0, {}
    print(f"{jax.device_count()} × {jax.devices()[0].device_kind}")
    for name in given.parts:
        part, share = PARTS[name]
        due += share * 60 * given.minutes

        def left(due: float = due) -> float:
            return due - (time.perf_counter() - start)

        for own in part(left):
            found[name] = own
            figures = {"minutes": given.minutes, "not_reached": not_reached(found), "parts": found}
            measuring.write(
                "accelerator", figures, folder, file=given.out.name if is_file else None, quiet=True
            )
        print(f"{name}: {time.perf_counter() - start:.0f} s since the start")
    for name, lacking in not_reached(found).items():
        if name in given.parts:
            print(f"not reached of {name}: {', '.join(lacking)}")
    failed = [name for name, own in found.get("checks", {}).items() if not own["passed"]]
    print(f"failed checks: {', '.join(failed) or 'none'}")
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
