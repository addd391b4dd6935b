"""python -m benchmarks.time_to_quality: CPU seconds until a sweep is as good as a plain loop.

The plain loop is what a user would write in PyTorch (extra `bench`): for each of 5 seeds and 10
cost weights a network 768-256-11, Adam, softmax regret, 5 epochs, on 8,000 queries with every
model's answer. Its final mean utility on 4,000 test queries is the target. There are three: as
first written; with the batch that makes it better at hardly more cost; with that and the learning
rate that make it best. routerjax trains the 5 seeds as one sweep with a trunk shared by the 10
weights, for the fewest epochs that reach the target; its held-out scoring counts, compiling does
not. The loop has the number of threads that suits it best; set-up is left out of both. Batches
and learning rates, of the loop as of routerjax, were chosen among the same on other seeds:
--choose does it again.
Claim: at most a tenth of the CPU seconds of each loop.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import measuring, plain_loop
from benchmarks.plain_loop import Choose, Rows, Steps, best_threads
from benchmarks.problems import problem, table
from routerjax.training.config import RouterConfig, Schedule
from routerjax.training.routing import train_routers

QUERIES, TESTS, DIMENSIONS, MODELS = 8_000, 4_000, 768, 11
WEIGHTS = (0.0, 5.0, 10.0, 20.0, 35.0, 50.0, 75.0, 100.0, 150.0, 250.0)
SEEDS, CHOICE_SEEDS = (0, 1, 2, 3, 4), (100, 101)
MOST_EPOCHS = 20
"""Of routerjax."""
MOST = 0.1
AIM = f"at most {MOST:g} of the CPU seconds of a plain PyTorch loop, for the same utility"

LOOPS = {
    "as first written": Steps(256, 1e-3),
    "with smaller batches": Steps(128, 1e-3),
    "at its best": Steps(32, 1e-3),
}
OWN = Steps(32, 3e-3)
CANDIDATES = tuple(itertools.starmap(Steps, itertools.product((32, 64, 128, 256), (1e-3, 3e-3))))


def utility(choices: Sequence[Choose], seeds: Sequence[int]) -> float:
    """Mean over seeds, cost weights and test queries of the utility of what is chosen."""
    found = []
    for seed, choose in zip(seeds, choices, strict=True):
        x, cells = table(TESTS, DIMENSIONS, MODELS, seed=1_000 + seed)
        for weight in WEIGHTS:
            found.append(cells.utilities(weight)[np.arange(TESTS), choose(x, weight)].mean())
    return float(np.mean(found))


def loop(
    steps: Steps, seeds: Sequence[int], weights: Sequence[float] = WEIGHTS
) -> Callable[[], list[Choose]]:
    """The plain loop on queries of each seed's own."""
    made = (table(QUERIES, DIMENSIONS, MODELS, seed=seed) for seed in seeds)
    data = [Rows(x, np.asarray(cells.quality), np.asarray(cells.cost)) for x, cells in made]
    return plain_loop.loop(data, seeds, weights, steps)


def sweep(steps: Steps, epochs: int, seeds: Sequence[int]) -> Callable[[], list[Choose]]:
    """routerjax for so many epochs, its data at hand; what it returns chooses, seed by seed."""
    problems = [problem(QUERIES, DIMENSIONS, MODELS, seed=seed) for seed in seeds]
    schedule = Schedule(
        batch_size=steps.batch, max_epochs=epochs, patience=epochs, chunk=epochs, caution=0.0
    )
    config = RouterConfig(
        members=1,
        architecture="shared",
        widths=(256,),
        learning_rate=steps.rate,
        start="best-single",
        schedule=schedule,
    )

    def train() -> list[Choose]:
        trained = train_routers(problems, cost_weights=WEIGHTS, quality_width=1.0, config=config)
        jax.block_until_ready([own.policy.params for own in trained])
        return [functools.partial(choose, own.policy) for own in trained]

    def choose(policy, new, weight):
        unread = problems[0].predicted  # the router starts from a constant
        return policy.at(jnp.asarray(new), unread, cost_weights=(weight,))[0].argmax(axis=-1)

    return train


