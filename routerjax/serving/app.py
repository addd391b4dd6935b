"""The service over HTTP: /route, /feedback, /health, /metrics and /v1/chat/completions."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hmac
import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from routerjax.errors import InputError
from routerjax.serving import chat
from routerjax.serving.deciding import Served
from routerjax.serving.requests import Query, query_of
from routerjax.serving.service import Made, Service
from routerjax.serving.watching import EVERY, watch

Handler = Callable[[Service, Request], Awaitable[Response]]
QUERY = ("prompt", "messages", "embedding")
ASKED = (*QUERY, "cost_weight", "budget", "models", "tokens", "tenant", "group")
SAID = ("id", "quality", "cost")
LONGEST_ID = 64
LONGEST_WHOLE = 300
"""Digits of a whole number at most."""
CONNECTIONS = 1000


class Refused(Exception):
    """A request that gets an error: its status and one sentence."""

    def __init__(self, status: int, problem: str):
        super().__init__(problem)
        self.status, self.problem = status, problem


def make_app(
    service: Service,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
    look_every: float = EVERY,
) -> Starlette:
    """The application that serves a router.

    Args:
      service: the router with its log and upstreams.
      transport: of requests to upstreams; None goes over the network.
      look_every: seconds between two looks at the router folder.
    """

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        limits = httpx.Limits(max_connections=CONNECTIONS)
        async with httpx.AsyncClient(transport=transport, limits=limits, trust_env=False) as client:
            app.state.client = client
            watching = asyncio.create_task(watch(service, every=look_every))
            try:
                yield
            finally:
                watching.cancel()
                service.close()

    routes = [
        Route("/route", _guarded(service, _route), methods=["POST"]),
        Route("/feedback", _guarded(service, _feedback), methods=["POST"]),
        Route("/v1/chat/completions", _guarded(service, _chat), methods=["POST"]),
        Route("/v1/models", _guarded(service, _models), methods=["GET"]),
        Route("/metrics", _guarded(service, _metrics), methods=["GET"]),
        Route("/health", functools.partial(_health, service), methods=["GET"]),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


def _guarded(service: Service, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """A handler behind the token, whose refusals become JSON of one sentence."""

    async def guarded(request: Request) -> Response:
        try:
            _check_token(service, request)
            return await handler(service, request)
        except Refused as error:
            return _refusal(service, error.status, error.problem)
        except InputError as error:
            return _refusal(service, 422, error.problem)
        except ClientDisconnect:
            return Response(status_code=499)

    return guarded


def _refusal(service: Service, status: int, problem: str) -> Response:
    service.metrics.count("routerjax_refused_total", status=str(status))
    kind = "authentication_error" if status == 401 else "invalid_request_error"
    error = {"message": problem, "type": kind, "code": status}
    headers = {"www-authenticate": "Bearer"} if status == 401 else None
    return JSONResponse({"error": error}, status_code=status, headers=headers)


def _check_token(service: Service, request: Request) -> None:
    token = service.settings.token
    if token is None:
        return
    given = request.headers.get("authorization", "")
    if not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
        raise Refused(401, "a bearer token is needed, and this is none or another")


async def body_of(service: Service, request: Request) -> dict[str, Any]:
    """The JSON object of a request, of the size that is allowed.

    Raises:
      Refused: too large, or no object.
    """
    most, parts, size = service.settings.largest, [], 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise Refused(413, f"the request is larger than {most:,} bytes")
        parts.append(part)
    content = b"".join(parts)
    try:
        found = json.loads(content, parse_constant=_no_number, parse_int=_whole)
        if b"\\ud" in content.lower():  # half a character, which no log and no upstream could take
            json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise Refused(400, "the request is not JSON") from None
    if not isinstance(found, dict):
        raise Refused(400, "the request is no object of JSON")
    return found


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _whole(digits: str) -> int:
    """A whole number, if it is one that a float can hold."""
    if len(digits) > LONGEST_WHOLE:
        raise ValueError("a number of too many digits")
    return int(digits)


def _check_fields(body: dict[str, Any], known: tuple[str, ...]) -> None:
    """Refuse a field that is none: one that is misspelled would else be left out in silence."""
    for name in body:
        if name not in known:
            raise Refused(422, f"unknown field {name[:80]!r}; known are {', '.join(known)}")


async def queried(service: Service, served: Served, body: dict[str, Any]) -> Query:
    """The query of a request; text is encoded beside the requests of others."""
    form = service.settings.prompt_form
    if body.get("embedding") is not None:
        return query_of(served.router, body, form=form)
    return await run_in_threadpool(query_of, served.router, body, form=form)


async def _route(service: Service, request: Request) -> Response:
    body = await body_of(service, request)
    _check_fields(body, ASKED)
    served = service.served
    query = await queried(service, served, body)
    asked = service.asked(served, body)
    if service.upstreams is None and body.get("tokens") is not None:
        raise Refused(422, "tokens rule out upstreams, and none are served here (--upstreams)")
    if service.upstreams is not None and asked.tokens is not None:
        wanted = served.router.models if asked.models is None else asked.models
        asked = asked._replace(models=service.upstreams.that_take(wanted, asked.tokens))
    return JSONResponse(_answer(served, service.decide(served, query, asked)))


def _answer(served: Served, made: Made) -> dict[str, Any]:
    decision, models = made.decision, served.router.models
    arms = [arm for arm in range(len(models)) if decision.available[arm]]
    return {
        "id": made.id,
        "model": decision.model,
        "propensity": float(decision.propensities[decision.arm]),
        "expected_quality": float(decision.quality[decision.arm]),
        "expected_cost": float(decision.cost[decision.arm]),
        "cost_weight": decision.cost_weight,
        "probabilities": {models[arm]: float(decision.propensities[arm]) for arm in arms},
        "preferred": models[decision.preferred],
        "explored": decision.arm != decision.preferred,
        "fell_back": decision.fell_back,
        "router": made.fingerprint,
        "logged": made.logged,
    }


async def _feedback(service: Service, request: Request) -> Response:
    if service.log is None:
        raise Refused(409, "this service keeps no decision log (serve --log)")
    body = await body_of(service, request)
    _check_fields(body, SAID)
    name, known = body.get("id"), {}
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_ID:
        raise Refused(422, "id must be that of a decision")
    low, high = service.served.router.quality_range
    for field, least, most in (("quality", low, high), ("cost", 0.0, math.inf)):
        value = body.get(field)
        if value is None:
            continue
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise Refused(422, f"{field} must be a number")
        if not least <= value <= most or math.isinf(value):
            service.metrics.count("routerjax_feedback_total", outcome="out of range")
            upto = f"and at most {most:g}" if math.isfinite(most) else "and finite"
            raise Refused(422, f"{field} is {value:g}; it must be at least {least:g} {upto}")
        known[field] = float(value)
    if not known:
        raise Refused(422, "give quality, cost or both")
    is_own = service.knows(name)
    logged = service.note("feedback", id=name, **known)
    if "cost" in known:
        service.charge(name, known["cost"])
    service.metrics.count("routerjax_feedback_total", outcome="known" if is_own else "elsewhere")
    status = 200 if logged else 503
    return JSONResponse({"id": name, "known": is_own, "logged": logged}, status_code=status)


async def _chat(service: Service, request: Request) -> Response:
    if service.upstreams is None:
        raise Refused(404, "no upstreams are served here (serve --upstreams FILE.toml)")
    body = await body_of(service, request)
    served = service.served
    own = chat.own_fields(body, request.headers)
    query = await queried(service, served, {**own, "messages": body.get("messages")})
    asked = service.asked(served, own)
    asked = asked._replace(models=chat.able(service, served, body, asked.models))
    made = service.decide(served, query, asked)
    return await chat.complete(service, served, request.app.state.client, body, made)


async def _models(service: Service, request: Request) -> Response:
    del request
    entry = {"id": chat.NAME, "object": "model", "created": 0, "owned_by": "routerjax"}
    return JSONResponse({"object": "list", "data": [entry]})


async def _metrics(service: Service, request: Request) -> Response:
    del request
    gauges = {"routerjax_cost_weight": service.settings.cost_weight}
    if service.pacer is not None:
        gauges["routerjax_cost_weight"] = service.pacer.cost_weight(service.clock())
    kind = "text/plain; version=0.0.4; charset=utf-8"
    return PlainTextResponse(service.metrics.text(gauges), media_type=kind)


async def _health(service: Service, request: Request) -> Response:
    """Serving, and what is the matter where something is; never more than that."""
    del request
    log = None if service.log is None else service.log.problem
    problems = [each for each in (log, service.problem) if each]
    status = "degraded" if problems else "ok"
    found = {"status": status, "router": service.served.fingerprint, "problems": problems}
    return JSONResponse(found)
