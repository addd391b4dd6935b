"""Chat completions: the drawn model's upstream is asked, and after it the fallback order.

What an upstream says passes through: an answer with the chosen model in its `model`, an error with
its status and its body, a stream line by line. An upstream has failed where it cannot be reached,
says nothing for its timeout, answers 429 or 5xx, or what is no completion; then the next of the
fallback order is asked, and the log says that it was not the drawn one that answered.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
from starlette.responses import Response

from routerjax.errors import InputError
from routerjax.serving.answers import (
    Failed,
    answered,
    encoded,
    failure,
    parsed,
    refused,
    request_to,
    unreached,
    whole,
)
from routerjax.serving.deciding import Served
from routerjax.serving.requests import tokens_of
from routerjax.serving.service import Made, Service
from routerjax.serving.streams import stream
from routerjax.serving.upstreams import Upstream

NAME = "routerjax"
"""The model that a request asks for."""
NUMBERS = ("cost_weight", "budget")
HEADERS = {name: f"x-routerjax-{name.replace('_', '-')}" for name in (*NUMBERS, "tenant", "group")}


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
    limit = body.get("max_completion_tokens", body.get("max_tokens"))
    tokens = tokens_of(body.get("messages")) + (limit if isinstance(limit, int) else 0)
    wanted = served.router.models if models is None else models
    found = [name for name in wanted if name in known and known[name].takes(tokens)]
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
        ask = stream if body.get("stream") is True else _once
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
        answer = await client.send(request_to(upstream, client, body), stream=True)
        content = await whole(answer)
    except httpx.HTTPError as error:
        return unreached(error, name)
    if content is None:
        return failure("garbage", 502, f"the upstream of {name} answered too much")
    if answer.status_code >= 400:
        return refused(service, made, name, answer, content, headers)
    found = parsed(content)
    if found is None:
        return failure("garbage", 502, f"the upstream of {name} answered what is no completion")
    answered(service, made, name, upstream.cost(found.get("usage")))
    own = encoded({**found, "model": name})
    return Response(own, headers=headers, media_type="application/json")
