"""OTLP metrics to columns: gauges, sums, histograms of both sorts, summaries. Source: opentelemetry/proto/metrics/v1/metrics.proto.

A histogram becomes the series Prometheus has for it: `name_bucket{le}` (cumulative over buckets), `name_count`, `name_sum`.
"""

import struct
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

import numpy as np
import polars as pl

from vedette.collect.limits import Limits
from vedette.collect.native import Native, bound_label, doubles, series_of, varints, zigzag
from vedette.collect.otlp_metrics_wire import (
    COUNT,
    DATA,
    EXPONENTIAL,
    FIRST,
    GAUGE,
    HASH1,
    HASH2,
    HISTOGRAM,
    METRIC,
    METRIC_STOP,
    NO_BUCKETS,
    NO_TIME,
    NO_VALUE,
    OTHERS,
    POINT,
    POINT_STOP,
    RECORD,
    REFUSED,
    RESOURCE,
    RESOURCE_STOP,
    SAMPLES,
    STRANGERS,
    SUM,
    SUMMARY,
    walk_metrics,
)
from vedette.collect.otlp_values import labels
from vedette.collect.points import Points, metrics
from vedette.collect.series import SeriesTable, checked
from vedette.collect.wire import Bytes, Ints, Spans, broken, fields, text
from vedette.core.errors import BadRecord
from vedette.core.types import Fault

_TOLD: Final = 10
_MOST_MEMBERS: Final = 1 << 24
#: Points that are read one by one: a body of more would keep others waiting for seconds.
_MOST_OTHERS: Final = 1 << 16
_STALE: Final = struct.unpack("<d", (0x7FF0000000000002).to_bytes(8, "little"))[0]
_DELTA: Final = 1
#: Where the attributes of a point are, by the tag of its metric's data.
_ATTRIBUTES: Final = {GAUGE: 58, SUM: 58, HISTOGRAM: 74, EXPONENTIAL: 10, SUMMARY: 58}
_REASONS: Final = {
    NO_TIME: ("timeUnixNano", "outside the window of times that are taken"),
    NO_VALUE: ("value", "neither asDouble nor asInt is set"),
    NO_BUCKETS: ("bucketCounts", "one count more than there are explicitBounds is expected"),
}
#: A part of a point: what follows the name of the metric, further labels, its kind and its value.
Part = tuple[str, dict[str, str], str, float]


def reason(fault: ValueError) -> str:
    """A fault in words."""
    return "not UTF-8" if isinstance(fault, UnicodeDecodeError) else str(fault)


@dataclass(frozen=True, slots=True)
class _Metric:
    """What a metric says of all its points."""

    name: str
    unit: str
    data: int
    delta: bool
    monotonic: bool

    def kind(self) -> str:
        """The kind of its points, where they are numbers."""
        if self.data != SUM:
            return "gauge"
        return "delta" if self.delta else "counter" if self.monotonic else "gauge"


@dataclass(slots=True)
class _Body:
    """One body while it is read: what it came to, and what its parts were found to be."""

    buffer: Bytes
    faults: list[Fault] = field(default_factory=list)
    rejected: int = 0
    resolved: dict[tuple[int, int], list[int]] = field(default_factory=dict)
    resources: dict[int, list[tuple[str, str]] | ValueError] = field(default_factory=dict)
    metrics: dict[int, _Metric | ValueError] = field(default_factory=dict)

    def refuse(self, position: int, name: str, why: str) -> None:
        self.rejected += 1
        if len(self.faults) < 4 * _TOLD:
            self.faults.append(Fault(position, name, why))

    def told(self) -> tuple[Fault, ...]:
        return tuple(sorted(self.faults, key=lambda fault: fault.position)[:_TOLD])


