"""Prometheus remote write, 1.0 and 2.0, to columns. Specification: prometheus.io/docs/specs/prw."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from threading import Lock
from typing import Final

import numpy as np
import polars as pl

from vedette.collect.compression import decompress
from vedette.collect.limits import Limits
from vedette.collect.native import read_native, series_of, varints
from vedette.collect.series import SeriesTable
from vedette.collect.wire import (
    UNKNOWN,
    Bytes,
    Ints,
    Spans,
    Words,
    broken,
    digest,
    fields,
    find,
    kernel,
    mix,
    signed,
    step,
    text,
    varint,
    word,
)
from vedette.core.errors import BadRecord
from vedette.core.frames import AT
from vedette.core.types import Delivery, Fault

_RAW: Final = {"series": pl.Int64, "at": pl.Int64, "value": pl.Float64}
_NAME: Final = "__name__"
_TOLD: Final = 10
_MOST_SYMBOLS: Final = 1 << 20
#: Places in the counters that a kernel keeps.
_SAMPLES, _ROWS, _HISTOGRAMS, _REJECTED, _POSITION = range(5)
#: Columns of a row: one time series of the body.
_ID, _BEGIN, _STOP, _HASH1, _HASH2, _FIRST, _RECORDS = range(7)
_TYPES: Final = ("unknown", "counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset")
_LATE: Final = "outside the window of times that are taken"


@kernel
def _symbols(buffer: Bytes, spans: Ints, firsts: Words, seconds: Words, seed1: np.uint64, seed2: np.uint64) -> tuple[int, int]:
    """Hash the symbol table of a 2.0 request; how many symbols, and where it broke (or the end)."""
    at, count = 0, 0
    while at < buffer.size:
        tag, _, begin, stop = step(buffer, at, buffer.size)
        if stop < 0:
            return count, stop
        if tag == 34 and count < spans.shape[0]:
            spans[count, 0] = begin
            spans[count, 1] = stop
            firsts[count], seconds[count] = digest(seed1, seed2, buffer, begin, stop)
        count += tag == 34
        at = stop
    return count, at


@kernel
def _tops(buffer: Bytes, wanted: int, spans: Ints) -> int:
    """Fill `spans` with the messages of one tag at the top; how many there are."""
    at, count = 0, 0
    while at < buffer.size:
        tag, _, begin, stop = step(buffer, at, buffer.size)
        if tag == wanted:
            if count < spans.shape[0]:
                spans[count, 0], spans[count, 1] = begin, stop
            count += 1
        at = stop
    return count


@kernel
def _references(
    buffer: Bytes, at: int, end: int, first: np.uint64, second: np.uint64, firsts: Words, seconds: Words
) -> tuple[np.uint64, np.uint64, bool, int]:
    """Take packed references into a hash; whether all exist, and where it broke (or the end)."""
    sound = True
    while at < end:
        value, at = varint(buffer, at, end)
        if at < 0:
            return first, second, False, at
        if 0 <= value < firsts.size:
            first, second = mix(first, second, firsts[value])
            first, second = mix(first, second, seconds[value])
        else:
            sound = False
    return first, second, sound, at


@kernel
def _sample(buffer: Bytes, at: int, end: int) -> tuple[np.uint64, int, int]:
    """A sample: the bits of its value, its time in milliseconds, and where it broke (or the end)."""
    bits, time = np.uint64(0), signed(0)
    if end - at > 10 and buffer[at] == 9:
        bits = word(buffer, at + 1)
        at += 9
    while at < end:
        tag, value, begin, stop = step(buffer, at, end)
        if stop < 0:
            return bits, time, stop
        if tag == 9:
            bits = word(buffer, begin)
        elif tag == 16:
            time = value
        at = stop
    return bits, time, at


@kernel
def _one(  # noqa: PLR0912 -- one branch a field
    buffer: Bytes,
    at: int,
    end: int,
    newer: bool,  # noqa: FBT001 -- a kernel has no keywords
    hashes: tuple[np.uint64, np.uint64],
    symbols: tuple[Words, Words],
    window: tuple[int, int],
    samples: tuple[Ints, Words, Ints, Ints],
    histograms: Ints,
    rejects: Ints,
    count: Ints,
) -> tuple[np.uint64, np.uint64, bool, int]:
    """One time series: its samples go out, the hash of its labels comes back, and whether its references exist."""
    first, second = hashes
    ats, bits, owners, positions = samples
    sound = True
    while at < end:
        tag, _, begin, stop = step(buffer, at, end)
        if stop < 0:
            return first, second, sound, stop
        if tag == 10 and newer:
            first, second, well, broke = _references(buffer, begin, stop, first, second, symbols[0], symbols[1])
            sound = sound and well
            if broke < 0:
                return first, second, sound, broke
        elif tag == 10:
            first, second = digest(first, second, buffer, begin, stop)
        elif tag == 8 and newer:
            sound = False
        elif tag == 18:
            value_bits, time, broke = _sample(buffer, begin, stop)
            if broke < 0:
                return first, second, sound, broke
            if window[0] <= time <= window[1]:
                n = count[_SAMPLES]
                ats[n] = time * 1000
                bits[n] = value_bits
                owners[n] = count[_ROWS]
                positions[n] = count[_POSITION]
                count[_SAMPLES] += 1
            else:
                if count[_REJECTED] < rejects.size:
                    rejects[count[_REJECTED]] = count[_POSITION]
                count[_REJECTED] += 1
            count[_POSITION] += 1
        elif tag == (26 if newer else 34):
            if count[_HISTOGRAMS] < histograms.shape[0]:
                row = histograms[count[_HISTOGRAMS]]
                row[0], row[1], row[2], row[3] = count[_ROWS], begin, stop, count[_POSITION]
            count[_HISTOGRAMS] += 1
            count[_POSITION] += 1
        at = stop
    return first, second, sound, at


@kernel
def _walk(
    buffer: Bytes,
    newer: bool,  # noqa: FBT001 -- a kernel has no keywords
    seed: tuple[np.uint64, np.uint64],
    table: tuple[Words, Words, Ints],
    symbols: tuple[Words, Words],
    window: tuple[int, int],
    samples: tuple[Ints, Words, Ints, Ints],
    rows: Ints,
    histograms: Ints,
    rejects: Ints,
    count: Ints,
) -> int:
    """Every time series of a request; where it broke (or the end)."""
    at = 0
    wanted = 42 if newer else 10
    while at < buffer.size:
        tag, _, begin, stop = step(buffer, at, buffer.size)
        if stop < 0:
            return stop
        if tag == wanted:
            before, had, position = count[_SAMPLES], count[_HISTOGRAMS], count[_POSITION]
            first, second, sound, broke = _one(
                buffer, begin, stop, newer, seed, symbols, window, samples, histograms, rejects, count
            )
            if broke < 0:
                return broke
            if count[_SAMPLES] > before or count[_HISTOGRAMS] > had:
                row = rows[count[_ROWS]]
                row[_ID] = find(table[0], table[1], table[2], first, second) if sound else UNKNOWN
                row[_BEGIN], row[_STOP] = begin, stop
                row[_HASH1], row[_HASH2] = signed(first), signed(second)
                row[_FIRST], row[_RECORDS] = position, count[_POSITION] - position
                count[_ROWS] += 1
        at = stop
    return at


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


def _messages(buffer: Bytes, wanted: int) -> list[tuple[int, int]]:
    """Where the messages of one tag are, at the top of a body that has been walked."""
    spans = np.empty((64, 2), np.int64)
    found = _tops(buffer, wanted, spans)
    if found > len(spans):
        spans = np.empty((found, 2), np.int64)
        _tops(buffer, wanted, spans)
    return [(begin, stop) for begin, stop in spans[:found].tolist()]


@dataclass(slots=True)
class _Found:
    """What one body came to, while it is put together."""

    buffer: Bytes
    newer: bool
    places: Ints = field(default_factory=lambda: np.empty((0, 2), np.int64))
    faults: dict[int, Fault] = field(default_factory=dict)
    rejected: int = 0

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
        raw = decompress(body, "snappy", self._limits.decoded_bytes)
        buffer = np.frombuffer(raw, np.uint8)
        found = _Found(buffer, newer=version == 2)
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
            key=blake2b(body, digest_size=16).hexdigest(),
        )

    def _columns(self, found: _Found, now: int, source: str) -> pl.DataFrame:
        buffer = found.buffer
        low, high = self._limits.window(now)
        low, high = -(-low // 1000), high // 1000
        # A sample that is believed spells a time of six bytes or more: nothing can overflow these.
        most = buffer.size // (9 if low > 1 << 35 else 2) + 1
        spans = self._spans[found.newer]
        symbols = self._symbols(found, spans)
        samples = (np.empty(most, np.int64), np.empty(most, np.uint64), np.empty(most, np.int64), np.empty(most, np.int64))
        rows, histograms = np.empty((most, 7), np.int64), np.empty((most, 4), np.int64)
        rejects, count = np.empty(_TOLD, np.int64), np.zeros(5, np.int64)
        end = _walk(buffer, found.newer, spans.seed, spans.arrays, symbols, (low, high), samples, rows, histograms, rejects, count)
        if end < 0:
            raise broken(~end)
        if not found.newer:
            self._learn(buffer)
        n = int(count[_SAMPLES])
        for position in rejects[: count[_REJECTED]].tolist():
            found.tell(position, "timestamp", _LATE)
        found.rejected += int(count[_REJECTED])
        rows = rows[: count[_ROWS]]
        self._resolve(found, rows, source)
        series = rows[:, _ID][samples[2][:n]] if n else np.empty(0, np.int64)
        at, value = samples[0][:n], samples[1][:n].view(np.float64)
        bad = series == UNKNOWN
        if bad.any():
            found.rejected += int(bad.sum())
            series, at, value = series[~bad], at[~bad], value[~bad]
        columns = {"series": series, "at": at, "value": value}
        frame = pl.DataFrame(columns).with_columns(pl.col("at").cast(AT))
        if count[_HISTOGRAMS]:
            frame = pl.concat([frame, self._expand(found, rows, histograms[: count[_HISTOGRAMS]], (low, high), source)])
        return frame

    def _symbols(self, found: _Found, spans: Spans) -> tuple[Words, Words]:
        if not found.newer:
            return np.empty(0, np.uint64), np.empty(0, np.uint64)
        most = min(found.buffer.size // 2 + 1, _MOST_SYMBOLS)
        places, firsts, seconds = np.empty((most, 2), np.int64), np.empty(most, np.uint64), np.empty(most, np.uint64)
        count, end = _symbols(found.buffer, places, firsts, seconds, *spans.seed)
        if end < 0:
            raise broken(~end)
        if count > most:
            raise BadRecord(f"{count} symbols, at most {most} are taken; send smaller requests", field="symbols", status=413)
        found.places = places[:count]
        return firsts[:count], seconds[:count]

    def _learn(self, buffer: Bytes) -> None:
        """Keep type and unit of the metrics that a 1.0 request describes."""
        for begin, stop in _messages(buffer, 26):
            kind, names = 0, {2: "", 5: ""}
            for tag, value, first, last in fields(buffer, begin, stop):
                if tag == 8:
                    kind = value
                elif tag >> 3 in names:
                    names[tag >> 3] = buffer[first:last].tobytes().decode("utf-8", "replace")
            if len(self._metadata) < self._limits.series_per_source or names[2] in self._metadata:
                self._metadata[names[2]] = (_TYPES[kind] if 0 <= kind < len(_TYPES) else "unknown", names[5])

    def _resolve(self, found: _Found, rows: Ints, source: str) -> None:
        spans = self._spans[found.newer]
        for place in np.flatnonzero(rows[:, _ID] == UNKNOWN).tolist():
            row = rows[place]
            try:
                labels, described = self._labels(found, int(row[_BEGIN]), int(row[_STOP]))
                name = self._checked(labels)
            except ValueError as fault:
                for each in range(int(row[_FIRST]), int(row[_FIRST]) + min(int(row[_RECORDS]), _TOLD)):
                    found.tell(each, "labels", _reason(fault))
                continue
            rest = {key: value for key, value in labels if key != _NAME}
            kind, unit = kind_of(name, rest, described or self._metadata)
            row[_ID] = self._table.resolve(source, name, rest, kind, unit)
            spans.add(int(row[_HASH1]), int(row[_HASH2]), int(row[_ID]))

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

    def _checked(self, labels: list[tuple[str, str]]) -> str:
        if len(labels) > self._limits.labels + 1:
            raise ValueError(f"{len(labels)} labels, at most {self._limits.labels} are taken")
        names = dict(labels)
        if len(names) != len(labels):
            raise ValueError("a name comes twice")
        if "" in names:
            raise ValueError("a label has no name")
        if not names.get(_NAME):
            raise ValueError(f"{_NAME} is missing")
        most = self._limits.label_bytes
        for each in (*names, *names.values()):
            if len(each) * 4 > most and len(each.encode()) > most:
                raise ValueError(f"a name or value is longer than {most} bytes")
        return names[_NAME]

    def _expand(self, found: _Found, rows: Ints, histograms: Ints, window: tuple[int, int], source: str) -> pl.DataFrame:
        out: list[tuple[int, int, float]] = []
        for place, begin, stop, position in histograms.tolist():
            if place >= len(rows) or rows[place, _ID] == UNKNOWN:
                found.rejected += 1
                continue
            try:
                native = read_native(found.buffer, begin, stop)
            except ValueError as fault:
                found.refuse(position, "histograms", _reason(fault))
                continue
            if not window[0] <= native.time <= window[1]:
                found.refuse(position, "timestamp", _LATE)
                continue
            pairs, _ = self._labels(found, int(rows[place, _BEGIN]), int(rows[place, _STOP]))
            labels = dict(pairs)
            name = labels.pop(_NAME)
            for suffix, more, kind, value in series_of(native):
                series = self._table.resolve(source, name + suffix, {**labels, **more}, kind)
                out.append((series, native.time * 1000, value))
        return pl.DataFrame(out, schema=_RAW, orient="row").with_columns(pl.col("at").cast(AT))
