"""R17: a commit that finds the disk full acknowledges nothing, and the log takes again by itself once there is room."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import polars as pl
import pytest

from vedette.core.errors import Transient
from vedette.core.failpoints import NAMES
from vedette.core.frames import METRICS
from vedette.core.telemetry import BOOKS
from vedette.core.types import Delivery
from vedette.log import LogSettings, SqliteLog


def test_disk_full_at_commit_fails_the_group_and_is_got_over_without_help(tmp_path):
    log = SqliteLog(tmp_path / "log.db", LogSettings(group_seconds=0), clock=lambda: 0)
    (pages,) = log._writer._db.execute("PRAGMA page_count").fetchone()
    log._writer._db.execute(f"PRAGMA max_page_count={pages + 40}").fetchall()
    body = Delivery(
        "a", {"metrics": pl.DataFrame({"series": range(2000), "at": range(2000), "value": [0.5] * 2000}, schema=METRICS)}
    )
    acked = 0
    while (refused := log.append(body).exception()) is None:
        acked += 1
    assert isinstance(refused, Transient)
    log.note("a", rejected=1)
    log.release(log.last, {})
    log.append(body).result()
    (book,) = log.books().values()
    assert book["stored"] == acked * 2000
    assert book["in_log"] == 2000
    assert book["received"] == sum(book[name] for name in (*BOOKS[1:], "in_log"))
    log.close()


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Path]:
    """A file system of 32 MiB."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a file system of 32 MiB; run as root, or in a container with CAP_SYS_ADMIN")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=32m", "vedette-test", str(tmp_path)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a file system of 32 MiB cannot be mounted here: {mounted.stderr.decode().strip()}")
    yield tmp_path
    subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


def numbers(log: SqliteLog, after: int) -> list[int]:
    """The series of all that is in the log behind `after`."""
    end, found, reader = log.tick().result().offset, [], log.reader(after)
    while after < end:
        batch = reader.poll(1)
        assert batch is not None
        after = batch.items.last
        found += batch.items.frames["metrics"]["series"].unique(maintain_order=True).to_list() if batch.items.frames else []
    reader.close()
    return found


def test_a_volume_of_32_mib_is_filled_to_nine_tenths_loses_nothing_and_recovers_alone(volume):
    log = SqliteLog(volume / "log.db", LogSettings(), clock=lambda: time.time_ns() // 1000)
    acked: list[int] = []

    def send(number: int) -> str:
        """Append until told not to; why, in words."""
        rows = 20_000
        frame = pl.DataFrame({"series": [number] * rows, "at": range(rows), "value": [0.5] * rows}, schema=METRICS)
        refused = log.append(Delivery("a", {"metrics": frame})).exception(timeout=30)
        if refused is None:
            acked.append(number)
            return ""
        assert isinstance(refused, Transient)
        return str(refused)

    number = 0
    while not (why := send(number)):
        number += 1
    assert "make room" in why
    stats = os.statvfs(volume)
    assert 0.85 < 1 - stats.f_bavail / stats.f_blocks <= 0.95
    # Somebody else takes what is left: now even a commit finds no room, and says so.
    with (volume / "other").open("wb", buffering=0) as other, suppress(OSError):
        while other.write(bytes(1 << 16)):
            pass
    assert os.statvfs(volume).f_bavail < 16
    assert isinstance(log.tick().exception(timeout=30) or Transient("it fitted"), Transient)
    assert send(number)
    (volume / "other").unlink()
    assert numbers(log, 0) == acked
    log.release(log.last, {})
    space_since = time.monotonic()
    while send(number):
        assert time.monotonic() - space_since < 10, "no room again ten seconds after there was"
        time.sleep(0.05)
    assert log.healthy
    (book,) = log.books().values()
    assert (book["in_log"], book["received"]) == (20_000, 20_000 * len(acked))
    log.close()
    log = SqliteLog(volume / "log.db", LogSettings(), clock=lambda: time.time_ns() // 1000)
    assert numbers(log, 0) == [number]
    log.close()


@pytest.mark.parametrize("name", ["log.before_commit", "log.after_commit", "log.before_release", "log.after_release"])
def test_every_step_has_a_place_to_fail(name):
    assert name in NAMES
