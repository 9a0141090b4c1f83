"""R25, R29: one sender floods, or sends ever new series. The others are served, memory is bounded, the books balance."""

import logging
import os
import random
import signal
import struct
import threading
import time
from statistics import median

import cramjam
import httpx
import polars as pl
import pytest

from vedette.app import home as at_home
from vedette.core.telemetry import BOOKS
from vedette.testing.ledger import Ledger, parse
from vedette.testing.process import Process

LOG = logging.getLogger(__name__)
SECONDS = float(os.environ.get("VEDETTE_BURST_SECONDS", "4"))
NEW_SERIES = int(os.environ.get("VEDETTE_NEW_SERIES", "40000"))
LIMIT = int(os.environ.get("VEDETTE_SERIES_LIMIT", "20000"))
#: What the process may take beyond what it takes idle.
BOUND = int(os.environ.get("VEDETTE_RSS_BOUND", str(512 << 20)))


def number(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def part(field, content):
    raw = content.encode() if isinstance(content, str) else content
    return number(field << 3 | 2) + number(len(raw)) + raw


def written(series, at_ms):
    """A remote write body: one sample of each of `series`, which are their labels."""
    body = b""
    for labels in series:
        pairs = b"".join(part(1, part(1, key) + part(2, value)) for key, value in sorted(labels.items()))
        body += part(1, pairs + part(2, b"\x09" + struct.pack("<d", 1.0) + b"\x10" + number(at_ms)))
    return bytes(cramjam.snappy.compress_raw(body))


@pytest.mark.xdist_group("processes")
def test_a_flood_of_one_source_is_shed_while_the_others_are_served(tmp_path):
    config = """
sources: {flood: {kind: push}, calm: {kind: push}}
log: {max_bytes: 8388608}
flow: {flush_seconds: 1, checkpoint_seconds: 2}
"""
    ledger, answers, enough = Ledger("calm"), [], threading.Event()
    dice = random.Random(25)
    numbers = [str(dice.randrange(10**6)) for _ in range(5000)]
    flood = "\n".join(f"cart of customers {' '.join(dice.choices(numbers, k=30))} took long" for _ in range(2000))

    def pour(url):
        with httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
            while not enough.is_set():
                answers.append(client.post("/push/flood", content=flood, headers={"content-type": "text/plain"}).status_code)

    def ask(client):
        stamps = ledger.issue("a", 10)
        began = time.monotonic()
        body = "\n".join(stamp.line for stamp in stamps)
        answer = client.post("/push/calm", content=body, headers={"content-type": "text/plain"})
        if answer.is_success:
            ledger.acknowledge(stamps)
        return answer.status_code, time.monotonic() - began

    with Process(tmp_path, config) as vedette, httpx.Client(base_url=vedette.url, timeout=30, trust_env=False) as client:
        vedette.start()
        client.post("/push/flood", content=flood, headers={"content-type": "text/plain"}).raise_for_status()
        vedette.drain()  # every kernel is loaded by now
        usual = [ask(client) for _ in range(20)]
        idle, _ = vedette.memory()
        senders = [threading.Thread(target=pour, args=(vedette.url,)) for _ in range(4)]
        for each in senders:
            each.start()
        during, end = [], time.monotonic() + SECONDS
        while time.monotonic() < end:
            during.append(ask(client))
            time.sleep(0.02)
        enough.set()
        for each in senders:
            each.join()
        vedette.drain(120)
        _, peak = vedette.memory()
        assert ask(client)[0] == 200
        vedette.drain()
        assert vedette.end(signal.SIGTERM) == 0, vedette.said()[-3000:]
    taken = answers.count(200)
    middle = [median(seconds for _, seconds in each) for each in (usual, during)]
    LOG.info("flood: %s bodies, %s taken", len(answers), taken)
    LOG.info("calm: %s bodies, median %.1f ms before, %.1f ms in the flood", len(during), middle[0] * 1e3, middle[1] * 1e3)
    LOG.info("memory %s MiB idle, %s MiB at most", idle >> 20, peak >> 20)
    assert set(answers) == {200, 503}, "the flood was not more than the log could take"
    assert {status for status, _ in during} == {200}
    assert peak - idle < BOUND
    books = at_home.read_status(vedette.home)["sources"]
    for book in books.values():
        assert book["received"] == sum(book[name] for name in (*BOOKS[1:], "in_log"))
    assert books["flood"]["stored"] == (taken + 1) * 2000
    account = ledger.check(parse(at_home.scan(vedette.home, "logs").sort("at", maintain_order=True).collect()["body"], "calm"))
    assert account.balanced, account


@pytest.mark.xdist_group("processes")
def test_ever_new_series_fill_one_overflow_series_and_known_ones_are_scored_as_before(tmp_path):
    config = f"""
limits: {{series_per_source: {LIMIT}}}
flow: {{flush_seconds: 1, checkpoint_seconds: 5}}
sources: {{}}
"""
    headers = {"content-type": "application/x-protobuf", "content-encoding": "snappy"}
    known = [{"__name__": "known", "n": str(n)} for n in range(100)]
    rounds = []

    with Process(tmp_path, config) as vedette, httpx.Client(base_url=vedette.url, timeout=60, trust_env=False) as client:

        def send(series):
            rounds.append(int(time.time() * 1000))
            body = written(series, rounds[-1])
            while (answer := client.post("/api/v1/write", content=body, headers=headers)).status_code == 503:
                time.sleep(0.2)
            answer.raise_for_status()
            return answer.elapsed.total_seconds()

        vedette.start()
        known_at = []
        for _ in range(3):
            usual = [send(known) for _ in range(5)]
            known_at += rounds[-5:]
        idle, _ = vedette.memory()
        during = []
        for begin in range(0, NEW_SERIES, 1000):
            send([{"__name__": "pod_cpu", "pod": f"pod-{n}", "node": f"node-{n % 97}"} for n in range(begin, begin + 1000)])
            if not begin % 10_000:
                during.append(send(known))
                known_at.append(rounds[-1])
        vedette.drain(600)
        found = vedette.metrics()
        now, peak = vedette.memory()
        LOG.info("memory %s MiB idle, %s MiB after %s new series, %s MiB at most", idle >> 20, now >> 20, NEW_SERIES, peak >> 20)
        LOG.info("a body of known series: %.1f ms before, %.1f ms in between", median(usual) * 1e3, median(during) * 1e3)
        assert found['vedette_cardinality_limited_total{source="remote_write"}'] == NEW_SERIES - (LIMIT - len(known))
        assert peak - idle < BOUND
        assert vedette.end(signal.SIGTERM) == 0, vedette.said()[-3000:]
    names = at_home.scan(vedette.home, "series").select("series", "name", "source").collect()
    of_them = names.filter(pl.col("source") == "remote_write")
    assert of_them.height == LIMIT + 1
    assert of_them.filter(pl.col("name") == "__other__").height == 1
    known_ids = names.filter(pl.col("name") == "known")["series"].to_list()
    scored = at_home.scan(vedette.home, "verdicts").filter(pl.col("series").is_in(known_ids)).select(pl.len()).collect().item()
    assert scored == len(set(known_at)) * len(known)
