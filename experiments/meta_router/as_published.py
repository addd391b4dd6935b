"""What the authors' public script does, as a named comparison written anew.

Three things in it differ from the paper. Nuisances predict the rows they were fitted on. The
propensity of gold, which the protocol's random draw makes a known constant, is regressed on x
and clipped. And a mask drops rows: |s − ê| ≤ 0.05 for the R-learner, ê(1 − ê) ≤ 0.05 for the
DR-learner. With gold at 2 % most propensities are clipped to 0.05, and 0.05·0.95 < 0.05, so that
the DR-learner's mask keeps little but the rows whose in-sample propensity was pulled up: mainly
the gold ones. Its bias is clipped to ±1.2 and its ω is 1.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from routerjax.estimators.bias import dr_pseudo_outcome, r_pseudo_outcome
from routerjax.estimators.integrative import corrected_label

LIMIT = 1.2
MASK = 0.05


def in_sample_r(run, setting):
    """The script's R-learner: in-sample m̂ and ê in [0.1, 0.9], rows with |s − ê| > 0.05."""
    keys = jax.random.split(run.key, 4)
    gold, train = run.roles.gold, run.train
    outcome = setting.regress(run.x, run.label, train, run.x, key=keys[0])
    propensity = _in_sample_propensity(run, setting, keys[1], floor=0.1)
    value, weight = r_pseudo_outcome(run.label, gold, outcome, propensity)
    kept = train * (jnp.abs(gold - propensity) > MASK)
    return _finish(run, setting, jnp.where(kept > 0, value, 0.0), kept * weight, keys)


def in_sample_dr(run, setting):
    """The script's DR-learner: in-sample μ̂(x, s) and ê in [0.05, 0.95], rows with ê(1 − ê) > 0.05.

    As in the script, one regression takes the source as a further column of x.
    """
    keys = jax.random.split(run.key, 4)
    gold, train = run.roles.gold, run.train
    observed, without, with_gold = (
        jnp.column_stack([run.x, side]) for side in (gold, 0.0 * gold, 0.0 * gold + 1)
    )
    mu0, mu1 = (
        setting.regress(observed, run.label, train, side, key=keys[0])
        for side in (without, with_gold)
    )
    propensity = _in_sample_propensity(run, setting, keys[1], floor=0.05)
    value = dr_pseudo_outcome(run.label, gold, mu0, mu1, propensity)
    kept = train * (propensity * (1 - propensity) > MASK)
    return _finish(run, setting, value, kept, keys)


def _in_sample_propensity(run, setting, key, *, floor):
    gold = run.roles.gold.astype(jnp.float32)
    propensity = setting.regress(run.x, gold, run.train, run.x, key=key)
    return jnp.clip(propensity, floor, 1 - floor)


def _finish(run, setting, value, weight, keys):
    bias = setting.regress(run.x, value, weight, run.x, key=keys[2])
    label = corrected_label(run.label, run.roles.gold, jnp.clip(bias, -LIMIT, LIMIT))
    psi = setting.regress(run.x, label, run.train, run.x, key=keys[3])
    return psi, jnp.float32(1.0)
