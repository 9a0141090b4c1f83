"""Quality of the live data of a model: does it still come, whole, in range, and as what it was?"""

from collections.abc import Iterator
from hashlib import blake2b
from typing import Any, Final

import numpy as np
import polars as pl

from vedette.core.frames import POINTS, SERIES, SERIES_KINDS, conform
from vedette.core.types import Signal, State
from vedette.monitor.golden import Golden
from vedette.monitor.hours import HOUR_US, columns, hour_of, places, starts
from vedette.monitor.seen import Seen
from vedette.monitor.settings import MonitorSettings
from vedette.monitor.told import Told

Array = np.ndarray[Any, Any]

_DAY: Final = 24 * HOUR_US
#: Points of a series in an hour of which so many out of range are no accident.
_OUT: Final = 0.05


class QualityMonitor:
    """Says when the series that a model reads are not the data it was trained on any more, whatever their values mean.

    Once an hour: `freshness` (series silent for many usual intervals), `missing` (points that should have come or are no number),
    `range` (values far beyond the golden ones), `cardinality` (many more or far fewer series). At once: `schema` (a kind or
    unit that is another than it was first said to be).

    Args:
        golden: of the model's training data.
        settings: thresholds.
        subject: what it is about, as `NAME@VERSION`.
    """

    def __init__(self, golden: Golden, settings: MonitorSettings | None = None, subject: str = "model") -> None:
        self.golden = golden
        self.settings = settings or MonitorSettings()
        self.subject = subject
        n = len(golden.ids)
        # Of the hour so far: points, those that are no number, those out of range.
        self._counts = np.zeros((3, n))
        self._kind = np.zeros(n, np.int64)
        self._unit = np.zeros(n, np.int64)
        # When listening began, when the current hour did, both in UTC microseconds.
        self._clock = np.zeros(2, np.int64)
        self._shares = np.zeros(4)
        self._seen = Seen(golden.ids)
        self._told = Told(self.settings.again_seconds, self.settings.worse)

    def update(self, points: pl.DataFrame, series: pl.DataFrame, at: int) -> tuple[Signal, ...]:
        """Take POINTS sorted by (series, at) and the SERIES definitions that came with them, at `at` (UTC microseconds).

        Raises:
            TypeError: the columns are not those of POINTS and SERIES.
        """
        if self._clock[0] == 0:
            self._clock[:] = at
        conform(points, POINTS)
        found = list(self._schema(conform(series, SERIES), at))
        if not points.is_empty():
            self._take(points)
        if hour_of(at) > hour_of(int(self._clock[1])) and at - self._clock[1] >= HOUR_US // 2:
            found += self._hourly(at)
            self._counts[:] = 0.0
            self._clock[1] = at
        return self._told.new(found)

    def gauges(self) -> dict[str, float]:
        """Shares of the last hour by kind: stale series, missing points, series out of range; times the golden number of series."""
        return dict(zip(("stale", "missing", "range", "cardinality"), self._shares.tolist(), strict=True))

    def state(self) -> State:
        """The current hour, definitions, when each series was heard, and what was told; views."""
        own = {"counts": self._counts, "kind": self._kind, "unit": self._unit, "clock": self._clock, "shares": self._shares}
        return {**own, **self._seen.state(), **self._told.state()}

    def load(self, state: State) -> None:
        """Become exactly what `state` was taken from."""
        self._counts, self._kind, self._unit = (state[name].copy() for name in ("counts", "kind", "unit"))
        self._clock, self._shares = state["clock"].copy(), state["shares"].copy()
        self._seen.load(state)
        self._told.load(state)

    def _take(self, points: pl.DataFrame) -> None:
        series, at, value = columns(points)
        self._seen.hear(series, at)
        place = places(self.golden.ids, series)
        known = place >= 0
        place, value = place[known], value[known]
        begin = starts(place)
        if len(begin) == 0:
            return
        low, high = self._bounds()
        sound = np.isfinite(value)
        out = sound & ((value < low[place]) | (value > high[place]))
        rows = np.vstack([np.ones(len(place)), ~sound, out])
        self._counts[:, place[begin]] += np.add.reduceat(rows, begin, axis=1)

    def _bounds(self) -> tuple[Array, Array]:
        golden = self.golden
        room = self.settings.range_factor * np.maximum(golden.highest - golden.lowest, golden.scale)
        return golden.lowest - room, golden.highest + room

    def _schema(self, series: pl.DataFrame, at: int) -> Iterator[tuple[Signal, float]]:
        place = places(self.golden.ids, series["series"].to_numpy())
        if not (place >= 0).any():
            return
        told = series.filter(pl.Series(place >= 0)).with_columns(place=pl.Series(place[place >= 0])).unique("place", keep="last")
        kind = told["kind"].replace_strict(list(SERIES_KINDS), list(range(len(SERIES_KINDS))), default=0, return_dtype=pl.Int64)
        names = told["unit"].fill_null("")
        digest = {name: _digest(name) for name in names.unique().to_list()}
        place, kinds = told["place"].to_numpy(), kind.to_numpy()
        units = np.array([digest[name] for name in names.to_list()], np.int64)
        # "unknown" and no unit say nothing, so they contradict nothing.
        other_kind = (self._kind[place] > 0) & (kinds > 0) & (self._kind[place] != kinds)
        other_unit = (self._unit[place] != 0) & (units != 0) & (self._unit[place] != units)
        changed = other_kind | other_unit
        if changed.any():
            yield self._changed(told.filter(pl.Series(changed)), self._kind[place[changed]], at), float(changed.sum())
        self._kind[place] = np.where(kinds > 0, kinds, self._kind[place])
        self._unit[place] = np.where(units != 0, units, self._unit[place])

    def _changed(self, rows: pl.DataFrame, had: Array, at: int) -> Signal:
        shown = zip(rows.head(3).iter_rows(named=True), had, strict=False)
        words = ", ".join(
            f"{row['name']} was a {SERIES_KINDS[was]}, is a {row['kind']} in '{row['unit'] or ''}'" for row, was in shown
        )
        reason = f"{rows.height} series are defined otherwise than before: {words}"
        advice = "Find out who changed the sender. Numbers of another kind or unit need a model trained on them."
        return Signal(at, "schema", self.subject, "critical", reason, advice)

    def _hourly(self, at: int) -> Iterator[tuple[Signal, float]]:
        if len(self.golden.ids) == 0:
            return
        stale, missing, out = self._stale(at), self._missing(at), self._out()
        live = self._seen.known(at - _DAY) + self._seen.unknown(at - _DAY)
        times = live / len(self.golden.ids)
        self._shares = np.array([stale.mean(), missing, out.mean(), times])
        if stale.mean() >= self.settings.stale_share:
            yield self._silent(stale, at), float(stale.mean())
        elif missing >= self.settings.missing:
            yield self._holes(missing, at), missing
        if out.mean() >= self.settings.range_share:
            yield self._far(out, at), float(out.mean())
        factor = self.settings.cardinality
        if at - self._clock[0] >= _DAY and not 1.0 / factor < times < factor:
            yield self._number(live, at), max(times, 1.0 / max(times, 1e-3))

    def _stale(self, at: int) -> Array:
        """Series silent for too long; while we were not listening nothing is."""
        allowed = np.maximum(self.settings.stale_intervals * self.golden.interval, self.settings.stale_seconds) * 1e6
        return np.asarray(at - np.maximum(self._seen.last, self._clock[0]) > allowed)

    def _missing(self, at: int) -> float:
        """Share of the points that should have come since the last time, of series that should have sent several."""
        passed = (at - self._clock[1]) / 1e6
        expected = passed / np.maximum(self.golden.interval, 1e-3)
        often = (self.golden.interval > 0) & (expected >= 3.0)
        if not often.any():
            return 0.0
        sound = np.minimum(self._counts[0] - self._counts[1], expected) / np.maximum(expected, 1.0)
        return float(1.0 - sound[often].mean())

    def _out(self) -> Array:
        return np.asarray(self._counts[2] > _OUT * np.maximum(self._counts[0], 1.0))

    def _silent(self, stale: Array, at: int) -> Signal:
        first = np.argsort(self._seen.last[stale], kind="stable")[:3]
        names = ", ".join(str(each) for each in self.golden.ids[stale][first])
        reason = (
            f"{int(stale.sum())} of {len(stale)} series ({stale.mean():.0%}) sent nothing for {self.settings.stale_intervals:g} "
            f"of their usual intervals; longest silent: {names}"
        )
        return Signal(
            at, "freshness", self.subject, "critical", reason, "Look at the source and its collector before you look at the model."
        )

    def _holes(self, missing: float, at: int) -> Signal:
        broken = self._counts[1].sum() / max(self._counts[0].sum(), 1.0)
        came = f"{broken:.1%} of those that came are no number"
        reason = f"{missing:.0%} of the points expected in the last hour are missing or no number ({came})"
        return Signal(
            at,
            "missing",
            self.subject,
            "warning",
            reason,
            "Look for a sender that samples more slowly, or drops what it cannot send.",
        )

    def _far(self, out: Array, at: int) -> Signal:
        worst = self.golden.ids[np.argmax(self._counts[2])]
        reason = (
            f"{int(out.sum())} of {len(out)} series ({out.mean():.0%}) have values more than {self.settings.range_factor:g} "
            f"golden ranges beyond what training held; most often series {worst}"
        )
        return Signal(
            at, "range", self.subject, "warning", reason, "Look for a changed unit or a counter that was reset; else retrain."
        )

    def _number(self, live: int, at: int) -> Signal:
        reason = (
            f"{live} series in the last day, {len(self.golden.ids)} in training ({live / len(self.golden.ids):.2f} times as many)"
        )
        advice = "Look for a label that takes many values, or a source that is gone. If the systems grew, retrain."
        return Signal(at, "cardinality", self.subject, "warning", reason, advice)


def _digest(text: str) -> int:
    """The same for a unit in every version and on every machine; 0 for none."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little", signed=True) if text else 0
