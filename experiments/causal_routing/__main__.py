"""python -m experiments.causal_routing --preset quick"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from experiments.causal_routing.config import PRESETS, StudyConfig, check
from routerjax.counterfactual import Overlap
from routerjax.terminal import Help, Parser, exit_code, numbers


def main() -> int:
    """Run the study and write its files; returns the exit code."""
    return exit_code(_run, prog="experiments.causal_routing")


def _run() -> None:
    options = _options()
    from experiments.causal_routing.data import load_source
    from experiments.causal_routing.report import draw, tables, write_results
    from experiments.causal_routing.run import repeat
    from routerjax.atomic import write_text
    from routerjax.compilation import keep_compiled

    keep_compiled()
    config = _config(options)
    source = load_source(config)
    results: list[dict[str, Any]] = []
    overlaps: dict[str, Overlap] = {}
    runs = [(logging, seed) for logging in config.logging for seed in range(config.seeds)]
    with _progress(len(runs), quiet=options.quiet) as (on_step, on_run):
        for logging, seed in runs:
            found, shared = repeat(source, config, logging=logging, seed=seed, on_step=on_step)
            results += found
            overlaps.setdefault(logging, shared.nuisances.overlap)
            on_run()
    text = tables(results, overlaps, config, source)
    written = [write_results(options.out, results, config, source), options.out / "table.md"]
    write_text(written[-1], text)
    written += draw(options.out, results, config, source)
    print(text)
    print("wrote " + ", ".join(str(path) for path in written))


def _options() -> argparse.Namespace:
    parser = Parser(
        prog="python -m experiments.causal_routing",
        description="Causal LLM Routing: methods × cost weights on logs simulated from a table.",
        formatter_class=Help,
    )
    add = parser.add_argument
    add("--preset", choices=tuple(PRESETS), default="quick", help="base configuration")
    add("--out", type=Path, default=Path("results/causal_routing"), help="folder for the files")
    add("--table", metavar="FILE", help="table file or hub id; else the synthetic embedded table")
    add("--queries", type=int, help="of the embedded table")
    add("--rows", type=int, help="rows logged per seed")
    add("--test-share", type=float, help="share of the table kept for testing")
    add("--seeds", type=int, help="repetitions")
    add("--cost-weights", type=numbers, metavar="L,L,...", help="grid of quality per dollar")
    add("--logging", metavar="NAME,...",
        help="uniform, quality, cheap, epsilon, confounded")  # fmt: skip
    add("--strength", type=float, help="of the softmax logging policies")
    add("--record-propensities", action="store_true", default=None,
        help="methods know the log's propensities")  # fmt: skip
    add("--misspecified", action="store_true",
        help="outcome models stay at the arms' means, wrong on purpose")  # fmt: skip
    add("--surrogates", metavar="NAME,...", help="names, or FILE.py:FUNCTION of your own")
    add("--estimators", metavar="NAME,...", help="direct, ips, dr")
    add("--architecture", help="shared or separate")
    add("--start", help="what routers start from: plug-in or best-single")
    add("--encoder", help="of a table's prompts")
    add("--floor", type=float, help="propensities are clipped from below here")
    add("--quiet", action="store_true", help="no progress")
    return parser.parse_args()


def _config(options: argparse.Namespace) -> StudyConfig:
    """The preset with the options given laid over it."""
    given = {name: value for name, value in vars(options).items() if value is not None}
    names = {field.name for field in dataclasses.fields(StudyConfig)}
    changes = {name: value for name, value in given.items() if name in names}
    for name in ("logging", "surrogates", "estimators"):
        if name in changes:
            changes[name] = tuple(changes[name].split(","))
    config = dataclasses.replace(PRESETS[options.preset], **changes)
    router = {name: given[name] for name in ("architecture", "start") if name in given}
    config = dataclasses.replace(config, router=dataclasses.replace(config.router, **router))
    if options.misspecified:
        schedule = dataclasses.replace(config.nuisance.schedule, max_epochs=0)
        nuisance = dataclasses.replace(config.nuisance, schedule=schedule)
        config = dataclasses.replace(config, nuisance=nuisance)
    return check(config)


@contextmanager
def _progress(
    runs: int, *, quiet: bool
) -> Iterator[tuple[Callable[[str], None], Callable[[], None]]]:
    """Callbacks for the step at hand and for a run that is done, shown on standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:<52}"), BarColumn(bar_width=24),
               MofNCompleteColumn(), TimeElapsedColumn())  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as bar:
        task = bar.add_task("starting", total=runs)
        yield (
            lambda step: bar.update(task, description=step),
            lambda: bar.advance(task),
        )


if __name__ == "__main__":
    raise SystemExit(main())
