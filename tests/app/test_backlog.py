"""R01: a restart with a backlog far beyond what memory may hold works it off within bounded memory, once."""

import logging
import os
import random
import signal
import time

import pytest

from vedette.app import home as at_home
from vedette.core.frames import LOGS, from_rows
from vedette.core.types import Delivery
from vedette.log import LogSettings, SqliteLog
from vedette.testing.ledger import Ledger, parse
from vedette.testing.process import Process

LOG = logging.getLogger(__name__)
#: Bytes in the log at the start; `VEDETTE_BACKLOG=5368709120` is ten times the bound.
BACKLOG = int(os.environ.get("VEDETTE_BACKLOG", str(48 << 20)))
BOUND = int(os.environ.get("VEDETTE_RSS_BOUND", str(512 << 20)))


def filled(path, ledger):
    """A log with stamped lines of some hundred bytes of noise, a tick after each 5,000 of them."""
    log = SqliteLog(path, LogSettings(max_bytes=64 << 30), clock=lambda: time.time_ns() // 1000)
    dice, now = random.Random(1), time.time_ns() // 1000
    while log.size_bytes() < BACKLOG:
        stamps = ledger.issue("a", 5000)
        lines = [f"{stamp.line} {dice.randbytes(100).hex()}" for stamp in stamps]
        rows = [(now + stamp.seq, now, 1, 9, line, {}) for stamp, line in zip(stamps, lines, strict=True)]
        log.append(Delivery("lines", {"logs": from_rows(rows, LOGS)})).result()
        log.tick().result()
        ledger.acknowledge(stamps)
    log.close()


@pytest.mark.xdist_group("processes")
def test_a_backlog_is_worked_off_within_bounded_memory(tmp_path):
    ledger = Ledger("backlog")
    filled(tmp_path / "home" / "log" / "log.db", ledger)
    with Process(tmp_path, "sources: {lines: {kind: push}}\nlog: {max_bytes: 68719476736}\n") as vedette:
        ready = vedette.start()
        vedette.drain(3600)
        _, peak = vedette.memory()
        LOG.info("%s MiB of backlog: ready after %.2f s, %s MiB resident at most", BACKLOG >> 20, ready, peak >> 20)
        assert peak < BOUND
        assert vedette.end(signal.SIGTERM) == 0, vedette.said()[-3000:]
    account = ledger.check(
        parse(at_home.scan(vedette.home, "logs").sort("at", maintain_order=True).select("body").collect()["body"], "backlog")
    )
    assert account.balanced, account
    assert account.stored == account.sent
