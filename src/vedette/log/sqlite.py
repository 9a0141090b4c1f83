"""The log itself: many threads append, one thread writes."""

import os
import sqlite3
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from threading import Condition, Lock, Thread
from typing import Annotated, Final
from zlib import crc32

from pydantic import Field

from vedette.core.errors import Transient
from vedette.core.failpoints import failpoint
from vedette.core.frames import COUNTED
from vedette.core.ports import Clock
from vedette.core.settings import Settings
from vedette.core.telemetry import BOOKS
from vedette.core.types import Delivery, Position, Receipt
from vedette.log.codec import encode
from vedette.log.database import INSERT, TICK, Row, connect, seal
from vedette.log.opening import add_to_books, lock, open_log
from vedette.log.reader import BeatReader

BEFORE_COMMIT: Final = failpoint("log.before_commit")
AFTER_COMMIT: Final = failpoint("log.after_commit")
BEFORE_RELEASE: Final = failpoint("log.before_release")
AFTER_RELEASE: Final = failpoint("log.after_release")

#: A group is written at once when this many bytes wait.
GROUP_BYTES: Final = 8 << 20
#: Pages given back to the file system in one step.
VACUUM_PAGES: Final = 512
_ORDER: Final = ("series", *COUNTED)
_OWN_BOOK: Final = {"dead_letters": "dead_lettered"}

Space = Callable[[Path], tuple[int, int]]


class LogSettings(Settings):
    """Bounds of the log.

    Attributes:
        max_bytes: what it may hold on disk.
        max_age_seconds: how old its oldest entry may be before it takes no more: whoever reads it has stood still that long.
        group_seconds: how long the first delivery of a group waits for company.
        full_at: the share of `max_bytes`, and of the file system, beyond which deliveries are refused.
        queue_bytes: what may wait in memory for the writer.
        keys: idempotency keys remembered; `key_seconds` for how long.
    """

    max_bytes: Annotated[int, Field(ge=1 << 20)] = 2 << 30
    max_age_seconds: Annotated[float, Field(gt=0)] = 7 * 86_400.0
    group_seconds: Annotated[float, Field(ge=0, le=0.02)] = 0.005
    full_at: Annotated[float, Field(gt=0, le=1)] = 0.9
    queue_bytes: Annotated[int, Field(gt=0)] = 128 << 20
    keys: Annotated[int, Field(gt=0)] = 1_000_000
    key_seconds: Annotated[float, Field(gt=0)] = 7 * 86_400.0


def file_system(path: Path) -> tuple[int, int]:
    """Free and total bytes of the file system that holds `path`."""
    stats = os.statvfs(path.parent)
    return stats.f_bavail * stats.f_frsize, stats.f_blocks * stats.f_frsize


@dataclass(slots=True)
class _Append:
    source: str
    rows: list[tuple[str, int, int, bytes]]  # table, records, crc of the payload, payload
    books: Counter[str] = field(default_factory=Counter)
    key: str | None = None
    position: Position | None = None
    size: int = 0
    future: Future[Receipt] = field(default_factory=Future)

    @property
    def records(self) -> int:
        return sum(row[1] for row in self.rows)


@dataclass(slots=True)
class _Release:
    offset: int
    counts: Mapping[str, Mapping[str, int]]
    future: Future[None] = field(default_factory=Future)


@dataclass(slots=True)
class _Group:
    """What one transaction will change, applied to memory only once it is committed."""

    last: int
    at: int
    rows: list[Row] = field(default_factory=list)
    books: Counter[tuple[str, str]] = field(default_factory=Counter)
    in_log: Counter[str] = field(default_factory=Counter)
    keys: dict[tuple[str, str], int] = field(default_factory=dict)
    positions: dict[tuple[str, str], int] = field(default_factory=dict)
    receipts: list[Receipt] = field(default_factory=list)
    committed: bool = False


