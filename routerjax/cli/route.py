"""`routerjax route`: a model for each prompt."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from routerjax.cli import gains
from routerjax.cli.app import Argument, Options, Parsed, add_command
from routerjax.cli.options import Prices, choose, option
from routerjax.cli.reading import changes, keep_compiled, print_json
from routerjax.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from cyclopts import App

    from routerjax.artefacts.router import Router
    from routerjax.artefacts.routes import Routes
    from routerjax.estimators.envelope import Envelope

TEXT = """Choose a model for each prompt.

One result is printed a line: the model, its expected quality and its expected cost in dollars.
After fit --gains it is the model, the primary's expected gain over the alternative and the model's
cost. A query whose best model the router's log does not tell of goes to the best supported one, and
its line ends in "fell back"; how many did is said at the end, on standard error.
"""


@dataclasses.dataclass(frozen=True)
class Routing:
    """What is routed, and how.

    Attributes:
      cost_weight: The quality given up per dollar, within the fitted range; any of 0 or more after
        fit --gains. Several are given as L,L,...; each line then starts with its cost weight.
      explain: The model of highest expected utility is printed for every cost weight.
      prompt: One prompt.
      prompts: A file of prompts: text of one a line, JSON lines, or a table with a column prompt;
        - is standard input.
      prompt_form: What becomes of a list of messages: the last-user turn, or the conversation. If
        it is not given, it is that of the log which the router was fitted to.
      available: The column of a file of prompts that names the models which can be chosen on a
        row, or names between commas that hold for every query. No other model is chosen.
      embeddings: Ready-made embeddings: a .npy file [n, d], or a file of rows with a column
        'embedding', such as the log.
      probabilities: The probabilities of all models are printed, too.
      trust_encoder: The router's text encoder is loaded although it is none of routerjax's own: a
        folder or a name of the hub, from which a model may bring code along.
      json: One JSON document is printed instead of text.
    """

    cost_weight: tuple[float, ...] | None = option(None, "L,L,...")
    explain: bool = False
    prompt: str | None = None
    prompts: str | None = option(None, "FILE")
    prompt_form: str | None = option(None, "last-user|conversation")
    available: str | None = option(None, "COLUMN|MODEL,...")
    embeddings: str | None = option(None, "FILE")
    probabilities: bool = False
    trust_encoder: bool = False
    json: bool = False


def add(app: App) -> None:
    """Add the command."""
    add_command(
        app,
        "route",
        handle,
        text=TEXT,
        arguments=[Argument("router", "The router folder that fit wrote, or hub:OWNER/NAME.")],
        groups=[Options("Routing", Routing()), Options("Prices", Prices())],
    )


def handle(parsed: Parsed) -> None:
    """Route the queries and print where they go."""
    keep_compiled()
    from routerjax.artefacts.folder import kind_of
    from routerjax.artefacts.hub import local_folder

    asked, named = parsed[Routing], parsed.arguments["router"]
    assert named is not None
    folder = local_folder(named)
    kind = kind_of(folder)
    _check(asked, kind, named)
    prices = changes(parsed[Prices])
    if kind == "gains":
        if prices:
            problem = "--price has no effect on a router of gains; give fit --gains other --costs"
            raise InputError(problem, source=named)
        assert asked.cost_weight is not None
        from routerjax.artefacts.gains import SavedGains

        pair = SavedGains.load(folder, trust_encoder=asked.trust_encoder)
        queries = _queries(asked, pair.prompt_form)
        gains.route(pair, queries, asked.cost_weight, json=asked.json)
        return
    from routerjax.artefacts.router import Router

    router = Router.load(folder, trust_encoder=asked.trust_encoder)
    router = router.with_prices(prices) if prices else router
    queries = _queries(asked, router.prompt_form)
    embedded = router.embed(queries)
    available = _available(asked, router, len(queries))
    routes: Sequence[Routes] = ()
    if asked.cost_weight:
        routes = router.route(embedded, cost_weight=asked.cost_weight, available=available)
    envelopes = router.explain(embedded, available=available) if asked.explain else None
    if asked.json:
        print_json(_as_json(routes, envelopes, router, asked))
    else:
        _print(routes, envelopes, router, asked)


def _available(
    asked: Routing, router: Router, rows: int
) -> list[str] | list[tuple[str, ...]] | None:
    """Names of the models that can be chosen, of every query or of each."""
    from routerjax.data.io.queries import read_available
    from routerjax.records.available import available_mask

    given = asked.available
    if given is None:
        return None
    if asked.prompts is not None:
        found = read_available(asked.prompts, given, models=router.models, rows=rows)
        if found is not None:
            try:
                available_mask(found, models=router.models, rows=rows)
            except InputError as error:
                raise InputError(
                    error.problem, source=asked.prompts, field=given, row=error.row
                ) from None
            return found
    names = [name.strip() for name in given.split(",") if name.strip()]
    try:
        available_mask(names, models=router.models, rows=rows)
    except InputError as error:
        source = "--available" if asked.prompts is None else f"--available {given}"
        beside = "" if asked.prompts is None else ", and the file has no such column"
        raise InputError(error.problem + beside, source=source) from None
    return names


def _check(asked: Routing, kind: str, folder: str) -> None:
    """Raise InputError where options do not go together, or with the router."""
    if kind == "gains" and asked.explain:
        raise InputError(
            "--explain has no effect on a router of gains: it takes the primary model where its "
            "gain exceeds the cost weight times the difference in cost"
        )
    if asked.cost_weight is None and not asked.explain or asked.cost_weight == ():
        raise InputError("give --cost-weight, or --explain for every cost weight")
    if asked.cost_weight is None and asked.probabilities:
        raise InputError("--probabilities are those at one --cost-weight; give it too")
    if kind == "gains" and asked.available is not None:
        problem = "--available has no effect on a router of gains, which is of two models"
        raise InputError(problem, source=folder)
    if kind == "gains" and asked.probabilities:
        problem = "--probabilities: a router of gains (fit --gains) has none"
        raise InputError(problem, source=folder)
    given = [asked.prompt, asked.prompts, asked.embeddings]
    if sum(each is not None for each in given) != 1:
        raise InputError("give one of --prompt, --prompts and --embeddings")
    choose(asked.prompt_form, ("last-user", "conversation"), "--prompt-form")


def _queries(asked: Routing, own_form: str) -> Sequence[str] | np.ndarray:
    """What is routed; messages in the form that was asked for, or the router's own."""
    from routerjax.data.columns.prompts import prompt_text
    from routerjax.data.io.queries import read_embeddings, read_prompts

    form = asked.prompt_form or own_form
    if asked.prompt is not None:
        text = prompt_text(asked.prompt, form=form)
        if text is None:
            raise InputError("--prompt is empty; a prompt is needed")
        return [text]
    if asked.prompts is not None:
        return read_prompts(asked.prompts, form=form)
    assert asked.embeddings is not None
    return read_embeddings(asked.embeddings)


