"""python -m experiments.meta_router --preset quick"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator

from experiments.meta_router.config import PRESETS, MetaRouterConfig, check
from routerjax.cli import study as studies
from routerjax.cli import training
from routerjax.cli.app import Options, Parsed
from routerjax.cli.study import Study

MARKER = "results.jsonl"
TEXT = """Meta-Router: few gold labels, many biased ones; the paper's protocol."""


@dataclasses.dataclass(frozen=True)
class Resuming:
    """What an interrupted study left.

    Attributes:
      resume: The blocks of runs that an interrupted study left are taken up.
    """

    resume: bool = False


def main() -> int:
    """Run the study and write its folder; returns the exit code."""
    return studies.main(
        "experiments.meta_router",
        TEXT,
        PRESETS,
        _run,
        out="results/meta_router",
        groups=[Options("Resuming", Resuming())],
    )


def _run(parsed: Parsed, config: MetaRouterConfig) -> None:
    config, options = check(config), parsed[Study]
    from experiments.meta_router.data import sources
    from experiments.meta_router.report import SUMMARY, write
    from experiments.meta_router.run import Blocks, study
    from routerjax.support.atomic import check_free, new_folder
    from routerjax.support.compilation import keep_compiled
    from routerjax.support.provenance import versions

    check_free(options.out, marker=MARKER, overwrite=options.overwrite)
    keep_compiled()
    each = list(sources(config))
    data = [source.fingerprint for source in each]
    settings = {"config": config, "data": data, "versions": versions()}
    outcomes = []
    with training.store(options.out, whole=Blocks.FILES, resume=parsed[Resuming].resume) as store:
        for number, source in enumerate(each):
            total = -(-config.runs // config.block) * config.block
            kept = Blocks(store / f"study-{number}", settings)
            with _progress(source.name, total, quiet=options.quiet) as on_block:
                outcomes += study(config, source, on_block=on_block, kept=kept)
        with new_folder(options.out, marker=MARKER, overwrite=options.overwrite) as folder:
            write(folder, outcomes, config, preset=options.preset)
    print((options.out / SUMMARY).read_text())
    print(f"wrote {options.out}")


@contextlib.contextmanager
def _progress(name: str, runs: int, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """A bar over the runs of a study, on standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description:<40}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("runs"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as bar:
        task = bar.add_task(name, total=runs)
        yield lambda done: bar.advance(task, done)


if __name__ == "__main__":
    raise SystemExit(main())
