"""Chat completions: the drawn model's upstream is asked, and after it the fallback order.

What an upstream says passes through: an answer with the chosen model in its `model`, an error with
its status and its body, a stream line by line. An upstream has failed where it cannot be reached,
says nothing for its timeout, answers 429 or 5xx, or answers what is no JSON; then the next of the
fallback order is asked, and the log says that it was not the drawn one that answered.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any, NamedTuple

import httpx
from starlette.responses import JSONResponse, Response, StreamingResponse

from routerjax.errors import InputError
from routerjax.serving.deciding import Served
from routerjax.serving.service import Made, Service
from routerjax.serving.upstreams import Upstream

NAME = "routerjax"
"""The model that a request asks for."""
NUMBERS = ("cost_weight", "budget")
HEADERS = {name: f"x-routerjax-{name.replace('_', '-')}" for name in (*NUMBERS, "tenant", "group")}
LARGEST_ANSWER = 1 << 26
"""Bytes of an answer in one piece at most."""


class Failed(NamedTuple):
    """An upstream that failed: what the client gets if no other one answers."""

    outcome: str
    status: int
    content: bytes
    kind: str
    retry_after: str | None = None


def own_fields(body: dict[str, Any], headers: Mapping[str, str]) -> dict[str, Any]:
    """What a chat request says to routerjax: an object "routerjax", which no upstream sees, or
    headers.

    Raises:
      InputError: another model is asked for, or a field that is none.
    """
    if body.get("model") != NAME:
        raise InputError(f'model must be "{NAME}", which chooses one')
    own = body.pop(NAME, {})
    if not isinstance(own, dict) or set(own) - {*HEADERS, "models"}:
        known = ", ".join((*HEADERS, "models"))
        raise InputError(f'"{NAME}" must be an object of {known}')
    found = dict(own)
    for field, header in HEADERS.items():
        if header in headers and field not in found:
            found[field] = headers[header]
    for field in NUMBERS:
        if isinstance(found.get(field), str):
            try:
                found[field] = float(found[field])
            except ValueError:
                raise InputError(f"{field} must be a number") from None
    return found


def able(
    service: Service, served: Served, body: dict[str, Any], models: tuple[str, ...] | None
) -> tuple[str, ...]:
    """The models that have an upstream whose context the request fits.

    Raises:
      InputError: there is none.
    """
    assert service.upstreams is not None
    known = service.upstreams.models
    characters = len(json.dumps(body.get("messages"), ensure_ascii=False))
    limit = body.get("max_completion_tokens", body.get("max_tokens"))
    answer = limit if isinstance(limit, int) else 0
    wanted = served.router.models if models is None else models
    found = [name for name in wanted if name in known and known[name].takes(characters, answer)]
    if not found:
        raise InputError("no model of the router has an upstream that could take this request")
    return tuple(found)


async def complete(
    service: Service, served: Served, client: httpx.AsyncClient, body: dict[str, Any], made: Made
) -> Response:
    """Ask the drawn model's upstream, then those of the fallback order; the first answer counts."""
    assert service.upstreams is not None
    drawn, models = made.decision.model, served.router.models
    allowed = [models[arm] for arm in range(len(models)) if made.decision.available[arm]]
    failed = None
    for name in service.upstreams.after(drawn, allowed):
        upstream = service.upstreams.models[name]
        headers = {
            "x-routerjax-id": made.id,
            "x-routerjax-model": name,
            "x-routerjax-drawn": drawn,
            "x-routerjax-propensity": repr(float(made.decision.propensities[made.decision.arm])),
        }
        ask = _stream if body.get("stream") is True else _once
        found = await ask(service, client, upstream, body, name, made, headers)
        if isinstance(found, Response):
            if name != drawn:
                service.metrics.count("routerjax_fallbacks_total", drawn=drawn, model=name)
            return found
        service.metrics.count("routerjax_answers_total", model=name, outcome=found.outcome)
        service.note("failure", id=made.id, model=name, outcome=found.outcome)
        failed = failed or (found, headers)
    assert failed is not None
    own, headers = failed
    if own.retry_after is not None:
        headers["retry-after"] = own.retry_after
    return Response(own.content, own.status, headers=headers, media_type=own.kind)


def _request(client: httpx.AsyncClient, upstream: Upstream, body: dict[str, Any]) -> httpx.Request:
    headers = {} if upstream.key is None else {"authorization": f"Bearer {upstream.key}"}
    return client.build_request(
        "POST",
        f"{upstream.url}/chat/completions",
        json={**body, "model": upstream.model},
        headers=headers,
        timeout=upstream.timeout,
    )


