"""Exponential ("native") histograms, brought to cumulative buckets at powers of two so that histograms of all senders compare."""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from vedette.collect.wire import Bytes, fields, varint

_CUSTOM = -53
#: The bits by which Prometheus says that a series has ended; of a histogram they are its sum's.
_STALE = (0x7FF0000000000002).to_bytes(8, "little")


@dataclass(frozen=True, slots=True)
class Native:
    """One histogram: bucket i of `positive` counts values in (base^(i-1), base^i], base = 2^(2^-schema).

    Attributes:
        bounds: upper bounds of the buckets where they are the sender's own; bucket i then ends at `bounds[i]`.
        below: observations that are zero or negative.
        time: UTC milliseconds.
    """

    count: float
    total: float
    schema: int
    below: float
    positive: Mapping[int, float]
    bounds: tuple[float, ...] = ()
    time: int = 0

    def cumulative(self) -> Iterator[tuple[float, float]]:
        """Upper bound and count of all observations up to it, ending with infinity.

        >>> list(Native(5, 9.0, 1, 1, {1: 1, 2: 1, 3: 2}).cumulative())
        [(0.0, 1.0), (2.0, 3.0), (4.0, 5.0), (inf, 5.0)]
        """
        running = float(self.below)
        if not self.bounds:
            yield 0.0, running
        merged: dict[int, float] = {}
        shift, coarse = max(self.schema, 0), max(-self.schema, 0)
        # Beyond these no double lies: what a sender claims there is counted at the edge, and no gap costs a long walk.
        lowest, highest = (0, len(self.bounds) - 1) if self.bounds else (-(1074 >> coarse), 1024 >> coarse)
        for index, count in self.positive.items():
            place = index if self.bounds else ((index - 1) >> shift) + 1
            place = min(max(place, lowest), highest)
            merged[place] = merged.get(place, 0.0) + count
        for place in range(min(merged), max(merged) + 1) if merged else ():
            running += merged.get(place, 0.0)
            bound = self._bound(place)
            if bound != float("inf"):
                yield bound, running
        yield float("inf"), float(self.count)

    def _bound(self, place: int) -> float:
        if self.bounds:
            return self.bounds[place]
        exponent = place << max(-self.schema, 0)
        return 2.0**exponent if exponent < 1024 else float("inf")


def bound_label(bound: float) -> str:
    """The value of the label `le` as Prometheus writes it.

    >>> bound_label(float("inf")), bound_label(2.0), bound_label(0.25)
    ('+Inf', '2', '0.25')
    """
    return "+Inf" if bound == float("inf") else f"{bound:.17g}" if float(f"{bound:.12g}") != bound else f"{bound:.12g}"


def varints(buffer: Bytes, begin: int, stop: int) -> list[int]:
    """The packed varints of a span; ValueError where they break."""
    found = []
    while begin < stop:
        value, begin = varint(buffer, begin, stop)
        if begin < 0:
            raise ValueError(f"broken number at byte {~begin}")
        found.append(int(value))
    return found


def zigzag(value: int) -> int:
    """A sint as it is meant."""
    value &= (1 << 64) - 1
    return (value >> 1) ^ -(value & 1)


def doubles(buffer: Bytes, begin: int, stop: int) -> list[float]:
    """The packed doubles of a span."""
    return [each[0] for each in struct.iter_unpack("<d", buffer[begin:stop].tobytes()[: (stop - begin) // 8 * 8])]


def _side(buffer: Bytes, spans: list[tuple[int, int]], deltas: list[int], counts: list[float]) -> dict[int, float]:
    found: dict[int, float] = {}
    index, running, taken = 0, 0, 0
    values = [float(each) for each in counts]
    for delta in deltas:
        running += delta
        values.append(float(running))
    for begin, stop in spans:
        offset = length = 0
        for tag, value, _, _ in fields(buffer, begin, stop):
            offset = zigzag(value) if tag == 8 else offset
            length = value if tag == 16 else length
        index += offset
        if not 0 <= length <= len(values) - taken or abs(index) > 1 << 31:
            raise ValueError("spans and counts of buckets do not fit")
        found.update(zip(range(index, index + length), values[taken : taken + length], strict=True))
        taken += length
        index += length
    return found


def read_native(buffer: Bytes, begin: int, stop: int) -> Native:
    """A `prometheus.Histogram` message (the same numbers in 1.0 and 2.0).

    Raises:
        BadRecord: where the bytes are broken.
        ValueError: where its parts do not fit together.
    """
    whole = {8: 0, 32: 0, 48: 0, 120: 0}
    real = {17: 0.0, 25: 0.0, 57: 0.0}
    lists: dict[int, list[tuple[int, int]]] = {}
    for tag, value, first, last in fields(buffer, begin, stop):
        if tag in whole:
            whole[tag] = value
        elif tag in real:
            real[tag] = doubles(buffer, first, last)[0]
        elif tag & 7 == 2:
            lists.setdefault(tag >> 3, []).append((first, last))
    sides = []
    for spans, deltas, counts in ((8, 9, 10), (11, 12, 13)):
        steps = [zigzag(each) for span in lists.get(deltas, []) for each in varints(buffer, *span)]
        direct = [each for span in lists.get(counts, []) for each in doubles(buffer, *span)]
        sides.append(_side(buffer, lists.get(spans, []), steps, direct))
    schema = zigzag(whole[32])
    bounds = tuple(each for span in lists.get(16, []) for each in doubles(buffer, *span))
    if schema != _CUSTOM and not -4 <= schema <= 8:
        raise ValueError(f"schema {schema} is not known")
    below = sum(sides[0].values()) + whole[48] + real[57]
    custom = (*bounds, float("inf")) if schema == _CUSTOM else ()
    return Native(whole[8] + real[17], real[25], schema, below, sides[1], custom, whole[120])


def series_of(native: Native) -> Iterator[tuple[str, dict[str, str], str, float]]:
    """The series a histogram becomes: suffix of the name, further labels, kind, value. All of them end where it has ended."""
    ended = struct.pack("<d", native.total) == _STALE
    yield "_count", {}, "counter", native.total if ended else native.count
    yield "_sum", {}, "counter", native.total
    for bound, count in native.cumulative():
        yield "_bucket", {"le": bound_label(bound)}, "bucket", native.total if ended else count
