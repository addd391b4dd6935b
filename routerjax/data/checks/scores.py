"""Tests of scores: constants, codes for failure, scales that are mixed, missing taken for 0."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from routerjax.data.checks.cells import Cells, by_group
from routerjax.data.checks.finding import Finding
from routerjax.data.columns.arrays import quoted

ENOUGH = 20  # rows from which a constant says something
BY_CHANCE = 1e-9  # probability below which a model's constant is none of chance
GRADED = 5  # values strictly inside a range from which scores are graded, not won or lost
SPIKE = 0.1  # share of a model's scores at one edge
TIMES = 5.0  # how much more often than other models
NEAR = 0.1  # of the range, next to the edge
MIXED = 0.05  # share of a model's scores that lie between 0 and 1 where the others do not
LOWEST = 0.02  # share of the range below which the highest score is of another scale
MOSTLY = 0.6  # share of zeros among thumbs of -1, 0 and 1 that is too many


def score_findings(cells: Cells) -> Iterator[Finding]:
    """All tests of scores."""
    if cells.quality.size < ENOUGH:
        return
    values, counts = np.unique(cells.quality, return_counts=True)
    if len(values) == 1:
        yield Finding(
            name="constant-quality",
            column="quality",
            problem=f"every quality is {values[0]:g}",
            right="nothing can be learnt from it: are the rows without a good answer missing?",
        )
        return
    groups = by_group(cells.arms, len(cells.models))
    yield from _far_below(cells, values)
    yield from _failure_code(cells, values, counts)
    yield from _missing_as_zero(cells, values, counts)
    yield from _mixed_scales(cells, groups)
    varied = [len(own) > 0 and np.ptp(cells.quality[own]) > 0 for own in groups]
    if any(varied):  # else the score is that of the model, whatever it answered
        for model, own in zip(cells.models, groups, strict=True):
            yield from _constant(cells, model, own)
    low, high = cells.quality_range
    if ((values > low) & (values < high)).sum() >= GRADED:
        for model, own in zip(cells.models, groups, strict=True):
            for edge in (low, high):
                yield from _spike(cells, model, own, edge)


def _far_below(cells: Cells, values: np.ndarray) -> Iterator[Finding]:
    """All scores at the very bottom of the declared range, as fractions in a range of percent."""
    low, high = cells.quality_range
    if values[-1] <= low + LOWEST * (high - low):
        yield Finding(
            name="quality-range",
            column="quality",
            problem=f"the highest quality is {values[-1]:g}, and the range {low:g}:{high:g}",
            right="declare the range that the scores have, with --quality-range",
        )


def _constant(cells: Cells, model: str, own: np.ndarray) -> Iterator[Finding]:
    """One model with one score in all its rows, which others do not have so often."""
    if len(own) < ENOUGH or len(own) == cells.quality.size:
        return
    quality = cells.quality[own]
    if np.ptp(quality) > 0:
        return
    same = int((cells.quality == quality[0]).sum()) - len(own)
    elsewhere = (same + 1) / (cells.quality.size - len(own) + 1)
    if len(own) * np.log(elsewhere) > np.log(BY_CHANCE):
        return
    yield Finding(
        name="constant-quality",
        column=cells.column("quality", model),
        problem=f"every quality of model {quoted(model)} is {quality[0]:g} ({len(own)} rows), "
        f"which {elsewhere:.0%} of the other models' are",
        right="was it scored at all, or by another rule? Leave out what was not scored",
        model=model,
        row=int(cells.rows[own[0]]),
    )


def _failure_code(cells: Cells, values: np.ndarray, counts: np.ndarray) -> Iterator[Finding]:
    """A single negative value below scores that are otherwise 0 or more."""
    inside = values[values >= 0]
    if not (values[0] < 0 and len(inside) == len(values) - 1 and len(inside) >= 3):
        return
    lost = int(counts[0])
    yield Finding(
        name="failure-code",
        column="quality",
        problem=f"quality is {values[0]:g} in {lost} of {cells.quality.size} rows and {inside[0]:g}"
        f" to {inside[-1]:g} in all others: it looks like a code for a call that failed",
        right=f"say so with --failed quality={values[0]:g}, which leaves these rows out with "
        "--drop-missing or counts them with --failed-quality, and declare the range of the others, "
        f"--quality-range {inside[0]:g}:{inside[-1]:g}",
        share=lost / cells.quality.size,
        row=int(cells.rows[cells.quality.argmin()]),
    )


def _missing_as_zero(cells: Cells, values: np.ndarray, counts: np.ndarray) -> Iterator[Finding]:
    """Thumbs of -1 and 1 with far more zeros than of either."""
    if not (set(values.tolist()) == {-1.0, 0.0, 1.0}):
        return
    zeros = int(counts[1])
    share = zeros / cells.quality.size
    if share < MOSTLY:
        return
    yield Finding(
        name="missing-as-zero",
        column="quality",
        problem=f"quality is -1 or 1 in {cells.quality.size - zeros} rows and 0 in {zeros} "
        f"({share:.0%}): 0 looks like no feedback at all",
        right="say that these are no scores and leave them out with --failed quality=0 "
        "--drop-missing",
        share=share,
        row=int(cells.rows[(cells.quality == 0).argmax()]),
    )


def _mixed_scales(cells: Cells, groups: list[np.ndarray]) -> Iterator[Finding]:
    """Scores between 0 and 1 beside others between 0 and 100: those of one judge, or model, or some
    of its own."""
    if cells.quality_range[1] < GRADED:
        return
    if cells.scored_by is None:
        names, what = list(cells.models), "model"
    else:
        named, codes = np.unique(np.asarray(cells.scored_by), return_inverse=True)
        names, what = named.tolist(), "judge"
        groups = by_group(codes, len(names))
    small = [
        len(own) >= ENOUGH and 0 < cells.quality[own].max() <= 1 and cells.quality[own].min() >= 0
        for own in groups
    ]
    for name, own, is_small in zip(names, groups, small, strict=True):
        if not is_small:
            yield from _two_scales(cells, name, what, own)
    if not any(small) or all(small):
        return
    rest = np.concatenate(
        [own for own, is_small in zip(groups, small, strict=True) if not is_small]
    )
    if rest.size < ENOUGH or np.median(cells.quality[rest]) < GRADED:
        return
    for name, own, is_small in zip(names, groups, small, strict=True):
        if is_small:
            yield Finding(
                name="mixed-scales",
                column="quality",
                problem=f"the {len(own)} scores of {what} {quoted(name)} lie between "
                f"{cells.quality[own].min():g} and {cells.quality[own].max():g}, the others reach "
                f"{cells.quality[rest].max():g}",
                right="bring all scores to one scale first",
                model=name if what == "model" else None,
                share=len(own) / cells.quality.size,
                row=int(cells.rows[own[0]]),
            )


def _two_scales(cells: Cells, name: str, what: str, own: np.ndarray) -> Iterator[Finding]:
    """Fractions below 1 among one judge's, or model's, scores that are otherwise far above 1.

    The others are whole numbers, or hardly one of them is near 1, where on one scale, of 0 to 10
    or to 100, there would be as many between 1 and 2 as below.
    """
    quality = cells.quality[own]
    fraction, above = (quality > 0) & (quality < 1), quality > 1
    count = int(fraction.sum())
    if min(count, int(above.sum())) < ENOUGH or count < MIXED * own.size:
        return
    others = quality[above]
    whole = bool((others == np.round(others)).all()) and len(np.unique(quality[fraction])) >= GRADED
    apart = (others <= max(2.0, others.max() / 20)).sum() <= count / 10
    if np.median(others) < GRADED or not (whole or apart):
        return
    yield Finding(
        name="mixed-scales",
        column="quality",
        problem=f"{count} of {own.size} scores of {what} {quoted(name)} lie between 0 and 1, the "
        f"others reach {others.max():g}",
        right="bring all scores to one scale first",
        model=name if what == "model" else None,
        share=count / cells.quality.size,
        row=int(cells.rows[own[fraction.argmax()]]),
    )


def _spike(cells: Cells, model: str, own: np.ndarray, edge: float) -> Iterator[Finding]:
    """Many graded scores of one model at an edge of the range, with none next to it.

    At the upper edge only where its others are low: high scores often reach the end of their scale.
    """
    quality, (low, high) = cells.quality[own], cells.quality_range
    at = quality == edge
    share, others = float(at.mean()) if own.size else 0.0, cells.quality.size - own.size
    if own.size < ENOUGH or at.sum() < ENOUGH / 2 or share < SPIKE or not others:
        return
    elsewhere = (int((cells.quality == edge).sum()) - int(at.sum())) / others
    near = float((~at & (abs(quality - edge) <= NEAR * (high - low))).mean())
    if share < TIMES * max(elsewhere, 1 / others) or near > share / 2 or np.ptp(quality) == 0:
        return
    if edge == high and np.median(quality[~at]) > (low + high) / 2:
        return
    yield Finding(
        name="edge-of-range",
        column=cells.column("quality", model),
        problem=f"{share:.0%} of the scores of model {quoted(model)} are exactly {edge:g}, which "
        f"{elsewhere:.0%} of the other models' are, and hardly one lies next to it",
        right="is this a code for a call that failed, or an answer in a form that the scorer does "
        "not read? Score these rows again or leave them out",
        model=model,
        share=share,
        row=int(cells.rows[own[at.argmax()]]),
    )
