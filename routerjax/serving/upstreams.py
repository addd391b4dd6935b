"""Where models are served: a TOML file of OpenAI-compatible upstreams, prices and a fallback order.

[models."gpt-4o"]
url = "https://api.openai.com/v1"
model = "gpt-4o-2024-08-06"     # its name there; the same where it is left out
key_env = "OPENAI_API_KEY"      # the variable that holds the key; no key stands in the file
input = 2.5                     # US dollars per million tokens of the prompt
output = 10.0                   # and of the answer
timeout = 60                    # seconds without a byte
context = 128000                # tokens that prompt and answer may have together
stream_usage = true             # a stream is asked for its cost; false where that is refused

[fallback]
order = ["gpt-4o", "mixtral"]   # asked in turn where a model's upstream fails
"""

from __future__ import annotations

import math
import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from routerjax.errors import InputError

FIELDS = ("url", "model", "key_env", "input", "output", "timeout", "context", "stream_usage")
TIMEOUT = 60.0


class Upstream(NamedTuple):
    """Where a model is served.

    Attributes:
      url: of the API, to which ``/chat/completions`` is added.
      model: its name there.
      key: sent as a bearer token; None where none is needed.
      input, output: US dollars per million tokens; None where the price is not known.
      timeout: seconds without a byte after which it has failed.
      context: tokens that a prompt and its answer may have together; None sets no limit.
      stream_usage: Whether a stream may be asked for the tokens that it used.
    """

    url: str
    model: str
    key: str | None
    input: float | None
    output: float | None
    timeout: float
    context: int | None
    stream_usage: bool = True

    def cost(self, usage: Any) -> float | None:
        """US dollars of the tokens that an answer says it used; None where that is not known."""
        if not isinstance(usage, dict) or self.input is None or self.output is None:
            return None
        asked, answered = usage.get("prompt_tokens"), usage.get("completion_tokens")
        if not isinstance(asked, int) or not isinstance(answered, int) or min(asked, answered) < 0:
            return None
        return (asked * self.input + answered * self.output) / 1e6

    def takes(self, tokens: float) -> bool:
        """Whether a prompt and its answer of so many tokens together fit the context."""
        return self.context is None or tokens <= self.context


class Upstreams(NamedTuple):
    """All of them.

    Attributes:
      models: routerjax's name of a model to its upstream.
      order: models that are asked in turn where one fails.
    """

    models: Mapping[str, Upstream]
    order: Sequence[str]

    def after(self, model: str, allowed: Sequence[str]) -> list[str]:
        """The model, then those of the fallback order that may answer in its place."""
        others = [name for name in self.order if name != model and name in allowed]
        return [model, *others]

    def that_take(self, names: Sequence[str], tokens: float) -> tuple[str, ...]:
        """Those whose context so many tokens fit. Of a model without an upstream, which whoever
        asked for a route asks himself, no context is known: it stays.

        Raises:
          InputError: there is none.
        """
        own = self.models
        found = [name for name in names if name not in own or own[name].takes(tokens)]
        if not found:
            raise InputError(f"no model's context holds {tokens:,.0f} tokens")
        return tuple(found)


def read_upstreams(path: str | os.PathLike[str]) -> Upstreams:
    """Read a file of upstreams; keys come from the environment alone.

    Raises:
      InputError: a file that cannot be read, a field that is none or has no such value, a key in
        the file, or a variable that is not set.
    """
    try:
        text = Path(path).expanduser().read_text(encoding="utf-8")
        found = tomllib.loads(text)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise InputError(f"cannot be read ({reason})", source=str(path)) from None
    strange = sorted(found.keys() - {"models", "fallback"})
    if strange:
        problem = f"holds {strange[0]!r}; there may be [models.NAME] and [fallback]"
        raise InputError(problem, source=str(path))
    models = found.get("models")
    if not isinstance(models, dict) or not models:
        raise InputError('no model is named; an entry is [models."gpt-4o"]', source=str(path))
    known = {name: _upstream(name, entry, str(path)) for name, entry in models.items()}
    fallback = found.get("fallback", {})
    order = fallback.get("order", []) if isinstance(fallback, dict) else None
    if not isinstance(order, list) or set(fallback) - {"order"}:
        raise InputError("[fallback] holds order = [NAME, ...] alone", source=str(path))
    for name in order:
        if name not in known:
            raise InputError(f"the fallback {name!r} is none of its models", source=str(path))
    return Upstreams(known, tuple(order))


def _upstream(name: str, entry: Any, source: str) -> Upstream:
    def fail(problem: str) -> InputError:
        return InputError(problem, source=source, field=name)

    if not isinstance(entry, dict):
        raise fail("must be a table with url")
    for field in entry:
        if field not in FIELDS:
            hint = " (a key is never written here: key_env names its variable)"
            said = f"unknown {field!r}; known are {', '.join(FIELDS)}"
            raise fail(said + (hint if "key" in field or "token" in field else ""))
    url = entry.get("url")
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        raise fail('needs a url such as "https://api.openai.com/v1"')
    try:
        httpx.URL(url).host.encode()
    except httpx.InvalidURL as error:
        raise fail(f"{url[:80]!r} is no url ({error})") from None
    model, variable = entry.get("model", name), entry.get("key_env")
    if not isinstance(model, str) or not isinstance(variable, str | None):
        raise fail("model and key_env must be text")
    key = None
    if variable is not None:
        key = os.environ.get(variable)
        if not key:
            raise fail(f"the variable {variable} is not set")
    numbers: dict[str, float | None] = {}
    for field in ("input", "output", "timeout", "context"):
        value = entry.get(field)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if value is not None and not (is_number and math.isfinite(value) and value >= 0):
            raise fail(f"{field} must be a number, 0 or more")
        numbers[field] = value
    context, stream_usage = numbers["context"], entry.get("stream_usage", True)
    if not isinstance(stream_usage, bool):
        raise fail("stream_usage must be true or false")
    return Upstream(
        url=url.rstrip("/"),
        model=model,
        key=key,
        input=numbers["input"],
        output=numbers["output"],
        timeout=numbers["timeout"] or TIMEOUT,
        context=None if context is None else int(context),
        stream_usage=stream_usage,
    )
