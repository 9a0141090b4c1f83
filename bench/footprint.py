"""What `vedette up` takes of a machine: memory with many series, a quiet hour's CPU and memory, and how soon it is there.

Run: python bench/footprint.py [size|idle|start ...]
"""

import subprocess
import sys
import tempfile
import time
from statistics import median

import httpx
import psutil
from figures import at_most
from served import BASE, VEDETTE, cpu_of, post, resident, running, settle
from traffic import REMOTE_WRITE, SAMPLES, Bodies

MANY = 100_000
IDLE_SECONDS = 120


def size() -> None:
    """Memory of the process with 100,000 series, after six points of each; and what a series adds to it."""
    with running() as (process, _), httpx.Client(base_url=BASE, timeout=60) as client:
        few = Bodies(SAMPLES, time.time() - 3600)
        for _ in range(6):
            post(client, "/api/v1/write", few.one(), REMOTE_WRITE)
        settle(client)
        empty = resident(process)
        bodies = Bodies(MANY, time.time() - 3600)
        for _ in range(6 * MANY // SAMPLES):
            post(client, "/api/v1/write", bodies.one(), REMOTE_WRITE)
        settle(client)
        at_most("memory with 100,000 series", resident(process), "MiB", 1024)
        print(f"{empty:.0f} MiB with 1,000 series; {(resident(process) - empty) * 1024 / MANY:.2f} KiB a series with its names")


def idle() -> None:
    """CPU and memory while it watches this host alone, after half a minute."""
    with running(config=None, cpu=None) as (process, _):
        time.sleep(30)
        before, began = cpu_of(process), time.time()
        time.sleep(IDLE_SECONDS)
        share = (cpu_of(process) - before) / (time.time() - began)
        at_most("idle, watching this host: CPU", 100 * share, "% of a core", 3)
        at_most("idle, watching this host: memory", resident(process), "MiB", 350)


def start() -> None:
    """Seconds to help, and to be ready, the first time and later; the CPU in them is what a busy machine does not distort."""
    helps = [seconds_of_help() for _ in range(7)]
    ready = [seconds_to_ready() for _ in range(3)]
    with tempfile.TemporaryDirectory(prefix="vedette-bench-") as cache:
        first, spent = seconds_to_ready(NUMBA_CACHE_DIR=cache)
    at_most("vedette --help", median(helps), "s", 0.3)
    at_most("vedette up, ready", median(seconds for seconds, _ in ready), "s", 5, f"{median(cpu for _, cpu in ready):.1f} s of CPU")
    at_most("vedette up, ready the very first time", first, "s", 20, f"{spent:.1f} s of CPU, on all cores")


def seconds_to_ready(**variables: str) -> tuple[float, float]:
    """Wall and CPU of `vedette up`, and of what it starts, until it is ready."""
    with running(cpu=None, **variables) as (process, seconds):
        times = process.cpu_times()
        return seconds, times.user + times.system + times.children_user + times.children_system


def seconds_of_help() -> float:
    """The wall time of one `vedette --help`."""
    began = time.perf_counter()
    subprocess.run([VEDETTE, "--help"], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


BENCHES = {"size": size, "idle": idle, "start": start}

if __name__ == "__main__":
    psutil.Process().cpu_affinity([psutil.cpu_count() - 1])
    for name in sys.argv[1:] or BENCHES:
        BENCHES[name]()
