"""python -m experiments.off_policy_peers --preset quick"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from experiments.off_policy_peers.config import PRESETS, PeersConfig, check
from routerjax.cli import study as studies
from routerjax.cli.app import Options, Parsed
from routerjax.cli.options import option
from routerjax.cli.study import Study
from routerjax.errors import InputError

TEXT = """Our off-policy values beside other people's packages on the same rows."""


@dataclasses.dataclass(frozen=True)
class BanditLogs:
    """Logs of the Open Bandit Dataset. Without them that part is left out.

    Attributes:
      random: The log of the uniform policy.
      bts: The log of Bernoulli Thompson sampling.
    """

    random: Path | None = option(None, "FILE")
    bts: Path | None = option(None, "FILE")


def main() -> int:
    """Run the study and write its files; returns the exit code."""
    return studies.main(
        "experiments.off_policy_peers",
        TEXT,
        PRESETS,
        _run,
        out="results/off_policy_peers",
        groups=[Options("Open Bandit", BanditLogs())],
        without=("overwrite",),
    )


def _run(parsed: Parsed, config: PeersConfig) -> None:
    config, out, files = check(config), parsed[Study].out, parsed[BanditLogs]
    if (files.random is None) != (files.bts is None):
        raise InputError("--random and --bts go together; only one of them is given")
    from experiments.off_policy_peers.report import report, write_results
    from experiments.off_policy_peers.run import read_logs, steps, study
    from routerjax.support.atomic import check_place, write_text
    from routerjax.support.compilation import keep_compiled

    logs = read_logs(files.random, files.bts)
    check_place(out / "results.json")
    keep_compiled()
    with _progress(steps(config, logs), quiet=parsed[Study].quiet) as on_step:
        found = study(config, logs, on_step=on_step)
    results = write_results(out / "results.json", found, config, logs)
    text = report(results)
    write_text(out / "table.md", text)
    print(text)
    print(f"wrote {out / 'results.json'}, {out / 'table.md'}")


@contextmanager
def _progress(total: int, *, quiet: bool) -> Iterator[Callable[[str], None]]:
    """One line on standard error: which part is measured, and how far all is."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:<24}"), BarColumn(bar_width=16), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as bar:
        task = bar.add_task("", total=total)
        yield lambda name: bar.update(task, description=name, advance=1)


if __name__ == "__main__":
    raise SystemExit(main())
