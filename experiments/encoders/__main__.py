"""python -m experiments.encoders --preset full --tables routerbench.parquet"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from experiments.draw_by_draw import progress
from experiments.encoders.config import PRESETS, EncodersConfig, check
from routerjax.cli import study as studies
from routerjax.cli.app import Options, Parsed
from routerjax.cli.options import option
from routerjax.cli.study import Study

TEXT = """Routers from the same logs under several encoders, and what encoding takes."""


@dataclasses.dataclass(frozen=True)
class Files:
    """Tables with prompts.

    Attributes:
      tables: Wide tables, a column score:<model> each model, or names of public tables.
      prices: Prices of models, from which costs are derived where a table has none.
    """

    tables: tuple[str, ...] = option((), "FILE,...")
    prices: Path | None = option(None, "FILE")


def main(arguments: list[str] | None = None) -> int:
    """Run the comparison and write its files; returns the exit code."""
    return studies.main(
        "experiments.encoders",
        TEXT,
        PRESETS,
        _run,
        out="results/encoders",
        groups=[Options("Tables", Files())],
        without=("overwrite",),
        arguments=arguments,
    )


def _run(parsed: Parsed, config: EncodersConfig) -> None:
    config, out, files = check(config), parsed[Study].out, parsed[Files]
    from experiments.encoders.report import report
    from experiments.encoders.run import study
    from experiments.encoders.tables import sources
    from routerjax.data.encoders.encoding import recipe
    from routerjax.support.atomic import check_place, write_text
    from routerjax.support.compilation import keep_compiled
    from routerjax.support.provenance import dumps, provenance

    path = out / "results.json"
    check_place(path)
    tables = sources(config, files.tables, prices=files.prices)
    keep_compiled()
    own = "; ".join(f"{each.name} {each.table.fingerprint}" for each in tables)
    head = {
        "provenance": provenance(config=config, seed=0, data=own),
        "recipes": {encoder: recipe(encoder) for encoder in config.encoders},
        "tables": [each.facts() for each in tables],
    }
    steps = len(tables) * len(config.encoders) * (1 + len(config.logging) * config.seeds)
    records = []
    with progress(steps, "encoding", quiet=parsed[Study].quiet) as on_place:
        for record in study(config, tables, on_place=on_place):
            records.append(record)
            lines = [f'"{name}": {dumps(value)}' for name, value in head.items()]
            lines.append('"encoders": [\n' + ",\n".join(map(dumps, records)) + "\n]")
            write_text(path, "{" + ",\n".join(lines) + "}\n")
    text = report({"encoders": records})
    write_text(out / "table.md", text)
    print(text)
    print(f"wrote {path}, {out / 'table.md'}")


if __name__ == "__main__":
    raise SystemExit(main())
