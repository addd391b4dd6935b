"""routerjax inside LiteLLM: a routing plugin that chooses, a callback that logs what came of it.

    from litellm import Router
    from routerjax.integrations.litellm import RouterPlugin

    plugin = RouterPlugin("router", cost_weight=50, explore=0.03, log="log")
    router = Router(model_list, plugins=[plugin])
    answer = await router.acompletion(model="all", messages=messages)
    plugin.feedback(answer.id, quality=1.0)

The deployments of a model group are the candidates; the plugin leaves those of the model that it
drew and writes id, propensities and cost weight into the context's `signals`. The callback, which
the plugin registers, writes which model answered and what it cost. A retry is a decision of its
own. In a request's metadata ``{"routerjax": {"cost_weight": ..., "budget": ..., "tenant": ...,
"group": ...}}`` says more.
"""

from __future__ import annotations

import asyncio
import collections
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import litellm
from litellm.integrations.custom_logger import CustomLogger

from routerjax.errors import InputError
from routerjax.exploration.limits import Limits
from routerjax.serving.deciding import Exploring
from routerjax.serving.requests import query_of
from routerjax.serving.service import Service, Settings

SIGNAL = "routerjax"
"""What the plugin's entry in `signals`, and a request's in `metadata`, is called."""
OWN = ("cost_weight", "budget", "tenant", "group")
CACHE = "(cache)"
"""What answered where LiteLLM had kept an answer: not the model that was drawn, so that a fit
leaves it out."""
REMEMBERED = 100_000
"""Answers whose decision is remembered, for `RouterPlugin.feedback`."""


