"""One reading of many series: what every pulled source of metrics collects its numbers in."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from vedette.collect.series import SeriesTable
from vedette.core.frames import AT, METRICS
from vedette.core.types import Delivery


def delivery(source: str, table: SeriesTable, series: Sequence[int], at: Sequence[int] | int, values: Sequence[float]) -> Delivery:
    """METRICS rows, `at` in UTC microseconds (one for all, or one each), with the definitions not yet durable."""
    times = np.full(len(series), at, np.int64) if isinstance(at, int) else np.asarray(at, np.int64)
    columns = {"series": np.asarray(series, np.int64), "at": times, "value": np.asarray(values, np.float64)}
    metrics = pl.DataFrame(columns).with_columns(pl.col("at").cast(AT)).select(list(METRICS))
    return Delivery(source, {"series": table.definitions(series), "metrics": metrics})


class Reading:
    """Numbers of one moment by name and labels; identities are looked up once and remembered.

    >>> reading = Reading("host", SeriesTable(), {"host": "a"})
    >>> reading.add("node_load1", 0.5)
    >>> reading.take(1_000_000).frames["metrics"]["value"].to_list()
    [0.5]
    """

    def __init__(self, source: str, table: SeriesTable, labels: dict[str, str]) -> None:
        self._source = source
        self._table = table
        self._labels = labels
        self._known: dict[tuple[str, ...], int] = {}
        self._series: list[int] = []
        self._values: list[float] = []

    def add(self, name: str, value: float, *pairs: str, kind: str = "gauge", unit: str = "") -> None:
        """One number; `pairs` are label names and values in turn."""
        key = (name, *pairs)
        series = self._known.get(key)
        if series is None:
            labels = {**self._labels, **dict(zip(pairs[::2], pairs[1::2], strict=True))}
            series = self._known[key] = self._table.resolve(self._source, name, labels, kind, unit)
        self._series.append(series)
        self._values.append(value)

    def count(self, name: str, value: float, *pairs: str, unit: str = "") -> None:
        """One number that only ever grows until its origin restarts."""
        self.add(name, value, *pairs, kind="counter", unit=unit)

    def take(self, at: int) -> Delivery:
        """All that was added, at one time; begins anew."""
        series, self._series = self._series, []
        values, self._values = self._values, []
        return delivery(self._source, self._table, series, at, values)
