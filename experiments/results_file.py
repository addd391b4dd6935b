"""A study's results on disk: one JSON document, whole after every draw, taken up by a later run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from routerjax.errors import InputError
from routerjax.support.atomic import write_text
from routerjax.support.provenance import dumps, plain, provenance

Record = dict[str, Any]


def read_results(path: Path) -> Record | None:
    """An earlier run's results; None where there are none.

    Raises:
      InputError: a file that is none of this study.
    """
    if not path.exists():
        return None
    try:
        found: Record = json.loads(path.read_text(encoding="utf-8"))
        complete = {"provenance", "tables", "draws"} <= set(found)
    except (OSError, ValueError, TypeError):
        complete = False
    if not complete:
        raise InputError("is not a results file of this study; choose another", source=str(path))
    return found


def begin(path: Path, config: Any, tables: Sequence[Record], *, same: Sequence[str]) -> Record:
    """The results so far, with this run's provenance at their head.

    Args:
      path: of the results.
      config: of the run.
      tables: facts of each, name and fingerprint among them.
      same: settings that all draws of the file share.

    Raises:
      InputError: the file is of other settings or other rows.
    """
    facts = [plain(each) for each in tables]
    own = "; ".join(f"{each['name']} {each['fingerprint']}" for each in facts)
    head = provenance(config=config, seed=0, data=own)
    earlier = read_results(path)
    if earlier is None:
        return {
            "provenance": {**head, "commits": [head["git_commit"]]},
            "tables": facts,
            "draws": [],
        }
    before = earlier["provenance"]
    for name in same:
        if before["config"][name] != head["config"][name]:
            problem = f"was made with another {name}; choose another folder"
            raise InputError(problem, source=str(path))
    known = {each["name"]: each for each in earlier["tables"]}
    for each in facts:
        if known.setdefault(each["name"], each) != each:
            problem = f"holds another table {each['name']!r}; choose another folder"
            raise InputError(problem, source=str(path))
    commits = list(dict.fromkeys([*before["commits"], head["git_commit"]]))
    return {
        "provenance": {**head, "commits": commits},
        "tables": list(known.values()),
        "draws": earlier["draws"],
    }


def save(path: Path, results: Record) -> None:
    """Write the results, a line a draw."""
    lines = [f'"{name}": {dumps(results[name])}' for name in ("provenance", "tables")]
    lines.append('"draws": [\n' + ",\n".join(map(dumps, results["draws"])) + "\n]")
    write_text(path, "{" + ",\n".join(lines) + "}\n")
