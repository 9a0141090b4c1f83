"""`/push/NAME`: bodies of any size, cut into records as they arrive, and records into columns piece by piece.

Cutting (`Lines`, `Elements`) holds one unfinished record at most; decoding (`Push`) sets aside each record that cannot
be taken, with its position, digest and reason, and takes the rest.
"""

import re
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any, Final, Literal, NamedTuple, cast

from pydantic import Field

from vedette.collect import jsonlines
from vedette.collect.limits import Limits
from vedette.collect.series import SeriesTable
from vedette.core.errors import BadRecord
from vedette.core.frames import DEAD_LETTERS, EVENTS, LOGS, METRICS, Schema
from vedette.core.settings import Settings
from vedette.core.types import Delivery, Fault

#: Attribute of a log line that was cut: its length in bytes as sent.
TRUNCATED: Final = "vedette.truncated"
STREAM: Final = "log"
FAULTS: Final = 10
KEPT_BYTES: Final = 4096

#: Names of severities and their OpenTelemetry numbers.
SEVERITIES: Final = {
    "trace": 1,
    "debug": 5,
    "info": 9,
    "information": 9,
    "informational": 9,
    "notice": 10,
    "warn": 13,
    "warning": 13,
    "err": 17,
    "error": 17,
    "alert": 19,
    "crit": 21,
    "critical": 21,
    "fatal": 21,
    "emerg": 21,
    "emergency": 21,
    "panic": 21,
}

_MESSAGE: Final = ("message", "body", "msg")
_LEVEL: Final = ("severity", "level")
_TIME: Final = ("timestamp", "time", "@timestamp")
_TOKENS: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{},"]', re.DOTALL)


class PushSettings(Settings):
    """One declared push source.

    Attributes:
        records: what they are.
        labels: added to every series, and to the labels of events.
        time_unit: the unit of numeric times; without it a numeric time is an error, since units are never guessed.
    """

    records: Literal["logs", "metrics", "events"] = "logs"
    labels: dict[str, str] = Field(default_factory=dict)
    time_unit: Literal["s", "ms", "us", "ns"] | None = None


class Record(NamedTuple):
    """The bytes of one record, at most as many as a line may have, and its length as sent."""

    raw: bytes
    length: int