class SqliteLog:
    """The journal of one machine (`core.ports.Journal`), and the source of its beats.

    Args:
        path: the database; its folder is made. One process at a time holds it.
        settings: bounds.
        clock: UTC microseconds; where it jumps back, times of entries stand still until it has caught up.
        floor: the highest offset known elsewhere (checkpoint, lake). New ones are above it, whatever became of the file.
        space: free and total bytes of the file system.
        corrupt: is told how many bytes were found damaged.

    Raises:
        Transient: another process holds the log, or the disk cannot be written.
    """

    def __init__(
        self,
        path: Path,
        settings: LogSettings,
        *,
        clock: Clock,
        floor: int = 0,
        space: Space = file_system,
        corrupt: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._path = path
        self._settings = settings
        self._clock = clock
        self._space = space
        self._corrupt = corrupt
        self._lock_file = lock(path)
        try:
            opened = open_log(path, floor, corrupt)
        except Transient:
            os.close(self._lock_file)
            raise
        self._db = opened.db
        self._last, self._last_at = opened.last, opened.last_at
        self._books, self._in_log = opened.books, opened.in_log
        self._look_lock = Lock()
        self._look = connect(path, readonly=True)
        self._state = Condition()  # guards the books, the queue, and what follows
        self._queue: deque[_Append | _Release] = deque()
        self._queued = 0
        self._notes: Counter[tuple[str, str]] = Counter()
        self._bad: dict[int, int] = {}
        self._closing = False
        self._size = self._oldest = 0
        self._measure()
        self._writer = Thread(target=self._run, name="log-writer", daemon=True)
        self._writer.start()

    # --- what writers see -------------------------------------------------------------------------------------------

    def append(self, delivery: Delivery, position: Position | None = None) -> Future[Receipt]:
        """Resolve once the delivery, and the position of its source with it, survive a power cut.

        Its `rejected` and `duplicate` records are booked with it. A key that its source sent before makes it a duplicate,
        which is booked and not kept. The future fails with `Transient` when the log, its queue or the disk is full.

        Raises:
            TypeError: a frame has not the columns of its table.
        """
        rows = []
        for table in sorted(delivery.frames, key=_ORDER.index):
            frame = delivery.frames[table]
            if frame.height:
                payload = encode(table, frame)
                rows.append((table, frame.height if table in COUNTED else 0, crc32(payload), payload))
        books = Counter({"rejected": delivery.rejected, "duplicate": delivery.duplicate})
        size = sum(len(row[3]) for row in rows)
        return self._submit(_Append(delivery.source, rows, books, delivery.key, position, size))

    def tick(self) -> Future[Receipt]:
        """Append an empty entry, which ends a beat; never refused for want of room, since it is what lets the log be emptied."""
        return self._submit(_Append("", [(TICK, 0, 0, b"")]))

    def note(self, source: str, *, rejected: int = 0, shed: int = 0, duplicate: int = 0) -> None:
        """Count records that were received but did not go into the log; durable within about a second."""
        with self._state:
            for book, records in (("rejected", rejected), ("shed", shed), ("duplicate", duplicate)):
                self._notes[source, book] += records
            self._state.notify_all()

    def positions(self, source: str) -> Sequence[Position]:
        """The last durable position of each partition of a pulled source."""
        with self._look_lock:
            rows = self._look.execute("SELECT part, offset FROM positions WHERE source = ? ORDER BY part", (source,)).fetchall()
        return [Position(source, part, offset) for part, offset in rows]

    # --- what the reader's side sees --------------------------------------------------------------------------------

    def reader(self, after: int) -> BeatReader:
        """The beats behind offset `after`, which is 0 or the end of an earlier beat."""
        return BeatReader(self._path, after, wait=self._wait, corrupt=self._damaged)

    def release(self, offset: int, counts: Mapping[str, Mapping[str, int]]) -> None:
        """Delete what is at or before `offset`, and book what became of it, in one transaction; returns once durable.

        `counts` says by source how many records went into which book. What it leaves unsaid is booked as stored (dead letters as
        dead-lettered, damaged rows as shed); what it says beyond the records deleted is not booked. So a release may be repeated.

        Raises:
            Transient: the disk is full or failing; nothing was changed.
        """
        work = _Release(offset, counts)
        with self._state:
            self._refuse_closed()
            self._queue.append(work)
            self._state.notify_all()
        work.future.result()

    def books(self) -> dict[str, dict[str, int]]:
        """By source: received, stored, duplicate, dead_lettered, rejected, shed, and in_log, which the others sum up to."""
        with self._state:
            names = sorted({*self._books, *self._in_log} - {TICK})
            return {
                name: {**{book: self._books.get(name, Counter())[book] for book in BOOKS}, "in_log": self._in_log[name]}
                for name in names
            }

    def lag(self, after: int) -> int:
        """Records behind offset `after`."""
        with self._look_lock:
            (records,) = self._look.execute("SELECT total(records) FROM entries WHERE offset > ?", (after,)).fetchone()
        return int(records)

    @property
    def last(self) -> int:
        """The highest durable offset."""
        with self._state:
            return self._last

    def size_bytes(self) -> int:
        """Bytes in use, those that wait to be moved from the write-ahead file included."""
        with self._state:
            return self._size

    def close(self) -> None:
        """Write what waits, then let go of the file; may be called twice."""
        with self._state:
            if self._closing:
                return
            self._closing = True
            self._state.notify_all()
        self._writer.join()
        with self._look_lock:
            self._look.close()
        self._db.close()
        os.close(self._lock_file)

    # --- admission --------------------------------------------------------------------------------------------------

    def _submit(self, work: _Append) -> Future[Receipt]:
        with self._state:
            reason = self._why_not(work)
            if reason:
                work.future.set_exception(Transient(reason))
                return work.future
            self._queue.append(work)
            self._queued += work.size
            self._state.notify_all()
        return work.future

    def _refuse_closed(self) -> None:
        if self._closing:
            raise Transient(f"the log {self._path} is closed")

    def _why_not(self, work: _Append) -> str:  # noqa: PLR0911 -- one reason, one line
        """Why `work` cannot be taken now, in words; empty where it can."""
        if self._closing:
            return f"the log {self._path} is closed"
        if not work.size:
            return ""
        waiting = self._queued + work.size
        if self._queued and waiting > self._settings.queue_bytes:
            return f"{self._queued} bytes wait to be written to the log; try again"
        room = self._settings.max_bytes
        if self._size + waiting > self._settings.full_at * room:
            return f"the log holds {self._size} of {room} bytes; it is emptied as the lake takes them"
        if self._oldest and self._clock() - self._oldest > self._settings.max_age_seconds * 1e6:
            return f"the log holds entries older than {self._settings.max_age_seconds:g} s; see why the lake does not take them"
        free, total = self._space(self._path)
        # A payload is written twice: to the write-ahead file, then to its place.
        if free - 2 * waiting < (1 - self._settings.full_at) * min(total, room):
            return f"{free} of {total} bytes are free on the disk of {self._path}; make room"
        return ""

    # --- the writer thread ------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            with self._state:
                self._state.wait_for(lambda: self._queue or self._closing, timeout=1.0)
                if self._queue and not self._closing:
                    self._state.wait_for(lambda: self._closing or self._queued >= GROUP_BYTES, timeout=self._settings.group_seconds)
                works, notes = self._take(), self._notes
                self._notes = Counter()
                done = self._closing and not works
            if works and isinstance(works[0], _Release):
                self._restore(notes)
                self._let_go(works[0])
            elif works or notes:
                self._write([work for work in works if isinstance(work, _Append)], notes)
            else:
                self._tidy()
            if done:
                return

    def _take(self) -> list[_Append | _Release]:
        """One release, or the deliveries in front of the next one up to a group's bytes."""
        works: list[_Append | _Release] = []
        size = 0
        while self._queue and size < GROUP_BYTES:
            if isinstance(self._queue[0], _Release) and works:
                break
            work = self._queue.popleft()
            works.append(work)
            if isinstance(work, _Release):
                break
            size += work.size
        return works

    def _restore(self, notes: Counter[tuple[str, str]]) -> None:
        with self._state:
            self._notes.update(notes)

    def _write(self, works: list[_Append], notes: Counter[tuple[str, str]]) -> None:
        group = _Group(self._last, max(self._last_at, self._clock()))
        try:
            self._db.execute("BEGIN IMMEDIATE")
            for work in works:
                self._add(group, work)
            for (source, book), records in notes.items():
                group.books[source, book] += records
                group.books[source, "received"] += records
            self._store(group)
            BEFORE_COMMIT()
            self._db.execute("COMMIT")
            group.committed = True
            self._committed(group)
            AFTER_COMMIT()
        except (sqlite3.Error, OSError) as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            if not group.committed:
                self._restore(notes)
            self._fail(works, error)
        else:
            for work, receipt in zip(works, group.receipts, strict=True):
                work.future.set_result(receipt)
        with self._state:
            self._queued -= sum(work.size for work in works)
        self._measure()

    def _add(self, group: _Group, work: _Append) -> None:
        records = work.records
        group.books[work.source, "received"] += records + work.books.total()
        for book, count in work.books.items():
            group.books[work.source, book] += count
        if work.position is not None:
            group.positions[work.position.source, work.position.partition] = work.position.offset
        if work.key is not None:
            seen = group.keys.get((work.source, work.key)) or self._seen(work.source, work.key)
            if seen:
                group.books[work.source, "duplicate"] += records
                group.receipts.append(Receipt(seen, duplicate=True))
                return
        for table, count, payload_crc, payload in work.rows:
            group.last += 1
            crc = seal(group.last, work.source, table, group.at, count, work.key, payload_crc)
            group.rows.append((group.last, work.source, table, group.at, count, work.key, crc, payload))
        group.in_log[work.source] += records
        if work.key is not None:
            group.keys[work.source, work.key] = max(group.last, 1)
        group.receipts.append(Receipt(group.last))

    def _seen(self, source: str, key: str) -> int:
        row = self._db.execute("SELECT offset FROM keys WHERE source = ? AND key = ?", (source, key)).fetchone()
        return int(row[0]) if row else 0

    def _store(self, group: _Group) -> None:
        db = self._db
        db.executemany(INSERT, group.rows)
        db.executemany("INSERT OR REPLACE INTO keys VALUES (?,?,?,?)", [(*key, at, group.at) for key, at in group.keys.items()])
        db.executemany("INSERT OR REPLACE INTO positions VALUES (?,?,?)", [(*part, at) for part, at in group.positions.items()])
        add_to_books(db, group.books)
        db.execute("INSERT OR REPLACE INTO meta VALUES ('last_at', ?)", (group.at,))
        db.execute("INSERT OR REPLACE INTO meta VALUES ('high', ?)", (group.last,))

    def _committed(self, group: _Group) -> None:
        with self._state:
            self._last, self._last_at = group.last, group.at
            self._book(group.books)
            self._in_log.update(group.in_log)
            self._state.notify_all()

    def _book(self, added: Mapping[tuple[str, str], int]) -> None:
        for (source, book), records in added.items():
            if records:
                self._books.setdefault(source, Counter())[book] += records

    def _fail(self, works: Sequence[_Append | _Release], error: Exception) -> None:
        for work in works:
            work.future.set_exception(Transient(f"the log {self._path} could not be written: {error}"))

    def _let_go(self, work: _Release) -> None:
        try:
            BEFORE_RELEASE()
            self._db.execute("BEGIN IMMEDIATE")
            gone, books = self._settle(work)
            self._db.execute("DELETE FROM entries WHERE offset <= ?", (work.offset,))
            add_to_books(self._db, books)
            self._db.execute("COMMIT")
            with self._state:
                self._book(books)
                self._in_log.subtract(gone)
                self._bad = {offset: records for offset, records in self._bad.items() if offset > work.offset}
            AFTER_RELEASE()
        except (sqlite3.Error, OSError) as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            self._fail([work], error)
        else:
            self._measure()
            work.future.set_result(None)

    def _settle(self, work: _Release) -> tuple[Counter[str], Counter[tuple[str, str]]]:
        """Records deleted by source, and what is added to which book for them."""
        gone: Counter[str] = Counter()
        own: Counter[tuple[str, str]] = Counter()
        with self._state:
            bad = {offset for offset in self._bad if offset <= work.offset}
        rows = self._db.execute(
            "SELECT offset, source, tbl, records FROM entries WHERE offset <= ? AND records > 0", (work.offset,)
        )
        for offset, source, table, records in rows:
            gone[source] += records
            own[source, "shed" if offset in bad else _OWN_BOOK.get(table, "stored")] += records
        books: Counter[tuple[str, str]] = Counter()
        for source, records in gone.items():
            said = work.counts.get(source, {})
            left = records
            for book in BOOKS[1:]:
                books[source, book] = min(said.get(book, 0), left)
                left -= books[source, book]
            for book in ("shed", "dead_lettered"):
                rest = min(max(own[source, book] - books[source, book], 0), left)
                books[source, book] += rest
                left -= rest
            books[source, "stored"] += left
        return gone, books

    def _tidy(self) -> None:
        """Forget old keys and give space back, a bounded step at a time, while nothing waits."""
        oldest = self._last_at - int(self._settings.key_seconds * 1e6)
        try:
            (known,) = self._db.execute("SELECT count(*) FROM keys").fetchone()
            surplus = max(0, known - self._settings.keys)
            for (until,) in self._db.execute("SELECT at FROM keys ORDER BY at LIMIT 1 OFFSET ?", (surplus,)).fetchall():
                self._db.execute("DELETE FROM keys WHERE at < ?", (max(oldest, until) if surplus else oldest,))
            self._db.execute(f"PRAGMA incremental_vacuum({VACUUM_PAGES})").fetchall()
        except sqlite3.Error:
            return
        self._measure()

    def _measure(self) -> None:
        """What the log holds, asked of the database between two groups."""
        (pages,), (free,), (page,) = (
            self._db.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "freelist_count", "page_size")
        )
        row = self._db.execute("SELECT appended_at FROM entries ORDER BY offset LIMIT 1").fetchone()
        with self._state:
            self._size = (pages - free) * page
            self._oldest = row[0] if row else 0

    # --- what readers ask -------------------------------------------------------------------------------------------

    def _wait(self, offset: int, seconds: float) -> bool:
        with self._state:
            return self._state.wait_for(lambda: self._last > offset or self._closing, timeout=seconds) and self._last > offset

    def _damaged(self, offset: int, size: int) -> None:
        with self._state:
            known = offset in self._bad
            self._bad[offset] = size
        if not known:
            self._corrupt(max(size, 1))
