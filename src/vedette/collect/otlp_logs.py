"""OTLP logs to columns. Source: opentelemetry/proto/logs/v1/logs.proto and the data model of logs.

A log stream is what wrote it: its series has only the attributes of the resource that say which service or workload that is.
"""

from collections.abc import Iterable
from threading import Lock
from typing import Final

import numpy as np
import polars as pl

from vedette.collect.jsonlines import BACKSLASH, ENCODING, reversible
from vedette.collect.limits import Limits
from vedette.collect.otlp_logs_wire import (
    AT,
    BODY,
    BODY_ODD,
    BODY_STOP,
    COUNT,
    EMPTY,
    ENTRIES,
    FIRST,
    HASH1,
    HASH2,
    KEY,
    KEY_STOP,
    NO_KEY,
    NO_TIME,
    OBSERVED,
    ODD,
    OWNER,
    POOL,
    PRELUDE,
    RECORD,
    RECORDS,
    REFUSED,
    RESOURCE,
    RESOURCE_STOP,
    SERIES,
    SEVERITY,
    STRANGERS,
    TOO_LONG,
    TOO_MANY,
    VALUE,
    VALUE_STOP,
    number_keys,
    walk_logs,
)
from vedette.collect.otlp_values import any_value, as_text, labels
from vedette.collect.push import SEVERITIES, TRUNCATED
from vedette.collect.series import SeriesTable, checked
from vedette.collect.wire import UNKNOWN, Bytes, Ints, Spans, broken, fields
from vedette.core.errors import BadRecord
from vedette.core.frames import AT as TIME
from vedette.core.frames import LABELS, LOGS
from vedette.core.types import Fault

STREAM: Final = "log_stream"
#: What of a resource says whose log it is: these stay the same when a pod or a process is replaced.
IDENTIFYING: Final[tuple[str, ...]] = (
    "service.namespace",
    "service.name",
    "host.name",
    "k8s.cluster.name",
    "k8s.namespace.name",
    "k8s.deployment.name",
    "k8s.statefulset.name",
    "k8s.daemonset.name",
    "k8s.cronjob.name",
    "k8s.container.name",
)
_TOLD: Final = 10
#: OpenTelemetry's own default for the attributes of a record.
_ATTRIBUTES: Final = 128
_MOST: Final = 1 << 20
_KEPT: Final = 1 << 16
#: Different keys in a body beyond which none are looked for.
_KEYS: Final = 1 << 10
_REASONS: Final = {
    NO_TIME: ("timeUnixNano", "outside the window of times that are taken"),
    NO_KEY: ("attributes", "an attribute has no key"),
    TOO_MANY: ("attributes", f"more than {_ATTRIBUTES} attributes"),
    TOO_LONG: ("attributes", "an attribute is longer than is taken"),
    EMPTY: ("body", "there is neither body nor attribute nor event name"),
}
_WORDS: Final = {word[:8]: number for word, number in SEVERITIES.items()}
_NAMES: Final = np.array([int.from_bytes(word.encode(), "little") for word in _WORDS], np.uint64)
_NUMBERS: Final = np.array(list(_WORDS.values()), np.int64)


