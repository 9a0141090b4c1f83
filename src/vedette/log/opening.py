"""Opening the log: lock it, check it, salvage it where it is damaged, and read its books."""

import fcntl
import os
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from vedette.core.errors import Transient
from vedette.log.books import Books, add_to_books, load_counts
from vedette.log.database import ROW, SCHEMA, WAL_BYTES, Marks, connect, intact, load_marks
from vedette.log.salvage import finish, salvage

#: Logs up to this size are checked whole before they are used; larger ones row by row as they are read.
CHECKED_BYTES: Final = 256 << 20
#: What says nothing about the file: it is locked, or the disk is full or failing.
_ELSEWHERE: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_READONLY,
    }
)


@dataclass(slots=True)
class Opened:
    """A connection, and what the log held when it was opened.

    Attributes:
        marks: how far offsets, times and releases have come.
        total: `total` of the last row.
        keys: idempotency keys that are remembered.
        books: what was counted.
    """

    db: sqlite3.Connection
    marks: Marks = field(default_factory=Marks)
    total: int = 0
    keys: int = 0
    books: Books = field(default_factory=Books)


def lock(path: Path) -> int:
    """The descriptor of the lock that one process at a time may hold on the log.

    Raises:
        Transient: another process has it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise Transient(f"the log {path} is held by another process; stop it first") from error
    return handle


def open_log(
    path: Path, floor: int, corrupt: Callable[[int], None], *, wal_bytes: int = WAL_BYTES, known: Marks | None = None
) -> Opened:
    """Open the log at `path`, salvaged where need be; offsets go on above `floor` and all that were ever given.

    Args:
        path: the database.
        floor: what is at or below it is safe elsewhere.
        corrupt: is told how many bytes went into quarantine.
        wal_bytes: about how large the write-ahead file may become.
        known: given where the file is known to be damaged: the marks of who had it open.

    Raises:
        Transient: the file cannot be opened now, for a reason outside of it.
    """
    try:
        finish(path)
        opened = _sound(path, wal_bytes) if known is None else None
        if opened is None:
            corrupt(salvage(path, floor, known or Marks()))
            opened = _load(path, wal_bytes)
    except (sqlite3.Error, OSError) as error:
        raise Transient(f"the log {path} cannot be opened: {error}") from error
    opened.marks = opened.marks.joined(Marks(high=floor))
    return opened


def _sound(path: Path, wal_bytes: int) -> Opened | None:
    """What is at `path`, or None where it is damaged."""
    try:
        return _load(path, wal_bytes)
    except OverflowError:
        return None
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _ELSEWHERE:
            raise
        return None


def _load(path: Path, wal_bytes: int) -> Opened:
    db = connect(path, wal_bytes=wal_bytes)
    try:
        db.executescript(SCHEMA)
        opened = Opened(db, books=Books(load_counts(db)))
        marks = load_marks(db)
        rows = db.execute(f"SELECT {ROW} FROM entries ORDER BY offset DESC")  # noqa: S608 -- names of ours
        newest = next(filter(intact, rows), None)
        rows.close()
        if newest:
            marks, opened.total = marks.joined(Marks(newest[0], newest[3])), newest[5]
        opened.marks = marks
        (opened.keys,) = db.execute("SELECT count(*) FROM keys").fetchone()
        small = _is_small(db)
        if small:
            _check(db)
        if small or db.execute("SELECT 1 FROM meta WHERE name = 'salvaged'").fetchone():
            _balance(opened)
        else:
            opened.books.in_log.update({source: max(0, opened.books.gap(source)) for source in opened.books.counts})
    except (sqlite3.Error, OverflowError):
        db.close()
        raise
    return opened


def _is_small(db: sqlite3.Connection) -> bool:
    (pages,), (size,) = db.execute("PRAGMA page_count").fetchone(), db.execute("PRAGMA page_size").fetchone()
    return bool(pages * size <= CHECKED_BYTES)


def _check(db: sqlite3.Connection) -> None:
    """Raises sqlite3.DatabaseError where the file is damaged."""
    (answer,) = db.execute("PRAGMA integrity_check(1)").fetchone()
    if answer != "ok":
        raise sqlite3.DatabaseError(answer)
    for row in db.execute(f"SELECT {ROW} FROM entries ORDER BY offset"):  # noqa: S608 -- names of ours
        if not intact(row):
            message = f"entry {row[0]} is not what was written"
            raise sqlite3.DatabaseError(message)


def _balance(opened: Opened) -> None:
    """Make the books true again where a salvage lost rows (shed) or the books themselves."""
    db, books = opened.db, opened.books
    rows = db.execute(
        "SELECT source, sum(records) FROM entries WHERE offset > ? AND tbl <> '' GROUP BY source", (opened.marks.released,)
    )
    books.in_log.update(dict(rows))
    added = {}
    for source in {*books.counts, *books.in_log}:
        gap = books.gap(source)
        if gap:
            added[source, "shed" if gap > 0 else "received"] = abs(gap)
    db.execute("BEGIN IMMEDIATE")
    add_to_books(db, added)
    db.execute("DELETE FROM meta WHERE name = 'salvaged'")
    db.execute("COMMIT")
    books.add(added)
