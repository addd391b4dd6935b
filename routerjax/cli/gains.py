"""`routerjax fit --gains` and `routerjax route` on what it wrote."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from routerjax.errors import InputError

if TYPE_CHECKING:
    import numpy as np


def fit(options: argparse.Namespace) -> None:
    """Fit a router of gains, save it, print its report."""
    from routerjax.artefacts.base import MANIFEST
    from routerjax.data.io.gain_labels import read_labels
    from routerjax.pipelines.fit_gains import fit_labels
    from routerjax.support import atomic
    from routerjax.support.provenance import dumps
    from routerjax.training.config import GainConfig

    if options.costs is None:
        raise InputError("--gains needs --costs PRIMARY,ALTERNATIVE, US dollars per query")
    atomic.check_free(options.out, marker=MANIFEST, overwrite=options.overwrite)
    labels = read_labels(
        options.log,
        gold=options.gold,
        preference=options.preference,
        group=options.group,
        embeddings=options.embeddings,
        encoder=options.encoder,
    )
    config = GainConfig(
        models=tuple(name.strip() for name in reversed(options.models.split(","))),
        costs=tuple(reversed(options.costs)),
        components=options.components,
        learner=options.learner,
        cost_weights=options.cost_weights,
        held_out=options.validation,
        seed=options.seed,
    )
    router = fit_labels(labels, config=config)
    router.save(options.out, overwrite=options.overwrite)
    if options.json:
        print(dumps({"run": options.out, "models": router.models, **router.report}))
        return
    from rich.console import Console

    from routerjax.reports.console import print_gains

    print_gains(router, Console(soft_wrap=True))
    print(f"wrote {options.out}")


def route(options: argparse.Namespace, queries: Sequence[str] | np.ndarray) -> None:
    """Print where a router of gains sends the queries."""
    from routerjax.artefacts.gains import SavedGains
    from routerjax.reports.console import gain_lines
    from routerjax.support.provenance import dumps

    if options.probabilities:
        problem = "--probabilities: a router of gains (fit --gains) has none"
        raise InputError(problem, source=options.run_folder)
    router = SavedGains.load(options.run_folder)
    routes = router.route(queries, cost_weight=options.cost_weight)
    if options.json:
        rows = zip(routes.models, routes.gain, routes.cost, strict=True)
        results = [{"model": model, "gain": gain, "cost": cost} for model, gain, cost in rows]
        print(dumps({"cost_weight": options.cost_weight, "routes": results}))
        return
    for line in gain_lines(routes):
        print(line)
