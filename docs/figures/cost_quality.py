"""Draw the README's figure: quality against cost of a router that was learnt from small logs.

    python docs/figures/cost_quality.py          draw cost_quality.png from cost_quality.json
    python docs/figures/cost_quality.py --run    fit the routers again and write both files

Every seed splits the embedded synthetic table anew, draws a log of one answer a query from the
rows that are not for testing, fits a router to that log and a second one to every model's answer
to the same queries. Both are evaluated on the test rows by the table's true means.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

import routerjax as rj
from routerjax.data.synthetic.simulation import logging_policy
from routerjax.evaluation import Curve, Interval, Span, curve, mean_interval, span
from routerjax.evaluation.curves import quality_at
from routerjax.reports.style import COLOURS, REFERENCE, drawing
from routerjax.support.provenance import dumps, provenance

HERE = Path(__file__).resolve().parent
RESULTS, PICTURE = HERE / "cost_quality.json", HERE / "cost_quality.png"


@dataclasses.dataclass(frozen=True)
class Config:
    """What `--run` does.

    Attributes:
      queries: Rows of the embedded table.
      test_share: Share of them that every seed keeps for testing.
      policy: The logging policy.
      seeds: Number of seeds.
      cost_weights: Cost weights the routers are fitted and evaluated at.
    """

    queries: int = 4000
    test_share: float = 0.3
    policy: str = "quality"
    seeds: int = 10
    cost_weights: tuple[float, ...] = (0.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)


METHODS = {
    "full-feedback": "the same router, had every model answered every query",
    "router": "router learnt from the log of one answer a query",
}


OFFSETS = {
    "zero-one-ai/Yi-34B-Chat": (4, 2),
    "gpt-3.5-turbo-1106": (4, -5),
    "mistralai/mistral-7b-chat": (6, -6),
}
"""Points from a model's dot to its name, where the usual place is taken."""


def one_seed(config: Config, whole: rj.Table, truth: rj.Estimates, seed: int) -> dict[str, Any]:
    """Points of both routers and of the single models on the test rows of one seed."""
    import jax

    order = np.random.default_rng(seed).permutation(len(whole))
    test = np.isin(np.arange(len(whole)), order[: round(config.test_share * len(whole))])
    learnt = whole.rows(~test)
    policy = logging_policy(config.policy, learnt)
    log, _ = rj.simulate_log(learnt, policy, key=jax.random.key(seed), record=False)
    router = rj.fit(log, config=rj.FitConfig(cost_weights=config.cost_weights, seed=seed))

    known = rj.Table.from_arrays(
        np.where(test[:, None], truth.quality, whole.quality),
        np.where(test[:, None], truth.cost, whole.cost),
        models=whole.models,
        embeddings=whole.embeddings,
        split=np.where(test, "test", "train").tolist(),
    )
    lines = rj.evaluate(router, known).lines
    means = known.rows(test).estimates
    return {
        "seed": seed,
        "rows": len(log),
        "span": span(means)._asdict(),
        "single_models": {
            "cost": np.asarray(means.cost, np.float64).mean(axis=0),
            "quality": np.asarray(means.quality, np.float64).mean(axis=0),
        },
        "points": {
            method: {
                "cost": [line.cost.mean for line in lines if line.method == method],
                "quality": [line.quality.mean for line in lines if line.method == method],
            }
            for method in METHODS
        },
    }


def run(config: Config) -> None:
    """Fit every seed's routers and write their points, with what made them."""
    synthetic = rj.embedded_table(0, queries=config.queries)
    whole, truth = synthetic.table, synthetic.true_estimates
    record = provenance(config=config, seed=0, data=whole.fingerprint)
    seeds = []
    for seed in range(config.seeds):
        seeds.append(one_seed(config, whole, truth, seed))
        print(f"seed {seed} done", flush=True)
    found = {"provenance": record, "models": whole.models, "seeds": seeds}
    RESULTS.write_text(dumps(found, indent=1) + "\n", encoding="utf-8")


