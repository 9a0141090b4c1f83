"""Bodies of any size, cut into pieces of whole records as they arrive.

Where a piece ends depends on the content alone, never on how the network cut it: a sender that repeats a body with its idempotency
key repeats the very same pieces. At most one piece and one unfinished record are held.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, Protocol

import numpy as np

from vedette.core.errors import BadRecord

PIECE_BYTES: Final = 4 << 20
PIECE_RECORDS: Final = 50_000

_BOM: Final = b"\xef\xbb\xbf"
_STRING: Final = rb'"(?:[^"\\]++|\\.)*+"'
_FLAT: Final = rb'[^][{}"]++|' + _STRING
_TOKENS: Final = re.compile(_STRING + rb'|[\[\]{},"]', re.DOTALL)
#: The same, but an object that holds nothing deeper than an object of plain values is one token: most records are.
_OBJECTS: Final = re.compile(rb"\{(?:" + _FLAT + rb"|\{(?:" + _FLAT + rb")*+\})*+\}|" + _TOKENS.pattern, re.DOTALL)
#: A pretty-printed object begins with a brace alone on its line; no line of JSON lines does, with a name on the next.
_PRETTY: Final = re.compile(rb'\{[ \t\r]*\n\s*["}]')


@dataclass(frozen=True, slots=True)
class Piece:
    r"""Some records of a body.

    Attributes:
        raw: the records, each ended by a newline.
        cut: index of a line in `raw` -> its length as sent, for those that were too long to be held whole.
    """

    raw: bytes
    cut: Mapping[int, int] = field(default_factory=dict)

    def records(self) -> tuple[list[bytes], dict[int, int]]:
        r"""The records that are not blank, one by one, and of those that were cut the length as sent.

        >>> Piece(b"one\r\n\ntw\n", {2: 9}).records()
        ([b'one', b'tw'], {1: 9})
        """
        lines = [line.strip() for line in self.raw.split(b"\n")]
        kept = [index for index, line in enumerate(lines) if line]
        cut = {place: self.cut[index] for place, index in enumerate(kept) if index in self.cut} if self.cut else {}
        return [lines[index] for index in kept], cut


class Cutter(Protocol):
    """Takes a body as it arrives."""

    def feed(self, chunk: bytes) -> Iterator[Piece]:
        """The pieces that `chunk` completes."""

    def finish(self) -> Iterator[Piece]:
        """What is left when the body ends."""


def cutter(begin: bytes, *, as_json: bool, limit: int, depth: int) -> Cutter:
    """What cuts a body that begins so: lines; of JSON also one array, or objects spread over several lines.

    Args:
        begin: the beginning, as much of it as `is_telling` wants.
        as_json: whether its records are JSON.
        limit: bytes of a record.
        depth: nesting of a record.
    """
    words = begin.lstrip()
    if as_json and words.startswith(b"["):
        return Elements(limit, depth)
    if as_json and _PRETTY.match(words):
        return Elements(limit, depth, inside=0)
    return Lines(limit)


def is_telling(begin: bytes, *, as_json: bool) -> bool:
    r"""Whether so much of a body is enough to tell how it is to be cut.

    >>> is_telling(b"{ \n ", as_json=True), is_telling(b' { "a"', as_json=True), is_telling(b" ", as_json=False)
    (False, True, True)
    """
    return not as_json or bool(begin.lstrip().removeprefix(b"{").strip())


def without_mark(begin: bytes) -> bytes | None:
    r"""`begin` without a byte order mark; None while it may still become one.

    >>> without_mark(b"\xef\xbb\xbfa"), without_mark(b"\xef\xbb"), without_mark(b"a")
    (b'a', None, b'a')
    """
    return None if len(begin) < len(_BOM) and _BOM.startswith(begin) else begin.removeprefix(_BOM)


class Lines:
    r"""Cuts at newlines. Of a line longer than `limit` bytes the rest is counted, not held.

    >>> lines = Lines(limit=4, size=1)
    >>> list(lines.feed(b"one\nlonger than")), list(lines.finish())
    ([Piece(raw=b'one\n', cut={})], [Piece(raw=b'long\n', cut={0: 11})])
    """

    def __init__(self, limit: int, size: int = PIECE_BYTES, records: int = PIECE_RECORDS) -> None:
        self._limit = limit
        self._size = size
        self._most = records
        self._held = bytearray()
        self._count = 0  # whole lines held
        self._tail = 0  # bytes held of the line at hand
        self._length = 0  # bytes of it as sent
        self._sent = 0  # bytes of the piece as sent
        self._cut: dict[int, int] = {}

    def feed(self, chunk: bytes) -> Iterator[Piece]:
        """The pieces that `chunk` completes."""
        ends = np.flatnonzero(np.frombuffer(chunk, np.uint8) == 10) + 1
        at = line = 0
        while line < len(ends):
            # The piece ends behind its first line that reaches its size, or behind its last record.
            by_size = int(np.searchsorted(ends, at + self._size - self._sent))
            last = min(by_size, line + self._most - self._count - 1, len(ends) - 1)
            self._add(chunk, at, ends[line : last + 1])
            at, line = int(ends[last]), last + 1
            if self._sent >= self._size or self._count >= self._most:
                yield self._take()
        self._hold(chunk[at:])

    def finish(self) -> Iterator[Piece]:
        """The last lines, whether or not a newline ends them."""
        if self._length:
            self._end()
        if self._count:
            yield self._take()

    def _add(self, chunk: bytes, at: int, ends: np.ndarray) -> None:
        first = int(ends[0])
        self._hold(chunk[at : first - 1])
        self._end()
        if len(ends) > 1 and int(np.diff(ends).max()) > self._limit + 1:
            for begin, end in pairwise(ends.tolist()):
                self._hold(chunk[begin : end - 1])
                self._end()
            return
        inner = chunk[first : int(ends[-1])]
        self._held += inner
        self._sent += len(inner)
        self._count += len(ends) - 1

    def _hold(self, part: bytes) -> None:
        kept = part[: self._limit - self._tail]
        self._held += kept
        self._tail += len(kept)
        self._length += len(part)
        self._sent += len(part)

    def _end(self) -> None:
        if self._length > self._tail:
            self._cut[self._count] = self._length
            del self._held[between_characters(self._held, self._tail) :]
        self._held += b"\n"
        self._sent += 1
        self._count += 1
        self._tail = self._length = 0

    def _take(self) -> Piece:
        piece = Piece(bytes(self._held), self._cut)
        self._held = bytearray()
        self._count = self._sent = 0
        self._cut = {}
        return piece


def between_characters(raw: bytes | bytearray, size: int) -> int:
    r"""The length of `raw` without an unfinished character of UTF-8 at its end, which has `size` bytes to look at.

    >>> between_characters("caf\u00e9".encode()[:-1], 4), between_characters(b"cafe", 4)
    (3, 4)
    """
    for back in range(1, min(size, 4) + 1):
        byte = raw[-back]
        if byte & 0xC0 != 0x80:
            width = 1 + (byte >= 0xC0) + (byte >= 0xE0) + (byte >= 0xF0) if byte < 0xF8 else 1
            return len(raw) - back if width > back else len(raw)
    return len(raw)


class Elements:
    r"""Cuts one JSON array into its elements, or JSON objects that follow each other (`inside=0`), without recursion.

    Newlines between the words of an element become blanks, so that each is a line; an element that is missing is a comma.

    Raises:
        BadRecord: nesting beyond `depth`, an element longer than `limit` bytes, text behind the end, or no end.

    >>> elements = Elements(limit=100, depth=8, size=1)
    >>> [each.raw for each in elements.feed(b'[1, {"a": "],"}')], [each.raw for each in elements.feed(b", 2]")]
    ([b'1\n'], [b'{"a": "],"}\n', b'2\n'])
    """

    def __init__(self, limit: int, depth: int, *, inside: int = 1, size: int = PIECE_BYTES, records: int = PIECE_RECORDS) -> None:
        self._limit = limit
        self._deepest = depth
        self._inside = inside
        self._tokens = _OBJECTS if inside and depth > 2 else _TOKENS
        self._size = size
        self._most = records
        self._held = bytearray()
        self._from = 0
        self._depth = 0
        self._closed = False
        self._done = bytearray()
        self._count = 0

    def feed(self, chunk: bytes) -> Iterator[Piece]:
        """The pieces that `chunk` completes."""
        self._held += chunk
        start, reached = 0, len(self._held)
        for token in self._tokens.finditer(self._held, self._from):
            mark = token.group()
            if self._depth and len(mark) > 1:
                continue
            if mark == b'"':  # a string that the next chunk goes on with
                reached = token.start()
                break
            above = self._depth
            self._step(mark)
            end = token.start() + (self._inside == 0)
            if above < self._inside:
                start = token.end()
            elif above == 0 and self._held[start : token.start()].strip():
                raise BadRecord("expected JSON objects and nothing between them")
            elif self._depth == 0 or (mark == b"," and above == self._inside == 1):
                yield from self._element(bytes(self._held[start:end]).strip(), ended=mark == b"," or not self._inside)
                start = token.end()
        del self._held[:start]
        self._from = reached - start
        self._check()

    def finish(self) -> Iterator[Piece]:
        """The last elements."""
        if not self._closed:
            raise BadRecord("expected the end of the JSON document, got the end of the body")
        if self._count:
            yield self._take()

    def _element(self, raw: bytes, *, ended: bool) -> Iterator[Piece]:
        if not raw and not ended:
            return
        if len(raw) > self._limit:
            raise BadRecord(f"expected an element of at most {self._limit} bytes")
        self._done += (raw.replace(b"\n", b" ").replace(b"\r", b" ") or b",") + b"\n"
        self._count += 1
        if len(self._done) >= self._size or self._count >= self._most:
            yield self._take()

    def _take(self) -> Piece:
        piece = Piece(bytes(self._done))
        self._done = bytearray()
        self._count = 0
        return piece

    def _step(self, mark: bytes) -> None:
        if self._inside and (self._closed or (self._depth == 0 and mark != b"[")):
            raise BadRecord("expected one JSON array and nothing after it")
        if not self._inside and self._depth == 0 and mark != b"{":
            raise BadRecord("expected JSON objects and nothing between them")
        if mark in (b"[", b"{"):
            self._depth += 1
        elif mark in (b"]", b"}"):
            self._depth -= 1
        self._closed = self._depth == 0
        if self._depth > self._deepest:
            raise BadRecord(f"JSON nests deeper than {self._deepest} levels")

    def _check(self) -> None:
        if self._closed and self._held.strip():
            raise BadRecord("expected one JSON document and nothing after it")
        if len(self._held) > self._limit:
            raise BadRecord(f"expected an element of at most {self._limit} bytes")
