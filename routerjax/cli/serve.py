"""`routerjax serve`: a router as an HTTP service."""

from __future__ import annotations

import dataclasses
import os
import sys
from typing import TYPE_CHECKING

from routerjax.cli.app import Argument, Options, Parsed, add_command
from routerjax.cli.options import choose, option
from routerjax.cli.reading import keep_compiled
from routerjax.errors import InputError

if TYPE_CHECKING:
    from cyclopts import App

    from routerjax.serving.service import Settings

TEXT = """Serve a router over HTTP.

POST /route takes a prompt, messages or an embedding and says which model is to answer; POST
/feedback takes what came of it; POST /v1/chat/completions asks the model itself; GET /health and
GET /metrics say how the service is. A router that is written into the folder meanwhile is taken up
without a request lost.
"""


def forbidden(text: str) -> tuple[tuple[str, str], ...]:
    """``"bank=gpt-4,*=mistral"`` as pairs of a tenant and a model."""
    pairs = []
    for part in text.split(","):
        tenant, equals, model = (piece.strip() for piece in part.partition("="))
        if not (tenant and equals and model):
            raise InputError(f"'{part}' is not TENANT=MODEL, as in bank=gpt-4 or *=mistral")
        pairs.append((tenant, model))
    return tuple(pairs)


def model_share(text: str) -> tuple[str, float]:
    """``"gpt-4=0.2"`` as ("gpt-4", 0.2)."""
    model, equals, share = (piece.strip() for piece in text.rpartition("="))
    try:
        if model and equals:
            return model, float(share)
    except ValueError:
        pass
    raise InputError(f"'{text}' is not MODEL=SHARE, as in gpt-4=0.2")


def model_shares(text: str) -> tuple[tuple[str, float], ...]:
    """``"gpt-6=0.05,mixtral=0.1"`` as pairs of a model and a share."""
    found = tuple(model_share(part) for part in text.split(","))
    for name, _ in found:
        if [each for each, _ in found].count(name) > 1:
            raise InputError(f"'{name}' is named twice")
    return found


@dataclasses.dataclass(frozen=True)
class Serving:
    """Where and what is served.

    Attributes:
      host: The address to bind. Other machines reach the service only if this is told.
      port: The port; 0 takes a free one.
      token_env: The environment variable that holds a bearer token, which every request but
        /health must then carry.
      max_bytes: The largest request.
      upstreams: A TOML file of OpenAI-compatible upstreams, for /v1/chat/completions.
      only: The models that are offered, of the router's.
      exclude: Models that are not offered.
      prompt_form: What becomes of a list of messages: the last-user turn, or the conversation; by
        default as in the log that the router was fitted to.
      trust_encoder: The router's text encoder is loaded although it is none of routerjax's own.
    """

    host: str = "127.0.0.1"
    port: int = 8787
    token_env: str | None = option(None, "NAME")
    max_bytes: int = option(1 << 20, "BYTES")
    upstreams: str | None = option(None, "FILE.toml")
    only: tuple[str, ...] = option((), "MODEL,...")
    exclude: tuple[str, ...] = option((), "MODEL,...")
    prompt_form: str | None = option(None, "last-user|conversation")
    trust_encoder: bool = False


@dataclasses.dataclass(frozen=True)
class Spending:
    """What answers may cost.

    Attributes:
      cost_weight: The quality given up per dollar where a request names no cost weight.
      budget: Dollars per query on average, from which the cost weight is calibrated.
      share: The share of the queries that may go to a model, from which it is calibrated instead.
      calibrate: The log on which it is: a decision log, or a file that fit reads as it is.
      daily_budget: Dollars a day, which a pacer holds by moving the cost weight from there.
    """

    cost_weight: float | None = option(None, "L")
    budget: float | None = option(None, "DOLLARS")
    share: tuple[str, float] | None = option(None, "MODEL=SHARE", model_share)
    calibrate: str | None = option(None, "LOG")
    daily_budget: float | None = option(None, "DOLLARS")


@dataclasses.dataclass(frozen=True)
class Exploration:
    """How other models than the router's choice are tried, with probabilities that are logged.

    Attributes:
      explore: The share of the queries that is spread evenly over the models.
      explore_by: What explores beside that share: nothing ("floor"), or Thompson sampling over the
        members of a router of networks ("members") or over draws from the posterior of a plug-in
        router that refit wrote ("posterior").
      explore_within: Only models are explored whose expected quality is at most this much below
        that of the choice.
      explore_dollars: Dollars a day that exploration may add to the expected cost.
      newcomer: Models that routerjax newcomer added, each with the share of the queries that it
        gets until a router fitted on its answers is in service.
      forbid: Models that a tenant is never given, as TENANT=MODEL,...; the tenant * is all.
    """

    explore: float = option(0.03, "SHARE")
    explore_by: str = option("floor", "floor|members|posterior")
    explore_within: float | None = option(None, "QUALITY")
    explore_dollars: float | None = option(None, "DOLLARS")
    newcomer: tuple[tuple[str, float], ...] = option((), "MODEL=SHARE,...", model_shares)
    forbid: tuple[tuple[str, str], ...] = option((), "TENANT=MODEL,...", forbidden)


