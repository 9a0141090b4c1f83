"""The log on a good day: what goes in comes out once, in order, cut into beats, and the books balance."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import pytest

from vedette.core.errors import Transient
from vedette.core.frames import INBOUND, LOGS, METRICS, SERIES
from vedette.core.telemetry import BOOKS
from vedette.core.types import Beat, Delivery, Position
from vedette.log import LogSettings, SqliteLog

QUICK = LogSettings(group_seconds=0)


def metrics(*values: float) -> pl.DataFrame:
    return pl.DataFrame({"series": [1] * len(values), "at": list(range(len(values))), "value": list(values)}, schema=METRICS)


def push(*values: float, source: str = "push", key: str | None = None) -> Delivery:
    return Delivery(source, {"metrics": metrics(*values)}, key=key)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., SqliteLog]]:
    opened: list[SqliteLog] = []

    def make(settings: LogSettings = QUICK, **options: object) -> SqliteLog:
        options.setdefault("clock", lambda: 1_000_000)
        opened.append(SqliteLog(tmp_path / "log.db", settings, **options))
        return opened[-1]

    yield make
    for log in opened:
        log.close()


def beats(log: SqliteLog, after: int = 0) -> list[Beat]:
    reader = log.reader(after)
    found = []
    while after < log.last and (batch := reader.poll(1)) is not None:
        found.append(batch.items)
        after = batch.items.last
        if after == log.last:
            break
    reader.close()
    return found


def balanced(log: SqliteLog) -> bool:
    return all(book["received"] == sum(book[name] for name in (*BOOKS[1:], "in_log")) for book in log.books().values())


def test_a_delivery_comes_out_as_a_beat_with_its_source(start):
    log = start()
    log.append(push(1.0, 2.0, source="a"))
    log.append(push(3.0, source="b"))
    log.tick().result()
    (beat,) = beats(log)
    assert beat.frames["metrics"]["value"].to_list() == [1.0, 2.0, 3.0]
    assert beat.frames["metrics"]["source"].to_list() == ["a", "a", "b"]
    assert (beat.at, beat.last) == (1_000_000, log.last)


def test_definitions_come_before_the_metrics_of_their_delivery(start):
    log = start()
    series = pl.DataFrame({"series": [1], "name": ["up"], "labels": [{"a": "b"}], "kind": ["gauge"], "unit": [""]}, schema=SERIES)
    log.append(Delivery("a", {"metrics": metrics(1.0), "series": series})).result()
    log.tick().result()
    (beat,) = beats(log)
    assert list(beat.frames) == ["series", "metrics"]
    assert beat.frames["series"].drop("source").equals(series)


def test_every_inbound_table_keeps_its_columns(start):
    log = start()
    logs = pl.DataFrame(
        {"at": [1], "observed_at": [1], "series": [2], "severity": [9], "body": ["x"], "attributes": [{}]}, schema=LOGS
    )
    log.append(Delivery("a", {"logs": logs}))
    log.tick().result()
    (beat,) = beats(log)
    assert dict(beat.frames["logs"].schema) == {**INBOUND["logs"], "source": pl.String}


def test_no_tick_no_beat(start):
    log = start()
    log.append(push(1.0)).result()
    assert log.reader(0).poll(10) is None


def test_a_beat_ends_at_its_number_of_rows_without_a_tick(start):
    log = start()
    many = pl.DataFrame({"series": range(100_000), "at": range(100_000), "value": [0.0] * 100_000}, schema=METRICS)
    for _ in range(3):
        log.append(Delivery("a", {"metrics": many})).result()
    batch = log.reader(0).poll(10)
    assert batch is not None
    assert batch.items.frames["metrics"].height == 200_000


def test_32_threads_share_commits_and_every_row_is_there_once(start):
    log = start(LogSettings())
    with ThreadPoolExecutor(32) as pool:
        receipts = list(pool.map(lambda value: log.append(push(float(value))).result(timeout=20), range(400)))
    log.tick().result()
    (beat,) = beats(log)
    assert sorted(beat.frames["metrics"]["value"].to_list()) == [float(value) for value in range(400)]
    assert len({receipt.offset for receipt in receipts}) == 400
    assert balanced(log)


def test_a_key_seen_before_is_a_duplicate_also_within_one_group_and_after_a_restart(start):
    log = start(LogSettings(group_seconds=0.02))
    first, second = log.append(push(1.0, key="k")), log.append(push(1.0, key="k"))
    assert (first.result().duplicate, second.result().duplicate) == (False, True)
    assert log.append(push(1.0, key="k", source="other")).result().duplicate is False
    log.close()
    log = start()
    assert log.append(push(1.0, key="k")).result().duplicate is True
    assert log.books()["push"] == dict.fromkeys(BOOKS, 0) | {"received": 3, "duplicate": 2, "in_log": 1}


def test_the_position_of_a_pulled_source_is_kept_with_its_rows(start):
    log = start()
    log.append(push(1.0), Position("files", "inode-7", 42)).result()
    log.append(Delivery("files"), Position("files", "inode-8", 1)).result()
    log.close()
    assert start().positions("files") == [Position("files", "inode-7", 42), Position("files", "inode-8", 1)]


def test_time_stands_still_where_the_clock_jumps_back_even_over_a_restart(start):
    log = start(clock=lambda: 9_000_000)
    log.tick().result()
    log.release(log.last, {})
    log.close()
    log = start(clock=lambda: 1_000)
    log.tick().result()
    assert [beat.at for beat in beats(log)] == [9_000_000]


def test_release_books_what_became_of_the_rows_and_may_be_repeated(start):
    log = start()
    log.append(Delivery("push", {"metrics": metrics(1.0, 2.0, 3.0)}, rejected=2)).result()
    log.note("push", shed=1)
    log.tick().result()
    for _ in range(2):
        log.release(log.last, {"push": {"duplicate": 1, "stored": 2}})
    assert log.books()["push"] == {
        "received": 6,
        "stored": 2,
        "duplicate": 1,
        "dead_lettered": 0,
        "rejected": 2,
        "shed": 1,
        "in_log": 0,
    }
    assert log.lag(0) == 0


def test_offsets_go_on_above_the_floor_and_after_everything_was_released(start):
    log = start(floor=100)
    assert log.tick().result().offset == 101
    log.release(101, {})
    log.close()
    assert start().tick().result().offset == 102


def test_a_full_log_refuses_and_takes_again_once_released_while_ticks_still_pass(start):
    log = start(LogSettings(max_bytes=1 << 20, group_seconds=0))
    big = Delivery("a", {"metrics": metrics(*([0.5] * 10_000))})
    accepted = 0
    while (refused := log.append(big).exception()) is None:
        accepted += 1
    assert isinstance(refused, Transient)
    assert 2 <= accepted <= 5
    log.tick().result()
    assert log.books()["a"]["in_log"] == accepted * 10_000
    log.release(log.last, {})
    log.append(big).result()
    assert balanced(log)


def test_a_full_disk_refuses_until_there_is_room(start):
    free = [1 << 10]
    log = start(space=lambda _: (free[0], 32 << 20))
    with pytest.raises(Transient, match="make room"):
        log.append(push(1.0)).result()
    free[0] = 32 << 20
    assert log.append(push(1.0)).result().offset == 1


def test_a_log_is_held_by_one_process_at_a_time_and_says_so(start):
    start()
    with pytest.raises(Transient, match="another process"):
        start()


def test_a_frame_of_the_wrong_columns_is_a_programming_error(start):
    with pytest.raises(TypeError, match="value"):
        start().append(Delivery("a", {"metrics": metrics(1.0).drop("value")}))


def test_after_close_nothing_is_taken(start):
    log = start()
    log.close()
    with pytest.raises(Transient, match="closed"):
        log.append(push(1.0)).result()
