"""Killed again and again while records come in: what was acknowledged is in the lake, once, and the books balance (R01, R03)."""

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from vedette.app import home as at_home
from vedette.testing.ledger import Ledger, parse

KILLS = int(os.environ.get("VEDETTE_KILLS", "4"))
VEDETTE = str(Path(sys.executable).with_name("vedette"))
CONFIG = """
sources:
  lines: {kind: push}
flow: {flush_seconds: 1, checkpoint_seconds: 3}
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Vedette:
    """A child process that is killed and started again on the same home."""

    def __init__(self, folder):
        self.folder, self.home = folder, folder / "home"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        (folder / "vedette.yaml").write_text(CONFIG)

    def start(self):
        arguments = [
            VEDETTE,
            "up",
            "--home",
            self.home,
            "--config",
            self.folder / "vedette.yaml",
            "--listen",
            f"127.0.0.1:{self.port}",
        ]
        with (self.folder / "log").open("ab") as log:
            self.child = subprocess.Popen(arguments, stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{self.url}/readyz", timeout=2).status_code == 200:
                    return
            assert self.child.poll() is None, (self.folder / "log").read_text()[-3000:]
            time.sleep(0.05)
        pytest.fail("not ready within 60 s")

    def end(self, how):
        self.child.send_signal(how)
        return self.child.wait(60)


def send(client, ledger, key, count, start):
    """One body; acknowledged only if the answer says so."""
    stamps = ledger.issue(key, count)
    lines = [{"timestamp": (start + timedelta(microseconds=stamp.seq)).isoformat(), "message": stamp.line} for stamp in stamps]
    body = "\n".join(json.dumps(line) for line in lines)
    with contextlib.suppress(httpx.HTTPError):
        if client.post("/push/lines", content=body, headers={"content-type": "application/x-ndjson"}).is_success:
            ledger.acknowledge(stamps)


def drained(url):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if httpx.get(f"{url}/api/status").json()["lag"] == 0:
            return
        time.sleep(0.2)
    pytest.fail("the log was not worked off within 60 s")


@pytest.mark.xdist_group("processes")
def test_acknowledged_records_survive_being_killed(tmp_path):
    seed = int(os.environ.get("VEDETTE_SEED", "7"))
    chance = random.Random(seed)
    ledger, vedette = Ledger("kills"), Vedette(tmp_path)
    start = datetime.now(UTC) - timedelta(hours=1)
    for _ in range(KILLS):
        vedette.start()
        end = time.monotonic() + chance.uniform(0.5, 3.0)
        with httpx.Client(base_url=vedette.url, timeout=5) as client:
            while time.monotonic() < end:
                send(client, ledger, chance.choice("abc"), chance.randint(1, 400), start)
        vedette.end(signal.SIGKILL)
    vedette.start()
    drained(vedette.url)
    assert vedette.end(signal.SIGTERM) == 0
    rows = at_home.scan(vedette.home, "logs").sort("at").collect()
    account = ledger.check(parse(rows["body"], "kills"))
    assert account.balanced, f"seed {seed}: {account}"
    books = at_home.read_status(vedette.home)["sources"]["lines"]
    assert books["received"] == sum(books[book] for book in ("stored", "duplicate", "dead_lettered", "rejected", "shed", "in_log"))
    assert books["stored"] == account.stored
