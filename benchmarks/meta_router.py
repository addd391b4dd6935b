"""python -m benchmarks.meta_router: the Meta-Router protocol by scikit-learn's forests and by ours.

The plain loop is what a user would write with numpy and scikit-learn (extra `baselines`) for a run
of Figure 1(a): 500 test, 100 gold and 3,900 preference rows of 50 numbers, seven methods, every
regression a random forest as in the authors' script (100 trees of depth 20) on all cores,
nuisances cross-fitted over five folds, propensity known, ω = 1. Ours are the same methods on the
same rows as one compiled program, a run at a time, with ridge, Linen heads and forests as the
regression; and studies of many runs, compiling included. The embedded labels are nearly linear in
the query, which suits ridge better than forests.
Claim: 200 runs with ridge take no longer than one run of the plain loop, and the areas under the
curves of the R- and the DR-learner are no smaller than the loop's on the same rows.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import measuring
from experiments.meta_router.config import MetaRouterConfig
from experiments.meta_router.data import Source, sources
from experiments.meta_router.methods import METHODS, Run
from experiments.meta_router.protocol import area, draw_roles, efficiency_curve
from experiments.meta_router.report import mean_and_error
from experiments.meta_router.run import setting_of, study
from routerjax.baselines.forest import check_installed, regressor
from routerjax.estimators.components import fit_components

CONFIG = MetaRouterConfig(omega=1.0)
REGRESSIONS = ("ridge", "heads", "forest")
RUNS, HEAD_RUNS = 200, 20
LEARNERS = {"R": "r_learner", "DR": "dr_learner"}
AIM = f"{RUNS} runs with ridge in the time of one by scikit-learn's forests; areas no smaller"

Curves = Mapping[str, Any]
"""Method → efficiency [r, 61] of r runs, divided by the mean gold gain."""


def drawn(source: Source, number: int) -> Run:
    """The rows of a run, as the study draws them."""
    key = jax.random.fold_in(jax.random.key(CONFIG.seed), number)
    make, roles_key, fit = jax.random.split(key, 3)
    data = source.make(source.arrays, make)
    (gold_rows,) = CONFIG.gold_rows
    roles = draw_roles(data, test_rows=source.test_rows, gold_rows=gold_rows, key=roles_key)
    train = (~roles.test).astype(jnp.float32)
    x = fit_components(data.embeddings, train, components=source.components)(data.embeddings)
    return Run(x, data, roles, fit)


@jax.jit
def scored(gains: Mapping[str, Any], run: Run, mean_gain: float) -> Curves:
    """Curves of one run from every method's predicted gains [n]."""
    score, test = run.data.score / mean_gain, run.roles.test
    return {method: efficiency_curve(own, score, test)[None] for method, own in gains.items()}


def loop(run: Run, *, seed: int) -> dict[str, np.ndarray]:
    """The seven methods in numpy and scikit-learn, forests one after another."""
    from sklearn.model_selection import StratifiedKFold

    x, gold, label = np.asarray(run.x), np.asarray(run.roles.gold), np.asarray(run.label)
    gold_label = np.asarray(run.data.gold_label)
    rows = np.flatnonzero(~np.asarray(run.roles.test))
    share = gold.sum() / len(rows)
    split = StratifiedKFold(CONFIG.folds, shuffle=True, random_state=seed)
    folds = [(rows[others], rows[own]) for others, own in split.split(rows, gold[rows])]

    def forest(rows, target, weights=None):
        made = regressor(trees=100, depth=20, smallest_leaf=1, seed=seed, jobs=-1)
        return made.fit(x[rows], target[rows], None if weights is None else weights[rows])

    def out_of_fold(used):
        predicted = np.zeros(len(x))
        for others, own in folds:
            predicted[own] = forest(others[used[others]], label).predict(x[own])
        return predicted

    def with_bias(pseudo_outcome, weights=None):
        bias = forest(rows, pseudo_outcome, weights).predict(x)
        return forest(rows, np.where(gold, label, label + bias)).predict(x)

    surprise = gold - share
    outcome = out_of_fold(np.ones(len(x), bool))
    mu0, mu1 = out_of_fold(~gold), out_of_fold(gold)
    lever = surprise / (share * (1 - share))
    return {
        "r_learner": with_bias((label - outcome) / surprise, surprise**2),
        "dr_learner": with_bias(mu1 - mu0 + lever * (label - np.where(gold, mu1, mu0))),
        "gold_only": forest(rows[gold[rows]], label).predict(x),
        "pooled": forest(rows, label).predict(x),
        "preference_only": forest(rows[~gold[rows]], label).predict(x),
        "all_gold": forest(rows, gold_label).predict(x),
        "random": np.random.default_rng(seed).random(len(x)),
    }


def ours(source: Source, regression: str) -> Any:
    """Run → curves of the seven methods, jitted."""
    setting = setting_of(dataclasses.replace(CONFIG, nuisance=regression), source)

    @jax.jit
    def program(run: Run) -> Curves:
        gains: dict[str, jax.Array] = {}
        for names, method in METHODS.items():
            predicted = [own for own, _ in method(run, setting)]
            gains.update(zip(names, predicted, strict=True))
        return scored(gains, run, source.mean_gain)

    return program


