"""A study's records, parted: per logging policy the main setting and what was varied around it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from routerjax.errors import InputError
from routerjax.reports.selection import Results, methods_of, where
from routerjax.reports.trends import settings

Record = dict[str, Any]


class Part(NamedTuple):
    """One logging policy's records.

    Attributes:
      logging: name of the policy.
      strength, rows: main setting, the one with most records; of several, the one with the
        most rows and the middle strength.
      results: of the main setting.
      references: a record per seed, of the single models, the cost range and the oracle.
      overlaps: of the main setting's logs, a record per seed, or none.
      by_rows: results of the main strength at every number of logged rows.
      by_strength: results of the main number of rows at every strength.
      labels: label errors, of what was varied most tellingly: strength, rows, or λ alone.
      labels_over: the name of that: "strength", "rows" or "cost_weight".
    """

    logging: str
    strength: float
    rows: int
    results: Results
    references: Results
    overlaps: Results
    by_rows: Results
    by_strength: Results
    labels: Results
    labels_over: str

    @property
    def seeds(self) -> int:
        """Number of seeds of the main setting."""
        return len({r["seed"] for r in self.results})


def parts(records: Sequence[Record]) -> list[Part]:
    """The records by logging policy, in the order in which the policies first occur.

    Raises:
      InputError: there is no result among them.
    """
    results = [r for r in records if r.get("record", "result") == "result"]
    if not results:
        raise InputError("no result to report", source="results")
    return [_part(records, results, name) for name in dict.fromkeys(r["logging"] for r in results)]


def _part(records: Sequence[Record], results: Results, logging: str) -> Part:
    own = where(results, logging=logging)
    counts = Counter((r["strength"], r["rows"]) for r in own)
    most = [place for place in counts if counts[place] == max(counts.values())]
    rows = max(rows for _, rows in most)
    strengths = sorted(strength for strength, some in most if some == rows)
    strength = strengths[len(strengths) // 2]
    labels = where(records, record="label_error", logging=logging)
    at_rows, at_strength = where(labels, rows=rows), where(labels, strength=strength)
    if len(settings(at_rows, "strength")) > 1:
        labels, over = at_rows, "strength"
    elif len(settings(at_strength, "rows")) > 1:
        labels, over = at_strength, "rows"
    else:
        labels, over = where(at_rows, strength=strength), "cost_weight"

    def of_main(kind: str) -> Results:
        found = where(records, record=kind, logging=logging)
        at = {"strength": strength, "rows": rows}
        return [r for r in found if all(r.get(name, own) == own for name, own in at.items())]

    return Part(
        logging=logging,
        strength=strength,
        rows=rows,
        results=where(own, strength=strength, rows=rows),
        references=of_main("reference"),
        overlaps=of_main("overlap"),
        by_rows=where(own, strength=strength),
        by_strength=where(own, rows=rows),
        labels=labels,
        labels_over=over,
    )


def candidates(results: Results, references: Collection[str]) -> list[str]:
    """Methods that are no references."""
    return [name for name in methods_of(results) if name not in references]


def everywhere(results: Results, over: str) -> list[str]:
    """Methods with results at every value of a setting."""
    places = settings(results, over)
    return [
        name
        for name in methods_of(results)
        if settings(where(results, method=name), over) == places
    ]
