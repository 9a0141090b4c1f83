"""One growing file: where we are in it, whether it is still the same, and its next whole lines."""

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final

import numpy as np

from vedette.collect.readers import Handles, Reader

HEAD: Final = 1024
BLOCK: Final = 64 << 10
SCAN: Final = 64 << 20
BOMS: Final = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))


def digest(raw: bytes) -> str:
    """16 hexadecimal digits that stand for `raw`."""
    return blake2b(raw, digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class Piece:
    """Raw lines as they stand in the file.

    Attributes:
        raw: the bytes, line ends included.
        starts: offset in `raw` of each line, and of the end.
        original: the length of the one line in it that was cut, else 0.
        after: offset in the file from which to read on.
        more: whole lines may follow that did not go in.
    """

    raw: bytes
    starts: np.ndarray
    original: int
    after: int
    more: bool = False


@dataclass(slots=True)
class Tail:
    """A file by its inode and its first bytes.

    Attributes:
        path: where it was last seen.
        inode: `device:inode`.
        files: what is open.
        head: its first bytes, up to `HEAD`, as far as they were there when last looked at.
        offset: what came before it was handed out.
        like: head, offset and last bytes of a file that this one may be a copy of; None once decided.
        last: the bytes just before `offset`.
        packed: it is an archive, whose content does not grow.
        done: an archive that was read to its end.
        fresh: it has not been compared with others yet.
        size: when last looked at, 0 for an archive; `changed_at` is when that changed, in UTC microseconds.
        stamp: its length and the time of its last change, by which a look at it is saved.
        stream: the path it was first seen under: what was written before a rename belongs to that stream.
    """

    path: str
    inode: str
    files: Handles
    head: bytes = b""
    offset: int = 0
    encoding: str = "utf-8"
    last: bytes = b""
    like: "Tail | None" = None
    packed: bool = False
    done: bool = False
    fresh: bool = False
    size: int = 0
    changed_at: int = 0
    stamp: tuple[int, int] = (0, 0)
    stream: str = ""
    _scanned: int = field(default=0)
    _cut: bytes = field(default=b"")

    @property
    def partition(self) -> str:
        """Inode, and length and digest of the head: what a saved position goes by."""
        return f"{self.inode}:{len(self.head)}:{digest(self.head)}"

    @property
    def reader(self) -> Reader:
        """Where its bytes come from; opened when it is not.

        Raises:
            OSError: it cannot be opened.
        """
        return self.files.get(self.path, self.inode)

    def read(self, at: int, size: int) -> bytes:
        """At most `size` bytes from `at`."""
        return self.reader.read(at, size)

    def next_lines(self, limit: int, line_bytes: int, *, final: bool = False) -> Piece | None:
        """Whole lines, `limit` at most; None when there is not one yet. `final` takes the rest as a line."""
        if self._scanned:
            return self._giant(self._cut, final=final)
        raw = self.read(self.offset, line_bytes)
        found = self._ends(raw)
        ends = found[:limit]
        if ends.size:
            starts = np.concatenate([np.zeros(1, np.int64), ends])
            more = len(found) > len(ends) or len(raw) >= line_bytes or (final and len(raw) > ends[-1])
            return Piece(raw[: int(ends[-1])], starts, 0, self.offset + int(ends[-1]), more)
        if len(raw) >= line_bytes:
            return self._giant(raw, final=final)
        if final and raw:
            return Piece(raw, np.array([0, len(raw)], np.int64), 0, self.offset + len(raw))
        return None

    def _giant(self, raw: bytes, *, final: bool) -> Piece | None:
        """The first bytes of a line too long to hold, once its end is found; memory stays one block."""
        at = max(self._scanned, self.offset + len(raw) - len(raw) % 2)
        stop = at + SCAN
        while at < stop:
            block = self.read(at, BLOCK)
            ends = self._ends(block)
            if ends.size or (final and not block):
                after = at + (int(ends[0]) if ends.size else 0)
                feed = (2 if self.encoding.startswith("utf-16") else 1) if ends.size else 0
                self._scanned, self._cut = 0, b""
                return Piece(raw, np.array([0, len(raw)], np.int64), after - self.offset - feed, after)
            if len(block) < BLOCK and not final:
                break
            at += len(block)
        self._scanned, self._cut = at, raw
        return None

    def _ends(self, raw: bytes) -> np.ndarray:
        """Offsets just behind each line feed."""
        if self.encoding.startswith("utf-16"):
            kind = "<u2" if self.encoding.endswith("le") else ">u2"
            units = np.frombuffer(raw, kind, count=len(raw) // 2)
            return (np.flatnonzero(units == 10) + 1) * 2
        return np.flatnonzero(np.frombuffer(raw, np.uint8) == 10) + 1
