"""R01, R03: killed at random and at every named place while records come in; what was acknowledged is in the lake, once."""

import logging
import os
import random
import signal
import threading
import time
from datetime import UTC, datetime, timedelta

import httpx
import msgspec
import pytest

import vedette.app.stream  # noqa: F401 -- declares every failpoint of the running product
from vedette.app import home as at_home
from vedette.core.failpoints import NAMES
from vedette.core.telemetry import BOOKS
from vedette.testing.ledger import Ledger, parse
from vedette.testing.process import Process

LOG = logging.getLogger(__name__)
#: Places of examples, and of trainings, which have a test of their own.
ELSEWHERE = ("doc.", "train.", "registry.")
KILLS = int(os.environ.get("VEDETTE_KILLS", "1"))
RECORDS = int(os.environ.get("VEDETTE_RECORDS", "10000"))
#: Limits of time hold on an idle machine; on a shared one they are this much longer.
PATIENCE = float(os.environ.get("VEDETTE_PATIENCE", "6"))
SEED = int(os.environ.get("VEDETTE_SEED", "7"))
CONFIG = """
sources: {lines: {kind: push}}
flow: {flush_seconds: 0.3, checkpoint_seconds: 1}
lake: {maintain_seconds: 1, compact_files: 2}
"""
START = datetime.now(UTC) - timedelta(hours=1)


class Sender(threading.Thread):
    """Sends stamped lines, some 1,500 a second, until told to stop; what is answered with 2xx is acknowledged."""

    def __init__(self, url, ledger, seed):
        super().__init__()
        self.url, self.ledger, self.dice, self.enough = url, ledger, random.Random(seed), threading.Event()

    def run(self):
        with httpx.Client(base_url=self.url, timeout=5, trust_env=False) as client:
            while not self.enough.wait(0.03):
                stamps = self.ledger.issue(self.dice.choice("abc"), self.dice.randint(1, 100))
                rows = [{"timestamp": START + timedelta(microseconds=stamp.seq), "message": stamp.line} for stamp in stamps]
                body = b"\n".join(map(msgspec.json.encode, rows))
                try:
                    answer = client.post("/push/lines", content=body, headers={"content-type": "application/x-ndjson"})
                except httpx.HTTPError:
                    continue
                if answer.is_success:
                    self.ledger.acknowledge(stamps)


@pytest.mark.xdist_group("processes")
def test_killed_at_random_and_at_every_failpoint_nothing_acknowledged_is_lost_or_doubled(tmp_path):
    dice, ledger = random.Random(SEED), Ledger("kills")
    places = [f"{name}=kill:{dice.randint(1, 2)}" for name in sorted(NAMES) if not name.startswith(ELSEWHERE)]
    places += ["" for _ in range(KILLS)]
    dice.shuffle(places)
    waits = []
    with Process(tmp_path, CONFIG) as vedette:
        for number, place in enumerate(places):
            if place:
                vedette.spawn({"VEDETTE_FAILPOINTS": place})
            else:
                waits.append(vedette.start())
            sender = Sender(vedette.url, ledger, SEED + number)
            sender.start()
            if place:
                try:
                    assert vedette.child.wait(60) == -signal.SIGKILL, f"{place}: {vedette.said()[-3000:]}"
                finally:
                    sender.enough.set()
            else:
                time.sleep(dice.uniform(0.5, 3.0))
                vedette.end(signal.SIGKILL)
                sender.enough.set()
            sender.join()
        waits.append(vedette.start())
        sender = Sender(vedette.url, ledger, SEED)
        sender.start()
        while ledger.acknowledged < RECORDS:
            assert sender.is_alive()
            time.sleep(0.05)
        sender.enough.set()
        sender.join()
        vedette.drain()
        assert vedette.end(signal.SIGTERM) == 0, vedette.said()[-3000:]
    account = ledger.check(parse(at_home.scan(vedette.home, "logs").sort("at", maintain_order=True).collect()["body"], "kills"))
    LOG.info("seed %s: %s kills, ready after %.2f s, %s", SEED, len(places), max(waits), account)
    assert account.balanced, f"seed {SEED}: {account}"
    assert account.acknowledged >= RECORDS
    books = at_home.read_status(vedette.home)["sources"]["lines"]
    assert books["received"] == sum(books[book] for book in (*BOOKS[1:], "in_log"))
    assert books["stored"] == account.stored
    assert max(waits) < 5 * PATIENCE
