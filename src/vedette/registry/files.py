"""A version on disk: one flat directory of plain files, read without following anything and written aside."""

import os
import stat
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from vedette.core.errors import Rejected, Tampered

#: No version is larger: what would fill the memory is refused before it is read.
MOST_BYTES: Final = 1 << 30
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK


def read(root: Path, *steps: str) -> dict[str, bytes]:
    """Every file in `root/step/step` by name, in order. Each step is a real directory and each entry a plain file.

    Raises:
        Tampered: one of them is something else, such as a link, or all of it is too large.
        FileNotFoundError: there is no such directory.
    """
    with ExitStack() as undo:
        at = _enter(undo, root, None, os.O_RDONLY | os.O_DIRECTORY)
        for step in steps:
            at = _enter(undo, step, at, _DIRECTORY)
        found: dict[str, bytes] = {}
        left = MOST_BYTES
        for name in sorted(os.listdir(at)):  # noqa: PTH208 -- of an open directory
            found[name] = _content("/".join((*steps, name)), name, at, left)
            left -= len(found[name])
        return found


def write(directory: Path, files: Mapping[str, bytes]) -> None:
    """Make `directory` with `files` in it.

    Raises:
        Rejected: together they are too large ever to be read.
    """
    total = sum(map(len, files.values()))
    if total > MOST_BYTES:
        raise Rejected(f"a version of {total:,} bytes is too large; {MOST_BYTES:,} are the most")
    directory.mkdir(mode=0o755)
    for name, content in files.items():
        (directory / name).write_bytes(content)


def force(directory: Path) -> None:
    """Force every file in `directory`, and itself, to the disk."""
    for path in (*directory.iterdir(), directory):
        force_one(path)


def force_one(path: Path) -> None:
    """Force one file, or the entries of one directory, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _enter(undo: ExitStack, step: Path | str, at: int | None, flags: int) -> int:
    try:
        descriptor = os.open(step, flags, dir_fd=at)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Tampered(f"{step} is not a directory of its own: {error.strerror}") from error
    undo.callback(os.close, descriptor)
    return descriptor


def _content(shown: str, name: str, at: int, left: int) -> bytes:
    try:
        descriptor = os.open(name, _FILE, dir_fd=at)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Tampered(f"{shown} is not a plain file that can be read: {error.strerror}") from error
    try:
        told = os.fstat(descriptor)
        if not stat.S_ISREG(told.st_mode):
            raise Tampered(f"{shown} is not a plain file")
        if told.st_size > left:
            raise Tampered(f"{shown}: the version is larger than {MOST_BYTES:,} bytes")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(told.st_size)
    finally:
        os.close(descriptor)
