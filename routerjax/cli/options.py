"""Options that are no settings of a fit: where data lie, what is printed, how training runs."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from routerjax.cli.parse import (
    count_or_auto,
    gibibytes,
    gold_scores,
    joined,
    pair,
    price_changes,
    spellings,
    worth,
)
from routerjax.errors import InputError
from routerjax.training.config import GainConfig

CORES = 4
"""Host devices at most that auto makes of a CPU's cores: each holds a copy of the rows."""

FILES = (
    "A parquet, CSV, TSV or JSON lines file, several of them or a quoted pattern ('logs/*.jsonl'), "
    "or a hub id."
)
"""Help of an argument that names rows."""


def option(
    default: Any,
    metavar: str,
    parse: Any = None,
    *,
    required: bool = False,
    repeated: bool = False,
) -> Any:
    """A field of a record of options.

    Args:
      default: its value where the option is not given.
      metavar: what the help writes for a value.
      parse: text → value, where the type of the field does not tell.
      required: whether it must be given.
      repeated: whether it may be given more than once; its value is a tuple then.
    """
    metadata = {"metavar": metavar, "parse": parse, "required": required, "repeated": repeated}
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class Reading:
    """How a file of rows is read.

    Attributes:
      schema: The rules of reading: a preset (arena, helicone, langfuse, litellm, openai, otel,
        routerbench) or a TOML file. The other options are laid over it.
      columns: The columns of the file that have other names, as NAME=COLUMN,..., routerjax's name
        first. A column may be a path, as in prompt=messages.-1.content,quality=scores[0].value.
      quality_range: The lowest and highest quality, as LO:HI, 0:1 if neither this option nor the
        schema says another. Results keep this unit.
      values: What the words of a column are worth, as NAME:WORD=NUMBER,... (quality:up=1,down=0).
        The option may be repeated.
      ratings: Qualities may be written 8/10 or Rating: [[8]], which are 8.
      cost_unit: What costs are counted in: usd, cents, a currency with its price in dollars
        (eur:1.08), or dollars per-1k or per-1m queries.
      money: Costs may carry the sign of their currency, as in $0.0031.
      decimal: The sign before the decimals of a number, "." or ",". The other one parts thousands.
        If it is not given, it is the point, and a number such as 1,234 is read where other cells of
        its column tell what it is.
      prices: A file of prices. Costs that are not logged, or 0, then follow from the columns
        input_tokens and output_tokens.
      zero_cost: What a cost of 0 means. A model that never costs anything where others do is
        refused; "keep" takes zeros as they are, "missing" takes them for not recorded. Such a row
        leaves with --drop-missing, and else has the mean cost of its model's other rows.
      strict: Numbers that cannot be true are an error, not a warning, and so are users or sessions
        in a column that --group does not name.
      where: A column or path and the text that it must equal, as COLUMN=VALUE (status=200). Other
        rows are left out. The option may be repeated.
      join: A second file, joined by an id that both have, as "FILE on ID", "FILE on ID=OTHER" where
        the id has another name there, and "... taking last" (or first) where an id repeats. The
        option may be repeated.
      prompt_form: What becomes of a list of messages: the last-user turn, or the conversation.
      alias: Other spellings of a model's name, as NAME=OTHER,... (gpt-4o=openai/gpt-4o,GPT-4o).
        The option may be repeated.
      failed: What says that a call failed, as COLUMN=VALUE or COLUMN!=VALUE (status!=success).
        Such rows have no quality, or that of --failed-quality. The option may be repeated.
      failed_quality: The quality of failed calls, and of those scored below the range.
      both_bad: A pair of answers that are both bad (--schema arena): leave-out, or tie.
      group: The column that is equal where rows depend on each other: a user, a session, a request.
        Its rows stay together in every split that is made, and standard errors count its values.
        If it is not given, rows of equal queries belong together.
      available: The column that names the models which could be chosen on a row: a list, JSON, or
        names between commas. Columns available:MODEL of truth need no option. Propensities and
        choices are among these models alone.
      time: The column of the time of each row: ISO 8601, or seconds, milliseconds, microseconds or
        nanoseconds since 1970. What drifted is reported, and propensities are those of the period.
      split_by: The last rows are the test split: time, or time:SHARE (0.2 if none is said).
      pinned: The column that says whether a user pinned the model (true, yes, 1). Such rows are
        learnt from as outcomes, and say nothing of today's policy.
      drop_missing: Rows without a quality, cost, model or prompt are left out.
      embeddings: A .npy file [n, d] with the embeddings of the file's rows.
      memory: Embeddings of more GiB than this stay on disk and are read as they are used. If it
        is not given, a quarter of the machine's memory is the limit.
    """

    schema: str | None = option(None, "NAME|FILE.toml")
    columns: str = option("", "NAME=COLUMN,...")
    quality_range: str | None = option(None, "LO:HI")
    values: tuple[tuple[str, dict[str, float]], ...] = option(
        (), "NAME:WORD=NUMBER,...", worth, repeated=True
    )
    ratings: bool = False
    cost_unit: str | None = option(None, "UNIT")
    money: bool = False
    decimal: str | None = option(None, ".|,")
    prices: str | None = option(None, "FILE.toml")
    zero_cost: str | None = option(None, "refuse|keep|missing")
    strict: bool = False
    where: tuple[tuple[str, str], ...] = option((), "COLUMN=VALUE", pair, repeated=True)
    join: tuple[tuple[str, str, str | None, str], ...] = option(
        (), "'FILE on ID'", joined, repeated=True
    )
    prompt_form: str | None = option(None, "last-user|conversation")
    alias: tuple[tuple[str, tuple[str, ...]], ...] = option(
        (), "NAME=OTHER,...", spellings, repeated=True
    )
    failed: tuple[str, ...] = option((), "COLUMN=VALUE", str, repeated=True)
    failed_quality: float | None = option(None, "X")
    both_bad: str | None = option(None, "leave-out|tie")
    group: str | None = option(None, "COLUMN")
    available: str | None = option(None, "COLUMN")
    time: str | None = option(None, "COLUMN")
    split_by: str | None = option(None, "time[:SHARE]")
    pinned: str | None = option(None, "COLUMN")
    drop_missing: bool = False
    embeddings: str | None = option(None, "FILE.npy")
    memory: int | None = option(None, "GIB", gibibytes)


