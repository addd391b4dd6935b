"""What the numbers of an evaluation support, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from routerjax.pipelines.lines import FEW, Evaluation, Line

SAME = 0.999
"""A policy that chooses one model at least this often is that model."""


def verdict(evaluation: Evaluation) -> tuple[str, ...]:
    """Sentences on the router beside today's policy and the best single model of its log.

    They hold at all cost weights at once, with 95 % confidence: what is compared is the band.
    """
    lines = evaluation.of("router")
    said = [_headline(lines)]
    said += [_sentence(line, _today(evaluation, line)) for line in lines]
    said += _support(evaluation)
    return tuple(said)


def _today(evaluation: Evaluation, line: Line) -> Line:
    return next(each for each in evaluation.of("today") if each.cost_weight == line.cost_weight)


def _headline(lines: Sequence[Line]) -> str:
    """At which cost weights the router is better, worse, or nobody knows."""
    parts = []
    for word, text in (
        ("better", "is worth more than today's policy"),
        ("worse", "is worth less than today's policy"),
        ("cannot tell", "cannot be told from today's policy by this log"),
    ):
        at = [f"{line.cost_weight:g}" for line in lines if line.verdict == word]
        if at:
            weights = "every cost weight" if len(at) == len(lines) else f"cost weights {_and(at)}"
            weights = weights.replace("weights", "weight") if len(at) == 1 < len(lines) else weights
            parts.append(f"The router {text} at {weights}.")
    return " ".join(parts)


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _sentence(line: Line, log_policy: Line) -> str:
    """One cost weight: how much more or less, at what share of the cost, and what it resembles."""
    assert line.over_today is not None and line.band is not None
    at, (low, high) = f"At cost weight {line.cost_weight:g}", line.band
    if line.verdict == "cannot tell":
        said = f"{at} the log cannot tell: {_why(line)}"
    else:
        more = "more" if line.verdict == "better" else "less"
        ends = sorted((abs(low), abs(high)))
        said = (
            f"{at} the router is worth {abs(line.over_today.mean):.3g} {more} per query than "
            f"today's policy (95 % {ends[0]:.3g} to {ends[1]:.3g})"
        )
    return f"{said}{_cost(line, log_policy)}. {_resemblance(line)}"


def _why(line: Line) -> str:
    assert line.over_today is not None and line.band is not None
    low, high = line.band
    if line.effective_sample_size is not None and line.effective_sample_size < FEW:
        return (
            f"only {line.effective_sample_size:.0f} effective rows speak of what the router chooses"
        )
    between = f"the difference from today's policy lies between {low:+.3g} and {high:+.3g}"
    if line.unsupported and line.unsupported > 0.005:
        return (
            f"{between}, since on {line.unsupported:.0%} of the queries today's policy hardly ever "
            "asks the model that the router chooses"
        )
    return between


def _cost(line: Line, log_policy: Line) -> str:
    if not log_policy.cost.mean > 0:
        return ""
    return f", at {line.cost.mean / log_policy.cost.mean:.2g} of its cost"


def _resemblance(line: Line) -> str:
    assert line.mostly is not None
    model, share = line.mostly
    if share >= SAME:
        return f"It is {model} for every query."
    return f"It is the same policy as {model} on {share:.0%} of the queries."


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
    then = (
        f"the router chooses so on up to {chosen:.1%} of the queries, and its value there may be "
        "anything in the quality range"
        if chosen > 0
        else "the router does not choose so"
    )
    return [
        f"Today's policy hardly ever asks {_and(thin)} of the queries; what would come of it the "
        f"log does not say, and {then}."
    ]


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
