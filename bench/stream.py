"""The whole stream as users run it: a child process, real sockets, the child's own CPU time.

Run: python bench/stream.py [points|logs|latency|size|idle|start ...]
"""

import contextlib
import json
import os
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import cramjam
import httpx
import psutil

VEDETTE = str(Path(sys.executable).with_name("vedette"))
PORT = 14680
BASE = f"http://127.0.0.1:{PORT}"
QUIET = "sources: {}\n"


@contextlib.contextmanager
def running(config: str | None = QUIET, cpu: int | None = 0) -> Iterator[tuple[psutil.Process, Path, float]]:
    """`vedette up` in a fresh home; the process, its home, and the seconds until it was ready."""
    folder = Path(tempfile.mkdtemp(prefix="vedette-bench-"))
    arguments = [VEDETTE, "up", "--home", str(folder / "home"), "--listen", f"127.0.0.1:{PORT}"]
    if config is not None:
        (folder / "vedette.yaml").write_text(config)
        arguments += ["--config", str(folder / "vedette.yaml")]
    started = time.perf_counter()
    with (folder / "log").open("wb") as log:
        child = subprocess.Popen(arguments, stdout=log, stderr=log, cwd=folder)
    process = psutil.Process(child.pid)
    if cpu is not None:
        process.cpu_affinity([cpu])
    try:
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{BASE}/readyz", timeout=1).status_code == 200:
                    break
            if child.poll() is not None or time.perf_counter() - started > 120:
                raise SystemExit((folder / "log").read_text())
            time.sleep(0.05)
        yield process, folder / "home", time.perf_counter() - started
    finally:
        child.terminate()
        child.wait(60)
        shutil.rmtree(folder)


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes((*out, number))


