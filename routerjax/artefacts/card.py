"""The model card of a router: what its own report says, and nothing that it does not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from routerjax.artefacts.gains import SavedGains
from routerjax.artefacts.router import Router
from routerjax.errors import InputError

LICENCE = re.compile(r"[a-z0-9][a-z0-9.-]{0,60}")


def card(router: Router | SavedGains, *, name: str, licence: str) -> str:
    """The card in Markdown, with the header that the Hugging Face hub reads.

    It states the models, the data by their fingerprint, the overlap, the verdict on the rows that
    were set apart, and the licence. Names from the log are shown as code.

    Args:
      router: of either kind.
      name: where it is published, owner/name.
      licence: as the hub abbreviates it, such as "apache-2.0" or "other".

    Raises:
      InputError: a licence that is no such abbreviation.
    """
    if not LICENCE.fullmatch(licence):
        problem = (
            f"licence is {licence!r}; the hub knows them as apache-2.0, mit, other and the like"
        )
        raise InputError(problem)
    header = ["---", "library_name: routerjax", f"license: {licence}"]
    header += ["tags:", "- routerjax", "- llm-routing", "---"]
    say = _of_router if isinstance(router, Router) else _of_gains
    parts = [
        ("\n".join(header)),
        f"# {_plain(name.rpartition('/')[2])}",
        *say(router),
        "## Data",
        *_data(router),
        "## Licence",
        f"The router is published under the licence `{licence}`. It says nothing of the licence of "
        "the log or of the models.",
        "## Use",
        f'```python\nimport routerjax as rj\n\nrouter = rj.load("hub:{_plain(name)}")\n```',
    ]
    return "\n\n".join(parts) + "\n"


def _of_router(router: Any) -> list[str]:
    grid, (low, high) = router.cost_weights, router.quality_range
    encoder = (
        f"embeddings by {_code(router.encoder)}" if router.encoder else "ready-made embeddings"
    )
    return [
        f"This router chooses one of {len(router.models)} language models for every query: "
        f"{_codes(router.models)}. It takes {encoder}, {router.dimensions} wide, and a cost weight "
        f"from {grid[0]:g} to {grid[-1]:g} (quality given up per dollar; quality lies in "
        f"{low:g} to {high:g}). It was learnt from a log that holds one model's answer per query.",
        "## What it is worth",
        *_verdict(router.report),
        "## Overlap of the log",
        *_overlap(router.report.get("overlap")),
    ]


def _of_gains(router: Any) -> list[str]:
    (alternative, primary), costs = router.models, router.costs
    rows, curve = router.report.get("rows") or {}, router.report.get("decision_curve") or ()
    counts = [f"{count:,} {kind}" for kind, count in rows.items() if isinstance(count, int)]
    said = [
        f"This router sends a query to {_code(primary)} ({costs[1]:g} dollars a query) where its "
        f"expected gain in quality over {_code(alternative)} ({costs[0]:g}) exceeds the cost "
        "weight times the difference in cost. It was learnt from gold and preference labels of the "
        "gain.",
    ]
    if counts:
        said.append(f"Rows: {', '.join(counts)}.")
    if curve:
        said += ["## What it is worth", "On queries that nothing was fitted on:", _curve(curve)]
    return [*said, "## Overlap of the labels", *_overlap(router.report.get("overlap"))]


def _curve(lines: Sequence[dict[str, Any]]) -> str:
    """What each cost weight gains over always asking the alternative, as a table."""
    rows = ["| cost weight | sent to the primary | gain (95 %) | at random |", "|---|---|---|---|"]
    for line in lines:
        gain = line["gain"]
        between = f"{gain['mean']:.3g} ({gain['low']:.3g} to {gain['high']:.3g})"
        weight = f"{line['cost_weight']:g} | {line['share']:.0%}"
        rows.append(f"| {weight} | {between} | {line['at_random']:.3g} |")
    return "\n".join(rows)


def _verdict(report: dict[str, Any]) -> list[str]:
    found = report.get("evaluation")
    if not isinstance(found, dict):
        why = report.get("why")
        return [f"This is not known: {_plain(str(why))}." if why else "This is not known."]
    rows = (
        f"{found['rows']:,} rows ({found['groups']:,} groups) on which nothing was fitted or chosen"
    )
    said = [f"By {rows}, and by the log's own scores:"]
    said.append("\n".join(f"- {_plain(sentence)}" for sentence in found["verdict"]))
    if found["notes"]:
        said.append("\n".join(f"- Note: {_plain(note)}." for note in found["notes"]))
    return said


def _overlap(found: Any) -> list[str]:
    if not isinstance(found, dict):
        return ["This is not known."]
    head = "| model | rows | effective rows | queries without support |"
    lines = [head, "|---|---|---|---|"]
    unsupported = found.get("unsupported") or [None] * len(found["models"])
    for model, rows, size, share in zip(
        found["models"],
        found["arm_rows"],
        found["effective_sample_size"],
        unsupported,
        strict=True,
    ):
        last = "" if share is None else f"{share:.1%}"
        lines.append(f"| {_code(model).replace('|', '&#124;')} | {rows:,} | {size:,.0f} | {last} |")
    return [
        f"Propensities are {_plain(found['source'])}; the smallest is "
        f"{found['smallest_propensity']:.3g}, and {found['share_clipped']:.1%} lie below "
        f"{found['floor']:g} and are taken as that.",
        "\n".join(lines),
    ]


def _data(router: Router | SavedGains) -> list[str]:
    known = router.provenance
    versions = known.get("versions") or {}
    said = [f"Fingerprint of the data it was learnt from: `{known.get('data_fingerprint')}`."]
    said.append(
        f"Made by routerjax {versions.get('routerjax')} with JAX {versions.get('jax')}, seed "
        f"{known.get('seed')}, {known.get('created')}."
    )
    if isinstance(router, Router) and router.seen:
        said.append(
            "The folder holds salted digests of the queries it was fitted on, no query itself; who "
            "guesses a query can check whether it was among them."
        )
    return said


def _codes(names: Sequence[str]) -> str:
    return ", ".join(map(_code, names))


def _code(name: str) -> str:
    """A name as code: whatever is in it, it is no markup."""
    return f"`{_line(name).replace('`', chr(39))}`"


def _plain(text: str) -> str:
    """A sentence as text: what Markdown or HTML would take for markup is escaped."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", _line(text))


def _line(text: str) -> str:
    return "".join(each if each.isprintable() else " " for each in text)
