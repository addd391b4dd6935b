"""What the numbers of an evaluation support, in sentences."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from routerjax.pipelines.lines import FEW, Evaluation, Line
from routerjax.pipelines.uncorrected import MOST_NAMED, Uncorrected, advice, counted

SAME = 0.999
"""A policy that chooses one model at least this often is that model."""
SEEN = 1.96
"""Standard errors by which a difference must exceed 0 to be seen."""
NEAR = 0.05
"""Shares of the model chosen most that differ by no more share a sentence."""
ENDS = ((min, 0), (max, 1))


def verdict(
    evaluation: Evaluation, *, dearest: Mapping[str, float] = MappingProxyType({})
) -> tuple[str, ...]:
    """Sentences on the router beside today's policy and the best single model of its log.

    Those on today's policy hold at all cost weights at once, with 95 % confidence: what is
    compared is the band. Neighbouring cost weights of which the same is said share a sentence.

    Args:
      evaluation: without them.
      dearest: model → the greatest cost that the log saw of it.
    """
    lines = sorted(evaluation.of("router"), key=lambda line: line.cost_weight)
    log_policy = {line.cost_weight: line for line in evaluation.of("today")}
    said = [_headline(lines)]
    said += [_sentence(some, log_policy, evaluation.uncorrected) for some in _alike(lines)]
    said += _best_single(evaluation, lines, dearest)
    said += _support(evaluation)
    said += _uncorrected(evaluation, lines)
    return tuple(said)


def _alike(lines: Sequence[Line]) -> list[list[Line]]:
    """Neighbouring lines of one verdict that send most queries to the same model, about as many."""
    runs: list[list[Line]] = []
    for line in lines:
        if runs and _same(runs[-1][0], line):
            runs[-1].append(line)
        else:
            runs.append([line])
    return runs


def _same(one: Line, other: Line) -> bool:
    assert one.mostly is not None and other.mostly is not None
    (model, share), (other_model, other_share) = one.mostly, other.mostly
    alike = model == other_model and abs(share - other_share) <= NEAR
    return alike and (share >= SAME) == (other_share >= SAME) and one.verdict == other.verdict


def _headline(lines: Sequence[Line]) -> str:
    """At which cost weights the router is better, worse, or nobody knows."""
    parts = []
    for word, text in (
        ("better", "is worth more than today's policy"),
        ("worse", "is worth less than today's policy"),
        ("cannot tell", "cannot be told from today's policy by this log"),
    ):
        at = [line for line in lines if line.verdict == word]
        if at:
            where = "every cost weight" if len(at) == len(lines) else _weights(at)
            parts.append(f"The router {text} at {where}.")
    return " ".join(parts)


def _weights(lines: Sequence[Line]) -> str:
    names = [f"{line.cost_weight:g}" for line in lines]
    return f"cost weight{'s' if len(names) > 1 else ''} {_and(names)}"


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _sentence(
    lines: Sequence[Line],
    log_policy: Mapping[float, Line],
    uncorrected: Sequence[Uncorrected],
) -> str:
    """What is said of some cost weights: how much more or less, at what cost, like which model."""
    at = f"At {_weights(lines)}"
    if lines[0].verdict == "cannot tell":
        said = f"{at} the log cannot tell: {_why(lines, uncorrected)}"
    else:
        means = [abs(line.over_today.mean) for line in lines if line.over_today]
        ends = [abs(end) for line in lines for end in line.band or ()]
        more = "more" if lines[0].verdict == "better" else "less"
        said = (
            f"{at} the router is worth {_span(means)} {more} per query than today's policy "
            f"(95 % {min(ends):.3g} to {max(ends):.3g})"
        )
    costs = [
        line.cost.mean / log_policy[line.cost_weight].cost.mean
        for line in lines
        if log_policy[line.cost_weight].cost.mean > 0
    ]
    spent = f", at {_span(costs, digits=2)} of its cost" if costs else ""
    return f"{said}{spent}. {_resemblance(lines)}"


def _span(values: Sequence[float], digits: int = 3) -> str:
    low, high = f"{min(values):.{digits}g}", f"{max(values):.{digits}g}"
    return low if low == high else f"{low} to {high}"


def _why(lines: Sequence[Line], uncorrected: Sequence[Uncorrected]) -> str:
    size = min(line.effective_sample_size or 0.0 for line in lines)
    if size < FEW:
        return f"only {size:.0f} effective rows speak of what the router chooses"
    low, high = (pick(line.band[end] for line in lines if line.band) for pick, end in ENDS)
    between = f"the difference from today's policy lies between {low:+.3g} and {high:+.3g}"
    if uncorrected:
        models = [own.model for own in uncorrected]
        several = f"{len(models)} models" if len(models) > MOST_NAMED else _and(models)
        return f"{between}, since what the judge is off by on answers of {several} is not known"
    without = max(line.unsupported or 0.0 for line in lines)
    if any(line.nearly_certain and (line.band or (0,))[0] > 0 for line in lines):
        return (
            f"{between} by its estimates, which are too high where today's policy, nearly certain "
            "of most queries, knows better than the query tells"
        )
    if without > 0.005:
        hardly = "hardly ever asks the model that the router chooses, or is not known to ask it"
        return f"{between}, since on {without:.0%} of the queries today's policy {hardly}"
    return between


def _resemblance(lines: Sequence[Line]) -> str:
    shares = [line.mostly[1] for line in lines if line.mostly]
    model = lines[0].mostly[0] if lines[0].mostly else ""
    if min(shares) >= SAME:
        return f"It is {model} for every query."
    low, high = f"{min(shares):.0%}", f"{max(shares):.0%}"
    share = low if low == high else f"{low} to {high}"
    return f"It is the same policy as {model} on {share} of the queries."


def _best_single(
    evaluation: Evaluation, lines: Sequence[Line], dearest: Mapping[str, float]
) -> list[str]:
    """Where the best single model of the router's log is worth more than the router.

    The log cannot tell where the model is hardly asked on part of the queries and would be worth no
    more if its calls there cost as much as the dearest call of all models.
    """
    best = {line.cost_weight: line for line in evaluation.of("best-single-log")}
    behind = [line for line in lines if line.advantage.high < 0]
    said = []
    for model in dict.fromkeys(_model(best[line.cost_weight]) for line in behind):
        own = [line for line in behind if _model(best[line.cost_weight]) == model]
        unknown = [line for line in own if _rests_on_costs(line, best[line.cost_weight], dearest)]
        known = [line for line in own if line not in unknown]
        if known:
            more = _span([-line.advantage.mean for line in known])
            text = f"At {_weights(known)} {model} for every query is worth {more} more than the"
            said.append(f"{text} router.")
        if unknown:
            share = max(best[line.cost_weight].unsupported or 0.0 for line in unknown)
            text = f"At {_weights(unknown)} the log cannot tell whether {model} for every query is"
            said.append(
                f"{text} worth more than the router: what it would cost on the {share:.0%} of the "
                "queries on which it is hardly ever asked is not known."
            )
    return said


def at_dearest_costs(evaluation: Evaluation, dearest: Mapping[str, float]) -> tuple[Line, ...]:
    """The lines, advantages that rest on costs the log never saw with the end that these allow.

    Where the verdict says that the log cannot tell whether the best single model is worth more
    (`_best_single`), the interval reaches to what the advantage is if every call of that model
    without support costs as much as the dearest one of all; its mean stays that of costs as seen.
    """
    best = {line.cost_weight: line for line in evaluation.of("best-single-log")}
    found = []
    for line in evaluation.lines:
        own = best.get(line.cost_weight)
        if line.method == "router" and own is not None and line.advantage.high < 0:
            more = _at_dearest(line, own, dearest)
            if more >= -line.advantage.high:
                advantage = line.advantage._replace(high=line.advantage.high + more)
                line = dataclasses.replace(line, advantage=advantage)
        found.append(line)
    return tuple(found)


def _model(line: Line) -> str:
    return line.mostly[0] if line.mostly else ""


def _rests_on_costs(router: Line, best: Line, dearest: Mapping[str, float]) -> bool:
    """Whether the best single model's lead is gone where it costs as much as the dearest call."""
    return _at_dearest(router, best, dearest) >= -router.advantage.high