class Metrics:
    """Decodes ExportMetricsServiceRequest; remembers the raw bytes that spell a series.

    Args:
        table: gives series their identity.
        limits: what is taken.
        source: the name of the source in the books.
    """

    def __init__(self, table: SeriesTable, limits: Limits, source: str) -> None:
        self._table = table
        self._limits = limits
        self._source = source
        self._lock = Lock()
        self._points = Points(width=12)
        self._others = np.empty((0, 12), np.int64)
        self._forget()

    def _forget(self) -> None:
        self._spans = Spans(2 * self._limits.series_per_source)
        self._members = np.empty(1024, np.int64)
        self._filed = 0

    def decode(self, buffer: Bytes, now: int) -> tuple[pl.DataFrame, int, tuple[Fault, ...]]:
        """METRICS of a body, how many points were refused, and the first of them in words.

        Raises:
            BadRecord: the body is broken.
        """
        body = _Body(buffer)
        with self._lock:
            frame = self._columns(body, *self._limits.window(now))
        return frame, body.rejected, body.told()

    def _columns(self, body: _Body, low: int, high: int) -> pl.DataFrame:
        refusals, counts = np.empty((_TOLD, 2), np.int64), np.zeros(5, np.int64)
        self._walk(body.buffer, low, high, refusals, counts)
        for position, why in refusals[: counts[REFUSED]].tolist():
            body.refuse(position, *_REASONS[why])
        body.rejected = int(counts[REFUSED])
        for stranger in self._points.strangers[: counts[STRANGERS]].tolist():
            self._resolve(body, stranger)
        frame, _ = self._points.take(int(counts[SAMPLES]), strange=bool(counts[STRANGERS]))
        if counts[OTHERS]:
            frame = pl.concat([frame, self._expand(body, self._others[: counts[OTHERS]])])
        return frame

    def _walk(self, buffer: Bytes, low: int, high: int, refusals: Ints, counts: Ints) -> None:
        """One walk where the body fits into the room there is, two where not."""
        seed1, seed2 = self._spans.seed
        firsts, seconds, known = self._spans.arrays
        while True:
            points = self._points
            out = (points.series, points.at, points.bits, points.strangers, self._others, refusals, counts)
            end = walk_metrics(buffer, seed1, seed2, firsts, seconds, known, self._members, low, high, *out)
            if end < 0:
                raise broken(~end)
            if counts[OTHERS] > _MOST_OTHERS:
                most = f"at most {_MOST_OTHERS} are taken; send smaller requests"
                message = f"{counts[OTHERS]} exponential histograms and summaries, {most}"
                raise BadRecord(message, field="dataPoints", status=413)
            room = counts[OTHERS] <= len(self._others)
            if not room:
                self._others = np.empty((int(counts[OTHERS]), 12), np.int64)
            if points.fits(int(counts[SAMPLES]), int(counts[STRANGERS])) and room:
                return

    def _resolve(self, body: _Body, stranger: list[int]) -> None:
        """Give a point's series their identities; where its labels cannot be taken, its samples are left UNKNOWN."""
        first, count = stranger[FIRST], stranger[COUNT]
        own = (stranger[HASH1], stranger[HASH2])
        if own in body.resolved:
            self._points.series[first : first + count] = body.resolved[own]
            return
        try:
            metric, found = self._labels(body, stranger)
        except ValueError as fault:
            body.refuse(stranger[RECORD], "attributes", reason(fault))
            return
        if stranger[DATA] != HISTOGRAM:
            identity = self._table.resolve(self._source, metric.name, found, metric.kind(), metric.unit)
            self._points.series[first] = identity
            self._spans.add(*own, identity)
            body.resolved[own] = [identity]
            return
        bounds = [
            each
            for tag, _, begin, stop in fields(body.buffer, stranger[POINT], stranger[POINT_STOP])
            if tag == 58
            for each in doubles(body.buffer, begin, stop)
        ]
        parts = [("_count", {}, "counter"), *(("_bucket", {"le": bound_label(each)}, "bucket") for each in (*bounds, np.inf))]
        parts += [("_sum", {}, "counter")] * (count - len(parts))
        identities = [
            self._table.resolve(
                self._source, metric.name + suffix, {**found, **more}, "delta" if metric.delta else kind, metric.unit
            )
            for suffix, more, kind in parts
        ]
        self._points.series[first : first + count] = identities
        self._file(*own, identities)
        body.resolved[own] = identities

    def _file(self, first: int, second: int, identities: list[int]) -> None:
        """File the series of a histogram one after another, and where they begin under its hash."""
        if self._filed + len(identities) > min(_MOST_MEMBERS, 64 * self._limits.series_per_source):
            self._forget()
        stop = self._filed + len(identities)
        if stop > self._members.size:
            wider = np.empty(2 * stop, np.int64)
            wider[: self._filed] = self._members[: self._filed]
            self._members = wider
        self._members[self._filed : stop] = identities
        self._spans.add(first, second, self._filed)
        self._filed = stop

    def _labels(self, body: _Body, row: list[int]) -> tuple[_Metric, dict[str, str]]:
        """What a point's metric says, and its labels, over those of the resource; ValueError where they cannot be taken."""
        metric = self._metric(body, row[METRIC], row[METRIC_STOP])
        resource = self._resource(body, row[RESOURCE], row[RESOURCE_STOP])
        wanted = _ATTRIBUTES[row[DATA]]
        spans = [(a, b) for tag, _, a, b in fields(body.buffer, row[POINT], row[POINT_STOP]) if tag == wanted]
        own = checked(labels(body.buffer, spans, self._limits.depth), self._limits)
        return metric, checked(list({**dict(resource), **own}.items()), self._limits)

    def _resource(self, body: _Body, begin: int, stop: int) -> list[tuple[str, str]]:
        if begin not in body.resources:
            buffer = body.buffer
            parts = [(a, b) for tag, _, a, b in fields(buffer, begin, stop) if tag == 10]
            spans = [(a, b) for part in parts for tag, _, a, b in fields(buffer, *part) if tag == 10]
            try:
                body.resources[begin] = list(checked(labels(buffer, spans, self._limits.depth), self._limits).items())
            except ValueError as fault:
                body.resources[begin] = fault
        found = body.resources[begin]
        if isinstance(found, ValueError):
            raise found
        return found

    def _metric(self, body: _Body, begin: int, stop: int) -> _Metric:
        if begin not in body.metrics:
            try:
                body.metrics[begin] = _described(body.buffer, begin, stop)
            except ValueError as fault:
                body.metrics[begin] = fault
        found = body.metrics[begin]
        if isinstance(found, ValueError):
            raise found
        return found

    def _expand(self, body: _Body, others: Ints) -> pl.DataFrame:
        """Points that are read one by one: exponential histograms and summaries."""
        out: list[tuple[int, int, float]] = []
        for row in others.tolist():
            try:
                metric, found = self._labels(body, row)
                read = _exponential if row[DATA] == EXPONENTIAL else _summary
                at, parts = read(body.buffer, row[POINT], row[POINT_STOP])
            except ValueError as fault:
                body.refuse(row[RECORD], "dataPoints", reason(fault))
                continue
            for suffix, more, told, value in parts:
                kind = "delta" if metric.delta and told != "gauge" else told
                identity = self._table.resolve(self._source, metric.name + suffix, {**found, **more}, kind, metric.unit)
                out.append((identity, at, value))
        series, times, values = zip(*out, strict=True) if out else ((), (), ())
        return metrics(np.array(series, np.int64), np.array(times, np.int64), np.array(values, np.float64).view(np.int64))


