"""python -m benchmarks.serve_load: requests a second of `/route` on loopback, and a day in minutes.

Claims: a query in an embedding of 256 numbers is routed among 11 models, drawn, logged and answered
over HTTP in under 1 ms (median); a day of traffic, reloads and feedback in a few minutes (`--soak
MINUTES`) leaves the memory of the server where it was half way.

Beside it, in the same run, stand LiteLLM's Router, which picks a deployment of 11 (simple-shuffle),
and RouteLLM's matrix factorisation of two models, each behind a server of the same kind (Starlette,
uvicorn, one process) and without a log. RouteLLM's weights are drawn at random and the embedding of
the prompt, which it asks OpenAI for, is at hand: what is measured is its arithmetic. Peers that are
not installed are left out (python -m pip install litellm routellm torch transformers).
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import types
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import measuring
from benchmarks.route_latency import fitted

MOST, GROWTH = 1.0, 0.05
"""Milliseconds of a decision (median); share by which memory may grow in the second half."""
AIM = (
    f"`/route` decides, logs and answers in under {MOST:g} ms (median) on loopback; a day in "
    f"minutes grows memory by at most {GROWTH:.0%} in its second half"
)
MODELS, DIMENSIONS, HOURS = 11, 256, 24
PEERS = {"litellm": ("litellm",), "routellm": ("routellm", "torch", "transformers")}
COST_WEIGHT = "75"
SPOKEN = "--serve"
"""The argument by which this module serves something, as a process of its own."""


@dataclasses.dataclass
class Load:
    """What a client met.

    Attributes:
      seconds: of every request.
      failed: answers that were not 200.
      wall: seconds in all.
    """

    seconds: list[float]
    failed: int
    wall: float

    def figures(self) -> dict[str, float]:
        """Requests a second, and percentiles in milliseconds."""
        p50, p99 = np.percentile(np.asarray(self.seconds) * 1e3, (50, 99))
        return {
            "requests_per_second": len(self.seconds) / self.wall,
            "p50_milliseconds": float(p50),
            "p99_milliseconds": float(p99),
            "failed": self.failed,
        }


class Connection:
    """One connection that is kept open, and requests over it one after another."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, path: str, content: bytes) -> tuple[int, bytes]:
        """Status and body of an answer."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(content)}\r\n\r\n"
        writer.write(head.encode() + content)
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().splitlines()
        length = next(int(line.split(":")[1]) for line in lines if line.startswith("content-le"))
        return int(lines[0].split()[1]), await reader.readexactly(length)

    def close(self) -> None:
        """Close it."""
        if self._streams is not None:
            self._streams[1].close()


async def loaded(
    port: int, bodies: list[bytes], *, connections: int, seconds: float, feedback: bool = False
) -> Load:
    """Requests over some connections, each as fast as it is answered.

    Args:
      port: of the server.
      bodies: of requests, taken in turn.
      connections: that ask side by side.
      seconds: how long.
      feedback: whether every second decision gets feedback, which is not timed.
    """
    found, start = Load([], 0, 0.0), time.perf_counter()

    async def ask(first: int) -> None:
        own = Connection(port)
        number = first
        while time.perf_counter() - start < seconds:
            before = time.perf_counter()
            status, content = await own.post("/route", bodies[number % len(bodies)])
            found.seconds.append(time.perf_counter() - before)
            found.failed += status != 200
            number += connections
            if feedback and status == 200 and number % 2:
                said = {"id": json.loads(content)["id"], "quality": 0.5, "cost": 0.001}
                status, _ = await own.post("/feedback", json.dumps(said).encode())
                found.failed += status != 200
        own.close()

    await asyncio.gather(*(ask(each) for each in range(connections)))
    return dataclasses.replace(found, wall=time.perf_counter() - start)


@contextlib.contextmanager
def server(*arguments: str) -> Iterator[tuple[int, int]]:
    """A server in a process of its own: its port and its process id."""
    own = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    assert own.stderr is not None
    try:
        said = []
        for line in own.stderr:
            said.append(line)
            if line.startswith("serving "):
                yield int(line.rsplit(":", 1)[1]), own.pid
                return
        raise RuntimeError("".join(said[-20:]))
    finally:
        own.terminate()
        own.wait()
        own.stderr.close()


def measured(port: int, bodies: list[bytes], *, seconds: float) -> dict[str, Any]:
    """One connection alone, then sixteen."""
    asyncio.run(loaded(port, bodies, connections=4, seconds=min(seconds, 1.0)))
    return {
        str(count): asyncio.run(loaded(port, bodies, connections=count, seconds=seconds)).figures()
        for count in (1, 16)
    }


def decision_median(port: int) -> float:
    """Milliseconds of the median decision, by the service's own histogram, linear in a bucket."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    buckets = [
        (float(line.split('"')[1]), int(line.split()[-1]))
        for line in lines
        if line.startswith("routerjax_route_seconds_bucket") and "Inf" not in line
    ]
    total = next(line for line in lines if line.startswith("routerjax_route_seconds_count"))
    half, below, passed = int(total.split()[1]) / 2, 0.0, 0
    for bound, count in buckets:
        if count >= half:
            return 1e3 * (below + (bound - below) * (half - passed) / max(count - passed, 1))
        below, passed = bound, count
    return float("inf")