def _at_dearest(router: Line, best: Line, dearest: Mapping[str, float]) -> float:
    """What the best single model loses a query if its calls without support cost that much."""
    more = max(dearest.values(), default=0.0) - dearest.get(_model(best), 0.0)
    return router.cost_weight * (best.unsupported or 0.0) * more


def _support(evaluation: Evaluation) -> list[str]:
    """Models that today's policy hardly asks on part of the queries."""
    overlap = evaluation.overlap or {}
    thin = [
        f"{model} on {share:.0%}"
        for model, share in zip(overlap["models"], overlap["unsupported"], strict=True)
        if share > 0.01
    ]
    if not thin:
        return []
    chosen = max(line.unsupported or 0.0 for line in evaluation.of("router"))
    if evaluation.uncorrected:  # of which there is a sentence of its own
        return [f"Today's policy hardly ever asks {_and(thin)} of the queries."]
    near = any(line.nearly_certain for line in evaluation.of("router"))
    so = "so, or near an edge of that," if near else "so"
    then = (
        f"the router chooses {so} on up to {chosen:.1%} of the queries, and its value there may be "
        "anything in the quality range"
        if chosen > 0
        else "the router does not choose so"
    )
    return [
        f"Today's policy hardly ever asks {_and(thin)} of the queries; what would come of it the "
        f"log does not say, and {then}. What a call would cost there is not known either: a "
        "policy that does choose so is taken to pay what the log saw of the model elsewhere, from "
        "the least to the most, and its utility at a cost weight above 0 holds only if that is so."
    ]


