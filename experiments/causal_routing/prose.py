"""report.md: a result section whose every number and verdict is read off the records."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from experiments.causal_routing.parts import Part, Record, candidates, everywhere, parts
from experiments.causal_routing.roles import (
    ARCHITECTURES,
    BASE,
    CEILING,
    PAIRS,
    TRAINED,
    yardsticks,
)
from experiments.causal_routing.sentences import bracket, difference_sentence, numbers, words
from routerjax.evaluation.intervals import Interval, mean_interval
from routerjax.evaluation.metrics import paired_difference
from routerjax.reports.plots import sag_values
from routerjax.reports.published_scores import CAPTION, PUBLISHED
from routerjax.reports.scores import Scores, scores
from routerjax.reports.selection import (
    Results,
    between_weights,
    cost_weights_of,
    methods_of,
    off_grid,
    on_grid,
    seeds_of,
    short,
    where,
)
from routerjax.reports.tables import gap_share, paired_advantage, score_sheet, to_markdown
from routerjax.reports.trends import by_setting, label_field, settings


class Figure(NamedTuple):
    """File name and caption."""

    file: str
    caption: str


def report(
    records: Sequence[Record],
    *,
    name: str,
    notices: Sequence[str],
    references: Collection[str],
    base: str = BASE,
    trained: str = TRAINED,
    architectures: Sequence[str] = ARCHITECTURES,
    pairs: Sequence[tuple[str, str]] = PAIRS,
    figures: Mapping[str, Sequence[Figure]] | None = None,
) -> str:
    """The result section in Markdown.

    Args:
      records: results, references and label errors of the study.
      name: of the table.
      notices: sentences every report must carry.
      references: methods that know what no log tells.
      base: what routers are set against.
      trained: method trained at every cost weight, those between grid points too.
      architectures: methods to set against it there.
      pairs: comparisons to tell, as far as both methods are there.
      figures: by logging policy.
    """
    references = yardsticks(references, trained)
    text = [f"# Causal LLM routing on {name}", *notices, _setting(parts(records), references)]
    for part in parts(records):
        text += [f"## Logging policy `{part.logging}`", _log(part)]
        found = scores(part.results, part.references)
        text.append(to_markdown(score_sheet(found, references=references)))
        if part.references:
            others = scores(part.results, part.references, columns=PUBLISHED)
            sheet = score_sheet(others, columns=PUBLISHED, references=references)
            text += [f"{CAPTION}:", to_markdown(sheet)]
        text += _paragraphs(part, found, references, base, trained, architectures, pairs)
        text += [f"![{caption}]({file})" for file, caption in (figures or {}).get(part.logging, ())]
    return "\n\n".join(paragraph for paragraph in text if paragraph) + "\n"


def _paragraphs(
    part: Part,
    found: Scores,
    references: Collection[str],
    base: str,
    trained: str,
    architectures: Sequence[str],
    pairs: Sequence[tuple[str, str]],
) -> list[str]:
    order = ranking(part.results, references)
    if not order:
        return []
    lead = order[0]
    return [
        headline(part.results, references, base=base),
        comparisons(part.results, pairs),
        cost_paragraph(part, found, lead),
        collapse_paragraph(found, lead),
        between_paragraph(part.results, architectures, trained=trained),
        *[
            trend_paragraph(varied, over, references, base=base)
            for varied, over in ((part.by_rows, "rows"), (part.by_strength, "strength"))
        ],
        curse_paragraph(part.labels, part.labels_over),
    ]


def _setting(study: Sequence[Part], references: Collection[str]) -> str:
    first = study[0]
    grid, between = cost_weights_of(on_grid(first.results)), sorted(between_weights(first.results))
    names = first.references[0]["models"] if first.references else []
    known = [f"`{name}`" for name in methods_of(first.results) if name in references]
    sentences = [
        f"{len(names)} models." if names else "",
        f"{first.seeds} {'seeds' if first.seeds > 1 else 'seed'}, each with its log, its "
        "split (unless the table names one) and starting values of its own.",
        f"Utility is u = q − λ·c; λ, quality per dollar, is {numbers(grid)} on the grid"
        + (f" and {numbers(between)} between its points." if between else "."),
        "Means are over test rows, seeds and the grid; ± is one standard error over seeds, "
        "brackets are 95 % intervals, of differences paired by seed, each by itself.",
        "Bold is the best method of a column whose interval against the next best excludes zero.",
        f"Yardsticks, which know what no log tells or were trained at more cost weights, are never "
        f"bold: {words(known)}."
        if known
        else "",
        "Area is the mean quality over budgets from the per-query cheapest to the per-query "
        "dearest model, on the curve of the grid as trained.",
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def _log(part: Part) -> str:
    text = f"{part.rows} rows logged a seed, one answer each, strength {part.strength:g}."
    if not part.overlaps:
        return text
    first = part.overlaps[0]
    sizes = np.mean([r["effective_sample_size"] for r in part.overlaps], axis=0)
    smallest = min(r["smallest_propensity"] for r in part.overlaps)
    clipped = np.mean([r["share_clipped"] for r in part.overlaps])
    return (
        f"{text} Propensities are {first['source']}: the smallest is {smallest:.3g}, "
        f"{clipped:.1%} lie below the floor of {first['floor']:g}; least covered is "
        f"{first['models'][int(sizes.argmin())]}, {sizes.min():.0f} effective rows a seed."
    )


def ranking(results: Results, references: Collection[str]) -> list[str]:
    """Methods that are no references, by mean utility over the grid."""
    found = scores(results, ())["utility"]
    names = candidates(results, references)
    return sorted(names, key=lambda name: -np.nanmean(found[name]))


def headline(results: Results, references: Collection[str], *, base: str) -> str:
    """The best method, the next best, and what it gains on the base."""
    grid, order = on_grid(results), ranking(results, references)
    lead = order[0]
    mean = np.nanmean(scores(results, ())["utility"][lead])
    text = [f"The highest mean utility, yardsticks aside, is {mean:.3f}, by `{lead}`."]
    if len(order) > 1:
        text.append(f"The next is `{order[1]}`: {verdict(grid, lead, order[1])}")
    if base in order[2:]:
        text.append(f"Against the base, {verdict(grid, lead, base)}")
    methods = methods_of(results)
    if CEILING in methods and base in methods and lead != base:
        if paired_advantage(grid, CEILING, base).low > 0:
            share = gap_share(grid, lead, base=base, ceiling=CEILING)
            text.append(f"It covers {share:.0%} of the way from `{base}` to `{CEILING}`.")
    return " ".join(text)


def comparisons(results: Results, pairs: Sequence[tuple[str, str]]) -> str:
    """One line a pair of methods that are both there."""
    methods, grid = methods_of(results), on_grid(results)
    lines = [f"- {verdict(grid, *pair)}" for pair in pairs if set(pair) <= set(methods)]
    return "\n".join(lines)


def verdict(results: Results, one: str, other: str) -> str:
    """Whether one method earns more utility than another, and how much, as a sentence."""
    return difference_sentence(f"`{one}`", f"`{other}`", paired_advantage(results, one, other))


def cost_paragraph(part: Part, found: Scores, lead: str) -> str:
    """What the leading method pays for the best single model's quality."""
    if "cost_to_best_single" not in found:
        return ""
    reached = found["cost_to_best_single"][lead]
    ratios = []
    for seed, cost in zip(seeds_of(part.results), reached, strict=True):
        if np.isfinite(cost):
            reference = where(part.references, seed=seed)[0]
            own = reference["mean_cost"][int(np.argmax(reference["mean_quality"]))]
            ratios.append(cost / own if own > 0 else np.nan)
    count = f"in {len(ratios)} of {int((~np.isnan(reached)).sum())} seeds"
    if not ratios:
        return f"`{lead}` reaches the best single model's quality in none of the seeds."
    if np.isnan(ratios).any():
        return f"`{lead}` reaches the best single model's quality {count}."
    return (
        f"`{lead}` reaches the best single model's quality {count}, there at "
        f"{np.mean(ratios):.0%} of that model's cost on average."
    )


