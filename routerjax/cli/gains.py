"""`routerjax fit --gains` and `routerjax route` on what it wrote."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from routerjax.cli.app import Parsed
from routerjax.cli.options import Labels, Output, Reading, RouterFolder
from routerjax.cli.reading import print_json
from routerjax.cli.rules import schema_of
from routerjax.errors import InputError
from routerjax.training.config import FitConfig, GainConfig

if TYPE_CHECKING:
    import numpy as np

    from routerjax.artefacts.gains import SavedGains


def fit(parsed: Parsed) -> None:
    """Fit a router of gains, save it, print its report."""
    from routerjax.artefacts.folder import claimed
    from routerjax.data.io.gain_labels import read_labels
    from routerjax.pipelines.fit_gains import fit_labels

    folder, settings, columns = parsed[RouterFolder], parsed[FitConfig], parsed[Labels]
    config, path = parsed[GainConfig], parsed.arguments["log"]
    assert path is not None
    if columns.costs is None:
        raise InputError("--gains needs --costs PRIMARY,ALTERNATIVE, US dollars per query")
    config = dataclasses.replace(
        config,
        models=columns.models[::-1],  # the primary is named first, and stands last
        costs=columns.costs[::-1],
        components=settings.components,
        cost_weights=settings.cost_weights,
        held_out=settings.validation,
        seed=settings.seed,
    )
    with claimed(folder.out, overwrite=folder.overwrite):
        labels = read_labels(
            path,
            gold=columns.gold,
            preference=columns.preference,
            group=parsed[Reading].group,
            embeddings=parsed[Reading].embeddings,
            encoder=settings.encoder,
            schema=schema_of(parsed[Reading]),
            models=columns.models,
        )
        router = fit_labels(labels, config=config)
        form = schema_of(parsed[Reading]).prompt_form
        router = dataclasses.replace(router, prompt_form=form)
        router.save(folder.out, overwrite=folder.overwrite)
    if parsed[Output].json:
        print_json({"router": folder.out, "models": router.models, **router.report})
        return
    from rich.console import Console

    from routerjax.reports.gains import print_gains

    print_gains(router, Console(soft_wrap=True))
    print(f"wrote {folder.out}")


def route(
    router: SavedGains,
    queries: Sequence[str] | np.ndarray,
    cost_weights: Sequence[float],
    *,
    json: bool,
) -> None:
    """Print where a router of gains sends the queries."""
    from routerjax.reports.routes import gain_lines

    each = [router.route(queries, cost_weight=cost_weight) for cost_weight in cost_weights]
    if json:
        documents = []
        for cost_weight, routes in zip(cost_weights, each, strict=True):
            rows = zip(routes.models, routes.gain, routes.cost, strict=True)
            results = [{"model": model, "gain": gain, "cost": cost} for model, gain, cost in rows]
            documents.append({"cost_weight": cost_weight, "routes": results})
        print_json(documents[0] if len(documents) == 1 else {"cost_weights": documents})
        return
    for cost_weight, routes in zip(cost_weights, each, strict=True):
        before = f"{cost_weight:g}\t" if len(cost_weights) > 1 else ""
        for line in gain_lines(routes):
            print(before + line)
