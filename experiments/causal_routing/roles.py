"""What methods are for in tables, figures and sentences: bases, ceilings, pairs to compare."""

from __future__ import annotations

from collections.abc import Collection

BASE = "best-single-log"
CEILING = "rm-softmax-full-feedback"
TRAINED = "rm-trained-there-dr"
ARCHITECTURES = tuple(
    f"rm-{name}-dr" for name in ("interval", "interpolated", "conditioned", "affine", "softmax")
)
"""Routers of one objective that differ in how they serve λ between the points of the grid."""
PAIRS = (
    *[(f"rm-softmax-{name}", f"rm-classification-{name}") for name in ("direct", "ips", "dr")],
    ("rm-softmax-dr", "rm-softmax-direct"),
    ("rm-softmax-dr", "rm-softmax-ips"),
    ("rm-interval-dr", "rm-softmax-dr"),
    ("rm-softmax-dr", "regression-plug-in"),
    ("rm-interval-dr", "regression-plug-in"),
    ("regression-plug-in", "knn-plug-in"),
    ("regression-plug-in", BASE),
    ("rm-softmax-dr", BASE),
    ("rm-interval-dr", BASE),
)


def yardsticks(references: Collection[str], trained: str) -> list[str]:
    """Methods that others are measured by: the references, and what was trained at every λ."""
    return [*references, *([] if trained in references else [trained])]
