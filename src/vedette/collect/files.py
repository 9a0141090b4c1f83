"""Log files as they grow: rotated, copied, truncated or cut off in mid-line, each line comes once.

A file is known by its inode and its first bytes, not by its name. What begins like a file that was read, and is
another inode, is taken for a copy of it: it waits while the original stands, and goes on where that one was left.
"""

import glob
import os
import socket
import tempfile
from collections.abc import Mapping
from datetime import UTC, tzinfo
from fnmatch import fnmatch
from itertools import pairwise
from pathlib import Path
from typing import Annotated, BinaryIO, Final
from zoneinfo import ZoneInfo

import cramjam
import numpy as np
import polars as pl
from pydantic import Field

from vedette.collect.limits import Limits
from vedette.collect.lines import severities, timestamps
from vedette.collect.multiline import begins, join
from vedette.collect.series import SeriesTable
from vedette.collect.tail import BOMS, HEAD, Piece, Tail, digest
from vedette.core.frames import AT, LABELS, LOGS
from vedette.core.ports import Clock
from vedette.core.settings import Settings
from vedette.core.types import Batch, Delivery, Position

PACKED: Final = {".gz": cramjam.gzip, ".bz2": cramjam.bzip2, ".zst": cramjam.zstd, ".xz": cramjam.xz}
LAST: Final = 256


class FileSettings(Settings):
    """Which files are followed, and how they are read.

    Attributes:
        paths: globs (`**` goes down); `exclude`: globs of what is left out.
        encoding: of files that begin with no byte order mark.
        multiline: `none`, `stack` (indented lines and traces go on), or a pattern that first lines match.
        multiline_lines: lines a record may have; `quiet` seconds after which the last one is taken as whole.
        labels: added to the series of every file.
        zone: of times that name none, such as `Europe/Zurich`.
        from_start: what is there at the very first start is read from its beginning, not from its end.
        compressed: rotated files packed as .gz, .bz2, .zst or .xz are read too, once.
        scan_interval: seconds between looks for new, renamed and truncated files.
    """

    paths: tuple[str, ...]
    exclude: tuple[str, ...] = ()
    encoding: str = "utf-8"
    multiline: str = "none"
    multiline_lines: Annotated[int, Field(gt=0)] = 500
    quiet: Annotated[float, Field(gt=0)] = 2.0
    labels: Mapping[str, str] = {}
    zone: str = "UTC"
    from_start: bool = False
    compressed: bool = False
    scan_interval: Annotated[float, Field(ge=0)] = 1.0