def many(source: Source, regression: str, runs: int, seed: int) -> Curves:
    """Curves of a study of so many runs, compiling included."""
    config = dataclasses.replace(CONFIG, nuisance=regression, runs=runs, seed=seed)
    (outcome,) = study(config, source)
    return outcome.curves


def measure(repeats: int, studies: Mapping[str, int]) -> dict[str, Any]:
    """Runs one at a time by the loop and by ours, and studies of many; repeats are interleaved."""
    (source,) = sources(CONFIG)
    runs = [jax.block_until_ready(drawn(source, number)) for number in range(repeats)]
    programs = {name: ours(source, name).lower(runs[0]) for name in REGRESSIONS}
    compiled = {name: measuring.timed(program.compile) for name, program in programs.items()}

    def by_loop(number: int) -> Curves:
        return scored(loop(runs[number], seed=number), runs[number], source.mean_gain)

    def by_ours(name: str, number: int) -> Curves:
        return compiled[name][2](runs[number])

    calls: dict[str, Callable[[int], Curves]] = {"loop": by_loop}
    for name in REGRESSIONS:
        calls[name] = functools.partial(by_ours, name)
    for name, count in studies.items():
        calls[f"{name} study"] = functools.partial(many, source, name, count)
    seconds, areas = in_turn(calls, repeats)
    paired = {name: less(areas[name], areas["loop"]) for name in REGRESSIONS}
    return {
        "seconds": seconds,
        "compiling": {name: {"wall": own[0], "cpu": own[1]} for name, own in compiled.items()},
        "runs_of_study": studies,
        "areas": {name: summary(own) for name, own in areas.items()},
        "areas_less_loop": {name: summary(own) for name, own in paired.items()},
    }


def less(
    areas: Mapping[str, np.ndarray], others: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Method → areas less those of the others on the same runs, of methods that both have."""
    return {method: own - others[method] for method, own in areas.items() if method in others}


def in_turn(calls: Mapping[str, Callable[[int], Curves]], repeats: int) -> tuple[dict, dict]:
    """Median seconds of every call, and the areas [r] of its methods, over repeats 0, 1, ..."""
    pairs: dict[str, list] = {name: [] for name in calls}
    curves: dict[str, list] = {name: [] for name in calls}
    for number in range(repeats):
        for name, call in calls.items():
            wall, cpu, found = measuring.timed(lambda: jax.tree.map(np.asarray, call(number)))  # noqa: B023
            pairs[name].append((wall, cpu))
            curves[name].append(found)
            print(f"{name}, repeat {number}: {wall:.2f} s, {cpu:.2f} CPU s", flush=True)
    seconds = {name: measuring.medians(own) for name, own in pairs.items()}

    def joined(*parts: np.ndarray) -> np.ndarray:
        return area(np.concatenate(parts))

    return seconds, {name: jax.tree.map(joined, *own) for name, own in curves.items()}


def summary(areas: Mapping[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """Method → mean and standard error over runs."""
    found = {method: mean_and_error(own) for method, own in areas.items()}
    return {m: {"mean": mean, "standard_error": error} for m, (mean, error) in found.items()}


def row(figures: dict[str, Any]) -> measuring.Row:
    """Of one run and of the study with ridge; areas of the same runs."""
    areas, less = figures["areas"], figures["areas_less_loop"]["ridge"]
    plain, single, whole = (figures["seconds"][name] for name in ("loop", "ridge", "ridge study"))
    runs, compiling = figures["runs_of_study"]["ridge"], figures["compiling"]["ridge"]["wall"]
    sides = [
        f"{name} {areas['ridge'][method]['mean']:.2f} against {areas['loop'][method]['mean']:.2f}"
        for name, method in LEARNERS.items()
    ]
    return measuring.Row(
        f"one run by forests {plain['wall']:.0f} s ({plain['cpu']:.0f} CPU s), with ridge "
        f"{single['wall']:.2f} s ({single['cpu']:.2f}) once compiled in {compiling:.0f} s; {runs} "
        f"runs {whole['wall']:.0f} s ({whole['cpu']:.0f}), compiling included; areas: "
        + ", ".join(sides),
        (
            runs >= RUNS and whole["wall"] <= plain["wall"],
            all(less[method]["mean"] >= 0 for method in LEARNERS.values()),
        ),
    )


def main() -> None:
    """Measure, print, write."""
    parser = measuring.options(__doc__, repeats=5)
    parser.add_argument("--runs", type=int, default=RUNS, help="of the study with ridge")
    parser.add_argument("--head-runs", type=int, default=HEAD_RUNS, help="of that with heads")
    given = parser.parse_args()
    check_installed()
    figures = measure(given.repeats, {"ridge": given.runs, "heads": given.head_runs})
    for name, areas in figures["areas"].items():
        own = [f"{m} {a['mean']:.3f} ± {a['standard_error']:.3f}" for m, a in areas.items()]
        print(f"{name}: {', '.join(own)}")
    measuring.write("meta_router", figures, given.out, packages=["scikit-learn"])


if __name__ == "__main__":
    main()
