"""The one thread that changes the database: it writes in groups, lets go, tidies, measures, and mends."""

import sqlite3
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from threading import Condition, Lock, Thread
from typing import Final

from vedette.core.errors import Transient
from vedette.core.failpoints import failpoint
from vedette.core.ports import Clock
from vedette.core.types import Receipt
from vedette.log.books import add_to_books, settle
from vedette.log.database import WAL_BYTES, Marks, is_damage, store_marks
from vedette.log.group import Append, Group, Release
from vedette.log.opening import Opened, open_log
from vedette.log.settings import LogSettings
from vedette.log.tidy import erase, forget_keys, give_back, measure, shorten

BEFORE_COMMIT: Final = failpoint("log.before_commit")
AFTER_COMMIT: Final = failpoint("log.after_commit")
BEFORE_RELEASE: Final = failpoint("log.before_release")
AFTER_RELEASE: Final = failpoint("log.after_release")

#: A group is written at once when this many bytes wait.
GROUP_BYTES: Final = 8 << 20
#: Beyond this share of its room the log takes no more of a source that most of it is of: the rest is for the others.
SHARE: Final = 0.75
#: Keys are forgotten after this many rounds, however busy the log is.
KEY_ROUNDS: Final = 64
#: Microseconds beyond which the clock did not go on but was set.
LEAP: Final = 60_000_000
#: How long the thread waits for work before it looks around, in seconds.
IDLE: Final = 1.0

Space = Callable[[Path], tuple[int, int]]


