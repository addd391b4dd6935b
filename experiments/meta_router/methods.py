"""The seven methods of the paper, and the two named comparisons, as functions of one run."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from experiments.meta_router.as_published import in_sample_dr, in_sample_r
from experiments.meta_router.protocol import Data, Roles
from routerjax.estimators.bias import Learner, learn_bias
from routerjax.estimators.cross_fit import (
    LabelledRows,
    Regress,
    assign_folds,
    estimate_propensity,
    held,
)
from routerjax.estimators.integrative import Candidate, target
from routerjax.estimators.label_scale import label_factor
from routerjax.pipelines.regressions import LEARNERS
from routerjax.support.mapping import mapped


class Setting(NamedTuple):
    """What the methods of a study share; static under jit.

    Attributes:
      regress: for nuisances, τ̂ and ψ.
      folds: of the cross-fitting.
      candidates: ways to use preference labels; a single one is taken as it is.
      limit: τ̂ is kept within ± limit.
      known_propensity: whether gold rows are drawn at random, so that their share is known.
      learners: of the bias, one method each.
      beside: a way to use preference labels that is shown beside the candidates' mixture.
      scale: how preference labels are brought to the scale of gold ones, by `label_factor`.
    """

    regress: Regress
    folds: int
    candidates: tuple[Candidate, ...]
    limit: float
    known_propensity: bool
    learners: tuple[Learner, ...] = (LEARNERS["r"], LEARNERS["dr"])
    beside: Candidate | None = None
    scale: str = "none"


class Run(NamedTuple):
    """One run's rows: features fitted on training rows, labels, roles and a key.

    Preference labels are multiplied by `factor`, found on training rows.
    """

    x: Array
    data: Data
    roles: Roles
    key: PRNGKeyArray
    factor: Array | float = 1.0

    @property
    def train(self) -> Float[Array, " n"]:
        """[n] 1 for gold and preference rows, 0 for test rows."""
        return (~self.roles.test).astype(jnp.float32)

    @property
    def label(self) -> Float[Array, " n"]:
        """[n] the label that training sees: gold for gold rows, preference for the others."""
        cheap = self.factor * self.data.preference_label
        return jnp.where(self.roles.gold, self.data.gold_label, cheap)

    def scaled(self, how: str) -> Run:
        """The run with its preference labels on the scale of the gold ones."""
        plain = self._replace(factor=1.0)
        return self._replace(factor=label_factor(plain.label, self.roles.gold, self.train, how=how))


Found = tuple[Float[Array, " n"], Float[Array, ""]]
"""Predicted gains [n], and the ω used (NaN where there is none)."""

Methods = Callable[[Run, Setting], tuple[Found, ...]]
"""One method, or several that share their work, in the order of their names."""


def integrative(run: Run, setting: Setting) -> tuple[Found, ...]:
    """Each learner for the bias, followed by the integrative objective.

    Mapped over the learners, the regressions of one ω share what they make of x and weights.
    """
    rows = rows_of(run, setting)
    keys = jax.random.split(run.key, 3)
    regress, folds = setting.regress, setting.folds
    bias = jnp.stack(
        [
            learn_bias(
                rows,
                run.train,
                learner=learner,
                regress=regress,
                key=keys[0],
                folds=folds,
                limit=setting.limit * jnp.maximum(run.factor, 1.0),
            )
            for learner in setting.learners
        ]
    )

    def used(candidates: tuple[Candidate, ...]) -> tuple[Found, ...]:
        def aim(bias):
            return target(
                rows,
                run.train,
                bias,
                regress=regress,
                key=keys[1],
                folds=folds,
                candidates=candidates,
            )

        goals = jax.vmap(aim)(bias)
        found = mapped(
            lambda goal: goal.predict(run.x, run.x, regress=regress, key=keys[2]),
            goals,
            holds=len(candidates) * held(run.x),
        )
        return tuple(zip(found, goals.omega, strict=True))

    return used(setting.candidates) + (used((setting.beside,)) if setting.beside else ())


def unscaled(run: Run, setting: Setting) -> tuple[Found, ...]:
    """Each learner with ω = 1, and pooling, on labels of two scales."""
    plain = run._replace(factor=1.0)
    alone = setting._replace(candidates=(Candidate(1.0),), beside=None)
    return (*integrative(plain, alone), *METHODS[("pooled",)](plain, setting))


def shifted(run: Run, setting: Setting) -> tuple[Found, ...]:
    """Preference labels moved by the difference of the two means, then pooled."""
    gold, cheap = _gold(run), _preference(run)
    means = [run.label @ side / jnp.maximum(jnp.sum(side), 1e-30) for side in (gold, cheap)]
    label = run.label + cheap * (means[0] - means[1])
    psi = setting.regress(run.x, label, run.train, run.x, key=run.key)
    return ((psi, jnp.float32(jnp.nan)),)


def rows_of(run: Run, setting: Setting) -> LabelledRows:
    """The run's rows with folds and the known or estimated propensity of gold."""
    gold, train = run.roles.gold, run.train
    fold = assign_folds(
        gold, key=jax.random.fold_in(run.key, 1), folds=setting.folds, groups=run.data.groups
    )
    share = jnp.full_like(train, jnp.sum(gold) / jnp.sum(train))
    rows = LabelledRows(run.x, run.label, gold, share, fold, run.data.groups)
    if setting.known_propensity:
        return rows
    return rows._replace(propensity=estimate_propensity(rows, train, folds=setting.folds))


def fitted_on(label: Callable[[Run], Array], weights: Callable[[Run], Array]) -> Methods:
    """One regression of a label on the rows of positive weight."""

    def method(run: Run, setting: Setting):
        psi = setting.regress(run.x, label(run), weights(run), run.x, key=run.key)
        return ((psi, jnp.float32(jnp.nan)),)

    return method


def random(run: Run, setting: Setting) -> tuple[Found, ...]:
    """Gains drawn at random: its curve is 0 but for the noise of the draw."""
    return ((jax.random.uniform(run.key, run.label.shape), jnp.float32(jnp.nan)),)


def _gold(run: Run) -> Array:
    return run.roles.gold.astype(jnp.float32)


def _preference(run: Run) -> Array:
    return run.roles.preference.astype(jnp.float32)


def method_name(learner: str) -> str:
    """Name of the method that learns the bias so: "dr_learner" for "dr", "t_head" for "t-head"."""
    return learner.replace("-", "_") if learner.endswith("-head") else f"{learner}_learner"


PAPER = ("r_learner", "dr_learner")
METHODS: dict[tuple[str, ...], Methods] = {
    PAPER: integrative,
    ("gold_only",): fitted_on(lambda run: run.label, _gold),
    ("pooled",): fitted_on(lambda run: run.label, lambda run: run.train),
    ("shifted",): shifted,
    ("preference_only",): fitted_on(lambda run: run.label, _preference),
    ("all_gold",): fitted_on(lambda run: run.data.gold_label, lambda run: run.train),
    ("random",): random,
}

AS_PUBLISHED: dict[tuple[str, ...], Methods] = {
    ("script_r",): lambda run, setting: (in_sample_r(run, setting),),
    ("script_dr",): lambda run, setting: (in_sample_dr(run, setting),),
}
"""What the authors' script does, offered for comparison only."""
