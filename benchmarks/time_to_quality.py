"""python -m benchmarks.time_to_quality: CPU seconds until a sweep is as good as the plain loop's.

The plain loop is what a user would write in PyTorch (extra `bench`): for each of 5 seeds and 10
cost weights a network 768-256-11, Adam, batches of 256, softmax regret, 5 epochs, on 8,000
queries with every model's answer. Its final mean utility on 4,000 test queries is the target.
routerjax trains the 5 seeds as one sweep with a trunk shared by the 10 weights, a whole number
of epochs at a time, until it reaches the target; its held-out scoring counts, compiling does
not. The loop runs with each number of threads, and its best counts; set-up is left out of both.
Claim: at most a tenth of the loop's CPU seconds.
"""

from __future__ import annotations

import dataclasses
import functools
import os

import jax
import numpy as np

from benchmarks import measuring
from benchmarks.problems import problem, table
from routerjax.errors import InputError
from routerjax.records import Estimates
from routerjax.training.fit import Schedule
from routerjax.training.routing import RouterConfig, train_routers

QUERIES, TESTS, DIMENSIONS, MODELS, SEEDS = 8_000, 4_000, 768, 11, 5
WEIGHTS = (0.0, 5.0, 10.0, 20.0, 35.0, 50.0, 75.0, 100.0, 150.0, 250.0)
MOST = 20
"""Epochs of routerjax at most."""


def test_utility(arms: np.ndarray, cells: Estimates) -> float:
    """Mean over cost weights of the mean utility of arms [w, n]."""
    rows = np.arange(arms.shape[1])
    each = [
        np.mean(cells.utilities(weight)[rows, own])
        for weight, own in zip(WEIGHTS, arms, strict=True)
    ]
    return float(np.mean(each))


def plain_loop(threads: int) -> tuple[float, float]:
    """CPU seconds and mean test utility of one network per seed and cost weight, in PyTorch."""
    try:
        import torch
    except ImportError as error:
        raise InputError("this benchmark needs PyTorch: pip install 'routerjax[bench]'") from error
    torch.set_num_threads(threads)
    seconds, utilities = 0.0, []
    for seed in range(SEEDS):
        x, cells = (
            _as_torch(torch, part) for part in table(QUERIES, DIMENSIONS, MODELS, seed=seed)
        )
        new, truth = table(TESTS, DIMENSIONS, MODELS, seed=1_000 + seed)
        arms = []
        for weight in WEIGHTS:
            torch.manual_seed(seed)
            train = functools.partial(_one_network, torch, x, cells, weight)
            own, choose = measuring.timed(train)[1:]
            seconds += own
            arms.append(choose(torch.from_numpy(new)))
        utilities.append(test_utility(np.stack(arms), truth))
    return seconds, float(np.mean(utilities))


def _as_torch(torch, part):
    if isinstance(part, Estimates):
        return {k: torch.from_numpy(np.asarray(getattr(part, k))) for k in ("quality", "cost")}
    return torch.from_numpy(part)


def _one_network(torch, x, cells, weight: float):
    network = torch.nn.Sequential(
        torch.nn.Linear(DIMENSIONS, 256), torch.nn.GELU(), torch.nn.Linear(256, MODELS)
    )
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    utilities = cells["quality"] - weight * cells["cost"]
    regrets = utilities.max(dim=1, keepdim=True).values - utilities
    for _ in range(5):
        for rows in torch.randperm(len(x)).split(256):
            optimizer.zero_grad()
            loss = (torch.softmax(network(x[rows]), dim=1) * regrets[rows]).sum(dim=1).mean()
            loss.backward()
            optimizer.step()

    def choose(new):
        with torch.no_grad():
            return network(new).argmax(dim=1).numpy()

    return choose


def sweep(epochs: int) -> tuple[float, float, float]:
    """CPU and wall seconds and mean test utility of routerjax after so many epochs."""
    problems = [problem(QUERIES, DIMENSIONS, MODELS, seed=seed) for seed in range(SEEDS)]
    schedule = Schedule(max_epochs=epochs, patience=epochs, chunk=epochs, caution=0.0)
    config = RouterConfig(
        members=1, architecture="shared", widths=(256,), start="best-single", schedule=schedule
    )

    def train():
        trained = train_routers(problems, cost_weights=WEIGHTS, quality_width=1.0, config=config)
        return jax.block_until_ready([own.policy.params for own in trained]) and trained

    train()  # compiles
    wall, cpu, trained = measuring.timed(train)
    utilities = []
    for seed, own in enumerate(trained):
        new, truth = table(TESTS, DIMENSIONS, MODELS, seed=1_000 + seed)
        start = dataclasses.replace(truth)  # the constant start reads nothing of it
        arms = own.policy.at(jax.numpy.asarray(new), start, cost_weights=WEIGHTS).argmax(axis=-1)
        utilities.append(test_utility(arms, truth))
    return cpu, wall, float(np.mean(utilities))


def main() -> None:
    """Measure, print, write."""
    given = measuring.options(__doc__, repeats=2).parse_args()
    loops = {threads: plain_loop(threads) for threads in range(1, (os.cpu_count() or 1) + 1)}
    threads = min(loops, key=lambda count: loops[count][0])
    target = loops[threads][1]
    print(f"plain loop, {threads} threads: {loops[threads][0]:.1f} CPU s, utility {target:.4f}")
    reached = []
    for epochs in range(1, MOST + 1):
        cpu, wall, utility = sweep(epochs)
        print(f"routerjax, {epochs} epochs: {cpu:.1f} CPU s, {wall:.1f} s, utility {utility:.4f}")
        reached.append({"epochs": epochs, "cpu": cpu, "wall": wall, "utility": utility})
        if utility >= target:
            break
    figures = {
        "loop": {"threads": threads, "cpu": loops[threads][0], "utility": target},
        "routerjax": reached,
        "reached": reached[-1]["utility"] >= target,
        "share_of_loop_cpu": reached[-1]["cpu"] / loops[threads][0],
    }
    print(f"share of the loop's CPU seconds: {figures['share_of_loop_cpu']:.3f}")
    measuring.write("time_to_quality", figures, given.out)


if __name__ == "__main__":
    main()
