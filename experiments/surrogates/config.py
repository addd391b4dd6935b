"""Presets of the comparison of surrogates: each is the record of a run."""

from __future__ import annotations

import dataclasses

from routerjax.cli.parse import parse_range
from routerjax.data.synthetic.simulation import POLICIES
from routerjax.errors import InputError
from routerjax.estimators.counterfactual import resolve_estimator
from routerjax.estimators.defaults import FLOOR
from routerjax.losses.arguments import OF_A_LOG, form_of
from routerjax.losses.by_name import chosen, joined_names
from routerjax.losses.known import SURROGATES
from routerjax.training.config import FitConfig, NuisanceConfig, RouterConfig, Schedule
from routerjax.training.routing import STARTS, check_config

FULL = "full-feedback"
BASE = "softmax_regret"
FEWEST_QUERIES = 200
LEARNING_RATES = (3e-4, 1e-3, 3e-3)


@dataclasses.dataclass(frozen=True)
class SurrogatesConfig:
    """Every surrogate under one protocol, on the embedded synthetic table or rows of one's own.

    Same rows, splits, folds, starting values and shuffles for all of a seed; the same head and
    optimiser. Surrogates differ in the scale of their gradients, so that each may choose among
    the learning rates, seed by seed, as it chooses its epoch: by the utility of held-out rows.
    All of this is our choice; no paper compares these losses on routing.

    Attributes:
      table: A file or hub id of a complete table, in place of the embedded one.
      log: A file or hub id of a log. Routers are then evaluated by dr estimates of its test rows.
      quality_range: The lowest and highest quality of that file, as LO:HI.
      embeddings: A .npy file of its embeddings, in the order of its rows.
      encoder: The text encoder of its prompts.
      queries: Queries of the embedded table, for each seed others.
      dimensions: Width of its embeddings.
      rows: Training rows, one comparison each, the first of every seed's. If none are given, all
        that are not test rows.
      test_share: Share of the rows kept for testing, drawn anew for every seed.
      seeds: Number of repetitions of split, log, folds and starting values.
      cost_weights: The cost weights λ that routers are fitted at.
      logging: The policy that draws the log: uniform, quality or cheap.
      strength: How sharp that policy is.
      surrogates: The losses, by name or as FILE.py:FUNCTION. Settings may follow, as in
        'FILE.py:FUNCTION?beta=0.1,0.5&margin=1'; each seed chooses among them as it chooses its
        epoch.
      estimators: What utilities are made of: full-feedback, direct, ips, dr or an own estimator.
      starts: Where routers start: plug-in, best-single or both.
      floor: Propensities below this are taken as this.
      validation: Share of the training rows held out.
      router: How routers are trained; its surrogate and start are set by the two lists.
      nuisance: How outcome and propensity models are fitted.
    """

    table: str | None = None
    log: str | None = None
    quality_range: str = "0:1"
    embeddings: str | None = None
    encoder: str = "wordllama"
    queries: int = 4_000
    dimensions: int = 64
    rows: tuple[int, ...] = ()
    test_share: float = 0.3
    seeds: int = 10
    cost_weights: tuple[float, ...] = (0, 20, 100, 500)
    logging: str = "quality"
    strength: float = 2.0
    surrogates: tuple[str, ...] = tuple(SURROGATES)
    estimators: tuple[str, ...] = (FULL, "dr")
    starts: tuple[str, ...] = dataclasses.field(
        default=("best-single", "plug-in"), metadata={"name": "--start"}
    )
    floor: float = FLOOR
    validation: float = 0.2
    router: RouterConfig = RouterConfig(
        members=1,
        architecture="shared",
        learning_rate=LEARNING_RATES,
        schedule=Schedule(batch_size=256, max_epochs=60, patience=8, chunk=10, caution=1.0),
    )
    nuisance: NuisanceConfig = NuisanceConfig(outcomes="network")

    @property
    def fit(self) -> FitConfig:
        """How the rows of a seed are prepared and its routers fitted."""
        return FitConfig(
            encoder=self.encoder,
            floor=self.floor,
            validation=self.validation,
            router=self.router,
            nuisance=self.nuisance,
        )

    @property
    def groups(self) -> list[tuple[int, str, str]]:
        """Training rows (0 for all), target and start of every comparison."""
        sizes = self.rows or (0,)
        return [(n, name, start) for n in sizes for name in self.targets for start in self.starts]

    @property
    def targets(self) -> tuple[str, ...]:
        """The estimators that the rows allow: a log has no full feedback."""
        return tuple(name for name in self.estimators if name != FULL or self.log is None)

    def compared(self, estimator: str) -> list[str]:
        """The surrogates that a target allows: some read a log themselves."""
        return [s for s in self.surrogates if estimator != FULL or not reads_a_log(s)]

    @property
    def base(self) -> str:
        """The surrogate the others are compared with."""
        return BASE if BASE in self.surrogates else self.surrogates[0]


