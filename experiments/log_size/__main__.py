"""python -m experiments.log_size --preset quick"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from experiments import draw_by_draw
from experiments.draw_by_draw import Files, Plan
from experiments.log_size.config import PRESETS, SizeConfig, check
from routerjax.cli.app import Parsed
from routerjax.cli.study import Study

TEXT = """Routers from logs of several sizes against the best single model of the same log."""
SAME = ("cost_weights", "former", "recorded")
"""Settings that all draws of a results file share."""


def main() -> int:
    """Run the study and write its files; returns the exit code."""
    return draw_by_draw.main("log_size", TEXT, PRESETS, _run)


def _run(parsed: Parsed, config: SizeConfig) -> None:
    config, files = check(config), parsed[Files]
    from experiments.log_size import run
    from experiments.log_size.data import sources
    from experiments.log_size.report import report
    from routerjax.errors import InputError

    tables = sources(config, files.tables, embeddings=files.embeddings, prices=files.prices)
    places = run.places(config, tables)
    if not places:
        raise InputError("no table has enough rows to test beside the logs; give smaller --rows")
    plan = Plan(
        tables=[source.facts() for source in tables],
        same=SAME,
        places=places,
        measure=run.Study(config, tables).measure,
        report=report,
        plot=_plot,
        figure="log_size.png",
    )
    draw_by_draw.run(parsed[Study], config, plan)


def _plot(results: dict[str, Any], path: Path) -> None:
    from experiments.log_size.compare import cells
    from experiments.log_size.figure import plot

    plot(cells(results["draws"]), path)


if __name__ == "__main__":
    raise SystemExit(main())
