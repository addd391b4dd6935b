"""The comparison on disk: results.jsonl, table.md and a figure of paired differences."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from experiments.surrogates.bounds import bounds_list, natures_table
from experiments.surrogates.config import FULL, SurrogatesConfig
from experiments.surrogates.run import ORACLE, START, Found, Target, Targets
from experiments.surrogates.source import Source
from routerjax.evaluation.intervals import Interval, mean_interval
from routerjax.reports.style import COLOURS, PAGE, REFERENCE, drawing
from routerjax.reports.tables import markdown
from routerjax.support.atomic import write_text
from routerjax.support.provenance import dumps, provenance


def write_results(
    out: Path, found: Sequence[Found], config: SurrogatesConfig, fingerprint: str
) -> Path:
    """JSON lines: first the provenance, then a record per method, target, start, seed and λ."""
    head = {"record": "provenance"} | provenance(config=config, seed=0, data=fingerprint)
    head["seeds"] = list(range(config.seeds))
    lines = [head]
    for one in found:
        about = {
            "record": "result",
            "method": one.method,
            "estimator": one.estimator,
            "start": one.start,
            "rows": one.rows,
        }
        for seed in range(config.seeds):
            for place, cost_weight in enumerate(config.cost_weights):
                means = {name: values[seed, place] for name, values in one.means.items()}
                where = {"seed": seed, "cost_weight": cost_weight, "epoch": one.epochs[seed]}
                where |= {"settings": {name: v[seed] for name, v in one.settings.items()}}
                lines.append(about | where | means)
    path = out / "results.jsonl"
    write_text(path, "".join(dumps(line) + "\n" for line in lines))
    return path


def report(
    found: Sequence[Found], targets: Targets, source: Source, config: SurrogatesConfig
) -> str:
    """The tables in Markdown, one per group, and what is known of the surrogates."""
    rates = ", ".join(f"{rate:g}" for rate in np.atleast_1d(config.router.learning_rate))
    drawn = "" if config.log else f" {config.logging} logging."
    parts = [
        "# Surrogates of routing regret under one protocol",
        f"{source.name}, {len(source.record)} queries. {source.notice}",
        f"{config.seeds} seeds. Same splits, log, folds, head, "
        f"optimiser and starting values for all;{drawn} Epoch, learning "
        f"rate ({rates}) and settings are chosen by each surrogate and seed on held-out training "
        "rows, by the utility of the argmax policy; the start is left only for a gain beyond "
        f"{config.router.schedule.caution:g} standard error. Mean utility u = q − λ·c of test "
        "rows, ± standard error over seeds; the difference to "
        f"{config.base} is paired by seed.",
    ]
    for group in groups_of(found):
        own = [one for one in found if one.group == group]
        parts += [f"## {heading(*group)}", _labels(targets[group[:2]], config)]
        parts += [table(own, config), verdict(own, config), _settings(own)]
    parts = [part for part in parts if part]
    parts += [
        "## Which bounds which",
        "For every row, with Δ = max ũ − min ũ, m arms, and the regret of the arm of highest "
        "logit. As logits grow, softmax_regret becomes the regret, and so does soft_regret for two "
        "arms.",
        bounds_list(),
        natures_table(),
    ]
    return "\n\n".join(parts) + "\n"


def groups_of(found: Sequence[Found]) -> list[tuple[int, str, str]]:
    """Training rows, target and start in order."""
    return list(dict.fromkeys(one.group for one in found))


def heading(rows: int, estimator: str, start: str) -> str:
    """Title of a target and start."""
    target = "every model's answer" if estimator == FULL else f"{estimator} estimates of a log"
    size = f" of {rows} rows" if rows else ""
    return f"{target}{size}, from the {start} start"


def difference(one: Found, others: Sequence[Found], config: SurrogatesConfig) -> Interval:
    """Mean utility less the base's of the same group, paired by seed."""
    (base,) = [o for o in others if (o.method, o.group) == (config.base, one.group)]
    return mean_interval(one.overall - base.overall)


def name_of(method: str) -> str:
    """A surrogate's name without the folder of its file."""
    return method.rsplit("/", maxsplit=1)[-1]


def _labels(targets: Sequence[Target], config: SurrogatesConfig) -> str:
    """How wrong the labels are that a classification surrogate would be given."""
    known = [target.labels for target in targets if target.labels is not None]
    if not known:
        return ""
    errors = np.mean(known, axis=0)
    each = "; ".join(
        f"{wrong:.0%} at λ = {cost_weight:g} (too high by {optimism:.2f})"
        for cost_weight, (wrong, optimism) in zip(config.cost_weights, errors, strict=True)
    )
    return f"Labels argmax ũ that are not truly a best model, and how far ũ overrates them: {each}."


