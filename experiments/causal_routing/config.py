"""Presets of the Causal LLM Routing study: each is the record of a run."""

from __future__ import annotations

import dataclasses

from routerjax.cli.options import option
from routerjax.cli.parse import priced
from routerjax.errors import InputError
from routerjax.estimators.counterfactual import resolve_estimator
from routerjax.estimators.defaults import FLOOR
from routerjax.training.config import FitConfig, NuisanceConfig, RouterConfig, Schedule
from routerjax.training.routing import check_config

LOGGING = ("uniform", "quality", "cheap", "epsilon", "confounded")
ABLATIONS = ("conditioned", "affine")


@dataclasses.dataclass(frozen=True)
class StudyConfig:
    """Causal LLM Routing (arXiv 2505.16037), methods × cost weights on logs of one arm a row.

    What the paper leaves open and is our choice: the logging policies
    (`routerjax.data.synthetic.logging_policies`), the cost weights, the form of the joint
    router, the networks and their optimiser, the selection of the epoch (and of the learning rate,
    where there are several) by doubly robust utility on held-out rows of the log, and the
    clipping floor. No run chooses anything on test rows.

    Attributes:
      dataset: A public table by name, as routerbench or sprout; "routerjax data list" has all.
      data: The file of that data set, where it is not in the cache.
      prices: A file of dollars per million tokens: of the models of sprout, or of a table without
        costs, which are then (prompt characters / 4 + 300) tokens at the model's input price.
      table: A file or hub id of another table. If no table is named, the synthetic embedded table
        is used.
      quality_range: The lowest and highest quality of that table, as LO:HI.
      embeddings: A .npy file of the table's embeddings, in the order of its rows.
      derive_cost: The cost of a model is its column PREFIX:MODEL times so many dollars, as
        PREFIX=DOLLARS.
      queries: Queries of the embedded table.
      dimensions: Width of the embedded table's embeddings.
      rows: Rows logged per seed, one study each. If none are given, all rows that are not test
        rows are logged.
      test_share: Share of the table kept for testing, drawn anew for every seed. If it is not
        given, the table's own test split serves every seed, or a share of 0.3 where it has none.
      seeds: Number of repetitions of split, log, folds and starting values.
      cost_weights: The cost weights λ that routers are fitted at.
      between: Cost weights inside every bracket at which methods are evaluated and not fitted.
      logging: The logging policies, one study each: uniform, quality, cheap, epsilon, confounded.
      strength: How sharp the softmax logging policies are, one study each.
      record_propensities: The methods know the log's propensities.
      methods: Beginnings of the names of the methods to run, as in rm-interval,knn. If none are
        given, all run.
      surrogates: The losses; every pair of a surrogate and an estimator is a method.
      estimators: The counterfactual estimates that routers are trained on.
      floor: Propensities below this are taken as this.
      validation: Share of the log held out of each member to choose its epoch. Where a whole table
        is logged that has a validation split, its rows are held out of every member.
      encoder: The text encoder of a table's prompts.
      router: How routers are trained; the architecture is each method's own.
      nuisance: How outcome and propensity models are fitted.
      published_nuisances: The paper's nuisances in the place of ours: a ridge regression a model
        and boosted-tree propensities (extra baselines), on as many folds as `published_folds`.
      published_folds: Folds of the paper's nuisances; 1 predicts every row by models that saw it.
      first_seed: The first seed; the others follow it.
    """

    dataset: str | None = None
    data: str | None = None
    prices: str | None = None
    table: str | None = None
    quality_range: str | None = option(None, "LO:HI")
    embeddings: str | None = option(None, "FILE.npy")
    derive_cost: tuple[str, float] | None = option(None, "PREFIX=DOLLARS", priced)
    queries: int = 12_000
    dimensions: int = 256
    rows: tuple[int | None, ...] = (None,)
    test_share: float | None = None
    seeds: int = 10
    cost_weights: tuple[float, ...] = (0, 10, 20, 50, 100, 200, 500, 1000)
    between: int = 1
    logging: tuple[str, ...] = ("quality",)
    strength: tuple[float, ...] = (2.0,)
    record_propensities: bool = False
    methods: tuple[str, ...] = ()
    surrogates: tuple[str, ...] = ("classification_bound", "softmax_regret")
    estimators: tuple[str, ...] = ("direct", "ips", "dr")
    floor: float = FLOOR
    validation: float = 0.2
    encoder: str = "wordllama"
    router: RouterConfig = RouterConfig(architecture="interval")
    nuisance: NuisanceConfig = NuisanceConfig(outcomes="network")
    published_nuisances: bool = False
    published_folds: int = 1
    first_seed: int = 0

    @property
    def every_seed(self) -> range:
        """The seeds of the repetitions."""
        return range(self.first_seed, self.first_seed + self.seeds)

    @property
    def fit(self) -> FitConfig:
        """How the rows of a seed are prepared and its routers fitted."""
        return FitConfig(
            floor=self.floor,
            validation=self.validation,
            router=self.router,
            nuisance=self.nuisance,
        )


