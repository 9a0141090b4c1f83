"""`/push/NAME`: pieces of a body to columns. What cannot be taken is set aside with position and reason; the rest goes on."""

from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from typing import Any, Final, Literal

import numpy as np
import polars as pl
from pydantic import Field, field_validator

from vedette.collect import jsonlines
from vedette.collect.limits import Limits
from vedette.collect.lines import TIME, WORDS, believed, log_rows
from vedette.collect.pieces import Piece
from vedette.collect.push_samples import Samples
from vedette.collect.series import SeriesTable
from vedette.collect.zone import is_zone
from vedette.core.errors import BadRecord
from vedette.core.frames import AT, DEAD_LETTERS, EVENTS, LOGS
from vedette.core.settings import Settings
from vedette.core.types import Delivery, Fault

#: Attribute of a log line that was cut: its length in bytes as sent.
TRUNCATED: Final = "vedette.truncated"
STREAM: Final = "log"
FAULTS: Final = 10
KEPT_BYTES: Final = 4096

#: Names of severities and their OpenTelemetry numbers.
SEVERITIES: Final[Mapping[str, int]] = {**WORDS, "informational": 9, "emergency": 21}

_MESSAGE: Final = ("message", "body", "msg")
_LEVEL: Final = ("severity", "level")
_TIME: Final = ("timestamp", "time", "@timestamp")

Refused = list[tuple[int, BadRecord]]
Decoder = Callable[[Iterable[tuple[int, bytes]], int], tuple[pl.DataFrame, Refused]]


