"""Checks that an accelerator computes what a CPU does; for `benchmarks.accelerator`.

Each check is a function of no arguments that returns arrays. It runs on JAX's default device and
on the CPU of the same machine; the largest difference, in units of the largest CPU value, must be
within the check's tolerance: float32 sums in another order, no more.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.problems import log, problem
from experiments.meta_router.config import MetaRouterConfig
from experiments.meta_router.data import sources
from experiments.meta_router.run import program
from routerjax.estimators.components import fit_components
from routerjax.estimators.counterfactual import ESTIMATORS, estimate
from routerjax.estimators.elimination import Sizes
from routerjax.estimators.hierarchical import fit_hierarchical
from routerjax.estimators.moments import moments_of
from routerjax.estimators.ridge import fit_logistic, fit_ridge, kernel_ridge
from routerjax.losses.known import OF_A_ROW, SURROGATES
from routerjax.models.architectures import ARCHITECTURES
from routerjax.pipelines.fit_log import fit
from routerjax.pipelines.pooled_features import forget_features
from routerjax.pipelines.prepare import prepare
from routerjax.records.tables import Estimates
from routerjax.training.checkpoint import Checkpoints, digest
from routerjax.training.config import FitConfig, NuisanceConfig, RouterConfig, Schedule
from routerjax.training.execution import Execution
from routerjax.training.parallel import Devices
from routerjax.training.routing import train_router

ROWS, DIMENSIONS, MODELS = 512, 48, 7
COST_WEIGHTS = (0.0, 20.0, 100.0, 500.0)
SHORT = Schedule(batch_size=64, max_epochs=2, patience=2, chunk=1, caution=0.0, optimizer="sgd")


class Check(NamedTuple):
    """What is computed twice, and how far apart it may be, of the largest value."""

    call: Callable[[], Any]
    tolerance: float


def checks() -> dict[str, Check]:
    """Every surrogate, estimator and architecture, and the closed forms."""
    found = {
        f"surrogate {name}": Check(functools.partial(_surrogate, loss), 1e-5)
        for name, loss in OF_A_ROW.items()
    }
    found |= {
        f"surrogate {name}": Check(functools.partial(_of_log, name), 2e-2)
        for name in SURROGATES
        if name not in OF_A_ROW
    }
    found |= {
        f"estimator {name}": Check(functools.partial(_estimator, name), 1e-6) for name in ESTIMATORS
    }
    found |= {
        f"architecture {name}": Check(functools.partial(_trained, name), 2e-2)
        for name in ARCHITECTURES
        if name != "plug-in"  # which is not trained
    }
    return found | {
        "ridge": Check(lambda: fit_ridge(*_regression())(_regression()[0]), 1e-4),
        "logistic ridge": Check(_logistic, 1e-3),
        "kernel ridge": Check(_kernel, 1e-3),
        "principal components": Check(_components, 1e-3),
        "pooled outcomes": Check(_pooled, 1e-3),
        "default fit": Check(_fitted, 2e-2),
        "meta-router": Check(_meta_router, 2e-2),
    }


def compared(check: Check) -> dict[str, Any]:
    """Largest difference between the default device and the CPU, and whether it will do."""
    with jax.default_device(jax.devices("cpu")[0]):
        expected = jax.tree.leaves(jax.tree.map(np.asarray, check.call()))
    found = jax.tree.leaves(jax.tree.map(np.asarray, check.call()))
    apart = max(
        float(np.abs(one - other).max(initial=0) / max(np.abs(other).max(initial=0), 1e-30))
        for one, other in zip(found, expected, strict=True)
    )
    return {"apart": apart, "tolerance": check.tolerance, "passed": apart <= check.tolerance}


def one_device() -> dict[str, Any]:
    """pmap over one device gives the bits of none."""
    digests = [digest(_router("shared", devices)) for devices in (None, Devices(count=1))]
    return {"passed": digests[0] == digests[1]}


def resumed() -> dict[str, Any]:
    """A training taken up from its checkpoints gives the bits of one that was not stopped."""
    with tempfile.TemporaryDirectory() as folder:
        whole = digest(_router("shared", None))
        for place in ("first", "second"):
            path = Path(folder) / place
            digest(_router("shared", None, Checkpoints(path)))
            again = digest(_router("shared", None, Checkpoints(path)))
            if again != whole:
                return {"passed": False}
    return {"passed": True}


def _surrogate(loss: Callable[..., Any]) -> Any:
    rng = np.random.default_rng(0)
    logits, utilities = (
        jnp.asarray(rng.normal(size=(ROWS, MODELS)), jnp.float32) for _ in range(2)
    )
    return jax.jit(jax.vmap(jax.value_and_grad(loss)))(logits, utilities)


def _estimator(name: str) -> Any:
    record = log(ROWS, DIMENSIONS, MODELS, seed=0)
    rng = np.random.default_rng(1)
    quality, cost = (rng.random((ROWS, MODELS)).astype(np.float32) for _ in range(2))
    predicted = Estimates(quality=quality, cost=cost)
    return estimate(record, predicted, rng.uniform(0.05, 1, ROWS), estimator=name)


def _router(
    architecture: str, devices: Devices | None, checkpoints: Checkpoints | None = None
) -> Any:
    trained = train_router(
        problem(ROWS, DIMENSIONS, MODELS, seed=0),
        cost_weights=COST_WEIGHTS,
        quality_width=1.0,
        config=RouterConfig(architecture=architecture, members=1, widths=(16,), schedule=SHORT),
        execution=Execution(devices=devices, checkpoints=checkpoints),
    )
    return trained.policy.params


def _trained(architecture: str) -> Any:
    return _router(architecture, None)


def _regression() -> tuple[jax.Array, jax.Array, jax.Array]:
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(ROWS, DIMENSIONS)) * 3 + 1, jnp.float32)
    label = jnp.asarray(np.asarray(x)[:, 0] + rng.normal(size=ROWS), jnp.float32)
    return x, label, jnp.ones(ROWS)


def _logistic() -> Any:
    x, label, weights = _regression()
    return fit_logistic(x, (label > 0).astype(jnp.float32), weights)(x)


def _kernel() -> Any:
    x, label, weights = _regression()
    return kernel_ridge(x, label, weights, x, key=jax.random.key(0))


def _components() -> Any:
    x, _, weights = _regression()
    found = fit_components(x, weights, components=5)(x)
    return found @ found.T / DIMENSIONS  # signs are free


def _pooled() -> Any:
    rng = np.random.default_rng(0)
    features = np.concatenate([np.ones((ROWS, 1)), rng.normal(size=(ROWS, 20))], axis=1)
    arms, folds = rng.integers(0, MODELS, ROWS), rng.integers(0, 3, ROWS)
    label = features[:, 1] + 0.3 * arms * features[:, 2] + rng.normal(size=ROWS)
    (moments,) = moments_of(
        features, (label - label.mean())[None], arms, folds, folds=3, models=MODELS
    )
    found = fit_hierarchical(moments, Sizes(8, 12))
    return found.every, found.outside


def _of_log(surrogate: str) -> Any:
    """A training by a surrogate that asks for the log's own answers."""
    key, fitting = jax.random.key(0), FitConfig(nuisance=NuisanceConfig(components=8, landmarks=8))
    record = log(ROWS, DIMENSIONS, MODELS, seed=0)
    prepared = prepare(record, fitting, nuisance_key=key, training_key=key)
    config = RouterConfig(
        architecture="shared", members=1, widths=(16,), surrogate=surrogate, schedule=SHORT
    )
    trained = train_router(
        prepared.problem("dr"), cost_weights=COST_WEIGHTS, quality_width=1.0, config=config
    )
    return trained.policy.params


def _fitted() -> Any:
    """What the default router expects of queries, nothing of it kept from a fit before."""
    forget_features()
    router = fit(log(ROWS, DIMENSIONS, MODELS, seed=0))
    return router.expected(np.asarray(log(64, DIMENSIONS, MODELS, seed=1).embeddings))


def _meta_router() -> Any:
    config = MetaRouterConfig(rows=500, gold_rows=(60,), test_rows=150, runs=2, block=2, folds=3)
    (source,) = sources(config)
    return program(config, source)(0)


def ran(calls: Mapping[str, Callable[[], dict[str, Any]]]) -> dict[str, Any]:
    """What each call says, or the error that it ends in."""
    found: dict[str, Any] = {}
    for name, call in calls.items():
        try:
            found[name] = call()
        except Exception as error:  # a cut list of checks tells less than a failed one
            line = (str(error).strip().splitlines() or [""])[0]
            found[name] = {"passed": False, "error": f"{type(error).__name__}: {line}"}
    return found
