"""What a request says: its query, and what it asks beside it."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from routerjax.artefacts.router import Router
from routerjax.data.columns.prompts import prompt_text
from routerjax.errors import InputError
from routerjax.serving.deciding import Asked

CHARACTERS_PER_TOKEN = 4


class Query(NamedTuple):
    """A query as it came: its text where it has one, its embedding, and whose it is."""

    text: str | None
    embedding: np.ndarray
    group: str | None


def query_of(router: Router, body: dict[str, Any], *, form: str | None) -> Query:
    """The query of a request: "embedding", "prompt" or "messages"; text is encoded here.

    Args:
      router: that is served.
      body: of the request.
      form: what becomes of a list of messages; None takes the form of the log that the router was
        fitted on.

    Raises:
      InputError: none of them or several, or what the router cannot take.
    """
    given = [name for name in ("embedding", "prompt", "messages") if body.get(name) is not None]
    if len(given) != 1:
        raise InputError("give one of prompt, messages and embedding")
    group = _text(body, "group")
    if given == ["embedding"]:
        values = router.checked(_row(body["embedding"]))
        return Query(None, values[0], group)
    text = prompt_text(body[given[0]], form=form or router.prompt_form)
    if text is None:
        raise InputError("the prompt is empty")
    if router.encoder is None:
        raise InputError(
            "this router was fitted on ready-made embeddings and cannot encode prompts; "
            f"give an embedding of {router.dimensions} numbers"
        )
    from routerjax.data.encoders.encoding import encode

    values = router.checked(encode([text], encoder=router.encoder, cache=None))
    return Query(text, values[0], group)


def asked_of(body: dict[str, Any]) -> Asked:
    """What a request that names a cost weight says beside its query.

    Raises:
      InputError: a cost weight that is no number, a budget or tokens that are not above 0, or
        names that are none.
    """
    weight, budget, models = body["cost_weight"], body.get("budget"), body.get("models")
    tokens, prompt = body.get("tokens"), body.get("prompt") or body.get("messages")
    if tokens is None and prompt:
        tokens = tokens_of(prompt)
    if not _is_number(weight):
        raise InputError("cost_weight must be a number")
    if budget is not None and not (_is_number(budget) and 0 < budget < math.inf):
        raise InputError("budget must be a number of dollars above 0")
    if models is not None:
        if not isinstance(models, list) or not all(isinstance(each, str) for each in models):
            raise InputError("models must be a list of names")
        models = tuple(models)
    if tokens is not None and not (_is_number(tokens) and 0 < tokens < math.inf):
        raise InputError("tokens must be a number above 0")
    own = None if budget is None else float(budget)
    return Asked(float(weight), models, _text(body, "tenant"), own, tokens)


def tokens_of(prompt: Any) -> float:
    """Tokens of a text or of messages, by a rule of thumb of four characters a token."""
    text = prompt if isinstance(prompt, str) else json.dumps(prompt, ensure_ascii=False)
    return len(text) / CHARACTERS_PER_TOKEN


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _row(values: Any) -> Any:
    if not isinstance(values, Sequence) or isinstance(values, str):
        raise InputError("embedding must be a list of numbers")
    return [list(values)]


def _text(body: dict[str, Any], name: str) -> str | None:
    value = body.get(name)
    if value is not None and not (isinstance(value, str) and len(value) <= 200):
        raise InputError(f"{name} must be text of at most 200 characters")
    return value or None
