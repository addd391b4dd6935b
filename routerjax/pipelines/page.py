"""The page of a router on a log: its lines beside today's policy and baselines, and a verdict."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from routerjax.artefacts.router import Router
from routerjax.baselines.policies import greedy, random_choice
from routerjax.errors import printable
from routerjax.estimators.overlap import Overlap
from routerjax.evaluation.intervals import Interval, within
from routerjax.evaluation.metrics import Choice
from routerjax.pipelines.evidence import Evidence, seen_costs
from routerjax.pipelines.lines import Evaluation, Line, Single
from routerjax.pipelines.on_log import Saved, as_saved, at_own_cost, policy_lines, singles
from routerjax.pipelines.suited import suited_note
from routerjax.pipelines.verdict import at_dearest_costs, impossible, verdict

Choices = dict[str, list[Choice]]
"""Method → its choice at every cost weight."""

ESTIMATED = "propensities are estimated: what they miss of the log's policy is in no interval"

BY_TASK = (
    "the column task foretells better which model answered than the query does: propensities are "
    "given both, and outcome models in closed form weigh the rows by it; the router chooses by the "
    "query alone, and a prompt that tells the task would let it choose by that too"
)

UNASKED = (
    "by the column task, the log's policy hardly ever asked {}: what would come of it there the "
    "log does not say, and a choice of it has any quality in the range on such rows"
)

CERTAIN = 0.7
"""Mean propensity of the likeliest model from which a policy is nearly certain of its choice,"""
FEW_OTHERS = 0.5
"""if less than this share of the other models have support, over rows that had a choice."""
RULED = (
    "the log's policy is nearly certain of most queries (its likeliest model has {:.0%} on average)"
    ": what other models would do there is known from few answers near the edges of its choice, "
    "where it may have known better than the query tells, and policies that differ from it may be "
    "worth less than their intervals say, so that none is said to be better; record propensities, "
    "or log more at random"
)

ASKED_THERE = 0.005
"""Share of the queries that a router sends to a model where nothing is known of it, or on which it
falls back, above which it is said so."""
LEANING = (
    "Today's policy asks {} the less the further a query lies in one direction ({:.0%} of the last "
    "tenth, {:.0%} of all), and the router asks it there: whether there is an edge beyond which it "
    "was never asked the log does not show. If it was asked alike elsewhere, it was never asked on "
    "{:.0%} of the queries; on as many, those that lie last, it is taken to be worth anything."
)

LEANING_OTHERS = (
    "models are asked the less the further a query lies in one direction, which may hide that they "
    "were never asked beyond an edge: so many queries are counted without support, {}"
)

FELL_BACK = (
    "the router falls back to the best supported model on up to {:.0%} of the queries (cost weight "
    "{:g}): the log that it was fitted on does not tell what its first choice is worth there"
)

LIMITED = (
    "every policy chooses among the models that were available; where the best single model was "
    "not, it is the next best, and a single model's own value is over the queries where it was"
)

PINNED = (
    "{} of {} rows were answered by a model that a user pinned: they are learnt from as outcomes, "
    "and say nothing of today's policy, of which this page is"
)


def page(
    choices: Choices,
    evidence: Evidence,
    covered: Overlap,
    *,
    left_out: int,
    cost_weights: Sequence[float],
    notes: Sequence[str] = (),
    saved: Saved | None = None,
) -> Evaluation:
    """What a log says of a router, in lines and in words.

    Args:
      choices: of the router and of what it is compared with, by models that never saw the rows.
      evidence: of the log.
      covered: its overlap.
      left_out: rows left out before.
      cost_weights: λ.
      notes: what a reader must know beside what is always said.
      saved: what the router that is saved chooses, where the choices are those of its folds'
        routers; None where they are its own.
    """
    if saved is not None:
        notes = (*notes, *fallback_note(saved.fell_back, cost_weights))
    if saved is not None and evidence.log.pinned is not None:
        saved = saved.of_rows(~np.asarray(evidence.log.pinned))
    choices, evidence, pinned = of_the_policy(choices, evidence)
    log = evidence.log
    evaluation = Evaluation(
        kind="log",
        source=log.source,
        rows=len(log),
        groups=int(log.groups.max()) + 1 if pinned else covered.groups,
        left_out=left_out + pinned,
        fingerprint=log.fingerprint,
        quality_range=log.quality_range,
        notes=(),
        lines=policy_lines(choices, evidence, cost_weights=cost_weights, base="best-single-log"),
        overlap=dataclasses.asdict(covered),
        singles=singles(evidence),
        uncorrected=evidence.uncorrected,
    )
    if saved is not None:
        priced = at_own_cost(evaluation.lines, saved, choices, evidence, cost_weights)
        named = as_saved(priced, saved, log.models, cost_weights)
        evaluation = dataclasses.replace(evaluation, lines=named)
    evaluation = _in_range(evaluation)
    ruled = _ruled(evidence)
    if ruled:
        evaluation = dataclasses.replace(evaluation, lines=_doubted(evaluation.lines))
    dearest = dict(zip(log.models, seen_costs(log)[1].tolist(), strict=True))
    leaning, leaning_others = _leaning(choices["router"], evidence)
    said = ("values are doubly robust estimates from the log, not observations", *notes)
    if evidence.propensities.recorded < 1:
        suits = suited_note(evidence)
        by_task = evidence.propensities.by_task
        tells = [] if by_task is None or by_task.ratios is None else [BY_TASK]
        unasked = "" if by_task is None else by_task.unasked(log.models)
        tells += [UNASKED.format(unasked)] if unasked else []
        tells += [*ruled, *leaning_others]
        said = (said[0], ESTIMATED, *tells, *([] if suits is None else [suits]), *notes)
    if covered.available:
        said = (*said, LIMITED, _limits(covered))
    if pinned:
        said = (*said, PINNED.format(pinned, pinned + len(log)))
    return dataclasses.replace(
        evaluation,
        lines=at_dearest_costs(evaluation, dearest),
        notes=(*said, *impossible(evaluation)),
        verdict=(*verdict(evaluation, dearest=dearest), *leaning),
    )


def _in_range(evaluation: Evaluation) -> Evaluation:
    """Intervals of quality end with the range of scores, those of cost at 0."""

    ends = evaluation.quality_range

    def of_quality(own: Line | Single) -> Interval:
        return within(own.quality, *ends)

    def of_cost(own: Line | Single) -> Interval:
        return within(own.cost, 0.0, np.inf)

    return dataclasses.replace(
        evaluation,
        lines=tuple(
            dataclasses.replace(each, quality=of_quality(each), cost=of_cost(each))
            for each in evaluation.lines
        ),
        singles=tuple(
            dataclasses.replace(each, quality=of_quality(each), cost=of_cost(each))
            for each in evaluation.singles
        ),
    )


def _ruled(evidence: Evidence) -> list[str]:
    """What is said where a policy of scores is nearly certain of its choice; nothing elsewhere."""
    known, log = evidence.propensities, evidence.log
    if known.recorded == 1 or known.model.logit is None:
        return []
    could = np.ones(known.every.shape, bool) if log.available is None else np.asarray(log.available)
    choice = could.sum(axis=1) > 1
    if not choice.any():
        return []
    certain = float(known.every[choice].max(axis=1).mean())
    others = (known.supported & could)[choice].sum() - choice.sum()
    few = others < FEW_OTHERS * (could[choice].sum() - choice.sum())
    return [RULED.format(certain)] if certain >= CERTAIN and few else []


def _leaning(router: Sequence[Choice], evidence: Evidence) -> tuple[list[str], list[str]]:
    """What the log cannot tell of models that it hardly saw where queries lie last: sentences on
    those that the router asks there, and a note on the others."""
    known, models = evidence.propensities, evidence.log.models
    said, others = [], []
    for each in known.leaning:
        asked = [np.asarray(own) == each.arm for own in router if np.ndim(own) == 1]
        name = printable(models[each.arm])
        if any((own & each.unknown).mean() > ASKED_THERE for own in asked):
            said.append(LEANING.format(name, each.rate, each.mean, each.never))
        else:
            others.append(f"{name} on {each.never:.0%}")
    return said, [LEANING_OTHERS.format(", ".join(others))] if others else []


def _doubted(lines: Sequence[Line]) -> tuple[Line, ...]:
    """Lines beside a policy that is nearly certain of its choice; its own is observed."""
    return tuple(dataclasses.replace(line, nearly_certain=line.method != "today") for line in lines)


def _limits(covered: Overlap) -> str:
    """On how many queries each model was available."""
    shares = zip(covered.models, covered.available, strict=True)
    return "available: " + ", ".join(
        f"{model} on {share:.0%} of the rows" for model, share in shares
    )


def of_the_policy(choices: Choices, evidence: Evidence) -> tuple[Choices, Evidence, int]:
    """What speaks of the log's policy: without the rows whose model a user pinned, their number.

    Args:
      choices: of all rows.
      evidence: of all rows.
    """
    log = evidence.log
    if log.pinned is None or not log.pinned.any():
        return choices, evidence, 0
    rows = ~np.asarray(log.pinned)
    known = evidence.propensities
    own = known._replace(
        answered=known.answered[rows],
        every=known.every[rows],
        supported=known.supported[rows],
        told=None if known.told is None else known.told[rows],
        near=None if known.near is None else known.near[rows],
        leaning=tuple(each.of_rows(rows) for each in known.leaning),
    )
    gold = None if evidence.gold is None else tuple(each[rows] for each in evidence.gold)
    corrected = None if evidence.corrected is None else evidence.corrected.rows(rows)
    evidence = evidence._replace(
        log=log.rows(rows),
        predicted=evidence.predicted[rows],
        propensities=own,
        gold=gold,
        corrected=corrected,
    )
    chosen = {method: [each[rows] for each in own] for method, own in choices.items()}
    return chosen, evidence, int((~rows).sum())


def router_choices(
    router: Router,
    embeddings: np.ndarray,
    cost_weights: Sequence[float],
    available: Bool[np.ndarray, "n m"] | None = None,
) -> tuple[Choices, tuple[str, ...]]:
    """The router's own choices, and those of what it carries with it, among available models; and
    what is to be said of where it falls back."""
    expected = router.expected(embeddings)
    rows, models = len(embeddings), len(router.models)
    every = np.ones((rows, models), bool) if available is None else available
    chosen, moved = router.choices_and_fallbacks(
        embeddings, cost_weights=cost_weights, available=available
    )
    choices: Choices = {
        "router": list(chosen),
        "random": [random_choice(rows, models, available=available)] * len(cost_weights),
        "best-single-log": [router.best_singles_at(each, every) for each in cost_weights],
        "regression-plug-in": [
            greedy(expected, cost_weight=each, available=available) for each in cost_weights
        ],
    }
    return choices, fallback_note(moved.mean(axis=1), cost_weights)


def fallback_note(
    shares: Float[np.ndarray, " k"], cost_weights: Sequence[float]
) -> tuple[str, ...]:
    """On how many of the queries a router falls back at most; nothing where on next to none."""
    most = int(np.argmax(shares))
    said = FELL_BACK.format(shares[most], cost_weights[most])
    return (said,) if shares[most] > ASKED_THERE else ()
