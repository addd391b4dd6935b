"""python -m experiments.end_to_end --preset quick"""

from __future__ import annotations

from experiments import draw_by_draw
from experiments.draw_by_draw import Files, Plan
from experiments.end_to_end.config import PRESETS, EndToEndConfig, check
from routerjax.cli.app import Parsed
from routerjax.cli.study import Study

TEXT = """Routers trained end to end against predict-then-choose with the same outcome model."""
SAME = ("cost_weights", "test_rows", "surrogates", "estimators", "starts", "router", "validation")
"""Settings that all draws of a results file share."""


def main() -> int:
    """Run the study and write its files; returns the exit code."""
    return draw_by_draw.main("end_to_end", TEXT, PRESETS, _run)


def _run(parsed: Parsed, config: EndToEndConfig) -> None:
    config, files = check(config), parsed[Files]
    from experiments.end_to_end import run
    from experiments.end_to_end.figure import plot
    from experiments.end_to_end.report import report
    from experiments.log_size.data import read_all

    tables = read_all(files.tables, embeddings=files.embeddings, prices=files.prices)
    plan = Plan(
        tables=[source.facts() for source in tables],
        same=SAME,
        places=run.places(config, tables),
        measure=run.measuring(config, tables),
        report=report,
        plot=plot,
        figure="end_to_end.png",
    )
    draw_by_draw.run(parsed[Study], config, plan)


if __name__ == "__main__":
    raise SystemExit(main())
