"""What the studies found, in sentences: every number of them is read off the results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from experiments.ope_coverage.cell import BAND, CORRECTED, TODAY, coverages
from experiments.ope_coverage.mixed import AS_THEY_ARE, BESIDE, BY_SOURCE
from experiments.ope_coverage.pages import ADVANTAGE, BEST, ESTIMATED, OVER, ROUTER, TOLD
from experiments.ope_coverage.scores import MIXED, PLAIN, TREES

Record = dict[str, Any]
HOLD = ("dr", "sndr", "snips", "switch-dr", "dros")
"""Estimators whose intervals hold where support is enough."""
SUM, KINDS = "a sum", "kinds of queries"
SIDES = ("below", "above")


def coverage_said(
    supported: Sequence[Record], others: Sequence[Record], null: Sequence[Record], product: Record
) -> str:
    """Markdown: what the study of estimators found.

    Args:
      supported: its cells where support is enough.
      others: those where it is not.
      null: cells of models alike, where it is.
      product: results of the product's own nuisances.
    """
    held = [coverages(supported, name) for name in HOLD]
    logs = supported[0]["logs"]
    estimated = [cell for cell in supported if cell["propensities"] == "estimated"]
    excluded = [cell["better"] + cell["worse"] for cell in null]
    own = product["cells"]
    return _items(
        f"**Where support is enough, {_names(HOLD)} cover {_between(map(np.mean, held), '.3f')} "
        f"on average** and {_between(np.concatenate(held), '.2f')} by kind of log, of which {logs} "
        f"logs scatter by {np.sqrt(0.95 * 0.05 / logs):.2f}. The advantage over the policy that "
        f"wrote the log covers {np.mean(coverages(supported, TODAY)):.3f} on average, the band "
        f"{np.mean(coverages(supported, BAND)):.3f}.",
        "**Where it is not, none does.** `dr` takes the outcome model's word for what the log "
        "never tried, and more rows make the interval narrow around it: by kind it covers "
        f"{_between(coverages(others, 'dr'), '.2f')}, `snips`, which makes nothing up, "
        f"{_between(coverages(others, 'snips'), '.2f')}. The log says so of itself in "
        f"{np.mean([cell['flagged'] for cell in others]):.0%} of these logs, and in "
        f"{np.mean([cell['flagged'] for cell in supported]):.0%} of the others.",
        "**`direct` never covers.** Its interval is that of the predictions, and knows nothing of "
        f"the model's own error: {np.mean(coverages(supported, 'direct')):.2f} on average.",
        "**`ips` with estimated propensities has no interval to rely on.** The mean weight ought "
        "to be 1 and is not quite; the value carries that error and the scores do not show it. "
        "With a logistic model fitted to the log it covers "
        f"{_between(coverages(estimated, 'ips'), '.2f')}, too wide; a variance that counts the "
        f"estimation (*ips, corrected*) {_between(coverages(estimated, CORRECTED), '.2f')}, too "
        "narrow where the model has many coefficients for its groups. The product's propensities "
        "are those of trees that stop early, or of a logit, whichever foretells the log better; "
        "their mean weight is off by "
        f"{_between((each['mean_weight_deviation'] for each in own), '.2f')}: of {own[0]['logs']} "
        f"logs each `ips` covers {_between(coverages(own, 'ips'), '.2f')}, `snips` "
        f"{_between(coverages(own, 'snips'), '.2f')} and `dr` "
        f"{_between(coverages(own, 'dr'), '.2f')}.",
        "**All models alike:** the advantage of a policy learnt on half of a log, judged on the "
        f"other half, excludes 0 in {np.mean(excluded):.1%} of the logs where support is enough, "
        f"by kind in {_between(excluded, '.0%')}.",
    )


def pages_said(results: Record) -> str:
    """Markdown: what the page of a fit says on a real table."""
    kinds = dict.fromkeys((each["logging"], each["propensities"]) for each in results["logs"])
    found = {
        (value, *kind): _read(results, value, *kind)
        for kind in kinds
        for value in (ROUTER, BEST, ADVANTAGE, OVER)
    }
    least = min(found, key=lambda place: found[place]["covered"])
    high = max(found, key=lambda place: found[place]["error"])
    low = min(found, key=lambda place: found[place]["error"])
    bounds = max(((kind, found[BEST, *kind]["unsupported"]) for kind in kinds), key=lambda p: p[1])
    gain = np.mean([own["truth"] for place, own in found.items() if place[0] == ADVANTAGE])
    return _items(
        f"**Coverage** is {_between((each['covered'] for each in found.values()), '.2f')}; the "
        f"least is {_place(least)}. A cross-fitted page multiplies its intervals by 1.5, and the "
        "weight of a seldom asked model is large, so that they are wider than they must be.",
        f"**Mean errors** lie between {found[low]['error']:+.3f} ({_place(low)}) and "
        f"{found[high]['error']:+.3f} ({_place(high)}). The best single model is given bounds on "
        f"{bounds[1]:.0%} of the queries at most ({', '.join(bounds[0])}).",
        f"**The routers are worth {gain:+.3f}** beside their best single model in truth, and an "
        "advantage is claimed as seldom as the line below the table counts.",
    )


def tasks_said(results: Record) -> str:
    """Markdown: what it changes that a log tells its tasks."""
    found = {
        source: {
            value: [_read(results, value, logging, source) for logging in _loggings(results)]
            for value in (ROUTER, BEST, ADVANTAGE, OVER)
        }
        for source in (ESTIMATED, TOLD)
    }
    wider = [
        told["half"] / untold["half"]
        for value in (ROUTER, BEST, OVER)
        for told, untold in zip(found[TOLD][value], found[ESTIMATED][value], strict=True)
    ]
    names = {ROUTER: "router", BEST: "best single model", OVER: "over today"}
    said = {}
    for source, own in found.items():
        errors = (
            f"{name} {_between((each['error'] for each in own[value]), '+.3f')}"
            for value, name in names.items()
        )
        covered = _between((each["covered"] for each in sum(own.values(), [])), ".2f")
        said[source] = f"{', '.join(errors)}, and they cover {covered}"
    return _items(
        "**Untold**, models met the queries that suit them, as far as embeddings do not show it. "
        f"Mean errors are {said[ESTIMATED]}.",
        f"**Told**, mean errors are {said[TOLD]}. Intervals are {_between(wider, '.2f')} times as "
        "wide: given its task a model was asked more seldom than given the query alone, and where "
        "a task hardly met it there are bounds.",
    )


def scores_said(results: Record) -> str:
    """Markdown: what happens where a router runs already."""
    found = {name: _by_kind(results, name) for name in (TREES, PLAIN, MIXED)}
    told = {
        name: f"the page is too high by {_between((e['error'] for e in own), '.3f')} and covers in "
        f"{_between((e['covered'] for e in own), '.0%')} of the logs of a kind, the router "
        f"differs from today's policy by {_between((e['over_today'] for e in own), '+.3f')}, and "
        f"is said to be better in {sum(e['better'] for e in own)} of {sum(e['logs'] for e in own)} "
        "logs"
        for name, own in found.items()
    }
    few, many = (
        [each for each in found[MIXED] if (each["models"] > 4) is wide] for wide in (False, True)
    )
    return _items(
        f"**Trees alone blur the edges** of regions that have several sides: {told[TREES]}.",
        f"**With a logit**, {told[PLAIN]}. The few rows that are sent at random, far from an edge, "
        "keep its scores flat, so that its edges are blurred too.",
        "**A logit of which a part is drawn at random finds the edges** "
        f"(`routerjax/estimators/exploring.py`): {told[MIXED]}. With up to four models the page is "
        f"too high by {max(each['error'] for each in few):.3f} at most and covers in at least "
        f"{min(each['covered'] for each in few):.0%} of the logs of a kind.",
        "**Many numbers and models stay hard**: with six models the router differs from today's "
        f"policy by {_between((e['over_today'] for e in many), '+.3f')}, the page is too high by "
        f"{_between((e['error'] for e in many), '.3f')} and covers in "
        f"{_between((e['covered'] for e in many), '.0%')}. Choices within three standard errors of "
        "an edge are given by bounds; how many was set on logs of these kinds.",
    )


def mixed_said(results: Record) -> str:
    """Markdown: what gold scores among a judge's do to a page."""
    found = {
        scores: [
            value
            for cell in results["cells"]
            if cell["scores"] == scores
            for value in cell["values"].values()
        ]
        for scores in (BY_SOURCE, BESIDE, AS_THEY_ARE)
    }
    corrected, plain = found[BY_SOURCE] + found[BESIDE], found[AS_THEY_ARE]
    wide = [
        one["half_width"] / other["half_width"]
        for one, other in zip(found[BESIDE], found[BY_SOURCE], strict=True)
    ]
    logs = results["cells"][0]["logs"]

    def covered(own: Sequence[Record]) -> str:
        return f"{_between((each['coverage'] for each in own), '.3f')}"

    def off(own: Sequence[Record]) -> str:
        return f"{max(abs(each['error']) for each in own):.3f}"

    return _items(
        f"**Corrected by gold scores**, intervals cover {covered(corrected)} by kind and value, of "
        f"{logs} logs each, which scatter by {np.sqrt(0.95 * 0.05 / logs):.2f}; means are off by "
        f"{off(corrected)} at most.",
        "**The judge's score of a gold row tells too**: with gold scores in a column beside the "
        f"judge's, intervals are {_between(wide, '.2f')} times as wide as where they take its "
        "place.",
        f"**Taken as they are**, the scores give intervals that cover {covered(plain)} and are off "
        f"by up to {off(plain)}; pages then warn of several judges.",
    )


