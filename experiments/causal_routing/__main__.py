"""python -m experiments.causal_routing --preset quick"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from experiments.causal_routing.config import PRESETS, STAND_INS, StudyConfig, check
from routerjax.cli import study as studies
from routerjax.cli import training
from routerjax.cli.app import Options, Parsed
from routerjax.cli.options import Training
from routerjax.cli.study import Study

OnProgress = Callable[[str, int, int], None]

TEXT = """Causal LLM Routing: methods × cost weights on logs simulated from a table."""


@dataclasses.dataclass(frozen=True)
class Stress:
    """Deliberate faults.

    Attributes:
      misspecified: The outcome models stay at the arms' means, wrong on purpose.
    """

    misspecified: bool = False


def main() -> int:
    """Run the study and write its files; returns the exit code."""
    return studies.main(
        "experiments.causal_routing",
        TEXT,
        PRESETS,
        _run,
        out="results/causal_routing",
        groups=[Options("Stress", Stress()), Options("Training", Training())],
    )


def _run(parsed: Parsed, config: StudyConfig) -> None:
    config, options = _config(parsed, config), parsed[Study]
    from experiments.causal_routing.data import load_source
    from experiments.causal_routing.methods import is_reference
    from experiments.causal_routing.report import MARKER, SUMMARY, write
    from experiments.causal_routing.run import study
    from routerjax.support.atomic import check_free
    from routerjax.support.compilation import keep_compiled
    from routerjax.support.provenance import provenance

    check_free(options.out, marker=MARKER, overwrite=options.overwrite)
    keep_compiled()
    named = ("encoder",) in parsed.given[type(PRESETS["quick"])]
    source = load_source(config, stand_ins=() if named else STAND_INS.get(config.encoder, ()))
    if source.table.encoder is not None:
        config = dataclasses.replace(config, encoder=source.table.encoder)
    settings = {"config": config, "data": source.table.fingerprint}
    with (
        _progress(quiet=options.quiet) as on_progress,
        training.execution(
            parsed[Training], options.out, settings=settings, on_progress=on_progress
        ) as execution,
    ):
        records = study(source, config, execution=execution)
    head = provenance(config=config, seed=0, data=source.table.fingerprint)
    methods = {r["method"] for r in records if r["record"] == "result"}
    written = write(
        options.out,
        records,
        head=head | {"seeds": list(config.every_seed)},
        name=source.name,
        notices=source.notices,
        references=[m for m in methods if is_reference(m)],
        overwrite=options.overwrite,
        preset=options.preset,
    )
    print((options.out / SUMMARY).read_text())
    print("wrote " + ", ".join(str(path) for path in written))


def _config(parsed: Parsed, config: StudyConfig) -> StudyConfig:
    """The preset with the options given laid over it, if it can be run."""
    given = parsed.given[type(PRESETS["quick"])]
    if ("table",) in given and ("dataset",) not in given:
        config = dataclasses.replace(config, dataset=None)
    if parsed[Stress].misspecified:
        schedule = dataclasses.replace(config.nuisance.schedule, max_epochs=0)
        nuisance = dataclasses.replace(config.nuisance, schedule=schedule)
        config = dataclasses.replace(config, nuisance=nuisance)
    return check(config)


@contextmanager
def _progress(*, quiet: bool) -> Iterator[OnProgress]:
    """One line on standard error: the step at hand, its epochs, and how many steps are done."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description:<64}"),
        BarColumn(bar_width=16),
        TextColumn("step {task.fields[step]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as bar:
        task = bar.add_task("reading", total=1, step=0)
        seen: set[str] = set()

        def on_progress(what: str, done: int, at_most: int) -> None:
            seen.add(what)
            bar.update(task, description=what, completed=done, total=at_most, step=len(seen))

        yield on_progress


if __name__ == "__main__":
    raise SystemExit(main())