@dataclasses.dataclass(frozen=True)
class Smoke(StudyConfig):
    """Every method on a small embedded table, for CI: under a minute. Its numbers mean nothing."""

    queries: int = 1_200
    dimensions: int = 32
    seeds: int = 2
    cost_weights: tuple[float, ...] = (0, 50, 500)
    estimators: tuple[str, ...] = ("dr",)
    router: RouterConfig = RouterConfig(
        architecture="interval",
        members=2,
        widths=(16,),
        schedule=Schedule(max_epochs=10, patience=5, chunk=5),
    )
    nuisance: NuisanceConfig = NuisanceConfig(
        outcomes="network",
        folds=2,
        widths=(16,),
        schedule=Schedule(max_epochs=20, patience=5, chunk=5),
    )


@dataclasses.dataclass(frozen=True)
class Quick(StudyConfig):
    """Every method on the embedded table, four seeds: some two minutes of one core.

    Outcome models are in closed form and routers have two members, so that a first look is short.
    """

    queries: int = 5_000
    seeds: int = 4
    router: RouterConfig = RouterConfig(architecture="interval", members=2)
    nuisance: NuisanceConfig = NuisanceConfig()


PLAIN = RouterConfig(
    architecture="interval",
    members=1,
    separate_trunks=True,
    start="random",
    schedule=Schedule(batch_size=256, max_epochs=100, patience=10, chunk=5, caution=0.0),
    joint_caution=0.0,
)
"""Plain networks, one a cost weight, from random starting values; the best held-out epoch counts.

What the paper says of its networks is that they are small and trained end to end; widths, rates
and the choice of the epoch are ours.
"""


PUBLISHED = (
    *("random", "cheapest", "logging-policy", "greedy", "ips-greedy", "best-single"),
    *("regression-plug-in", "knn-plug-in", "rm-classification", "rm-softmax"),
    *("rm-interval", "rm-interpolated"),
)
"""The paper's methods and what they are compared with, without our other architectures."""


@dataclasses.dataclass(frozen=True)
class Paper(StudyConfig):
    """The method of Causal LLM Routing (arXiv 2505.16037) as far as it is known, not our own.

    An outcome model for each LLM, boosted-tree propensities, doubly robust utilities; plain
    networks for each cost weight from random starting values, trained on classification or on
    softmax regret; RM-Interval in its second stage; 80 % to train, 20 % to test. RouterBench (11
    models) and SPROUT (13), BERT-base-uncased and Llama-3.2-1B embeddings:
    ``--preset paper --dataset routerbench --encoder bert-base-uncased`` is one cell of the paper's
    comparison. Its tables and their values are not known to us, nor are its grid, its logging
    policy and its number of runs.
    """

    dataset: str | None = "routerbench"
    encoder: str = "bert-base-uncased"
    test_share: float | None = 0.2
    logging: tuple[str, ...] = ("uniform", "quality")
    methods: tuple[str, ...] = PUBLISHED
    estimators: tuple[str, ...] = ("dr",)
    router: RouterConfig = PLAIN
    nuisance: NuisanceConfig = NuisanceConfig()
    published_nuisances: bool = True


@dataclasses.dataclass(frozen=True)
class RouterJax(StudyConfig):
    """Our defaults on the same comparison: plug-in start, caution, members, pooled outcomes."""

    dataset: str | None = "routerbench"
    encoder: str = "minilm"
    test_share: float | None = 0.2
    logging: tuple[str, ...] = ("uniform", "quality")
    methods: tuple[str, ...] = PUBLISHED
    estimators: tuple[str, ...] = ("dr",)
    nuisance: NuisanceConfig = NuisanceConfig()