class Logs:
    """Decodes ExportLogsServiceRequest; remembers the raw bytes that spell a resource.

    Args:
        table: gives streams their identity.
        limits: what is taken.
        source: the name of the source in the books.
    """

    def __init__(self, table: SeriesTable, limits: Limits, source: str) -> None:
        self._table = table
        self._limits = limits
        self._source = source
        self._spans = Spans(2 * limits.series_per_source)
        self._lock = Lock()
        self._make(0, 0, 0, 0)

    def _make(self, records: int, entries: int, pool: int, strangers: int) -> None:
        self._records = np.empty((max(records, 4096), 9), np.int64)
        self._entries = np.empty((max(entries, 16_384), 7), np.int64)
        self._pool = np.empty(max(pool, 1 << 18), np.uint8)
        self._pool[: len(PRELUDE)] = np.frombuffer(PRELUDE, np.uint8)
        self._strangers = np.empty((max(strangers, 64), 6), np.int64)

    def decode(self, buffer: Bytes, now: int) -> tuple[pl.DataFrame, int, tuple[Fault, ...]]:
        """LOGS of a body, how many records were refused, and the first of them in words.

        Raises:
            BadRecord: 400 where the body is broken, 413 where it holds more records or attributes than are taken at once.
        """
        with self._lock:
            return self._columns(buffer, now)

    def _columns(self, buffer: Bytes, now: int) -> tuple[pl.DataFrame, int, tuple[Fault, ...]]:
        refusals, counts = np.empty((_TOLD, 2), np.int64), np.zeros(6, np.int64)
        self._walk(buffer, now, refusals, counts)
        faults = [Fault(position, *_REASONS[why]) for position, why in refusals[: counts[REFUSED]].tolist()]
        records, entries = self._records[: counts[RECORDS]], self._entries[: counts[ENTRIES]]
        for stranger in self._strangers[: counts[STRANGERS]].tolist():
            faults += self._resolve(buffer, stranger, records)
        rejected = int(counts[REFUSED])
        if counts[STRANGERS]:
            known = records[:, SERIES] != UNKNOWN
            rejected += len(records) - int(known.sum())
            if not known.all():
                entries = entries[known[entries[:, OWNER]]]
                entries[:, OWNER] = (np.cumsum(known) - 1)[entries[:, OWNER]]
                records = records[known]
        texts = _Texts(buffer, self._pool[: counts[POOL]], self._limits)
        frame = texts.frame(records, entries)
        if len(self._records) > _KEPT or self._pool.size > _KEPT << 6:
            self._make(0, 0, 0, 0)
        return frame, rejected, tuple(sorted(faults, key=lambda fault: fault.position)[:_TOLD])

    def _walk(self, buffer: Bytes, now: int, refusals: Ints, counts: Ints) -> None:
        """One walk where the body fits into the room there is, two where not."""
        limits = self._limits
        seed1, seed2 = self._spans.seed
        firsts, seconds, known = self._spans.arrays
        low, high = limits.window(now)
        bounds = (low, high, now, limits.line_bytes, _ATTRIBUTES, limits.label_bytes)
        while True:
            out = (self._records, self._entries, self._pool, self._strangers, refusals, counts)
            end = walk_logs(buffer, seed1, seed2, firsts, seconds, known, _NAMES, _NUMBERS, *bounds, *out)
            if end < 0:
                raise broken(~end)
            need = (int(counts[RECORDS]), int(counts[ENTRIES]), int(counts[POOL]), int(counts[STRANGERS]))
            room = (len(self._records), len(self._entries), self._pool.size, len(self._strangers))
            if all(wanted <= had for wanted, had in zip(need, room, strict=True)):
                return
            if need[0] > _MOST or need[1] > 4 * _MOST:
                message = (
                    f"{need[0]} records with {need[1]} attributes, at most {_MOST} and {4 * _MOST} are taken; send smaller requests"
                )
                raise BadRecord(message, field="logRecords", status=413)
            self._make(*(max(each) for each in zip(need, room, strict=True)))

    def _resolve(self, buffer: Bytes, stranger: list[int], records: Ints) -> list[Fault]:
        """Give the records of a resource their stream; where it cannot be taken they are left UNKNOWN, and that is told."""
        rows = slice(stranger[FIRST], stranger[FIRST] + stranger[COUNT])
        parts = [(a, b) for tag, _, a, b in fields(buffer, stranger[RESOURCE], stranger[RESOURCE_STOP]) if tag == 10]
        spans = [(a, b) for part in parts for tag, _, a, b in fields(buffer, *part) if tag == 10]
        try:
            resource = checked(labels(buffer, spans, self._limits.depth), self._limits)
        except ValueError as fault:
            why = "not UTF-8" if isinstance(fault, UnicodeDecodeError) else str(fault)
            return [Fault(position, "resource", why) for position in records[rows, RECORD][:_TOLD].tolist()]
        own = {name: resource[name] for name in IDENTIFYING if name in resource}
        identity = self._table.resolve(self._source, STREAM, own, "stream")
        records[rows, SERIES] = identity
        self._spans.add(stranger[HASH1], stranger[HASH2], identity)
        return []


