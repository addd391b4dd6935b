"""What a study prints first: a table of at most ten rows and three sentences on what was found."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from experiments.causal_routing.parts import Part, parts
from experiments.causal_routing.roles import BASE, CEILING
from experiments.causal_routing.sentences import difference_sentence, words
from routerjax.reports.published_scores import PUBLISHED
from routerjax.reports.scores import SCORES, scores
from routerjax.reports.selection import Results, by_seed, methods_of, on_grid, where
from routerjax.reports.tables import gap_share, paired_advantage, score_sheet, to_markdown

MOST_ROWS = 10
FIRST = (
    "oracle",
    CEILING,
    "regression-plug-in-full-feedback",
    "knn-plug-in-full-feedback",
    BASE,
    "regression-plug-in",
    "knn-plug-in",
    "rm-classification-dr",
    "rm-softmax-dr",
    "rm-interval-dr",
    "logging-policy",
    "random",
)
"""Methods in the order in which the table has room for them."""
COLUMNS = {
    **{name: SCORES[name] for name in ("utility", "regret")},
    **{name: PUBLISHED[name] for name in ("area", "peak_score", "qnc")},
}
ENDPOINTS = ("rm-softmax-", "rm-interpolated-", "rm-interval-")
PLUG_INS = ("regression-plug-in", "regression-plug-in-full-feedback")
PAPER = "Tsiourvas, Sun, Perakis, *Causal LLM Routing* (arXiv 2505.16037, NeurIPS 2025)"
ORBIT = "ORBIT's protocol (arXiv 2609.37402, table 1)"
STANDS_FOR: Mapping[str, str] = {
    "paper": f"It stands for the comparison of losses in {PAPER}. Which of its tables or figures "
    "an output stands for is unknown: neither their numbers nor their values are known to us.",
    "routerjax": f"It stands for no table of {PAPER}: it is the same comparison with our defaults.",
    "orbit": f"It follows {ORBIT}, whose column RouterBench has peak score and cost ratio (here "
    "QNC) of RM-Softmax and kNN.",
    "quick": f"It stands for no table of {PAPER}: the data are synthetic.",
    "smoke": "smoke: numbers mean nothing.",
}
"""By preset: which table or figure of which paper an output stands for."""


def summary(records: Results, *, references: Collection[str], preset: str | None = None) -> str:
    """Markdown: a table and three sentences a logging policy, equal rows explained.

    Args:
      records: of the study.
      references: methods that know what no log tells.
      preset: name of the configuration, for what the output stands for.
    """
    text = [STANDS_FOR.get(preset or "", "")]
    for part in parts(records):
        found = scores(part.results, part.references, columns=COLUMNS)
        kept = shown(part.results)
        some = {name: {m: own[m] for m in kept if m in own} for name, own in found.items()}
        sheet = score_sheet(some, columns=COLUMNS, references=references)
        seeds = f"{part.seeds} {'seeds' if part.seeds > 1 else 'seed'}"
        head = f"{part.logging} logging, {part.rows} rows, {seeds}, ± standard error over seeds"
        text += [f"**{head}**", to_markdown(sheet), " ".join(sentences(part, references))]
        text.append(equal_rows(part.results, kept))
    return "\n\n".join(each for each in text if each) + "\n"


def shown(results: Results) -> list[str]:
    """The methods of the table, at most ten, in the order of the records."""
    methods = methods_of(results)
    ranked = [name for name in FIRST if name in methods]
    ranked += [name for name in methods if name not in ranked]
    return [name for name in methods if name in ranked[:MOST_ROWS]]


def sentences(part: Part, references: Collection[str]) -> list[str]:
    """Which method is best, what it gains on the best single model, and regret against plug-in."""
    grid = on_grid(part.results)
    names = [name for name in methods_of(grid) if name not in references]
    if set(names) <= {BASE}:  # full feedback alone is compared
        above = ("oracle", "best-single-hindsight")
        names = [name for name in methods_of(grid) if name not in above]
    mean = {name: float(np.nanmean(by_seed(grid, name, metric="utility"))) for name in names}
    order = sorted(names, key=lambda name: -mean[name])
    lead = order[0]

    def told(one: str, other: str) -> str:
        return difference_sentence(f"`{one}`", f"`{other}`", paired_advantage(grid, one, other))

    first = f"The highest mean utility is {mean[lead]:.3f}, by `{lead}`"
    found = [f"{first}; {told(lead, order[1])}" if len(order) > 1 else f"{first}."]
    methods = methods_of(grid)
    if BASE in methods and lead != BASE:
        against = told(lead, BASE).removesuffix(".")
        if CEILING in methods and CEILING != lead:
            if paired_advantage(grid, CEILING, BASE).low > 0:
                share = gap_share(grid, lead, base=BASE, ceiling=CEILING)
                against += f", {share:.0%} of the way to `{CEILING}`"
        found.append(f"Against the best single model of the log, {against}.")
    pairs = (("rm-softmax-dr", PLUG_INS[0]), (CEILING, PLUG_INS[1]))
    for one, other in pairs:
        if one in methods and other in methods and len(found) < 3:
            found.append(f"End to end against predict-then-choose, {told(one, other)}")
    return found


def equal_rows(results: Results, methods: Sequence[str]) -> str:
    """Why rows of the table are equal, where some are, in one sentence a group."""
    grid = on_grid(results)
    groups: dict[tuple[float, ...], list[str]] = {}
    for name in methods:
        values = by_seed(grid, name, metric="utility")
        groups.setdefault(tuple(np.round(values, 6).ravel().tolist()), []).append(name)
    told = []
    for same in groups.values():
        if len(same) < 2:
            continue
        names = words([f"`{name}`" for name in same])
        told.append(f"{names} are equal: {_why(same, grid)}.")
    return " ".join(told)


def _why(same: Sequence[str], grid: Results) -> str:
    """The reason, as far as the names tell it and the shares of the models."""
    endpoints = [name for name in same if name.startswith(ENDPOINTS)]
    others = [name for name in same if not name.startswith("rm-") and name not in PLUG_INS]
    reasons = []
    if len(endpoints) > 1:
        names = words([f"`{name}`" for name in endpoints])
        reasons.append(f"{names} share their networks at the cost weights of the grid")
    if endpoints and any(name in PLUG_INS for name in same):
        reasons.append("no epoch beat the plug-in start, and the routers stayed there")
    shares = [record.get("shares") for name in same for record in where(grid, method=name)]
    if others or not reasons:
        alone = all(each is not None and max(each) == 1 for each in shares)
        reasons.append(
            "at every cost weight all of them send every query to the same model"
            if alone
            else "they chose the same models on the test rows"
        )
    return "; ".join(reasons)