def requests() -> dict[str, list[bytes]]:
    """Bodies for routerjax, and for peers."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((200, DIMENSIONS), dtype=np.float32).round(4).tolist()
    embedded = [json.dumps({"embedding": row}).encode() for row in rows]
    prompts = [f"Prove that {number} is the sum of four squares." for number in range(200)]
    asked = [
        json.dumps({"messages": [{"role": "user", "content": prompt}]}).encode()
        for prompt in prompts
    ]
    return {"routerjax": embedded, "litellm": asked, "routellm": asked}


# what is served by a process of its own: python -m benchmarks.serve_load --serve KIND ...


def litellm_choice() -> Callable[[str], Awaitable[str]]:
    """LiteLLM's own Router over 11 deployments."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import litellm

    entries = [
        {"model_name": "all", "litellm_params": {"model": f"openai/m{arm}", "api_key": "x"}}
        for arm in range(MODELS)
    ]
    router = litellm.Router(model_list=entries)

    async def choose(prompt: str) -> str:
        messages = [{"role": "user", "content": prompt}]
        picked = await router.select("all", {}, messages=messages)
        return str(picked["litellm_params"]["model"])

    return choose


def routellm_choice() -> Callable[[str], Awaitable[str]]:
    """RouteLLM's matrix factorisation, with weights and an embedding drawn at random."""
    os.environ.setdefault("OPENAI_API_KEY", "x")
    import torch
    from routellm.routers.matrix_factorization import model as factors

    torch.manual_seed(0)
    values = np.random.default_rng(0).standard_normal(1536).astype(np.float32).tolist()
    found = types.SimpleNamespace(data=[types.SimpleNamespace(embedding=values)])
    embeddings = types.SimpleNamespace(create=lambda **_: found)
    factors.OPENAI_CLIENT = types.SimpleNamespace(embeddings=embeddings)
    made = factors.MFModel(dim=128, num_models=64, text_dim=1536, num_classes=1, use_proj=True)
    made.eval()
    strong = factors.MODEL_IDS["gpt-4-1106-preview"]
    weak = factors.MODEL_IDS["mixtral-8x7b-instruct-v0.1"]

    async def choose(prompt: str) -> str:
        return "strong" if made.pred_win_rate(strong, weak, prompt) >= 0.5 else "weak"

    return choose


def serve_peer(choose: Callable[[str], Awaitable[str]]) -> None:
    """A peer's choice behind the same kind of server, on a free port."""
    import socket

    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    async def answer(request: Request) -> Response:
        body = await request.json()
        return JSONResponse({"model": await choose(body["messages"][-1]["content"])})

    app = Starlette(routes=[Route("/route", answer, methods=["POST"])])
    config = uvicorn.Config(app, log_level="error", access_log=False)
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listening:
        print(f"serving on http://127.0.0.1:{listening.getsockname()[1]}", file=sys.stderr)
        sys.stderr.flush()
        uvicorn.Server(config).run(sockets=[listening])


def serve_fast(folder: str, log: str, speed: str) -> None:
    """routerjax's service by a clock that runs fast, with a pacer and exploration."""
    from routerjax.exploration.limits import Limits
    from routerjax.serving.deciding import Exploring
    from routerjax.serving.running import run
    from routerjax.serving.service import Service, Settings

    start, fast = time.time(), float(speed)
    service = Service(
        folder,
        Settings(float(COST_WEIGHT), Exploring(0.03, "floor", Limits(dollars_a_day=5.0))),
        log=log,
        dollars_a_day=1000.0,
        clock=lambda: start + (time.time() - start) * fast,
    )
    run(service, host="127.0.0.1", port=0)


def serve(kind: str, *more: str) -> None:
    """Serve until the process is ended."""
    if kind == "fast":
        serve_fast(*more)
    else:
        serve_peer({"litellm": litellm_choice, "routellm": routellm_choice}[kind]())


# a day in minutes


