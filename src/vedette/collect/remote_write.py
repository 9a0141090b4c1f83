"""Prometheus remote write, 1.0 and 2.0, to columns. Specification: prometheus.io/docs/specs/prw."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from threading import Lock
from typing import Final

import numpy as np
import polars as pl

from vedette.collect.compression import unsnap
from vedette.collect.limits import Limits
from vedette.collect.native import read_native, series_of, varints
from vedette.collect.points import Points, metrics
from vedette.collect.remote_write_wire import (
    BEGIN,
    COUNT,
    FIRST,
    HASH1,
    HASH2,
    HISTOGRAMS,
    LATE,
    METADATA,
    RECORD,
    SAMPLES,
    SOUND,
    STOP,
    STRANGERS,
    walk,
    walk_symbols,
    walk_tops,
)
from vedette.collect.series import SeriesTable, checked
from vedette.collect.wire import Bytes, Ints, Spans, Words, broken, fields, text
from vedette.core.errors import BadRecord
from vedette.core.types import Delivery, Fault

_NAME: Final = "__name__"
_TOLD: Final = 10
_MOST_SYMBOLS: Final = 1 << 20
_TYPES: Final = ("unknown", "counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset")
_TOO_LATE: Final = "outside the window of times that are taken"
_NO_SYMBOLS: Final = (np.empty(0, np.uint64), np.empty(0, np.uint64))


def kind_of(name: str, labels: Mapping[str, str], metadata: Mapping[str, tuple[str, str]]) -> tuple[str, str]:
    """Kind and unit of a series, from what metadata says of its metric, or else from the suffix of its name.

    >>> kind_of("http_seconds_bucket", {"le": "1"}, {"http_seconds": ("histogram", "seconds")})
    ('bucket', 'seconds')
    >>> kind_of("requests_total", {}, {})
    ('counter', '')
    """
    if name in metadata:
        told, unit = metadata[name]
        return (told if told in ("counter", "gauge") else "gauge" if told == "summary" else "unknown"), unit
    stem, _, suffix = name.rpartition("_")
    told, unit = metadata.get(stem, ("unknown", ""))
    if suffix == "bucket" and "le" in labels:
        return "bucket", unit
    if suffix == "total" or (suffix in ("count", "sum") and told in ("histogram", "summary", "unknown")):
        return "counter", unit
    return "unknown", unit


def _reason(fault: ValueError) -> str:
    return "not UTF-8" if isinstance(fault, UnicodeDecodeError) else str(fault)


def _messages(buffer: Bytes, wanted: int, count: int) -> list[tuple[int, int]]:
    """Where the messages of one tag are, at the top of a body that has been walked."""
    spans = np.empty((count, 2), np.int64)
    walk_tops(buffer, wanted, spans)
    return [(begin, stop) for begin, stop in spans.tolist()]


@dataclass(slots=True)
class _Found:
    """What one body came to, while it is put together."""

    buffer: Bytes
    newer: bool
    places: Ints = field(default_factory=lambda: np.empty((0, 2), np.int64))
    faults: dict[int, Fault] = field(default_factory=dict)
    rejected: int = 0
    written: tuple[int, int, int] = (0, 0, 0)
    resolved: dict[tuple[int, int], int] = field(default_factory=dict)

    def tell(self, position: int, name: str, reason: str) -> None:
        self.faults.setdefault(position, Fault(position, name, reason))

    def refuse(self, position: int, name: str, reason: str) -> None:
        self.rejected += 1
        self.tell(position, name, reason)

    def told(self) -> tuple[Fault, ...]:
        return tuple(self.faults[each] for each in sorted(self.faults)[:_TOLD])


class RemoteWrite:
    """Decodes request bodies; remembers raw label sets, and what metadata said of a metric.

    Args:
        table: gives series their identity.
        limits: what is taken.
    """

    def __init__(self, table: SeriesTable, limits: Limits) -> None:
        self._table = table
        self._limits = limits
        self._spans = {False: Spans(2 * limits.series_per_source), True: Spans(2 * limits.series_per_source)}
        self._metadata: dict[str, tuple[str, str]] = {}
        self._lock = Lock()
        self._points = Points(width=8)
        self._histograms = np.empty((0, 5), np.int64)

    def decode(self, body: bytes, *, now: int, version: int, source: str = "remote_write") -> Delivery:
        """A body as sent (snappy) to columns.

        Args:
            body: the snappy block.
            now: UTC microseconds, for the window of times that are believed.
            version: 1 (`prometheus.WriteRequest`) or 2 (`io.prometheus.write.v2.Request`).
            source: the name of the source in the books.

        Raises:
            BadRecord: 400 where the body is broken, 413 where it is too large. Single samples that cannot be taken are
                counted in `rejected` and told in `faults` instead.
        """
        found = _Found(unsnap(body, self._limits.decoded_bytes), newer=version == 2)
        with self._lock:
            frame = self._columns(found, now, source)
        ids = frame["series"].to_numpy()
        self._table.count_limited(ids)
        definitions = self._table.definitions(np.unique(ids).tolist() if self._table.pending else ())
        return Delivery(
            source,
            {"series": definitions, "metrics": frame},
            rejected=found.rejected,
            faults=found.told(),
            # A retry sends the very same block, and it is a tenth of what it becomes.
            key=sha256(body).hexdigest(),
            written=found.written,
        )

    def _columns(self, found: _Found, now: int, source: str) -> pl.DataFrame:
        low, high = self._limits.window(now)
        window = (-(-low // 1000), high // 1000)
        late, counts = np.empty(_TOLD, np.int64), np.zeros(6, np.int64)
        self._walk(found, window, late, counts)
        for position in late[: counts[LATE]].tolist():
            found.tell(position, "timestamp", _TOO_LATE)
        found.rejected += int(counts[LATE])
        if counts[METADATA] and not found.newer:
            self._learn(found.buffer, int(counts[METADATA]))
        for stranger in self._points.strangers[: counts[STRANGERS]].tolist():
            self._resolve(found, stranger, source)
        frame, left = self._points.take(int(counts[SAMPLES]), strange=bool(counts[STRANGERS]))
        found.rejected += left
        found.written = (frame.height, 0, 0)
        if counts[HISTOGRAMS]:
            more = self._expand(found, self._histograms[: counts[HISTOGRAMS]], window, source)
            frame = pl.concat([frame, more])
        return frame

    def _walk(self, found: _Found, window: tuple[int, int], late: Ints, counts: Ints) -> None:
        """One walk where the body fits into the room there is, two where not."""
        spans = self._spans[found.newer]
        firsts, seconds, known = spans.arrays
        symbols1, symbols2 = self._symbols(found, spans)
        table = (*spans.seed, firsts, seconds, known, symbols1, symbols2)
        while True:
            points = self._points
            out = (points.series, points.at, points.bits, points.strangers, self._histograms, late, counts)
            end = walk(found.buffer, found.newer, *table, *window, *out)
            if end < 0:
                raise broken(~end)
            room = counts[HISTOGRAMS] <= len(self._histograms)
            if not room:
                self._histograms = np.empty((int(counts[HISTOGRAMS]), 5), np.int64)
            if points.fits(int(counts[SAMPLES]), int(counts[STRANGERS])) and room:
                return

    def _symbols(self, found: _Found, spans: Spans) -> tuple[Words, Words]:
        if not found.newer:
            return _NO_SYMBOLS
        most = min(found.buffer.size // 2 + 1, _MOST_SYMBOLS)
        places, firsts, seconds = np.empty((most, 2), np.int64), np.empty(most, np.uint64), np.empty(most, np.uint64)
        count, end = walk_symbols(found.buffer, places, firsts, seconds, *spans.seed)
        if end < 0:
            raise broken(~end)
        if count > most:
            raise BadRecord(f"{count} symbols, at most {most} are taken; send smaller requests", field="symbols", status=413)
        found.places = places[:count]
        return firsts[:count], seconds[:count]

    def _learn(self, buffer: Bytes, count: int) -> None:
        """Keep type and unit of the metrics that a 1.0 request describes."""
        for begin, stop in _messages(buffer, 26, count):
            kind, names = 0, {2: "", 5: ""}
            for tag, value, first, last in fields(buffer, begin, stop):
                if tag == 8:
                    kind = value
                elif tag >> 3 in names:
                    names[tag >> 3] = buffer[first:last].tobytes().decode("utf-8", "replace")
            if len(self._metadata) < self._limits.series_per_source or names[2] in self._metadata:
                self._metadata[names[2]] = (_TYPES[kind] if 0 <= kind < len(_TYPES) else "unknown", names[5])

    def _resolve(self, found: _Found, stranger: list[int], source: str) -> None:
        """Give a time series its identity; where its labels cannot be taken, its samples are left UNKNOWN."""
        first, count = stranger[FIRST], stranger[COUNT]
        own = (stranger[HASH1], stranger[HASH2])
        if stranger[SOUND] and own in found.resolved:
            self._points.series[first : first + count] = found.resolved[own]
            return
        try:
            pairs, described = self._labels(found, stranger[BEGIN], stranger[STOP])
            name, labels = self._named(pairs)
        except ValueError as fault:
            for each in range(stranger[RECORD], stranger[RECORD] + min(count, _TOLD)):
                found.tell(each, "labels", _reason(fault))
            return
        kind, unit = kind_of(name, labels, described or self._metadata)
        identity = self._table.resolve(source, name, labels, kind, unit)
        self._points.series[first : first + count] = identity
        self._spans[found.newer].add(*own, identity)
        found.resolved[own] = identity

    def _labels(self, found: _Found, begin: int, stop: int) -> tuple[list[tuple[str, str]], dict[str, tuple[str, str]]]:
        """Names and values of a time series, and what 2.0 says of its metric."""
        buffer = found.buffer
        if not found.newer:
            pairs = []
            for tag, _, first, last in fields(buffer, begin, stop):
                if tag == 10:
                    parts = {key: (a, b) for key, _, a, b in fields(buffer, first, last)}
                    pairs.append((text(buffer, *parts.get(10, (0, 0))), text(buffer, *parts.get(18, (0, 0)))))
            return pairs, {}
        references: list[int] = []
        kind, unit = 0, 0
        for tag, _, first, last in fields(buffer, begin, stop):
            if tag == 8:
                raise ValueError("references must be packed")
            if tag == 10:
                references += varints(buffer, first, last)
            elif tag == 42:
                told = {key: value for key, value, _, _ in fields(buffer, first, last)}
                kind, unit = told.get(8, 0), told.get(32, 0)
        if len(references) % 2:
            raise ValueError("an odd number of references")
        words = [self._symbol(found, each) for each in references]
        pairs = list(zip(words[::2], words[1::2], strict=True))
        name = dict(pairs).get(_NAME, "")
        described = {name: (_TYPES[kind], self._symbol(found, unit))} if 0 < kind < len(_TYPES) else {}
        return pairs, described

    @staticmethod
    def _symbol(found: _Found, reference: int) -> str:
        if not 0 <= reference < len(found.places):
            raise ValueError(f"there is no symbol {reference}")
        begin, stop = found.places[reference].tolist()
        return text(found.buffer, begin, stop)

    def _named(self, pairs: list[tuple[str, str]]) -> tuple[str, dict[str, str]]:
        """The name of a metric and its labels; ValueError where they cannot be taken."""
        name = dict(pairs).get(_NAME)
        if not name:
            raise ValueError(f"{_NAME} is missing")
        names = checked(pairs, self._limits)
        del names[_NAME]
        return name, names

    def _expand(self, found: _Found, histograms: Ints, window: tuple[int, int], source: str) -> pl.DataFrame:
        out: list[tuple[int, int, float]] = []
        taken = 0
        for begin, stop, first, last, position in histograms.tolist():
            try:
                pairs, _ = self._labels(found, begin, stop)
                name, labels = self._named(pairs)
            except ValueError as fault:
                found.refuse(position, "labels", _reason(fault))
                continue
            try:
                native = read_native(found.buffer, first, last)
            except ValueError as fault:
                found.refuse(position, "histograms", _reason(fault))
                continue
            if not window[0] <= native.time <= window[1]:
                found.refuse(position, "timestamp", _TOO_LATE)
                continue
            taken += 1
            for suffix, more, kind, value in series_of(native):
                identity = self._table.resolve(source, name + suffix, {**labels, **more}, kind)
                out.append((identity, native.time * 1000, value))
        found.written = (found.written[0], taken, 0)
        series, at, values = zip(*out, strict=True) if out else ((), (), ())
        return metrics(np.array(series, np.int64), np.array(at, np.int64), np.array(values, np.float64).view(np.int64))
