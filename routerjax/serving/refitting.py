"""The next router from the decision log: fitted, compared with the one in service, promoted or not.

A share of the decisions is set apart and not fitted on: always the same groups, by their digests,
so that a router that a refit promoted has not seen them when the next one is compared with it. On
those that the router in service was not fitted on, both are evaluated by the same doubly robust
scores, with the propensities from which the decisions were drawn. The new router takes the folder
only if a rule holds; the old one goes to the folder ``ROUTER.previous``, from which `rollback`
brings it back.
"""

from __future__ import annotations

import dataclasses
import operator
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from routerjax.artefacts.folder import claimed
from routerjax.artefacts.newcomer import newcomers, with_newcomer
from routerjax.artefacts.router import Router
from routerjax.data.io.decisions import Joined
from routerjax.errors import InputError
from routerjax.estimators.utility import check_range
from routerjax.exploration.posterior import draws_of, remove_draws, save_draws, with_newcomers
from routerjax.pipelines.compare import Comparison, compare
from routerjax.pipelines.fit_log import fit
from routerjax.pipelines.repeats import said_once
from routerjax.records.groups import digests, query_digests
from routerjax.records.logs import Log
from routerjax.records.repricing import PriceChange
from routerjax.serving.deciding import gone

RULE = "advantage.low > 0"
FEWEST = 50
"""Held-out decisions below which nothing is compared."""
PART = re.compile(r"\s*([a-z._]+)\s*(>=|<=|>|<)\s*([-+]?[0-9.]+(?:e[-+]?[0-9]+)?)\s*", re.I)
COMPARED: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
MEANS = ("advantage", "quality_change", "cost_change")
"""What a rule may speak of, each as NAME.low, NAME.mean and NAME.high."""


@dataclasses.dataclass(frozen=True)
class Refit:
    """What came of a refit.

    Attributes:
      promoted: whether the new router is in service now.
      rule: that had to hold.
      comparison: of the new router with the one in service.
      learnt: decisions that the new router was fitted on.
      counts: of the log, as `routerjax.data.io.decisions.Joined`.
      lost: models of the router in service that the new one does not have: nobody said what
        their answers were worth.
    """

    promoted: bool
    rule: str
    comparison: Comparison
    learnt: int
    counts: dict[str, int]
    lost: tuple[str, ...] = ()


def refit(
    joined: Joined,
    folder: str | Path,
    *,
    rule: str = RULE,
    cost_weight: float | None = None,
    held_out: float = 0.3,
    draws: bool = False,
    exclude: Sequence[str] = (),
    trust_encoder: bool = False,
) -> Refit:
    """Fit a router to a decision log and promote it if it is worth more.

    Args:
      joined: the decision log.
      folder: of the router in service; its settings are those of the new one.
      rule: as of `rule_of`.
      cost_weight: λ at which they are compared; by default the median of the decisions'.
      held_out: share of the groups that are set apart.
      draws: Whether draws from the new router's posterior are written beside it.
      exclude: models that were retired; both routers are compared without them.
      trust_encoder: As of `Router.load`.

    Raises:
      InputError: a rule that is none, too few decisions, a retired model that neither router has,
        or what `fit` and `compare` refuse.
    """
    holds, path = rule_of(rule), Path(folder)
    if not 0 < held_out < 1:
        raise InputError(f"held out is {held_out:g}; it must lie between 0 and 1")
    old = Router.load(path, trust_encoder=trust_encoder)
    log = said_once(joined.log)
    if log.encoder is not None and old.encoder is not None and log.encoder != old.encoder:
        problem = (
            f"holds embeddings by {log.encoder!r}; the router in service takes {old.encoder!r}"
        )
        raise InputError(problem, source=log.source)
    strange = [name for name in exclude if name not in (*old.models, *log.models, *gone(old))]
    if strange:
        known = ", ".join(old.models)
        raise InputError(f"no model {strange[0]!r} to leave out; the router's are {known}")
    if cost_weight is None:
        cost_weight = float(np.median(joined.cost_weights))
    check_range(cost_weight, old.cost_weights)
    log = log.replace(prompt_form=log.prompt_form or old.prompt_form)
    learnt, apart = set_apart(log, share=held_out)
    compared = _unseen(old, apart)
    config = dataclasses.replace(old.config, cost_weights=old.cost_weights)
    fitted = fit(learnt, config=config, drop_unlogged=True)
    new = _with_newcomers_of(old, fitted)
    lost = tuple(name for name in old.models if name not in new.models)
    new = _remembering(new, old, lost)
    comparison = compare(new, old, compared, cost_weight=cost_weight, exclude=exclude)
    promoted = holds(comparison)
    if promoted:
        if draws:
            own = draws_of(fitted, learnt.with_models(fitted.models))
            save_draws(path, new, with_newcomers(own, new))
        put_in_service(path, new, old)
        remove_draws(path, but=(new, old))
    return Refit(promoted, rule, comparison, len(learnt), joined.counts, lost)


