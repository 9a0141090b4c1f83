"""How long an answer takes at 500 requests a second: one row and 1,000 rows, of a linear model on hashed words and of the Envelope.

The server is a process of its own on core 0, the whole web application as `vedette up` serves it; requests come from core 1, at
times that were fixed before, over 64 connections that stay open. A latency counts from the time at which its request was due.
"""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import polars as pl
import psutil
import uvicorn
import uvloop
from figures import at_most

from vedette.core.errors import NotFound
from vedette.models.envelope import Envelope
from vedette.web import View, build
from vedette.web.view import Served

TOKEN = os.environ.get("BENCH_TOKEN", "bench")
RATE = 500
SECONDS = float(os.environ.get("BENCH_SECONDS", "10"))
CONNECTIONS = 64
BODIES = 40
BITS, LABELS = 18, 8
SERIES = 20_000
START = 1_767_225_600_000_000
BARS = {1: 10.0, 1000: 30.0}
WORDS = ("disk", "full", "on", "web", "database", "timeout", "after", "deploy", "user", "cannot", "log", "in", "printer", "slow")


@dataclass
class Linear:
    """A linear model on hashed words."""

    name: str = "tickets"
    version: str = "1"
    family: str = "classes"
    inputs: Mapping[str, str] = field(default_factory=lambda: {"text": "BYTES"})
    outputs: Mapping[str, str] = field(default_factory=lambda: {"label": "BYTES", "probability": "FP64"})
    weights: np.ndarray = field(
        default_factory=lambda: np.random.default_rng(7).standard_normal((1 << BITS, LABELS)).astype(np.float32)
    )

    def predict(self, frame: pl.DataFrame) -> pl.DataFrame:
        words = frame["text"].str.to_lowercase().str.split(" ")
        lengths = words.list.len().to_numpy().astype(np.int64)
        slots = (words.explode().hash(7).to_numpy() & np.uint64((1 << BITS) - 1)).astype(np.int64)
        starts = np.concatenate(([0], np.cumsum(lengths)[:-1]))
        logits = np.add.reduceat(self.weights[slots], starts, axis=0)
        likely = np.exp(logits - logits.max(axis=1, keepdims=True))
        best = likely.argmax(axis=1)
        share = likely[np.arange(len(best)), best] / likely.sum(axis=1)
        return pl.DataFrame({"label": pl.Series(best).cast(pl.String), "probability": share.astype(np.float64)})


@dataclass
class Scores:
    """The Envelope, which knows its series already."""

    name: str = "cpu"
    version: str = "1"
    family: str = "anomalies"
    inputs: Mapping[str, str] = field(default_factory=lambda: {"series": "BYTES", "timestamp": "INT64", "value": "FP64"})
    outputs: Mapping[str, str] = field(
        default_factory=lambda: dict.fromkeys(("yhat", "yhat_lower", "yhat_upper", "anomaly_score"), "FP64")
    )
    envelope: Envelope = field(default_factory=Envelope)

    def warm(self) -> None:
        names = pl.Series("series", [f"web-{i}" for i in range(SERIES)])
        for minute in range(40):
            at, value = pl.lit(START + minute * 60_000_000), pl.lit(float(minute % 7))
            self.predict(pl.DataFrame({"series": names}).with_columns(timestamp=at, value=value))

    def predict(self, frame: pl.DataFrame) -> pl.DataFrame:
        series = frame["series"].hash(7).to_numpy().view(np.int64)
        at, value = frame["timestamp"].to_numpy(), frame["value"].to_numpy()
        order = np.lexsort((at, series))
        answers = np.empty((4, len(order)))
        answers[:, order] = self.envelope.walk(series[order], at[order], value[order], START).T[:4]
        return pl.DataFrame(dict(zip(self.outputs, answers, strict=True)))


@dataclass
class Deployed:
    all: Sequence[Served]

    def served(self) -> Sequence[Served]:
        return self.all

    def get(self, name: str, version: str | None) -> Served:
        for each in self.all:
            if each.name == name and version in {None, each.version}:
                return each
        raise NotFound(f"no model {name} is deployed")