@functools.cache
def utility_after(epochs: int) -> float:
    """routerjax's utility after so many epochs."""
    reached = utility(sweep(OWN, epochs, SEEDS)(), SEEDS)
    print(f"routerjax, {epochs} epochs: utility {reached:.4f}", flush=True)
    return reached


def against(name: str, repeats: int) -> dict[str, Any]:
    """One of the loops, and routerjax trained until it is as good; repeats are interleaved."""
    threads = best_threads(loop(LOOPS[name], SEEDS[:1], WEIGHTS[:1]))
    plain = loop(LOOPS[name], SEEDS)
    wall, cpu, choices = measuring.timed(plain)
    target = utility(choices, SEEDS)
    print(f"plain loop {name}, {threads} threads: utility {target:.4f}", flush=True)
    enough = (epochs for epochs in range(1, MOST_EPOCHS) if utility_after(epochs) >= target)
    epochs = next(enough, MOST_EPOCHS)
    own = sweep(OWN, epochs, SEEDS)
    own()  # compiles
    pairs = {"loop": [(wall, cpu)], "routerjax": [measuring.timed(own)[:2]]}
    for _ in range(repeats - 1):
        pairs["loop"].append(measuring.timed(plain)[:2])
        pairs["routerjax"].append(measuring.timed(own)[:2])
    seconds = {kind: measuring.medians(each) for kind, each in pairs.items()}
    share = seconds["routerjax"].cpu / seconds["loop"].cpu
    print(
        f"plain loop {name}: {seconds['loop'].cpu:.1f} CPU s; routerjax, {epochs} epochs: "
        f"{seconds['routerjax'].cpu:.1f}; share {share:.3f}",
        flush=True,
    )
    return {
        "loop": LOOPS[name]._asdict(),
        "threads": threads,
        "target": target,
        "epochs": epochs,
        "utility": utility_after(epochs),
        "reached": utility_after(epochs) >= target,
        "seconds": seconds,
        "share_of_loop_cpu": share,
    }


def choose_steps() -> None:
    """Print the utility and CPU seconds of every candidate on the seeds of the choice."""

    def tell(what: str, train: Callable[[], list[Choose]]) -> None:
        _, cpu, choices = measuring.timed(train)
        reached = utility(choices, CHOICE_SEEDS)
        print(f"{what}: {cpu:.1f} CPU s, utility {reached:.4f}", flush=True)

    for steps in CANDIDATES:
        tell(f"loop, {steps}", loop(steps, CHOICE_SEEDS))
    for steps, epochs in itertools.product(CANDIDATES, (2, 4, 6, 8)):
        train = sweep(steps, epochs, CHOICE_SEEDS)
        train()  # compiles
        tell(f"routerjax, {steps}, {epochs} epochs", train)


def row(figures: dict[str, Any]) -> measuring.Row:
    """Of every loop."""
    loops = figures["loops"]
    parts = [
        f"{own['share_of_loop_cpu']:.3f} of the loop {name} ({own['seconds']['loop']['cpu']:.0f} "
        f"CPU s, utility {own['target']:.3f})"
        for name, own in loops.items()
    ]
    met = tuple(own["reached"] and own["share_of_loop_cpu"] <= MOST for own in loops.values())
    return measuring.Row("; ".join(parts), met)


def main() -> None:
    """Measure, print, write."""
    parser = measuring.options(__doc__, repeats=2)
    parser.add_argument("--choose", action="store_true", help="batches and learning rates; no file")
    given = parser.parse_args()
    if given.choose:
        choose_steps()
        return
    figures = {name: against(name, given.repeats) for name in LOOPS}
    result = {"routerjax": OWN._asdict(), "loops": figures}
    measuring.write("time_to_quality", result, given.out, packages=["torch"])


if __name__ == "__main__":
    main()
