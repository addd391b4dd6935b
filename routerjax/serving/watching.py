"""The router folder is watched, and a new router is taken up between two requests."""

from __future__ import annotations

import asyncio
import sys

from starlette.concurrency import run_in_threadpool

from routerjax.artefacts.folder import stamp
from routerjax.errors import InputError
from routerjax.serving.service import Service

EVERY = 0.5
"""Seconds between two looks at the folder."""


async def watch(service: Service, *, every: float = EVERY) -> None:
    """Take up every router that is written into the folder, for as long as the service lasts.

    It is loaded and called once beside the requests, which the old router answers meanwhile; then
    the service's reference to it is replaced. One that cannot be loaded leaves the old one. What is
    written between the load of the first router and the first look is found by that look.
    """
    known = service.stamp
    while True:
        await asyncio.sleep(every)
        now = stamp(service.folder)
        if now is None or now == known:
            continue
        known = now
        try:
            served = await run_in_threadpool(service.load)
        except InputError as error:
            service.problem = f"the new router was not taken up ({error.problem})"
            service.metrics.count("routerjax_reloads_total", outcome="failed")
            print(f"routerjax: {service.problem}", file=sys.stderr, flush=True)
            continue
        service.problem = None
        service.take_up(served)
        service.metrics.count("routerjax_reloads_total", outcome="taken up")