class Writer:
    """Takes what waits, writes it with one fsync, and answers. Its thread ends with `close`, or by a fault of ours.

    Args:
        path: the database; the caller holds its lock.
        settings, clock, floor, space, corrupt: as `SqliteLog`.

    Raises:
        Transient: the disk cannot be written.
    """

    def __init__(
        self, path: Path, settings: LogSettings, *, clock: Clock, floor: int, space: Space, corrupt: Callable[[int], None]
    ) -> None:
        self._path = path
        self._settings = settings
        self._clock = clock
        self._floor = floor
        self._space = space
        self._corrupt = corrupt
        self._wal_bytes = min(WAL_BYTES, settings.max_bytes // 8, space(path.parent)[1] // 16)
        self._lock = Lock()  # guards all that others may ask or hand in
        self._work = Condition(self._lock)  # the thread waits for it
        self._news = Condition(self._lock)  # and readers for this
        self._queue: deque[Append | Release] = deque()
        self._hand: Sequence[Append | Release] = ()
        self._queued = self._rounds = 0
        self._notes: Counter[tuple[str, str]] = Counter()
        self._bad: set[int] = set()
        self._closing = self._mending = False
        self._tidying = True
        self._trouble = ""
        self._marks = Marks()
        self._adopt(open_log(path, floor, corrupt, wal_bytes=self._wal_bytes))
        self._generation = 0
        self._clock_before = clock()
        self._size = measure(self._db, path, self._marks.released)
        self._thread = Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    def _adopt(self, opened: Opened) -> None:
        self._db, self._books = opened.db, opened.books
        self._total, self._keys = opened.total, opened.keys
        self._marks = self._marks.joined(opened.marks)

    # --- what others ask ----------------------------------------------------------------------------------------------

    @property
    def healthy(self) -> bool:
        """Whether the thread runs and could use the database the last time."""
        return self._thread.is_alive() and not self._trouble

    @property
    def marks(self) -> Marks:
        """The durable marks."""
        return self._marks

    @property
    def generation(self) -> int:
        """Grows each time another file takes the place of the database; connections to the former one are of no use."""
        return self._generation

    def table(self) -> dict[str, dict[str, int]]:
        """The books as of the last commit."""
        with self._lock:
            return self._books.table()

    def lag(self, total: int | None) -> int:
        """Records behind the row with the running `total`, or all there are."""
        with self._lock:
            return self._books.in_log.total() if total is None else max(0, self._total - total)

    def size_bytes(self) -> int:
        """Bytes in use on disk, those of the write-ahead file included."""
        return self._size.bytes

    def refusing(self) -> str:
        """Why the next delivery would be refused; empty where it would not."""
        if not self._thread.is_alive():
            return f"the writer of the log {self._path} has ended; its log line says why"
        with self._lock:
            return self._why_not(Append("", [], size=1))

    def submit(self, work: Append) -> Future[Receipt]:
        """Queue a delivery, or refuse it."""
        # A sender that gives up must not cancel what the thread is about to answer.
        work.future.set_running_or_notify_cancel()
        with self._lock:
            reason = self._why_not(work)
            if reason:
                work.future.set_exception(Transient(reason))
                return work.future
            self._queue.append(work)
            self._queued += work.size
            if len(self._queue) == 1 or self._queued >= GROUP_BYTES:
                self._work.notify()
        return work.future

    def release(self, work: Release) -> None:
        """Queue a release.

        Raises:
            Transient: nobody is there to do it.
        """
        with self._lock:
            if self._closing:
                raise Transient(f"the log {self._path} is closed")
            self._queue.append(work)
            self._work.notify()

    def note(self, counted: Mapping[tuple[str, str], int]) -> None:
        """Book records with the next group, or within a second."""
        with self._lock:
            self._notes.update(counted)

    def wait(self, offset: int, seconds: float) -> bool:
        """Wait until there is something behind `offset`, or for `seconds`; whether there is."""
        with self._news:
            self._news.wait_for(lambda: self._marks.high > offset or self._closing, timeout=seconds)
            return self._marks.high > offset

    def damaged(self, offset: int, size: int) -> None:
        """A row of the log is not what was written; it is booked as shed when it is let go."""
        with self._lock:
            known = offset in self._bad
            self._bad.add(offset)
        if not known:
            self._corrupt(max(size, 1))

    def mend(self, generation: int, seconds: float) -> None:
        """The file of `generation` is damaged beyond a row: wait until its good rows are in a new one, or for `seconds`."""
        with self._lock:
            self._mending |= generation == self._generation
            self._work.notify()
            self._news.wait_for(lambda: self._generation != generation or self._closing, timeout=seconds)

    def close(self) -> None:
        """Write what waits, then let go of the file; may be called twice."""
        with self._lock:
            self._closing = True
            self._work.notify()
            self._news.notify_all()
        self._thread.join()
        self._db.close()

    def _why_not(self, work: Append) -> str:  # noqa: PLR0911 -- one reason, one line
        """Why `work` cannot be taken now, in words; empty where it can."""
        if self._closing:
            return f"the log {self._path} is closed"
        if not work.size:
            return ""
        if self._trouble:
            return f"the log {self._path} cannot be used: {self._trouble}"
        waiting = self._queued + work.size
        if self._queued and waiting > self._settings.queue_bytes:
            return f"{self._queued} bytes wait to be written to the log; try again"
        room = self._settings.max_bytes
        if self._size.bytes + waiting > self._settings.full_at * room:
            return f"the log holds {self._size.bytes} of {room} bytes; it is emptied as the lake takes them"
        if self._size.bytes + waiting > SHARE * self._settings.full_at * room and self._is_flooding(work.source):
            return (
                f"the log holds {self._size.bytes} of {room} bytes, most of them of {work.source}; what is left is for the others"
            )
        if self._size.oldest and self._marks.last_at - self._size.oldest > self._settings.max_age_seconds * 1e6:
            return f"the log holds entries older than {self._settings.max_age_seconds:g} s; see why the lake does not take them"
        free, total = self._space(self._path.parent)
        # A payload is written twice: to the write-ahead file, then to its place.
        if free - 2 * waiting < (1 - self._settings.full_at) * min(total, room):
            return f"{free} of {total} bytes are free on the disk of {self._path}; make room"
        return ""

    def _is_flooding(self, source: str) -> bool:
        held, every = self._books.in_log[source], self._books.in_log.total()
        return held < every < 2 * held

    # --- the thread ---------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while self._round():
                pass
        finally:
            # Whatever ended it: nobody shall wait for an answer that nobody gives.
            with self._lock:
                self._closing = True
                left = [*self._hand, *self._queue]
                self._queue.clear()
                self._news.notify_all()
            self._fail(left, "its writer has ended")

    def _round(self) -> bool:
        """One turn of the thread; whether another follows."""
        with self._lock:
            if not self._queue and not self._closing and not self._tidying:
                self._work.wait(IDLE)
            if self._queue and not self._closing:
                self._work.wait_for(lambda: self._closing or self._queued >= GROUP_BYTES, timeout=self._settings.group_seconds)
            works, notes = self._take(), self._notes
            self._notes = Counter()
            done = self._closing and not works
        self._hand = works
        if self._mending:
            self._mend()
        if works and isinstance(works[0], Release):
            self._restore(notes)
            self._let_go(works[0])
        elif works or notes:
            self._write([work for work in works if isinstance(work, Append)], notes)
        self._hand = ()
        if not self._mending:
            self._look_after(idle=not works)
        return not done

    def _take(self) -> list[Append | Release]:
        """One release, or the deliveries in front of the next one up to a group's bytes."""
        works: list[Append | Release] = []
        size = 0
        while self._queue and size < GROUP_BYTES:
            if isinstance(self._queue[0], Release) and works:
                break
            work = self._queue.popleft()
            works.append(work)
            if isinstance(work, Release):
                break
            size += work.size
        return works

    def _restore(self, notes: Counter[tuple[str, str]]) -> None:
        with self._lock:
            self._notes.update(notes)

    def _write(self, works: list[Append], notes: Counter[tuple[str, str]]) -> None:
        group = Group(self._db, self._marks.high, self._now(), self._total)
        committed = False
        try:
            self._db.execute("BEGIN IMMEDIATE")
            for work in works:
                group.add(work)
            group.note(notes)
            group.store(self._marks.released)
            BEFORE_COMMIT()
            self._db.execute("COMMIT")
            committed = True
            self._commit(group)
            AFTER_COMMIT()
        except (sqlite3.Error, OSError) as error:
            if not committed:
                self._restore(notes)
            self._give_up(works, error)
        else:
            for work, receipt in zip(works, group.receipts, strict=True):
                work.future.set_result(receipt)
        with self._lock:
            self._queued -= sum(work.size for work in works)

    def _now(self) -> int:
        """The time of what is written next, never 0 nor earlier than before: behind a clock set back it goes on at half pace."""
        wall = self._clock()
        passed, self._clock_before = min(max(0, wall - self._clock_before), LEAP), wall
        return max(wall, self._marks.last_at + passed // 2, 1)

    def _commit(self, group: Group) -> None:
        with self._lock:
            self._marks = Marks(group.last, group.at, self._marks.released)
            self._total = group.total
            self._keys += len(group.keys)
            self._books.add(group.books)
            self._books.in_log.update(group.in_log)
            self._news.notify_all()

    def _let_go(self, work: Release) -> None:
        marks = self._marks
        offset = min(work.offset, marks.high)
        try:
            if offset > marks.released:
                BEFORE_RELEASE()
                self._db.execute("BEGIN IMMEDIATE")
                heads = self._db.execute(
                    "SELECT offset, source, tbl, records FROM entries WHERE offset > ? AND offset <= ? AND records > 0",
                    (marks.released, offset),
                )
                gone, books = settle(heads, work.counts, self._bad.__contains__)
                add_to_books(self._db, books)
                store_marks(self._db, Marks(marks.high, marks.last_at, offset))
                self._db.execute("COMMIT")
                with self._lock:
                    self._marks = Marks(marks.high, marks.last_at, offset)
                    self._books.add(books)
                    self._books.in_log.subtract(gone)
                    self._bad = {bad for bad in self._bad if bad > offset}
                AFTER_RELEASE()
        except (sqlite3.Error, OSError) as error:
            self._give_up([work], error)
        else:
            self._look_after(idle=False)
            work.future.set_result(None)

    def _give_up(self, works: Sequence[Append | Release], error: Exception) -> None:
        with suppress(sqlite3.Error):
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
        self._mending |= is_damage(error)
        self._fail(works, self._trouble or str(error))

    def _fail(self, works: Sequence[Append | Release], reason: str) -> None:
        for work in works:
            if not work.future.done():
                work.future.set_exception(Transient(f"the log {self._path} could not be written: {reason}"))

    def _look_after(self, *, idle: bool) -> None:
        """Erase, forget, give back and measure, a step of each."""
        self._rounds += 1
        self._tidying = False
        marks, before = self._marks, self._size
        try:
            more = erase(self._db, marks.released)
            if idle or self._rounds % KEY_ROUNDS == 0:
                oldest = marks.last_at - int(self._settings.key_seconds * 1e6)
                self._keys -= forget_keys(self._db, oldest, self._keys - self._settings.keys)
            given = give_back(self._db, before, idle=idle)
            size = measure(self._db, self._path, marks.released)
            if shorten(self._db, size, self._wal_bytes):
                size = measure(self._db, self._path, marks.released)
        except (sqlite3.Error, OSError) as error:
            self._mending |= is_damage(error)
            # A full disk keeps nobody from asking again; whether there is room is asked of the disk.
            self._trouble = "" if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL else str(error)
        else:
            self._tidying = more or (given and size.pages < before.pages)
            self._size, self._trouble = size, ""

    def _mend(self) -> None:
        """Put the good rows of a damaged file into a new one; what was lost is booked as shed."""
        self._db.close()
        try:
            opened = open_log(self._path, self._floor, self._corrupt, wal_bytes=self._wal_bytes, known=self._marks)
        except Transient as error:
            self._trouble = str(error)
            return
        with self._lock:
            self._adopt(opened)
            self._mending = False
            self._trouble = ""
            self._generation += 1
            self._bad = set()
            self._news.notify_all()