def field(number: int, payload: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def series_prefix(index: int) -> bytes:
    labels = {
        "__name__": f"bench_metric_{index % 50}",
        "cluster": "main",
        "instance": f"10.0.{index // 250 % 250}.{index % 250}:9100",
        "job": "bench",
        "namespace": f"team-{index % 7}",
        "shard": str(index),
    }
    return b"".join(field(1, field(1, key.encode()) + field(2, value.encode())) for key, value in labels.items())


class Bodies:
    """Remote write bodies of 1,000 samples each, all series in turn, time moving on by 15 s a round."""

    def __init__(self, series: int, start: float) -> None:
        self.prefixes = [series_prefix(index) for index in range(series)]
        self.at = int(start * 1000)
        self.next = 0

    def one(self, at: int | None = None) -> bytes:
        parts = []
        for index in range(self.next, self.next + 1000):
            value = 50 + 10 * ((index * 7919 + self.at // 15000 * 104729) % 1000) / 1000
            sample = b"\x09" + struct.pack("<d", value) + b"\x10" + varint(at or self.at)
            parts.append(field(1, self.prefixes[index % len(self.prefixes)] + field(2, sample)))
        self.next += 1000
        if self.next >= len(self.prefixes):
            self.next = 0
            self.at += 15_000
        return bytes(cramjam.snappy.compress_raw(b"".join(parts)))


def post(client: httpx.Client, path: str, body: bytes, headers: dict[str, str]) -> None:
    while True:
        answer = client.post(path, content=body, headers=headers)
        if answer.status_code < 300:
            return
        if answer.status_code not in {429, 503}:
            raise SystemExit(f"{answer.status_code}: {answer.text}")
        time.sleep(float(answer.headers.get("retry-after", "1")))


def drained() -> None:
    """Wait until nothing is left to score."""
    while True:
        status = httpx.get(f"{BASE}/api/status").json()
        if status["lag"] <= 0:
            return
        time.sleep(0.2)


def cpu_of(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


RW = {"content-type": "application/x-protobuf", "content-encoding": "snappy", "x-prometheus-remote-write-version": "0.1.0"}


def points() -> None:
    """CPU of our process for a point, from the socket to rows and verdicts in the lake."""
    with running() as (process, _, _), httpx.Client(base_url=BASE, timeout=60) as client:
        bodies = Bodies(20_000, time.time() - 3600)
        for _ in range(40):
            post(client, "/api/v1/write", bodies.one(), RW)
        drained()
        runs = []
        for _ in range(5):
            ready = [bodies.one() for _ in range(400)]
            before = cpu_of(process)
            for body in ready:
                post(client, "/api/v1/write", body, RW)
            drained()
            time.sleep(6)
            runs.append((cpu_of(process) - before) / 400_000 * 1e6)
        print(f"points: {statistics.median(runs):.2f} us CPU a point, median of {[round(run, 2) for run in runs]}")


def logs() -> None:
    """CPU of our process for a log line, templates included."""
    config = "sources: {lines: {kind: push}}\n"
    with running(config) as (process, _, _), httpx.Client(base_url=BASE, timeout=60) as client:
        runs = []
        number = 0
        for _ in range(6):
            body = []
            for _ in range(100_000):
                number += 1
                user, address = number * 7919 % 5000, f"10.1.{number % 250}.{number % 199}"
                body.append(f"worker-{number % 13} INFO request {number} of user u{user} took {number % 977} ms from {address}")
            before = cpu_of(process)
            post(client, "/push/lines", "\n".join(body).encode(), {"content-type": "text/plain"})
            drained()
            time.sleep(6)
            runs.append((cpu_of(process) - before) / 100_000 * 1e6)
        median = statistics.median(runs[1:])
        print(f"logs: {median:.2f} us CPU a line, {1e6 / median:,.0f} lines/s/core, of {[round(run, 2) for run in runs]}")


def latency() -> None:
    """From event to verdict at 20,000 points a second for a minute."""
    with running(cpu=None) as (_, _, _), httpx.Client(base_url=BASE, timeout=60) as client:
        bodies = Bodies(20_000, time.time())
        end = time.time() + 60
        while time.time() < end:
            begun = time.time()
            for _ in range(20):
                post(client, "/api/v1/write", bodies.one(at=int(time.time() * 1000)), RW)
            time.sleep(max(0.0, begun + 1 - time.time()))
        drained()
        shown = httpx.get(f"{BASE}/metrics").text.splitlines()
        buckets = [line for line in shown if line.startswith("vedette_event_to_verdict_seconds_bucket")]
        total = float(buckets[-1].split()[-1])
        shares = {line.split('le="')[1].split('"')[0]: float(line.split()[-1]) / total for line in buckets}
        rounded = {bound: round(share, 4) for bound, share in shares.items()}
        print(f"latency: share of {total:.0f} points by seconds: {json.dumps(rounded)}")


def size() -> None:
    """Memory of the process with 100,000 series."""
    with running() as (process, _, _), httpx.Client(base_url=BASE, timeout=60) as client:
        bodies = Bodies(100_000, time.time() - 3600)
        for _ in range(300):
            post(client, "/api/v1/write", bodies.one(), RW)
        drained()
        time.sleep(6)
        print(f"size: {process.memory_info().rss / 2**20:.0f} MiB with 100,000 series")


def idle() -> None:
    """CPU and memory of the process while it watches this host alone."""
    with running(config=None, cpu=None) as (process, _, _):
        time.sleep(30)
        before, begun = cpu_of(process), time.time()
        time.sleep(120)
        share = (cpu_of(process) - before) / (time.time() - begun)
        print(f"idle: {share:.1%} of a core, {process.memory_info().rss / 2**20:.0f} MiB")


def start() -> None:
    """Seconds to help, and to be ready."""
    helps = []
    for _ in range(5):
        begun = time.perf_counter()
        subprocess.run([VEDETTE, "--help"], check=True, stdout=subprocess.DEVNULL)
        helps.append(time.perf_counter() - begun)
    ready = []
    for _ in range(3):
        with running(cpu=None) as (_, _, seconds):
            ready.append(seconds)
    print(f"start: --help {statistics.median(helps):.2f} s, ready {statistics.median(ready):.2f} s")


BENCHES = {"points": points, "logs": logs, "latency": latency, "size": size, "idle": idle, "start": start}

if __name__ == "__main__":
    os.sched_setaffinity(0, {1} if os.cpu_count() and os.cpu_count() > 1 else {0})
    for name in sys.argv[1:] or BENCHES:
        BENCHES[name]()
