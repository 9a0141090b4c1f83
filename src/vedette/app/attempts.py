"""Which beat was being processed when the process died: one small file, so that no beat can kill it for ever."""

import os
import struct
from pathlib import Path
from typing import Final

#: The beat at work (0: none), the beat that failed last, and how often it did.
_RECORD: Final = struct.Struct("<qqq")


class BeatAttempts:
    """`core.ports.Attempts` in a file of 24 bytes. It is not forced to the disk: it must outlive the process, not the power.

    A kill while a beat is at work counts against that beat. Only the beat that failed last is remembered.

    Args:
        path: the file; made where it is missing, begun anew where it is not what was written.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "attempts"
    >>> BeatAttempts(path).begin(7)  # and here the process is killed
    0
    >>> again = BeatAttempts(path)
    >>> again.begin(6), again.end(), again.begin(7), again.fail(7), again.begin(7)
    (0, None, 1, None, 2)
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        raw = os.pread(self._file, _RECORD.size + 1, 0)
        working, self._last, self._failures = _RECORD.unpack(raw) if len(raw) == _RECORD.size else (0, 0, 0)
        if working:
            self.fail(working)

    def begin(self, last: int) -> int:
        """The beat that ends at `last` is begun; how often it failed or killed the process."""
        self._write(last)
        return self._failures if last == self._last else 0

    def end(self) -> None:
        """The beat that was begun went well."""
        self._write(0)

    def fail(self, last: int) -> None:
        """It did not."""
        self._last, self._failures = last, self._failures + 1 if last == self._last else 1
        self._write(0)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)

    def _write(self, working: int) -> None:
        os.pwrite(self._file, _RECORD.pack(working, self._last, self._failures), 0)
