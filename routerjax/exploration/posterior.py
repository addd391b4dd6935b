"""Draws from the posterior of a plug-in router's outcome model, fixed and kept beside the router.

They are an ensemble of quality models: Thompson sampling over them has the probabilities that
`routerjax.exploration.policies.share_of_best` counts. The file stands in the router folder under
the sum of the router's parameters, so that draws are never taken for another router's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from routerjax.artefacts import tensors
from routerjax.artefacts.newcomer import newcomers
from routerjax.artefacts.router import Router
from routerjax.data.encoders.encoding import encoded
from routerjax.errors import InputError
from routerjax.estimators.posterior_draws import draw_coefficients
from routerjax.models.pooled import PooledHead
from routerjax.pipelines.pooled_features import task_features, told_by
from routerjax.pipelines.prepare import prepare
from routerjax.pipelines.repeats import said_once
from routerjax.records.logs import Log
from routerjax.training.architecture import outcome_head_of
from routerjax.training.checkpoint import digest

DRAWS = 64
SAME = 1e-3
"""Of a share of the quality range, by which the coefficients of the same rows may differ."""


class Draws(NamedTuple):
    """Draws of a router's quality model.

    Attributes:
      features: parameters of `PooledFeatures`, as NumPy arrays.
      coefficients: [s, D, m] of the share of the quality range.
    """

    features: dict[str, np.ndarray]
    coefficients: Float[np.ndarray, "s D m"]


def draws_of(router: Router, log: Log, *, draws: int = DRAWS, seed: int = 0) -> Draws:
    """Draw from the posterior of the router's quality model, given the log it was fitted on.

    Args:
      router: a plug-in router of pooled outcome models.
      log: the rows it was fitted on.
      draws: s.
      seed: of the draws.

    Raises:
      InputError: another kind of router, or a log that it was not fitted on.
    """
    head = _head(router)
    given = said_once(encoded(log, encoder=router.config.encoder)).with_models(router.models)
    key, training_key = jax.random.split(jax.random.key(router.config.seed), 2)
    prepared = prepare(given, router.config, nuisance_key=key, training_key=training_key)
    assert prepared.nuisances is not None and prepared.nuisances.posterior is not None
    posterior = prepared.nuisances.posterior
    own = _parameters(router)
    held = np.asarray(own["coefficients"], np.float64)[0]
    alike = held.shape == posterior.every.shape
    if not alike or abs(held - posterior.every)[1:].max(initial=0.0) > SAME:
        raise InputError("the router was not fitted on these rows", source=log.source)
    apart = held - posterior.every
    found = draw_coefficients(posterior, head.sizes, draws=draws, seed=seed)
    return Draws(_features(own), np.asarray(found + apart[None], np.float32))


def with_newcomers(draws: Draws, router: Router, *, seed: int = 0) -> Draws:
    """Draws of a router before models were added, with those of the added ones.

    A newcomer's draw is that of the model it resembles and a draw of its offset, which is normal
    (`routerjax.artefacts.newcomer`): what is least known is explored most.

    Args:
      draws: of as many models as the router had before.
      router: with the newcomers.
      seed: of the offsets.
    """
    found, rng = draws.coefficients, np.random.default_rng(seed)
    for name in router.models[found.shape[-1] :]:
        known = newcomers(router)[name]
        own = np.array(found[..., router.models.index(known["like"])])
        spread = known["standard_deviation"] * rng.standard_normal(len(own))
        own[:, 0] += (known["offset"] + spread).astype(np.float32)
        found = np.concatenate([found, own[..., None]], axis=-1)
    return draws._replace(coefficients=found)


def save_draws(folder: Path, router: Router, draws: Draws) -> None:
    """Write the draws into a folder that holds a router, this one or an older one.

    Raises:
      OSError: they cannot be written.
    """
    place = folder / _name(router)
    if not place.exists():
        temporary = place.with_name(f".{place.name}")
        temporary.unlink(missing_ok=True)
        tensors.save(temporary, {"coefficients": draws.coefficients})
        temporary.replace(place)


def remove_draws(folder: Path, *, but: Sequence[Router]) -> None:
    """Remove the draws of all routers but some from a folder."""
    kept = {_name(router) for router in but}
    for path in folder.glob("draws-*.safetensors"):
        if re.fullmatch(r"draws-[0-9a-f]{16}\.safetensors", path.name) and path.name not in kept:
            path.unlink(missing_ok=True)


def has_draws(folder: Path, router: Router) -> bool:
    """Whether a router's draws stand beside it."""
    return (folder / _name(router)).exists()


def load_draws(folder: Path, router: Router) -> Draws:
    """The draws that stand beside a router.

    Raises:
      InputError: there are none, or they are damaged.
    """
    head, place = _head(router), folder / _name(router)
    if not place.exists():
        problem = "has no draws from its posterior to explore by; `routerjax refit` writes them"
        raise InputError(problem, source=str(folder))
    shape: Any = jax.ShapeDtypeStruct((DRAWS, head.width, head.models), np.float32)
    found = tensors.load(place, {"coefficients": shape})
    return Draws(_features(_parameters(router)), found["coefficients"])


def qualities(
    draws: Draws, x: Float[np.ndarray, " d"], *, quality_range: tuple[float, float]
) -> Float[np.ndarray, "s m"]:
    """Quality of every model for a scaled embedding, by every draw.

    Args:
      draws: s of them.
      x: [d] scaled embedding.
      quality_range: lowest and highest.
    """
    own = draws.features
    z = (x - own["centre"]) @ own["directions"]
    square = np.maximum(((own["points"] - z) ** 2).sum(axis=1), 0.0)
    near = np.exp(-square / (2 * max(float(own["width"]), 1e-6) ** 2))
    told = task_features(told_by(own), z[None])[0] if "task_slopes" in own else []
    features = np.concatenate([[1.0], z, near @ own["half"] - own["shift"], told])
    share = np.einsum("d,sdm->sm", features, draws.coefficients)
    low, high = quality_range
    return np.asarray(low + (high - low) * np.clip(share, 0.0, 1.0))


def _head(router: Router) -> PooledHead:
    nuisance, models = router.config.nuisance, len(router.models)
    width = router.config.components or router.dimensions
    head = outcome_head_of(nuisance, models, width, tasks=router.tasks)
    if not isinstance(head, PooledHead):
        problem = "exploring by the posterior needs a router of pooled outcome models"
        raise InputError(f'{problem} (outcomes "pooled"); others explore by their members')
    return head


def _parameters(router: Router) -> Any:
    return router.arrays.outcomes.quality["params"]


def _features(own: Any) -> dict[str, np.ndarray]:
    return {name: np.asarray(value)[0] for name, value in own["features"].items()}


def _name(router: Router) -> str:
    return f"draws-{digest(router.stored())[:16]}.safetensors"
