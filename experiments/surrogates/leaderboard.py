"""python -m experiments.surrogates.leaderboard: the leaderboard, made from its result files.

Of every surrogate its mean advantage over softmax regret, paired by seed, with intervals that hold
for the whole board at once. The page's tables stand between the markers of README.md. Claim: with
--check nothing is written, and the exit code is 1 if README.md says other than the files.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.surrogates.config import FULL, SurrogatesConfig
from experiments.surrogates.run import ORACLE, START, Found
from experiments.surrogates.source import Source, file_name
from routerjax.errors import InputError
from routerjax.evaluation.intervals import simultaneous_band
from routerjax.reports.tables import markdown
from routerjax.support.atomic import write_text
from routerjax.support.provenance import dumps, provenance

HERE = Path(__file__).parent
RECORDS = HERE / "leaderboards"
BEGIN, END = "<!-- leaderboard -->", "<!-- /leaderboard -->"

Board = dict[str, Any]


def of(found: Sequence[Found], source: Source, config: SurrogatesConfig) -> Board:
    """The board as a record: an entry per surrogate and group.

    Where seeds split the same rows again, their means depend on each other: standard errors over
    seeds are widened by √(1 + S·n_test/n_train) for S seeds (Nadeau and Bengio, 2003).
    """
    bases = {one.group: one.overall for one in found if one.method == config.base}
    rivals = [one for one in found if one.method not in (START, ORACLE, config.base)]
    rivals += [one for one in found if one.method == START]
    queries = config.queries if source.apart else len(source.record)
    tests = config.test_share * queries
    entries: list[Board] = []
    if rivals:
        scores = np.stack([one.overall - bases[one.group] for one in rivals])
        band = simultaneous_band(scores)
        for place, one in enumerate(rivals):
            shared = 0 if source.apart else config.seeds * tests / (one.rows or queries - tests)
            error = band.standard_error[place] * np.sqrt(1 + shared)
            entries.append(
                {
                    "surrogate": file_name(one.method),
                    "rows": one.rows,
                    "estimator": one.estimator,
                    "start": one.start,
                    "advantage": band.mean[place],
                    "standard_error": error,
                    "reach": band.critical * error,
                    "kept_start": int((one.epochs == 0).sum()),
                    "settings": one.settings,
                }
            )
    return {
        "source": source.name,
        "queries": queries,
        "apart": source.apart,
        "notice": source.notice,
        "base": config.base,
        "seeds": config.seeds,
        "cost_weights": config.cost_weights,
        "logging": None if config.log else config.logging,
        "base_utility": [
            {"rows": rows, "estimator": estimator, "start": start, "utility": values.mean()}
            for (rows, estimator, start), values in bases.items()
        ],
        "entries": entries,
    }


def write(path: Path, board: Board, config: SurrogatesConfig, fingerprint: str) -> Path:
    """The board with its provenance, as one JSON document; files go by their names."""
    named = dataclasses.replace(
        config,
        table=config.table and file_name(config.table),
        log=config.log and file_name(config.log),
        embeddings=config.embeddings and file_name(config.embeddings),
        surrogates=tuple(map(file_name, config.surrogates)),
    )
    head = provenance(config=named, seed=0, data=fingerprint)
    write_text(path, dumps({"provenance": head, **board}, indent=1) + "\n")
    return path


def page(boards: Sequence[Board]) -> str:
    """The boards in Markdown, one section each."""
    return "\n\n".join(["# Leaderboard of surrogates", *map(section, boards)]) + "\n"


def section(board: Board) -> str:
    """One board: a column a group, surrogates by their advantage in the last."""
    groups = list(dict.fromkeys(_group(entry) for entry in board["entries"]))
    cells = {(entry["surrogate"], _group(entry)): entry for entry in board["entries"]}
    names = list(dict.fromkeys(entry["surrogate"] for entry in board["entries"]))

    def last(name: str) -> float:
        return float(cells.get((name, groups[-1]), {"advantage": -np.inf})["advantage"])

    header = ["surrogate", *(_title(*group) for group in groups)]
    rows = [
        [_shown(name), *(_cell(cells.get((name, group))) for group in groups)]
        for name in sorted(names, key=last, reverse=True)
    ]
    base = {(b["rows"], b["estimator"], b["start"]): b["utility"] for b in board["base_utility"]}
    rows.append([f"`{board['base']}` itself", *(f"{base[group]:.3f}" for group in groups)])
    weights = ", ".join(f"{weight:g}" for weight in board["cost_weights"])
    logged = f", {board['logging']} logging" if board["logging"] else ""
    widened = "" if board["apart"] else ", widened because seeds share rows"
    told = (
        f"{board['seeds']} seeds, λ = {weights}{logged}. {board['notice']} Mean utility less that "
        f"of `{board['base']}`, in the unit of quality, with 95% intervals that hold for all "
        f"entries of this table at once{widened}. **Bold** where 0 is outside."
    )
    if "processor_seconds" in board:
        told += f" {board['processor_seconds']:,} seconds of processor time."
    each = " a seed" if board["apart"] else ""
    title = f"### {board['source']}, {board['queries']:,} queries{each}"
    return "\n\n".join([title, told, markdown(header, rows)])


def worth_a_night(board: Board) -> str:
    """A sentence for every surrogate of a fast comparison."""
    lines = []
    for entry in board["entries"]:
        if entry["surrogate"] == START:
            continue
        low, high = (entry["advantage"] + side * entry["reach"] for side in (-1, 1))
        name = entry["surrogate"]
        facts = (
            f"{entry['advantage']:+.4f} over {board['base']}, between {low:+.4f} and {high:+.4f}"
        )
        if entry["kept_start"] == board["seeds"]:
            lines.append(f"{name} never left its start: its gradient or its scale is off.")
        elif low > 0:
            lines.append(f"{name} is worth a night: {facts}.")
        elif high < 0:
            lines.append(f"{name} is not worth a night: {facts}.")
        else:
            lines.append(f"{name}: this cannot tell; {facts}.")
        for setting, values in entry["settings"].items():
            counted = [f"{v:g} ({values.count(v)})" for v in sorted(set(values))]
            lines.append(f"  held-out rows chose {setting} = {', '.join(counted)}")
    return "\n".join(lines) or f"Only {board['base']} was trained; name a rival by --surrogates."


def _group(entry: Board) -> tuple[int, str, str]:
    return entry["rows"], entry["estimator"], entry["start"]


def _title(rows: int, estimator: str, start: str) -> str:
    size = f"{rows:,} rows, " if rows else ""
    target = "full feedback" if estimator == FULL else estimator
    return f"{size}{target}, {start}"


def _shown(name: str) -> str:
    return "the start" if name == START else f"`{name}`"


def _cell(entry: Board | None) -> str:
    if entry is None:
        return "reads a log"
    text = f"{entry['advantage']:+.4f} ± {entry['reach']:.4f}"
    return f"**{text}**" if abs(entry["advantage"]) > entry["reach"] else text


def filled(text: str) -> str:
    """README.md with the committed boards between its markers.

    Raises:
      InputError: it has no markers.
    """
    boards = [
        json.loads(path.read_text(encoding="utf-8")) for path in sorted(RECORDS.glob("*.json"))
    ]
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise InputError(f"the leaderboard goes between {BEGIN} and {END}; they are missing")
    made = "\n\n".join(map(section, boards))
    return f"{before}{begin}\n\n{made}\n\n{end}{after}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the leaderboard into README.md, or check it; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, say what is stale")
    given = parser.parse_args(arguments)
    readme = HERE / "README.md"
    text = readme.read_text(encoding="utf-8")
    made = filled(text)
    if given.check:
        if made != text:
            problem = (
                "not what the result files say; run python -m experiments.surrogates.leaderboard"
            )
            print(f"experiments/surrogates/README.md: {problem}", file=sys.stderr)
        return int(made != text)
    write_text(readme, made)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
