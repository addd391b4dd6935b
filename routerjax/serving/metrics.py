"""Counters and a histogram in the text format that Prometheus reads.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/, "Text format details".
"""

from __future__ import annotations

import bisect
from collections import Counter

BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0)
"""Seconds."""
HELP = {
    "routerjax_decisions_total": "Decisions by model that was drawn.",
    "routerjax_explored_total": "Decisions for another model than the router's choice.",
    "routerjax_feedback_total": "Feedback by what became of it.",
    "routerjax_answers_total": "Answers of upstreams by model and outcome.",
    "routerjax_fallbacks_total": "Answers by another model than was drawn.",
    "routerjax_refused_total": "Requests that were refused, by status.",
    "routerjax_log_failures_total": "Events that the decision log could not take.",
    "routerjax_reloads_total": "Routers taken up, by outcome.",
}
TIMED = "routerjax_route_seconds"

Labels = tuple[tuple[str, str], ...]


class Metrics:
    """What a service counts since it started."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, Labels]] = Counter()
        self._buckets, self._seconds, self._timed = [0] * (len(BOUNDS) + 1), 0.0, 0

    def count(self, name: str, **labels: str) -> None:
        """Add one to a counter of `HELP`."""
        self.counts[name, tuple(sorted(labels.items()))] += 1

    def time(self, seconds: float) -> None:
        """Note how long a decision took."""
        self._buckets[bisect.bisect_left(BOUNDS, seconds)] += 1
        self._seconds += seconds
        self._timed += 1

    def text(self, gauges: dict[str, float]) -> str:
        """All of it, with some numbers of this moment, in the format that Prometheus reads."""
        lines = []
        for name, said in HELP.items():
            lines += [f"# HELP {name} {said}", f"# TYPE {name} counter"]
            own = [(labels, n) for (each, labels), n in self.counts.items() if each == name]
            lines += [f"{name}{_labels(labels)} {n}" for labels, n in sorted(own)]
        lines += [
            f"# HELP {TIMED} Seconds from a query to a decision.",
            f"# TYPE {TIMED} histogram",
        ]
        total = 0
        for bound, count in zip((*BOUNDS, None), self._buckets, strict=True):
            total += count
            at = "+Inf" if bound is None else f"{bound:g}"
            lines.append(f'{TIMED}_bucket{{le="{at}"}} {total}')
        lines += [f"{TIMED}_sum {self._seconds:.9g}", f"{TIMED}_count {self._timed}"]
        for name, value in gauges.items():
            lines += [f"# TYPE {name} gauge", f"{name} {value:.9g}"]
        return "\n".join(lines) + "\n"


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
