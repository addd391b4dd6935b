"""The rounds of the loop, and of what it is compared with."""

from __future__ import annotations

import dataclasses
import math
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from experiments.loop.config import LoopConfig
from experiments.loop.world import Users, World, world
from routerjax.artefacts.newcomer import newcomers
from routerjax.artefacts.router import Router
from routerjax.data.io.decisions import Joined, read_decisions
from routerjax.errors import DataWarning, InputError
from routerjax.exploration.posterior import draws_of, has_draws, load_draws, save_draws
from routerjax.pipelines.fit_log import fit
from routerjax.records.repricing import PriceChange, repriced
from routerjax.serving.deciding import Asked, Exploring
from routerjax.serving.newcomers import add_newcomer
from routerjax.serving.refitting import refit
from routerjax.serving.requests import Query
from routerjax.serving.service import Service, Settings
from routerjax.training.config import FitConfig

LOOP, FLOOR, NEVER, GREEDY = "loop", "floor alone", "never refitted", "greedy"
POLICIES = (LOOP, FLOOR, NEVER, GREEDY)
EXPLORES = {LOOP: "posterior", FLOOR: "floor"}
ALWAYS = "advantage.high > -1e9"
"""The rule of the policy without exploration, whose log can hardly tell two routers apart."""
DIGITS = 5

Record = dict[str, Any]


def study(config: LoopConfig) -> list[Record]:
    """Every seed's rounds by every policy, beside the oracle and the best single model."""
    found = []
    for seed in range(config.seeds):
        made = world(config, seed)
        weights = tuple(round(made.cost_weight * each, 6) for each in (0.0, 0.5, 1.0, 2.0))
        made = made._replace(cost_weight=weights[2])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)
            router = fit(made.first, config=FitConfig(cost_weights=weights, seed=seed))
        retired = _retired(router, made) if config.retired else None
        for policy in POLICIES:
            found += _rounds(config, made, router, policy, seed, retired)
    return found


def _rounds(
    config: LoopConfig,
    made: World,
    first: Router,
    policy: str,
    seed: int,
    retired: str | None,
) -> list[Record]:
    """The rounds of one policy: served, reported, refitted."""
    users, found = Users(config, np.random.default_rng([seed, 2])), []
    with tempfile.TemporaryDirectory() as place:
        folder, log = Path(place, "router"), Path(place, "log")
        first.save(folder)
        if policy == LOOP:
            save_draws(folder, first, draws_of(first, made.first))
        changed, half = math.inf, (config.rounds + 1) // 2
        for number in range(config.rounds):
            later, out = number >= half, (retired,) if retired and number >= half else ()
            if number == half:
                changed = time.time()
                _changed(folder, made)
            rows = slice(number * config.users, (number + 1) * config.users)
            settings = Settings(
                made.cost_weight, _exploring(config, made, policy, folder), exclude=out
            )
            record = _served(
                Service(folder, settings, log=log, seed=seed), made, rows, later, users
            )
            record |= {"seed": seed, "policy": policy, "round": number + 1}
            if policy != NEVER and number + 1 < config.rounds:
                joined = _with_first(read(log), made, changed, is_known=policy in EXPLORES)
                rule = config.rule if policy in EXPLORES else ALWAYS
                record |= _refitted(folder, joined, made, rule, draws=policy == LOOP, out=out)
            found.append(record)
    return found


def _changed(folder: Path, made: World) -> None:
    """Half way: other prices, and a model more; nothing is fitted for it."""
    router = Router.load(folder)
    own = router.with_prices(made.changes(later=True))
    if has_draws(folder, router):
        save_draws(folder, own, load_draws(folder, router))
    own.save(folder, overwrite=True)
    name, like = made.models[made.newcomer], made.models[made.like]
    price = made.new_price
    if made.like == made.dearest:
        price = PriceChange(price.scale / made.change.scale)
    add_newcomer(folder, name, like=like, price=price, rows=made.trial)


def _exploring(config: LoopConfig, made: World, policy: str, folder: Path) -> Exploring:
    """How a policy explores, the newcomer first where there is one."""
    if policy not in EXPLORES:
        return Exploring()
    name = made.models[made.newcomer]
    share = ((name, config.newcomer),) if name in newcomers(Router.load(folder)) else ()
    return Exploring(config.explore, EXPLORES[policy], newcomers=share)


