"""Records as a study writes them, from policies made up on a small random table."""

from __future__ import annotations

import numpy as np

from routerjax.evaluation.metrics import label_error, outcome, shares
from routerjax.evaluation.published import routing_collapse_index
from routerjax.records.tables import Estimates
from routerjax.reports.scores import reference_record

GRID = (0.0, 10.0, 50.0, 200.0, 1000.0)
BETWEEN = (5.0, 30.0, 100.0, 500.0)
REFERENCES = ("oracle", "rm-softmax-full-feedback", "best-single-hindsight")
NOISE = {
    "best-single-log": None,
    "regression-plug-in": 0.24,
    "rm-classification-dr": 0.30,
    "rm-softmax-dr": 0.20,
    "rm-interval-dr": 0.19,
    "rm-interpolated-dr": 0.20,
    "rm-trained-there-dr": 0.19,
    "rm-softmax-full-feedback": 0.10,
    "best-single-hindsight": None,
    "oracle": 0.0,
}


def truth(seed: int, *, models: int = 4, queries: int = 200) -> Estimates:
    """A table on which dearer models are better, more so on some queries."""
    rng = np.random.default_rng(seed)
    skill = np.linspace(0.35, 0.85, models)
    quality = np.clip(skill + rng.normal(0, 0.25, (queries, models)), 0, 1)
    cost = np.geomspace(1e-5, 5e-3, models) * rng.lognormal(0, 0.3, (queries, models))
    return Estimates(quality=quality, cost=cost)


def records(
    *,
    seeds: int = 4,
    models: int = 4,
    logging: tuple[str, ...] = ("quality",),
    strengths: tuple[float, ...] = (2.0,),
    rows: tuple[int, ...] = (4000,),
    cost_weights: tuple[float, ...] = GRID,
    between: tuple[float, ...] = BETWEEN,
    methods: tuple[str, ...] = tuple(NOISE),
) -> list[dict]:
    """Results, references and label errors; noisier with fewer rows and stronger logging."""
    found: list[dict] = []
    every = sorted({*cost_weights, *between})
    for name in logging:
        for seed in range(seeds):
            known = truth(seed, models=models)
            labels = tuple(f"maker/model-{i}" for i in range(models))
            found.append(
                reference_record(known, models=labels, cost_weights=every, logging=name, seed=seed)
            )
            for strength in strengths:
                for count in rows:
                    where = {"logging": name, "strength": strength, "rows": count, "seed": seed}
                    scale = (max(rows) / count) ** 0.3 * (1 + 0.2 * (strength - 2))
                    rng = np.random.default_rng([seed, count, int(10 * strength)])
                    found.append(_overlap(labels, where))
                    found += _results(known, rng, scale, every, between, where, methods)
                    found += _labels(known, rng, scale, every, where)
    return found


def _overlap(labels, where):
    count = where["rows"] // len(labels)
    return {
        "record": "overlap",
        "models": labels,
        "arm_rows": [count] * len(labels),
        "effective_sample_size": [0.5 * count] * len(labels),
        "smallest_propensity": 0.004,
        "floor": 0.01,
        "share_clipped": 0.02,
        "source": "estimated",
        **where,
    }


def _results(known, rng, scale, every, between, where, methods):
    n, m = known.quality.shape
    for method in methods:
        noise = NOISE[method]
        error = rng.normal(0, 1, (n, m))
        for cost_weight in every:
            held_out = cost_weight in between
            if noise is None:
                mean = np.asarray(known.utilities(cost_weight)).mean(axis=0)
                arms = np.full(n, mean.argmax())
            else:
                more = 2.0 if held_out and "interpolated" in method else 1.0
                free = noise == 0 or "full-feedback" in method
                spread = noise * more * (1.0 if free else scale)
                arms = (np.asarray(known.utilities(cost_weight)) + spread * error).argmax(axis=1)
            got = outcome(arms, known, cost_weight=cost_weight)
            yield (
                {"method": method, **where, "cost_weight": cost_weight, "held_out": held_out}
                | {name: float(value.mean()) for name, value in got._asdict().items()}
                | {"shares": shares(arms, m).tolist(), "rci": routing_collapse_index(arms, known)}
            )


def _labels(known, rng, scale, every, where):
    for estimator, noise in {"direct": 0.2, "ips": 0.8, "dr": 0.4}.items():
        noisy = Estimates(
            quality=known.quality + scale * noise * rng.normal(0, 1, known.quality.shape),
            cost=known.cost,
        )
        for cost_weight in every:
            got = label_error(noisy, known, cost_weight=cost_weight)
            yield {
                "record": "label_error",
                **where,
                "cost_weight": cost_weight,
                "estimator": estimator,
                **got._asdict(),
            }
