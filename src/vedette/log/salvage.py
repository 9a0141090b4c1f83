"""What to do with a damaged log: keep its good rows, put the rest aside, and go on.

A new file is built beside the bad one and takes its place only once it is whole, so that a kill at any moment leaves either
the bad file to be salvaged again, or the whole new one to be put in place.
"""

import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vedette.log.database import INSERT, ROW, SCHEMA, Row, connect, intact

_SIDES: Final = ("-wal", "-shm", "")


@dataclass(frozen=True, slots=True)
class Salvaged:
    """What came out: rows kept, and bytes put into quarantine that no kept row accounts for (at least 1)."""

    rows: int
    corrupt_bytes: int


def finish(path: Path) -> None:
    """Put a salvaged file in place, where an earlier start was killed before it had done so."""
    building, whole = _beside(path)
    for side in _SIDES:
        Path(f"{building}{side}").unlink(missing_ok=True)
    if whole.exists():
        _replace(path, whole)


def salvage(path: Path) -> Salvaged:
    """Move the good rows of `path` into a new file in its place, and `path` itself into `quarantine/`."""
    building, whole = _beside(path)
    size = sum(_size(Path(f"{path}{side}")) for side in ("", "-wal"))
    target = connect(building)
    target.executescript(SCHEMA)
    target.execute("BEGIN")
    rows = kept = 0
    for row in _good_rows(path):
        rows += target.execute(INSERT.replace("INSERT", "INSERT OR IGNORE"), row).rowcount
        kept += len(row[-1])
    for table, columns in (("keys", 4), ("positions", 3), ("books", 3), ("meta", 2)):
        marks = ",".join("?" * columns)
        target.executemany(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", _rows_of(path, table))  # noqa: S608 -- names of ours
    high = max((seq for (seq,) in _rows_of(path, "sqlite_sequence", "seq") if isinstance(seq, int)), default=0)
    if high < 1 << 62:
        target.execute("INSERT OR IGNORE INTO meta VALUES ('high', ?)", (high,))
    target.execute("COMMIT")
    target.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    target.close()
    building.replace(whole)
    _replace(path, whole)
    return Salvaged(rows, max(1, size - kept))


def _good_rows(path: Path) -> Iterator[Row]:
    """Rows that are intact: forward up to the damage, then backward from the end down to it."""
    last = 0
    for row in _walk(path, "ASC"):
        last = row[0] if isinstance(row[0], int) else last
        if intact(row):
            yield row
    for row in _walk(path, "DESC"):
        if isinstance(row[0], int) and row[0] <= last:
            return
        if intact(row):
            yield row


def _walk(path: Path, order: str) -> Iterator[Row]:
    try:
        db = connect(path, readonly=True)
    except (sqlite3.Error, OSError):
        return
    db.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
    try:
        yield from db.execute(f"SELECT {ROW} FROM entries ORDER BY offset {order}")  # noqa: S608 -- names of ours
    except (sqlite3.Error, OverflowError):
        return
    finally:
        db.close()


def _rows_of(path: Path, table: str, columns: str = "*") -> list[tuple[object, ...]]:
    """All rows of a small table, or none where it cannot be read to its end."""
    try:
        db = connect(path, readonly=True)
    except (sqlite3.Error, OSError):
        return []
    try:
        return db.execute(f"SELECT {columns} FROM {table}").fetchall()  # noqa: S608 -- names of ours
    except (sqlite3.Error, OverflowError):
        return []
    finally:
        db.close()


def _replace(path: Path, whole: Path) -> None:
    quarantine = path.parent / "quarantine"
    quarantine.mkdir(exist_ok=True)
    number = 1 + sum(1 for _ in quarantine.iterdir())
    for side in _SIDES:
        bad = Path(f"{path}{side}")
        if bad.exists():
            bad.replace(quarantine / f"{number:04d}-{path.name}{side}")
    whole.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def _beside(path: Path) -> tuple[Path, Path]:
    return path.with_name(f"{path.name}.building"), path.with_name(f"{path.name}.whole")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
