"""The books: how many records of each source came in, what became of them, and how many are still here."""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from vedette.core.errors import Transient
from vedette.core.telemetry import BOOKS
from vedette.log.database import TICK, connect

#: Records by (source, book).
Added = Mapping[tuple[str, str], int]
_OWN_BOOK: Final = {"dead_letters": "dead_lettered"}


@dataclass(slots=True)
class Books:
    """The books in memory, as of the last commit. Whoever shares them holds a lock."""

    counts: dict[str, Counter[str]] = field(default_factory=dict)
    in_log: Counter[str] = field(default_factory=Counter)

    def add(self, added: Added) -> None:
        """Count what a transaction added."""
        for (source, book), records in added.items():
            if records:
                self.counts.setdefault(source, Counter())[book] += records

    def gap(self, source: str) -> int:
        """Records received that no book accounts for."""
        book = self.counts.get(source, Counter())
        return book["received"] - sum(book[name] for name in BOOKS[1:]) - self.in_log[source]

    def table(self) -> dict[str, dict[str, int]]:
        """Source -> book -> records, `in_log` among them; every source with all books."""
        names = sorted({*self.counts, *self.in_log} - {TICK})
        return {
            name: {book: self.counts.get(name, Counter())[book] for book in BOOKS} | {"in_log": self.in_log[name]} for name in names
        }


def read_books(path: Path) -> dict[str, dict[str, int]]:
    """The books of the log at `path` as of its last commit, whether a process holds it or none does; nothing is written or locked.

    There are none where there is no log yet. The file need only be readable.

    Raises:
        Transient: the file cannot be read now, or is damaged; the next start of the log repairs it.
    """
    if not path.exists():
        return {}
    try:
        with closing(connect(path, readonly=True)) as db:
            books = Books(load_counts(db))
    except sqlite3.Error as error:
        raise Transient(f"the books in {path} cannot be read: {error}") from error
    books.in_log.update({source: books.gap(source) for source in books.counts})
    return books.table()


def load_counts(db: sqlite3.Connection) -> dict[str, Counter[str]]:
    """The durable counts by source; what makes no sense is left out."""
    counts: dict[str, Counter[str]] = {}
    for source, book, records in db.execute("SELECT source, book, records FROM books"):
        if isinstance(source, str) and isinstance(records, int) and records >= 0 and book in BOOKS:
            counts.setdefault(source, Counter())[book] = records
    return counts


def add_to_books(db: sqlite3.Connection, added: Added) -> None:
    """Add to the durable books, within the transaction that is open."""
    db.executemany(
        "INSERT INTO books VALUES (?,?,?) ON CONFLICT(source, book) DO UPDATE SET records = records + excluded.records",
        [(source, book, records) for (source, book), records in added.items() if records],
    )


def settle(
    heads: Iterable[tuple[int, str, str, int]], said: Mapping[str, Mapping[str, int]], bad: Callable[[int], bool]
) -> tuple[Counter[str], Counter[tuple[str, str]]]:
    """Records that leave the log by source, and what is added to which book for them.

    What is said beyond the records that leave is not booked; what is left unsaid is booked by what it is: damaged rows as shed,
    dead letters as dead-lettered, all else as stored.

    Args:
        heads: offset, source, table, records of each row that leaves.
        said: source -> book -> records, from whoever took them.
        bad: whether the row at an offset was damaged.

    >>> gone, books = settle([(1, "a", "metrics", 5), (2, "a", "metrics", 2)], {"a": {"duplicate": 1}}, lambda offset: offset == 2)
    >>> dict(gone), sorted((book, records) for (_, book), records in books.items() if records)
    ({'a': 7}, [('duplicate', 1), ('shed', 2), ('stored', 4)])
    """
    gone: Counter[str] = Counter()
    own: Counter[tuple[str, str]] = Counter()
    for offset, source, table, records in heads:
        gone[source] += records
        own[source, "shed" if bad(offset) else _OWN_BOOK.get(table, "stored")] += records
    books: Counter[tuple[str, str]] = Counter()
    for source, records in gone.items():
        left = records
        for book in BOOKS[1:]:
            books[source, book] = min(said.get(source, {}).get(book, 0), left)
            left -= books[source, book]
        for book in ("shed", "dead_lettered"):
            rest = min(max(own[source, book] - books[source, book], 0), left)
            books[source, book] += rest
            left -= rest
        books[source, "stored"] += left
    return gone, books
