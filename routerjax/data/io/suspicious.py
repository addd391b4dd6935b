"""What is said of a file that is read all the same: queries that cannot be told apart, requests
with several rows, numbers that cannot be true."""

from __future__ import annotations

import collections
import re
import warnings
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from routerjax.data.checks.findings import findings
from routerjax.data.columns import paths
from routerjax.data.columns.arrays import quoted
from routerjax.data.columns.source_file import SourceFile
from routerjax.errors import DataWarning
from routerjax.records.logs import Log
from routerjax.records.rows import Array
from routerjax.records.tables import Table

FIRST_SCORE = re.compile(r"(.+)(?:\[0\]|\.0)\.(\w+)")
ID = re.compile(r"[^\s\d]*\d\S*")
FEWEST_ROWS = 10  # below, a repeat says nothing
MOST_ALIKE = 0.5  # share of the rows that one prompt may have
NEARLY_ALIKE = 0.995  # length of the mean of embeddings of length 1
SAMPLE = 1000  # rows whose embeddings are looked at


def warn_of_prompts(source: str, prompts: Sequence[str] | None, embeddings: Array | None) -> None:
    """Warn where most rows have one prompt, or a number or an id where a prompt should be, or all
    embeddings point the same way."""
    if prompts is not None and len(prompts) >= FEWEST_ROWS:
        prompt, rows = collections.Counter(prompts).most_common(1)[0]
        if rows > MOST_ALIKE * len(prompts):
            problem = f"{rows} of {len(prompts)} rows have the prompt {quoted(prompt)}"
            advice = "a router cannot tell them apart; is this the column of the prompts?"
            warnings.warn(f"{source}: {problem}; {advice}", DataWarning, stacklevel=5)
        numbered = [each for each in prompts if _is_id(each)] if embeddings is None else []
        if len(numbered) > MOST_ALIKE * len(prompts):
            problem = f"{len(numbered)} of {len(prompts)} rows have a number or an id for a prompt"
            advice = f"such as {quoted(numbered[0])}, which tells nothing of the query"
            question = "is this the column of the prompts?"
            warnings.warn(f"{source}: {problem}, {advice}; {question}", DataWarning, stacklevel=5)
    if embeddings is None or len(embeddings) < FEWEST_ROWS:
        return
    chosen = np.linspace(0, len(embeddings) - 1, min(SAMPLE, len(embeddings))).astype(int)
    sample = np.asarray(embeddings[chosen], np.float64)
    lengths = np.linalg.norm(sample, axis=1, keepdims=True)
    if sample.shape[1] < 2 or not np.isfinite(lengths).all() or not (lengths > 0).all():
        return
    alike = float(np.linalg.norm((sample / lengths).mean(axis=0)))
    if alike > NEARLY_ALIKE:
        problem = (
            f"the embeddings are nearly all alike (the mean of their directions is {alike:.4f}"
        )
        advice = "long, 1 where all are the same); a router cannot tell queries apart"
        warnings.warn(f"{source}: {problem} {advice}", DataWarning, stacklevel=5)


def _is_id(prompt: str) -> bool:
    """One word of ASCII with a digit in it: 1023, q-0042, a UUID, a date."""
    return prompt.isascii() and ID.fullmatch(prompt) is not None


def warn_of_scores(file: SourceFile) -> None:
    """Warn where the quality is the first of several scores of different names."""
    match = FIRST_SCORE.fullmatch(file.names["quality"])
    scores = None if match is None else paths.column(file.table, match[1])
    if match is None or scores is None or pa.types.is_string(scores.type):
        return
    names = {paths.value(each, "name") for row in scores.to_pylist() for each in row or []}
    if len(names - {None}) > 1:
        shown = ", ".join(sorted(map(str, names - {None}))[:4])
        problem = f"the scores in '{match[1]}' have different names ({shown})"
        advice = f"--columns quality={match[1]}[name=NAME].{match[2]} takes those of one"
        warnings.warn(f"{file.source}: {problem}; {advice}", DataWarning, stacklevel=5)


def say_findings(
    record: Log | Table, file: SourceFile, rows: np.ndarray, unbilled: np.ndarray | None = None
) -> None:
    """Say which numbers cannot be true, with the file's own column and row.

    Args:
      record: what was read.
      file: that it was read from.
      rows: the file's row for every row of the record.
      unbilled: [n] bool, rows of the record whose call failed and has no cost.

    Raises:
      InputError: a finding that is refused, or any where the schema is strict.
    """
    for each in findings(record, unbilled=unbilled):
        if each.name == "zero-cost" and file.schema.zero_cost == "keep":
            continue
        row = None if each.row is None else int(rows[each.row])
        said = file.fail(f"{each.problem}; {each.right}", field=each.column, row=row)
        if each.refused or file.schema.strict:
            raise said
        warnings.warn(str(said), DataWarning, stacklevel=5)


def warn_of_repeats(file: SourceFile, rows: np.ndarray) -> None:
    """Warn where a request has several rows: fallbacks and retries are no queries of their own."""
    if "request_id" not in file:
        return
    texts = file.texts("request_id")
    counts = collections.Counter(texts[row] for row in rows)
    counts.pop(None, None)
    several = [request for request, count in counts.items() if count > 1]
    if several:
        column, example = file.names["request_id"], quoted(several[0] or "")
        problem = f"{len(several)} requests have more than one row by '{column}', such as {example}"
        advice = f"if they are retries or fallbacks, --group {column} keeps them together"
        warnings.warn(f"{file.source}: {problem}; {advice}", DataWarning, stacklevel=5)
