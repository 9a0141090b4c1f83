"""The database of the log: its tables, how it is opened, and the checksum that seals a row."""

import sqlite3
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeGuard, cast
from zlib import crc32

#: `payload` stands last, so that counting rows never reads the pages it overflows to. `total` is the number of records
#: appended up to and with the row since the log was last empty, so that a lag is the difference of two of them.
SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS entries(
    offset INTEGER PRIMARY KEY, source TEXT NOT NULL, tbl TEXT NOT NULL, appended_at INTEGER NOT NULL,
    records INTEGER NOT NULL, total INTEGER NOT NULL, key TEXT, crc32 INTEGER NOT NULL, payload BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS keys(
    source TEXT NOT NULL, key TEXT NOT NULL, offset INTEGER NOT NULL, at INTEGER NOT NULL, PRIMARY KEY(source, key)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS keys_at ON keys(at);
CREATE TABLE IF NOT EXISTS positions(
    source TEXT NOT NULL, part TEXT NOT NULL, offset INTEGER NOT NULL, PRIMARY KEY(source, part)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS books(
    source TEXT NOT NULL, book TEXT NOT NULL, records INTEGER NOT NULL, PRIMARY KEY(source, book)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""
ROW: Final = "offset, source, tbl, appended_at, records, total, key, crc32, payload"
INSERT: Final = f"INSERT INTO entries({ROW}) VALUES (?,?,?,?,?,?,?,?,?)"  # noqa: S608 -- a constant of ours
PAGE: Final = 16_384
#: The write-ahead file is moved to its place when it has this many bytes.
WAL_BYTES: Final = 16 << 20
#: How long to wait for a lock that another process holds, in milliseconds.
BUSY_MS: Final = 10_000
#: Table name of a tick.
TICK: Final = ""

Row = tuple[int, str, str, int, int, int, str | None, int, bytes]
_KINDS: Final = tuple((int, str, str, int, int, int, kind, int, bytes) for kind in (str, type(None)))
_SEAL: Final = struct.Struct("<qqqq")
_MARKS: Final = struct.Struct("<qqq")
_DAMAGE: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


def connect(path: Path, *, readonly: bool = False, wal_bytes: int = WAL_BYTES) -> sqlite3.Connection:
    """A connection in WAL mode that fsyncs on every commit; transactions are begun and ended by hand.

    A read-only one makes no file: without a write-ahead file nobody has the log open, and it is read as it lies there.

    Raises:
        sqlite3.DatabaseError: the file is no database, or a damaged one.
    """
    mode = "rwc"
    if readonly:
        mode = "ro" if side(path, "-wal").exists() else "ro&immutable=1"
    db = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False, timeout=BUSY_MS / 1000
    )
    try:
        if not readonly:
            db.execute(f"PRAGMA page_size={PAGE}")
            db.execute("PRAGMA auto_vacuum=INCREMENTAL")
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            db.execute(f"PRAGMA wal_autocheckpoint={max(1, wal_bytes // PAGE)}")
            db.execute(f"PRAGMA journal_size_limit={wal_bytes}")
            # Some builds overwrite what is deleted, which doubles what is written; released rows are in the lake anyway.
            db.execute("PRAGMA secure_delete=OFF")
        db.execute("PRAGMA cell_size_check=ON")
        db.execute("PRAGMA trusted_schema=OFF")
    except sqlite3.Error:
        db.close()
        raise
    return db


@dataclass(frozen=True, slots=True)
class Marks:
    """The highest offset ever given, the latest time, and the highest offset that was let go: rows up to it wait to be erased."""

    high: int = 0
    last_at: int = 0
    released: int = 0

    def joined(self, other: "Marks") -> "Marks":
        """The higher of each."""
        return Marks(max(self.high, other.high), max(self.last_at, other.last_at), max(self.released, other.released))


def load_marks(db: sqlite3.Connection) -> Marks:
    """The durable marks.

    Raises:
        sqlite3.DatabaseError: they are not what was written.
    """
    meta = dict(db.execute("SELECT name, value FROM meta").fetchall())
    values = [meta.get(name, 0) for name in ("high", "last_at", "released")]
    if "seal" not in meta and not any(values):
        return Marks()
    if not all(isinstance(value, int) for value in values) or meta.get("seal") != crc32(_MARKS.pack(*values)):
        raise sqlite3.DatabaseError("the marks of the log are not what was written")
    return Marks(*values)


def store_marks(db: sqlite3.Connection, marks: Marks) -> None:
    """Replace the durable marks, within the transaction that is open."""
    values = {"high": marks.high, "last_at": marks.last_at, "released": marks.released}
    rows = [*values.items(), ("seal", crc32(_MARKS.pack(*values.values())))]
    db.executemany("INSERT OR REPLACE INTO meta VALUES (?,?)", rows)


def side(path: Path, ending: str) -> Path:
    """A file that belongs to the database at `path`: `-wal`, `-shm`, or with no ending the database itself."""
    return path.with_name(f"{path.name}{ending}")


def is_damage(error: Exception) -> bool:
    """Whether `error` says that the file is not what was written, rather than that it cannot be read or written now."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGE


def seal(offset: int, source: str, tbl: str, appended_at: int, records: int, total: int, key: str | None, payload_crc: int) -> int:
    """The checksum of a row: that of its payload, carried on over everything else in the row."""
    words = f"{source}\0{tbl}\0{key or ''}".encode("utf-8", "surrogatepass")
    return crc32(words, crc32(_SEAL.pack(offset, appended_at, records, total), payload_crc))


def intact(row: tuple[object, ...]) -> TypeGuard[Row]:
    """Whether every column of a row is what was written."""
    if tuple(map(type, row)) not in _KINDS:
        return False
    typed = cast("Row", row)
    return typed[7] == seal(*typed[:7], crc32(typed[8]))
