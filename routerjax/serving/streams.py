"""Answers that stream are passed on line by line, with the chosen model in each piece.

Once a piece has passed there is no falling back. What comes before the first one, as comments that
keep a connection alive, is held back until then.

What a stream cost is told by its last piece, and only to those who ask for it: where the prices of
an upstream are known it is asked, and the piece passes only if the client had asked as well.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import httpx
from starlette.responses import Response, StreamingResponse

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
from routerjax.serving.service import Made, Service
from routerjax.serving.upstreams import Upstream

LONGEST_HEAD = 1000
"""Lines before the first piece at most."""
DONE = "[DONE]"


class Piece(NamedTuple):
    """A line of a stream as it passes on, empty where it does not, and the usage it tells of."""

    content: bytes
    usage: Any = None


async def stream(
    service: Service,
    client: httpx.AsyncClient,
    upstream: Upstream,
    body: dict[str, Any],
    name: str,
    made: Made,
    headers: dict[str, str],
) -> Response | Failed:
    """Ask an upstream for a stream; a `Failed` where no piece of an answer comes."""
    asking, is_hidden = with_usage(body, upstream)
    try:
        answer = await client.send(request_to(upstream, client, asking), stream=True)
        if answer.status_code >= 400:
            return refused(service, made, name, answer, await whole(answer) or b"", headers)
    except httpx.HTTPError as error:
        return unreached(error, name)
    if "text/event-stream" not in answer.headers.get("content-type", ""):
        await answer.aclose()
        return failure("garbage", 502, f"the upstream of {name} answered no stream of events")
    lines = answer.aiter_lines()
    try:
        head = await _head(lines)
    except httpx.HTTPError as error:
        await answer.aclose()
        return unreached(error, name)
    if head is None:
        await answer.aclose()
        return failure("garbage", 502, f"the upstream of {name} streamed no piece of an answer")

    async def passed() -> AsyncIterator[bytes]:
        usage, outcome = None, "cut"
        try:
            for line in head:
                piece = relayed(line, name, is_hidden=is_hidden)
                usage = piece.usage or usage
                yield piece.content
            async for line in lines:
                piece = relayed(line, name, is_hidden=is_hidden)
                usage = piece.usage or usage
                if piece.content:
                    yield piece.content
            outcome = "ok"
        except httpx.HTTPError as error:
            content = unreached(error, name).content.decode()
            yield f"data: {content}\n\ndata: {DONE}\n\n".encode()
        finally:
            await answer.aclose()
            answered(service, made, name, upstream.cost(usage), outcome=outcome)

    return StreamingResponse(passed(), headers=headers, media_type="text/event-stream")


def with_usage(body: dict[str, Any], upstream: Upstream) -> tuple[dict[str, Any], bool]:
    """A request that asks for the tokens used, where they tell the cost, and whether the client
    had not asked for them."""
    options = body.get("stream_options")
    options = options if isinstance(options, dict) else {}
    is_priced = upstream.input is not None and upstream.output is not None
    if not (is_priced and upstream.stream_usage) or options.get("include_usage") is True:
        return body, False
    return {**body, "stream_options": {**options, "include_usage": True}}, True


def relayed(line: str, name: str, *, is_hidden: bool) -> Piece:
    """A line as it passes on: the chosen model in its `model`; `is_hidden` the usage alone is."""
    found = parsed(_data(line) or "")
    if found is None:
        return Piece(f"{line}\n".encode())
    usage = found.get("usage")
    if is_hidden and usage and not found["choices"]:
        return Piece(b"", usage)
    return Piece(b"data: " + encoded({**found, "model": name}) + b"\n", usage)


async def _head(lines: AsyncIterator[str]) -> list[str] | None:
    """The lines up to the first piece of an answer; None where what comes first is none."""
    found: list[str] = []
    async for line in lines:
        found.append(line)
        data = _data(line)
        if data is not None:
            return found if data == DONE or parsed(data) is not None else None
        if len(found) > LONGEST_HEAD:
            return None
    return None


def _data(line: str) -> str | None:
    """What a line of data holds; None where it is another one."""
    return line.removeprefix("data:").strip() if line.startswith("data:") else None
