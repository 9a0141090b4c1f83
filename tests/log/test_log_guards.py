"""What must not end the writer does not, and where it ends all the same, nobody waits for it in vain."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

from vedette.core.errors import Transient
from vedette.core.frames import METRICS
from vedette.core.telemetry import BOOKS
from vedette.core.types import Delivery
from vedette.log import LogSettings, SqliteLog, writer
from vedette.log.database import PAGE
from vedette.log.tidy import STEP_ROWS

QUICK = LogSettings(group_seconds=0)
Start = Callable[..., SqliteLog]


def push(number: int, rows: int = 1, key: str | None = None) -> Delivery:
    frame = pl.DataFrame({"series": [number] * rows, "at": range(rows), "value": [0.5] * rows}, schema=METRICS)
    return Delivery("push", {"metrics": frame}, key=key)


def balanced(log: SqliteLog) -> bool:
    return all(book["received"] == sum(book[name] for name in (*BOOKS[1:], "in_log")) for book in log.books().values())


def soon(truth: Callable[[], bool]) -> bool:
    """Whether it becomes true within ten seconds."""
    until = time.monotonic() + 10
    while not truth():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    monkeypatch.setattr(writer, "IDLE", 0.05)
    opened: list[SqliteLog] = []

    def make(settings: LogSettings = QUICK, **options: object) -> SqliteLog:
        options.setdefault("clock", lambda: 1_000_000)
        opened.append(SqliteLog(tmp_path / "log.db", settings, **options))
        return opened[-1]

    yield make
    for log in opened:
        log.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_writer_that_ends_for_an_unforeseen_reason_fails_all_who_wait_and_all_who_come(start):
    broken = []

    def clock() -> int:
        if broken:
            raise ZeroDivisionError
        return 1_000_000

    log = start(LogSettings(group_seconds=0.02), clock=clock)
    assert log.healthy
    broken.append(True)
    waiting = [log.append(push(1)), log.append(push(2)), log.tick()]
    assert all(isinstance(future.exception(timeout=10), Transient) for future in waiting)
    assert soon(lambda: not log.healthy)
    assert isinstance(log.append(push(3)).exception(timeout=10), Transient)
    with pytest.raises(Transient):
        log.release(1, {})


def test_a_sender_that_gives_up_does_not_end_the_writer(start):
    log = start(LogSettings(group_seconds=0.02))
    waiting = [log.append(push(number)) for number in range(3)]
    assert not waiting[1].cancel()
    assert [future.result(timeout=10).offset for future in waiting] == [1, 2, 3]
    assert log.healthy


def test_where_the_log_cannot_be_measured_it_refuses_until_it_can(start, monkeypatch):
    log = start()
    measure, failing = writer.measure, [True]

    def unsure(*args):
        if failing:
            raise sqlite3.OperationalError("disk I/O error")
        return measure(*args)

    monkeypatch.setattr(writer, "measure", unsure)
    assert soon(lambda: not log.healthy)
    with pytest.raises(Transient, match="disk I/O error"):
        log.append(push(1)).result()
    failing.clear()
    assert soon(lambda: log.healthy)
    assert log.append(push(1)).result().offset == 1


def overwrite(path: Path, *numbers: int) -> None:
    """Noise over some pages of the database, behind everybody's back."""
    with path.open("r+b") as file:
        for number in numbers:
            file.seek((number - 1) * PAGE)
            file.write(b"\x5a" * PAGE)


def settled(log: SqliteLog) -> Path:
    """The database, with everything moved there from the write-ahead file."""
    db = sqlite3.connect(log._path)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    return log._path


def numbers(log: SqliteLog) -> list[int]:
    """The series in the next beat, asking a few times as a flow would."""
    reader = log.reader(0)
    for _ in range(10):
        batch = reader.poll(1)
        if batch is not None:
            reader.close()
            return batch.items.frames["metrics"]["series"].unique(maintain_order=True).to_list()
    raise AssertionError("no beat")


