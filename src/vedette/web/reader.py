"""Questions to the lake, answered in plain values that fit a page and a JSON document: bounded, finite, 64-bit numbers as text."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from threading import BoundedSemaphore
from typing import Any, Final

import polars as pl

from vedette.core.catalogue import SeriesInfo
from vedette.core.errors import BadRecord, NotFound
from vedette.core.frames import AT
from vedette.web.view import Tables

#: Stretches into which a curve is cut when it has too many points; of each stretch at most four remain.
STRETCHES: Final = 500
LONGEST: Final = 31 * 86_400_000_000
SECOND: Final = 1_000_000
#: Questions answered at a time: each may hold the points of a month in memory.
AT_ONCE: Final = 2
_NUMBERS: Final = ("value", "yhat", "yhat_lower", "yhat_upper", "score")
_WIDE: Final = frozenset({"series", "template"})


@dataclass(frozen=True, slots=True)
class Curve:
    """The points of one series by one model, as columns of the same length; `model` is empty for values as they came.

    Attributes:
        thinned: whether there are more points than these; the least, the largest and the oddest of each stretch are among them.
    """

    model: str
    at: list[int]
    value: list[float | None]
    yhat: list[float | None]
    yhat_lower: list[float | None]
    yhat_upper: list[float | None]
    score: list[float | None]
    thinned: bool


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a log stream; `at` in UTC microseconds, `severity` as OpenTelemetry numbers it."""

    at: int
    severity: int | None
    body: str


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Something set aside: where it came from, why, and the beginning of what it was."""

    at: int
    source: str
    partition: str
    offset: int
    reason: str
    digest: str
    bytes: int
    payload: str


class Reader:
    """Answers from the lake, so never newer than its last flush.

    Every method raises `Transient` where the lake cannot be read now.
    """

    def __init__(self, lake: Tables) -> None:
        self._lake = lake
        self._gate = BoundedSemaphore(AT_ONCE)

    def search(self, match: str, limit: int) -> list[SeriesInfo]:
        """At most `limit` series whose name and labels, as text, contain every word of `match`, by name."""
        pairs = pl.element().struct.field("key") + '="' + pl.element().struct.field("value") + '"'
        inner = pl.col("labels").map.entries().list.eval(pairs).list.sort().list.join(", ")
        found = self._lake.scan("series").with_columns(
            text=pl.concat_str("name", pl.lit("{"), inner, pl.lit("}"), ignore_nulls=True)
        )
        for word in match.lower().split()[:16]:
            found = found.filter(pl.col("text").str.to_lowercase().str.contains(word, literal=True))
        return _infos(self._collect(found.unique("series", keep="first").sort("name", "text").head(limit)))

    def known(self, series: Iterable[int]) -> dict[int, SeriesInfo]:
        """What is known of `series`; the unknown are left out."""
        wanted = sorted(set(series))
        if not wanted:
            return {}
        found = self._lake.scan("series").filter(pl.col("series").is_in(wanted)).unique("series", keep="first")
        return {info.series: info for info in _infos(self._collect(found))}

    def get(self, series: int) -> SeriesInfo:
        """What is known of one series.

        Raises:
            NotFound: it is not known.
        """
        info = self.known([series]).get(series)
        if info is None:
            raise NotFound(f"there is no series {series}; a new one is known after a few seconds")
        return info

    def curves(self, series: int, start: int, end: int) -> list[Curve]:
        """The scored points of a series from `start` to `end` (UTC microseconds), a curve a model, the longest first.

        Points that no model scored (history, or a series that is not judged) are one curve of values only.
        """
        columns = ("at", "model", "value", "yhat", "yhat_lower", "yhat_upper", pl.col("anomaly_score").alias("score"))
        rows = self._collect(self._lake.series_window([series], start, end, "verdicts").select(*columns))
        curves = [_curve(str(key), part, start, end) for (key,), part in rows.group_by("model", maintain_order=True)]
        if not any(curve.model not in {"heartbeat", "novelty"} for curve in curves):
            raw = self._collect(self._lake.series_window([series], start, end).select("at", "value"))
            if not raw.is_empty():
                raw = raw.with_columns(pl.lit(None, pl.Float64).alias(name) for name in _NUMBERS[1:])
                curves.append(_curve("", raw, start, end))
        return sorted(curves, key=lambda curve: (-len(curve.at), curve.model))

    def lines(self, series: int, start: int, end: int, limit: int) -> list[LogLine]:
        """At most `limit` lines of a log stream, the latest ones, in order."""
        rows = self._lake.series_window([series], start, end, "logs").select("at", "severity", "body").tail(limit)
        return [LogLine(int(at), severity, body or "") for at, severity, body in self._collect(_physical(rows)).iter_rows()]

    def dead_letters(self, limit: int) -> list[DeadLetter]:
        """At most `limit` of what was set aside, the newest first."""
        columns = ("at", "source", "partition", "offset", "reason", "digest", "payload")
        rows = self._lake.scan("dead_letters").select(columns).top_k(limit, by="at").sort("at", descending=True)
        return [
            DeadLetter(int(at), source, partition, offset, reason, digest, len(payload or b""), _beginning(payload or b""))
            for at, source, partition, offset, reason, digest, payload in self._collect(_physical(rows)).iter_rows()
        ]

    def _collect(self, frame: pl.LazyFrame) -> pl.DataFrame:
        with self._gate:
            return frame.collect()


def span(start: int | None, end: int | None, now: int, usual: int = 6 * 3600 * SECOND) -> tuple[int, int]:
    """The stretch of time a caller asked for, all in UTC microseconds; by default the last six hours.

    Raises:
        BadRecord: it ends before it starts, or is longer than 31 days.

    >>> span(None, None, 30_000_000_000), span(5, 9, 100)
    ((8400000000, 30000000000), (5, 9))
    """
    end = now if end is None else end
    start = max(0, end - usual) if start is None else start
    if not 0 <= start < end <= now + LONGEST:
        raise BadRecord(f"expected 0 <= start < end in UTC microseconds, got {start} and {end}", field="start")
    if end - start > LONGEST:
        raise BadRecord("expected at most 31 days between start and end", field="start")
    return start, end


def identity(text: str) -> int:
    """The number of a series from a path.

    Raises:
        BadRecord: it is no 64-bit number.

    >>> identity("-9223372036854775808")
    -9223372036854775808
    """
    digits = text.removeprefix("-")
    if digits.isascii() and digits.isdecimal() and len(digits) <= 19 and -(1 << 63) <= int(text) < 1 << 63:
        return int(text)
    raise BadRecord("expected the number of a series", field="series")


def plain(value: Any) -> Any:  # noqa: ANN401 -- the values of an explanation
    """`value` as JSON can say it: numbers that are none become null, numbers of 64 bits text.

    >>> plain({"series": -5, "members": [{"template": 1 << 60, "value": float("nan")}]})
    {'series': '-5', 'members': [{'template': '1152921504606846976', 'value': None}]}
    """
    if isinstance(value, Mapping):
        return {str(key): str(each) if key in _WIDE and isinstance(each, int) else plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _infos(rows: pl.DataFrame) -> list[SeriesInfo]:
    columns = rows.select("series", "name", "labels", "kind", "unit")
    return [SeriesInfo(row[0], row[1], dict(row[2] or {}), row[3] or "unknown", row[4] or "") for row in columns.iter_rows()]


def _curve(model: str, rows: pl.DataFrame, start: int, end: int) -> Curve:
    rows = rows.with_columns(
        pl.col("at").cast(AT).dt.timestamp("us"),
        *(pl.when(pl.col(name).is_finite()).then(pl.col(name)) for name in _NUMBERS),
    )
    kept = _thin(rows, start, end)
    columns = {name: kept[name].to_list() for name in ("at", *_NUMBERS)}
    return Curve(model=model, thinned=kept.height < rows.height, **columns)


def _thin(rows: pl.DataFrame, start: int, end: int) -> pl.DataFrame:
    """First, least, largest and oddest of each stretch, so that no peak is lost (as M4: Jugel et al., VLDB 2014)."""
    if rows.height <= 4 * STRETCHES:
        return rows
    width = max(1, (end - start) // STRETCHES)
    rows = rows.with_columns(stretch=(pl.col("at") - start) // width).with_row_index("row")
    telling = [
        pl.col("row").first(),
        pl.col("row").get(pl.col("value").arg_min()),
        pl.col("row").get(pl.col("value").arg_max()),
        pl.col("row").get(pl.col("score").arg_max()),
    ]
    chosen = rows.group_by("stretch").agg(expression.alias(str(i)) for i, expression in enumerate(telling))
    wanted = chosen.unpivot(on=[str(i) for i in range(len(telling))])["value"].drop_nulls().unique()
    return rows.filter(pl.col("row").is_in(wanted.implode()))


def _physical(rows: pl.LazyFrame) -> pl.LazyFrame:
    return rows.with_columns(pl.col("at").dt.timestamp("us"))


def _beginning(payload: bytes) -> str:
    return payload[:500].decode("utf-8", "replace")
