"""When correcting a judge's scores helps a router learnt from a log, and when it cannot.

python -m experiments.meta_router.mixed_logs --out results/mixed_logs

Logs are drawn uniformly from the embedded table, so that the truth is known. A judge scores
most rows and favours some models, the more the higher the strength, by an amount that depends
on the query. Routers are fitted on dr estimates from the judge's scores as they are, from the
gold rows alone, and from the corrected log, and evaluated by the true quality of fresh queries.
"""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.meta_router.report import mean_and_error
from routerjax.cli.app import Options, Parsed, add_command, make_app, run
from routerjax.cli.options import option
from routerjax.cli.terminal import exit_code
from routerjax.data.synthetic.table import EmbeddedTable, embedded_table
from routerjax.estimators.components import fit_components
from routerjax.estimators.counterfactual import estimate
from routerjax.estimators.cross_fit import FOLDS, LabelledRows, assign_folds, cross_fit
from routerjax.estimators.ridge import fit_ridge, ridge
from routerjax.pipelines.judge_scores import correct_log
from routerjax.records.tables import Estimates, Log
from routerjax.support import atomic
from routerjax.support.provenance import dumps, provenance

ARMS = (0, 2, 6, 7)  # columns of the embedded table: four models of middling quality
FAVOUR = np.array([0.0, 1.0, 0.5, -0.5])  # of the judge, in units of the strength
COMPONENTS = 20
QUERIES, LOGGED = 6000, 4000
SHARES, STRENGTHS = (0.01, 0.05, 0.2), (0.0, 0.1, 0.3)
ROUTERS = ("judge", "gold", "corrected")
TEXT = """Correcting a judge's scores in a log, on the embedded table."""


@dataclasses.dataclass(frozen=True)
class Mixed:
    """How large the study is, and where its files go.

    Attributes:
      out: The folder for the files.
      seeds: Number of repetitions.
    """

    out: Path = option(Path("results/mixed_logs"), "FOLDER")
    seeds: int = 20


def mixed_log(table: EmbeddedTable, *, share: float, strength: float, seed: int) -> tuple:
    """A uniform log of the first rows, which of its scores are gold, and the judge's bias."""
    rng = np.random.default_rng(seed)
    rows = np.arange(LOGGED)
    arms = rng.integers(len(ARMS), size=LOGGED)
    columns = np.asarray(ARMS)[arms]
    gold = rng.random(LOGGED) < share
    # the judge favours a model twice as much on hard queries as on those of middling difficulty
    kindness = strength * FAVOUR[arms] * (1 + np.tanh(table.difficulty[:LOGGED]))
    quality = table.table.quality[rows, columns] + np.where(gold, 0.0, kindness)
    assert table.table.embeddings is not None
    log = Log.from_arrays(
        arms,
        quality,
        table.table.cost[rows, columns],
        models=[table.table.models[column] for column in ARMS],
        embeddings=table.table.embeddings[:LOGGED],
        propensities=np.full(LOGGED, 1 / len(ARMS)),
        quality_range=(-1.0, 3.0),
    )
    return log, gold


def value(log: Log, table: EmbeddedTable, key: jax.Array) -> float:
    """True quality per fresh query of the router fitted on the log's dr estimates."""
    embeddings = jnp.asarray(log.embeddings)
    everyone = jnp.ones(len(log))
    components = fit_components(embeddings, everyone, components=COMPONENTS)
    x = components(embeddings)
    fold = assign_folds(everyone > 0, key=key, folds=FOLDS)
    rows = LabelledRows(x, jnp.asarray(log.quality), everyone > 0, everyone, fold)
    arms = range(len(log.models))
    predicted = [
        cross_fit(ridge, rows, jnp.asarray(log.arms == arm, jnp.float32), key=key) for arm in arms
    ]
    filled = Estimates(quality=jnp.stack(predicted, axis=1), cost=jnp.zeros((len(log), len(arms))))
    propensities = np.asarray(log.logged_propensities)
    quality = estimate(log, filled, propensities, estimator="dr").quality
    assert table.table.embeddings is not None
    fresh = components(jnp.asarray(table.table.embeddings[LOGGED:]))
    scores = [fit_ridge(x, jnp.asarray(quality[:, arm]), everyone)(fresh) for arm in arms]
    chosen = np.asarray(ARMS)[np.argmax(np.stack(scores), axis=0)]
    return float(table.true_quality[np.arange(LOGGED, QUERIES), chosen].mean())


def one(table: EmbeddedTable, share: float, strength: float, seed: int) -> dict[str, float]:
    """Value of the three routers of one log."""
    log, gold = mixed_log(table, share=share, strength=strength, seed=seed)
    key = jax.random.key(seed)
    corrected = correct_log(log, gold, key=key, propensity=np.full(LOGGED, share)).log
    return {
        "judge": value(log, table, key),
        "gold": value(log.rows(gold), table, key),
        "corrected": value(corrected, table, key),
    }


def markdown(found: list[dict[str, Any]]) -> str:
    """Value by share and strength, and what the correction gains over the other two, paired."""
    head = [
        "gold share",
        "strength",
        "judge as is",
        "gold rows only",
        "corrected",
        "less judge",
        "less gold",
    ]
    lines = [head, ["---"] * len(head)]
    for share, strength in dict.fromkeys((f["share"], f["strength"]) for f in found):
        own = [f for f in found if (f["share"], f["strength"]) == (share, strength)]
        values = {name: np.array([f[name] for f in own]) for name in ROUTERS}
        cells = [f"{share:g}", f"{strength:g}", *(_cell(values[name], "") for name in ROUTERS)]
        cells += [_cell(values["corrected"] - values[name], "+") for name in ("judge", "gold")]
        lines.append(cells)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _cell(values: np.ndarray, sign: str) -> str:
    mean, error = mean_and_error(values)
    return f"{mean:{sign}.4f} ± {error:.4f}"


def main() -> int:
    """Run the study; returns the exit code."""
    app = make_app("python -m experiments.meta_router.mixed_logs", TEXT)
    add_command(app, None, _run, text=TEXT, groups=[Options("Study", Mixed())])
    return exit_code(lambda: run(app, None), prog="experiments.meta_router.mixed_logs")


def _run(parsed: Parsed) -> None:
    options = parsed[Mixed]
    from routerjax.support.compilation import keep_compiled

    keep_compiled()
    found = []
    for seed in range(options.seeds):
        table = embedded_table(seed, queries=QUERIES)
        for share, strength in itertools.product(SHARES, STRENGTHS):
            values = one(table, share, strength, seed)
            found.append({"share": share, "strength": strength, "seed": seed, **values})
    config = {"shares": SHARES, "strengths": STRENGTHS, "seeds": options.seeds}
    first = provenance(config=config, seed=0, data="synthetic")
    atomic.write_text(
        options.out / "results.jsonl", "".join(dumps(r) + "\n" for r in [first, *found])
    )
    atomic.write_text(options.out / "table.md", markdown(found))
    print(markdown(found))


if __name__ == "__main__":
    raise SystemExit(main())