def cuts_said(results: Record) -> str:
    """Markdown: what happens where a policy never asks a model on part of the queries."""
    parts: list[tuple[str, Callable[[Record], bool]]] = [
        ("Rules on one or two numbers, or on how far out", lambda k: k["width"] and _plain(k)),
        ("A sum, among three to five models", lambda k: k["cut"] == SUM and k["models"] <= 5),
        ("A sum, among eight to twelve models", lambda k: k["cut"] == SUM and k["models"] > 5),
        ("Kinds of queries", lambda k: k["cut"] == KINDS),
        ("A score on RouterBench", lambda k: not k["width"]),
    ]
    return _items(*(f"**{name}**: {_cut(results, own)}." for name, own in parts))


def _plain(kind: Record) -> bool:
    return kind["cut"] not in (SUM, KINDS)


def _cut(results: Record, wanted: Callable[[Record], bool]) -> str:
    """Trust, error and coverage of the logs of some kinds."""
    own = [each for each in results["logs"] if wanted(each["kind"])]
    off = [each["mean"] - each["truth"] for each in own]
    covered = sum(each["low"] <= each["truth"] <= each["high"] for each in own)
    below, above = (np.mean([each[f"trusted_{side}"] for each in own]) for side in SIDES)
    return (
        f"trusted on {below:.0%} of the queries below the cut and on {above:.0%} of those above, "
        f"page − truth {np.mean(off):+.3f} and {max(off):+.3f} at most, {covered} of {len(own)} "
        "pages hold the truth"
    )