def _print(
    routes: Sequence[Routes], envelopes: list[Envelope] | None, router: Router, asked: Routing
) -> None:
    from routerjax.reports.routes import explanation, fallbacks, route_lines

    lines = [route_lines(own, router.models, probabilities=asked.probabilities) for own in routes]
    for row in range(len(lines[0]) if lines else len(envelopes or ())):
        for own, line in zip(routes, lines, strict=True):
            before = f"{own.cost_weight:g}\t" if len(routes) > 1 else ""
            print(before + line[row])
        if envelopes is not None:
            alone = routes[0] if len(routes) == 1 else None
            chosen = None if alone is None else alone.models[row]
            at = None if alone is None else alone.cost_weight
            indent = "  " if routes else ""
            print(indent + explanation(envelopes[row], router.models, chosen, at))
    for own in routes:
        if said := fallbacks(own):
            print(said, file=sys.stderr)


def _as_json(
    routes: Sequence[Routes], envelopes: list[Envelope] | None, router: Router, asked: Routing
) -> dict[str, Any]:
    """One document; for several cost weights a list of what each alone would print."""
    explained = [_explained(envelope, router) for envelope in envelopes or ()]
    if not routes:
        results = [{"best_expected": each} for each in explained]
        return {"cost_weight": None, "routes": results}
    documents = [
        {"cost_weight": own.cost_weight, "routes": _rows(own, explained, router, asked)}
        for own in routes
    ]
    return documents[0] if len(documents) == 1 else {"cost_weights": documents}


def _rows(
    routes: Routes, explained: Sequence[Any], router: Router, asked: Routing
) -> list[dict[str, Any]]:
    rows = []
    for row, model in enumerate(routes.models):
        result: dict[str, Any] = {
            "model": model,
            "quality": routes.quality[row],
            "cost": routes.cost[row],
            "fell_back": bool(routes.fell_back[row]),
        }
        if asked.probabilities:
            values = routes.probabilities[row]
            result["probabilities"] = dict(zip(router.models, values, strict=True))
        if explained:
            result["best_expected"] = explained[row]
        rows.append(result)
    return rows


def _explained(envelope: Envelope, router: Router) -> list[dict[str, Any]]:
    arms, breaks = envelope
    ends = (*breaks, router.cost_weights[-1])
    return [
        {"model": router.models[arm], "to_cost_weight": end}
        for arm, end in zip(arms, ends, strict=True)
    ]