@dataclasses.dataclass(frozen=True)
class Orbit(StudyConfig):
    """ORBIT's protocol (arXiv 2609.37402, table 1): full feedback, so that numbers are comparable.

    30 cost weights evenly from 0 to 1,000, at most 300 epochs, 20 % of the rows to train on and
    the others to test on, MiniLM embeddings, seed 42 and nine more. Published are a single run on
    all 36,497 rows of RouterBench; its points are picked on test rows, as here in the columns
    peak score and QNC (its cost ratio).
    """

    dataset: str | None = "routerbench"
    encoder: str = "minilm"
    test_share: float | None = 0.8
    first_seed: int = 42
    cost_weights: tuple[float, ...] = tuple(1000 * place / 29 for place in range(30))
    between: int = 0
    logging: tuple[str, ...] = ("uniform",)
    methods: tuple[str, ...] = ("rm-softmax-full", "knn-plug-in-full", "regression-plug-in-full")
    estimators: tuple[str, ...] = ()
    router: RouterConfig = dataclasses.replace(
        PLAIN,
        schedule=Schedule(batch_size=256, max_epochs=300, patience=300, chunk=50, caution=0.0),
    )
    nuisance: NuisanceConfig = NuisanceConfig()


PRESETS = {
    "smoke": Smoke(),
    "quick": Quick(),
    "paper": Paper(),
    "routerjax": RouterJax(),
    "orbit": Orbit(),
}


STAND_INS = {"bert-base-uncased": ("minilm", "wordllama"), "minilm": ("wordllama",)}
"""By a preset's own encoder: those that stand in, in this order, where it cannot be loaded. An
encoder that is asked for by name has none."""


def check(config: StudyConfig) -> StudyConfig:
    """The configuration, if it can be run.

    Raises:
      InputError: an unknown estimator, surrogate, architecture or start, a share outside
        (0, 1), or no seeds.
    """

    def need(holds: bool, problem: str) -> None:
        if not holds:
            raise InputError(problem)

    for surrogate in config.surrogates:
        check_config(dataclasses.replace(config.router, surrogate=surrogate))
    for estimator in config.estimators:
        resolve_estimator(estimator)
    for policy in config.logging:
        need(policy in LOGGING, f"no logging policy {policy!r}; known are {', '.join(LOGGING)}")
    need(
        config.published_folds >= 1,
        f"published_folds is {config.published_folds}; it must be at least 1",
    )
    need(config.first_seed >= 0, f"first_seed is {config.first_seed}; it must be 0 or more")
    need(config.seeds >= 1, f"seeds is {config.seeds}; it must be at least 1")
    need(config.between >= 0, f"between is {config.between}; it must be 0 or more")
    share = 0.3 if config.test_share is None else config.test_share
    need(0 < share < 1, f"test share is {share:g}; it must lie between 0 and 1")
    cost_weights = config.cost_weights
    need(
        bool(cost_weights) and min(cost_weights) >= 0,
        "cost weights must be numbers of 0 or more, as in 0,10,100",
    )
    need(
        bool(config.rows) and all(rows is None or rows >= 50 for rows in config.rows),
        "rows must be numbers of 50 or more, as in 500,1000,2000",
    )
    need(
        bool(config.strength) and all(each >= 0 for each in config.strength),
        "strength must be numbers of 0 or more, as in 0,1,2,4",
    )
    need(not (config.dataset and config.table), "give --dataset or --table, not both")
    need(bool(config.dataset) or not config.data, "--data has no effect without --dataset")
    need(
        bool(config.dataset or config.table) or not config.prices,
        "--prices has no effect without --dataset or --table",
    )
    need(
        not (config.prices and config.derive_cost),
        "costs are derived by --prices or by --derive-cost, not by both",
    )
    need(
        bool(config.table) or not (config.embeddings or config.derive_cost or config.quality_range),
        "--embeddings, --derive-cost and --quality-range have no effect without --table",
    )
    return dataclasses.replace(config, cost_weights=tuple(sorted(set(cost_weights))))