@dataclasses.dataclass(frozen=True)
class Prices:
    """What models cost from now on.

    Attributes:
      price: Other prices of models than those the router was fitted at, as MODEL=0.5x,... (half
        the cost so far) or MODEL=0.002,... (US dollars per query). Nothing is fitted again.
    """

    price: tuple[tuple[str, float, float | None], ...] = option(
        (), "MODEL=FACTORx,...", price_changes
    )


@dataclasses.dataclass(frozen=True)
class Output:
    """What is printed.

    Attributes:
      json: One JSON document is printed instead of text.
      quiet: No progress is shown.
    """

    json: bool = False
    quiet: bool = False


@dataclasses.dataclass(frozen=True)
class Page:
    """Where the page of a router goes beside the terminal.

    Attributes:
      figure: A .png, .pdf or .svg of quality against cost, and of what the router adds to today's
        policy; on a table, to the best single model.
      report: An HTML page with the verdict, the figure and all tables, in one file.
    """

    figure: Path | None = option(None, "FILE.png")
    report: Path | None = option(None, "FILE.html")


@dataclasses.dataclass(frozen=True)
class Loading:
    """How the router is loaded.

    Attributes:
      trust_encoder: The router's text encoder is loaded although it is none of routerjax's own.
    """

    trust_encoder: bool = False


@dataclasses.dataclass(frozen=True)
class RouterFolder:
    """Where a fitted router goes.

    Attributes:
      out: The router folder to write.
      overwrite: An older router folder of this name is replaced.
    """

    out: Path = option(Path(), "ROUTER", required=True)
    overwrite: bool = False


@dataclasses.dataclass(frozen=True)
class Learning:
    """What is learnt from a log beside the settings of the fit.

    Attributes:
      drop_unlogged: Models that never answered are left out, instead of an error.
      gold_column: The column of gold scores beside a judge's, empty where there is none, as COLUMN
        (human_score); or the column that says how a row was scored and its value where the score
        is gold, as COLUMN=VALUE (source=human). The other scores are corrected for their judge's
        bias first.
    """

    drop_unlogged: bool = False
    gold_column: tuple[str, str | None] | None = option(None, "COLUMN|COLUMN=VALUE", gold_scores)


@dataclasses.dataclass(frozen=True)
class Labels:
    """A file of labelled gains of one model over another.

    Attributes:
      gains: LOG is a file of labels: every row says by how much the primary model's answer is
        better than the alternative's, by a gold label, a cheap preference label or both.
      gold: The column of gold labels, empty where there is none.
      preference: The column of preference labels.
      models: The names of the primary and the alternative model, the dear one first.
      costs: Their costs in US dollars per query, the primary's first; they are needed.
    """

    gains: bool = False
    gold: str = option("GL", "COLUMN")
    preference: str = option("PL", "COLUMN")
    models: tuple[str, str] = GainConfig().models[::-1]
    costs: tuple[float, float] | None = GainConfig().costs


@dataclasses.dataclass(frozen=True)
class Training:
    """How trainings are carried out; none of it changes a result beyond the order of sums.

    A plug-in router of pooled outcome models is not trained, and takes none of these.

    Attributes:
      devices: The number of accelerators to train on, or of a CPU's cores. "auto" takes all
        accelerators, or up to 4 cores.
      parallel: What devices share out: "runs" (networks), "rows" (of every batch), or "both".
        If it is not given, they share out runs.
      sweep_mode: "map" trains the networks of a device one after another, "vmap" side by side.
        "auto" decides by the kind of device.
      checkpoint_every: Epochs between checkpoints in OUT.checkpoints, a folder that goes when all
        is done. 0 leaves none.
      resume: What an interrupted command left there is taken up.
    """

    devices: str | int = option("auto", "auto|N", count_or_auto)
    parallel: str | None = option(None, "runs|rows|both")
    sweep_mode: str = option("auto", "auto|map|vmap")
    checkpoint_every: int = option(20, "EPOCHS")
    resume: bool = False


@dataclasses.dataclass(frozen=True)
class Processes:
    """Several processes train one router: the same command is started once per process.

    Each process trains on its share of the rows, with folders and files that all can reach, and
    process 0 writes.

    Attributes:
      cluster: The processes that Slurm, Open MPI, Kubernetes or a TPU started are joined.
      coordinator: HOST:PORT of process 0, where there is no cluster to ask.
      processes: The number of processes.
      process_id: The number of this process, from 0.
    """

    cluster: bool = False
    coordinator: str | None = option(None, "HOST:PORT")
    processes: int | None = None
    process_id: int | None = None


def choose(value: str | None, known: tuple[str, ...], name: str) -> None:
    """Raise InputError where an option is none of the words it may be."""
    if value is not None and value not in known:
        raise InputError(f"{name} is {value!r}; it must be one of {', '.join(known)}")