@dataclasses.dataclass(frozen=True)
class Logging:
    """What is written down.

    Attributes:
      log: The folder of the decision log, which `fit` reads as it is. Several servers may share it.
      log_prompts: The log holds the text of prompts. Without this it is written nowhere.
      log_digests: The log holds digests of embeddings in place of the embeddings; such a log can
        be counted but not fitted.
    """

    log: str | None = option(None, "LOGDIR")
    log_prompts: bool = False
    log_digests: bool = False


def add(app: App) -> None:
    """Add the command."""
    add_command(
        app,
        "serve",
        handle,
        text=TEXT,
        arguments=[Argument("router", "The router folder that fit wrote.")],
        groups=[
            Options("Serving", Serving()),
            Options("Spending", Spending()),
            Options("Exploration", Exploration()),
            Options("Log", Logging()),
        ],
    )


def handle(parsed: Parsed) -> None:
    """Serve until the process is ended."""
    check_installed()
    keep_compiled()
    from routerjax.serving.running import run
    from routerjax.serving.service import Service
    from routerjax.serving.upstreams import read_upstreams

    asked, spending, logging = parsed[Serving], parsed[Spending], parsed[Logging]
    if logging.log is None and (logging.log_prompts or logging.log_digests):
        raise InputError("--log-prompts and --log-digests have no effect without --log")
    folder = parsed.arguments["router"]
    settings = settings_of(parsed, cost_weight=0.0)
    settings = dataclasses.replace(settings, cost_weight=_cost_weight(spending, folder, settings))
    upstreams = None if asked.upstreams is None else read_upstreams(asked.upstreams)
    service = Service(
        folder,
        settings,
        log=logging.log,
        upstreams=upstreams,
        dollars_a_day=spending.daily_budget,
    )
    run(service, host=asked.host, port=asked.port)


def _cost_weight(spending: Spending, folder: str, settings: Settings) -> float:
    """The cost weight that was given, or calibrated for a budget among the models offered."""
    given = [spending.cost_weight, spending.budget, spending.share]
    if sum(each is not None for each in given) != 1:
        raise InputError("give one of --cost-weight, --budget and --share")
    if spending.cost_weight is not None:
        if spending.calibrate is not None:
            raise InputError("--calibrate has no effect without --budget or --share")
        return spending.cost_weight
    if spending.calibrate is None:
        raise InputError("--budget or --share needs --calibrate LOG, the log of such queries")
    from routerjax.artefacts.router import Router
    from routerjax.data.encoders.encoding import encoded
    from routerjax.data.io.files import read_log
    from routerjax.pipelines.budget import cost_weight_for
    from routerjax.serving.deciding import offered

    router = Router.load(folder, trust_encoder=settings.trust_encoder)
    may = offered(router.models, only=settings.only, exclude=settings.exclude)
    may &= settings.exploring.limits.allowed(router.models, None)
    log = read_log(spending.calibrate)
    if router.encoder is not None:
        log = encoded(log, encoder=router.encoder)
    found = cost_weight_for(router, log, dollars=spending.budget, share=spending.share, offered=may)
    unit = "dollars a query" if spending.share is None else f"of the queries to {spending.share[0]}"
    print(
        f"cost weight {found.cost_weight:g} (from {found.low:g} to {found.high:g}) is expected to "
        f"come to {found.spent.mean:.4g} {unit} (95 % {found.spent.low:.4g} to "
        f"{found.spent.high:.4g})",
        file=sys.stderr,
    )
    return found.cost_weight


def settings_of(parsed: Parsed, *, cost_weight: float) -> Settings:
    """The settings of a service, from the options."""
    from routerjax.exploration.limits import Limits
    from routerjax.serving.deciding import Exploring
    from routerjax.serving.service import Settings

    asked, exploration, logging = parsed[Serving], parsed[Exploration], parsed[Logging]
    if asked.prompt_form is not None:
        choose(asked.prompt_form, ("last-user", "conversation"), "--prompt-form")
    if asked.max_bytes < 1:
        raise InputError(f"--max-bytes is {asked.max_bytes}; it must be 1 or more")
    barred: dict[str, tuple[str, ...]] = {}
    for tenant, model in exploration.forbid:
        barred[tenant] = (*barred.get(tenant, ()), model)
    limits = Limits(
        forbidden=barred,
        within=exploration.explore_within,
        dollars_a_day=exploration.explore_dollars,
    )
    return Settings(
        cost_weight=cost_weight,
        exploring=Exploring(
            exploration.explore, exploration.explore_by, limits, exploration.newcomer
        ),
        only=asked.only,
        exclude=asked.exclude,
        prompt_form=asked.prompt_form,
        log_prompts=logging.log_prompts,
        log_digests=logging.log_digests,
        largest=asked.max_bytes,
        token=_token(asked.token_env),
        trust_encoder=asked.trust_encoder,
    )


def check_installed() -> None:
    """Raise InputError where the packages of the extra are missing."""
    from importlib.util import find_spec

    missing = [name for name in ("starlette", "uvicorn", "httpx") if find_spec(name) is None]
    if missing:
        problem = f"serving needs {' and '.join(missing)}"
        raise InputError(f"{problem}: python -m pip install 'routerjax[serve]'")


def _token(variable: str | None) -> str | None:
    if variable is None:
        return None
    token = os.environ.get(variable)
    if not token:
        raise InputError(f"the variable {variable} of --token-env is not set")
    return token
