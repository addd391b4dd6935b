"""python -m benchmarks.step_roofline: a training step against bare matrix products.

Claim: the products of a step (forward, and backward to weights and activations) are at least
0.65 of its time: the rest of a step costs at most about half of what the products cost. The
products are run beside it with the same shapes, as one compiled scan each; repeats are
interleaved. Shapes: the router's (256-128-11·8, batch 256) and a wider one (768-256-256-11).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import measuring
from benchmarks.problems import problem
from routerjax.training.config import RouterConfig, Schedule
from routerjax.training.routing import train_router

BATCH, QUERIES, EPOCHS = 256, 9_103, 4  # 8,193 rows train, a last batch of one row and 32 full
SHAPES = {
    "router 256-128-88": (256, (128,), 11, 8),
    "router 768-256-256-11": (768, (256, 256), 11, 1),
}


LEAST = 0.65
AIM = f"matrix products are at least {LEAST:g} of a training step"


def products(sizes: tuple[int, ...], steps: int):
    """The matrix products of `steps` training steps, nothing else."""
    key = jax.random.key(0)
    weights = [
        jax.random.normal(jax.random.fold_in(key, i), shape)
        for i, shape in enumerate(zip(sizes[:-1], sizes[1:], strict=True))
    ]
    inputs = [jax.random.normal(key, (BATCH, size)) for size in sizes]

    @jax.jit
    def run(inputs, weights):
        def step(carry, _):
            inputs, weights = carry
            forward = [x @ w for x, w in zip(inputs[:-1], weights, strict=True)]
            gradients = [x.T @ out for x, out in zip(inputs[:-1], forward, strict=True)]
            back = [out @ w.T for out, w in zip(forward[1:], weights[1:], strict=True)]
            # every product feeds the next step, so that none is thrown away
            weights = [w + 1e-12 * g for w, g in zip(weights, gradients, strict=True)]
            inputs = [
                inputs[0],
                *(x + 1e-12 * b for x, b in zip(inputs[1:-1], back, strict=True)),
                inputs[-1],
            ]
            return (inputs, weights), None

        return jax.lax.scan(step, (inputs, weights), length=steps)[0]

    return lambda: jax.block_until_ready(run(inputs, weights))


def flops(sizes: tuple[int, ...]) -> int:
    """Of a step's products: forward and weights for every layer, activations for all but one."""
    layers = [2 * BATCH * a * b for a, b in zip(sizes[:-1], sizes[1:], strict=True)]
    return 2 * sum(layers) + sum(layers[1:])


class Shape(NamedTuple):
    """What is timed of a shape: calls of training and of its products, steps, sizes of layers."""

    calls: dict[str, Callable[[], Any]]
    steps: int
    sizes: tuple[int, ...]


def shape(name: str) -> Shape:
    """Of a key of `SHAPES`."""
    dimensions, widths, models, weights = SHAPES[name]
    data = problem(QUERIES, dimensions, models, seed=0)
    schedule = Schedule(
        batch_size=BATCH, max_epochs=EPOCHS, patience=EPOCHS, chunk=EPOCHS, caution=0.0
    )
    config = RouterConfig(members=1, architecture="shared", widths=widths, schedule=schedule)
    grid = tuple(np.linspace(0, 500, weights).tolist())
    train = functools.partial(
        train_router, data, cost_weights=grid, quality_width=1.0, config=config
    )
    steps = EPOCHS * -(-data.train.shape[1] // BATCH)
    sizes = (dimensions, *widths, models * weights)
    calls: dict[str, Callable[[], Any]] = {
        "training": lambda: jax.block_until_ready(train().policy.params),
        "products": products(sizes, steps),
    }
    return Shape(calls, steps, sizes)


def row(figures: dict[str, Any]) -> measuring.Row:
    """Of every shape."""
    shares = {name: figures[name]["products_share_of_training"] for name in SHAPES}
    return measuring.Row(
        ", ".join(f"{share:.2f} ({name})" for name, share in shares.items()),
        tuple(share >= LEAST for share in shares.values()),
    )


def main() -> None:
    """Measure, print, write."""
    given = measuring.options(__doc__, repeats=7).parse_args()
    figures: dict[str, Any] = {}
    for name in SHAPES:
        calls, steps, sizes = shape(name)
        seconds = measuring.interleaved(calls, repeats=given.repeats)
        rate = {kind: steps * flops(sizes) / s.fastest / 1e9 for kind, s in seconds.items()}
        share = seconds["products"].fastest / seconds["training"].fastest
        figures[name] = {
            "steps": steps,
            "flops_per_step": flops(sizes),
            "seconds": seconds,
            "gigaflops": rate,
            "products_share_of_training": share,
        }
        print(
            f"{name:24} products {rate['products']:.0f} GFLOP/s, training "
            f"{rate['training']:.0f} GFLOP/s: share {share:.2f}"
        )
    figures["dtype"] = str(jnp.zeros(0).dtype)
    measuring.write("step_roofline", figures, given.out)


if __name__ == "__main__":
    main()
