"""Which preset of a schema a file seems to be written for, by columns that hardly another has."""

from __future__ import annotations

from collections.abc import Sequence

from routerjax.data.inspection.fields import Field

SIGNATURES: dict[str, tuple[frozenset[str], ...]] = {
    name: tuple(frozenset(each.split()) for each in sets)
    for name, sets in {
        "otel": (
            "resourceSpans",
            "resource_spans",
            "gen_ai.request.model",
            "gen_ai.response.model",
        ),
        "litellm": ("call_type spend", "spend model_group", "response_cost model_group"),
        "langfuse": ("observations", "totalCost scores", "providedModelName", "usageDetails"),
        "helicone": ("request_body response_body", "request_properties", "costUSD request_body"),
        "openai": ("messages response.choices", "messages response.usage", "body.messages"),
    }.items()
}
"""Preset → sets of parts of paths, any of which says it; arenas and RouterBench say it by kind."""

OF_KINDS = {"pairs": "arena"}


def preset_of(kind: str, fields: Sequence[Field]) -> str | None:
    """The preset that a file of this kind seems to be written for; None where none does."""
    if kind in OF_KINDS:
        return OF_KINDS[kind]
    paths = [field.path for field in fields]
    if kind == "table":
        return "routerbench" if any(path.endswith("|total_cost") for path in paths) else None
    for name, sets in SIGNATURES.items():
        if any(all(_has(paths, part) for part in each) for each in sets):
            return name
    return None


def kind_of(preset: str) -> str:
    """What files of a preset are: "log", "table" or "pairs"."""
    return {"arena": "pairs", "routerbench": "table"}.get(preset, "log")


def _has(paths: Sequence[str], part: str) -> bool:
    """Whether a path is this one, or begins or ends with it."""
    return any(
        path == part or path.startswith((f"{part}.", f"{part}[")) or path.endswith(f".{part}")
        for path in paths
    )
