"""Beats: cut where the content alone says, the same wherever reading resumes, within bounded memory, and never without a time."""

import io
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vedette.core.frames import INBOUND, LOGS, METRICS
from vedette.core.types import Beat, Delivery
from vedette.log import BEAT_BYTES, BEAT_ROWS, LogSettings, SqliteLog
from vedette.log import reader as reading
from vedette.log.codec import encode
from vedette.log.database import INSERT, SCHEMA, connect, seal

QUICK = LogSettings(group_seconds=0)
MEMORY = Path("/dev/shm")  # noqa: S108 -- a folder of a random name within it
#: A tick, or a delivery: source, number of points, length of a log line.
ENTRY = st.none() | st.tuples(st.sampled_from("abc"), st.integers(0, 6), st.none() | st.integers(0, 60))


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SqliteLog]:
    opened = SqliteLog(tmp_path / "log.db", QUICK, clock=lambda: 1_000_000)
    yield opened
    opened.close()


def delivery(entry: tuple[str, int, int | None]) -> Delivery:
    source, rows, line = entry
    points = pl.DataFrame({"series": [1] * rows, "at": range(rows), "value": [0.5] * rows}, schema=METRICS)
    lines = [] if line is None else [(1, 1, 2, 9, "x" * line, {})]
    columns = dict(zip(LOGS, zip(*lines, strict=True), strict=True)) if lines else {}
    return Delivery(source, {"metrics": points, "logs": pl.DataFrame(columns, schema=LOGS)})


def beats(log: SqliteLog, after: int, end: int) -> list[Beat]:
    reader, found = log.reader(after), []
    while after < end:
        batch = reader.poll(1)
        assert batch is not None
        found.append(batch.items)
        after = batch.items.last
    reader.close()
    return found


def same(one: Beat, other: Beat) -> bool:
    names = list(one.frames)
    frames = names == list(other.frames) and all(one.frames[name].equals(other.frames[name]) for name in names)
    return frames and (one.at, one.last) == (other.at, other.last)


@given(st.lists(ENTRY, max_size=30))
@settings(max_examples=30, deadline=None)
def test_beats_are_the_same_from_the_end_of_any_beat_on_and_after_a_restart(entries):
    now = [0]
    with pytest.MonkeyPatch.context() as small, tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        small.setattr(reading, "BEAT_ROWS", 8)
        small.setattr(reading, "BEAT_BYTES", 3000)
        log = SqliteLog(Path(folder) / "log.db", QUICK, clock=lambda: now[0])
        for entry in [*entries, None]:
            now[0] += 1_000
            (log.append(delivery(entry)) if entry else log.tick()).result()
        end = log.last
        whole = beats(log, 0, end)
        log.close()
        log = SqliteLog(Path(folder) / "log.db", QUICK, clock=lambda: 0)
        for place, beat in enumerate(whole):
            again = beats(log, beat.last, end)
            assert len(again) == len(whole) - place - 1
            assert all(same(one, other) for one, other in zip(again, whole[place + 1 :], strict=True))
        assert all(beat.at > 0 for beat in whole)
        log.close()


def backlog(path: Path, parts: list[tuple[str, int, bytes]]) -> None:
    """Write entries (table, records, payload) and a tick straight into the database: appending so many would take a while."""
    total, rows = 0, []
    for offset, (table, records, payload) in enumerate([*parts, ("", 0, b"")], 1):
        total += records
        head = (offset, "a", table, 1_000_000, records, total, None)
        rows.append((*head, seal(*head, crc32(payload)), payload))
    db = connect(path)
    db.executescript(SCHEMA)
    db.execute("BEGIN")
    db.executemany(INSERT, rows)
    db.execute("COMMIT")
    db.close()


def test_a_backlog_of_100_000_entries_is_read_a_bounded_beat_at_a_time(tmp_path):
    ten = pl.DataFrame({"series": range(10), "at": range(10), "value": [0.5] * 10}, schema=METRICS)
    long = delivery(("a", 0, 3 << 20)).frames["logs"]
    buffer = io.BytesIO(b"\x02")
    buffer.seek(1)
    long.write_ipc_stream(buffer, compression="uncompressed")
    backlog(tmp_path / "log.db", [("metrics", 10, encode("metrics", ten))] * 100_000 + [("logs", 1, buffer.getvalue())] * 30)
    log = SqliteLog(tmp_path / "log.db", QUICK, clock=lambda: 1_000_000)
    assert log.lag(0) == log.books()["a"]["in_log"] == 1_000_030
    found = beats(log, 0, log.last)
    # A beat may be over its bound by no more than the row that brought it there.
    assert max(sum(frame.height for frame in beat.frames.values()) for beat in found) < BEAT_ROWS + 10
    assert max(beat.frames["logs"]["body"].str.len_bytes().sum() for beat in found if "logs" in beat.frames) < BEAT_BYTES + (
        3 << 20
    )
    assert sum(frame.height for beat in found for frame in beat.frames.values()) == 1_000_030
    assert len(found) >= 1_000_000 // BEAT_ROWS + 2
    log.close()


def damage(log: SqliteLog, *offsets: int) -> None:
    """Change what is stored in some rows behind the log's back."""
    db = sqlite3.connect(log._path)
    db.executemany("UPDATE entries SET appended_at = appended_at + 1 WHERE offset = ?", [(offset,) for offset in offsets])
    db.commit()
    db.close()


def test_a_beat_of_which_nothing_is_left_is_joined_to_the_next_and_has_its_time(log):
    log.append(delivery(("a", 3, None))).result()
    first = log.tick().result().offset
    log.append(delivery(("b", 2, None))).result()
    second = log.tick().result().offset
    damage(log, first - 1, first)
    for reader in (log.reader(0), log.reader(0)):
        batch = reader.poll(1) or reader.poll(1)
        assert batch is not None
        assert (batch.items.last, batch.items.at) == (second, 1_000_000)
        assert batch.items.frames["metrics"]["source"].to_list() == ["b", "b"]
        reader.close()
    log.release(second, {})
    assert log.books()["a"]["shed"] == 3
    assert log.books()["b"]["stored"] == 2


def test_where_nothing_at_all_is_left_there_is_no_beat_until_something_comes(log):
    damage(log, log.tick().result().offset)
    reader = log.reader(0)
    assert reader.poll(1) is None
    last = log.tick().result().offset
    batch = reader.poll(1)
    assert batch is not None
    assert (batch.items.last, batch.items.at) == (last, 1_000_000)
    reader.close()


def test_an_entry_without_rows_is_no_tick(log):
    for table in INBOUND:
        log.append(Delivery("files", {table: pl.DataFrame(schema=INBOUND[table])})).result()
    log.append(Delivery("files", rejected=3)).result()
    assert log.last == 0
    assert log.reader(0).poll(1) is None