def _described(buffer: Bytes, begin: int, stop: int) -> _Metric:
    """What a Metric message says beside its points; ValueError where it has no name."""
    name, unit, data, temporality, monotonic = "", "", 0, 0, 0
    for tag, _, first, last in fields(buffer, begin, stop):
        if tag == 10:
            name = text(buffer, first, last)
        elif tag == 26:
            unit = text(buffer, first, last)
        elif tag in _ATTRIBUTES:
            data = tag
            told = {key: value for key, value, _, _ in fields(buffer, first, last)}
            temporality, monotonic = told.get(16, 0), told.get(24, 0)
    if not name:
        raise ValueError("the metric has no name")
    return _Metric(name, unit, data, temporality == _DELTA, monotonic != 0)


def _numbers(buffer: Bytes, begin: int, stop: int) -> dict[int, bytes]:
    """The fields of 64 bits of a message by their tag."""
    return {tag: buffer[first:last].tobytes() for tag, _, first, last in fields(buffer, begin, stop) if tag & 7 == 1}


def _real(numbers: dict[int, bytes], tag: int) -> float:
    return float(struct.unpack("<d", numbers[tag])[0]) if tag in numbers else 0.0


def _whole(numbers: dict[int, bytes], tag: int) -> int:
    return int.from_bytes(numbers.get(tag, b""), "little")


def _exponential(buffer: Bytes, begin: int, stop: int) -> tuple[int, list[Part]]:
    """An ExponentialHistogramDataPoint: its time in microseconds, and its parts."""
    numbers = _numbers(buffer, begin, stop)
    scale, flags = 0, 0
    sides: dict[int, dict[int, float]] = {66: {}, 74: {}}
    for tag, value, first, last in fields(buffer, begin, stop):
        if tag == 48:
            scale = zigzag(value)
        elif tag == 80:
            flags = value
        elif tag in sides:
            sides[tag] = _buckets(buffer, first, last)
    if not -10 <= scale <= 20:
        raise ValueError(f"scale {scale} is not known")
    below = sum(sides[74].values()) + _whole(numbers, 57)
    native = Native(_whole(numbers, 33), _real(numbers, 41), scale, below, sides[66])
    parts: list[Part] = [part for part in series_of(native) if part[0] != "_sum" or 41 in numbers or flags & 1]
    return _whole(numbers, 25) // 1000, _marked(parts, flags)


def _buckets(buffer: Bytes, begin: int, stop: int) -> dict[int, float]:
    """The counts of one side. OTLP's bucket i begins at base^i; ours ends there, so that each is one further."""
    offset, counts = 0, list[int]()
    for tag, value, first, last in fields(buffer, begin, stop):
        if tag == 8:
            offset = zigzag(value)
        elif tag == 16:
            counts.append(value)
        elif tag == 18:
            counts += varints(buffer, first, last)
    return {offset + 1 + place: float(count % (1 << 64)) for place, count in enumerate(counts)}


def _summary(buffer: Bytes, begin: int, stop: int) -> tuple[int, list[Part]]:
    """A SummaryDataPoint: its time in microseconds, and its parts."""
    numbers = _numbers(buffer, begin, stop)
    flags = 0
    parts: list[Part] = [("_count", {}, "counter", float(_whole(numbers, 33))), ("_sum", {}, "counter", _real(numbers, 41))]
    for tag, value, first, last in fields(buffer, begin, stop):
        if tag == 64:
            flags = value
        elif tag == 50:
            each = _numbers(buffer, first, last)
            parts.append(("", {"quantile": bound_label(_real(each, 9))}, "gauge", _real(each, 17)))
    return _whole(numbers, 25) // 1000, _marked(parts, flags)


def _marked(parts: list[Part], flags: int) -> list[Part]:
    """The parts with staleness markers instead of values where nothing was recorded."""
    return [(suffix, more, kind, _STALE) for suffix, more, kind, _ in parts] if flags & 1 else parts
