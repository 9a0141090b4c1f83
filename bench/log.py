"""CPU a point of the embedded log, and deliveries a second with many senders waiting.

A delivery is one body of 1,000 points. Every figure is the median over several fresh logs; pin the process to one core
(`taskset -c 0`) for the CPU figures. What fsync costs is the disk's, so wall times say more of it than of the log.
"""

import tempfile
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import polars as pl

from vedette.core.frames import AT
from vedette.core.types import Delivery
from vedette.log import LogSettings, SqliteLog

POINTS = 1000
DELIVERIES = 2000
ROUNDS = 5
WAITING = 256


def delivery(seed: int) -> Delivery:
    """A body as a scrape of 1,000 series gives it: ten targets, each with one time for all of its points."""
    dice = np.random.default_rng(seed)
    at = 1_760_000_000_000_000 + np.repeat(dice.integers(0, 15_000_000, 10), POINTS // 10)
    series = dice.integers(-(2**63), 2**63 - 1, POINTS)
    frame = pl.DataFrame([pl.Series("series", series), pl.Series("at", at).cast(AT), pl.Series("value", dice.normal(size=POINTS))])
    return Delivery("bench", {"metrics": frame})


def cost(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of CPU and of wall that `work` takes, all threads of the process together."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.process_time() - cpu, time.perf_counter() - wall


def fill(log: SqliteLog, bodies: list[Delivery]) -> None:
    """Append all with `WAITING` of them under way, as many senders do."""
    waiting = deque(log.append(body) for body in bodies[:WAITING])
    for body in bodies[WAITING:]:
        waiting.popleft().result()
        waiting.append(log.append(body))
    log.tick().result()
    for future in waiting:
        future.result()


def drain(log: SqliteLog) -> None:
    """Read to the end."""
    reader, last = log.reader(0), 0
    while last < log.last:
        batch = reader.poll(1)
        last = batch.position.offset if batch else last
    reader.close()


def measure(bodies: list[Delivery], folder: Path) -> list[float]:
    """CPU microseconds a point of append, read and release, and deliveries a second, on a fresh log."""
    log = SqliteLog(folder / "log.db", LogSettings(), clock=lambda: time.time_ns() // 1000)
    points = len(bodies) * POINTS / 1e6
    append, wall = cost(lambda: fill(log, bodies))
    read, _ = cost(lambda: drain(log))
    release, _ = cost(lambda: (log.release(log.last, {}), log.close()))
    return [append / points, read / points, release / points, len(bodies) / wall]


def main() -> None:
    """Print the figures."""
    bodies = [delivery(seed) for seed in range(DELIVERIES)]
    rounds = []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory(prefix="vedette-bench-") as folder:
            rounds.append(measure(bodies, Path(folder)))
    append, read, release, rate = (median(column) for column in zip(*rounds, strict=True))
    print(f"log, CPU a point: append {append:.3f} + read {read:.3f} = {append + read:.3f} us, release {release:.3f} us")
    print(f"log, {WAITING} deliveries waiting: {rate:,.0f} appends/s, each durable")


if __name__ == "__main__":
    main()
