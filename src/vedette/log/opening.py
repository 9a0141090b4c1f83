"""Opening the log: lock it, check it, salvage it where it is damaged, and read its books."""

import fcntl
import os
import sqlite3
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from vedette.core.errors import Transient
from vedette.core.telemetry import BOOKS
from vedette.log.database import ROW, SCHEMA, connect, intact
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
Books = dict[str, Counter[str]]


@dataclass(slots=True)
class Opened:
    """A connection, and what the log held when it was opened. `books` lack `in_log`, which is beside them."""

    db: sqlite3.Connection
    last: int = 0
    last_at: int = 0
    books: Books = field(default_factory=dict)
    in_log: Counter[str] = field(default_factory=Counter)


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


def open_log(path: Path, floor: int, corrupt: Callable[[int], None]) -> Opened:
    """Open the log at `path`, salvaged where need be; offsets go on above `floor` and all that were ever given.

    Raises:
        Transient: the file cannot be opened now, for a reason outside of it.
    """
    finish(path)
    try:
        opened = _load(path)
    except (sqlite3.Error, OverflowError) as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _ELSEWHERE:
            raise Transient(f"the log {path} cannot be opened: {error}") from error
        corrupt(salvage(path).corrupt_bytes)
        opened = _load(path)
    opened.last = max(opened.last, floor)
    return opened


def _load(path: Path) -> Opened:
    db = connect(path)
    try:
        db.executescript(SCHEMA)
        _check(db)
        opened = Opened(db)
        meta = {name: value for name, value in db.execute("SELECT name, value FROM meta") if isinstance(value, int)}
        (seq,) = db.execute("SELECT max(seq) FROM sqlite_sequence WHERE name = 'entries'").fetchone()
        highest, newest = db.execute("SELECT max(offset), max(appended_at) FROM entries").fetchone()
        opened.last = max(seq or 0, highest or 0, meta.get("high", 0))
        opened.last_at = max(newest or 0, meta.get("last_at", 0))
        opened.in_log.update(dict(db.execute("SELECT source, sum(records) FROM entries WHERE tbl <> '' GROUP BY source")))
        opened.books = _books(db)
        _balance(db, opened)
    except (sqlite3.Error, OverflowError):
        db.close()
        raise
    return opened


def _check(db: sqlite3.Connection) -> None:
    """Raises sqlite3.DatabaseError where the file is damaged; for a large one only what is cheap is checked."""
    (pages,), (size,) = db.execute("PRAGMA page_count").fetchone(), db.execute("PRAGMA page_size").fetchone()
    if pages * size > CHECKED_BYTES:
        return
    (answer,) = db.execute("PRAGMA integrity_check(1)").fetchone()
    if answer != "ok":
        raise sqlite3.DatabaseError(answer)
    for row in db.execute(f"SELECT {ROW} FROM entries ORDER BY offset"):  # noqa: S608 -- names of ours
        if not intact(row):
            message = f"entry {row[0]} is not what was written"
            raise sqlite3.DatabaseError(message)


def _books(db: sqlite3.Connection) -> Books:
    books: Books = {}
    for source, book, records in db.execute("SELECT source, book, records FROM books"):
        if isinstance(records, int) and records >= 0 and book in BOOKS:
            books.setdefault(source, Counter())[book] = records
    return books


def _balance(db: sqlite3.Connection, opened: Opened) -> None:
    """Make the books true again where a salvage lost rows (shed) or the books themselves."""
    db.execute("BEGIN IMMEDIATE")
    for source in {*opened.books, *opened.in_log}:
        book = opened.books.setdefault(source, Counter())
        gap = book["received"] - sum(book[name] for name in BOOKS[1:]) - opened.in_log[source]
        if gap:
            name, records = ("shed", gap) if gap > 0 else ("received", -gap)
            book[name] += records
            add_to_books(db, {(source, name): records})
    db.execute("COMMIT")


def add_to_books(db: sqlite3.Connection, added: dict[tuple[str, str], int]) -> None:
    """Add `records` by (source, book), within the transaction that is open."""
    db.executemany(
        "INSERT INTO books VALUES (?,?,?) ON CONFLICT(source, book) DO UPDATE SET records = records + excluded.records",
        [(source, book, records) for (source, book), records in added.items() if records],
    )