def _served(service: Service, made: World, rows: slice, later: bool, users: Users) -> Record:
    """Serve a round's queries; what they are worth, and what users say of them."""
    positions = range(*rows.indices(len(made.embeddings)))
    price, arms, explored, answers = made.prices(later=later), [], 0, []
    for row in positions:
        query = Query(None, made.embeddings[row], None)
        own = service.decide(service.served, query, Asked(made.cost_weight))
        arm = made.models.index(own.decision.model)
        explored += own.decision.arm != own.decision.preferred
        arms.append(arm)
        cost = float(made.cost[row, arm] * price[arm])
        answers.append((own.id, float(made.quality[row, arm]), cost))
    for name, quality, cost in users.reports(answers):
        service.note("feedback", id=name, quality=quality, cost=cost)
    offered = [made.models.index(name) for name, is_on in _offered(service) if is_on]
    service.close()
    utility = made.utility(rows, later=later)
    own_utility = utility[np.arange(len(arms)), arms]
    return {
        "utility": round(float(own_utility.mean()), DIGITS),
        "oracle": round(float(utility[:, offered].max(axis=1).mean()), DIGITS),
        "best_single": round(float(utility[:, offered].mean(axis=0).max()), DIGITS),
        "explored": explored,
    }


def _offered(service: Service) -> list[tuple[str, bool]]:
    models = service.served.router.models
    return list(zip(models, service.served.offered.tolist(), strict=True))


def read(log: Path) -> Joined:
    """A decision log, with no warning of what is missing: that is what is studied."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        return read_decisions(log)


def _refitted(
    folder: Path, joined: Joined, made: World, rule: str, *, draws: bool, out: tuple[str, ...]
) -> Record:
    """Refit on all that is logged; what came of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        try:
            done = refit(
                joined,
                folder,
                rule=rule,
                cost_weight=made.cost_weight,
                draws=draws,
                exclude=out,
            )
        except InputError as error:
            return {"promoted": False, "refused": error.problem}
    own = done.comparison.advantage
    return {
        "promoted": done.promoted,
        "rows": len(joined.log),
        "advantage": [round(each, DIGITS) for each in (own.mean, own.low, own.high)],
    }


def _with_first(joined: Joined, made: World, changed: float, *, is_known: bool) -> Joined:
    """The decision log with the first log before it, at the prices of now.

    Costs of answers to decisions before the change are those of then, and are multiplied.

    Args:
      joined: the decision log.
      made: the world.
      changed: when prices changed, in seconds since 1970.
      is_known: whether propensities were recorded; of a policy without exploration there are none.
    """
    log, later = joined.log.with_models(made.models), bool((joined.times >= changed).any())
    first = repriced(made.first, made.changes(later=later)).with_models(made.models)
    cost = np.array(log.cost, np.float64)
    before = (joined.times < changed) & later
    cost[before] *= made.prices(later=True)[np.asarray(log.arms)[before]]
    available = np.arange(len(made.models)) != made.newcomer
    could = np.broadcast_to(available, (len(log), len(available)))
    could = could if log.available is None else np.asarray(log.available)
    propensities = None
    if is_known:
        propensities = np.concatenate([first.propensities, log.propensities])
    both = first.replace(
        arms=np.concatenate([first.arms, log.arms]),
        quality=np.concatenate([first.quality, log.quality]),
        cost=np.concatenate([first.cost, cost]).astype(np.float32),
        propensities=propensities,
        available=np.concatenate([np.broadcast_to(available, (len(first), len(available))), could]),
        embeddings=np.concatenate([first.features, log.features]),
        ids=(*(f"first {row}" for row in range(len(first))), *(log.ids or ())),
        source="the loop's log",
    )
    return dataclasses.replace(joined, log=both)


def _retired(router: Router, made: World) -> str:
    """The model that the first router chooses most."""
    arms = router.choices(made.embeddings[:500], cost_weights=(made.cost_weight,))[0]
    return router.models[int(np.bincount(arms).argmax())]
