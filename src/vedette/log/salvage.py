"""What to do with a damaged log: keep its good rows, put the rest aside, and go on.

A new file is built beside the bad one and takes its place only once it is whole, so that a kill at any moment leaves either
the bad file to be salvaged again, or the whole new one to be put in place.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import Final

from vedette.log.database import INSERT, ROW, SCHEMA, Marks, Row, connect, intact, load_marks, side, store_marks
from vedette.log.scan import scan

_SIDES: Final = ("-wal", "-shm", "")


def finish(path: Path) -> None:
    """Put a salvaged file in place, where an earlier start was killed before it had done so."""
    building, whole = _beside(path)
    for ending in _SIDES:
        side(building, ending).unlink(missing_ok=True)
    if whole.exists():
        _replace(path, whole)


def salvage(path: Path, floor: int, known: Marks) -> int:
    """Move the good rows of `path` into a new file in its place, and `path` itself into `quarantine/`.

    What the tree of the table no longer leads to is looked for on the raw pages. Those may still hold rows deleted long
    ago, so of them only what is above `floor` and was not released is taken. `known` are the marks as far as they are known.

    Returns:
        Bytes in quarantine that no kept row accounts for, at least 1.
    """
    building, whole = _beside(path)
    size = sum(_size(side(path, ending)) for ending in ("", "-wal"))
    with closing(connect(building)) as target:
        target.executescript(SCHEMA)
        target.execute("BEGIN")
        for table, columns in (("keys", 4), ("positions", 3), ("books", 3)):
            places = ",".join("?" * columns)
            target.executemany(f"INSERT OR IGNORE INTO {table} VALUES ({places})", _rows_of(path, table))  # noqa: S608 -- names of ours
        marks = known.joined(_marks_of(path))
        store_marks(target, marks)
        bound = max(floor, marks.released)
        rows = chain(_walk(path), (row for row in scan(path) if row[0] > bound))
        target.executemany(INSERT.replace("INSERT", "INSERT OR IGNORE"), rows)
        target.execute("INSERT OR IGNORE INTO keys SELECT source, key, offset, appended_at FROM entries WHERE key IS NOT NULL")
        target.execute("INSERT OR REPLACE INTO meta VALUES ('salvaged', 1)")
        (kept,) = target.execute("SELECT total(length(payload)) FROM entries").fetchone()
        target.execute("COMMIT")
        target.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    building.replace(whole)
    _replace(path, whole)
    return max(1, size - int(kept))


def _walk(path: Path) -> Iterator[Row]:
    """Intact rows in their order, up to the first damage in the tree."""
    try:
        with closing(connect(path, readonly=True)) as db:
            db.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
            yield from filter(intact, db.execute(f"SELECT {ROW} FROM entries ORDER BY offset"))  # noqa: S608 -- names of ours
    except (sqlite3.Error, OSError, OverflowError):
        return


def _rows_of(path: Path, table: str) -> list[tuple[object, ...]]:
    """All rows of a small table, or none where it cannot be read to its end."""
    try:
        with closing(connect(path, readonly=True)) as db:
            return db.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608 -- names of ours
    except (sqlite3.Error, OSError, OverflowError):
        return []


def _marks_of(path: Path) -> Marks:
    try:
        with closing(connect(path, readonly=True)) as db:
            return load_marks(db)
    except (sqlite3.Error, OSError, OverflowError):
        return Marks()


def _replace(path: Path, whole: Path) -> None:
    quarantine = path.parent / "quarantine"
    quarantine.mkdir(exist_ok=True)
    number = 1 + sum(1 for _ in quarantine.iterdir())
    for ending in _SIDES:
        bad = side(path, ending)
        if bad.exists():
            bad.replace(quarantine / f"{number:04d}-{path.name}{ending}")
    whole.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def _beside(path: Path) -> tuple[Path, Path]:
    return side(path, ".building"), side(path, ".whole")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
