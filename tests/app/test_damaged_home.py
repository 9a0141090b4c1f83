"""R18, R20: whatever lies in the home, the start either goes on with what is good, or says in words what to do."""

import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from vedette.app import home as at_home
from vedette.core.errors import ConfigError
from vedette.testing.ledger import Ledger, parse
from vedette.testing.process import Process

CONFIG = """
sources: {lines: {kind: push}}
flow: {flush_seconds: 0.5, checkpoint_seconds: 2}
"""
VEDETTE = Path(sys.executable).with_name("vedette")


def send(vedette, ledger):
    stamps = ledger.issue("a", 50)
    body = "\n".join(stamp.line for stamp in stamps)
    try:
        answer = httpx.post(f"{vedette.url}/push/lines", content=body, headers={"content-type": "text/plain"}, trust_env=False)
    except httpx.HTTPError:
        return
    if answer.is_success:
        ledger.acknowledge(stamps)


@pytest.mark.xdist_group("processes")
def test_a_home_with_a_damaged_checkpoint_a_torn_commit_and_foreign_files_starts_and_lost_nothing(tmp_path):
    ledger = Ledger("damage")
    with Process(tmp_path, CONFIG) as vedette:
        vedette.start({"VEDETTE_FAILPOINTS": "flow.after_store=kill:8"})
        while vedette.child.poll() is None:
            send(vedette, ledger)
        newest = max((vedette.home / "checkpoints").iterdir()) / "state.safetensors"
        raw = bytearray(newest.read_bytes())
        raw[len(raw) // 2] ^= 1
        newest.write_bytes(raw)
        entry = max((vedette.home / "lake" / "logs" / "_delta_log").glob("*.json"))
        entry.write_bytes(entry.read_bytes()[:100])
        for place in ("", "log", "lake", "lake/logs", "checkpoints"):
            (vedette.home / place / "alien").write_bytes(b"not ours")
        (vedette.home / "status.json").unlink()
        (vedette.home / "attempts").write_bytes(b"?")
        vedette.start()
        send(vedette, ledger)
        vedette.drain()
        assert vedette.health()["ready"]
        second = subprocess.run(
            [VEDETTE, "up", "--home", vedette.home, "--listen", "127.0.0.1:0"], capture_output=True, text=True, check=False
        )
        assert second.returncode == 2
        assert "another process runs on it" in second.stderr
        assert vedette.end(signal.SIGTERM) == 0, vedette.said()[-3000:]
    assert list((vedette.home / "checkpoints" / "quarantine").iterdir())
    assert list((vedette.home / "lake" / "logs" / "_torn").iterdir())
    account = ledger.check(parse(at_home.scan(vedette.home, "logs").sort("at", maintain_order=True).collect()["body"], "damage"))
    assert account.balanced, account


def test_a_home_that_cannot_be_written_is_refused_in_words(tmp_path):
    (tmp_path / "file").write_text("a file, no folder")
    answer = subprocess.run(
        [VEDETTE, "up", "--home", tmp_path / "file", "--listen", "127.0.0.1:0"], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 2
    assert f"--home {tmp_path / 'file'}: it cannot be written" in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize("name", ["a home", "50%", "über"])
def test_a_home_whose_tables_could_not_be_read_back_is_refused_before_anything_is_written(tmp_path, name):
    with pytest.raises(ConfigError, match="name another folder"), at_home.held(tmp_path / name):
        pass
    assert not (tmp_path / name).exists()