def _loggings(results: Record) -> list[str]:
    return list(dict.fromkeys(each["logging"] for each in results["logs"]))


def _read(results: Record, value: str, logging: str, source: str) -> dict[str, float]:
    """Means over the readings of a value in the logs of a kind."""
    own = [
        each
        for log in results["logs"]
        if (log["logging"], log["propensities"]) == (logging, source)
        for each in log["values"]
        if each["value"] == value
    ]
    means = {
        "covered": [each["low"] <= each["truth"] <= each["high"] for each in own],
        "error": [each["mean"] - each["truth"] for each in own],
        "half": [(each["high"] - each["low"]) / 2 for each in own],
        "unsupported": [each["unsupported"] for each in own],
        "truth": [each["truth"] for each in own],
    }
    return {name: float(np.mean(found)) for name, found in means.items()}


def _by_kind(results: Record, propensities: str) -> list[Record]:
    """Means over the logs of every kind, of one way to estimate propensities."""
    kinds: dict[str, list[Record]] = {}
    for each in results["logs"]:
        if each["propensities"] == propensities:
            kinds.setdefault(str(each["kind"]), []).append(each)
    return [
        {
            "models": own[0]["kind"]["models"],
            "logs": len(own),
            "error": float(np.mean([each["mean"] - each["truth"] for each in own])),
            "covered": float(np.mean([e["low"] <= e["truth"] <= e["high"] for e in own])),
            "over_today": float(np.mean([each["over_today"] for each in own])),
            "better": sum(each["said_better"] for each in own),
        }
        for own in kinds.values()
    ]


def _between(values: Iterable[float], form: str) -> str:
    """From the least to the most."""
    every = [float(each) for each in values]
    least, most = f"{min(every):{form}}", f"{max(every):{form}}"
    return least if least == most else f"{least} to {most}"


def _names(names: Sequence[str]) -> str:
    every = [f"`{name}`" for name in names]
    return f"{', '.join(every[:-1])} and {every[-1]}"


def _place(place: tuple[str, str, str]) -> str:
    return f"{place[0]}, {place[1]}, {place[2]} propensities"


def _items(*items: str) -> str:
    return "\n".join(f"- {each}" for each in items)
