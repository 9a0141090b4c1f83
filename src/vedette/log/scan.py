"""Rows found on the raw pages of a damaged database, without the tree that leads to them.

Source: https://www.sqlite.org/fileformat2.html (leaf pages of tables, records, overflow chains, frames of the write-ahead file).
A row is handed out only where its checksum holds, so a page may be taken for what it is not without harm.
"""

import mmap
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from vedette.log.database import PAGE, Row, intact, side

_LEAF: Final = 0x0D
_FRAME: Final = struct.Struct(">II8s8x")
_WAL_HEADER: Final = 32
#: Bytes of an integer by its serial type.
_WIDTH: Final = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
_CONSTANT: Final = {0: None, 8: 0, 9: 1}

Page = Callable[[int], bytes]


def scan(path: Path) -> Iterator[Row]:
    """Every intact row on any page of the database and of what is committed in its write-ahead file; some perhaps long deleted."""
    main, wal = _mapped(path), _mapped(side(path, "-wal"))
    newer = _committed(wal)

    def page(number: int) -> bytes:
        begin = newer.get(number)
        return main[(number - 1) * PAGE : number * PAGE] if begin is None else wal[begin : begin + PAGE]

    for number in range(1, max(len(main) // PAGE, *newer, 0) + 1):
        leaf = page(number)
        if len(leaf) == PAGE and leaf[0] == _LEAF:
            for (cell,) in struct.iter_unpack(">H", leaf[8 : 8 + 2 * int.from_bytes(leaf[3:5], "big")]):
                try:
                    row = _row(leaf, cell, page)
                except (IndexError, ValueError):
                    continue
                if intact(row):
                    yield row


def _mapped(path: Path) -> bytes | mmap.mmap:
    if not path.exists() or not path.stat().st_size:
        return b""
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _committed(wal: bytes | mmap.mmap) -> dict[int, int]:
    """Page -> where its last committed content stands in the write-ahead file."""
    found: dict[int, int] = {}
    open_: dict[int, int] = {}
    for begin in range(_WAL_HEADER, len(wal) - PAGE - _FRAME.size + 1, _FRAME.size + PAGE):
        number, commit, salt = _FRAME.unpack_from(wal, begin)
        if salt != wal[16:24]:
            break
        open_[number] = begin + _FRAME.size
        if commit:
            found |= open_
            open_ = {}
    return found


def _row(leaf: bytes, cell: int, page: Page) -> tuple[object, ...]:
    size, begin = _varint(leaf, cell)
    offset, begin = _varint(leaf, begin)
    record = _record(leaf, begin, size, page)
    if offset >= 1 << 63:
        raise ValueError(offset)
    end, place = _varint(record, 0)
    values: list[object] = []
    body = end
    while place < end:
        kind, place = _varint(record, place)
        if kind in _CONSTANT:
            values.append(_CONSTANT[kind])
            continue
        width = _WIDTH[kind] if kind in _WIDTH else (kind - 12) // 2
        raw = record[body : body + width]
        body += width
        text = raw.decode("utf-8", "surrogateescape") if kind % 2 else raw
        values.append(int.from_bytes(raw, "big", signed=True) if kind in _WIDTH else text)
    return (offset, *values[1:])


def _record(leaf: bytes, begin: int, size: int, page: Page) -> bytes:
    """The bytes of a record, gathered from the pages that it overflows to."""
    most, least = PAGE - 35, (PAGE - 12) * 32 // 255 - 23
    local = size
    if size > most:
        local = least + (size - least) % (PAGE - 4)
        local = local if local <= most else least
    parts, left = [leaf[begin : begin + local]], size - local
    following = int.from_bytes(leaf[begin + local : begin + local + 4], "big") if left else 0
    while left > 0 and following:
        content = page(following)
        parts.append(content[4 : 4 + left])
        left -= PAGE - 4
        following = int.from_bytes(content[:4], "big")
    return b"".join(parts)


def _varint(raw: bytes, begin: int) -> tuple[int, int]:
    value = 0
    for place in range(begin, begin + 8):
        value = value << 7 | raw[place] & 0x7F
        if raw[place] < 0x80:
            return value, place + 1
    return value << 8 | raw[begin + 8], begin + 9
