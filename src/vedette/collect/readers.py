"""Bytes of a file at a place: of a plain one, or of what an archive holds; never more of them open than allowed."""

import bz2
import gzip
import lzma
import os
import zlib
from collections import OrderedDict
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Final, Protocol, cast

from vedette.collect.compression import decompress
from vedette.core.errors import BadRecord

#: Bytes unpacked at a time.
BLOCK: Final = 64 << 10
BROKEN: Final = (EOFError, OSError, zlib.error, lzma.LZMAError, BadRecord)


def _zstd(file: BinaryIO, limit: int) -> BinaryIO:
    return BytesIO(decompress(file.read(limit + 1), "zstd", limit))


#: How an archive is unpacked, by its ending: as it is read, but for Zstandard, whose whole content must be within the limit.
PACKED: Final[dict[str, Callable[[BinaryIO, int], BinaryIO]]] = {
    ".gz": lambda file, _: cast("BinaryIO", gzip.GzipFile(fileobj=file)),
    ".bz2": lambda file, _: cast("BinaryIO", bz2.BZ2File(file)),
    ".xz": lambda file, _: cast("BinaryIO", lzma.LZMAFile(file)),  # noqa: SIM115 -- its owner closes the file
    ".zst": _zstd,
}


class Reader(Protocol):
    """Where bytes come from.

    Attributes:
        fault: why there are no more than were read, where that is not the file's end.
    """

    fault: str

    def read(self, at: int, size: int) -> bytes:
        """At most `size` bytes from `at`; fewer only at the end."""

    def size(self) -> int | None:
        """How many there are; None where only reading them tells."""

    def reach(self, at: int, budget: int) -> bool:
        """Come nearer to `at` by at most `budget` bytes; whether it is reached, or the end is."""

    def place(self, at: int) -> int:
        """How far into the file itself one is after reading up to `at`."""

    def close(self) -> None:
        """Let go of the file."""


class Plain:
    """A file as it stands."""

    fault = ""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, at: int, size: int) -> bytes:
        """At most `size` bytes from `at`."""
        return os.pread(self._file.fileno(), size, at)

    def size(self) -> int:
        """Its length now."""
        return os.fstat(self._file.fileno()).st_size

    def reach(self, at: int, budget: int) -> bool:  # noqa: ARG002 -- any place is as near as any other
        """It is."""
        return True

    def place(self, at: int) -> int:
        """There."""
        return at

    def close(self) -> None:
        """Close it."""
        self._file.close()


class Unpacked:
    """What an archive holds, unpacked as it is read; only what was last asked for is kept.

    A broken archive ends where it breaks, and `fault` says how.
    """

    def __init__(self, file: BinaryIO, suffix: str, limit: int) -> None:
        self._file = file
        self._unpack = PACKED[suffix]
        self._limit = limit
        self._begin()

    def _begin(self) -> None:
        self.fault = ""
        self._start = 0
        self._held = bytearray()
        self._ended = False
        self._file.seek(0)
        try:
            self._stream = self._unpack(self._file, self._limit)
        except BROKEN as error:
            self._break(error)

    def read(self, at: int, size: int) -> bytes:
        """At most `size` bytes from `at`; going back begins anew."""
        if at < self._start:
            self._begin()
        while not self._ended and self._start + len(self._held) < at + size:
            self._pull(at)
        return bytes(self._held[max(0, at - self._start) : max(0, at - self._start) + size])

    def size(self) -> None:
        """Only unpacking it would tell."""
        return

    def reach(self, at: int, budget: int) -> bool:
        """Unpack at most `budget` bytes further towards `at`."""
        stop = self._start + len(self._held) + budget
        while not self._ended and self._start + len(self._held) < min(at, stop):
            self._pull(at)
        return self._ended or self._start + len(self._held) >= at

    def place(self, at: int) -> int:  # noqa: ARG002 -- the archive was read as far as it had to be
        """Bytes of the archive that were read."""
        return self._file.tell()

    def close(self) -> None:
        """Close the archive."""
        self._file.close()

    def _pull(self, at: int) -> None:
        """One block more; what lies before `at` is let go."""
        try:
            block = cast("gzip.GzipFile", self._stream).read1(BLOCK)
        except BROKEN as error:
            self._break(error)
            return
        self._ended = not block
        self._held += block
        before = min(max(0, at - self._start), len(self._held))
        del self._held[:before]
        self._start += before

    def _break(self, error: BaseException) -> None:
        self.fault = str(error) or type(error).__name__
        self._ended = True


def reader(file: BinaryIO, path: str, limit: int) -> Reader:
    """What reads `file`: unpacking where the ending of `path` says that it is an archive."""
    suffix = Path(path).suffix.lower()
    return Unpacked(file, suffix, limit) if suffix in PACKED else Plain(file)


class Handles:
    """At most `most` open files; the one that was longest not asked for is closed, and opened again when it is."""

    def __init__(self, most: int, limit: int) -> None:
        self._most = most
        self._limit = limit
        self._open: OrderedDict[str, Reader] = OrderedDict()

    def __len__(self) -> int:
        return len(self._open)

    def get(self, path: str, inode: str) -> Reader:
        """The reader of the file `inode` (`device:inode`), which is at `path` unless it is open already.

        Raises:
            OSError: it cannot be opened, or is not there any more.
        """
        found = self._open.get(inode)
        if found is None:
            file = Path(path).open("rb")  # noqa: SIM115 -- it stays open for as long as there is room
            stat = os.fstat(file.fileno())
            if f"{stat.st_dev}:{stat.st_ino}" != inode:
                file.close()
                raise FileNotFoundError(path)
            found = self._open[inode] = reader(file, path, self._limit)
            while len(self._open) > self._most:
                self._open.popitem(last=False)[1].close()
        self._open.move_to_end(inode)
        return found

    def drop(self, inode: str) -> None:
        """Close the file, where it is open."""
        found = self._open.pop(inode, None)
        if found is not None:
            found.close()

    def close(self) -> None:
        """Close every file."""
        while self._open:
            self._open.popitem()[1].close()
