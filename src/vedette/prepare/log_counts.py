"""Log lines as numbers: how many lines of each template, and of each severity, a stream wrote in each slot of a grid.

**Time is the stream's own.** The lag of a stream is the smallest delay with which any of its lines has come: the time of the
beat less the time of the line, never below zero. Its clock is the time of the beat less that lag, so it follows
the newest line, goes on while the stream is silent, and never goes back. A lag within `lateness` counts as none, a longer
one is rounded up to whole slots. History that comes years after it was written is thus counted like lines of today.

**A slot is closed**, and its counts become points, once it ended `lateness` seconds before the stream's clock. Until then lines
may come in any order and change nothing in the result; a line of a slot that was closed is late, and counted by source. A line
that comes no more than `lateness` seconds after it was written is therefore never late.

A known template that is silent while its stream is alive gives explicit zeros, so that silence can be judged; after
`idle` seconds without a line a template, and after `gone` seconds a stream, gives no more points until it speaks again. Errors
are counted from the first line of a stream on, whatever its severity: a stream is known to have had none before the first. At most
about `burst` counts are looked at a beat, those of streams that are least behind first; the others follow with the next beats.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Final, NamedTuple

import numpy as np
import polars as pl
from numba import njit
from numpy.typing import NDArray
from pydantic import Field

from vedette.core.catalogue import SeriesInfo
from vedette.core.frames import AT, POINTS, SERIES, Schema, empty, from_rows
from vedette.core.identity import series_id
from vedette.core.settings import Settings
from vedette.core.types import State
from vedette.prepare.slots import Columns, Floats, Ints, Slots

TEMPLATE_LINES: Final = "log_template_lines"
SEVERITY_LINES: Final = "log_severity_lines"
OTHER: Final = "__other__"
#: Classes of OpenTelemetry severity numbers: 0 unspecified, then four numbers each.
SEVERITIES: Final = ("unspecified", "trace", "debug", "info", "warn", "error", "fatal")

_BY_TEMPLATE: Final = 0
_BY_SEVERITY: Final = 1
_ERROR: Final = SEVERITIES.index("error")
_OTHER_CODE: Final = -1
_NEVER: Final = np.iinfo(np.int64).min // 2
_ALWAYS: Final = np.iinfo(np.int64).max // 2
_STREAMS: Final[Columns] = {
    "lag": (np.int64, np.iinfo(np.int64).max // 4),
    "closed": (np.int64, _NEVER),
    "last": (np.int64, _NEVER),
}
_KEYS: Final[Columns] = {
    "stream": (np.int64, 0),
    "kind": (np.int8, 0),
    "code": (np.int64, 0),
    "series": (np.int64, 0),
    "last": (np.int64, _NEVER),
}
_SOURCED: Final[Schema] = {"source": pl.String, "lines": pl.Int64}
_NO_ROWS: Final[tuple[Ints, Ints, Ints]] = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int64))

Describe = Callable[[Iterable[int]], Mapping[int, SeriesInfo]]


class Counted(NamedTuple):
    """What `LogCounts.observe` answers.

    Attributes:
        points: POINTS sorted by (series, at); `at` is the end of the slot, `value` the number of lines in it.
        series: SERIES rows of derived series that are new.
        late: source, lines: lines whose slot was closed already.
        limited: source, lines: lines whose template or severity is counted under `__other__`, too many series being derived.
    """

    points: pl.DataFrame
    series: pl.DataFrame
    late: pl.DataFrame
    limited: pl.DataFrame


_NOTHING: Final = Counted(empty(POINTS), empty(SERIES), empty(_SOURCED), empty(_SOURCED))


class LogCountSettings(Settings):
    """How log lines are counted. Seconds, but for the last two.

    Attributes:
        slot: width of the grid; slots begin at multiples of it since 1970.
        lateness: how long, by the stream's clock, a slot waits for lines after its end.
        idle: how long there are zeros after the last line of a template or severity.
        gone: how long there are zeros after the last line of a whole stream.
        limit: derived series; what would be further ones is counted under `__other__` of its stream.
        burst: counts looked at a beat, exceeded by at most one slot of one stream.
    """

    slot: Annotated[int, Field(gt=0)] = 60
    lateness: Annotated[int, Field(ge=0)] = 60
    idle: Annotated[int, Field(ge=0)] = 21_600
    gone: Annotated[int, Field(ge=0)] = 3_600
    limit: Annotated[int, Field(gt=0)] = 50_000
    burst: Annotated[int, Field(gt=0)] = 1_000_000


class LogCounts:
    """Counts lines per template and severity of each stream (`core.ports.Stateful`).

    Args:
        describe: what is known of a stream, as `Catalogue.get`; asked once, when a derived series is born.
    """

    def __init__(self, describe: Describe, settings: LogCountSettings | None = None) -> None:
        settings = settings or LogCountSettings()
        self._describe = describe
        self._width = settings.slot * 1_000_000
        self._lateness = settings.lateness * 1_000_000
        self._idle = settings.idle // settings.slot
        self._gone = settings.gone // settings.slot
        self._limit = settings.limit
        self._burst = settings.burst
        self._streams = Slots(_STREAMS)
        self._keys = Slots(_KEYS)
        self._open = _NO_ROWS  # key, slot, lines
        self._wake = _NEVER  # no slot closes before this time of a beat

    def observe(self, logs: pl.DataFrame, at: int) -> Counted:
        """Count the lines of a beat, then close the slots whose time has come.

        Args:
            logs: at least at, series, severity, template, source.
            at: the time of the beat, UTC microseconds.
        """
        if logs.is_empty():
            return _NOTHING if at < self._wake else _NOTHING._replace(points=self._close(at))
        born, late, limited = self._count(logs, at)
        return Counted(self._close(at), born, late, limited)

    def _count(self, logs: pl.DataFrame, at: int) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
        """Add the lines to the open slots; new definitions, late and limited lines."""
        kinds = logs.select(
            "source",
            pl.col("series").alias("stream"),
            pl.col("template").fill_null(0),
            severity_class(pl.col("severity")).alias("severity"),
            (pl.col("at").to_physical() // self._width).alias("slot"),
            pl.col("at").to_physical().alias("at"),
        )
        by = ["source", "stream", "template", "severity", "slot"]
        kinds = kinds.group_by(by, maintain_order=True).agg(pl.len().cast(pl.Int64).alias("lines"), pl.col("at").max())
        stream, slot = kinds["stream"].to_numpy(), kinds["slot"].to_numpy()
        known = len(self._streams)
        place = self._meet(stream, slot, kinds["at"].to_numpy(), at)
        met = np.unique(stream[place >= known])
        on_time = slot >= self._streams.column["closed"][place]
        late = _NOTHING.late if on_time.all() else _by_source(kinds.filter(pl.Series(~on_time)))
        if not on_time.any():
            return _NOTHING.series, late, _NOTHING.limited
        taken = kinds.filter(pl.Series(on_time))
        stream, slot, lines = (taken[name].to_numpy() for name in ("stream", "slot", "lines"))
        template, severity = taken["template"].to_numpy(), taken["severity"].to_numpy()
        # Of severities there are few: they come first where room is short.
        codes = np.concatenate((np.full(len(met), _ERROR), severity, template))
        kind = np.repeat(np.array([_BY_SEVERITY, _BY_TEMPLATE], np.int8), (len(met) + len(slot), len(slot)))
        keys, over, born = self._admit(np.concatenate((met, stream, stream)), kind, codes)
        self._keys.column["last"][keys[: len(met)]] = _ALWAYS
        keys, over = keys[len(met) :], over[len(met) :]
        fresh = (keys, np.tile(slot, 2), np.tile(lines, 2))
        key, when, count = (np.concatenate(pair) for pair in zip(self._open, fresh, strict=True))
        self._open = (key, when, count)
        either = over[: len(slot)] | over[len(slot) :]
        return born, late, _by_source(taken.filter(pl.Series(either))) if either.any() else _NOTHING.limited

    def _meet(self, stream: Ints, slot: Ints, newest: Ints, at: int) -> Ints:
        """Where each stream is kept, after its clock was moved on by its newest line."""
        fresh = np.unique(stream[self._streams.find(stream) < 0])
        known = len(self._streams)
        self._streams.add(fresh)
        place, column = self._streams.find(stream), self._streams.column
        np.minimum.at(column["lag"], place, np.maximum(at - newest, 0))
        if len(fresh):
            oldest = np.full(len(self._streams), np.iinfo(np.int64).max)
            np.minimum.at(oldest, place, slot)
            column["closed"][known : len(self._streams)] = np.minimum(oldest, self._due(at))[known:]
        return place

    def _due(self, at: int) -> Ints:
        """The first slot of each stream that is not to be closed yet."""
        return (at - self._lateness - self._behind()) // self._width

    def _behind(self) -> Ints:
        lag = self._streams.column["lag"][: len(self._streams)]
        return np.where(lag <= self._lateness, 0, -(-lag // self._width) * self._width)

    def _admit(self, stream: Ints, kind: NDArray[np.int8], code: Ints) -> tuple[Ints, NDArray[np.bool_], pl.DataFrame]:
        """The key of each row, whether that is the overflow of its stream, and the definitions of new keys."""
        identity = _identity(stream, kind, code)
        keys = self._keys.find(identity)
        if keys.min() >= 0:
            return keys, code == _OTHER_CODE, _NOTHING.series
        _, first = np.unique(identity[keys < 0], return_index=True)
        rows = np.flatnonzero(keys < 0)[np.sort(first)]
        room = max(self._limit - len(self._keys), 0)
        born = [self._define(stream[rows[:room]], kind[rows[:room]], code[rows[:room]])]
        keys = self._keys.find(identity)
        over = keys < 0
        if over.any():
            other = _identity(stream[over], kind[over], np.full(over.sum(), _OTHER_CODE))
            _, first = np.unique(other, return_index=True)
            rows = np.flatnonzero(over)[np.sort(first)]
            rows = rows[self._keys.find(_identity(stream[rows], kind[rows], np.full(len(rows), _OTHER_CODE))) < 0]
            born.append(self._define(stream[rows], kind[rows], np.full(len(rows), _OTHER_CODE)))
            keys[over] = self._keys.find(other)
        return keys, over, pl.concat(born)

    def _define(self, stream: Ints, kind: NDArray[np.int8], code: Ints) -> pl.DataFrame:
        """Give new keys their identity and remember them; their SERIES rows."""
        if not len(stream):
            return _NOTHING.series
        known, begin = self._describe(dict.fromkeys(stream.tolist())), len(self._keys)
        rows = [
            _definition(known.get(each), each, *what)
            for each, *what in zip(stream.tolist(), kind.tolist(), code.tolist(), strict=True)
        ]
        self._keys.add(_identity(stream, kind, code))
        for name, column in (("stream", self._streams.find(stream)), ("kind", kind), ("code", code)):
            self._keys.column[name][begin : begin + len(stream)] = column
        self._keys.column["series"][begin : begin + len(stream)] = [row[0] for row in rows]
        return from_rows(rows, SERIES)

    def _close(self, at: int) -> pl.DataFrame:
        """The points of every open slot whose time has come."""
        self._wake = self._next(at)
        if at < self._wake:
            return _NOTHING.points
        due, streams, keys = self._due(at), self._streams.column, self._keys.column
        least_behind = np.argsort(due - streams["closed"][: len(due)], kind="stable")
        order = np.argsort(keys["stream"][: len(self._keys)], kind="stable")
        begin = np.searchsorted(keys["stream"][order], np.arange(len(self._streams) + 1))
        by = np.lexsort((self._open[1], self._open[0]))
        key, slot, lines = (column[by] for column in self._open)
        ends = np.searchsorted(key, np.arange(len(self._keys) + 1))
        widest = int(np.diff(begin).max()) if len(self._streams) else 0
        which, when = np.empty(self._burst + widest, np.int64), np.empty(self._burst + widest, np.int64)
        value = np.empty(self._burst + widest)
        written = _give(
            least_behind, order, begin, ends, slot, lines, due, streams["closed"], streams["last"], keys["last"],
            self._idle, self._gone, self._burst, which, when, value,
        )  # fmt: skip
        waiting = slot >= streams["closed"][keys["stream"][key]]
        self._open = (key[waiting], slot[waiting], lines[waiting])
        self._wake = self._next(at)
        if not written:
            return _NOTHING.points
        series, ends_at = keys["series"][which[:written]], (when[:written] + 1) * self._width
        by = np.lexsort((ends_at, series))
        columns = (pl.Series("series", series[by]), pl.Series("at", ends_at[by]).cast(AT), pl.Series("value", value[:written][by]))
        return pl.DataFrame(columns)

    def _next(self, at: int) -> int:
        """The time of the beat at which the next slot of any stream closes."""
        closed, last = (self._streams.column[name][: len(self._streams)] for name in ("closed", "last"))
        active = last >= closed - self._gone
        active[self._keys.column["stream"][self._open[0]]] = True
        ready = ((closed + 1) * self._width + self._lateness + self._behind())[active]
        return int(ready.min()) if len(ready) else at + (1 << 62)

    def state(self) -> State:
        """Plain arrays: streams, keys, and the counts of open slots."""
        parts = {"streams": self._streams.state(), "keys": self._keys.state()}
        parts["open"] = dict(zip(("key", "slot", "lines"), self._open, strict=True))
        return {f"{part}_{name}": column for part, columns in parts.items() for name, column in columns.items()}

    def load(self, state: State) -> None:
        """Become exactly what `state` was taken from."""
        self._streams.load({name: state[f"streams_{name}"] for name in ("key", *_STREAMS)})
        self._keys.load({name: state[f"keys_{name}"] for name in ("key", *_KEYS)})
        self._open = (state["open_key"], state["open_slot"], state["open_lines"])
        self._wake = _NEVER


@njit(cache=True, nogil=True)
def _give(
    streams: Ints, order: Ints, begin: Ints, ends: Ints, slots: Ints, lines: Ints, due: Ints, closed: Ints, stream_last: Ints,
    last: Ints, idle: int, gone: int, burst: int, which: Ints, when: Ints, value: Floats,
) -> int:  # fmt: skip
    """Close the slots of `streams` up to their `due`, until `burst` keys were looked at; how many were given.

    `order[begin[s]:begin[s + 1]]` are the keys of stream s, `ends[k]:ends[k + 1]` the rows of key k in `slots` and `lines`.
    A stream that is gone stays at the slot where it went, since nothing was said of what comes after.
    """
    written, looked = 0, 0
    after = ends.copy()
    for stream in streams:
        keys = order[begin[stream] : begin[stream + 1]]
        slot = closed[stream]
        while slot < due[stream] and looked < burst:
            following = due[stream]
            for key in keys:
                if after[key] < ends[key + 1]:
                    following = min(following, slots[after[key]])
            if following > slot and stream_last[stream] < slot - gone:
                if following == due[stream]:
                    break
                slot = following
            looked += len(keys)
            if following == slot:
                stream_last[stream] = slot
            for key in keys:
                count = 0
                while after[key] < ends[key + 1] and slots[after[key]] == slot:
                    count += lines[after[key]]
                    after[key] += 1
                    last[key] = max(last[key], slot)
                if last[key] >= slot - idle:
                    which[written], when[written], value[written] = key, slot, count
                    written += 1
            slot += 1
        closed[stream] = slot
    return written


def severity_class(severity: pl.Expr) -> pl.Expr:
    """OpenTelemetry severity number -> place in `SEVERITIES`; what is out of range or null is unspecified.

    >>> pl.select(severity_class(pl.Series([0, 1, 9, 17, 24, 25, None]))).to_series().to_list()
    [0, 1, 3, 5, 6, 0, 0]
    """
    return pl.when(severity.is_between(1, 24)).then((severity - 1) // 4 + 1).otherwise(0).cast(pl.Int64)


def _identity(stream: Ints, kind: NDArray[np.int8], code: Ints) -> Ints:
    """64 well mixed bits for each (stream, kind, code)."""
    mixed = stream.view(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + kind.astype(np.uint64) * np.uint64(0xD6E8FEB86659FD93)
    mixed ^= mixed >> np.uint64(31)
    mixed = (mixed ^ code.view(np.uint64)) * np.uint64(0xBF58476D1CE4E5B9)
    whole: Ints = (mixed ^ mixed >> np.uint64(29)).view(np.int64)
    return whole


def _by_source(lines: pl.DataFrame) -> pl.DataFrame:
    return lines.group_by("source", maintain_order=True).agg(pl.col("lines").sum())


def _definition(info: SeriesInfo | None, stream: int, kind: int, code: int) -> tuple[int, str, dict[str, str], str, str]:
    labels = dict(info.labels) if info is not None else {"stream": f"{stream & (2**64 - 1):016x}"}
    name = TEMPLATE_LINES if kind == _BY_TEMPLATE else SEVERITY_LINES
    what = OTHER if code == _OTHER_CODE else f"{code & (2**64 - 1):016x}" if kind == _BY_TEMPLATE else SEVERITIES[code]
    labels["template" if kind == _BY_TEMPLATE else "severity"] = what
    return series_id(name, labels), name, labels, "gauge", ""