class Lines:
    r"""Cuts a stream of bytes at newlines; holds at most `limit` bytes of an unfinished line and counts the rest.

    >>> lines = Lines(limit=4)
    >>> lines.feed(b"one\nlonger than"), lines.finish()
    ([Record(raw=b'one', length=3)], [Record(raw=b'long', length=11)])
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = bytearray()
        self._length = 0

    def feed(self, chunk: bytes) -> list[Record]:
        """The lines that `chunk` ends."""
        first, *rest = chunk.split(b"\n")
        self._hold(first)
        if not rest:
            return []
        *whole, tail = rest
        records = [self._take(), *(Record(line[: self._limit], len(line)) for line in whole)]
        self._hold(tail)
        return [record for record in map(_without_return, records) if record.length]

    def finish(self) -> list[Record]:
        """The last line, where it had no newline."""
        record = _without_return(self._take())
        return [record] if record.length else []

    def _hold(self, part: bytes) -> None:
        self._held += part[: self._limit - len(self._held)]
        self._length += len(part)

    def _take(self) -> Record:
        record = Record(bytes(self._held), self._length)
        self._held.clear()
        self._length = 0
        return record


def _without_return(record: Record) -> Record:
    if len(record.raw) == record.length and record.raw.endswith(b"\r"):
        return Record(record.raw[:-1], record.length - 1)
    return record


class Elements:
    """Cuts a stream of bytes that is one JSON array into its elements, without recursion.

    Raises:
        BadRecord: nesting beyond `depth`, an element longer than `limit` bytes, text after the array, or no end.

    >>> elements = Elements(limit=100, depth=8)
    >>> [each.raw for each in elements.feed(b'[1, {"a": "],"}')], [each.raw for each in elements.feed(b", 2]")]
    ([b'1'], [b'{"a": "],"}', b'2'])
    """

    def __init__(self, limit: int, depth: int) -> None:
        self._limit = limit
        self._deepest = depth
        self._held = bytearray()
        self._from = 0
        self._depth = 0
        self._closed = False

    def feed(self, chunk: bytes) -> list[Record]:
        """The elements that `chunk` ends."""
        self._held += chunk
        records: list[Record] = []
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
                    records.append(Record(element, len(element)))
                start = token.end()
        del self._held[:start]
        self._from = reached - start
        self._check()
        return records

    def finish(self) -> list[Record]:
        """Nothing is left once the array is closed."""
        if not self._closed:
            raise BadRecord("expected ']' at the end of the JSON array, got the end of the body")
        return []

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


class Push:
    """Decodes the records of one push source.

    Args:
        name: the declared name; it is the source of every delivery.
        settings: what its records are.
        table: gives series their identity.
        limits: bounds on lines, labels, depth and times.
    """

    def __init__(self, name: str, settings: PushSettings, table: SeriesTable, limits: Limits) -> None:
        self.name = name
        self.settings = settings
        self.limits = limits
        self._table = table
        decoders: dict[str, tuple[str, Schema, Callable[[Record, int], tuple[object, ...]]]] = {
            "logs": ("logs", LOGS, self._log),
            "metrics": ("metrics", METRICS, self._sample),
            "events": ("events", EVENTS, self._event),
        }
        self._target, self._schema, self._decode = decoders[settings.records]

    def text(self, records: Sequence[Record], now: int, key: str | None = None) -> Delivery:
        """Log lines as they are; every one is taken.

        Raises:
            BadRecord: 415, where the source is declared to take something else than logs.
        """
        if self.settings.records != "logs":
            raise BadRecord(f"push source '{self.name}' takes {self.settings.records} as JSON, got text lines", status=415)
        stream = self._stream()
        rows = [(now, now, stream, 0, *_line(record)) for record in records]
        return self._delivery(rows, [stream], [], now, key)

    def json(self, records: Sequence[Record], now: int, *, first: int = 0, key: str | None = None) -> Delivery:
        """JSON objects; those that cannot be taken become dead letters and `faults`.

        Args:
            records: one object each.
            now: UTC microseconds.
            first: index within the body of the first of `records`.
            key: idempotency key of these records.

        Raises:
            BadRecord: not one of the records of the beginning of a body is a JSON object.
        """
        rows: list[tuple[object, ...]] = []
        faults: list[tuple[Fault, Record]] = []
        objects = 0
        for position, record in enumerate(records, first):
            try:
                _whole(record)
                rows.append(self._decode(record, now))
            except BadRecord as error:
                objects += bool(error.field)
                faults.append((Fault(position, error.field, error.reason), record))
        if faults and first == 0 and not rows and not objects:
            fault = faults[0][0]
            raise BadRecord(fault.reason, field=fault.field, position=fault.position)
        series = [] if self._target == "events" else [cast("int", row[2 if self._target == "logs" else 0]) for row in rows]
        return self._delivery(rows, series, faults, now, key)

    def _delivery(
        self,
        rows: Sequence[tuple[object, ...]],
        series: Sequence[int],
        faults: list[tuple[Fault, Record]],
        now: int,
        key: str | None,
    ) -> Delivery:
        frames = {self._target: jsonlines.frame(rows, self._schema)} if rows else {}
        definitions = self._table.definitions(series)
        if definitions.height:
            frames["series"] = definitions
        if faults:
            letters = [
                (now, self.name, fault.position, str(fault), sha256(record.raw).hexdigest(), record.raw[:KEPT_BYTES])
                for fault, record in faults
            ]
            frames["dead_letters"] = jsonlines.frame(letters, DEAD_LETTERS)
        return Delivery(self.name, frames, faults=tuple(fault for fault, _ in faults[:FAULTS]), key=key)

    def _stream(self) -> int:
        return self._table.resolve(self.name, STREAM, {"source": self.name, **self.settings.labels}, "stream")

    def _log(self, record: Record, now: int) -> tuple[object, ...]:
        found, escaped = jsonlines.record(record.raw, self.limits.depth)
        rest = dict(found)
        time = next((rest.pop(key) for key in _TIME if rest.get(key) is not None), None)
        at = now if time is None else self._instant(time, now)
        message = next((rest.pop(key) for key in _MESSAGE if rest.get(key) is not None), None)
        level = next((rest[key] for key in _LEVEL if rest.get(key) is not None), None)
        severity = severity_number(level)
        if severity:
            rest = {key: value for key, value in rest.items() if key not in _LEVEL}
        attributes = {key: jsonlines.plain(value) for key, value in rest.items() if value is not None}
        if escaped:
            attributes[jsonlines.ENCODING] = jsonlines.BACKSLASH
        body = jsonlines.reversible(record.raw)[0] if message is None else jsonlines.plain(message)
        return (at, now, self._stream(), severity, body, attributes)

    def _sample(self, record: Record, now: int) -> tuple[object, ...]:
        found, _ = jsonlines.record(record.raw, self.limits.depth)
        name = found.get("name")
        if not isinstance(name, str) or not name or len(name.encode()) > self.limits.label_bytes:
            raise BadRecord(f"expected a name of 1 to {self.limits.label_bytes} bytes, got {jsonlines.kind_of(name)}", field="name")
        labels = jsonlines.words(found.get("labels"), "labels", self.limits.labels, self.limits.label_bytes)
        value = jsonlines.number(found.get("value"), "value")
        at = self._instant(found.get("timestamp"), now)
        return (self._table.resolve(self.name, name, {**labels, **self.settings.labels}), at, value)

    def _event(self, record: Record, now: int) -> tuple[object, ...]:
        found, _ = jsonlines.record(record.raw, self.limits.depth)
        kind = found.get("kind", "change")
        if kind not in ("alert", "change", "ticket"):
            raise BadRecord(f"expected alert, change or ticket, got {jsonlines.kind_of(kind)}", field="kind")
        title = found.get("title")
        if not isinstance(title, str) or not title:
            raise BadRecord(f"expected a string, got {jsonlines.kind_of(title)}", field="title")
        labels = jsonlines.words(found.get("labels"), "labels", self.limits.labels, self.limits.label_bytes)
        notes = jsonlines.words(found.get("annotations"), "annotations", self.limits.labels, self.limits.line_bytes)
        times = [self._instant(found[field], now, field) if found.get(field) else None for field in ("starts_at", "ends_at")]
        at = now if found.get("timestamp") is None else self._instant(found["timestamp"], now)
        key = found.get("key", sha256(record.raw).hexdigest()[:16])
        words = (jsonlines.plain(key), jsonlines.plain(found.get("status", "")))
        return (at, kind, *words, title, {**labels, **self.settings.labels}, notes, *times)

    def _instant(self, value: Any, now: int, field: str = "timestamp") -> int:  # noqa: ANN401 -- whatever the sender wrote
        return jsonlines.instant(value, field, self.limits.window(now), self.settings.time_unit)


def _whole(record: Record) -> None:
    if record.length > len(record.raw):
        raise BadRecord(f"expected a JSON object of at most {len(record.raw)} bytes, got {record.length}")


def _line(record: Record) -> tuple[str, dict[str, str]]:
    body, escaped = jsonlines.reversible(record.raw)
    attributes = {jsonlines.ENCODING: jsonlines.BACKSLASH} if escaped else {}
    if record.length > len(record.raw):
        attributes[TRUNCATED] = str(record.length)
    return body, attributes


def severity_number(level: object) -> int:
    """The OpenTelemetry number of a severity: its name, or the number itself; 0 where it is neither.

    >>> severity_number("WARN"), severity_number(17), severity_number("loud")
    (13, 17, 0)
    """
    if isinstance(level, str):
        return SEVERITIES.get(level.lower(), 0)
    return level if isinstance(level, int) and not isinstance(level, bool) and 1 <= level <= 24 else 0