class RouterPlugin:
    """A routing plugin of LiteLLM that chooses by a fitted router and keeps a decision log.

    Attributes:
      service: the router in service; a router that is written into its folder is taken up by
        `reload`.
      logger: the callback.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        cost_weight: float,
        explore: float = 0.03,
        explore_by: str = "floor",
        limits: Limits | None = None,
        newcomers: Mapping[str, float] | None = None,
        log: str | Path | None = None,
        log_prompts: bool = False,
        names: Mapping[str, str] | None = None,
        prompt_form: str | None = None,
        seed: int | None = None,
    ) -> None:
        """Load the router and register the callback.

        Args:
          folder: the router folder.
          cost_weight: λ where a request names none.
          explore, explore_by, limits: how it explores, as of `routerjax serve`.
          newcomers: models that were added after the fit, each with the share of the queries that
            it gets until a router fitted on its answers is in service.
          log: folder of the decision log; None keeps none.
          log_prompts: Whether it holds prompts.
          names: deployment such as "openai/gpt-4o" to the router's name of its model; a deployment
            that is not there goes by its own name, or that without its provider.
          prompt_form: what becomes of a list of messages; None takes the router's own.
          seed: of what is drawn, for tests.

        Raises:
          InputError: as `routerjax.serving.service.Service`.
        """
        settings = Settings(
            cost_weight=cost_weight,
            exploring=Exploring(
                explore, explore_by, limits or Limits(), tuple((newcomers or {}).items())
            ),
            prompt_form=prompt_form,
            log_prompts=log_prompts,
        )
        self.service = Service(folder, settings, log=log, seed=seed)
        self._names = dict(names or {})
        self._answered: collections.OrderedDict[str, str] = collections.OrderedDict()
        self.logger = DecisionLogger(self)
        litellm.logging_callback_manager.add_litellm_callback(self.logger)

    async def run(self, context: Any) -> Any:
        """Narrow the candidates of a request to the deployments of the model that is drawn.

        Where nothing can be drawn (no candidate is the router's, or the prompt is empty), the
        candidates stay as they are and `signals` says why: a request is never failed here.
        """
        served = self.service.served
        candidates = {each: self.name_of(each) for each in context.candidate_models}
        models = [name for name in candidates.values() if name in served.router.models]
        own = context.metadata.get(SIGNAL)
        own = {k: v for k, v in own.items() if k in OWN} if isinstance(own, dict) else {}
        body = {**own, "messages": context.structured_messages, "models": [*dict.fromkeys(models)]}
        try:
            form = self.service.settings.prompt_form
            query = await asyncio.to_thread(query_of, served.router, body, form=form)
            made = self.service.decide(served, query, self.service.asked(served, body))
        except InputError as error:
            context.signals[SIGNAL] = {"problem": error.problem}
            return context
        decision = made.decision
        context.candidate_models = [
            each for each, name in candidates.items() if name == decision.model
        ]
        position = served.router.models.index
        chances = {name: float(decision.propensities[position(name)]) for name in models}
        context.signals[SIGNAL] = {
            "id": made.id,
            "model": decision.model,
            "propensities": chances,
            "cost_weight": decision.cost_weight,
            "router": made.fingerprint,
        }
        return context

    def name_of(self, deployment: str) -> str:
        """The router's name of a deployment's model."""
        if deployment in self._names:
            return self._names[deployment]
        if deployment in self.service.served.router.models:
            return deployment
        return deployment.partition("/")[2] or deployment

    def feedback(
        self, answer: str, *, quality: float | None = None, cost: float | None = None
    ) -> bool:
        """Log what came of an answer; returns False where nothing could be logged.

        Args:
          answer: id of LiteLLM's response, or of the decision.
          quality: score of the answer, in the router's unit.
          cost: dollars, where the callback does not know better.

        Raises:
          InputError: a quality outside the router's range, or a cost below 0.
        """
        low, high = self.service.served.router.quality_range
        if quality is not None and not low <= quality <= high:
            raise InputError(f"quality is {quality:g}; it must lie between {low:g} and {high:g}")
        if cost is not None and not 0 <= cost < math.inf:
            raise InputError(f"cost is {cost:g}; it must be 0 or more, and finite")
        said = {"quality": quality, "cost": cost}
        known = {name: float(value) for name, value in said.items() if value is not None}
        return self.service.note("feedback", id=self._answered.get(answer, answer), **known)

    def reload(self) -> None:
        """Take up the router that is in the folder now.

        Raises:
          InputError: it cannot be loaded; the old one stays.
        """
        self.service.take_up(self.service.load())

    def close(self) -> None:
        """Take the callback away and bring the log to disk."""
        for callbacks in (
            litellm.callbacks,
            litellm._async_success_callback,
            litellm._async_failure_callback,
        ):
            while self.logger in callbacks:
                callbacks.remove(self.logger)
        self.service.close()

    def answered(self, answer: str, decision: str) -> None:
        """Remember which decision an answer came of."""
        self._answered[answer] = decision
        if len(self._answered) > REMEMBERED:
            self._answered.popitem(last=False)


class DecisionLogger(CustomLogger):
    """The callback: which model answered a decision, what it cost, or that it failed."""

    def __init__(self, plugin: RouterPlugin) -> None:
        super().__init__()
        self._plugin = plugin

    async def async_log_success_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """Log an answer of a decision."""
        del start_time, end_time
        decision = _decision(kwargs)
        payload = kwargs.get("standard_logging_object") or {}
        if decision is None:
            return
        cost = payload.get("response_cost")
        known = {"cost": float(cost)} if isinstance(cost, int | float) and cost >= 0 else {}
        answer = getattr(response_obj, "id", None) or payload.get("id")
        if isinstance(answer, str):
            self._plugin.answered(answer, decision["id"])
        model, outcome = self._model(kwargs, decision), "ok"
        if payload.get("cache_hit"):  # of whom the answer was, and what it cost, nobody knows
            model, outcome, known = CACHE, "cache", {}
        self._plugin.service.note(
            "answer", id=decision["id"], model=model, outcome=outcome, **known
        )

    async def async_log_failure_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """Log that a decision's model failed."""
        del response_obj, start_time, end_time
        decision = _decision(kwargs)
        if decision is not None:
            outcome = type(kwargs.get("exception")).__name__
            model = self._model(kwargs, decision)
            self._plugin.service.note("failure", id=decision["id"], model=model, outcome=outcome)

    def _model(self, kwargs: dict[str, Any], decision: dict[str, Any]) -> str:
        """The router's name of the model that was asked: another one after a fallback."""
        deployment = _metadata(kwargs).get("deployment")
        found = deployment if isinstance(deployment, str) else decision["model"]
        return self._plugin.name_of(found)


def _metadata(kwargs: dict[str, Any]) -> Mapping[str, Any]:
    found = (kwargs.get("litellm_params") or {}).get("metadata")
    return found if isinstance(found, dict) else {}


def _decision(kwargs: dict[str, Any]) -> dict[str, Any] | None:
    """What the plugin wrote of a request; None where it made no decision."""
    signals = _metadata(kwargs).get("routing_plugin_signals")
    own = signals.get(SIGNAL) if isinstance(signals, dict) else None
    return own if isinstance(own, dict) and "id" in own else None