class FileSource:
    """Follows files. A batch is of one file; its position is that file's partition.

    Args:
        settings: which files.
        table: gives each file its series (`kind` stream, labels `host`, `file` and those of the settings).
        clock: UTC microseconds.
        limits: `line_bytes` bounds a line and, twice over, what is held in memory.
        name: the declared name of the source, and the name of its series.
        host: the label `host`; this machine's name by default.
    """

    def __init__(
        self,
        settings: FileSettings,
        table: SeriesTable,
        clock: Clock,
        limits: Limits | None = None,
        name: str = "logs",
        host: str = "",
    ) -> None:
        self._settings = settings
        self._table = table
        self._clock = clock
        self._line_bytes = (limits or Limits()).line_bytes // 2 * 2
        self._name = name
        self._host = host or socket.gethostname()
        self._zone: tzinfo = UTC if settings.zone == "UTC" else ZoneInfo(settings.zone)
        self._saved: dict[str, int] = {}
        self._tails: dict[str, Tail] = {}
        self._ghosts: list[Tail] = []
        self._gone: set[str] = set()
        self._skipped: list[Tail] = []
        self._scanned_at: int | None = None

    def seek(self, position: Position) -> None:
        """Resume one file after `position`."""
        self._saved[position.partition] = position.offset

    def close(self) -> None:
        """Close every file."""
        for tail in self._tails.values():
            tail.file.close()
        self._tails.clear()

    def poll(self, limit: int) -> Batch[Delivery] | None:
        """Whole lines of one file, `limit` at most."""
        now = self._clock()
        if self._scanned_at is None or abs(now - self._scanned_at) >= self._settings.scan_interval * 1e6:
            self._scan(now)
        if self._skipped:
            tail = self._skipped.pop()
            return Batch(Delivery(self._name), Position(self._name, tail.partition, tail.offset))
        for inode in list(self._tails):
            batch = self._read(self._tails[inode], limit, now)
            if batch is not None:
                self._tails[inode] = self._tails.pop(inode)  # to the end of the queue: every file has its turn
                return batch
        return None

    def _scan(self, now: int) -> None:
        first = self._scanned_at is None and not self._saved and not self._settings.from_start
        self._scanned_at = now
        fresh, present = [], set()
        for path in self._paths():
            try:
                stat = Path(path).stat()
                inode = f"{stat.st_dev}:{stat.st_ino}"
                present.add(inode)
                if inode in self._tails:
                    self._tails[inode].path = path
                elif stat.st_size:
                    fresh.append(self._opened(path, inode, now))
            except OSError:  # rotated away between the listing and the opening, or not ours to read
                continue
        for inode in list(self._tails):
            self._refresh(self._tails[inode], now)
        self._gone = set(self._tails) - present
        for tail in fresh:
            self._restore(tail)
        for tail in fresh:
            if first:
                tail.offset = tail.size
                self._skipped.append(tail)
            self._tails[tail.inode] = tail

    def _paths(self) -> list[str]:
        found = {
            path
            for pattern in self._settings.paths
            for path in glob.glob(str(Path(pattern).expanduser()), recursive=True)  # noqa: PTH207 -- patterns may be absolute
        }
        wanted = (path for path in found if not any(fnmatch(path, pattern) for pattern in self._settings.exclude))
        return sorted(
            path for path in wanted if Path(path).is_file() and (self._settings.compressed or Path(path).suffix not in PACKED)
        )

    def _opened(self, path: str, inode: str, now: int) -> Tail:
        packing = PACKED.get(Path(path).suffix)
        file: BinaryIO = Path(path).open("rb")  # noqa: SIM115 -- it stays open for as long as it is followed
        if packing is not None:
            with file:
                plain = tempfile.TemporaryFile()  # noqa: SIM115
                packing.decompress_into(file, plain)
                plain.flush()
            file = plain
        tail = Tail(path, inode, file, packed=packing is not None, changed_at=now, fresh=True)
        self._look(tail, now)
        return tail

    def _look(self, tail: Tail, now: int) -> None:
        """Take notice of the file's size and of what its head has grown to."""
        size = os.fstat(tail.file.fileno()).st_size
        if size != tail.size:
            tail.size, tail.changed_at = size, now
        if len(tail.head) < HEAD:
            tail.head = tail.read(0, HEAD)
        tail.encoding = next((name for mark, name in BOMS if tail.head.startswith(mark)), self._settings.encoding)

    def _refresh(self, tail: Tail, now: int) -> Tail:
        """The same tail; or a new one from 0, where the file was truncated or written anew."""
        size = os.fstat(tail.file.fileno()).st_size
        if tail.read(0, len(tail.head)) != tail.head or (size < tail.offset and tail.like is None):
            self._bury(tail)
            tail = self._tails[tail.inode] = Tail(tail.path, tail.inode, tail.file, changed_at=now)
        self._look(tail, now)
        return tail

    def _bury(self, tail: Tail) -> None:
        """Keep what is needed to know a copy of a file that is no more."""
        self._ghosts = [*self._ghosts[-999:], tail]

    def _restore(self, tail: Tail) -> None:
        """Go on after the saved position of the longest head that is still this file's."""
        best = max((row for row in self._matching(tail) if row[0] == tail.inode), key=lambda row: row[1:], default=None)
        if best is not None and best[2] <= tail.size:
            tail.offset = best[2]
            tail.last = self._before(tail, best[2])

    def _matching(self, tail: Tail) -> list[tuple[str, int, int]]:
        """(inode, length of head, offset) of saved positions whose head is that of `tail`."""
        rows = []
        for partition, offset in self._saved.items():
            inode, length, mark = partition.rsplit(":", 2)
            if int(length) <= len(tail.head) and digest(tail.head[: int(length)]) == mark:
                rows.append((inode, int(length), offset))
        return rows

    def _original(self, tail: Tail) -> Tail | None:
        """The file that `tail` may be a copy of: one that is followed, one that was, or one of an earlier run."""
        folder = Path(tail.path).parent
        for other in (*self._tails.values(), *reversed(self._ghosts)):
            if other is not tail and other.offset and Path(other.path).parent == folder and _alike(tail, other):
                return other
        lost = [row for row in self._matching(tail) if row[0] != tail.inode]
        if not lost:
            return None
        _, length, offset = max(lost, key=lambda row: row[1:])
        return Tail(tail.path, "", tail.file, head=tail.head[:length], offset=offset)

    def _decide(self, tail: Tail) -> bool:
        """Whether `tail` can be read now: it is no copy, or the rest of one whose original is gone."""
        if tail.fresh and not tail.offset:
            tail.like = self._original(tail)
        tail.fresh = False
        original = tail.like
        if original is None:
            return True
        if _alike(tail, original):
            stands = self._tails.get(original.inode) is original and tail.size <= original.size
            if stands or tail.size < original.offset:
                return False
            if tail.read(original.offset - len(original.last), len(original.last)) == original.last:
                tail.offset, tail.last = original.offset, original.last
        tail.like = None
        return True

    def _before(self, tail: Tail, offset: int) -> bytes:
        begin = max(0, offset - LAST)
        return tail.read(begin, offset - begin)

    def _read(self, tail: Tail, limit: int, now: int) -> Batch[Delivery] | None:
        final = tail.packed or tail.inode in self._gone
        if os.fstat(tail.file.fileno()).st_size != tail.size:
            tail = self._refresh(tail, now)
        if not self._decide(tail) or (tail.offset >= tail.size and not final):
            return None
        piece = tail.next_lines(limit, self._line_bytes, final=final)
        if piece is None:
            if tail.inode in self._gone and tail.offset >= tail.size:
                self._bury(self._tails.pop(tail.inode))
                tail.file.close()
            return None
        quiet = final or not 0 <= now - tail.changed_at < self._settings.quiet * 1e6
        taken = self._rows(tail, piece, now, quiet=quiet)
        if taken is None:
            return None
        delivery, tail.offset = taken
        tail.last = self._before(tail, tail.offset)
        return Batch(delivery, Position(self._name, tail.partition, tail.offset))

    def _rows(self, tail: Tail, piece: Piece, now: int, *, quiet: bool) -> tuple[Delivery, int] | None:
        """The delivery of a piece, and the offset behind what it holds."""
        ends, after = piece.starts, piece.after
        lines, broken = _decoded(piece.raw, ends, tail.encoding)
        if self._settings.multiline != "none":
            first = begins(lines, None if self._settings.multiline == "stack" else self._settings.multiline)
            last = int(first.nonzero()[0][-1])
            full = last == 0 and (2 * len(piece.raw) >= self._line_bytes or len(lines) >= self._settings.multiline_lines)
            if not quiet and not full:
                if last == 0:
                    return None
                lines, broken, first = lines[:last], broken[:last], first[:last]
                after = tail.offset + int(ends[last])
            group = join(pl.Series(broken).cast(pl.Int8).cast(pl.String), first, self._settings.multiline_lines)
            broken = group.str.contains("1").to_list()
            lines = join(lines, first, self._settings.multiline_lines)
        series = self._table.resolve(
            self._name, "log_stream", {**self._settings.labels, "host": self._host, "file": tail.path}, "stream"
        )
        attributes = [{"vedette.encoding": "backslashreplace"} if each else {} for each in broken]
        if piece.original:
            attributes = [{**each, "vedette.truncated": str(piece.original)} for each in attributes]
        logs = log_rows(lines, attributes, series, now, self._zone)
        return Delivery(self._name, {"series": self._table.definitions([series]), "logs": logs}), after


