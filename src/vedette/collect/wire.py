"""Protobuf on the wire, walked by compiled kernels: bytes in, columns out, no object a record.

A kernel never raises. A position that is negative means that the bytes stopped making sense at `~position`.
Series are looked up by a hash of 128 bits over the raw bytes that spell their labels; only spans never seen are parsed in Python.
"""

import secrets
from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

from vedette.core.errors import BadRecord

Function = TypeVar("Function", bound=Callable[..., object])
Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]
Words = NDArray[np.uint64]
#: What `Spans` answers for a span it has not seen.
UNKNOWN: Final = -(2**63)

#: `np.int64` as the kernels use it: a number of 64 bits that is an int to whoever reads types.
signed: Callable[[object], int] = cast("Callable[[object], int]", np.int64)

_P1: Final = np.uint64(0x9E3779B185EBCA87)
_P2: Final = np.uint64(0xC2B2AE3D27D4EB4F)
_P3: Final = np.uint64(0x165667B19E3779F9)
_R29: Final = np.uint64(29)
_R32: Final = np.uint64(32)
_R35: Final = np.uint64(35)


def kernel(function: Function) -> Function:
    """Compile `function` once, keep it on disk, and let it run without the interpreter's lock."""
    return cast("Function", numba.njit(cache=True, nogil=True)(function))


def inlined(function: Function) -> Function:
    """The same for a small kernel that others call for each field: a call would cost more than its work."""
    return cast("Function", numba.njit(cache=True, nogil=True, forceinline=True)(function))


@inlined
def varint(buffer: Bytes, at: int, end: int) -> tuple[int, int]:
    """The varint at `at` as a signed 64-bit number, and where the next field begins."""
    if at < end and buffer[np.uint64(at)] < 128:
        return signed(buffer[np.uint64(at)]), at + 1
    value = np.uint64(0)
    shift = np.uint64(0)
    while at < end and shift < np.uint64(70):
        byte = np.uint64(buffer[np.uint64(at)])
        value |= (byte & np.uint64(127)) << shift
        at += 1
        if byte < np.uint64(128):
            return signed(value), at
        shift += np.uint64(7)
    return signed(0), ~at


@inlined
def word(buffer: Bytes, at: int) -> np.uint64:
    """Eight bytes, little end first. Places are unsigned, so that it compiles to one load."""
    place = np.uint64(at)
    value = np.uint64(buffer[place])
    value |= np.uint64(buffer[place + np.uint64(1)]) << np.uint64(8)
    value |= np.uint64(buffer[place + np.uint64(2)]) << np.uint64(16)
    value |= np.uint64(buffer[place + np.uint64(3)]) << np.uint64(24)
    value |= np.uint64(buffer[place + np.uint64(4)]) << np.uint64(32)
    value |= np.uint64(buffer[place + np.uint64(5)]) << np.uint64(40)
    value |= np.uint64(buffer[place + np.uint64(6)]) << np.uint64(48)
    value |= np.uint64(buffer[place + np.uint64(7)]) << np.uint64(56)
    return value


@inlined
def step(buffer: Bytes, at: int, end: int) -> tuple[int, int, int, int]:  # noqa: PLR0911 -- one return a way to break
    """One field: its tag, its varint (or 0), and the first and the next byte after its content (negative when broken)."""
    tag, begin = varint(buffer, at, end)
    if begin < 0:
        return 0, 0, 0, begin
    wire = tag & 7
    if tag < 8 or tag >= 1 << 32:
        return 0, 0, 0, ~at
    if wire == 0:
        value, stop = varint(buffer, begin, end)
        return tag, value, begin, stop
    if wire == 1:
        stop = begin + 8
    elif wire == 5:
        stop = begin + 4
    elif wire == 2:
        size, begin = varint(buffer, begin, end)
        if begin < 0:
            return 0, 0, 0, begin
        if size < 0 or size > end - begin:
            return 0, 0, 0, ~begin
        stop = begin + size
    else:
        return 0, 0, 0, ~at
    if stop > end:
        return 0, 0, 0, ~begin
    return tag, 0, begin, stop


@inlined
def mix(first: np.uint64, second: np.uint64, data: np.uint64) -> tuple[np.uint64, np.uint64]:
    """Take eight bytes into both halves of a hash."""
    first = (first ^ data) * _P1
    first ^= first >> _R32
    second = (second + data) * _P2
    second = ((second << _R29) | (second >> _R35)) ^ _P3
    return first, second


@inlined
def digest(first: np.uint64, second: np.uint64, buffer: Bytes, at: int, end: int) -> tuple[np.uint64, np.uint64]:
    """Take the bytes of a span, and its length, into a hash."""
    size = end - at
    first, second = mix(first, second, np.uint64(size))
    while at + 8 <= end:
        first, second = mix(first, second, word(buffer, at))
        at += 8
    if at < end and size >= 8:
        # Bytes taken twice do no harm: the length says how many.
        return mix(first, second, word(buffer, end - 8))
    rest = np.uint64(0)
    while at < end:
        rest = (rest << np.uint64(8)) | np.uint64(buffer[np.uint64(at)])
        at += 1
    return mix(first, second, rest)


