"""What each of our changes to the paper's method adds or costs, paired over seeds.

python -m experiments.causal_routing.changes --seeds 10

From our defaults one change at a time is taken back: the plug-in start, the members, the caution
of endpoint and of joint router, the number of folds, the cross-fitting, the pooled outcome models.
Last, all are taken back together, which is the paper's method. Every seed draws queries, log and
split anew, so that standard errors are over tables too.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.causal_routing.config import PLAIN, StudyConfig
from routerjax.cli.app import Options, Parsed, add_command, make_app, run
from routerjax.cli.options import option
from routerjax.cli.terminal import exit_code
from routerjax.reports.tables import markdown
from routerjax.training.config import NuisanceConfig, RouterConfig

OURS = StudyConfig(
    queries=3_000,
    dimensions=32,
    test_share=0.3,
    seeds=1,
    cost_weights=(0, 50, 1000),
    estimators=("dr",),
    router=RouterConfig(architecture="interval"),
    nuisance=NuisanceConfig(),
)
if TYPE_CHECKING:
    from experiments.causal_routing.data import Source
    from experiments.causal_routing.repetition import Repetition
    from routerjax.evaluation.metrics import Choice
    from routerjax.models.policy import Policy

TEXT = """What each of our changes to the paper's method adds or costs."""
Record = dict[str, Any]


def _router(**changed: Any) -> StudyConfig:
    return dataclasses.replace(OURS, router=dataclasses.replace(OURS.router, **changed))


def _folds(folds: int) -> StudyConfig:
    return dataclasses.replace(OURS, nuisance=dataclasses.replace(OURS.nuisance, folds=folds))


def _published(folds: int, router: RouterConfig = OURS.router) -> StudyConfig:
    return dataclasses.replace(OURS, published_nuisances=True, published_folds=folds, router=router)


PER_LLM = "a model an LLM, boosted propensities, 5 folds"
UNFOLDED = "the same without cross-fitting"
VARIANTS: Mapping[str, StudyConfig] = {
    "our defaults": OURS,
    "random start": _router(start="random"),
    "one member": _router(members=1),
    "no caution": _router(
        schedule=dataclasses.replace(OURS.router.schedule, caution=0.0), joint_caution=0.0
    ),
    "no joint caution": _router(joint_caution=0.0),
    "2 folds": _folds(2),
    "10 folds": _folds(10),
    PER_LLM: _published(5),
    UNFOLDED: _published(1),
    "all taken back: the paper's method": _published(1, PLAIN),
}
AGAINST: Mapping[str, str] = {UNFOLDED: PER_LLM}
"""What a variant is compared with, where it is not our defaults."""
METHODS = ("plug-in", "rm-interval", "rm-interval between")


def measured(name: str, seeds: Sequence[int]) -> list[Record]:
    """Mean utility of a variant, over the grid and between its points; all seeds as one sweep."""
    from experiments.causal_routing.repetition import Setting, repetitions
    from routerjax.training.execution import Execution
    from routerjax.training.routing import train_routers

    variant, begin = VARIANTS[name], time.process_time()
    setting = Setting(variant.logging[0], variant.strength[0], None)
    every = [
        repetitions(
            _source(seed),
            dataclasses.replace(variant, first_seed=seed),
            setting,
            execution=Execution(),
        )[0]
        for seed in seeds
    ]
    trained = train_routers(
        [own.problem("dr") for own in every],
        cost_weights=variant.cost_weights,
        quality_width=every[0].full.quality_width,
        config=variant.router,
    )
    found = [_values(own, each.policy) for own, each in zip(every, trained, strict=True)]
    seconds = round((time.process_time() - begin) / len(seeds), 1)
    return [
        {"seed": seed, "variant": name, "seconds": seconds, **values}
        for seed, values in zip(seeds, found, strict=True)
    ]


def _source(seed: int) -> Source:
    """Queries of the seed's own."""
    from experiments.causal_routing.data import Source
    from routerjax.data.synthetic.table import embedded_table

    made = embedded_table(seed, queries=OURS.queries, dimensions=OURS.dimensions)
    return Source("embedded", made.table, made.true_estimates, None, ())


def _values(own: Repetition, policy: Policy) -> dict[str, float]:
    """Mean utility by method: of the plug-in and the router at the grid, the router in between."""
    from routerjax.baselines.policies import greedy
    from routerjax.evaluation.metrics import outcome

    at = own.cost_weights
    routed = policy.at(own.x_test, own.predicted, cost_weights=at).argmax(axis=-1)
    plain = [greedy(own.predicted, cost_weight=each) for each in at]

    def value(chosen: Sequence[Choice], fitted: bool) -> float:
        values = [
            float(outcome(choice, own.evaluated_by, cost_weight=each).utility.mean())
            for choice, each in zip(chosen, at, strict=True)
            if (each in own.config.cost_weights) == fitted
        ]
        return round(float(np.mean(values)), 5)

    found = (value(plain, True), value(list(routed), True), value(list(routed), False))
    return dict(zip(METHODS, found, strict=True))


def table(results: Record) -> str:
    """Markdown: every variant less what it changes, mean ± standard error of the paired difference.

    A variant is paired with our defaults, or with the variant of `AGAINST`, seed by seed.
    """
    by_variant: dict[str, dict[int, Record]] = {}
    for record in results["draws"]:
        by_variant.setdefault(record["variant"], {})[record["seed"]] = record
    first = next(iter(VARIANTS))
    head = ["variant", "less", "seeds", *METHODS, "CPU seconds a seed"]
    lines = []
    for name, own in by_variant.items():
        other = "" if name == first else AGAINST.get(name, first)
        base = by_variant.get(other, {})
        cells = []
        for method in METHODS:
            values = [own[seed][method] for seed in own]
            if other:
                values = [each - base[seed][method] for seed, each in zip(own, values, strict=True)]
            cells.append(_cell(values, other))
        seconds = np.median([record["seconds"] for record in own.values()])
        lines.append([name, other, str(len(own)), *cells, f"{seconds:.0f}"])
    return markdown(head, lines)


def _cell(values: Sequence[float], other: str) -> str:
    """Mean ± standard error, with a sign where it is a difference."""
    sign = "+" if other else ""
    error = np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return f"{np.mean(values):{sign}.4f}" + ("" if np.isnan(error) else f" ± {error:.4f}")


@dataclasses.dataclass(frozen=True)
class Changes:
    """How large the study is, and where its file goes.

    Attributes:
      out: The file of the results.
      seeds: Number of repetitions, each with queries of its own.
    """

    out: Path = option(Path("results/changes.json"), "FILE")
    seeds: int = 10


def main() -> int:
    """Run the study; returns the exit code."""
    app = make_app("python -m experiments.causal_routing.changes", TEXT)
    add_command(app, None, _run, text=TEXT, groups=[Options("Study", Changes())])
    return exit_code(lambda: run(app, None), prog="experiments.causal_routing.changes")


def _run(parsed: Parsed) -> None:
    options = parsed[Changes]
    from routerjax.support.atomic import write_text
    from routerjax.support.compilation import keep_compiled
    from routerjax.support.provenance import dumps, provenance

    keep_compiled()
    draws: list[Record] = []
    for name in VARIANTS:
        draws += measured(name, range(options.seeds))
        head = provenance(config=OURS, seed=0, data="synthetic, drawn by the study")
        results = {"provenance": head, "draws": draws}
        write_text(options.out, dumps(results) + "\n")  # what is measured survives an interruption
    print(table(results))


if __name__ == "__main__":
    raise SystemExit(main())
