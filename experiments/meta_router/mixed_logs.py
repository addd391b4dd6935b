"""When correcting judges' scores helps a router learnt from a log of many models, and when not.

python -m experiments.meta_router.mixed_logs --out results/mixed_logs.json

Logs are drawn uniformly from the embedded table, so that the truth is known: nine models, a gold
score on some rows and a judge's on the others. A judge favours some models, by an amount that
depends on the query. Routers are fitted by `routerjax.fit` on the scores as they are, on the gold
rows alone, and with the judge's scores corrected (`gold=`), and evaluated by the true utility of
fresh queries. The last settings have two judges, of whom each favours other models.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from experiments.meta_router.report import mean_and_error
from routerjax.cli.app import Options, Parsed, add_command, make_app, run
from routerjax.cli.options import option
from routerjax.cli.terminal import exit_code
from routerjax.reports.tables import markdown
from routerjax.training.config import FitConfig

if TYPE_CHECKING:
    from routerjax.data.synthetic.table import EmbeddedTable
    from routerjax.records.logs import Log

ARMS = (0, 1, 2, 3, 4, 5, 6, 7, 8)
"""Columns of the embedded table that make up the log's models."""
FAVOUR = np.array([0.5, 0.0, 1.0, -1.0, 0.0, 0.5, -0.5, 1.0, -0.5])
"""What the first judge adds to a model's score, in units of the strength; the second adds what
the first adds to the model before."""
QUERIES, LOGGED, DIMENSIONS = 4000, 2000, 64
COST_WEIGHTS = (0.0, 100.0)
GOLD = "human"
ROUTERS = ("all gold", "judge", "gold", "corrected", "as one judge")


class Setting(NamedTuple):
    """What the study varies.

    Attributes:
      share: of rows with a gold score.
      strength: of the judges' favour; 0 makes them right.
      judges: number of them.
    """

    share: float
    strength: float
    judges: int


SETTINGS = tuple(
    Setting(share, strength, judges)
    for strength, judges in ((0.0, 1), (0.3, 1), (0.3, 2))
    for share in (0.05, 0.2)
)
TEXT = """Correcting judges' scores in a log of many models, on the embedded table."""
Record = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Mixed:
    """How large the study is, and where its file goes.

    Attributes:
      out: The file of the results.
      seeds: Number of repetitions, each with queries of its own.
    """

    out: Path = option(Path("results/mixed_logs.json"), "FILE")
    seeds: int = 10


def mixed_log(table: EmbeddedTable, setting: Setting, *, seed: int) -> tuple[Log, Log]:
    """A uniform log of the first rows as the judges scored it, and the same with gold scores."""
    from routerjax.records.logs import Log

    rng = np.random.default_rng(seed)
    rows = np.arange(LOGGED)
    arms = rng.integers(len(ARMS), size=LOGGED)
    columns = np.asarray(ARMS)[arms]
    gold = rng.permutation(LOGGED) < round(setting.share * LOGGED)
    judge = rng.permutation(LOGGED) % setting.judges
    favour = np.stack([FAVOUR, np.roll(FAVOUR, 1)])[judge, arms]
    # a model is favoured twice as much on hard queries as on those of middling difficulty
    kindness = setting.strength * favour * (1 + np.tanh(table.difficulty[:LOGGED]))
    right = table.table.quality[rows, columns]
    assert table.table.embeddings is not None
    log = Log.from_arrays(
        arms,
        right + np.where(gold, 0.0, kindness),
        table.table.cost[rows, columns],
        models=[table.table.models[column] for column in ARMS],
        embeddings=table.table.embeddings[:LOGGED],
        scored_by=[
            GOLD if own else f"judge {which}" for own, which in zip(gold, judge, strict=True)
        ],
        quality_range=(-1.0, 2.0),
    )
    return log, log.replace(quality=right.astype(np.float32))


