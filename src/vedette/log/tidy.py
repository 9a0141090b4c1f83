"""Housekeeping in steps of bounded size, so that no sender ever waits for more than one of them."""

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vedette.log.database import BUSY_MS, side

#: One step: rows and bytes erased, keys forgotten, pages given back to the file system.
STEP_ROWS: Final = 1024
STEP_BYTES: Final = 8 << 20
STEP_KEYS: Final = 1000
STEP_PAGES: Final = 256
#: Free pages that are kept for what comes next.
SPARE_PAGES: Final = 64


def erase(db: sqlite3.Connection, released: int) -> bool:
    """Delete some of the rows up to `released`, the oldest first; whether any are left."""
    heads = db.execute(
        "SELECT offset, length(payload) FROM entries WHERE offset <= ? ORDER BY offset LIMIT ?", (released, STEP_ROWS)
    ).fetchall()
    until = size = count = 0
    for offset, length in heads:
        if size >= STEP_BYTES:
            break
        until, count, size = offset, count + 1, size + (length or 0)
    if count:
        db.execute("DELETE FROM entries WHERE offset <= ?", (until,))
    return count < len(heads) or count == STEP_ROWS


def forget_keys(db: sqlite3.Connection, before: int, surplus: int) -> int:
    """Forget some of the keys older than `before`, or of the oldest while there is a `surplus`; how many were forgotten."""
    oldest = "SELECT source, key FROM keys WHERE at < ? ORDER BY at LIMIT ?"
    bound, limit = (1 << 62, min(surplus, STEP_KEYS)) if surplus > 0 else (before, STEP_KEYS)
    return db.execute(f"DELETE FROM keys WHERE (source, key) IN ({oldest})", (bound, limit)).rowcount  # noqa: S608 -- a constant of ours


@dataclass(frozen=True, slots=True)
class Size:
    """What the log takes. `oldest` is the time of its oldest entry, or 0; pages are of `page` bytes, `free` ones are reused."""

    pages: int = 0
    free: int = 0
    page: int = 0
    wal: int = 0
    oldest: int = 0

    @property
    def bytes(self) -> int:
        """Bytes in use, those of the write-ahead file included."""
        return (self.pages - self.free) * self.page + self.wal


def measure(db: sqlite3.Connection, path: Path, released: int) -> Size:
    """Ask the database at `path` how large it is."""
    (pages,), (free,), (page,) = (db.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "freelist_count", "page_size"))
    oldest = db.execute("SELECT appended_at FROM entries WHERE offset > ? ORDER BY offset LIMIT 1", (released,)).fetchone()
    wal = side(path, "-wal")
    return Size(pages, free, page, wal.stat().st_size if wal.exists() else 0, oldest[0] if oldest else 0)


def give_back(db: sqlite3.Connection, size: Size, *, idle: bool) -> bool:
    """Give some free pages back to the file system: those beyond a spare while idle, only where they are most under load.

    Returns:
        Whether there were any to give.
    """
    if size.free <= (SPARE_PAGES if idle else max(SPARE_PAGES, size.pages // 2)):
        return False
    # As a script, since a step of this pragma gives back one page and `execute` takes one step only.
    db.executescript(f"PRAGMA incremental_vacuum({STEP_PAGES})")
    return True


def shorten(db: sqlite3.Connection, size: Size, wal_bytes: int) -> bool:
    """Empty a write-ahead file that has grown to twice its measure, unless a reader is still at it; whether it was tried."""
    if size.wal <= 2 * wal_bytes:
        return False
    db.execute("PRAGMA busy_timeout=0")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    db.execute(f"PRAGMA busy_timeout={BUSY_MS}")
    return True