def rollback(folder: str | Path, *, trust_encoder: bool = False) -> None:
    """Bring back the router that was in service before; the present one can be brought back, too.

    Raises:
      InputError: there is none.
    """
    path = Path(folder)
    if not previous(path).is_dir():
        raise InputError("no router was in service before this one", source=str(folder))
    now = Router.load(path, trust_encoder=trust_encoder)
    before = Router.load(previous(path), trust_encoder=trust_encoder)
    put_in_service(path, before, now)


def previous(folder: Path) -> Path:
    """Where the router goes that another one replaces."""
    return folder.absolute().with_name(f"{folder.absolute().name}.previous")


def rule_of(text: str) -> Callable[[Comparison], bool]:
    """A rule such as ``advantage.low > 0 and cost_change.mean <= 0`` as a function.

    Raises:
      InputError: it is none.
    """
    parts = []
    for part in text.split(" and "):
        found = PART.fullmatch(part)
        name, _, end = (found[1] if found else "").partition(".")
        if found is None or name not in MEANS or end not in ("low", "mean", "high"):
            known = ", ".join(MEANS)
            problem = f"'{text}' is no rule such as '{RULE}', of {known} with .low, .mean or .high"
            raise InputError(problem, source="promote if")
        parts.append((name, end, COMPARED[found[2]], float(found[3])))

    def holds(comparison: Comparison) -> bool:
        values = (getattr(getattr(comparison, name), end) for name, end, _, _ in parts)
        return all(
            bool(np.isfinite(value)) and compared(value, bound)
            for value, (_, _, compared, bound) in zip(values, parts, strict=True)
        )

    return holds


def set_apart(log: Log, *, share: float) -> tuple[Log, Log]:
    """The rows to fit on, and those of a share of the groups, which depends on a group alone.

    Groups with rows of a model that only rows set apart hold go back.

    Raises:
      InputError: no row is left on one of the sides.
    """
    numbers = query_digests(log)
    if log.group is not None:
        named = np.array([bool(each) for each in log.group])
        numbers = np.where(named, digests(log.group), numbers)
    apart = (numbers >> np.uint64(32)).astype(np.float64) / 2.0**32 < share
    learnt = np.bincount(log.arms[~apart], minlength=len(log.models)) > 0
    apart &= ~np.isin(log.groups, np.unique(log.groups[apart & ~learnt[log.arms]]))
    if apart.all() or not apart.any():
        raise InputError("too few decisions to set any apart", source=log.source)
    return log.rows(~apart), log.rows(apart)


def _with_newcomers_of(old: Router, new: Router) -> Router:
    """The new router with those newcomers of the old one of which the log has no rows yet, while
    the models that they resemble are still there."""
    for name, known in newcomers(old).items():
        if name not in new.models and known["like"] in new.models:
            price = PriceChange(known["scale"], known["dollars"])
            new = with_newcomer(new, name, like=known["like"], price=price)
    return new


def _remembering(new: Router, old: Router, lost: Sequence[str]) -> Router:
    """The new router, which knows the names of models that it and those before it have lost."""
    names = [name for name in (*gone(old), *lost) if name not in new.models]
    if not names:
        return new
    return dataclasses.replace(new, provenance={**new.provenance, "gone": names})


def _unseen(old: Router, log: Log) -> Log:
    """The rows that the router in service was not fitted on."""
    kept = ~old.has_seen(log)
    if kept.sum() < FEWEST:
        problem = f"{kept.sum()} held-out decisions are too few to compare by"
        raise InputError(f"{problem}; at least {FEWEST} are needed", source=log.source)
    return log.rows(kept)


def put_in_service(path: Path, new: Router, old: Router) -> None:
    """Put `old` aside, then `new` in its place; the folder holds one of them, whole, always.

    Args:
      path: the folder.
      new: the router to serve.
      old: the one in it.
    """
    with claimed(previous(path), overwrite=True):
        pass  # refuse before anything is written
    old.save(previous(path), overwrite=True)
    new.save(path, overwrite=True)
