"""Log files as they grow: rotated, copied, truncated or cut off in mid-line, each line comes once.

A file is known by its inode and its first bytes, not by its name. What begins like a file that was read, and is
another inode, is taken for a copy of it: it waits while the original stands, and goes on where that one was left.
"""

import glob
import os
import socket
from collections.abc import Mapping
from fnmatch import fnmatch
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from vedette.collect.limits import Limits
from vedette.collect.lines import TIME, believed, log_rows
from vedette.collect.readers import PACKED, Handles
from vedette.collect.records import Records, TextSettings, records
from vedette.collect.series import SeriesTable
from vedette.collect.tail import BOMS, HEAD, Tail, digest
from vedette.collect.zone import local_zone
from vedette.core.frames import DEAD_LETTERS, from_rows
from vedette.core.ports import Clock
from vedette.core.types import Batch, Delivery, Position

LAST: Final = 256
#: An archive is opened once nothing was written to it for so many seconds.
SETTLED: Final = 10.0
#: The offset of an archive that was read to its end.
DONE: Final = 1 << 62


class FileSettings(TextSettings):
    """Which files are followed, and how they are read.

    Attributes:
        paths: globs (`**` goes down); `exclude`: globs of what is left out.
        quiet: seconds after which the last record of several lines is taken as whole.
        labels: added to the series of every file.
        from_start: what is there at the very first start is read from its beginning, not from its end.
        compressed: rotated files packed as .gz, .bz2, .zst or .xz are read too, once.
        open_files: files kept open at once; the others are opened when they have grown.
        scan_interval: seconds between looks for new, renamed and truncated files.
    """

    paths: tuple[str, ...]
    exclude: tuple[str, ...] = ()
    quiet: Annotated[float, Field(gt=0)] = 2.0
    labels: Mapping[str, str] = {}
    from_start: bool = False
    compressed: bool = False
    open_files: Annotated[int, Field(gt=0)] = 256
    scan_interval: Annotated[float, Field(ge=0)] = 1.0


def default_logs(folder: Path = Path("/var/log")) -> tuple[str, ...]:
    """The logs of this host that can be read: `*.log`, `syslog` and `messages`, where they hold text.

    Rotated files and binary ones (`lastlog`, `wtmp`, the journal) are left out.
    """
    found = sorted({*folder.glob("*.log"), folder / "syslog", folder / "messages"})
    return tuple(str(path) for path in found if _is_text(path))