class PushSettings(Settings):
    """One declared push source.

    Attributes:
        records: what its records are.
        labels: added to every series, and to the labels of events.
        time_unit: the unit of numeric times; without it a numeric time is an error, since units are never guessed.
        zone: of times at the head of text lines that name none, such as `Europe/Zurich`.
    """

    records: Literal["logs", "metrics", "events"] = "logs"
    labels: dict[str, str] = Field(default_factory=dict)
    time_unit: Literal["s", "ms", "us", "ns"] | None = None
    zone: str = "UTC"

    @field_validator("zone")
    @classmethod
    def _known(cls, zone: str) -> str:
        if not is_zone(zone):
            raise ValueError(f"no time zone is called '{zone}'; a name such as Europe/Zurich is expected")
        return zone


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
        decoders: dict[str, Decoder] = {
            "logs": self._logs,
            "metrics": Samples(name, settings.labels, table, limits, settings.time_unit).decode,
            "events": self._events,
        }
        self._decode = decoders[settings.records]

    def text(self, piece: Piece, now: int, *, key: str | None = None) -> Delivery:
        """Log lines as they are; every one is taken, with the time and the severity that its head tells.

        Raises:
            BadRecord: 415, where the source is declared to take something else than logs.
        """
        if self.settings.records != "logs":
            raise BadRecord(f"push source '{self.name}' takes {self.settings.records} as JSON, got text lines", status=415)
        lines, marks = _texts(piece)
        at, odd = believed(lines, now, self.settings.zone, self.limits.window(now))
        rows = log_rows(lines, marks.with_columns(odd.alias(TIME)), at, series=self._stream(), observed=now)
        return self._delivery({"logs": rows}, (), key)

    def json(self, piece: Piece, now: int, *, first: int = 0, key: str | None = None) -> Delivery:
        """JSON objects; those that cannot be taken become dead letters and `faults`.

        Args:
            piece: one object a line.
            now: UTC microseconds.
            first: index within the body of the first record.
            key: idempotency key of these records.

        Raises:
            BadRecord: not one of the records of the beginning of a body is a JSON object.
        """
        raws, lengths = piece.records()
        whole = ((place, raw) for place, raw in enumerate(raws) if place not in lengths) if lengths else enumerate(raws)
        frame, refused = self._decode(whole, now)
        long = "expected a JSON object of at most {} bytes, got {}"
        refused += [(place, BadRecord(long.format(self.limits.line_bytes, length))) for place, length in lengths.items()]
        refused.sort(key=lambda each: each[0])
        if refused and first == 0 and frame.is_empty() and not any(error.field for _, error in refused):
            place, error = refused[0]
            raise BadRecord(error.reason, field=error.field, position=place)
        faults = [Fault(first + place, error.field, error.reason) for place, error in refused]
        frames: dict[str, pl.DataFrame] = {self.settings.records: frame} if frame.height else {}
        if refused:
            letters = [
                (now, self.name, fault.position, str(fault), sha256(raws[place]).hexdigest(), raws[place][:KEPT_BYTES])
                for fault, (place, _) in zip(faults, refused, strict=True)
            ]
            frames["dead_letters"] = jsonlines.frame(letters, DEAD_LETTERS)
        return self._delivery(frames, tuple(faults[:FAULTS]), key)

    def _delivery(self, frames: dict[str, pl.DataFrame], faults: tuple[Fault, ...], key: str | None) -> Delivery:
        """The delivery of `frames`, with the definitions of their series where some are not durable yet."""
        told = next((frames[name]["series"] for name in ("metrics", "logs") if name in frames), None)
        if told is not None and self._table.pending:
            definitions = self._table.definitions(told.unique(maintain_order=True).to_list())
            frames = {"series": definitions, **frames} if definitions.height else frames
        return Delivery(self.name, frames, faults=faults, key=key)

    def _stream(self) -> int:
        return self._table.resolve(self.name, STREAM, {"source": self.name, **self.settings.labels}, "stream")

    def _logs(self, records: Iterable[tuple[int, bytes]], now: int) -> tuple[pl.DataFrame, Refused]:
        found: list[tuple[int, object, int, str, dict[str, str]]] = []
        refused: Refused = []
        for place, raw in records:
            try:
                found.append((place, *self._log(raw)))
            except BadRecord as error:
                refused.append((place, error))
        places, times, severities, bodies, attributes = zip(*found, strict=True) if found else ((),) * 5
        told = [index for index, time in enumerate(times) if time is not None]
        at = np.full(len(times), now, np.int64)
        kept = np.ones(len(times), np.bool_)
        read, sure = jsonlines.instants([times[index] for index in told], self.limits.window(now), self.settings.time_unit)
        at[told] = read
        for index in np.array(told, np.int64)[~sure].tolist():
            try:
                at[index] = self._instant(times[index], now)
            except BadRecord as error:
                kept[index] = False
                refused.append((places[index], error))
        columns = {
            "at": pl.Series(at).cast(AT),
            "observed_at": pl.Series([now], dtype=AT).new_from_index(0, len(times)),
            "series": pl.Series([self._stream()]).new_from_index(0, len(times)),
            "severity": pl.Series(severities, dtype=pl.Int32),
            "body": pl.Series(bodies, dtype=pl.String),
            "attributes": jsonlines.maps(attributes),
        }
        return pl.DataFrame(columns, schema=LOGS).filter(pl.Series(kept)), refused

    def _log(self, raw: bytes) -> tuple[object, int, str, dict[str, str]]:
        """Time as written (None where there is none), severity, body and attributes of one object."""
        rest, escaped = jsonlines.record(raw, self.limits.depth)
        time = next((rest.pop(key) for key in _TIME if rest.get(key) is not None), None)
        message = next((rest.pop(key) for key in _MESSAGE if rest.get(key) is not None), None)
        severity = severity_number(next((rest[key] for key in _LEVEL if rest.get(key) is not None), None))
        if severity:
            for key in _LEVEL:
                rest.pop(key, None)
        attributes = {key: jsonlines.plain(value) for key, value in rest.items() if value is not None}
        if escaped:
            attributes[jsonlines.ENCODING] = jsonlines.BACKSLASH
        return time, severity, jsonlines.reversible(raw)[0] if message is None else jsonlines.plain(message), attributes

    def _events(self, records: Iterable[tuple[int, bytes]], now: int) -> tuple[pl.DataFrame, Refused]:
        rows: list[tuple[object, ...]] = []
        refused: Refused = []
        for place, raw in records:
            try:
                rows.append(self._event(raw, now))
            except BadRecord as error:
                refused.append((place, error))
        return jsonlines.frame(rows, EVENTS), refused

    def _event(self, raw: bytes, now: int) -> tuple[object, ...]:
        found, _ = jsonlines.record(raw, self.limits.depth)
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
        key = found.get("key", sha256(raw).hexdigest()[:16])
        words = (jsonlines.plain(key), jsonlines.plain(found.get("status", "")))
        return (at, kind, *words, title, {**labels, **self.settings.labels}, notes, *times)

    def _instant(self, value: Any, now: int, field: str = "timestamp") -> int:  # noqa: ANN401 -- whatever the sender wrote
        return jsonlines.instant(value, field, self.limits.window(now), self.settings.time_unit)


def _texts(piece: Piece) -> tuple[pl.Series, pl.DataFrame]:
    """The lines that are not empty, and their marks by name."""
    raw = piece.raw.removesuffix(b"\n")
    try:
        lines = pl.Series("body", [raw.decode()]).str.split("\n").explode(empty_as_null=False, keep_nulls=False)
        escaped = pl.Series([None], dtype=pl.String).new_from_index(0, len(lines))
    except UnicodeDecodeError:
        lines, escaped = jsonlines.texts(raw.split(b"\n"))
    cut = pl.Series([None], dtype=pl.String).new_from_index(0, len(lines))
    if piece.cut:
        cut = cut.scatter(list(piece.cut), [str(length) for length in piece.cut.values()])
    frame = pl.DataFrame({"body": lines.str.strip_suffix("\r"), jsonlines.ENCODING: escaped, TRUNCATED: cut})
    frame = frame.filter(pl.col("body") != "")
    return frame["body"], frame.select(jsonlines.ENCODING, TRUNCATED)


def severity_number(level: object) -> int:
    """The OpenTelemetry number of a severity: its name, or the number itself; 0 where it is neither.

    >>> severity_number("WARN"), severity_number(17), severity_number("loud")
    (13, 17, 0)
    """
    if isinstance(level, str):
        return SEVERITIES.get(level.lower(), 0)
    return level if isinstance(level, int) and not isinstance(level, bool) and 1 <= level <= 24 else 0