def value(log: Log, table: EmbeddedTable, *, gold: str | None = None) -> float:
    """True utility per fresh query, mean over cost weights, of the router fitted on a log."""
    from routerjax.pipelines.fit_log import fit

    config = FitConfig(cost_weights=COST_WEIGHTS, evaluation=0.0)
    router = fit(log, gold=gold, config=config)
    assert table.table.embeddings is not None
    fresh = np.arange(LOGGED, QUERIES)
    chosen = router.choices(table.table.embeddings[fresh], cost_weights=COST_WEIGHTS)
    columns = np.asarray(ARMS)[np.asarray(chosen)]
    found = [
        table.true_quality[fresh, own] - weight * table.true_cost[fresh, own]
        for own, weight in zip(columns, COST_WEIGHTS, strict=True)
    ]
    return round(float(np.mean(found)), 5)


def measured(seed: int) -> list[Record]:
    """Values of the routers of every setting on the queries of one seed."""
    from routerjax.data.synthetic.table import embedded_table

    table = embedded_table(seed, queries=QUERIES, dimensions=DIMENSIONS)
    found: list[Record] = []
    known: dict[float, float] = {}  # the gold rows alone know of no judge
    for setting in SETTINGS:
        log, right = mixed_log(table, setting, seed=seed)
        gold = np.array(log.scored_by) == GOLD
        if setting.share not in known:
            known[setting.share] = value(log.rows(gold), table)
        own = {
            "all gold": found[0]["all gold"] if found else value(right, table),
            "judge": value(log, table),
            "gold": known[setting.share],
            "corrected": value(log, table, gold=GOLD),
        }
        if setting.judges > 1:
            one = tuple(np.where(gold, GOLD, "judge").tolist())
            own["as one judge"] = value(log.replace(scored_by=one), table, gold=GOLD)
        found.append({"seed": seed, **setting._asdict(), **own})
    return found


def table(results: Record) -> str:
    """Markdown: values by setting, and what the correction gains over the others, paired."""
    draws = results["draws"]
    others = ("judge", "gold", "as one judge")
    head = ["judges", "strength", "gold share", "seeds", *ROUTERS[:4]]
    lines = []
    for setting in dict.fromkeys(Setting(*(d[n] for n in Setting._fields)) for d in draws):
        own = [d for d in draws if all(d[n] == each for n, each in setting._asdict().items())]
        values = {name: np.array([d[name] for d in own]) for name in ROUTERS if name in own[0]}
        cells = [_cell(values[name], "") for name in ROUTERS[:4]]
        cells += [
            _cell(values["corrected"] - values[name], "+") if name in values else ""
            for name in others
        ]
        about = (str(setting.judges), f"{setting.strength:g}", f"{setting.share:g}", str(len(own)))
        lines.append([*about, *cells])
    return markdown([*head, *(f"less {name}" for name in others)], lines)


def _cell(values: np.ndarray, sign: str) -> str:
    """Mean ± standard error; of one seed the value alone."""
    if len(values) < 2:
        return f"{values[0]:{sign}.4f}"
    mean, error = mean_and_error(values)
    return f"{mean:{sign}.4f} ± {error:.4f}"


def main() -> int:
    """Run the study; returns the exit code."""
    app = make_app("python -m experiments.meta_router.mixed_logs", TEXT)
    add_command(app, None, _run, text=TEXT, groups=[Options("Study", Mixed())])
    return exit_code(lambda: run(app, None), prog="experiments.meta_router.mixed_logs")


def _run(parsed: Parsed) -> None:
    options = parsed[Mixed]
    from routerjax.support.atomic import check_place, write_text
    from routerjax.support.compilation import keep_compiled
    from routerjax.support.provenance import dumps, provenance

    check_place(options.out)
    keep_compiled()
    config = {
        "arms": ARMS,
        "favour": FAVOUR.tolist(),
        "rows": LOGGED,
        "dimensions": DIMENSIONS,
        "cost_weights": COST_WEIGHTS,
        "seeds": options.seeds,
    }
    head = provenance(config=config, seed=0, data="synthetic, drawn by the study")
    results: Record = {"provenance": head, "draws": []}
    for seed in range(options.seeds):
        results["draws"] += measured(seed)
        write_text(options.out, dumps(results) + "\n")  # what is measured survives an interruption
    print(table(results))


if __name__ == "__main__":
    raise SystemExit(main())
