"""Presets of the study, the settings it varies, and the routers it trains in each of them."""

from __future__ import annotations

import dataclasses
import itertools

from experiments.log_size.config import FEWEST_ROWS, LOGGING
from routerjax.errors import InputError
from routerjax.training.config import NuisanceConfig, RouterConfig, Schedule

EMBEDDED = "embedded"
CENTRE = "centre"
FULL = "full"
"""The target of routers that see every model's answer."""

OUTCOMES = {
    "hierarchical": NuisanceConfig(),
    "network": NuisanceConfig(
        outcomes="network",
        widths=(64,),
        schedule=Schedule(batch_size=256, max_epochs=30, patience=5, chunk=5),
    ),
    "few": NuisanceConfig(components=2, landmarks=1),
    "means": NuisanceConfig(outcomes="network", widths=(), schedule=Schedule(max_epochs=0)),
}
"""Outcome models: the default; a network; one that is linear in 2 principal components, where the
truth is neither linear nor confined to them; and one that knows the arms' means alone."""


@dataclasses.dataclass(frozen=True)
class Setting:
    """What the study varies; the defaults are the centre.

    Attributes:
      rows: Logged rows.
      logging: The logging policy, a name of `experiments.log_size.config.LOGGING`.
      outcomes: The outcome model, a name of `OUTCOMES`.
      width: Hidden units of the router's one layer; 0 makes it linear.
      dimensions: Width of the embeddings; of a table, principal components of them.
      propensities: recorded, or estimated from the log.
      arms: Models of the embedded world.
      noise: Standard deviation of its scores, as a multiple of that of a draw of 0 or 1.
      spread: Of its costs, as a power of their ratios; 0 makes all arms cost the same.
    """

    rows: int = 2_500
    logging: str = "biased"
    outcomes: str = "hierarchical"
    width: int = 64
    dimensions: int = 64
    propensities: str = "recorded"
    arms: int = 11
    noise: float = 1.0
    spread: float = 1.0

    @property
    def name(self) -> str:
        """What differs from the centre, as in "rows=500, logging=sharp"."""
        changed = [
            f"{field.name}={getattr(self, field.name)}"
            for field in dataclasses.fields(self)
            if getattr(self, field.name) != field.default
        ]
        return ", ".join(changed) or CENTRE


FACTORS: dict[str, tuple[int | float | str, ...]] = {
    "rows": (500, 2_500, 10_000),
    "arms": (3, 11, 30),
    "noise": (0.0, 1.0, 2.0),
    "logging": LOGGING,
    "outcomes": tuple(OUTCOMES),
    "width": (0, 64, 256),
    "dimensions": (16, 64, 256),
    "spread": (0.0, 1.0, 2.0),
    "propensities": ("recorded", "estimated"),
}
"""The levels of every factor, the centre's among them; one factor is varied at a time."""

CROSSED = (
    Setting(outcomes="few", rows=10_000),
    Setting(outcomes="means", rows=10_000),
    Setting(outcomes="few", noise=0.0),
    Setting(outcomes="few", logging="sharp"),
)
"""Interactions: more rows, no noise, or less overlap where the outcome model is wrong."""

ON_TABLES = (
    Setting(),
    Setting(rows=500),
    Setting(rows=10_000),
    Setting(logging="uniform"),
    Setting(logging="sharp"),
    Setting(outcomes="few"),
    Setting(outcomes="means"),
)
"""What is varied on tables of one's own, whose arms, noise and costs are what they are."""


def varied(*factors: str) -> list[Setting]:
    """The centre, then every other level of these factors."""
    own = [Setting(**{name: level}) for name in factors for level in FACTORS[name]]  # type: ignore[arg-type]
    return list(dict.fromkeys([Setting(), *own]))


@dataclasses.dataclass(frozen=True)
class EndToEndConfig:
    """When end-to-end regret minimisation beats predict-then-choose.

    Attributes:
      factors: What is varied on the embedded world, one at a time around the centre.
      crossed: Whether the interactions are run too.
      tables_too: Whether the settings of tables are run, where tables are given.
      seeds: Number of draws of every setting.
      cost_weights: Cost weights, over the mean cost of the dearest model.
      test_rows: Test rows of the embedded world; of a table, all that are not logged.
      surrogates: The losses.
      estimators: What the utilities of logged rows are made of.
      starts: Where routers start: random, or the plug-in of the same outcome model.
      router: How routers are trained; surrogate, start and widths are set by the study.
      validation: Share of the logged rows that chooses the epoch.
    """

    factors: tuple[str, ...] = ("rows", "outcomes")
    crossed: bool = False
    tables_too: bool = True
    seeds: int = 2
    cost_weights: tuple[float, ...] = (0.0, 0.1, 0.3, 1.0)
    test_rows: int = 3_000
    surrogates: tuple[str, ...] = ("softmax_regret", "classification_bound", "barp")
    estimators: tuple[str, ...] = ("direct", "ips", "dr")
    starts: tuple[str, ...] = ("random", "plug-in")
    router: RouterConfig = RouterConfig(
        members=1,
        architecture="shared",
        learning_rate=3e-3,
        schedule=Schedule(batch_size=256, max_epochs=30, patience=6, chunk=3, caution=1.0),
    )
    validation: float = 0.2

    @property
    def embedded(self) -> list[Setting]:
        """Settings of the embedded world."""
        return varied(*self.factors) + list(CROSSED if self.crossed else ())

    @property
    def routers(self) -> list[tuple[str, str, str]]:
        """Surrogate, target and start of every router that is trained."""
        targets = (*self.estimators, FULL)
        return list(itertools.product(self.surrogates, targets, self.starts))


PRESETS = {
    "smoke": EndToEndConfig(
        factors=(),
        cost_weights=(0.0, 0.3),
        test_rows=500,
        surrogates=("softmax_regret",),
        estimators=("dr",),
        router=RouterConfig(
            members=1,
            architecture="shared",
            learning_rate=3e-3,
            schedule=Schedule(batch_size=256, max_epochs=4, patience=4, chunk=4, caution=1.0),
        ),
    ),
    "quick": EndToEndConfig(),
    "full": EndToEndConfig(factors=tuple(FACTORS), crossed=True, seeds=20),
}
"""smoke: seconds, for CI. quick: two factors, a few minutes. full: every setting, 20 seeds."""


def check(config: EndToEndConfig) -> EndToEndConfig:
    """The configuration, if it can be run; a value given twice counts once.

    Raises:
      InputError: an unknown factor, too few seeds or test rows, cost weights below 0, or none of
        something that is compared.
    """
    for name in config.factors:
        if name not in FACTORS:
            raise InputError(f"no factor {name!r}; known are {', '.join(FACTORS)}")
    if config.seeds < 2:
        raise InputError(f"seeds is {config.seeds}; it must be at least 2")
    if config.test_rows < FEWEST_ROWS:
        raise InputError(f"test rows are {config.test_rows}; at least {FEWEST_ROWS} are needed")
    if not config.cost_weights or min(config.cost_weights) < 0:
        raise InputError("cost weights must be given, each of them 0 or more")
    for name in ("surrogates", "estimators", "starts"):
        if not getattr(config, name):
            raise InputError(f"no {name} are given; name one or more")
    return dataclasses.replace(
        config,
        factors=tuple(dict.fromkeys(config.factors)),
        cost_weights=tuple(sorted(set(config.cost_weights))),
    )