async def _once(
    service: Service,
    client: httpx.AsyncClient,
    upstream: Upstream,
    body: dict[str, Any],
    name: str,
    made: Made,
    headers: dict[str, str],
) -> Response | Failed:
    """An answer in one piece."""
    try:
        answer = await client.send(_request(client, upstream, body), stream=True)
        content = await _content(answer)
    except httpx.HTTPError as error:
        return _unreached(error, name)
    if content is None:
        return _error("garbage", 502, f"the upstream of {name} answered too much")
    if answer.status_code >= 400:
        return _refused(service, made, name, answer, content, headers)
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("choices"), list):
        return _error("garbage", 502, f"the upstream of {name} answered what is no completion")
    _answered(service, made, name, upstream.cost(found.get("usage")))
    return JSONResponse({**found, "model": name}, headers=headers)


async def _stream(
    service: Service,
    client: httpx.AsyncClient,
    upstream: Upstream,
    body: dict[str, Any],
    name: str,
    made: Made,
    headers: dict[str, str],
) -> Response | Failed:
    """An answer line by line: once the first one has passed there is no falling back."""
    try:
        answer = await client.send(_request(client, upstream, body), stream=True)
    except httpx.HTTPError as error:
        return _unreached(error, name)
    if answer.status_code >= 400:
        try:
            content = await _content(answer)
        except httpx.HTTPError as error:
            return _unreached(error, name)
        return _refused(service, made, name, answer, content or b"", headers)
    if "text/event-stream" not in answer.headers.get("content-type", ""):
        await answer.aclose()
        return _error("garbage", 502, f"the upstream of {name} answered no stream of events")
    lines = answer.aiter_lines()
    try:
        first = await anext(lines, None)
    except httpx.HTTPError as error:
        await answer.aclose()
        return _unreached(error, name)
    if first is None:
        await answer.aclose()
        return _error("garbage", 502, f"the upstream of {name} ended its stream at once")

    async def passed() -> AsyncIterator[bytes]:
        usage, outcome = None, "cut"
        try:
            yield _relayed(first, name)[0]
            async for line in lines:
                sent, own = _relayed(line, name)
                usage = own or usage
                yield sent
            outcome = "ok"
        except httpx.HTTPError as error:
            content = _unreached(error, name).content.decode()
            yield f"data: {content}\n\ndata: [DONE]\n\n".encode()
        finally:
            await answer.aclose()
            _answered(service, made, name, upstream.cost(usage), outcome=outcome)

    return StreamingResponse(passed(), headers=headers, media_type="text/event-stream")


async def _content(answer: httpx.Response) -> bytes | None:
    """The body of an answer, or None where it is too large to be one."""
    parts, size = [], 0
    try:
        async for part in answer.aiter_bytes():
            size += len(part)
            if size > LARGEST_ANSWER:
                return None
            parts.append(part)
    finally:
        await answer.aclose()
    return b"".join(parts)


def _refused(
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
    _answered(service, made, name, None, outcome=f"status {status}")
    return Response(content, status, headers=headers, media_type=kind)


def _relayed(line: str, name: str) -> tuple[bytes, Any]:
    """A line of a stream with the chosen model in its `model`, and the usage it tells of."""
    data = line.removeprefix("data:").strip()
    if not line.startswith("data:") or data == "[DONE]":
        return f"{line}\n".encode(), None
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return f"{line}\n".encode(), None
    if not isinstance(found, dict):
        return f"{line}\n".encode(), None
    text = json.dumps({**found, "model": name}, ensure_ascii=False)
    return f"data: {text}\n".encode(), found.get("usage")


def _answered(
    service: Service, made: Made, name: str, cost: float | None, *, outcome: str = "ok"
) -> None:
    """Log and count an answer."""
    known = {} if cost is None else {"cost": cost}
    service.note("answer", id=made.id, model=name, outcome=outcome, **known)
    if cost is not None:
        service.charge(made.id, cost)
    service.metrics.count("routerjax_answers_total", model=name, outcome=outcome)


def _unreached(error: httpx.HTTPError, name: str) -> Failed:
    if isinstance(error, httpx.TimeoutException):
        return _error("timeout", 504, f"the upstream of {name} did not answer in time")
    return _error("unreached", 502, f"the upstream of {name} cannot be reached")


def _error(outcome: str, status: int, problem: str) -> Failed:
    content = {"error": {"message": problem, "type": "upstream_error", "code": status}}
    return Failed(outcome, status, json.dumps(content).encode(), "application/json")
