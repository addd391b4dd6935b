"""Models that are named when a service starts: each must be one that it can serve."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from routerjax.artefacts.newcomer import newcomers
from routerjax.artefacts.router import Router
from routerjax.errors import DataWarning, InputError
from routerjax.serving.deciding import check_known, gone
from routerjax.serving.upstreams import Upstreams

if TYPE_CHECKING:
    from routerjax.serving.service import Settings


def check_names(router: Router, settings: Settings, upstreams: Upstreams | None) -> None:
    """Check names against a router's models; warn of those without an effect.

    Args:
      router: that is to be served.
      settings: how.
      upstreams: where models are asked, if anywhere.

    Raises:
      InputError: a model that is offered alone, left out, forbidden to a tenant or a newcomer is
        none of the router's.
    """
    barred = settings.exploring.limits.forbidden.values()
    named = (*settings.only, *settings.exclude, *(name for names in barred for name in names))
    check_known(named, router)
    for name, _ in settings.exploring.newcomers:
        if name in gone(router):
            continue
        if name not in router.models:
            problem = f"the router has no model {name[:80]!r}; `routerjax newcomer` adds one"
            raise InputError(problem, source="newcomer")
        if name not in newcomers(router):
            said = f"the router was fitted on answers of {name}, which is no newcomer any more"
            warnings.warn(f"{said}; it gets no share of its own", DataWarning, stacklevel=3)
    for name in () if upstreams is None else upstreams.models:
        if name not in router.models:
            said = f"there is an upstream for {name}, which is no model of the router"
            warnings.warn(f"{said} and is not asked", DataWarning, stacklevel=3)
