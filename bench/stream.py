"""The whole stream as users run it: what a point and a log line cost from the socket to the lake, and how soon there is a verdict.

Costs are seconds of CPU of the whole process over the records it took, whatever runs beside it on the machine: `vedette up`
is on the first core, its sender on the last. All that falls due meanwhile is in them: ticks, flushes, checkpoints, tidying.

Run: python bench/stream.py [points|logs|latency ...]
"""

import contextlib
import sys
import tempfile
import time
from collections.abc import Callable
from statistics import median

import httpx
import peers
import psutil
from figures import at_least, at_most
from served import BASE, books, cpu_of, post, running, settle
from traffic import REMOTE_WRITE, SAMPLES, Bodies, lines

ROUNDS = 7
SERIES = 20_000
BODIES = 400
LINES = 100_000
PACE = 20_000
SECONDS = 60


def rounds(process: psutil.Process, client: httpx.Client, records: int, ready: Callable[[], Callable[[], None]]) -> list[float]:
    """CPU microseconds a record, round by round; `ready` makes what is sent, and gives back what sends it."""
    found = []
    for _ in range(ROUNDS):
        send = ready()
        before = cpu_of(process)
        send()
        settle(client)
        found.append((cpu_of(process) - before) / records * 1e6)
    return found


def points() -> None:
    """Points by remote write: half gauges, a third counters, the rest buckets of histograms."""
    with running() as (process, _), httpx.Client(base_url=BASE, timeout=60) as client:
        bodies = Bodies(SERIES, time.time() - 86_400)

        def ready() -> Callable[[], None]:
            made = [bodies.one() for _ in range(BODIES)]
            return lambda: [post(client, "/api/v1/write", body, REMOTE_WRITE) for body in made] and None

        ready()()
        settle(client)
        before = books(client)
        costs = rounds(process, client, BODIES * SAMPLES, ready)
        after = books(client)
    sent = ROUNDS * BODIES * SAMPLES
    counts = {name: after[name] - before[name] for name in ("vedette_records_received_total", "vedette_scored_points_total")}
    if counts["vedette_records_received_total"] != sent:
        raise SystemExit(f"of {sent} points {counts} arrived: the figures mean nothing")
    share = counts["vedette_scored_points_total"] / sent
    at_most("point, socket to lake", median(costs), "us CPU", 5.0, f"none reaches it; {share:.2f} verdicts a point")
    print(f"rounds {[round(cost, 2) for cost in costs]}")


def logs() -> None:
    """Log lines by /push: redacted, mined for templates, counted, kept."""
    with running("sources: {lines: {kind: push}}\n") as (process, _), httpx.Client(base_url=BASE, timeout=60) as client:
        sent = 0

        def ready() -> Callable[[], None]:
            nonlocal sent
            body = "\n".join(lines(sent, LINES)).encode()
            sent += LINES
            return lambda: post(client, "/push/lines", body, {"content-type": "text/plain"})

        ready()()
        settle(client)
        costs = rounds(process, client, LINES, ready)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:
        file.write("\n".join(lines(0, LINES)))
        file.flush()
        peer = peers.ask("drain3", file.name)
    said = f"drain3, templates alone: {peer / 1e3:,.0f} k" if peer else ""
    at_least("log lines, socket to lake", 1e3 / median(costs), "k lines/s/core", 60.0, said)
    print(f"rounds {[round(cost, 2) for cost in costs]} us CPU a line")


def latency() -> None:
    """From event to verdict at 20,000 points a second for a minute, and what share of a core that takes."""
    with running(cpu=None) as (process, _), httpx.Client(base_url=BASE, timeout=60) as client:
        bodies = Bodies(SERIES, time.time())
        for _ in range(SERIES // SAMPLES):
            post(client, "/api/v1/write", bodies.one(int(time.time() * 1000)), REMOTE_WRITE)
        settle(client)
        before, began, old = cpu_of(process), time.time(), _delays(client)
        pace = SAMPLES / PACE
        for number in range(SECONDS * PACE // SAMPLES):
            with contextlib.suppress(ValueError):
                time.sleep(began + number * pace - time.time())
            post(client, "/api/v1/write", bodies.one(int(time.time() * 1000)), REMOTE_WRITE)
        share = (cpu_of(process) - before) / (time.time() - began)
        settle(client)
        delays = {bound: count - old[bound] for bound, count in _delays(client).items()}
    at_most("event to verdict at 20 k points/s, 99 %", quantile(0.99, delays), "s", 2.0)
    at_most("the same, median", quantile(0.5, delays), "s", 2.0)
    print(f"{share:.1%} of a core at 20,000 points a second: {share / PACE * 1e6:.2f} us a point")


def _delays(client: httpx.Client) -> dict[float, float]:
    rows = [row for row in client.get("/metrics").text.splitlines() if row.startswith("vedette_event_to_verdict_seconds_bucket")]
    return {float(row.split('le="')[1].split('"')[0]): float(row.split()[-1]) for row in rows}


def quantile(share: float, counts: dict[float, float]) -> float:
    """As `histogram_quantile` of Prometheus has it: in a straight line within its bucket."""
    rank, low, below = share * max(counts.values()), 0.0, 0.0
    for bound, count in counts.items():
        if count >= rank:
            return low + (bound - low) * (rank - below) / (count - below)
        low, below = bound, count
    return float("nan")


BENCHES = {"points": points, "logs": logs, "latency": latency}

if __name__ == "__main__":
    psutil.Process().cpu_affinity([psutil.cpu_count() - 1])
    for name in sys.argv[1:] or BENCHES:
        BENCHES[name]()
