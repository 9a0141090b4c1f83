"""What makes a Delta commit survive a power cut: files are forced to the disk, and a torn tail is taken off.

The Delta writer hands its files to the operating system and no further. So a flush forces the data files, the log entries
that name them and their directories to the disk before it returns; and what a power cut left half-made in between
is moved aside when the table is opened. Nothing is lost by that: the log of record keeps a beat until the lake holds it safely.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import unquote

import msgspec


class _Add(msgspec.Struct):
    path: str
    size: int


class _Action(msgspec.Struct):
    add: _Add | None = None


_DECODER = msgspec.json.Decoder(_Action)


def sync(table: Path, versions: Iterable[int]) -> None:
    """Force the commits `versions` of the table at `table`, and the files they add, to the disk."""
    directories = {table, table / "_delta_log"}
    for version in versions:
        entry = table / "_delta_log" / f"{version:020}.json"
        for path, _ in _added(table, entry):
            # A concurrent round of maintenance may have made it part of another file already.
            if path.exists():
                _force(path)
                directories.add(path.parent)
        _force(entry)
    for directory in directories:
        _force(directory)


def sync_checkpoint(table: Path) -> None:
    """Force the checkpoints of the table's log to the disk: before the entries that they stand for are cleaned up."""
    log = table / "_delta_log"
    for path in (*log.glob("*.checkpoint*"), log / "_last_checkpoint", log):
        if path.exists():
            _force(path)


def repair(table: Path) -> list[Path]:
    """Move torn commits at the end of the table's log into `_torn/`; returns where they went.

    A commit is torn when its entry cannot be read or a file that it adds is missing or of another size, as after a power cut.
    Only the last commits in a row are ever taken; a hole in the middle is for `verify` to report.
    """
    moved = []
    for entry in _tail(table / "_delta_log"):
        if _whole(table, entry):
            break
        aside = table / "_torn" / f"{entry.name}"
        aside.parent.mkdir(exist_ok=True)
        entry.replace(aside)
        moved.append(aside)
    if moved:
        _force(table / "_delta_log")
    return moved


def _tail(log: Path) -> Iterator[Path]:
    """Entries after the last checkpoint, newest first."""
    if not log.is_dir():
        return
    names = sorted((entry.name for entry in log.iterdir()), reverse=True)
    checkpoints = [int(name[:20]) for name in names if ".checkpoint." in name and name[:20].isdigit()]
    last = max(checkpoints, default=-1)
    for name in names:
        if name.endswith(".json") and name[:20].isdigit() and len(name) == 25 and int(name[:20]) > last:
            yield log / name


def _whole(table: Path, entry: Path) -> bool:
    try:
        return all(path.is_file() and path.stat().st_size == size for path, size in _added(table, entry))
    except msgspec.DecodeError:
        return False


def _added(table: Path, entry: Path) -> list[tuple[Path, int]]:
    lines = entry.read_bytes().splitlines()
    if not lines:
        raise msgspec.DecodeError(f"{entry} is empty")
    actions = [_DECODER.decode(line) for line in lines]
    return [(table / unquote(action.add.path), action.add.size) for action in actions if action.add is not None]


def _force(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
