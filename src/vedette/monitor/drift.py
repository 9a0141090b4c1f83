"""Drift of the live stream against the golden baseline: the same hour of the week with the same."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl

from vedette.core.frames import POINTS, conform
from vedette.core.types import Severity, Signal, State
from vedette.monitor.golden import CLIP, JOINT_CLIP, LEAST_SQUARE, Golden
from vedette.monitor.hours import DAY, WEEK, columns, hour_of, places, starts
from vedette.monitor.settings import MonitorSettings
from vedette.monitor.statistics import adjusted, two_sided
from vedette.monitor.told import Told

Array = np.ndarray[Any, Any]

#: Days that a week's mean must at least rest on.
_WEEK_DAYS: Final = 5
#: A level nearer to zero than this share of its spread is taken to be that far: times nothing is no measure.
_NEAR_ZERO: Final = 0.25


@dataclass(frozen=True, slots=True)
class Window:
    """The last day or week of all series: mean residual in golden spreads, its p, and times its golden level."""

    effect: Array
    p: Array
    growth: Array


@dataclass(frozen=True, slots=True)
class Measured:
    """What the whole hours say: both windows, what follows for each series, and for all of them together.

    `growth` is times golden as far as it is no chance, `beyond` where that nears the cap.
    """

    day: Window
    week: Window
    adjusted: Array
    drifted: Array
    beyond: Array
    growth: Array
    joint_ratio: float
    joint_p: float

    @property
    def known(self) -> int:
        """Series of which enough is known to judge."""
        return int(np.isfinite(self.adjusted).sum())

    @property
    def share(self) -> float:
        """Of those, the share that drifted."""
        return int(self.drifted.sum()) / max(self.known, 1)

    @property
    def far(self) -> Array:
        """The larger of both effects, with its sign; 0 where nothing is known."""
        day, week = np.nan_to_num(self.day.effect), np.nan_to_num(self.week.effect)
        return np.where(np.abs(day) >= np.abs(week), day, week)


class DriftMonitor:
    """Says when the live series of a model are no longer those it was trained on.

    Points are kept as mean residuals by hour of the week, 8 bytes an hour and series. Once an hour the last day and the last week
    are compared with what days were like in training: Student's t on daily means, whose deviation and autocorrelation are the
    golden ones, so a series that wanders by nature must wander further; Benjamini and Hochberg (1995) over all series. It speaks

    - of `drift`, when a `share` of the series moved by `effect` golden spreads together, or one by `huge`;
    - of `joint`, when all small moves together are unlikely against the golden days, whatever the single series say;
    - of `cap`, critical, when the level of a series nears `cap` times its golden one, however slowly it went there.

    Args:
        golden: of the model's training data.
        settings: thresholds.
        subject: what it is about, as `NAME@VERSION`.
    """

    def __init__(self, golden: Golden, settings: MonitorSettings | None = None, subject: str = "model") -> None:
        self.golden = golden
        self.settings = settings or MonitorSettings()
        self.subject = subject
        self._z = np.zeros((len(golden.ids), WEEK), np.float32)
        self._count = np.zeros((len(golden.ids), WEEK), np.float32)
        self._cap = np.full(len(golden.ids), np.nan)
        self._hour = -1
        self._told = Told(self.settings.again_seconds, self.settings.worse)
        self._measured: Measured | None = None

    def update(self, points: pl.DataFrame, at: int) -> tuple[Signal, ...]:
        """Take POINTS sorted by (series, at) at `at` (UTC microseconds); signals, once an hour at most, nearly always none.

        Points of series that the golden baseline does not know, older than a week or from the future teach nothing.

        Raises:
            TypeError: the columns are not those of POINTS.
        """
        now, before = int(hour_of(at)), self._hour
        if now > before:
            self._forget(before, now)
        if not conform(points, POINTS).is_empty():
            self._take(points)
        if before < 0 or now <= before:
            return ()
        self._measured = None
        return self._told.new(self._found(self.measured(), at))

    def measured(self) -> Measured:
        """What the whole hours before the current one say."""
        if self._measured is None:
            self._measured = self._measure()
        return self._measured

    def effects(self) -> pl.DataFrame:
        """A row a series: `series, effect_day, effect_week` (golden spreads), `growth` (times golden), adjusted `p`, `drifted`."""
        told = self.measured()
        answer = {
            "series": self.golden.ids,
            "effect_day": told.day.effect,
            "effect_week": told.week.effect,
            "growth": told.growth,
            "p": told.adjusted,
        }
        return pl.DataFrame(answer).fill_nan(None).with_columns(drifted=pl.Series(told.drifted))

    def gauges(self) -> dict[str, float]:
        """Plain numbers: share of drifted series, all moves together over the usual, times golden of the furthest series."""
        told = self.measured()
        return {"drift": told.share, "joint": told.joint_ratio, "cap": float(told.growth.max(initial=1.0))}

    def allow(self, series: Iterable[int], cap: float) -> None:
        """A person allows the levels of `series` up to `cap` times golden. Nothing in Vedette calls this by itself.

        Raises:
            ValueError: `cap` is not above 1.
        """
        if not cap > 1.0:
            raise ValueError(f"a cap is times the golden level and must be above 1, got {cap:g}")
        where = places(self.golden.ids, np.array(list(series), np.int64))
        self._cap[where[where >= 0]] = cap
        self._measured = None

    def inherit(self, older: "DriftMonitor") -> None:
        """Remember what `older` does of every series whose baseline is the same in both: another version is no new beginning."""
        where = places(older.golden.ids, self.golden.ids)
        mine = np.flatnonzero(where >= 0)
        mine = mine[(self.golden.mean[mine] == older.golden.mean[where[mine]]).all(axis=1)]
        had = older.state()
        for own, other in ((self._z, had["z"]), (self._count, had["count"]), (self._cap, had["cap"])):
            own[mine] = other[where[mine]]
        self._hour = int(had["hour"][0])
        self._told.load(had)
        self._measured = None

    def state(self) -> State:
        """A week by the hour, the raised caps, and what was told; views."""
        hour = np.array([self._hour], np.int64)
        return {"z": self._z, "count": self._count, "cap": self._cap, "hour": hour, **self._told.state()}

    def load(self, state: State) -> None:
        """Become exactly what `state` was taken from, which was a monitor of the same golden baseline.

        Raises:
            ValueError: it was one of another number of series.
        """
        if state["z"].shape != self._z.shape:
            raise ValueError(f"expected the memory of {len(self._z)} series, got that of {len(state['z'])}")
        self._z, self._count, self._cap = (state[name].copy() for name in ("z", "count", "cap"))
        self._hour = int(state["hour"][0])
        self._told.load(state)
        self._measured = None

    def _forget(self, before: int, now: int) -> None:
        """The hours since the last one are those of a week ago: they begin anew."""
        gone = np.arange(max(before + 1, now - WEEK + 1), now + 1) % WEEK
        self._z[:, gone] = 0.0
        self._count[:, gone] = 0.0
        self._hour = now

    def _take(self, points: pl.DataFrame) -> None:
        series, at, value = columns(points)
        hour, place = hour_of(at), places(self.golden.ids, series)
        use = (place >= 0) & (hour <= self._hour) & (hour > self._hour - WEEK) & np.isfinite(value)
        place, hour, value = place[use], hour[use], value[use]
        begin = starts(place, hour)
        if len(begin) == 0:
            return
        count = np.diff(np.append(begin, len(place)))
        where = place[begin], hour[begin] % WEEK
        fresh = (np.add.reduceat(value, begin) / count - self.golden.mean[where]) / self.golden.spread[where]
        # Late points may bring the same hour twice, but never within one sorted frame.
        had = self._count[where]
        self._z[where] += (fresh - self._z[where]) * (count / (had + count))
        self._count[where] = had + count

    def _measure(self) -> Measured:
        hours = np.arange(self._hour - WEEK, self._hour) % WEEK
        # The slot of the current hour is that of a week ago no more.
        hours = hours[1:]
        z, known = self._z[:, hours], self._count[:, hours] > 0
        day, week = self._window(z[:, -DAY:], known[:, -DAY:], hours[-DAY:], 1), self._window(z, known, hours, 7)
        fdr = adjusted(np.fmin(np.fmin(day.p, week.p) * 2.0, 1.0))
        moved = np.fmax(np.abs(day.effect), np.abs(week.effect)) >= self.settings.effect
        # A young baseline knows too few days for a small p: a level that is a spread away on the whole has left it all the same.
        left = ((adjusted(each.p) < self.settings.cap_p) | (np.abs(each.effect) >= self.settings.effect) for each in (day, week))
        by_day, by_week = (np.where(gone, each.growth, 1.0) for gone, each in zip(left, (day, week), strict=True))
        # A week lags behind what creeps, a day is noisy: the day counts as far as the week has gone half the way.
        surely = np.fmax(by_week, np.fmin(by_day, 2.0 * by_week - 1.0))
        share = (self.settings.warn - 1.0) / (self.settings.cap - 1.0)
        warn = 1.0 + (np.where(np.isnan(self._cap), self.settings.cap, self._cap) - 1.0) * share
        ratio, p = self._joint(day.effect)
        return Measured(
            day=day,
            week=week,
            adjusted=fdr,
            drifted=(fdr < self.settings.alpha) & moved,
            beyond=surely >= warn,
            growth=surely,
            joint_ratio=ratio,
            joint_p=p,
        )

    def _window(self, z: Array, known: Array, hours: Array, days: int) -> Window:
        golden, number = self.golden, known.sum(axis=1)
        enough = number >= golden.hours * (0.5 if days == 1 else _WEEK_DAYS)
        effect = np.where(known, np.clip(z, -CLIP, CLIP), 0.0).sum(axis=1) / np.maximum(number, 1)
        wander = golden.deviation if days == 1 else golden.deviation * np.sqrt((1.0 + golden.echo) / (1.0 - golden.echo) / days)
        # Days that echo each other tell less of how far days wander.
        freedom = np.maximum(golden.days * (1.0 - golden.echo) / (1.0 + golden.echo) - 1.0, 1.0)
        p = two_sided(effect / np.maximum(wander, 0.02), freedom)
        usual = np.where(known, golden.mean[:, hours], 0.0).sum(axis=1) / np.maximum(number, 1)
        away = np.where(known, z * golden.spread[:, hours], 0.0).sum(axis=1) / np.maximum(number, 1)
        answers = (effect, p, times(usual, usual + away, golden.scale))
        return Window(*(np.where(enough, each, np.nan) for each in answers))

    def _joint(self, effect: Array) -> tuple[float, float]:
        known = np.isfinite(effect)
        if known.sum() < max(0.5 * len(effect), 1.0):
            return 1.0, 1.0
        square = float(np.minimum((effect[known] / self.golden.deviation[known]) ** 2, JOINT_CLIP).mean())
        mean, deviation, days = self.golden.joint
        off = (np.log(max(square, LEAST_SQUARE)) - mean) / deviation
        p = two_sided(np.array([max(off, 0.0)]), np.array([max(days - 1.0, 1.0)]))
        return square / float(np.exp(mean)), float(p[0])

    def _found(self, told: Measured, at: int) -> Iterator[tuple[Signal, float]]:
        if told.known == 0:
            return
        largest = float(np.abs(told.far[told.drifted]).max(initial=0.0))
        if told.share >= self.settings.share:
            yield self._share(told, at), told.share
        elif largest >= self.settings.huge:
            yield self._huge(told, at), largest
        elif self._moved_together(told):
            yield self._together(told, at), told.joint_ratio
        if told.beyond.any():
            yield self._capped(told, at), float(told.growth[told.beyond].max())

    def _share(self, told: Measured, at: int) -> Signal:
        severity: Severity = "critical" if told.share >= min(3.0 * self.settings.share, 1.0) else "warning"
        reason = (
            f"{int(told.drifted.sum())} of {told.known} series ({told.share:.0%}) moved by {self.settings.effect:g} golden spreads "
            f"or more against the same hours of the week in training (false discovery rate {self.settings.alpha:g}); "
            f"furthest: {self._furthest(told)}"
        )
        advice = "Look whether the systems changed on purpose. If so, retrain on data after the change; if not, look for the cause."
        return Signal(at, "drift", self.subject, severity, reason, advice)

    def _huge(self, told: Measured, at: int) -> Signal:
        reason = f"{int(told.drifted.sum())} of {told.known} series drifted, one very far: {self._furthest(told)}"
        advice = "Look at this series first: a changed unit, a new owner of the name or a fault is likelier than a new habit."
        return Signal(at, "drift", f"{self.subject} series", "warning", reason, advice)

    def _moved_together(self, told: Measured) -> bool:
        """Unlikely and larger than usual, or so much larger that a week of training is enough to tell."""
        settings = self.settings
        unlikely = told.joint_p < settings.joint_p and told.joint_ratio >= settings.joint_ratio
        return unlikely or (told.joint_ratio >= settings.joint_sure and told.joint_p < settings.joint_doubt)

    def _together(self, told: Measured, at: int) -> Signal:
        reason = (
            f"all series together are {told.joint_ratio:.1f} times as far from golden as on a usual day of training "
            f"(p {told.joint_p:.0e}), though only {told.share:.0%} drifted by themselves"
        )
        advice = "Many small moves have one cause more often than not: look for a change of load or a release, then retrain."
        return Signal(at, "joint", self.subject, "warning", reason, advice)

    def _capped(self, told: Measured, at: int) -> Signal:
        worst = int(np.argmax(np.where(told.beyond, told.growth, 0.0)))
        day, week = told.day.effect[worst], told.week.effect[worst]
        reason = (
            f"{int(told.beyond.sum())} of {told.known} series near or beyond the cap of {self.settings.cap:g} times golden; "
            f"furthest: series {self.golden.ids[worst]} at {told.growth[worst]:.2f} times its golden level of "
            f"{self.golden.level[worst]:.4g} ({day:+.1f} golden spreads over a day, {week:+.1f} over a week)"
        )
        advice = "Do not let a model learn this by itself. Find out where the level goes; if it is right, a person raises the cap."
        return Signal(at, "cap", self.subject, "critical", reason, advice)

    def _furthest(self, told: Measured, number: int = 3) -> str:
        far = np.where(told.drifted, told.far, 0.0)
        order = np.argsort(-np.abs(far), kind="stable")[: min(number, int(told.drifted.sum()))]
        return ", ".join(f"series {self.golden.ids[i]} by {far[i]:+.1f}" for i in order)


def times(golden: Array, live: Array, spread: Array) -> Array:
    """How many times the golden level a live one is, or a golden one the live; 1 is no change.

    >>> times(np.array([10.0, 10.0, 0.0]), np.array([15.0, 5.0, 1.0]), np.ones(3)).tolist()
    [1.5, 2.0, 4.0]
    """
    least = _NEAR_ZERO * spread
    one, other = np.maximum(np.abs(golden), least), np.maximum(np.abs(live), least)
    same = np.maximum(one, other) / np.minimum(one, other)
    return np.where(golden * live >= 0.0, same, 1.0 + np.abs(live - golden) / one)