def log_rows(lines: pl.Series, attributes: list[dict[str, str]], series: int, now: int, zone: tzinfo) -> pl.DataFrame:
    """LOGS rows of one stream; a line that names no time, or one that is not believed, has the time `now`."""
    observed = pl.lit(now).cast(AT)
    at = timestamps(lines, now, zone)
    frame = pl.DataFrame({"at": at, "body": lines, "severity": severities(lines)})
    return frame.select(
        pl.col("at").fill_null(observed),
        observed.alias("observed_at"),
        pl.lit(series, pl.Int64).alias("series"),
        "severity",
        "body",
        _maps(attributes).alias("attributes"),
    ).select(list(LOGS))


def _maps(attributes: list[dict[str, str]]) -> pl.Series:
    """The maps as a column; where all are alike one is made and repeated, which is the common case and far faster."""
    if attributes and all(each == attributes[0] for each in attributes):
        return pl.Series(attributes[:1], dtype=LABELS).new_from_index(0, len(attributes))
    return pl.Series(attributes, dtype=LABELS)


def _alike(tail: Tail, other: Tail) -> bool:
    shared = min(len(tail.head), len(other.head))
    return shared > 0 and tail.head[:shared] == other.head[:shared]


def _decoded(raw: bytes, starts: np.ndarray, encoding: str) -> tuple[pl.Series, list[bool]]:
    """The lines as text without their ends, and which of them held bytes that are none."""
    try:
        text = raw.decode(encoding)
        broken = [False] * (len(starts) - 1)
    except UnicodeDecodeError:
        parts = [raw[a:b] for a, b in pairwise(starts.tolist())]
        texts = [part.decode(encoding, "backslashreplace") for part in parts]
        broken = [text != part.decode(encoding, "replace") for text, part in zip(texts, parts, strict=True)]
        text = "".join(texts)
    lines = pl.Series("line", text.removesuffix("\n").lstrip("\ufeff").split("\n"), dtype=pl.String)
    return lines.str.strip_suffix("\r"), broken
