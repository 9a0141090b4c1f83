"""The log as its users see it: many threads append, readers read, one thread writes."""

import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path
from typing import Any, Final
from zlib import crc32

from vedette.core.errors import Transient
from vedette.core.frames import COUNTED
from vedette.core.ports import Clock
from vedette.core.types import Delivery, Position, Receipt
from vedette.log.codec import encode
from vedette.log.database import TICK, connect
from vedette.log.group import Append, Release
from vedette.log.opening import lock
from vedette.log.reader import BeatReader
from vedette.log.settings import LogSettings
from vedette.log.writer import Space, Writer

_ORDER: Final = ("series", *COUNTED)


def file_system(folder: Path) -> tuple[int, int]:
    """Free and total bytes of the file system that holds `folder`."""
    stats = os.statvfs(folder)
    return stats.f_bavail * stats.f_frsize, stats.f_blocks * stats.f_frsize


class SqliteLog:
    """The journal of one machine (`core.ports.Journal`), and the source of its beats.

    Args:
        path: the database; its folder is made. One process at a time holds it.
        settings: bounds.
        clock: UTC microseconds; where it jumps back, times of entries go on at half pace until it has caught up.
        floor: the highest offset known elsewhere (checkpoint, lake). New ones are above it, whatever became of the file.
        space: free and total bytes of the file system that holds a folder.
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
        self._lock_file = lock(path)
        try:
            self._writer = Writer(path, settings, clock=clock, floor=floor, space=space, corrupt=corrupt)
        except Transient:
            os.close(self._lock_file)
            raise
        self._open = True

    # --- what writers see -------------------------------------------------------------------------------------------

    def append(self, delivery: Delivery, position: Position | None = None) -> Future[Receipt]:
        """Resolve once the delivery, and the position of its source with it, survive a power cut.

        Its `rejected` and `duplicate` records are booked with it. A key that its source sent before makes it a duplicate,
        which is booked and not kept. Without rows it leaves no entry: only its position and its books are kept.
        The future fails with `Transient` when the log, its queue or the disk is full; it cannot be cancelled.

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
        return self._writer.submit(Append(delivery.source, rows, books, delivery.key, position, size))

    def tick(self) -> Future[Receipt]:
        """Append an empty entry, which ends a beat; never refused for want of room, since it is what lets the log be emptied."""
        return self._writer.submit(Append("", [(TICK, 0, 0, b"")]))

    def note(self, source: str, *, rejected: int = 0, shed: int = 0, duplicate: int = 0) -> None:
        """Count records that were received but did not go into the log; durable within about a second."""
        self._writer.note({(source, "rejected"): rejected, (source, "shed"): shed, (source, "duplicate"): duplicate})

    def positions(self, source: str) -> Sequence[Position]:
        """The last durable position of each partition of a pulled source.

        Raises:
            Transient: the database cannot be read now.
        """
        rows = self._ask("SELECT part, offset FROM positions WHERE source = ? ORDER BY part", source)
        return [Position(source, part, offset) for part, offset in rows]

    # --- what the reader's side sees --------------------------------------------------------------------------------

    def reader(self, after: int) -> BeatReader:
        """The beats behind offset `after`, which is 0 or the end of an earlier beat."""
        return BeatReader(self._path, after, self._writer)

    def release(self, offset: int, counts: Mapping[str, Mapping[str, int]]) -> None:
        """Let go of what is at or before `offset`, and book what became of it, in one transaction; returns once durable.

        `counts` says by source how many records went into which book. What it leaves unsaid is booked as stored (dead letters as
        dead-lettered, damaged rows as shed); what it says beyond the records let go is not booked. So a release may be repeated.
        The rows themselves are erased soon after, in steps between which senders are served.

        Raises:
            Transient: the disk is full or failing; nothing was changed.
        """
        work = Release(offset, counts)
        self._writer.release(work)
        work.future.result()

    # --- what operators see -----------------------------------------------------------------------------------------

    @property
    def healthy(self) -> bool:
        """Whether deliveries can be written: the writer runs, and could use the database the last time."""
        return self._writer.healthy

    @property
    def refusing(self) -> str:
        """Why a delivery cannot be taken now, in words; empty where it can."""
        return self._writer.refusing()

    @property
    def last(self) -> int:
        """The highest durable offset."""
        return self._writer.marks.high

    def books(self) -> dict[str, dict[str, int]]:
        """Source -> book -> records, `in_log` among them: what is received and has not yet left. From memory."""
        return self._writer.table()

    def lag(self, after: int) -> int:
        """Records behind offset `after`; one look-up, however many there are.

        Raises:
            Transient: the database cannot be read now.
        """
        between = "SELECT total FROM entries WHERE offset > ? AND offset <= ? ORDER BY offset DESC LIMIT 1"
        rows = self._ask(between, self._writer.marks.released, after)
        return self._writer.lag(rows[0][0] if rows else None)

    def size_bytes(self) -> int:
        """Bytes in use on disk, those that wait to be moved from the write-ahead file included."""
        return self._writer.size_bytes()

    def close(self) -> None:
        """Write what waits, then let go of the file; may be called twice."""
        if self._open:
            self._open = False
            self._writer.close()
            os.close(self._lock_file)

    def _ask(self, question: str, *values: object) -> list[Any]:
        try:
            with closing(connect(self._path, readonly=True)) as db:
                return db.execute(question, values).fetchall()
        except sqlite3.Error as error:
            raise Transient(f"the log {self._path} cannot be read: {error}") from error