def test_a_file_damaged_while_in_use_is_mended_without_a_restart_and_the_loss_is_booked(start, tmp_path):
    corrupt: list[int] = []
    log = start(corrupt=corrupt.append)
    for number in range(200):
        log.append(push(number, rows=50 + number)).result()
    log.tick().result()
    path = settled(log)
    pages = path.stat().st_size // PAGE
    overwrite(path, pages // 2, pages // 2 + 5)
    found = numbers(log)
    assert 100 < len(found) < 200
    assert found == sorted(found)
    assert sum(corrupt) > 0
    assert len(list((tmp_path / "quarantine").glob("*-log.db"))) == 1
    lost = set(range(200)) - set(found)
    assert log.books()["push"]["shed"] == sum(50 + number for number in lost)
    assert balanced(log)
    assert soon(lambda: log.healthy)
    last = log.append(push(999)).result().offset
    assert last > 201
    log.release(last, {})
    assert balanced(log)


def test_the_tree_of_the_table_may_be_lost_whole_and_its_rows_are_found_all_the_same(start):
    log = start()
    for number in range(300):
        log.append(push(number, rows=100)).result()
    log.tick().result()
    path = settled(log)
    db = sqlite3.connect(path)
    (root,) = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'entries'").fetchone()
    db.close()
    overwrite(path, root)
    assert numbers(log) == list(range(300))
    assert log.books()["push"]["in_log"] == 30_000
    assert balanced(log)


def test_the_first_page_may_be_lost_and_what_is_not_yet_safe_elsewhere_is_found(start):
    log = start()
    for number in range(100):
        log.append(push(number, rows=100, key=f"key-{number}")).result()
    log.release(40, {})
    log.tick().result()
    log.close()
    overwrite(log._path, 1)
    log = start(floor=40)
    log.tick().result()
    assert numbers(log) == list(range(40, 100))
    assert log.append(push(50, key="key-50")).result().duplicate
    assert balanced(log)


def test_rows_that_were_released_and_not_yet_erased_are_gone_for_everybody(start, monkeypatch):
    with monkeypatch.context() as lazy:
        lazy.setattr(writer, "erase", lambda *_: False)
        log = start()
        for number in range(5):
            log.append(push(number)).result()
        log.release(3, {})
        assert (log.books()["push"]["in_log"], log.lag(0), log.lag(3), log.lag(4)) == (2, 2, 2, 1)
        log.close()
    log = start()
    assert (log.books()["push"]["in_log"], log.books()["push"]["stored"]) == (2, 3)
    log.tick().result()
    assert numbers(log) == [3, 4]
    assert soon(lambda: log._ask("SELECT min(offset) FROM entries")[0][0] == 4)


def test_what_is_released_is_erased_in_steps_and_the_space_is_given_back_under_load(start):
    log = start()
    rows = [log.append(push(number, rows=100)) for number in range(2 * STEP_ROWS + 10)]
    last = rows[-1].result().offset
    most = log._writer._size.pages
    log.release(last, {})
    for number in range(100):
        log.append(push(number)).result()
    assert soon(lambda: log._ask("SELECT count(*) FROM entries")[0][0] == 100)
    assert soon(lambda: log._writer._size.pages < most // 2)


def test_keys_are_forgotten_oldest_first_down_to_their_number(start):
    now = [1_000_000]
    log = start(LogSettings(group_seconds=0, keys=10), clock=lambda: now[0])
    for number in range(30):
        now[0] += 1
        log.append(push(number, key=f"key-{number}")).result()
    assert soon(lambda: log._ask("SELECT count(*) FROM keys")[0][0] == 10)
    assert log.append(push(29, key="key-29")).result().duplicate
    assert not log.append(push(0, key="key-0")).result().duplicate


def test_keys_are_forgotten_after_their_time(start):
    now = [1_000_000]
    log = start(LogSettings(group_seconds=0, key_seconds=60), clock=lambda: now[0])
    log.append(push(1, key="old")).result()
    now[0] += 61_000_000
    log.append(push(2, key="new")).result()
    assert soon(lambda: log._ask("SELECT key FROM keys") == [("new",)])


def test_the_size_counts_the_write_ahead_file(start):
    log = start()
    log.append(push(1, rows=10_000)).result()
    wal = log._path.with_name("log.db-wal").stat().st_size
    assert wal > 160_000
    assert soon(lambda: log.size_bytes() > wal)


@pytest.mark.parametrize("jump", [3 * 3600, -3 * 3600, 10 * 365 * 86_400, -10 * 365 * 86_400])
def test_wall_clock_jumps_leave_times_in_order_and_never_standing_still(start, jump):
    now = [1_760_000_000_000_000]
    log = start(clock=lambda: now[0])
    reader, times = log.reader(0), []
    for step in range(20):
        now[0] += 1_000_000 + (jump * 1_000_000 if step == 5 else 0) - (jump * 1_000_000 if step == 12 else 0)
        log.append(push(step)).result()
        log.tick().result()
        batch = reader.poll(1)
        assert batch is not None
        times.append(batch.items.at)
        log.release(batch.items.last, {})
    steps = sorted(later - earlier for earlier, later in pairwise(times))
    # Only where the clock is set back time stands, for that one step.
    assert steps[0] == 0
    assert steps[1] >= 500_000
    assert log.books()["push"]["stored"] == 20
    reader.close()
