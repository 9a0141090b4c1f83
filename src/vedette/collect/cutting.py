"""Bodies of any size cut into records as they arrive: of an unfinished record no more is held than may be taken."""

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from vedette.collect.limits import Limits
from vedette.core.errors import BadRecord

_TOKENS: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{},"]', re.DOTALL)


class Records(NamedTuple):
    """JSON records: the bytes of each, and of those that were cut the length as sent, by their number."""

    raws: Sequence[bytes]
    lengths: Mapping[int, int]


class Block(NamedTuple):
    """Lines with a newline between them, and of those that were cut the length as sent, by the number of the line."""

    raw: bytes
    lengths: Mapping[int, int]

    def records(self) -> Records:
        r"""The lines that are not blank.

        >>> Block(b"1\n\n 2\r", {2: 9}).records()
        Records(raws=[b'1', b'2'], lengths={1: 9})
        """
        lines = [line.strip() for line in self.raw.split(b"\n")]
        raws = [line for line in lines if line]
        if not self.lengths:
            return Records(raws, {})
        numbers = (number for number, line in enumerate(lines) if line)
        return Records(raws, {place: self.lengths[number] for place, number in enumerate(numbers) if number in self.lengths})


class Lines:
    r"""Cuts a stream of bytes at newlines; of an unfinished line about `limit` bytes are held, and the rest is counted.

    >>> lines = Lines(limit=4)
    >>> lines.feed(b"one\nlonger than"), lines.finish()
    (Block(raw=b'one', lengths={}), Block(raw=b'long', lengths={0: 11}))
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = bytearray()
        self._lost = 0

    def feed(self, chunk: bytes) -> Block:
        """The lines that `chunk` ends."""
        end = chunk.rfind(b"\n")
        if end < 0:
            self._hold(chunk)
            return Block(b"", {})
        begin = chunk.find(b"\n") if self._lost else 0
        block = self._block(chunk[begin:end], begin)
        self._hold(chunk[end + 1 :])
        return block

    def finish(self) -> Block:
        """The last line, where it had no newline."""
        return self._block(b"", 0)

    def _hold(self, part: bytes) -> None:
        room = self._limit + 1 - len(self._held)
        self._held += part[:room]
        self._lost += max(len(part) - room, 0)

    def _block(self, rest: bytes, lost: int) -> Block:
        raw, lengths = _shortened(bytes(self._held) + rest, self._limit)
        if self._lost:
            lengths[0] += self._lost + lost
        self._held.clear()
        self._lost = 0
        return Block(raw, lengths)


def _shortened(raw: bytes, limit: int) -> tuple[bytes, dict[int, int]]:
    """Lines without what is beyond `limit` bytes of each; looks only at one byte in `limit` where all are short."""
    parts: list[bytes] = []
    lengths: dict[int, int] = {}
    at = number = 0
    while len(raw) - at > limit:
        newline = raw.rfind(b"\n", at, at + limit + 1)
        if newline >= 0:
            parts.append(raw[at : newline + 1])
            number += parts[-1].count(b"\n")
            at = newline + 1
        else:
            end = raw.find(b"\n", at + limit)
            end = len(raw) if end < 0 else end
            lengths[number] = end - at
            parts.append(raw[at : _between_characters(raw, at, at + limit)])
            at = end
    return b"".join((*parts, raw[at:])) if parts else raw, lengths


def _between_characters(raw: bytes, begin: int, stop: int) -> int:
    """The last place up to `stop` that is within no character of UTF-8; `stop` itself where it is none at all."""
    return next((at for at in range(stop, max(stop - 4, begin), -1) if raw[at] & 0xC0 != 0x80), stop)


class JsonLines:
    """`Lines` of JSON; blank ones do not count."""

    def __init__(self, limit: int) -> None:
        self._lines = Lines(limit)

    def feed(self, chunk: bytes) -> Records:
        """The records that `chunk` ends."""
        return self._lines.feed(chunk).records()

    def finish(self) -> Records:
        """The last record, where it had no newline."""
        return self._lines.finish().records()


class Elements:
    """Cuts a stream of bytes that is one JSON array into its elements, without recursion.

    Raises:
        BadRecord: nesting beyond `depth`, an element longer than `limit` bytes, text after the array, or no end.

    >>> elements = Elements(limit=100, depth=8)
    >>> elements.feed(b'[1, {"a": "],"}').raws, elements.feed(b", 2]").raws
    ([b'1'], [b'{"a": "],"}', b'2'])
    """

    def __init__(self, limit: int, depth: int) -> None:
        self._limit = limit
        self._deepest = depth
        self._held = bytearray()
        self._from = 0
        self._depth = 0
        self._closed = False

    def feed(self, chunk: bytes) -> Records:
        """The elements that `chunk` ends."""
        self._held += chunk
        raws: list[bytes] = []
        start, reached = 0, len(self._held)
        for token in _TOKENS.finditer(self._held, self._from):
            mark = token.group()
            if mark == b'"':  # a string that the next chunk goes on with
                reached = token.start()
                break
            above = self._depth
            self._step(mark)
            if above == 0:
                start = token.end()
            elif self._depth == 0 or (mark == b"," and above == 1):
                element = bytes(self._held[start : token.start()]).strip()
                if element or mark == b",":
                    raws.append(element)
                start = token.end()
        del self._held[:start]
        self._from = reached - start
        self._check()
        return Records(raws, {})

    def finish(self) -> Records:
        """Nothing is left once the array is closed."""
        if not self._closed:
            raise BadRecord("expected ']' at the end of the JSON array, got the end of the body")
        return Records((), {})

    def _step(self, mark: bytes) -> None:
        if self._closed or (self._depth == 0 and mark != b"["):
            raise BadRecord("expected one JSON array and nothing after it")
        if mark in (b"[", b"{"):
            self._depth += 1
        elif mark in (b"]", b"}"):
            self._depth -= 1
            self._closed = self._depth == 0
        if self._depth > self._deepest:
            raise BadRecord(f"JSON nests deeper than {self._deepest} levels")

    def _check(self) -> None:
        if self._closed and self._held.strip():
            raise BadRecord("expected one JSON array and nothing after it")
        if len(self._held) > self._limit:
            raise BadRecord(f"expected an element of at most {self._limit} bytes")


class OneObject:
    """A body that is one JSON object, over however many lines: one record."""

    def feed(self, chunk: bytes) -> Records:
        """The object."""
        return Records([chunk.strip()], {})

    def finish(self) -> Records:
        """Nothing is left."""
        return Records((), {})


def json_cutter(begin: bytes, limits: Limits, *, whole: bool) -> JsonLines | Elements | OneObject:
    r"""What cuts a body of JSON that begins with `begin`: an array into elements, one object as it is, anything else into lines.

    Args:
        begin: the first bytes, without blanks before them.
        limits: bounds on a record.
        whole: whether that is all of the body; a longer one is no single record.

    >>> type(json_cutter(b'{\n  "name": "m"\n}', Limits(), whole=True)).__name__
    'OneObject'
    """
    if begin.startswith(b"["):
        return Elements(limits.line_bytes, limits.depth)
    if whole and len(begin) <= limits.line_bytes and _is_one(begin):
        return OneObject()
    return JsonLines(limits.line_bytes)


def _is_one(raw: bytes) -> bool:
    try:
        msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return True