def _settings(own: Sequence[Found]) -> str:
    """Which values of their settings the seeds chose."""
    lines = []
    for one in own:
        for name, values in one.settings.items():
            counted = [f"{v:g} ({values.count(v)})" for v in sorted(set(values))]
            lines.append(f"{name_of(one.method)} chose {name} = {', '.join(counted)}")
    return f"Of its settings, seed by seed, {'; '.join(lines)}." if lines else ""


def table(own: Sequence[Found], config: SurrogatesConfig) -> str:
    """Markdown: utility by cost weight, its mean, and the paired difference to the base."""
    cost_weights = [f"λ = {cost_weight:g}" for cost_weight in config.cost_weights]
    header = ["surrogate", *cost_weights, "mean", f"− {name_of(config.base)}", "kept start"]
    rows = []
    for one in own:
        columns = [*one.means["utility"].T, one.overall]
        cells = [_cell(mean_interval(column)) for column in columns]
        trained = one.method not in (START, ORACLE)
        gap = "" if one.method == config.base else _cell(difference(one, own, config), sign="+")
        kept = f"{np.sum(one.epochs == 0)} of {len(one.epochs)}" if trained else ""
        rows.append([name_of(one.method), *cells, gap, kept])
    return markdown(header, rows)


def _cell(interval: Interval, *, sign: str = "") -> str:
    mean = f"{interval.mean:{sign}.4f}"
    error = interval.standard_error
    return mean if np.isnan(error) else f"{mean} ± {error:.4f}"


def verdict(own: Sequence[Found], config: SurrogatesConfig) -> str:
    """Which surrogates differ from the base beyond their 95% interval."""
    if config.seeds < 2:
        return "One seed: nothing can be said about differences."
    better, worse = [], []
    for one in own:
        if one.method in (START, ORACLE, config.base):
            continue
        gap = difference(one, own, config)
        if gap.low > 0:
            better.append(name_of(one.method))
        elif gap.high < 0:
            worse.append(name_of(one.method))
    base = name_of(config.base)
    return (
        f"Better than {base}, by 95% intervals that are not corrected for their number: "
        f"{', '.join(better) or 'none'}. Worse: {', '.join(worse) or 'none'}."
    )


def draw(path: Path, found: Sequence[Found], config: SurrogatesConfig, name: str) -> Path:
    """Each surrogate's paired difference to the base with its 95% interval, by target and start."""
    starts, base = config.starts, name_of(config.base)
    columns = list(dict.fromkeys(one.group[:2] for one in found))
    methods = [START, *[s for s in config.surrogates if s != config.base]]
    note = (
        f"{name}, {config.seeds} seeds. Points: mean utility less that of {base}, paired by seed. "
        "Bars: 95% intervals, one by one; hollow: 0 is inside."
    )
    size = (PAGE, 0.5 + len(starts) * (0.5 + 0.15 * len(methods)))
    with drawing(path, size=size, note=note) as drawn:
        grid = drawn.subplots(len(starts), len(columns), sharex="col", sharey=True, squeeze=False)
        for row, start in enumerate(starts):
            for column, (rows, estimator) in enumerate(columns):
                axes = grid[row][column]
                own = [one for one in found if one.group == (rows, estimator, start)]
                _forest(axes, {one.method: difference(one, own, config) for one in own}, methods)
                (reference,) = [one for one in own if one.method == config.base]
                of_rows = f"{rows:,} rows, " if rows else ""
                axes.set_title(
                    f"{of_rows}{estimator}, {start} start\n{base} {reference.overall.mean():.3f}",
                    loc="left",
                )
                if row == len(starts) - 1:
                    axes.set_xlabel(f"mean utility − {base}")
    return path


def _forest(axes, gaps: dict[str, Interval], methods: Sequence[str]) -> None:
    """Points with intervals, first method on top; hollow where the interval holds 0."""
    axes.axvline(0, color=REFERENCE, linewidth=0.6)
    for place, method in enumerate(methods):
        if method not in gaps:
            continue  # it reads a log, and there is none
        gap = gaps[method]
        reach = 0.0 if np.isnan(gap.high) else gap.high - gap.mean
        colour = REFERENCE if method == START else COLOURS[0]
        clear = gap.low > 0 or gap.high < 0
        axes.errorbar(
            gap.mean,
            place,
            xerr=reach,
            color=colour,
            marker="s" if method == START else "o",
            markerfacecolor=colour if clear else "white",
            elinewidth=0.9,
        )
    axes.set_yticks(range(len(methods)), [name_of(method) for method in methods])
    axes.set_ylim(len(methods) - 0.5, -0.5)
    axes.locator_params(axis="x", nbins=5)
    axes.grid(axis="y", visible=False)
