"""What an upstream answers: something to pass on, or a failure after which another one is asked.

An answer is logged and counted here, with what it cost.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import httpx
from starlette.responses import Response

from routerjax.serving.service import Made, Service
from routerjax.serving.upstreams import Upstream

LARGEST = 1 << 26
"""Bytes of an answer in one piece at most."""


class Failed(NamedTuple):
    """An upstream that failed: what the client gets if no other one answers."""

    outcome: str
    status: int
    content: bytes
    kind: str
    retry_after: str | None = None


def request_to(
    upstream: Upstream, client: httpx.AsyncClient, body: dict[str, Any]
) -> httpx.Request:
    """The request of a client as an upstream gets it: its own name of the model, and its key."""
    headers = {} if upstream.key is None else {"authorization": f"Bearer {upstream.key}"}
    return client.build_request(
        "POST",
        f"{upstream.url}/chat/completions",
        json={**body, "model": upstream.model},
        headers=headers,
        timeout=upstream.timeout,
    )


async def whole(answer: httpx.Response) -> bytes | None:
    """The body of an answer, or None where it is too large to be one."""
    parts, size = [], 0
    try:
        async for part in answer.aiter_bytes():
            size += len(part)
            if size > LARGEST:
                return None
            parts.append(part)
    finally:
        await answer.aclose()
    return b"".join(parts)


def refused(
    service: Service,
    made: Made,
    name: str,
    answer: httpx.Response,
    content: bytes,
    headers: dict[str, str],
) -> Response | Failed:
    """An upstream's error: another model is asked, unless the request itself is at fault."""
    status = answer.status_code
    kind = answer.headers.get("content-type", "application/json")
    if status == 429 or status >= 500:
        return Failed(f"status {status}", status, content, kind, answer.headers.get("retry-after"))
    answered(service, made, name, None, outcome=f"status {status}")
    return Response(content, status, headers=headers, media_type=kind)


def unreached(error: httpx.HTTPError, name: str) -> Failed:
    """An upstream that said nothing, or broke off."""
    if isinstance(error, httpx.TimeoutException):
        return failure("timeout", 504, f"the upstream of {name} did not answer in time")
    return failure("unreached", 502, f"the upstream of {name} cannot be reached")


def failure(outcome: str, status: int, problem: str) -> Failed:
    """A failure in a sentence of ours."""
    content = {"error": {"message": problem, "type": "upstream_error", "code": status}}
    return Failed(outcome, status, json.dumps(content).encode(), "application/json")


def answered(
    service: Service, made: Made, name: str, cost: float | None, *, outcome: str = "ok"
) -> None:
    """Log and count an answer."""
    known = {} if cost is None else {"cost": cost}
    service.note("answer", id=made.id, model=name, outcome=outcome, **known)
    if cost is not None:
        service.charge(made.id, cost)
    service.metrics.count("routerjax_answers_total", model=name, outcome=outcome)


def parsed(text: str | bytes) -> dict[str, Any] | None:
    """A completion or a piece of one: an object of JSON with `choices`. None where it is none;
    NaN and Infinity are no numbers of JSON."""
    try:
        found = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("choices"), list) else None


def encoded(found: dict[str, Any]) -> bytes:
    """JSON in UTF-8; half a character, which UTF-8 cannot hold, stays an escape."""
    try:
        return json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(found).encode()


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")