class _Texts:
    """The texts of one body, taken out of it by the spans that the kernel found, all in one go."""

    def __init__(self, buffer: Bytes, pool: Bytes, limits: Limits) -> None:
        self._buffer = buffer
        self._limits = limits
        self._parts = [buffer.tobytes(), pool.tobytes()]
        self._size = buffer.size + pool.size
        self._marks: list[tuple[int, str, str]] = []

    def frame(self, records: Ints, entries: Ints) -> pl.DataFrame:
        """LOGS of records and their attributes."""
        rows = len(records)
        if not rows:
            return pl.DataFrame(schema=LOGS)
        which, keys = _keys(entries)
        begins = np.concatenate([records[:, BODY], entries[:, VALUE], keys[:, 0]])
        stops = np.concatenate([records[:, BODY_STOP], entries[:, VALUE_STOP], keys[:, 1]])
        odd = np.concatenate([records[:, BODY_ODD], entries[:, ODD]])
        for place in np.flatnonzero(odd).tolist():
            begins[place], stops[place] = self._rendered(place if place < rows else -1, begins[place], stops[place])
        owners = np.concatenate([np.arange(rows), entries[:, OWNER], entries[keys[:, 2], OWNER]])
        texts = self._cut_out(begins, stops, owners)
        names = texts[rows + len(entries) :].gather(pl.Series(which.astype(np.uint32)))
        attributes = self._maps(entries[:, OWNER].copy(), names, texts[rows : rows + len(entries)], rows)
        columns = [
            pl.Series("at", records[:, AT].copy()).cast(TIME),
            pl.Series("observed_at", records[:, OBSERVED].copy()).cast(TIME),
            pl.Series("series", records[:, SERIES].copy()),
            pl.Series("severity", records[:, SEVERITY].astype(np.int32)),
            texts[:rows].alias("body"),
            attributes,
        ]
        return pl.DataFrame(columns)

    def _rendered(self, record: int, begin: int, stop: int) -> tuple[int, int]:
        """The span of an AnyValue that is no text, as text; that of a body (`record` >= 0) is marked where it is cut."""
        most = self._limits.line_bytes
        try:
            value = any_value(self._buffer, int(begin), int(stop), self._limits.depth, lambda raw: reversible(raw)[0])
            raw = as_text(value).encode()
        except ValueError as fault:
            raw = str(fault).encode()
        if len(raw) > most:
            if record >= 0:
                self._marks.append((record, TRUNCATED, str(len(raw))))
            raw = raw[:most].decode("utf-8", "ignore").encode()
        self._parts.append(raw)
        self._size += len(raw)
        return self._size - len(raw), self._size

    def _cut_out(self, begins: Ints, stops: Ints, owners: Ints) -> pl.Series:
        """The texts of spans; what is not UTF-8 is escaped, and marked at its record."""
        whole = b"".join(self._parts)
        spans = (pl.lit(pl.Series(begins)), pl.lit(pl.Series(stops - begins)))
        raw = pl.select(pl.lit(whole).bin.slice(*spans)).to_series()
        try:
            return raw.cast(pl.String)
        except pl.exceptions.ComputeError:
            found = [reversible(each) for each in raw.to_list()]
        self._marks += [(owner, ENCODING, BACKSLASH) for (_, odd), owner in zip(found, owners.tolist(), strict=True) if odd]
        return pl.Series([each for each, _ in found], dtype=pl.String)

    def _maps(self, owners: Ints, keys: pl.Series, values: pl.Series, rows: int) -> pl.Series:
        """The attributes of each record as a map."""
        flat = pl.DataFrame([pl.Series("row", owners).set_sorted(), keys.alias("key"), values.alias("value")])
        if self._marks:
            flat = pl.concat([flat, _marks(self._marks)]).sort("row", maintain_order=True)
        entry = pl.struct("key", "value").alias("attributes")
        grouped = flat.group_by("row", maintain_order=True).agg(entry)
        maps = grouped["attributes"].cast(LABELS)
        if grouped.height == rows:
            return maps
        maps.append(pl.Series("attributes", [{}], dtype=LABELS))
        places = np.full(rows, grouped.height, np.int64)
        places[grouped["row"].to_numpy()] = np.arange(grouped.height)
        return maps.gather(places)


def _keys(entries: Ints) -> tuple[Ints, Ints]:
    """Which key each attribute has, and of each key its span and an attribute that has it."""
    which, keys = np.empty(len(entries), np.int64), np.empty((_KEYS, 3), np.int64)
    count = number_keys(entries, which, keys)
    if count < 0:
        return np.arange(len(entries)), np.column_stack([entries[:, KEY], entries[:, KEY_STOP], np.arange(len(entries))])
    return which, keys[:count]


def _marks(marks: Iterable[tuple[int, str, str]]) -> pl.DataFrame:
    """Attributes of our own, each once a record."""
    rows = list(dict.fromkeys(marks))
    return pl.DataFrame(rows, schema={"row": pl.Int64, "key": pl.String, "value": pl.String}, orient="row")