def resident(process: int) -> float:
    """MiB of memory that a process holds."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


async def soaked(folder: Path, port: int, process: int, bodies: list[bytes], seconds: float) -> Any:
    """A day's traffic, feedback and 24 routers put in place; memory 100 times on the way."""
    memory: list[float] = []

    async def watched() -> None:
        for step in range(100):
            memory.append(resident(process))
            if step % (100 // HOURS) == 3:
                await asyncio.to_thread(again, folder)
            await asyncio.sleep(seconds / 100)

    load, _ = await asyncio.gather(
        loaded(port, bodies, connections=8, seconds=seconds, feedback=True), watched()
    )
    return load, memory


def again(folder: Path) -> None:
    """Write the router into its folder once more, as a refit does."""
    from routerjax.artefacts.router import Router

    Router.load(folder).save(folder, overwrite=True)


def soak(folder: Path, log: Path, bodies: list[bytes], *, minutes: float) -> dict[str, Any]:
    """Memory of the server over a day of HOURS hours compressed into minutes."""
    speed = HOURS * 60 / minutes
    arguments = ("benchmarks.serve_load", SPOKEN, "fast", str(folder), str(log), str(speed))
    with server(*arguments) as (port, process):
        load, memory = asyncio.run(soaked(folder, port, process, bodies, 60 * minutes))
    size = sum(path.stat().st_size for path in log.iterdir())
    return {
        "minutes": minutes,
        "requests": len(load.seconds),
        **load.figures(),
        "days_in_log": len({path.name[:10] for path in log.iterdir()}),
        "log_mebibytes": size / 2**20,
        "resident_mebibytes": [round(each, 1) for each in memory[::5]] + [round(memory[-1], 1)],
        "growth_in_second_half": memory[-1] / memory[50] - 1,
    }


def row(figures: dict[str, Any]) -> measuring.Row:
    """Of all that were measured, and of the day in minutes."""
    parts = []
    for name, own in figures["served"].items():
        alone, many = own["1"], own["16"]
        parts.append(
            f"{name}: p50 {alone['p50_milliseconds']:.2f} ms, p99 {alone['p99_milliseconds']:.2f} "
            f"ms alone; {many['requests_per_second']:,.0f} a second, p99 "
            f"{many['p99_milliseconds']:.0f} ms from 16"
        )
    parts.append(f"a decision takes {figures['decision_p50_milliseconds']:.2f} ms")
    met = [figures["served"]["routerjax"]["1"]["p50_milliseconds"] < MOST]
    day = figures.get("soak")
    if day is not None:
        first, last = day["resident_mebibytes"][10], day["resident_mebibytes"][-1]
        parts.append(
            f"a day in {day['minutes']:g} minutes: {day['requests']:,} requests, {day['failed']} "
            f"failed, {first:.0f} MiB half way, {last:.0f} at the end"
        )
        met.append(day["growth_in_second_half"] <= GROWTH and day["failed"] == 0)
    return measuring.Row("; ".join(parts), tuple(met))


def main() -> None:
    """Measure, print, write."""
    if sys.argv[1:2] == [SPOKEN]:
        serve(*sys.argv[2:])
        return
    parser = measuring.options(__doc__, repeats=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="of every load")
    parser.add_argument("--soak", type=float, default=None, help="minutes for a day; none without")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder, log = Path(place, "router"), Path(place, "log")
        fitted("default").save(folder)
        figures = all_served(folder, log, repeats=given.repeats, seconds=given.seconds)
        if given.soak is not None:
            shutil.rmtree(log)
            figures["soak"] = soak(folder, log, requests()["routerjax"], minutes=given.soak)
    print(row(figures).measured.replace("; ", "\n"))
    if "soak" in figures:
        print("MiB over the day:", *figures["soak"]["resident_mebibytes"])
    measuring.write("serve_load", figures, given.out)


def all_served(folder: Path, log: Path, *, repeats: int, seconds: float) -> dict[str, Any]:
    """routerjax and the peers that are installed, in turn."""
    own = ["routerjax", "serve", str(folder), "--port", "0", "--cost-weight", COST_WEIGHT]
    kinds = {"routerjax": [*own, "--log", str(log)]}
    for peer, packages in PEERS.items():
        if all(importlib.util.find_spec(name) for name in packages):
            kinds[peer] = ["benchmarks.serve_load", SPOKEN, peer]
        else:
            print(f"{peer} is not installed and left out")
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in kinds}
    bodies, medians = requests(), []
    for _ in range(repeats):
        for name, arguments in kinds.items():
            with server(*arguments) as (port, _):
                found[name].append(measured(port, bodies[name], seconds=seconds))
                if name == "routerjax":
                    medians.append(decision_median(port))
    served = {name: best(each) for name, each in found.items()}
    return {"served": served, "decision_p50_milliseconds": min(medians)}


def best(repeats: list[dict[str, Any]]) -> dict[str, Any]:
    """For each number of connections the repeat of most requests a second, the least disturbed."""
    return {
        count: max((own[count] for own in repeats), key=lambda one: one["requests_per_second"])
        for count in repeats[0]
    }


if __name__ == "__main__":
    main()
