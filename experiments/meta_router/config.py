"""What a run of the Meta-Router experiment is made of; presets are its record.

Paper: Zhang, Xie, Yang, Wu, *Meta-Router* (arXiv 2509.25535, ICLR 2026), Figure 1(a).
Command: python -m experiments.meta_router --preset paper --labels 1_PC50_varstd.csv
Expected: areas and peaks of published_figure.json, read off the published figure.
"""

from __future__ import annotations

import dataclasses

from routerjax.cli.options import option
from routerjax.cli.parse import number_or_chosen
from routerjax.data.synthetic.gains import ASSIGNMENTS, BIASES
from routerjax.errors import InputError
from routerjax.estimators.label_scale import check_scale
from routerjax.pipelines.regressions import learner_named, regression_named

PUBLISHED_GOLD = 100
"""Gold rows of the published Figure 1(a)."""

EMBEDDED_ROWS = 4500
SHARE_OF_TEST = 0.3  # of a file too small for the test rows asked for


@dataclasses.dataclass(frozen=True)
class MetaRouterConfig:
    """A study: every combination of preference labels or biases and of gold rows.

    Attributes:
      labels: A file with a gold and one or more preference columns. If none is named, labels are
        synthetic.
      gold: The column of the gold gain.
      preference: The columns of preference gains, one study each.
      group: A column that is equal where a query repeats. If it is not given, the prompt is.
      embeddings: A .npy file of features, a row for every row of the file.
      encoder: The text encoder of the prompts.
      components: Principal components, fitted on each run's training rows; 0 keeps the columns.
      rows: Synthetic rows; of a file, rows drawn anew for each run, 0 for all of them.
      bias: The synthetic bias: none, constant, smooth, rough or flips, one study each.
      strength: How strong the synthetic bias is.
      assignment: How gold rows are drawn: random or dependent, one study each.
      gold_rows: Numbers of gold rows, one study each.
      test_rows: Test rows a run; a file with less than twice as many is tested on 30 %.
      runs: Repetitions, each with its own roles (and, synthetic, its own data).
      nuisance: The regression of nuisances, bias and gain: ridge, kernel-ridge, heads, forest or
        boosted.
      learners: The learners of the bias, one method each: r, dr, t-head, s-head, r-head, dr-head.
      folds: Number of cross-fitting folds.
      omega: The weight ω of a preference row, or "chosen" on held-out gold; ω = 1, the paper's,
        stands beside either.
      scale: How preference labels are brought to the scale of gold ones, on training rows:
        variance, amplitude, wasserstein or none. Rows without it stand beside.
      as_published: What the authors' script does is run, too.
      block: Runs a call of the compiled program. Finished blocks survive a crash.
      seed: Seed of every key.
    """

    labels: str | None = None
    gold: str = "GL"
    preference: tuple[str, ...] = ("PL",)
    group: str | None = None
    embeddings: str | None = None
    encoder: str = "wordllama"
    components: int = 50
    rows: int = 0
    bias: tuple[str, ...] = ("flips",)
    strength: float = 1.0
    assignment: tuple[str, ...] = ("random",)
    gold_rows: tuple[int, ...] = (100,)
    test_rows: int = 500
    runs: int = 200
    nuisance: str = "ridge"
    learners: tuple[str, ...] = ("r", "dr")
    folds: int = 5
    omega: float | None = option(None, "X|chosen", number_or_chosen)
    scale: str = "variance"
    as_published: bool = False
    block: int = 20
    seed: int = 0


PAPER = MetaRouterConfig(gold_rows=(100, 500, 1000), nuisance="forest", as_published=True)
PRESETS = {
    "smoke": MetaRouterConfig(rows=500, gold_rows=(60,), test_rows=150, runs=6, block=3, folds=3),
    "quick": MetaRouterConfig(bias=("flips", "constant"), runs=40),
    "paper": PAPER,
    "prbench": dataclasses.replace(PAPER, gold_rows=(50, 100, 150)),
    "paper-boosted": dataclasses.replace(PAPER, nuisance="boosted", as_published=False),
    "paper-100": dataclasses.replace(PAPER, components=100, as_published=False),
}
"""The paper's HealthBench and PRBench, and two of its ablations of HealthBench: XGBoost (boosted
trees of scikit-learn here) and 100 components, for which --labels needs embeddings. Of PRBench's
676 tasks 30 % are test rows: how many the paper takes of so few is not known to us."""


def check(config: MetaRouterConfig) -> MetaRouterConfig:
    """The configuration, or an InputError that names what does not fit."""

    def need(holds: bool, problem: str) -> None:
        if not holds:
            raise InputError(problem)

    for name in config.bias:
        need(name in BIASES, f"no bias '{name}'; known are {', '.join(BIASES)}")
    for name in config.assignment:
        need(name in ASSIGNMENTS, f"no assignment '{name}'; known are {', '.join(ASSIGNMENTS)}")
    regression_named(config.nuisance)
    check_scale(config.scale)
    for learner in config.learners:
        learner_named(learner)
    need(bool(config.learners), "learners must name at least one")
    need(len(set(config.learners)) == len(config.learners), "learners name one twice")
    need(config.runs >= 2, "runs must be 2 or more, for a standard error")
    need(config.block >= 1, "block must be 1 or more")
    need(config.folds >= 2, "folds must be 2 or more")
    need(config.test_rows >= 5, "test_rows must be 5 or more")
    need(config.components >= 0, "components must be 1 or more, or 0 to keep the columns")
    need(config.omega is None or config.omega >= 0, "omega must be 0 or more")
    need(bool(config.gold_rows), "gold_rows must name at least one number")
    fewest = 2 * config.folds
    for rows in config.gold_rows:
        need(rows >= fewest, f"gold_rows is {rows}; {config.folds} folds need at least {fewest}")
    need(config.rows >= 0, "rows must be 1 or more, or 0 for all")
    need(config.seed >= 0, "seed must be 0 or more")
    return config
