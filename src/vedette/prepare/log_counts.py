"""Log lines as numbers: how many lines of each template, and of each severity, a stream wrote in each slot of a grid.

A slot is closed, and its counts become points, once it ended `lateness` seconds before the time of the beat. Until then
lines may come in any order and change nothing in the result; a line for a closed slot is counted as late, by source.
A known template that is silent while its stream is alive gives explicit zeros, so that silence can be judged; after
`idle` seconds without a line a template, and after `gone` seconds a stream, gives no more points until it speaks again.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

import numpy as np
import polars as pl

from vedette.core.catalogue import SeriesInfo
from vedette.core.frames import AT, POINTS, SERIES, Schema, empty, from_rows
from vedette.core.identity import series_id
from vedette.core.types import State

TEMPLATE_LINES: Final = "log_template_lines"
SEVERITY_LINES: Final = "log_severity_lines"
OTHER: Final = "__other__"
#: Classes of OpenTelemetry severity numbers: 0 unspecified, then four numbers each.
SEVERITIES: Final = ("unspecified", "trace", "debug", "info", "warn", "error", "fatal")

_BY_TEMPLATE: Final = 0
_BY_SEVERITY: Final = 1
_KEY: Final = ["stream", "kind", "code"]
_KEYS: Final[Schema] = {"stream": pl.Int64, "kind": pl.Int8, "code": pl.Int64, "series": pl.Int64, "last": pl.Int64}
_OPEN: Final[Schema] = {"stream": pl.Int64, "kind": pl.Int8, "code": pl.Int64, "slot": pl.Int64, "lines": pl.Int64}
_SOURCED: Final[Schema] = {"source": pl.String, "lines": pl.Int64}

Describe = Callable[[Iterable[int]], Mapping[int, SeriesInfo]]


class Counted(NamedTuple):
    """What `LogCounts.observe` answers.

    Attributes:
        points: POINTS sorted by (series, at); `at` is the end of the slot, `value` the number of lines in it.
        series: SERIES rows of derived series that are new.
        late: source, lines: lines whose slot was closed already.
        limited: source, lines: lines counted under `__other__` because there are too many derived series.
    """

    points: pl.DataFrame
    series: pl.DataFrame
    late: pl.DataFrame
    limited: pl.DataFrame


class LogCounts:
    """Counts lines per template and severity of each stream (`core.ports.Stateful`).

    Args:
        describe: what is known of a stream, as `Catalogue.get`; asked once, when a derived series is born.
        slot: width of the grid in seconds; slots begin at multiples of it since 1970.
        lateness: seconds, by the time of the beat, that a slot waits for lines after its end.
        idle: seconds of zeros after the last line of a template or severity.
        gone: seconds of zeros after the last line of a whole stream.
        limit: derived series; lines of further ones are counted under `__other__`.
    """

    def __init__(
        self, describe: Describe, *, slot: int = 60, lateness: int = 60, idle: int = 21_600, gone: int = 3_600, limit: int = 50_000
    ) -> None:
        self._describe = describe
        self._width = slot * 1_000_000
        self._lateness = lateness * 1_000_000
        self._idle = idle // slot
        self._gone = gone // slot
        self._limit = limit
        self._closed: int | None = None  # slots below it are closed
        self._keys = pl.DataFrame(schema=_KEYS)
        self._open = pl.DataFrame(schema=_OPEN)

    def observe(self, logs: pl.DataFrame, at: int) -> Counted:
        """Count the lines of a beat, then close the slots whose time has come.

        Args:
            logs: at least at, series, severity, template, source.
            at: the time of the beat, UTC microseconds.
        """
        due = (at - self._lateness) // self._width
        if self._closed is None:
            self._closed = due
        slot = (pl.col("at").cast(pl.Int64) // self._width).alias("slot")
        slotted = logs.select("series", "severity", pl.col("template").fill_null(0), "source", slot)
        late = _by_source(slotted.filter(pl.col("slot") < self._closed))
        counts = _counts(slotted.filter(pl.col("slot") >= self._closed))
        born, counts, limited = self._admit(counts)
        if not counts.is_empty():
            self._open = pl.concat([self._open, counts]).group_by([*_KEY, "slot"], maintain_order=True).agg(pl.col("lines").sum())
        return Counted(self._close(due), born, late, limited)

    def _admit(self, counts: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
        """Definitions of what is new, the counts by known keys, and what went over the limit."""
        unknown = counts.select(_KEY).unique(maintain_order=True).join(self._keys, on=_KEY, how="anti", maintain_order="left")
        room = max(self._limit - self._keys.height, 0)
        definitions = self._define(unknown.head(room))
        over = counts.join(unknown.slice(room), on=_KEY, how="semi", maintain_order="left")
        limited = empty(_SOURCED)
        if not over.is_empty():
            limited = over.filter(pl.col("kind") == _BY_TEMPLATE).group_by("source", maintain_order=True).agg(pl.col("lines").sum())
            other = over.with_columns(stream=pl.lit(0, pl.Int64), code=pl.lit(-1, pl.Int64))
            fresh = other.select(_KEY).unique(maintain_order=True).join(self._keys, on=_KEY, how="anti", maintain_order="left")
            definitions = pl.concat([definitions, self._define(fresh)])
            counts = pl.concat([counts.join(over, on=_KEY, how="anti", maintain_order="left"), other])
        return definitions, counts.select(list(_OPEN)), limited

    def _define(self, keys: pl.DataFrame) -> pl.DataFrame:
        """Give new keys their identity and remember them; their SERIES rows."""
        if keys.is_empty():
            return empty(SERIES)
        known = self._describe(keys.get_column("stream").unique(maintain_order=True).to_list())
        rows = [_definition(known.get(stream), stream, kind, code) for stream, kind, code in keys.iter_rows()]
        frame = from_rows(rows, SERIES)
        born = keys.with_columns(frame.get_column("series"), last=pl.lit(None, pl.Int64))
        before = self._keys.get_column("series")
        self._keys = pl.concat([self._keys, born.select(list(_KEYS))])
        return frame.filter(~pl.col("series").is_in(before.implode())).unique("series", keep="first", maintain_order=True)

    def _close(self, due: int) -> pl.DataFrame:
        """The points of every slot below `due` that was still open."""
        if self._closed is None or due <= self._closed:
            return empty(POINTS)
        parts = []
        slot = self._closed
        while slot < due:
            part = self._close_one(slot)
            if part is not None:
                parts.append(part)
                slot += 1
                continue
            waiting = self._open.get_column("slot").min()
            slot = due if not isinstance(waiting, int) else min(max(slot + 1, waiting), due)
        self._closed = due
        if not parts:
            return empty(POINTS)
        points = pl.concat(parts).group_by("series", "slot").agg(pl.col("lines").sum().cast(pl.Float64).alias("value"))
        when = ((pl.col("slot") + 1) * self._width).cast(AT).alias("at")
        return points.select("series", when, "value").sort("series", "at")

    def _close_one(self, slot: int) -> pl.DataFrame | None:
        """series, slot, lines of one slot, zeros for the silent; None where nothing is alive."""
        here = pl.col("slot") == slot
        counted = self._keys.join(self._open.filter(here), on=_KEY, how="left", maintain_order="left")
        self._open = self._open.filter(~here)
        spoke = pl.col("lines").is_not_null()
        keys = counted.with_columns(last=pl.when(spoke).then(pl.lit(slot, pl.Int64)).otherwise("last"))
        self._keys = keys.select(list(_KEYS))
        stream = pl.col("last").max().over("stream")
        alive = keys.filter((pl.col("last") >= slot - self._idle) & (stream >= slot - self._gone))
        if alive.is_empty():
            return None
        return alive.select("series", pl.lit(slot, pl.Int64).alias("slot"), pl.col("lines").fill_null(0))

    def state(self) -> State:
        """Plain arrays; a `last` of -1 is a key that no closed slot has seen yet."""
        keys, waiting = self._keys.with_columns(pl.col("last").fill_null(-1)), self._open
        return {
            "closed": np.array([] if self._closed is None else [self._closed], dtype=np.int64),
            **{f"keys_{name}": keys.get_column(name).to_numpy() for name in _KEYS},
            **{f"open_{name}": waiting.get_column(name).to_numpy() for name in _OPEN},
        }

    def load(self, state: State) -> None:
        """Become exactly what `state` was taken from."""
        self._closed = int(state["closed"][0]) if len(state["closed"]) else None
        keys = pl.DataFrame({name: state[f"keys_{name}"] for name in _KEYS}, schema=_KEYS)
        self._keys = keys.with_columns(pl.when(pl.col("last") >= 0).then("last").alias("last"))
        self._open = pl.DataFrame({name: state[f"open_{name}"] for name in _OPEN}, schema=_OPEN)


def severity_class(severity: pl.Expr) -> pl.Expr:
    """OpenTelemetry severity number -> place in `SEVERITIES`; what is out of range or null is unspecified.

    >>> pl.select(severity_class(pl.Series([0, 1, 9, 17, 24, 25, None]))).to_series().to_list()
    [0, 1, 3, 5, 6, 0, 0]
    """
    return pl.when(severity.is_between(1, 24)).then((severity - 1) // 4 + 1).otherwise(0).cast(pl.Int64)


def _counts(lines: pl.DataFrame) -> pl.DataFrame:
    """stream, kind, code, slot, source, lines: of both kinds."""
    severity = severity_class(pl.col("severity"))
    parts = [
        lines.select(pl.col("series").alias("stream"), pl.lit(kind, pl.Int8).alias("kind"), code.alias("code"), "slot", "source")
        .group_by(*_KEY, "slot", "source", maintain_order=True)
        .agg(pl.len().cast(pl.Int64).alias("lines"))
        for kind, code in ((_BY_TEMPLATE, pl.col("template")), (_BY_SEVERITY, severity))
    ]
    return pl.concat(parts)


def _by_source(lines: pl.DataFrame) -> pl.DataFrame:
    return lines.group_by("source", maintain_order=True).agg(pl.len().cast(pl.Int64).alias("lines"))


def _definition(info: SeriesInfo | None, stream: int, kind: int, code: int) -> tuple[int, str, dict[str, str], str, str]:
    labels = dict(info.labels) if info is not None else {"stream": f"{stream & (2**64 - 1):016x}"}
    name = TEMPLATE_LINES if kind == _BY_TEMPLATE else SEVERITY_LINES
    what = f"{code & (2**64 - 1):016x}" if kind == _BY_TEMPLATE else SEVERITIES[code]
    if (stream, code) == (0, -1):
        labels, what = {}, OTHER
    labels["template" if kind == _BY_TEMPLATE else "severity"] = what
    return series_id(name, labels), name, labels, "gauge", ""
