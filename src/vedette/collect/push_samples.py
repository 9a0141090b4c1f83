"""Samples that are pushed as JSON, to columns: each object is read once, and label sets that were seen before not at all."""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
import numpy as np
import polars as pl

from vedette.collect import jsonlines
from vedette.collect.limits import Limits
from vedette.collect.series import SeriesTable
from vedette.core.errors import BadRecord
from vedette.core.frames import AT, METRICS


class Sample(msgspec.Struct, gc=False):
    """A sample as most senders write it; whatever does not fit is read again, tolerantly, or is told by name."""

    name: str
    value: float
    timestamp: int | float | str
    labels: msgspec.Raw = msgspec.Raw(b"null")


_SAMPLE: Final = msgspec.json.Decoder(Sample)


class Samples:
    """Decodes the samples of one push source; remembers the series of label sets by their very bytes.

    Args:
        source: the declared name.
        labels: added to every series.
        table: gives series their identity.
        limits: bounds on labels, depth and times.
        unit: of numeric times.
    """

    def __init__(self, source: str, labels: Mapping[str, str], table: SeriesTable, limits: Limits, unit: str | None) -> None:
        self._source = source
        self._labels = labels
        self._table = table
        self._limits = limits
        self._unit = unit
        self._known: dict[tuple[str, bytes], int] = {}

    def decode(self, records: Iterable[tuple[int, bytes]], now: int) -> tuple[pl.DataFrame, list[tuple[int, BadRecord]]]:
        """METRICS rows, and those that cannot be taken by their places.

        Args:
            records: places and JSON objects.
            now: UTC microseconds, for the window of times that are believed.
        """
        refused: list[tuple[int, BadRecord]] = []
        found: list[tuple[int, int, object, float]] = []
        for place, raw in records:
            try:
                found.append((place, *self._sample(raw)))
            except BadRecord as error:
                refused.append((place, error))
        places, series, times, values = zip(*found, strict=True) if found else ((),) * 4
        window = self._limits.window(now)
        at, kept = jsonlines.instants(times, window, self._unit)
        for index in np.flatnonzero(~kept).tolist():
            try:
                at[index] = jsonlines.instant(times[index], "timestamp", window, self._unit)
                kept[index] = True
            except BadRecord as error:
                refused.append((places[index], error))
        columns = {"series": np.array(series, np.int64)[kept], "at": at[kept], "value": np.array(values, np.float64)[kept]}
        self._table.count_limited(columns["series"])
        return pl.DataFrame(columns).select("series", pl.col("at").cast(AT), "value").select(list(METRICS)), refused

    def _sample(self, raw: bytes) -> tuple[int, object, float]:
        """Series, time as written, and value."""
        jsonlines.check_depth(raw, self._limits.depth)
        try:
            sample = _SAMPLE.decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return self._tolerant(raw)
        key = (sample.name, bytes(sample.labels))
        identity = self._known.get(key)
        if identity is None:
            identity, time, value = self._tolerant(raw)
            if len(self._known) >= 2 * self._limits.series_per_source:
                self._known.clear()
            self._known[key] = identity
            return identity, time, value
        return identity, sample.timestamp, sample.value

    def _tolerant(self, raw: bytes) -> tuple[int, object, float]:
        found, _ = jsonlines.record(raw, self._limits.depth)
        name, most = found.get("name"), self._limits.label_bytes
        if not isinstance(name, str) or not name or len(name.encode()) > most:
            raise BadRecord(f"expected a name of 1 to {most} bytes, got {jsonlines.kind_of(name)}", field="name")
        labels = jsonlines.words(found.get("labels"), "labels", self._limits.labels, most)
        value = jsonlines.number(found.get("value"), "value")
        series = self._table.resolve(self._source, name, {**labels, **self._labels})
        return series, found.get("timestamp"), value