def collapse_paragraph(found: Scores, lead: str) -> str:
    """How much of the traffic the most used model gets, and the oracle's."""
    if "collapse" not in found:
        return ""
    own, more = found["most_used"][lead], found["collapse"][lead]
    difference = _known_mean(more)
    return (
        f"The model that `{lead}` uses most gets {np.nanmean(own):.0%} of the queries, the "
        f"oracle's {np.nanmean(own - more):.0%}: a difference of "
        f"{bracket(difference, scale=100, digits=1, unit=' points')}."
    )


def between_paragraph(results: Results, architectures: Sequence[str], *, trained: str) -> str:
    """How far each architecture falls short of routers trained between the grid points."""
    off = off_grid(results)
    own = [name for name in architectures if name in methods_of(off)]
    if trained not in methods_of(off) or not own:
        return ""
    told = []
    for name in own:
        share = sag_values(off, name, trained=trained)
        mean = mean_interval(np.mean(list(share.values()), axis=0))
        size = "within 1 %" if abs(mean.mean) <= 0.01 else "not within 1 %"
        told.append(f"{bracket(mean, scale=100, digits=2, unit=' %')} for `{name}`, {size}")
    text = (
        f"Between grid points, utility relative to `{trained}`, which was trained there, is "
        f"{'; '.join(told)}."
    )
    others = [verdict(off, own[0], name) for name in own[1:]]
    return " ".join([text, *(["There:"] if others else []), *others])