@kernel
def _fingerprint(buffer: Bytes) -> tuple[np.uint64, np.uint64]:
    """A hash of 128 bits in four lanes: each takes every fourth word, so that they need not wait for each other."""
    a1, a2, b1, b2, c1, c2, d1, d2 = _P1, _P2, _P2, _P3, _P3, _P1, _P1 ^ _P3, _P2 ^ _P1
    at, end = 0, buffer.size
    while at + 32 <= end:
        a1, a2 = mix(a1, a2, word(buffer, at))
        b1, b2 = mix(b1, b2, word(buffer, at + 8))
        c1, c2 = mix(c1, c2, word(buffer, at + 16))
        d1, d2 = mix(d1, d2, word(buffer, at + 24))
        at += 32
    first, second = digest(a1, a2, buffer, at, end)
    for lane in (np.uint64(end), b1, b2, c1, c2, d1, d2):
        first, second = mix(first, second, lane)
    return first, second


def fingerprint(buffer: Bytes) -> str:
    """What tells one body from another, and a retry as the same again, the same in every run: 128 bits in hex.

    It is much faster than a cryptographic hash and no defence: who can make two bodies collide loses one of their own.

    >>> fingerprint(np.frombuffer(b"a" * 100, np.uint8)) == fingerprint(np.frombuffer(b"a" * 101, np.uint8))
    False
    """
    first, second = _fingerprint(buffer)
    return f"{int(first):016x}{int(second):016x}"


@inlined
def find(firsts: Words, seconds: Words, series: Ints, first: np.uint64, second: np.uint64) -> int:
    """The series filed under a hash, or UNKNOWN. Sizes are powers of two and never full; collisions go to the next place."""
    mask = firsts.size - 1
    place = signed(first ^ (first >> _R29)) & mask
    while series[place] != UNKNOWN:
        if firsts[place] == first and seconds[place] == second:
            return signed(series[place])
        place = (place + 1) & mask
    return UNKNOWN


@kernel
def file(firsts: Words, seconds: Words, series: Ints, first: np.uint64, second: np.uint64, identity: int) -> None:
    """File a series under a hash, replacing what was there."""
    mask = firsts.size - 1
    place = signed(first ^ (first >> _R29)) & mask
    while series[place] != UNKNOWN and not (firsts[place] == first and seconds[place] == second):
        place = (place + 1) & mask
    firsts[place] = first
    seconds[place] = second
    series[place] = identity


@kernel
def refile(firsts: Words, seconds: Words, series: Ints, firsts2: Words, seconds2: Words, series2: Ints) -> None:
    """File everything of one table into another."""
    for place in range(series.size):
        if series[place] != UNKNOWN:
            file(firsts2, seconds2, series2, firsts[place], seconds[place], series[place])


@kernel
def _fields(buffer: Bytes, at: int, end: int) -> Ints:
    """Every field of a message: tag, varint, begin, stop. A last row of tag 0 says where it broke."""
    out = np.empty((16, 4), np.int64)
    count = 0
    while at < end:
        tag, value, begin, stop = step(buffer, at, end)
        if count == out.shape[0]:
            wider = np.empty((2 * count, 4), np.int64)
            wider[:count] = out
            out = wider
        out[count, 0] = tag
        out[count, 1] = value
        out[count, 2] = begin
        out[count, 3] = stop
        count += 1
        if stop < 0:
            break
        at = stop
    return out[:count]


def broken(at: int) -> BadRecord:
    """What to raise where a kernel gave up at byte `at`."""
    return BadRecord(f"truncated or garbled protobuf at byte {at}")


def fields(buffer: Bytes, at: int, end: int) -> list[tuple[int, int, int, int]]:
    r"""Every field of a message as (tag, varint or 0, begin, stop), for the paths that are walked rarely.

    >>> fields(np.frombuffer(b"\x08\x96\x01", np.uint8), 0, 3)
    [(8, 150, 1, 3)]
    """
    found: list[Any] = _fields(buffer, at, end).tolist()
    if found and found[-1][3] < 0:
        raise broken(~found[-1][3])
    return [tuple(each) for each in found]


def text(buffer: Bytes, begin: int, stop: int) -> str:
    """The string of a span.

    Raises:
        UnicodeDecodeError: where it is not UTF-8.
    """
    return str(buffer[begin:stop].tobytes(), "utf-8")


class Spans:
    """From the hash of a raw span to its series: open addressing in three arrays, at most half full.

    The hash is seeded anew in each process, so that no sender can aim at another's series. Where `most` is reached the
    table starts again from nothing: memory is bounded, and the spans in use come back by themselves.

    >>> spans = Spans(most=10)
    >>> spans.add(1, 2, 42)
    >>> int(find(*spans.arrays, np.uint64(1), np.uint64(2))), len(spans)
    (42, 1)
    """

    def __init__(self, most: int = 1 << 20) -> None:
        self.seed = (np.uint64(secrets.randbits(64)), np.uint64(secrets.randbits(64)))
        self._most = most
        self._clear()

    def _clear(self) -> None:
        self._size = 0
        self.arrays = self._empty(1024)

    @staticmethod
    def _empty(size: int) -> tuple[Words, Words, Ints]:
        return np.zeros(size, np.uint64), np.zeros(size, np.uint64), np.full(size, UNKNOWN, np.int64)

    def __len__(self) -> int:
        return self._size

    def add(self, first: int, second: int, identity: int) -> None:
        """File `identity` under the two halves of a hash (any 64 bits, signed or not)."""
        if self._size >= self._most:
            self._clear()
        if 2 * self._size >= self.arrays[0].size:
            wider = self._empty(2 * self.arrays[0].size)
            refile(*self.arrays, *wider)
            self.arrays = wider
        whole = (1 << 64) - 1
        file(*self.arrays, np.uint64(first & whole), np.uint64(second & whole), identity)
        self._size += 1
