"""python -m experiments.loop --preset quick"""

from __future__ import annotations

from experiments.loop.config import PRESETS, LoopConfig, check
from routerjax.cli import study as studies
from routerjax.cli.app import Parsed
from routerjax.cli.study import Study

TEXT = """A router that is served, logged, refitted and promoted, round after round."""


def main() -> int:
    """Run the study and write its files; returns the exit code."""
    without = ("overwrite", "quiet")
    return studies.main(
        "experiments.loop", TEXT, PRESETS, _run, out="results/loop", without=without
    )


def _run(parsed: Parsed, config: LoopConfig) -> None:
    config, out = check(config), parsed[Study].out
    from experiments.loop.report import plot, table
    from experiments.loop.run import study
    from routerjax.support.atomic import check_place, write_text
    from routerjax.support.compilation import keep_compiled
    from routerjax.support.provenance import dumps, provenance

    check_place(out / "results.json")
    keep_compiled()
    records = study(config)
    head = provenance(config=config, seed=0, data="embedded synthetic table")
    results = {"provenance": head, "rounds": records}
    write_text(out / "results.json", dumps(results, indent=1) + "\n")
    text = table(records)
    write_text(out / "table.md", text)
    plot(records, out / "loop.png")
    print(text)


if __name__ == "__main__":
    raise SystemExit(main())
