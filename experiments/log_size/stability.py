"""How much seed and order of models move a router, beside how much another log moves it.

`python -m experiments.log_size.stability --tables FILE,...` writes `stability.json` beside this
file and the README's table of it.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.log_size.config import SizeConfig
from experiments.log_size.data import Draw, Source, cost_weights_of, draw, sources
from experiments.log_size.methods import values
from experiments.ope_coverage.report import filled
from routerjax.cli.terminal import exit_code
from routerjax.pipelines.fit_log import fit
from routerjax.records.logs import Log
from routerjax.reports.tables import markdown
from routerjax.support.atomic import write_text
from routerjax.support.provenance import dumps, plain, provenance
from routerjax.training.config import FitConfig

HERE = Path(__file__).parent
RESULTS, README, MARK = HERE / "stability.json", HERE / "README.md", "stability"
ROWS, VARIANTS, LOGGING = 2_500, 5, ("uniform", "biased")

Record = dict[str, Any]


def measure(
    source: Source, logging: str, config: SizeConfig, *, rows: int, variants: int
) -> Record:
    """Mean utilities [v] of routers that differ by the fit's seed, the models' order, or the log.

    The first of each is the same router: the first log, seed 0, the models as they stand.
    """
    weights = cost_weights_of(source.table, config)
    draws = [
        draw(source.table, logging=logging, rows=rows, seed=seed, recorded=False)
        for seed in range(variants)
    ]
    first, models = draws[0], len(source.table.models)
    orders = [np.random.default_rng(each).permutation(models) for each in range(1, variants)]
    same = utility(first, first.log, weights, seed=0)
    own = {
        "seed": [utility(first, first.log, weights, seed=seed) for seed in range(1, variants)],
        "order": [utility(first, reordered(first.log, each), weights, seed=0) for each in orders],
        "log": [utility(each, each.log, weights, seed=0) for each in draws[1:]],
    }
    utilities = {name: [same, *others] for name, others in own.items()}
    return {"table": source.name, "logging": logging, "rows": rows, "utilities": utilities}


def utility(made: Draw, log: Log, cost_weights: tuple[float, ...], *, seed: int) -> float:
    """Mean over cost weights of the mean utility on the draw's test rows of a router by `fit`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        config = FitConfig(cost_weights=cost_weights, seed=seed, evaluation=0.0)
        router = fit(log, config=config, drop_unlogged=True)
    place = np.array([made.test.models.index(model) for model in router.models])
    chosen = router.choices(np.asarray(made.test.features), cost_weights=cost_weights)
    return float(np.mean(values(place[chosen], made.test, cost_weights)))


def reordered(log: Log, order: np.ndarray) -> Log:
    """The log with its models in another order."""
    place = np.argsort(order).astype(np.int32)
    models = tuple(log.models[arm] for arm in order)
    return dataclasses.replace(log, models=models, arms=place[np.asarray(log.arms)])


def spreads(record: Record) -> dict[str, float]:
    """Standard deviation of utility over seeds, orders of the models, and logs."""
    return {name: float(np.std(own, ddof=1)) for name, own in record["utilities"].items()}


def said(records: Sequence[Record]) -> str:
    """Markdown: what the table says, every number of it read off the records."""
    found = [spreads(each) for each in records]
    most = max(each["seed"] / each["log"] for each in found)
    order = max(each["order"] for each in found)
    return (
        "Another seed, which draws other folds for the propensities, moves a router by "
        f"{most:.0%} at most of what another log moves it; another order of the models by "
        f"{order:.4f} at most."
    )


def table(records: Sequence[Record]) -> str:
    """Markdown: standard deviations of utility over seeds, orders and logs."""
    head = ["table", "logging", "rows", "over seeds", "over orders of the models", "over logs"]
    lines = []
    for each in records:
        found = spreads(each)
        cells = [f"{found[name]:.4f}" for name in ("seed", "order", "log")]
        lines.append([each["table"], each["logging"], f"{each['rows']:,}", *cells])
    return markdown(head, lines)


def readme_part() -> str:
    """Markdown: what stands between the README's markers, from the committed file."""
    records = json.loads(RESULTS.read_text(encoding="utf-8"))["records"]
    return f"{said(records)}\n\n{table(records)}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write the results and the README's part; returns the exit code."""
    return exit_code(lambda: _run(arguments), prog="experiments.log_size.stability")


def _run(arguments: Sequence[str] | None) -> None:
    parser = argparse.ArgumentParser(prog="python -m experiments.log_size.stability")
    parser.add_argument("--tables", default="", help="wide tables, FILE,...")
    parser.add_argument("--prices", type=Path, help="prices, for tables without costs")
    asked = parser.parse_args(arguments)
    tables = tuple(filter(None, asked.tables.split(",")))
    config = SizeConfig(queries=20_000)
    records = []
    for source in sources(config, tables, prices=asked.prices):
        for logging in LOGGING:
            print(f"{source.name}, {logging}", file=sys.stderr)
            records.append(measure(source, logging, config, rows=ROWS, variants=VARIANTS))
    named = "embedded" + "".join(f"; {Path(each).stem}" for each in tables)
    head = provenance(config=config, seed=0, data=named)
    write_text(RESULTS, dumps({"provenance": head, "records": plain(records)}) + "\n")
    write_text(README, filled(README.read_text(encoding="utf-8"), readme_part(), mark=MARK))


if __name__ == "__main__":
    sys.exit(main())
