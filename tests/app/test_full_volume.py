"""R17: the volume of the home fills up. What is acknowledged is durable, nothing dies, and all goes on when there is room."""

import os
import signal
import subprocess
import time
from contextlib import suppress

import httpx
import pytest

from vedette.app import home as at_home
from vedette.testing.ledger import Ledger, parse
from vedette.testing.process import Process

PATIENCE = float(os.environ.get("VEDETTE_PATIENCE", "6"))
CONFIG = """
sources: {lines: {kind: push}}
flow: {flush_seconds: 0.5, checkpoint_seconds: 1}
"""


@pytest.fixture
def volume(tmp_path):
    """A file system of 64 MiB."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a file system of 64 MiB; run as root, or in a container with CAP_SYS_ADMIN")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "vedette-test", tmp_path], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a file system of 64 MiB cannot be mounted here: {mounted.stderr.decode().strip()}")
    yield tmp_path
    subprocess.run(["umount", "--lazy", tmp_path], check=True)


def send(vedette, ledger):
    """One body; the answer."""
    stamps = ledger.issue("a", 100)
    body = "\n".join(stamp.line for stamp in stamps)
    answer = httpx.post(f"{vedette.url}/push/lines", content=body, headers={"content-type": "text/plain"}, trust_env=False)
    if answer.is_success:
        ledger.acknowledge(stamps)
    return answer


def fill(volume, share):
    """Take space until `share` of the volume is used."""
    stats = os.statvfs(volume)
    wanted = int(stats.f_blocks * share) - (stats.f_blocks - stats.f_bavail)
    with (volume / "other").open("ab", buffering=0) as other, suppress(OSError):
        for _ in range(max(wanted, 0)):
            other.write(bytes(stats.f_frsize))


@pytest.mark.xdist_group("processes")
def test_a_volume_that_fills_up_refuses_at_nine_tenths_and_recovers_alone(volume):
    ledger = Ledger("volume")
    with Process(volume, CONFIG) as vedette:
        vedette.start()
        assert send(vedette, ledger).status_code == 200
        fill(volume, 0.93)
        refused = send(vedette, ledger)
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) >= 1
        assert "make room" in refused.json()["error"]
        assert "make room" in vedette.health()["parts"]["log"]["why"]
        fill(volume, 1.0)
        until = time.monotonic() + 4
        while time.monotonic() < until:
            assert send(vedette, ledger).status_code == 503
            time.sleep(0.2)
        assert vedette.child.poll() is None
        (volume / "other").unlink()
        since = time.monotonic()
        while not send(vedette, ledger).is_success:
            assert time.monotonic() - since < 10 * PATIENCE, vedette.health()
            time.sleep(0.1)
        vedette.drain()
        health = vedette.health()
        assert health["ready"], health
        assert {part["state"] for part in health["parts"].values()} == {"ok"}
        assert vedette.end(signal.SIGTERM) == 0, vedette.said()[-3000:]
        account = ledger.check(
            parse(at_home.scan(vedette.home, "logs").sort("at", maintain_order=True).collect()["body"], "volume")
        )
        assert account.balanced, account
        assert account.stored == account.acknowledged >= 200