def _is_text(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError:  # not there, a folder, or not ours to read
        return False
    return b"\0" not in head


class FileSource:
    """Follows files. A batch is of one file; its position is that file's partition.

    Args:
        settings: which files.
        table: gives each file its series (`kind` stream, labels `host`, `file` and those of the settings).
        clock: UTC microseconds.
        limits: `line_bytes` bounds a line and, twice over, what is held in memory; `decoded_bytes` what is unpacked at
            a time; times outside the window are those of the reading, with the attribute `vedette.time`.
        name: the declared name of the source, and the name of its series.
        host: the label `host`; this machine's name by default.
        zone: IANA name, of times that name none where the settings name none either; this machine's by default.
    """

    def __init__(
        self,
        settings: FileSettings,
        table: SeriesTable,
        clock: Clock,
        limits: Limits | None = None,
        name: str = "logs",
        host: str = "",
        zone: str = "",
    ) -> None:
        self._settings = settings
        self._table = table
        self._clock = clock
        self._limits = limits or Limits()
        self._line_bytes = self._limits.line_bytes // 2 * 2
        self._name = name
        self._host = host or socket.gethostname()
        self._zone = settings.zone or zone or local_zone()
        self._files = Handles(settings.open_files, self._limits.decoded_bytes)
        self._saved: dict[str, int] = {}
        self._tails: dict[str, Tail] = {}
        self._ghosts: list[Tail] = []
        self._gone: set[str] = set()
        self._skipped: list[Tail] = []
        self._unpacking = ""
        self._scanned_at: int | None = None

    def seek(self, position: Position) -> None:
        """Resume one file after `position`."""
        self._saved[position.partition] = position.offset

    def close(self) -> None:
        """Close every file."""
        self._files.close()
        self._tails.clear()

    def poll(self, limit: int) -> Batch[Delivery] | None:
        """Whole lines of one file, `limit` at most. Of archives one is read at a time."""
        now = self._clock()
        if self._scanned_at is None or abs(now - self._scanned_at) >= self._settings.scan_interval * 1e6:
            self._scan(now)
        if self._skipped:
            tail = self._skipped.pop()
            return Batch(Delivery(self._name), Position(self._name, tail.partition, tail.offset))
        archives = (inode for inode, tail in self._tails.items() if tail.packed and not tail.done)
        if self._unpacking not in self._tails or self._tails[self._unpacking].done:
            self._unpacking = next(archives, "")
        for inode in list(self._tails):
            if self._tails[inode].packed and inode != self._unpacking:
                continue
            try:
                batch = self._read(self._tails[inode], limit, now)
            except OSError:  # closed, and not where it was: the next look says where it is, or that it is gone
                self._lose(inode)
                continue
            if batch is not None:
                if inode in self._tails:
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
                    self._notice(self._tails[inode], stat, now)
                elif stat.st_size and not _is_unsettled(path, stat, now):
                    fresh.append(self._opened(path, inode, stat, now))
            except OSError:  # rotated away between the listing and the opening, or not ours to read
                continue
        self._gone = set(self._tails) - present
        for tail in fresh:
            self._restore(tail)
        for tail in fresh:
            if first:
                tail.offset = DONE if tail.packed else tail.size
                tail.last = self._before(tail, tail.offset)
                self._skipped.append(tail)
            tail.done = tail.offset >= DONE
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

    def _opened(self, path: str, inode: str, stat: os.stat_result, now: int) -> Tail:
        packed = Path(path).suffix in PACKED
        tail = Tail(path, inode, self._files, packed=packed, changed_at=now, fresh=True, stamp=_stamp(stat), stream=path)
        self._look(tail, now)
        return tail

    def _notice(self, tail: Tail, stat: os.stat_result, now: int) -> None:
        """Look at a file that is not as it was when last looked at."""
        if not tail.packed and _stamp(stat) != tail.stamp:
            self._refresh(tail, now).stamp = _stamp(stat)

    def _look(self, tail: Tail, now: int) -> None:
        """Take notice of the file's size and of what its head has grown to."""
        size = tail.reader.size()
        if size is not None and size != tail.size:
            tail.size, tail.changed_at = size, now
        if len(tail.head) < HEAD:
            tail.head = tail.read(0, HEAD)
        tail.encoding = next((name for mark, name in BOMS if tail.head.startswith(mark)), self._settings.encoding)

    def _refresh(self, tail: Tail, now: int) -> Tail:
        """The same tail; or a new one from 0, where the file was truncated or written anew."""
        size = tail.reader.size() or 0
        same = tail.read(0, len(tail.head)) == tail.head and tail.read(tail.offset - len(tail.last), len(tail.last)) == tail.last
        if not same or (size < tail.offset and tail.like is None):
            self._ghosts = [*self._ghosts[-999:], tail]
            tail = self._tails[tail.inode] = Tail(tail.path, tail.inode, self._files, changed_at=now, stream=tail.path)
        self._look(tail, now)
        return tail

    def _lose(self, inode: str) -> None:
        """Let go of a file that is not there any more; it is kept in mind, so that a copy of it is known."""
        if inode in self._gone:
            self._files.drop(inode)
            self._gone.discard(inode)
            self._ghosts = [*self._ghosts[-999:], self._tails.pop(inode)]

    def _restore(self, tail: Tail) -> None:
        """Go on after the saved position of the longest head that is still this file's."""
        best = max((row for row in self._matching(tail) if row[0] == tail.inode), key=lambda row: row[1:], default=None)
        if best is not None and (tail.packed or best[2] <= tail.size):
            tail.offset = best[2]
            tail.last = self._before(tail, best[2])

    def _matching(self, tail: Tail) -> list[tuple[str, int, int]]:
        """(inode, length of head, offset) of saved positions whose head is that of `tail`."""
        rows, digests = [], {}
        for partition, offset in self._saved.items():
            inode, text, mark = partition.rsplit(":", 2)
            length = int(text)
            if length > len(tail.head) or (not length and tail.head):
                continue
            if length not in digests:
                digests[length] = digest(tail.head[:length])
            if digests[length] == mark:
                rows.append((inode, length, offset))
        return rows

    def _original(self, tail: Tail) -> Tail | None:
        """The file that `tail` may be a copy of: one that is followed, one that was, or one of an earlier run."""
        folder = Path(tail.path).parent
        for other in (*self._tails.values(), *reversed(self._ghosts)):
            if other is not tail and 0 < other.offset < DONE and Path(other.path).parent == folder and _alike(tail, other):
                return other
        lost = [row for row in self._matching(tail) if row[0] != tail.inode and 0 < row[2] < DONE]
        if not lost:
            return None
        _, length, offset = max(lost, key=lambda row: row[1:])
        return Tail(tail.path, "", self._files, head=tail.head[:length], offset=offset)

    def _decide(self, tail: Tail) -> bool:
        """Whether `tail` can be read now: it is no copy, or the rest of one whose original is gone."""
        if tail.fresh and not tail.offset:
            tail.like = self._original(tail)
        tail.fresh = False
        original = tail.like
        if original is None:
            return True
        if _alike(tail, original):
            stands = self._tails.get(original.inode) is original and (tail.packed or tail.size <= original.size)
            if stands or (not tail.packed and tail.size < original.offset):
                return False
            before = original.offset - len(original.last)
            if not tail.reader.reach(before, self._limits.decoded_bytes):
                return False
            if tail.read(before, len(original.last)) == original.last:
                tail.offset, tail.last = original.offset, original.last
                tail.stream = original.stream or tail.stream
        tail.like = None
        return True

    def _before(self, tail: Tail, offset: int) -> bytes:
        """The bytes before `offset`, by which a copy is known; of archives there are no copies."""
        begin = max(0, offset - LAST)
        return b"" if tail.packed else tail.read(begin, offset - begin)

    def _read(self, tail: Tail, limit: int, now: int) -> Batch[Delivery] | None:
        gone = tail.inode in self._gone
        if tail.done or (tail.offset >= tail.size and not gone and not tail.packed and tail.like is None):
            if gone:
                self._lose(tail.inode)
            return None
        final = tail.packed or gone
        if tail.reader.size() not in {None, tail.size}:
            tail = self._refresh(tail, now)
        if not self._decide(tail) or not tail.reader.reach(tail.offset, self._limits.decoded_bytes):
            return None
        if self._settings.multiline != "none":
            limit = max(limit, self._settings.multiline_lines + 1)
        piece = tail.next_lines(limit, self._line_bytes, final=final)
        if piece is None:
            return self._ended(tail, now)
        waits = not final and 0 <= now - tail.changed_at < self._settings.quiet * 1e6
        taken = records(piece, self._settings, tail.encoding, waits=waits, full_bytes=self._line_bytes // 2)
        if taken is None:
            return None
        tail.offset = taken.after
        tail.last = self._before(tail, tail.offset)
        return Batch(self._delivery(tail, taken, now), Position(self._name, tail.partition, tail.offset))

    def _ended(self, tail: Tail, now: int) -> Batch[Delivery] | None:
        """What is left to say of a file without a further line: of an archive that it is read, or how it is broken."""
        if tail.inode in self._gone and tail.offset >= tail.size:
            self._lose(tail.inode)
        if not tail.packed:
            return None
        fault, at = tail.reader.fault, tail.offset
        tail.offset, tail.done = DONE, True
        self._files.drop(tail.inode)
        frames = {}
        if fault:
            reason = f"{tail.path}: the archive cannot be read beyond byte {at} of what it holds: {fault}"
            row = (now, tail.partition, at, reason, sha256(tail.path.encode()).hexdigest(), tail.path.encode())
            frames["dead_letters"] = from_rows([row], DEAD_LETTERS)
        return Batch(Delivery(self._name, frames), Position(self._name, tail.partition, DONE))

    def _delivery(self, tail: Tail, taken: Records, now: int) -> Delivery:
        labels = {**self._settings.labels, "host": self._host, "file": tail.stream}
        series = self._table.resolve(self._name, "log_stream", labels, "stream")
        at, odd = believed(taken.bodies, now, self._zone, self._limits.window(now))
        logs = log_rows(taken.bodies, taken.marks.with_columns(odd.alias(TIME)), at, series=series, observed=now)
        return Delivery(self._name, {"series": self._table.definitions([series]), "logs": logs})


def _stamp(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_size, stat.st_mtime_ns


def _is_unsettled(path: str, stat: os.stat_result, now: int) -> bool:
    return Path(path).suffix in PACKED and abs(now / 1e6 - stat.st_mtime) < SETTLED


def _alike(tail: Tail, other: Tail) -> bool:
    shared = min(len(tail.head), len(other.head))
    return shared > 0 and tail.head[:shared] == other.head[:shared]
