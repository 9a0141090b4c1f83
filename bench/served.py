"""`vedette up` as users run it: a child process behind real sockets, and what it costs by its own CPU time."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import psutil

VEDETTE = str(Path(sys.executable).with_name("vedette"))
PORT = 14680
BASE = f"http://127.0.0.1:{PORT}"
NOTHING = "sources: {}\n"
#: Rows are flushed to the lake every five seconds.
FLUSH_SECONDS = 6.0


@contextlib.contextmanager
def running(config: str | None = NOTHING, cpu: int | None = 0, **variables: str) -> Iterator[tuple[psutil.Process, float]]:
    """`vedette up` in a fresh home, on one core where `cpu` names it; the process, and the seconds until it was ready."""
    folder = Path(tempfile.mkdtemp(prefix="vedette-bench-"))
    arguments = [VEDETTE, "up", "--home", str(folder / "home"), "--listen", f"127.0.0.1:{PORT}"]
    if config is not None:
        (folder / "vedette.yaml").write_text(config)
        arguments += ["--config", str(folder / "vedette.yaml")]
    started = time.perf_counter()
    with (folder / "log").open("wb") as log:
        child = subprocess.Popen(arguments, stdout=log, stderr=log, cwd=folder, env={**os.environ, **variables})
    process = psutil.Process(child.pid)
    process.cpu_affinity(list(range(psutil.cpu_count())) if cpu is None else [cpu])
    try:
        while not is_ready():
            if child.poll() is not None or time.perf_counter() - started > 180:
                raise SystemExit((folder / "log").read_text())
            time.sleep(0.02)
        yield process, time.perf_counter() - started
    finally:
        child.terminate()
        child.wait(180)
        shutil.rmtree(folder)


def is_ready() -> bool:
    """Whether it answers that it is."""
    try:
        return httpx.get(f"{BASE}/readyz", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def post(client: httpx.Client, path: str, body: bytes, headers: Mapping[str, str]) -> None:
    """Send until it is taken."""
    while True:
        answer = client.post(path, content=body, headers=headers)
        if answer.status_code < 300:
            return
        if answer.status_code not in {429, 503}:
            raise SystemExit(f"{answer.status_code}: {answer.text}")
        time.sleep(float(answer.headers.get("retry-after", "1")))


def settle(client: httpx.Client) -> None:
    """Wait until nothing is left to score, and all of it is in the lake."""
    while client.get("/api/status").json()["lag"] > 0:
        time.sleep(0.2)
    time.sleep(FLUSH_SECONDS)


def books(client: httpx.Client) -> dict[str, float]:
    """Samples of `/metrics` that have no more than one label, summed by their name."""
    sums: dict[str, float] = {}
    for row in client.get("/metrics").text.splitlines():
        name, _, value = row.rpartition(" ")
        if not row.startswith("#"):
            sums[name.partition("{")[0]] = sums.get(name.partition("{")[0], 0.0) + float(value)
    return sums


def cpu_of(process: psutil.Process) -> float:
    """Seconds of CPU, of all threads, in the kernel too."""
    times = process.cpu_times()
    return float(times.user + times.system)


def resident(process: psutil.Process) -> float:
    """MiB of memory now."""
    return float(process.memory_info().rss / 2**20)
