"""What waits to be written, and what one transaction makes of it."""

import sqlite3
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field

from vedette.core.types import Position, Receipt
from vedette.log.books import add_to_books
from vedette.log.database import INSERT, Marks, Row, seal, store_marks


@dataclass(slots=True)
class Append:
    """A delivery. A row is table, records, checksum of the payload, payload."""

    source: str
    rows: list[tuple[str, int, int, bytes]]
    books: Counter[str] = field(default_factory=Counter)
    key: str | None = None
    position: Position | None = None
    size: int = 0
    future: Future[Receipt] = field(default_factory=Future)


@dataclass(slots=True)
class Release:
    """Rows up to `offset` are safe elsewhere; `counts` says what became of them."""

    offset: int
    counts: Mapping[str, Mapping[str, int]]
    future: Future[None] = field(default_factory=Future)


@dataclass(slots=True)
class Group:
    """The changes of one transaction, applied to memory only once it is committed.

    Attributes:
        db: where keys are looked up, and the changes stored.
        last, at, total: offset, time and running total of the last row.
    """

    db: sqlite3.Connection
    last: int
    at: int
    total: int
    rows: list[Row] = field(default_factory=list)
    books: Counter[tuple[str, str]] = field(default_factory=Counter)
    in_log: Counter[str] = field(default_factory=Counter)
    keys: dict[tuple[str, str], int] = field(default_factory=dict)
    positions: dict[tuple[str, str], int] = field(default_factory=dict)
    receipts: list[Receipt] = field(default_factory=list)

    def add(self, work: Append) -> None:
        """Take a delivery in, or book it as a duplicate."""
        records = sum(row[1] for row in work.rows)
        self.books[work.source, "received"] += records + work.books.total()
        for book, count in work.books.items():
            self.books[work.source, book] += count
        if work.position is not None:
            self.positions[work.position.source, work.position.partition] = work.position.offset
        if work.key is not None:
            seen = self._seen(work.source, work.key)
            if seen:
                self.books[work.source, "duplicate"] += records
                self.receipts.append(Receipt(seen, duplicate=True))
                return
        for table, count, payload_crc, payload in work.rows:
            self.last += 1
            self.total += count
            head = (self.last, work.source, table, self.at, count, self.total, work.key)
            self.rows.append((*head, seal(*head, payload_crc), payload))
        self.in_log[work.source] += records
        if work.key is not None:
            self.keys[work.source, work.key] = max(self.last, 1)
        self.receipts.append(Receipt(self.last))

    def note(self, notes: Mapping[tuple[str, str], int]) -> None:
        """Book what came in and went no further."""
        for (source, book), records in notes.items():
            self.books[source, book] += records
            self.books[source, "received"] += records

    def _seen(self, source: str, key: str) -> int:
        """The offset under which a key was appended before, or 0."""
        if (source, key) in self.keys:
            return self.keys[source, key]
        row = self.db.execute("SELECT offset FROM keys WHERE source = ? AND key = ?", (source, key)).fetchone()
        return int(row[0]) if row else 0

    def store(self, released: int) -> None:
        """Write all of it, within the transaction that is open."""
        db = self.db
        db.executemany(INSERT, self.rows)
        db.executemany("INSERT OR REPLACE INTO keys VALUES (?,?,?,?)", [(*key, last, self.at) for key, last in self.keys.items()])
        db.executemany("INSERT OR REPLACE INTO positions VALUES (?,?,?)", [(*part, at) for part, at in self.positions.items()])
        add_to_books(db, self.books)
        store_marks(db, Marks(self.last, self.at, released))
