"""An embeddings endpoint with the interface of OpenAI's, by its address.

``openai:MODEL@URL`` posts prompts to ``URL/embeddings``; without ``@URL`` that is OpenAI's own.
vLLM, Ollama, LiteLLM, text-embeddings-inference and others answer the same requests. A key is read
from the environment alone, and only when such an encoder is asked: ``ROUTERJAX_EMBEDDINGS_KEY``,
or for OpenAI's own address ``OPENAI_API_KEY``. It is sent to that address and nowhere else:
redirects are not followed.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from routerjax.data.encoders.encoder import Encoder
from routerjax.data.formats.arrow import first_line
from routerjax.errors import InputError

PREFIX = "openai:"
OPENAI = "https://api.openai.com/v1"
KEY, OPENAI_KEY = "ROUTERJAX_EMBEDDINGS_KEY", "OPENAI_API_KEY"
FORM = "an endpoint is openai:MODEL@http://host/v1, or openai:MODEL for OpenAI's own"
TRIES = 5  # of a request that may succeed later
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0  # seconds; every further wait is twice the one before
TIMEOUT = 60.0  # seconds for an answer
BATCH, CHARACTERS = 128, 200_000  # of one request at most
LATER = (408, 409, 425, 429, 500, 502, 503, 504)  # statuses after which another try makes sense
MOST_SAID = 160  # characters of what a server says


class Address(NamedTuple):
    """Where an encoder is asked.

    Attributes:
      model: its name there.
      url: up to the last part, ``embeddings``.
    """

    model: str
    url: str


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: it would carry the key elsewhere."""

    def redirect_request(self, *_: Any) -> None:
        return None


def is_address(encoder: str) -> bool:
    """Whether the name of an encoder is that of an endpoint."""
    return encoder.startswith(PREFIX)


def address_of(encoder: str) -> Address:
    """The model and the URL of ``openai:MODEL@URL``.

    Raises:
      InputError: another form, or a URL with a user, a password, a query or a fragment.
    """
    found = re.fullmatch(r"(?P<model>\S+?)(?:@(?P<url>https?://\S+))?", encoder[len(PREFIX) :])
    if found is None or "@http" in found["model"]:
        raise InputError(f"encoder '{encoder}' cannot be asked; {FORM}")
    url = (found["url"] or OPENAI).rstrip("/")
    parts = urllib.parse.urlsplit(url)
    if not parts.hostname or "@" in parts.netloc or parts.query or parts.fragment:
        raise InputError(f"encoder '{encoder}' has a URL of more than host and path; {FORM}")
    return Address(found["model"], url)


def load(encoder: str) -> Encoder:
    """The encoder that asks the endpoint; nothing is asked yet.

    Raises:
      InputError: not the name of an endpoint.
    """
    address = address_of(encoder)

    def embed(texts: list[str]) -> np.ndarray:
        # Servers refuse an empty text, and it has no token to make a vector of.
        rows = [row for row, text in enumerate(texts) if text.strip()]
        asked = [texts[row] for row in rows] or ["width"]
        values = np.concatenate([_asked(encoder, address, batch) for batch in _batches(asked)])
        out = np.zeros((len(texts), values.shape[1]), np.float32)
        if rows:
            out[rows] = values
        return out

    return Encoder(embed, chunk=BATCH)


def _batches(texts: list[str]) -> Iterator[list[str]]:
    """The texts in requests of at most `BATCH` texts and, where there are several, `CHARACTERS`."""
    batch: list[str] = []
    for text in texts:
        if batch and (len(batch) == BATCH or sum(map(len, batch)) + len(text) > CHARACTERS):
            yield batch
            batch = []
        batch.append(text)
    yield batch


def _asked(encoder: str, address: Address, texts: list[str]) -> np.ndarray:
    """[n, d] embeddings of one request, tried again while the server is busy."""
    body = {"model": address.model, "input": texts, "encoding_format": "float"}
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    key = _key(address)
    if key:
        headers["Authorization"] = f"Bearer {key}"
    url = f"{address.url}/embeddings"
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST")
    opener = urllib.request.build_opener(_Stay)
    wait = FIRST_WAIT
    for attempt in range(TRIES):
        last = attempt == TRIES - 1
        try:
            with opener.open(request, timeout=TIMEOUT) as answer:
                content = answer.read()
            break
        except urllib.error.HTTPError as error:
            with contextlib.closing(error):
                if error.code not in LATER or last:
                    raise _refused(encoder, url, error, key) from None
            asked_for = error.headers.get("Retry-After", "")
            pause = float(asked_for) if asked_for.isdigit() else wait
        except (OSError, http.client.HTTPException, ValueError) as error:
            if last:
                said = f"cannot be reached ({_reason(error)})"
                raise InputError(f"encoder '{encoder}': {url} {said}") from None
            pause = wait
        time.sleep(min(pause, LONGEST_WAIT))
        wait *= 2
    return _vectors(encoder, content, len(texts))


def _reason(error: BaseException) -> str:
    inner = getattr(error, "reason", None)
    return first_line(inner if isinstance(inner, BaseException) else error)


def _key(address: Address) -> str:
    own = os.environ.get(KEY, "")
    return own or (os.environ.get(OPENAI_KEY, "") if address.url == OPENAI else "")


def _refused(encoder: str, url: str, error: urllib.error.HTTPError, key: str) -> InputError:
    """The sentence for a status that is an error."""
    if error.code in (401, 403):
        name = OPENAI_KEY if url.startswith(OPENAI) else KEY
        state = "refuses the key in" if key else "wants a key; set"
        return InputError(f"encoder '{encoder}': {url} {state} {name} (status {error.code})")
    if 300 <= error.code < 400:
        return InputError(
            f"encoder '{encoder}': {url} redirects, which is not followed; give the final address"
        )
    said = _said(error, key)
    return InputError(f"encoder '{encoder}': {url} answers with status {error.code}{said}")


def _said(error: urllib.error.HTTPError, key: str) -> str:
    """What the server says of its error, short, on one line and without the key."""
    try:
        text = error.read(1 << 16).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException):
        return ""
    try:
        content = json.loads(text)
        inner = content.get("error", content)
        text = str(inner.get("message", inner) if isinstance(inner, dict) else inner)
    except (ValueError, AttributeError, RecursionError):
        pass
    if key:
        text = text.replace(key, "***")
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return f" ({text[:MOST_SAID]})" if text else ""


def _vectors(encoder: str, content: bytes, count: int) -> np.ndarray:
    """[n, d] of an answer, in the order of its indices.

    Raises:
      InputError: anything but one vector of finite numbers a text, all of one width.
    """
    try:
        data = json.loads(content)["data"]
        ordered = sorted(data, key=lambda each: each["index"])
        if [each["index"] for each in ordered] != list(range(count)):
            raise ValueError("not one vector a text")
        values = np.asarray([each["embedding"] for each in ordered], np.float64)
        if values.ndim != 2 or not values.shape[1] or not np.isfinite(values).all():
            raise ValueError("not finite numbers of one width")
    except (ValueError, TypeError, KeyError, IndexError, RecursionError) as error:
        reason = f"{type(error).__name__}: {first_line(error)}"
        raise InputError(
            f"encoder '{encoder}' answers with something else than {count} embeddings ({reason})"
        ) from None
    return values