def _uncorrected(evaluation: Evaluation, lines: Sequence[Line]) -> list[str]:
    """Models of which hardly any gold score tells what the judge is off by."""
    if not evaluation.uncorrected:
        return []
    chosen, wanted = (
        max((line.unsupported or 0.0 for line in some), default=0.0)
        for some in (lines, evaluation.of("regression-plug-in"))
    )
    then = "the router does not choose so"
    if chosen > 0:
        then = f"the router's choice is of that kind on up to {chosen:.1%} of the queries"
    elif wanted > 0:
        then = f"{then}, though its outcome models would on up to {wanted:.1%} of the queries"
    return [
        f"Only {counted(evaluation.uncorrected)} have a gold score. What the judge is off by on "
        "the others may be anything, so that values that rest on them reach over the quality "
        f"range, and {then}; {advice(evaluation.uncorrected)}."
    ]


def expectations(expected: Sequence[Mapping[str, Any]], evaluation: Evaluation) -> tuple[str, ...]:
    """Where to keep the best single model, and what choosing by query is expected to add elsewhere.

    Args:
      expected: `routerjax.pipelines.expected.Expected` by cost weight, rising.
      evaluation: of the same router, whose standard errors say how many rows would tell.
    """
    runs: list[list[Mapping[str, Any]]] = []
    for own in expected:
        if runs and (own["kept"], own["best_single"]) == _kind(runs[-1][0]):
            runs[-1].append(own)
        else:
            runs.append([own])
    return tuple(_expectation(run, evaluation) for run in runs)


def _kind(own: Mapping[str, Any]) -> tuple[bool, str]:
    return own["kept"], own["best_single"]


def _expectation(run: Sequence[Mapping[str, Any]], evaluation: Evaluation) -> str:
    weights = [own["cost_weight"] for own in run]
    at = f"At cost weight{'s' if len(weights) > 1 else ''} {_and([f'{w:g}' for w in weights])}"
    model = run[0]["best_single"]
    most = max(own["standard_deviation"] for own in run)
    adds = f"{_span([own['advantage'] for own in run], digits=2)} per query"
    adds += f" (standard deviation {most:.2g})"
    if run[0]["kept"]:
        least = min(own["supported"] for own in run)
        where = (
            "" if least == 1 else f" on the {least:.0%} of the queries where the log supports it"
        )
        reason = f"choosing by query is expected to add {adds}"
        return f"{at} keep {model}: {reason}, and the router is that model{where}."
    errors = [
        (own["advantage"], line.advantage.standard_error)
        for own in run
        for line in evaluation.of("router")
        if line.cost_weight == own["cost_weight"] and own["advantage"] > 0
        if np.isfinite(line.advantage.standard_error)
    ]
    rows = [evaluation.rows * (SEEN * error / advantage) ** 2 for advantage, error in errors]
    needed = _round(min(rows)) if rows else 0
    told = f"; to see it takes {needed:,} rows or more" if needed > evaluation.rows else ""
    return f"{at} choosing by query is expected to add {adds} to {model}{told}."


def _round(rows: float) -> int:
    """Two digits of a number of rows."""
    return int(float(f"{rows:.1e}"))


def impossible(evaluation: Evaluation) -> list[str]:
    """Notes on estimates that no policy can have."""
    low, high = evaluation.quality_range
    found = sorted(
        {
            line.method
            for line in evaluation.lines
            if np.isfinite(line.quality.mean) and not low <= line.quality.mean <= high
        }
    )
    if not found:
        return []
    return [
        f"the estimated quality of {_and(found)} lies outside [{low:g}, {high:g}], which is "
        "impossible: propensities may be wrong, or too few rows speak of it"
    ]
