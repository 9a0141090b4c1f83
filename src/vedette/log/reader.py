"""From rows to beats: where the log is cut depends on what is in it, and on nothing else."""

import sqlite3
from pathlib import Path
from threading import Lock
from typing import Final

import numpy as np
import polars as pl

from vedette.core.errors import BadRecord, Transient
from vedette.core.frames import INBOUND, empty
from vedette.core.types import Batch, Beat, Position
from vedette.log.codec import decode, decode_all
from vedette.log.database import ROW, TICK, Row, connect, intact, is_damage
from vedette.log.writer import Writer

#: A beat ends with the row that brings it to this many records,
BEAT_ROWS: Final = 131_072
#: or to this many bytes of payload, so that memory is bounded for long log lines too.
BEAT_BYTES: Final = 32 << 20
#: How long a poll waits for something new, in seconds.
WAIT: Final = 1.0

#: Source, payload, offset.
Chunk = tuple[str, bytes, int]


class BeatReader:
    """A `Source[Beat]` over the log at `path`, from behind `after` on; made by `SqliteLog.reader`.

    Args:
        path: the database.
        after: the offset after which to begin; the end of an earlier beat, or 0.
        writer: says when there is something new, and is told of damage: rows that are not what was written are left out,
            and a file whose tree is damaged is mended while it is read.
    """

    def __init__(self, path: Path, after: int, writer: Writer) -> None:
        self._path = path
        self._writer = writer
        self._lock = Lock()
        self._db: sqlite3.Connection | None = None
        self._generation = writer.generation
        self._closed = False
        self._begin(after)

    def _begin(self, after: int) -> None:
        self._after = self._scanned = max(after, self._writer.marks.released)
        self._records = self._bytes = 0

    def seek(self, position: Position) -> None:
        """Resume after `position`."""
        with self._lock:
            self._begin(position.offset)

    def poll(self, limit: int) -> Batch[Beat] | None:  # noqa: ARG002 -- a beat is whole, whatever the limit: its cut must not depend on who reads
        """The next whole beat, or None where there is none within a second. `limit` has no effect on where it is cut.

        Raises:
            Transient: the database cannot be read now.
        """
        if self._closed or not self._writer.wait(self._scanned, WAIT):
            return None
        with self._lock:
            try:
                beat = None if self._closed else self._next()
            except sqlite3.Error as error:
                self._disconnect()
                self._begin(self._after)
                if not is_damage(error):
                    raise Transient(f"the log {self._path} cannot be read: {error}") from error
                self._writer.mend(self._generation, WAIT)
                return None
        return Batch(beat, Position("log", "0", beat.last)) if beat else None

    def _next(self) -> Beat | None:
        if self._generation != self._writer.generation:
            self._disconnect()
            self._generation = self._writer.generation
            self._begin(self._after)
        last = self._cut()
        beat = self._read(last) if last else None
        if beat:
            self._begin(beat.last)
        return beat

    def close(self) -> None:
        """Let go of the database."""
        with self._lock:
            self._closed = True
            self._disconnect()

    def _disconnect(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def _connection(self) -> sqlite3.Connection:
        if self._db is None:
            self._db = connect(self._path, readonly=True)
            self._db.text_factory = _lenient
        return self._db

    def _cut(self) -> int | None:
        """The offset at which the beat that begins after `_after` ends. What was looked at is not looked at again."""
        heads = self._connection().execute(
            "SELECT offset, tbl, records, length(payload) FROM entries WHERE offset > ? ORDER BY offset", (self._scanned,)
        )
        offset: int
        for offset, tbl, records, size in heads:
            self._scanned = offset
            # Nothing is checked yet: in a damaged row a number may be anything.
            self._records += records if isinstance(records, int) else 0
            self._bytes += size or 0
            if tbl == TICK or self._records >= BEAT_ROWS or self._bytes >= BEAT_BYTES:
                heads.close()
                return offset
        return None

    def _read(self, last: int) -> Beat | None:
        """The beat up to `last`; none where nothing in it is intact: then it is joined to the next, whose time it takes."""
        at = 0
        chunks: dict[str, list[Chunk]] = {}
        rows = self._connection().execute(
            f"SELECT {ROW} FROM entries WHERE offset > ? AND offset <= ? ORDER BY offset",  # noqa: S608 -- names of ours
            (self._after, last),
        )
        row: Row
        for row in rows:
            if not intact(row):
                self._writer.damaged(row[0], len(row[-1]) if isinstance(row[-1], bytes) else 0)
                continue
            at = max(at, row[3])
            if row[2] != TICK:
                chunks.setdefault(row[2], []).append((row[1], row[-1], row[0]))
        self._records = self._bytes = 0
        return Beat(at, last, {tbl: self._frame(tbl, parts) for tbl, parts in chunks.items()}) if at else None

    def _frame(self, tbl: str, parts: list[Chunk]) -> pl.DataFrame:
        try:
            return _joined(tbl, parts)
        except BadRecord:
            good = [part for part in parts if self._decodes(tbl, part)]
            return _joined(tbl, good) if good else empty({**INBOUND[tbl], "source": pl.String})

    def _decodes(self, tbl: str, part: Chunk) -> bool:
        _, payload, offset = part
        try:
            decode(tbl, payload)
        except BadRecord:
            self._writer.damaged(offset, len(payload))
            return False
        return True


def _joined(tbl: str, parts: list[Chunk]) -> pl.DataFrame:
    """The rows of all parts, with the source of each beside it."""
    names = list(dict.fromkeys(source for source, _, _ in parts))
    if len(names) == 1:
        frame = decode_all(tbl, [payload for _, payload, _ in parts])
        return frame.with_columns(pl.lit(names[0], pl.String).alias("source"))
    code = {name: place for place, name in enumerate(names)}
    # Runs of one source are decoded together, so that the length of each run is known.
    frames: list[pl.DataFrame] = []
    codes: list[int] = []
    run: list[bytes] = []
    for place, (source, payload, _) in enumerate(parts):
        run.append(payload)
        if place + 1 == len(parts) or parts[place + 1][0] != source:
            frames.append(decode_all(tbl, run))
            codes.append(code[source])
            run = []
    which = np.repeat(np.array(codes, np.uint32), [frame.height for frame in frames])
    sources = pl.Series("source", names, pl.String).gather(pl.Series(which))
    return pl.concat(frames, rechunk=True).with_columns(sources)


def _lenient(raw: bytes) -> str:
    """Damaged text must not stop the reader; its checksum will say that it is damaged."""
    return raw.decode("utf-8", "surrogateescape")