def curves_of(results: dict[str, Any], method: str) -> list[Curve]:
    """A method's cost–quality curve, seed by seed."""
    return [
        curve(
            np.array(seed["points"][method]["cost"]),
            np.array(seed["points"][method]["quality"]),
            Span(**seed["span"]),
        )
        for seed in results["seeds"]
    ]


def cheapest(results: dict[str, Any], method: str) -> float:
    """Mean over seeds of what the router itself costs at least, at its largest cost weight.

    Below it a curve mixes the router's choices with the cheapest model's, at random.
    """
    return float(np.mean([min(seed["points"][method]["cost"]) for seed in results["seeds"]]))


def band(found: list[Curve], budgets: np.ndarray) -> list[Interval]:
    """Mean quality over seeds at each budget, with its 95 % interval."""
    by_seed = np.array([quality_at(each, budgets) for each in found])
    return [mean_interval(column) for column in by_seed.T]


def draw(results: dict[str, Any], path: Path) -> None:
    """Draw both curves with their bands, and the single models."""
    singles = {
        name: np.mean([seed["single_models"][name] for seed in results["seeds"]], axis=0)
        for name in ("cost", "quality")
    }
    low = float(np.mean([seed["span"]["low"] for seed in results["seeds"]]))
    budgets = np.geomspace(low, 1.15 * singles["cost"].max(), 200)
    seeds, rows = len(results["seeds"]), results["seeds"][0]["rows"]
    with drawing(path, size=(7.0, 4.4)) as drawn:
        axes = drawn.subplots()
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda dollars, _: f"{dollars:g}")
        for method, colour, dashes in (
            ("full-feedback", REFERENCE, (0, (4, 2))),
            ("router", COLOURS[0], "-"),
        ):
            found = band(curves_of(results, method), budgets)
            thousand = 1000 * budgets
            mean = np.array([each.mean for each in found])
            line = {"color": colour, "linestyle": dashes, "zorder": 3}
            own = int(np.searchsorted(budgets, cheapest(results, method)))
            axes.plot(thousand[: own + 1], mean[: own + 1], **line, linewidth=0.8)
            axes.plot(thousand[own:], mean[own:], **line, label=METHODS[method])
            lower, upper = [each.low for each in found], [each.high for each in found]
            axes.fill_between(thousand, lower, upper, color=colour, alpha=0.2, linewidth=0)
        axes.plot(
            1000 * singles["cost"],
            singles["quality"],
            linestyle="none",
            marker="o",
            color=COLOURS[1],
            label="every query to one model",
            zorder=4,
        )
        _names(axes, results["models"], singles)
        axes.set_xlabel("mean cost, US dollars per 1,000 queries (logarithmic)")
        axes.set_ylabel("mean quality, in [0, 1]")
        axes.set_xlim(right=14)
        axes.set_title(
            f"Quality and cost of a router learnt from {rows:,} logged answers, one a query "
            "(synthetic table)",
            loc="left",
        )
        for said in (
            f"bands: 95 % interval of the mean over {seeds} seeds",
            "thin: a random share of queries goes to the cheapest model",
        ):
            axes.plot([], [], color="none", label=said)
        drawn.legend(loc="outside lower left", ncols=2, columnspacing=1.5)


def _names(axes: Any, models: list[str], singles: dict[str, np.ndarray]) -> None:
    """The models' names beside their points, without the part before a slash."""
    for model, cost, quality in zip(models, singles["cost"], singles["quality"], strict=True):
        axes.annotate(
            model.rpartition("/")[2],
            (1000 * cost, quality),
            xytext=OFFSETS.get(model, (4, -2)),
            textcoords="offset points",
            fontsize=6,
            color=REFERENCE,
        )


def main() -> None:
    """Draw the figure, after new runs where they are asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--run", action="store_true", help="fit the routers again")
    if parser.parse_args().run:
        run(Config())
    draw(json.loads(RESULTS.read_text(encoding="utf-8")), PICTURE)


if __name__ == "__main__":
    main()
