"""What a user would write in PyTorch: a network for every seed and cost weight, on regret."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from benchmarks import measuring
from routerjax.errors import InputError

EPOCHS, HIDDEN = 5, 256

Choose = Callable[[np.ndarray, float], np.ndarray]
"""Queries [n, d] and a cost weight → the models chosen, [n]."""


class Rows(NamedTuple):
    """Queries of which every model's answer is known: embeddings [n, d], quality, cost [n, m]."""

    x: np.ndarray
    quality: np.ndarray
    cost: np.ndarray


class Steps(NamedTuple):
    """Rows a step, and Adam's learning rate."""

    batch: int
    rate: float


def loop(
    data: Sequence[Rows], seeds: Sequence[int], weights: Sequence[float], steps: Steps
) -> Callable[[], list[Choose]]:
    """The plain loop: networks d-256-m, Adam, softmax regret, five epochs.

    Args:
      data: of every seed.
      seeds: of starts and orders of rows.
      weights: cost weights, a network each.
      steps: batch and learning rate.

    Returns:
      What trains, its data at hand; it returns what chooses, seed by seed.

    Raises:
      InputError: PyTorch is not installed.
    """
    torch = imported()
    held = [[torch.from_numpy(np.array(part)) for part in rows] for rows in data]

    def train() -> list[Choose]:
        return [one(seed, *own) for seed, own in zip(seeds, held, strict=True)]

    def one(seed, x, quality, cost) -> Choose:
        torch.manual_seed(seed)
        networks = {weight: trained(x, quality - weight * cost, steps) for weight in weights}

        def choose(new, weight):
            with torch.no_grad():
                return networks[weight](torch.from_numpy(new)).argmax(dim=1).numpy()

        return choose

    return train


def imported() -> Any:
    """PyTorch.

    Raises:
      InputError: it is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise InputError("this benchmark needs PyTorch: pip install 'routerjax[bench]'") from error
    return torch


def network(inputs: int, outputs: int) -> Any:
    """One hidden layer."""
    nn = imported().nn
    return nn.Sequential(nn.Linear(inputs, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, outputs))


def trained(x: Any, utilities: Any, steps: Steps) -> Any:
    """A network that has learnt to choose by the utilities [n, m], with softmax regret."""
    torch = imported()
    made = network(x.shape[1], utilities.shape[1])
    optimizer = torch.optim.Adam(made.parameters(), lr=steps.rate)
    regrets = utilities.max(dim=1, keepdim=True).values - utilities
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(x)).split(steps.batch):
            optimizer.zero_grad()
            loss = (torch.softmax(made(x[rows]), dim=1) * regrets[rows]).sum(dim=1).mean()
            loss.backward()
            optimizer.step()
    return made


def best_threads(train: Callable[[], list[Choose]]) -> int:
    """The number of threads with which it takes the fewest CPU seconds, which is set."""
    torch = imported()
    seconds = {}
    for threads in range(1, (os.cpu_count() or 1) + 1):
        torch.set_num_threads(threads)
        seconds[threads] = measuring.timed(train)[1]
    best = min(seconds, key=lambda count: seconds[count])
    torch.set_num_threads(best)
    return best