PRESETS = {
    "smoke": SurrogatesConfig(
        queries=400,
        dimensions=16,
        seeds=2,
        cost_weights=(0, 100),
        surrogates=(BASE, "weighted_classification", "spo_plus"),
        starts=("best-single",),
        router=RouterConfig(
            members=1,
            architecture="shared",
            widths=(16,),
            learning_rate=LEARNING_RATES,
            schedule=Schedule(batch_size=128, max_epochs=10, patience=10, chunk=10, caution=1.0),
        ),
        nuisance=NuisanceConfig(
            outcomes="network",
            folds=2,
            widths=(16,),
            schedule=Schedule(max_epochs=10, patience=10, chunk=10),
        ),
    ),
    "fast": SurrogatesConfig(
        queries=2_000,
        dimensions=32,
        seeds=10,
        cost_weights=(0, 50, 500),
        surrogates=(BASE,),
        estimators=("dr",),
        starts=("best-single",),
        router=RouterConfig(
            members=1,
            architecture="shared",
            widths=(32,),
            learning_rate=3e-3,
            schedule=Schedule(batch_size=256, max_epochs=30, patience=6, chunk=30, caution=1.0),
        ),
        nuisance=NuisanceConfig(
            outcomes="network",
            folds=3,
            widths=(32,),
            schedule=Schedule(batch_size=256, max_epochs=30, patience=5, chunk=30),
        ),
    ),
    "quick": SurrogatesConfig(
        queries=3_000,
        router=RouterConfig(
            members=1,
            architecture="shared",
            widths=(64,),
            learning_rate=LEARNING_RATES[1:],
            schedule=Schedule(batch_size=256, max_epochs=40, patience=8, chunk=10, caution=1.0),
        ),
    ),
    "full": SurrogatesConfig(),
}
"""smoke: seconds, for CI. fast: within a minute of processor time, whether one or two ideas are
worth a night. quick: all surrogates, ten seeds, some minutes. full: more rows, larger networks and
another learning rate."""


def width_of(quality_range: str) -> float:
    """Width of a quality range written LO:HI."""
    low, high = parse_range(quality_range)
    return high - low


def reads_a_log(surrogate: str) -> bool:
    """Whether a surrogate asks for what only a log has."""
    return not OF_A_LOG.isdisjoint(form_of(chosen(surrogate).function).asked)


def check(config: SurrogatesConfig) -> SurrogatesConfig:
    """The configuration, if it can be run; a name given twice counts once.

    Raises:
      InputError: an unknown surrogate, estimator, start or logging policy, too few seeds, queries
        or rows, or a table and a log at once.
    """
    config = dataclasses.replace(config, surrogates=joined_names(config.surrogates))
    if config.table and config.log:
        raise InputError("give --table or --log, not both")
    if not config.targets:
        raise InputError(f"a log has no {FULL}; give another of --estimators")
    for surrogate in config.surrogates:
        check_config(dataclasses.replace(config.router, surrogate=surrogate))
        if not any(surrogate in config.compared(target) for target in config.targets):
            problem = f"{surrogate} reads a log, and {FULL} has none"
            raise InputError(f"{problem}; give dr among --estimators too")
    for estimator in config.estimators:
        if estimator != FULL:
            resolve_estimator(estimator)
    for start in config.starts:
        if start not in STARTS:
            raise InputError(f"no start {start!r}; known are {', '.join(STARTS)}")
    if config.logging not in POLICIES:
        raise InputError(f"no logging policy {config.logging!r}; known are {', '.join(POLICIES)}")
    if config.seeds < 1:
        raise InputError(f"seeds is {config.seeds}; it must be at least 1")
    if min(config.rows, default=FEWEST_QUERIES) < FEWEST_QUERIES:
        raise InputError(f"rows is {min(config.rows)}; at least {FEWEST_QUERIES} are needed")
    if config.queries < FEWEST_QUERIES:
        problem = f"queries is {config.queries}; at least {FEWEST_QUERIES} are needed"
        raise InputError(f"{problem} to train, validate and test on")
    return dataclasses.replace(
        config,
        surrogates=tuple(dict.fromkeys(config.surrogates)),
        rows=tuple(dict.fromkeys(config.rows)),
        estimators=tuple(dict.fromkeys(config.estimators)),
        starts=tuple(dict.fromkeys(config.starts)),
    )
