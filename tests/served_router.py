"""A plug-in router that needs no fit, and servers of it, for tests of what is served."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from routerjax.artefacts.router import Router
from routerjax.training.config import FitConfig, NuisanceConfig

MODELS = ("a", "b", "c")
WEIGHTS = (0.0, 50.0, 100.0)
COSTS = (0.004, 0.002, 0.001)


def small_router(shift: float = 0.0) -> Router:
    """Of 4 numbers: quality 0.5 + 0.2·x₀ of "a", 0.5 − 0.2·x₀ of "b" and 0.4 + `shift` of "c"."""
    blank = Router(
        models=MODELS,
        cost_weights=WEIGHTS,
        encoder=None,
        dimensions=4,
        quality_range=(0.0, 1.0),
        config=FitConfig(nuisance=NuisanceConfig(components=2, landmarks=1)),
        mean_cost=0.002,
        best_single=("a",) * len(WEIGHTS),
        report={},
        provenance={},
        arrays=Router.unread(),
        arm_quality=(0.5, 0.5, 0.4),
        arm_cost=COSTS,
    )
    arrays = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), blank.template())
    arrays = blank.restored(arrays)
    quality, cost = arrays.outcomes.quality["params"], arrays.outcomes.cost["params"]
    quality["features"]["directions"][0, :2, :2] = np.eye(2)
    quality["features"]["width"][:] = 0.5
    quality["coefficients"][0, 0] = (0.5, 0.5, 0.4 + shift)
    quality["coefficients"][0, 1] = (0.2, -0.2, 0.0)
    cost["features"]["width"][:] = 0.5
    outcomes = arrays.outcomes._replace(
        unit_cost=np.float32([COSTS]), quality_range=np.float32([0, 1])
    )
    scaling = dataclasses.replace(arrays.scaling, scale=np.float32(1))

    return dataclasses.replace(blank, arrays=arrays._replace(outcomes=outcomes, scaling=scaling))


def known_router(shift: float = 0.0) -> Router:
    """`small_router` that knows its log's policy, which asked every model equally often."""
    bare = small_router(shift)
    blank = dataclasses.replace(bare, seen=1, salt="salt")
    arrays = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), blank.template())
    known = arrays.propensities._replace(threshold=np.full(3, 0.1, np.float32))
    own = bare.arrays._replace(propensities=known, seen=arrays.seen)
    return dataclasses.replace(blank, arrays=own)


@contextlib.contextmanager
def serving(*arguments: str, **environment: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`routerjax serve` in a process of its own; its address, when it answers."""
    command = [sys.executable, "-m", "routerjax", "serve", *arguments, "--port", "0"]
    own = {**os.environ, **environment}
    server = subprocess.Popen(command, env=own, stderr=subprocess.PIPE, text=True)
    assert server.stderr is not None
    try:
        lines = []
        for line in server.stderr:
            lines.append(line)
            if line.startswith("serving "):
                break
        assert lines and lines[-1].startswith("serving "), lines
        yield lines[-1].split()[-1], server
    finally:
        server.kill()
        server.wait()
        server.stderr.close()


def post(url: str, body: Any, **headers: str) -> tuple[int, Any]:
    """Status and JSON of an answer."""
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def events(folder: Path) -> list[dict[str, Any]]:
    """All events of a decision log."""
    files = sorted(folder.glob("*.decisions.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def wait_for(condition: Any, seconds: float = 20.0) -> None:
    """Until something is true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.05)
