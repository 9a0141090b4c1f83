"""The database of the log: its tables, how it is opened, and the checksum that seals a row."""

import sqlite3
import struct
from pathlib import Path
from typing import Final
from zlib import crc32

#: `payload` stands last, so that counting rows never reads the pages it overflows to.
SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS entries(
    offset INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL, tbl TEXT NOT NULL, appended_at INTEGER NOT NULL,
    records INTEGER NOT NULL, key TEXT, crc32 INTEGER NOT NULL, payload BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS keys(
    source TEXT NOT NULL, key TEXT NOT NULL, offset INTEGER NOT NULL, at INTEGER NOT NULL, PRIMARY KEY(source, key)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS keys_at ON keys(at);
CREATE TABLE IF NOT EXISTS positions(
    source TEXT NOT NULL, part TEXT NOT NULL, offset INTEGER NOT NULL, PRIMARY KEY(source, part)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS books(
    source TEXT NOT NULL, book TEXT NOT NULL, records INTEGER NOT NULL, PRIMARY KEY(source, book)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""
ROW: Final = "offset, source, tbl, appended_at, records, key, crc32, payload"
INSERT: Final = f"INSERT INTO entries({ROW}) VALUES (?,?,?,?,?,?,?,?)"  # noqa: S608 -- a constant of ours
PAGE: Final = 8192
#: Table name of a tick.
TICK: Final = ""

Row = tuple[int, str, str, int, int, str | None, int, bytes]
_KINDS: Final = tuple((int, str, str, int, int, kind, int, bytes) for kind in (str, type(None)))
_SEAL: Final = struct.Struct("<qqq")


def connect(path: Path, *, readonly: bool = False) -> sqlite3.Connection:
    """A connection in WAL mode that fsyncs on every commit; transactions are begun and ended by hand.

    Raises:
        sqlite3.DatabaseError: the file is no database, or a damaged one.
    """
    mode = "ro" if readonly else "rwc"
    db = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False, timeout=10
    )
    try:
        if not readonly:
            db.execute(f"PRAGMA page_size={PAGE}")
            db.execute("PRAGMA auto_vacuum=INCREMENTAL")
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            db.execute("PRAGMA journal_size_limit=67108864")
        db.execute("PRAGMA cell_size_check=ON")
        db.execute("PRAGMA trusted_schema=OFF")
    except sqlite3.Error:
        db.close()
        raise
    return db


def seal(offset: int, source: str, tbl: str, appended_at: int, records: int, key: str | None, payload_crc: int) -> int:
    """The checksum of a row: that of its payload, carried on over everything else in the row."""
    words = f"{source}\0{tbl}\0{key or ''}".encode("utf-8", "surrogatepass")
    return crc32(words, crc32(_SEAL.pack(offset, appended_at, records), payload_crc))


def intact(row: Row) -> bool:
    """Whether every column of a row is what was written."""
    offset, source, tbl, at, records, key, crc, payload = row
    if tuple(map(type, row)) not in _KINDS:
        return False
    return crc == seal(offset, source, tbl, at, records, key, crc32(payload))
