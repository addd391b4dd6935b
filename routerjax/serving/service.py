"""What a server knows: the router in service, its log, its budgets, and what it has counted."""

from __future__ import annotations

import base64
import collections
import dataclasses
import hashlib
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from routerjax.artefacts import folder as folders
from routerjax.artefacts.router import Router
from routerjax.errors import InputError
from routerjax.estimators.utility import check_range
from routerjax.exploration.posterior import load_draws
from routerjax.serving.checks import check_names
from routerjax.serving.deciding import (
    Asked,
    Decision,
    Exploring,
    Served,
    decide,
    offered,
)
from routerjax.serving.decision_log import DecisionLog
from routerjax.serving.metrics import Metrics
from routerjax.serving.pacing import Daily, Pacer
from routerjax.serving.requests import Query, asked_of, query_of
from routerjax.serving.upstreams import Upstreams

REMEMBERED = 100_000
"""Decisions whose feedback is recognised by the server that made them."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """How a router is served.

    Attributes:
      cost_weight: λ where a request names none.
      exploring: how it explores.
      only, exclude: models that are offered alone, or not at all.
      prompt_form: what becomes of a list of messages; None takes the form of the log that the
        router was fitted on.
      log_prompts: Whether the decision log holds prompts; nothing else ever does.
      log_digests: Whether it holds digests of embeddings in their place.
      largest: bytes of a request at most.
      token: that requests must bear; None asks for none.
      trust_encoder: Whether a text encoder is taken that is none of routerjax's own.
    """

    cost_weight: float
    exploring: Exploring = Exploring()
    only: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    prompt_form: str | None = None
    log_prompts: bool = False
    log_digests: bool = False
    largest: int = 1 << 20
    token: str | None = None
    trust_encoder: bool = False


class Made(NamedTuple):
    """A decision that was made, and logged if it could be."""

    id: str
    decision: Decision
    logged: bool
    fingerprint: str


class Service:
    """A router in service.

    Attributes:
      served: the router, replaced as a whole when its folder is.
      settings: how it is served.
      log: of decisions; None where none is kept.
      upstreams: where models are asked; None where only routes are given.
      metrics: what was counted.
      problem: why the router in the folder could not be taken up, or None.
      stamp: of the folder, before its router was first loaded.
    """

    def __init__(
        self,
        folder: str | Path,
        settings: Settings,
        *,
        log: str | Path | None = None,
        upstreams: Upstreams | None = None,
        dollars_a_day: float | None = None,
        clock: Callable[[], float] = time.time,
        seed: int | None = None,
    ) -> None:
        """Load the router and open the log.

        Args:
          folder: the router folder.
          settings: how it is served.
          log: folder of the decision log; None keeps none.
          upstreams: where models are asked.
          dollars_a_day: that a pacer holds by moving the cost weight; None leaves that alone.
          clock: seconds since 1970.
          seed: of what is drawn, for tests; None takes the machine's own randomness.

        Raises:
          InputError: a router that cannot be loaded or served so, or a log that cannot be written.
        """
        self.folder, self.settings, self.upstreams = Path(folder), settings, upstreams
        self.metrics, self.clock = Metrics(), clock
        self.problem: str | None = None
        self.stamp = folders.stamp(self.folder)
        self.served = self.load()
        router = self.served.router
        check_range(settings.cost_weight, router.cost_weights)
        check_names(router, settings, upstreams)
        start = settings.cost_weight
        self.pacer = None
        if dollars_a_day is not None:
            self.pacer = Pacer(dollars_a_day, cost_weights=router.cost_weights, start=start)
        self._explored, self._rng = Daily(), np.random.default_rng(seed)
        self._recent: collections.OrderedDict[str, tuple[float, bool]] = collections.OrderedDict()
        self.log = None if log is None else DecisionLog(log, header=self._header(), clock=clock)

    def load(self) -> Served:
        """The router in the folder, called once: its first query finds it compiled, and its text
        encoder in memory."""
        before = folders.read_manifest(self.folder)["sha256"]
        router = Router.load(self.folder, trust_encoder=self.settings.trust_encoder)
        while (now := folders.read_manifest(self.folder)["sha256"]) != before:
            before = now
            router = Router.load(self.folder, trust_encoder=self.settings.trust_encoder)
        own, by = self.settings, self.settings.exploring.by
        if by == "members" and router.config.router.members * bool(router.policy.params) < 2:
            problem = "has no members to explore by; take --explore-by floor or posterior"
            raise InputError(problem, source=str(self.folder))
        served = Served(
            router=router,
            fingerprint=str(before.get("manifest", before.get("arrays"))),
            offered=offered(router.models, only=own.only, exclude=own.exclude),
            draws=load_draws(self.folder, router) if by == "posterior" else None,
        )
        asked = Asked(router.cost_weights[0])
        free = dataclasses.replace(own.exploring, rate=0.0)
        decide(served, np.zeros(router.dimensions, np.float32), asked, free, uniform=0.0)
        if router.encoder is not None:
            query_of(router, {"prompt": "What is 2 + 2?"}, form=own.prompt_form)
        return served

    def take_up(self, served: Served) -> None:
        """Serve another router from the next request on."""
        self.served = served
        if self.log is not None:
            self.log.change(self._header())

    def asked(self, served: Served, body: dict[str, Any]) -> Asked:
        """What a request says beside its query; the service's cost weight where it names none.

        Raises:
          InputError: as `requests.asked_of`.
        """
        if body.get("cost_weight") is None:
            weight, fitted = self.settings.cost_weight, served.router.cost_weights
            if self.pacer is not None:
                weight = self.pacer.cost_weight(self.clock())
            body = {**body, "cost_weight": float(np.clip(weight, fitted[0], fitted[-1]))}
        return asked_of(body)

    def decide(self, served: Served, query: Query, asked: Asked) -> Made:
        """Make a decision, log it, and count it; it is on its way to disk when this returns."""
        start, now = time.perf_counter(), self.clock()
        exploring = self.settings.exploring
        most = exploring.limits.dollars_a_day
        left = None if most is None else most - self._explored.spent(now)
        decision = decide(
            served, query.embedding, asked, exploring, uniform=self._rng.random(), left=left
        )
        self._explored.add(decision.dollars, now)
        expected = float(decision.cost[decision.arm])
        if self.pacer is not None:
            self.pacer.charge(expected, now)
        name = secrets.token_hex(12)
        fields = self._fields(served, query, asked, decision)
        logged = self.note("decision", id=name, **fields)
        self._recent[name] = (expected, False)
        if len(self._recent) > REMEMBERED:
            self._recent.popitem(last=False)
        self.metrics.count("routerjax_decisions_total", model=decision.model)
        if decision.arm != decision.preferred:
            self.metrics.count("routerjax_explored_total")
        self.metrics.time(time.perf_counter() - start)
        return Made(name, decision, logged, served.fingerprint)

    def note(self, event: str, **fields: Any) -> bool:
        """Write an event to the log; False where it could not be, or none is kept."""
        if self.log is None:
            return False
        if self.log.write(event, **fields):
            return True
        self.metrics.count("routerjax_log_failures_total")
        return False

    def knows(self, name: str) -> bool:
        """Whether this server made the decision, lately."""
        return name in self._recent

    def charge(self, name: str, dollars: float) -> None:
        """Take a decision's cost, now that it is known, in the place of what was expected."""
        expected, is_known = self._recent.get(name, (0.0, True))
        if is_known:
            return
        self._recent[name] = (dollars, True)
        if self.pacer is not None:
            self.pacer.charge(dollars - expected, self.clock())

    def close(self) -> None:
        """Bring the log to disk."""
        if self.log is not None:
            self.log.close()

    def _header(self) -> dict[str, Any]:
        router = self.served.router
        return {
            "encoder": router.encoder,
            "prompt_form": self.settings.prompt_form or router.prompt_form,
            "quality_range": list(router.quality_range),
            "router": self.served.fingerprint,
        }

    def _fields(
        self, served: Served, query: Query, asked: Asked, decision: Decision
    ) -> dict[str, Any]:
        """A decision as it is logged."""
        arms = np.flatnonzero(decision.available)
        values = np.asarray(query.embedding, "<f4").tobytes()
        if self.settings.log_digests:
            fields = {"digest": hashlib.blake2b(values, digest_size=16).hexdigest()}
        else:
            fields = {"embedding": base64.b64encode(values).decode()}
        known = {"group": query.group, "tenant": asked.tenant}
        if self.settings.log_prompts:
            known["prompt"] = query.text
        return {
            "models": [served.router.models[arm] for arm in arms],
            "propensities": decision.propensities[arms].tolist(),
            "model": decision.model,
            "cost_weight": decision.cost_weight,
            "router": served.fingerprint,
            "expected_quality": decision.quality[arms].tolist(),
            "expected_cost": decision.cost[arms].tolist(),
            **fields,
            **{name: value for name, value in known.items() if value is not None},
        }
