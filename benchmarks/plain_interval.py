"""RM-Interval as a user would write it in PyTorch: endpoints, and a joint network an interval."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.plain_loop import EPOCHS, Choose, Rows, Steps, imported, network, trained


def interval_loop(
    data: Sequence[Rows], seeds: Sequence[int], weights: Sequence[float], steps: Steps
) -> Callable[[], list[Choose]]:
    """RM-Interval: a network for each cost weight, and one for each interval between two of them.

    The endpoints are those of `plain_loop.loop`. The joint network of an interval [λ_k, λ_{k+1}]
    has the query, the logits of both endpoints and α = (λ − λ_k)/(λ_{k+1} − λ_k) for its input, and
    is trained as long as they were, with λ drawn anew for every row and step.

    Args:
      data: of every seed.
      seeds: of starts, orders of rows and drawn λ.
      weights: cost weights in rising order, the ends of the intervals.
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
        ends = [trained(x, quality - weight * cost, steps) for weight in weights]
        pairs = list(itertools.pairwise(range(len(weights))))
        joints = [joint(x, quality, cost, ends, pair) for pair in pairs]

        def choose(new, weight):
            place = min(max(bisect_right(weights, weight) - 1, 0), len(pairs) - 1)
            low, high = (weights[k] for k in pairs[place])
            share = torch.full((len(new), 1), (weight - low) / (high - low))
            with torch.no_grad():
                rows = torch.from_numpy(new)
                told = [ends[k](rows) for k in pairs[place]]
                return joints[place](torch.cat([rows, *told, share], 1)).argmax(dim=1).numpy()

        return choose

    def joint(x, quality, cost, ends, pair):
        low, high = (weights[k] for k in pair)
        with torch.no_grad():
            known = torch.cat([x, *(ends[k](x) for k in pair)], 1)
        made = network(known.shape[1] + 1, quality.shape[1])
        optimizer = torch.optim.Adam(made.parameters(), lr=steps.rate)
        for _ in range(EPOCHS):
            for rows in torch.randperm(len(x)).split(steps.batch):
                optimizer.zero_grad()
                share = torch.rand(len(rows), 1)
                utilities = quality[rows] - (low + share * (high - low)) * cost[rows]
                regrets = utilities.max(dim=1, keepdim=True).values - utilities
                logits = made(torch.cat([known[rows], share], 1))
                loss = (torch.softmax(logits, dim=1) * regrets).sum(dim=1).mean()
                loss.backward()
                optimizer.step()
        return made

    return train
