"""How far the R-learner's out-of-fold bias errs, beside the recipe of EconML's NonParamDML.

python -m experiments.meta_router.bias_error --draws 20

1,500 synthetic queries, a tenth of them gold at random; the bias τ̂ of every row by our R-learner,
which never saw the row, from one deal of the folds or as the mean over several, and by the recipe
of NonParamDML written anew with scikit-learn: residuals of a cross-fitted outcome model, then one
weighted regression on all rows, which predicts the rows that it was fitted on. Both take ridge
regressions that choose their strength by leaving one row out, and both are told the propensity.
EconML itself was not at hand.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from experiments.meta_router.report import mean_and_error
from routerjax.cli.app import Options, Parsed, add_command, make_app, run
from routerjax.cli.options import option
from routerjax.cli.terminal import exit_code
from routerjax.reports.tables import markdown

ROWS, SHARE, FOLDS, DIMENSIONS = 1_500, 0.1, 5, 20
REPEATS = (1, 3, 10)
BIASES = ("smooth", "flips")
RECIPE = "NonParamDML's recipe"
TEXT = """Error of the R-learner's bias beside the recipe of EconML's NonParamDML."""

Record = dict[str, Any]


def recipe(x: np.ndarray, label: np.ndarray, gold: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """τ̂ [n] of the rows themselves: Σ (s − e)² ((Y − m̂)/(s − e) − τ(x))², m̂ out of fold."""
    from sklearn.linear_model import RidgeCV

    strengths = len(x) * np.logspace(-4, 2, 13)
    outcome = np.zeros(len(x))
    for each in range(FOLDS):
        out = fold != each
        outcome[~out] = RidgeCV(strengths).fit(x[out], label[out]).predict(x[~out])
    surprise = gold - gold.mean()
    last = RidgeCV(strengths)
    last.fit(x, (label - outcome) / surprise, sample_weight=surprise**2)
    return np.asarray(last.predict(x))


def measured(seed: int, bias: str) -> list[Record]:
    """Root mean squared error of τ̂ by every way, of one draw."""
    import jax
    import jax.numpy as jnp

    from routerjax.data.synthetic.gains import synthetic_gains
    from routerjax.estimators.bias import learn_bias, r_learner
    from routerjax.estimators.cross_fit import LabelledRows, assign_folds, own_fold
    from routerjax.estimators.ridge import ridge

    keys = jax.random.split(jax.random.key(seed), 3)
    data = synthetic_gains(keys[0], rows=ROWS, bias=bias, dimensions=DIMENSIONS)
    gold = jnp.zeros(ROWS, bool).at[: round(SHARE * ROWS)].set(True)
    label = jnp.where(gold, data.gold_label, data.preference_label)
    x, ones = data.embeddings, jnp.ones(ROWS)
    folds = [assign_folds(gold, key=jax.random.fold_in(keys[1], r)) for r in range(max(REPEATS))]
    each = []
    for number, fold in enumerate(folds):
        rows = LabelledRows(x, label, gold, jnp.full(ROWS, SHARE), fold)
        key = jax.random.fold_in(keys[2], number)
        found = learn_bias(rows, ones, learner=r_learner, regress=ridge, key=key, folds=FOLDS)
        each.append(np.asarray(own_fold(found, fold)))
    said = {f"{r} deals of the folds" if r > 1 else "1 deal": np.mean(each[:r], 0) for r in REPEATS}
    values, labels, sources = (np.asarray(part, np.float64) for part in (x, label, gold))
    said[RECIPE] = recipe(values, labels, sources, np.asarray(folds[0]))
    true = np.asarray(data.tau)
    return [
        {
            "bias": bias,
            "seed": seed,
            "way": way,
            "error": round(float(np.sqrt(np.mean((tau - true) ** 2))), 5),
        }
        for way, tau in said.items()
    ]


def table(results: Record) -> str:
    """Markdown: root mean squared error, and its ratio to the recipe's, ± standard error."""
    draws, lines = results["draws"], []
    for bias, way in dict.fromkeys((r["bias"], r["way"]) for r in draws):
        error, base = (
            np.array([r["error"] for r in draws if (r["bias"], r["way"]) == (bias, name)])
            for name in (way, RECIPE)
        )
        mean, reach = mean_and_error(error)
        ratio, off = mean_and_error(error / base)
        cells = [f"{mean:.4f} ± {reach:.4f}", "" if way == RECIPE else f"{ratio:.3f} ± {off:.3f}"]
        lines.append([bias, way, str(len(error)), *cells])
    return markdown(["bias", "way", "draws", "error of τ̂", "over the recipe's"], lines)


@dataclasses.dataclass(frozen=True)
class BiasError:
    """How large the study is, and where its file goes.

    Attributes:
      out: The file of the results.
      draws: Number of draws of each bias.
    """

    out: Path = option(Path("results/bias_error.json"), "FILE")
    draws: int = 20


def main() -> int:
    """Run the study; returns the exit code."""
    app = make_app("python -m experiments.meta_router.bias_error", TEXT)
    add_command(app, None, _run, text=TEXT, groups=[Options("Study", BiasError())])
    return exit_code(lambda: run(app, None), prog="experiments.meta_router.bias_error")


def _run(parsed: Parsed) -> None:
    options = parsed[BiasError]
    from routerjax.support.atomic import write_text
    from routerjax.support.provenance import dumps, provenance

    draws = [
        record
        for bias in BIASES
        for seed in range(options.draws)
        for record in measured(seed, bias)
    ]
    config = {"rows": ROWS, "share": SHARE, "folds": FOLDS, "dimensions": DIMENSIONS}
    head = provenance(config=config, seed=0, data="synthetic")
    results = {"provenance": head, "draws": draws}
    write_text(options.out, dumps(results) + "\n")
    print(table(results))


if __name__ == "__main__":
    raise SystemExit(main())