def trend_paragraph(results: Results, over: str, references: Collection[str], *, base: str) -> str:
    """From how many logged rows on, or at which strengths, methods beat the base."""
    grid = on_grid(results)
    places, methods = settings(grid, over), everywhere(grid, over)
    names = [name for name in methods if name not in references and name != base]
    if len(places) < 2 or base not in methods or not names:
        return ""
    seeds = seeds_of(grid)
    other = by_setting(grid, base, over=over, seeds=seeds)
    word = "logged rows" if over == "rows" else "logging strengths"
    groups: dict[str, list[str]] = {}
    for name in names:
        values = by_setting(grid, name, over=over, seeds=seeds)
        gains = [paired_difference(a, b) for a, b in zip(values.T, other.T, strict=True)]
        better = [place for place, gain in zip(places, gains, strict=True) if gain.low > 0]
        worse = [place for place, gain in zip(places, gains, strict=True) if gain.high < 0]
        told = [f"better at {_places(better, places)}"] if better else []
        told += [f"worse at {_places(worse, places)}"] if worse else []
        groups.setdefault(" and ".join(told) or "nowhere told apart", []).append(f"`{name}`")
    verdicts = "; ".join(f"{told}: {words(some)}" for told, some in groups.items())
    return f"Over {word} {numbers(places)}, against `{base}`: {verdicts}."


def _places(some: Sequence[float], every: Sequence[float]) -> str:
    return "all" if list(some) == list(every) else numbers(some)


def curse_paragraph(labels: Results, over: str) -> str:
    """How wrong and how optimistic the labels of a classifier are."""
    if not labels:
        return ""
    places = settings(labels, over)
    word = {"rows": "logged rows", "strength": "strength", "cost_weight": "λ"}[over]
    ends = dict.fromkeys((0, len(places) - 1))
    told = []
    for name in dict.fromkeys(r["estimator"] for r in labels):
        wrong = label_field(labels, name, metric="label_error", over=over)
        high = label_field(labels, name, metric="optimism", over=over)
        each = [
            f"{np.nanmean(wrong[:, i]):.0%} and {bracket(_known_mean(high[:, i]))} at {word} "
            f"{short(places[i])}"
            for i in ends
        ]
        told.append(f"by {name} {', '.join(each)}")
    return (
        "Labels of the classification target, the model of highest estimated utility in each "
        f"training row: share that is wrong, and estimated less true utility: {'; '.join(told)}."
    )


def _known_mean(values: np.ndarray) -> Interval:
    return paired_difference(values, np.zeros(len(values)))