def serve(port: int) -> None:
    scores = Scores()
    scores.warm()
    web = SimpleNamespace(listen=f"127.0.0.1:{port}", hosts=(), token=TOKEN)
    view = SimpleNamespace(
        config=SimpleNamespace(web=web),
        receivers=list,
        lake=None,
        serving=Deployed([cast("Served", Linear()), cast("Served", scores)]),
    )
    settings = uvicorn.Config(
        build(cast("View", view)), port=port, http="httptools", log_level="warning", access_log=False, server_header=False
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        loop.run(uvicorn.Server(settings).serve())


def tickets(rng: np.random.Generator, rows: int) -> dict[str, list[Any]]:
    return {"text": [" ".join(rng.choice(WORDS, 8)) for _ in range(rows)]}


def points(rng: np.random.Generator, rows: int) -> dict[str, list[Any]]:
    at = START + int(rng.integers(3600, 7200)) * 1_000_000
    names = [f"web-{i}" for i in rng.choice(SERIES, rows, replace=False)]
    return {"series": names, "timestamp": [at] * rows, "value": rng.normal(3, 2, rows).round(6).tolist()}


def request(name: str, inputs: Mapping[str, str], columns: Mapping[str, list[Any]]) -> bytes:
    tensors = [
        {"name": column, "shape": [len(values)], "datatype": inputs[column], "data": values} for column, values in columns.items()
    ]
    body = json.dumps({"inputs": tensors}).encode()
    head = (
        f"POST /v2/models/{name}/infer HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Caller:
    """Connections that stay open; each carries one request at a time."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
        self.failed = 0

    async def open(self) -> None:
        for _ in range(CONNECTIONS):
            self._idle.put_nowait(await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 22))

    async def ask(self, sent: bytes, due: float) -> float:
        reader, writer = await self._idle.get()
        writer.write(sent)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        self.failed += not head.startswith(b"HTTP/1.1 200")
        self._idle.put_nowait((reader, writer))
        return time.perf_counter() - due


async def load(port: int, bodies: Sequence[bytes], seconds: float) -> tuple[np.ndarray, int]:
    caller = Caller(port)
    await caller.open()
    begin = time.perf_counter() + 0.1
    asks = []
    for i in range(int(RATE * seconds)):
        due = begin + i / RATE
        wait = due - time.perf_counter()
        if wait > 0:
            await asyncio.sleep(wait)
        asks.append(asyncio.create_task(caller.ask(bodies[i % len(bodies)], due)))
    took = np.array(await asyncio.gather(*asks)) * 1e3
    return took, caller.failed


def measure(port: int, server: psutil.Process) -> None:
    rng = np.random.default_rng(11)
    makes: list[tuple[Any, str, Callable[[np.random.Generator, int], dict[str, list[Any]]]]] = [
        (Linear, "a linear model on hashed words", tickets),
        (Scores, "the Envelope", points),
    ]
    for kind, words, make in makes:
        asked = kind()
        for rows, bar in BARS.items():
            bodies = [request(asked.name, asked.inputs, make(rng, rows)) for _ in range(BODIES)]
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
                loop.run(load(port, bodies, 1.0))
                before, begin = sum(server.cpu_times()[:2]), time.perf_counter()
                took, failed = loop.run(load(port, bodies, SECONDS))
                busy = (sum(server.cpu_times()[:2]) - before) / (time.perf_counter() - begin)
            if failed:
                raise SystemExit(f"{failed} requests failed: the figures mean nothing")
            half, most, worst = np.percentile(took, (50, 99, 100))
            told = f"median {half:.2f} ms, longest {worst:.1f} ms, {busy:.0%} of the core"
            at_most(f"ask {words}, {rows:,} row{'s'[: rows > 1]}, 99 %", float(most), "ms", bar, told)


def main() -> None:
    os.sched_setaffinity(0, {1})
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    one = dict.fromkeys(("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    command = ["taskset", "-c", "0", sys.executable, str(Path(__file__).resolve()), "serve", str(port)]
    with subprocess.Popen(command, env=os.environ | one) as server:
        try:
            for _ in range(600):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.1)
            measure(port, psutil.Process(server.pid))
        finally:
            server.terminate()


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(int(sys.argv[2]))
    else:
        main()
