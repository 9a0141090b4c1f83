"""What a person would count: outages found, outages missed, and how often one is woken for nothing.

An *event* is a run of labelled points, or a window of a list. It is found by any score above the threshold inside it, promptly
where that is one of its first eight points. A *false alarm* is a run of such scores outside of events; points within five of an
event are neither good nor bad, runs within five points of each other are one, and a run counts once more for every sixty points
that it lasts. A score that is null or NaN says nothing. Never point-adjusted: one lucky point does not make a thousand right.
"""

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl

from vedette.core.frames import Schema
from vedette.validate.intervals import Interval, poisson

Array = np.ndarray[Any, Any]

#: Points around an event that are neither good nor bad, and the gap across which false alarms are one.
NEAR: Final = 5
#: A false alarm that lasts counts again after so many points.
LONG: Final = 60
#: The last point of an event, counted from 0, at which it is still found promptly.
PROMPT: Final = 7
WEEK: Final = 604_800_000_000

#: When something was wrong, from the first to the last moment (UTC microseconds), and what kind of thing it was.
WINDOWS: Final[Schema] = {"series": pl.Int64, "start": pl.Int64, "end": pl.Int64, "kind": pl.String}


@dataclass(frozen=True, slots=True)
class Events:
    """The counts, and the figures that follow from them. A figure that nothing was measured for is NaN.

    Attributes:
        found, missed: events.
        prompt: events found within their first eight points.
        false_alarms: as defined above.
        weeks: sum over the series of the time between first and last point.
        delay: points between the begin of an event and its first alarm, in the median of those found.

    >>> Events(found=3, missed=1, prompt=2, false_alarms=1, weeks=2.0, delay=4.0).f1
    0.75
    """

    found: int
    missed: int
    prompt: int
    false_alarms: int
    weeks: float
    delay: float

    @property
    def precision(self) -> float:
        """Events found among all that was told."""
        return _share(self.found, self.found + self.false_alarms)

    @property
    def recall(self) -> float:
        """Events found among all events."""
        return _share(self.found, self.found + self.missed)

    @property
    def f1(self) -> float:
        """The harmonic mean of both; NaN where there was no event."""
        return self.weighted()

    @property
    def prompt_f1(self) -> float:
        """The same where what is found late counts as missed."""
        events = self.found + self.missed
        return _share(2 * self.prompt, self.prompt + events + self.false_alarms) if events else math.nan

    @property
    def false_alarms_per_series_week(self) -> float:
        """How often one series wakes somebody for nothing."""
        return _share(self.false_alarms, self.weeks)

    @property
    def false_alarms_interval(self) -> Interval:
        """Where that rate lies with 95 per cent, were false alarms independent; they come in swarms, so it is a little wider."""
        return poisson(self.false_alarms, self.weeks)

    def weighted(self, cost_of_miss: float = 1.0, cost_of_false_alarm: float = 1.0) -> float:
        """F beta of the events, with the square of beta as what a miss costs in false alarms (van Rijsbergen 1979).

        >>> Events(found=1, missed=1, prompt=1, false_alarms=0, weeks=1.0, delay=0.0).weighted(cost_of_miss=3.0)
        0.5714285714285714
        """
        if self.found + self.missed == 0:
            return math.nan
        beta = cost_of_miss / cost_of_false_alarm
        return _share((1.0 + beta) * self.found, (1.0 + beta) * self.found + beta * self.missed + self.false_alarms)

    def metrics(self) -> dict[str, float]:
        """The figures by the names that gates know."""
        return {
            "event_precision": self.precision,
            "event_recall": self.recall,
            "event_f1": self.f1,
            "event_f1_prompt": self.prompt_f1,
            "delay_points": self.delay,
            "false_alarms_per_series_week": self.false_alarms_per_series_week,
        }


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Each event and each false alarm, so that they can be counted by group and by time, and be shown.

    Attributes:
        events: `series, start, end` (UTC microseconds), `kind` and `delay` (points; null where it was missed).
        alarms: the false ones: `series, start, end, count`.
        series: `series, points, nulls, first, last`, a row a series.
    """

    events: pl.DataFrame
    alarms: pl.DataFrame
    series: pl.DataFrame

    @property
    def total(self) -> Events:
        """All of it, counted."""
        delay = self.events["delay"].drop_nulls().to_numpy()
        return Events(
            found=len(delay),
            missed=self.events.height - len(delay),
            prompt=int((delay <= PROMPT).sum()),
            false_alarms=int(self.alarms["count"].sum()),
            weeks=int((self.series["last"] - self.series["first"]).sum()) / WEEK,
            delay=float(np.median(delay)) if len(delay) else math.nan,
        )

    def by(self, groups: pl.DataFrame) -> dict[str, Events]:
        """The counts by group, in the order of their names.

        Args:
            groups: `series, group`; series without one are left out.
        """
        parts = groups.group_by("group").agg("series").sort("group").iter_rows()
        return {str(name): self.of(pl.Series(series, dtype=pl.Int64)).total for name, series in parts}

    def of(self, series: pl.Series) -> "Outcomes":
        """What concerns these series only."""
        own = pl.col("series").is_in(series.implode())
        return Outcomes(self.events.filter(own), self.alarms.filter(own), self.series.filter(own))

    def blocks(self, length: int = WEEK) -> Array:
        """What was counted in each block of `length` microseconds, for a bootstrap over time.

        Returns:
            float64 of shape (n, 4): events found, events missed, false alarms, series-weeks.
        """
        if self.series.is_empty():
            return np.zeros((0, 4))
        first, last = self.series["first"].to_numpy(), self.series["last"].to_numpy()
        origin = int(first.min())
        counted = np.zeros(((int(last.max()) - origin) // length + 1, 4))
        # An outage that no point fell into may lie outside of what was seen.
        begins = np.clip((self.events["start"].to_numpy() - origin) // length, 0, len(counted) - 1)
        missed = self.events["delay"].is_null().to_numpy()
        np.add.at(counted[:, 0], begins[~missed], 1.0)
        np.add.at(counted[:, 1], begins[missed], 1.0)
        np.add.at(counted[:, 2], (self.alarms["start"].to_numpy() - origin) // length, self.alarms["count"].to_numpy())
        for number in range(len(counted)):
            begin = origin + number * length
            counted[number, 3] = np.clip(np.minimum(last, begin + length) - np.maximum(first, begin), 0, None).sum() / WEEK
        return counted


def events(at: Array, series: Array, score: Array, label: Array, threshold: float = 1.0) -> Events:
    """Count events and false alarms of labelled points.

    Args:
        at: int64 of shape (n,), UTC microseconds, ascending within a series.
        series: int64 of shape (n,), ascending.
        score: float64 of shape (n,); NaN where nothing was said.
        label: of shape (n,), nonzero where something was wrong.
        threshold: scores above it are alarms.

    Raises:
        ValueError: where the points are not sorted, or the columns differ in length.

    >>> at = np.arange(100) * 60_000_000
    >>> label, score = np.zeros(100), np.zeros(100)
    >>> label[40:50], score[42] = 1, 2.0
    >>> found = events(at, np.zeros(100, np.int64), score, label)
    >>> (found.f1, found.delay, found.false_alarms)
    (1.0, 2.0, 0)
    """
    return from_labels(at, series, score, label, threshold).total


def from_labels(at: Array, series: Array, score: Array, label: Array, threshold: float = 1.0) -> Outcomes:
    """The outcomes of labelled points; arguments and errors as for `events`."""
    edges = edges_of(at, series, score, label)
    wrong = np.asarray(label) != 0
    change = np.flatnonzero(wrong[1:] != wrong[:-1]) + 1
    cuts = np.union1d(change, edges)
    begins = cuts[:-1][wrong[cuts[:-1]]] if len(wrong) else np.zeros(0, np.int64)
    ends = cuts[1:][wrong[cuts[:-1]]] if len(wrong) else begins
    known = pl.DataFrame({"series": series[begins], "start": at[begins], "end": at[ends - 1]}).with_columns(kind=pl.lit("labelled"))
    return _outcomes(at, series, score, edges, known, begins, ends, threshold)


def from_windows(at: Array, series: Array, score: Array, windows: pl.DataFrame, threshold: float = 1.0) -> Outcomes:
    """The outcomes of points against a list of outages.

    `windows` has `series, start, end` (UTC microseconds, both ends within), and `kind` where it is known; one into which no point
    fell is missed. Other arguments and errors as for `events`.
    """
    edges = edges_of(at, series, score)
    if "kind" not in windows.columns:
        windows = windows.with_columns(kind=pl.lit("outage"))
    known = windows.select(pl.col(name).cast(dtype) for name, dtype in WINDOWS.items()).sort("series", "start", "end")
    begins, ends = places(at, series, edges, known)
    return _outcomes(at, series, score, edges, known, begins, ends, threshold)


def edges_of(at: Array, series: Array, *columns: Array) -> Array:
    """Where each series begins, and the end: int64 of shape (series + 1,).

    Raises:
        ValueError: where points are not sorted by series and time, or a column differs in length.
    """
    if any(len(each) != len(at) for each in (series, *columns)):
        message = f"columns differ in length: {[len(each) for each in (at, series, *columns)]}"
        raise ValueError(message)
    if len(at) == 0:
        return np.zeros(1, np.int64)
    same = series[1:] == series[:-1]
    if not np.all(np.where(same, at[1:] >= at[:-1], series[1:] > series[:-1])):
        raise ValueError("points are not sorted by series and time")
    return np.concatenate([[0], np.flatnonzero(~same) + 1, [len(at)]])


def places(at: Array, series: Array, edges: Array, windows: pl.DataFrame) -> tuple[Array, Array]:
    """The points inside each window as half-open ranges of rows; an empty range where there are none."""
    begins, ends = np.zeros(windows.height, np.int64), np.zeros(windows.height, np.int64)
    wanted, start, end = (windows[name].to_numpy() for name in ("series", "start", "end"))
    owner = np.searchsorted(series[edges[:-1]], wanted)
    known = np.isin(wanted, series[edges[:-1]])
    for row in np.flatnonzero(known):
        low, high = edges[owner[row]], edges[owner[row] + 1]
        begins[row] = low + np.searchsorted(at[low:high], start[row], "left")
        ends[row] = low + np.searchsorted(at[low:high], end[row], "right")
    return begins, ends


def _outcomes(
    at: Array, series: Array, score: Array, edges: Array, known: pl.DataFrame, begins: Array, ends: Array, threshold: float
) -> Outcomes:
    odd = np.asarray(score) > threshold
    shown = known.with_columns(delay=_delays(np.flatnonzero(odd), begins, ends))
    first, last, count = _false_alarms(odd & ~_near(len(at), edges, begins, ends), edges)
    alarms = pl.DataFrame({"series": series[first], "start": at[first], "end": at[last], "count": count})
    low, high = edges[:-1], edges[1:]
    said_nothing = np.r_[0, np.cumsum(np.isnan(score))]
    seen = pl.DataFrame(
        {
            "series": series[low],
            "points": high - low,
            "nulls": said_nothing[high] - said_nothing[low],
            "first": at[low],
            "last": at[high - 1],
        }
    )
    return Outcomes(shown, alarms, seen)


def _delays(odd: Array, begins: Array, ends: Array) -> pl.Series:
    place = np.searchsorted(odd, begins)
    first = np.r_[odd, np.iinfo(np.int64).max][place]
    return pl.select(pl.when(pl.Series(first < ends)).then(pl.Series(first - begins))).to_series()


def _near(count: int, edges: Array, begins: Array, ends: Array) -> Array:
    """Whether each point is in an event of its series, or within `NEAR` points of one."""
    begins, ends = begins[ends > begins], ends[ends > begins]
    own = np.searchsorted(edges, begins, "right") - 1
    steps = np.zeros(count + 1, np.int32)
    np.add.at(steps, np.maximum(begins - NEAR, edges[own]), 1)
    np.add.at(steps, np.minimum(ends + NEAR, edges[own + 1]), -1)
    return np.asarray(np.cumsum(steps[:-1]) > 0)


def _false_alarms(wrong: Array, edges: Array) -> tuple[Array, Array, Array]:
    """First and last row of each run, and as how many it counts."""
    rows = np.flatnonzero(wrong)
    owner = np.searchsorted(edges, rows, "right")
    apart = np.flatnonzero((np.diff(rows) > NEAR) | (np.diff(owner) > 0))
    first = rows[np.r_[0, apart + 1]] if len(rows) else rows
    last = rows[np.r_[apart, len(rows) - 1]] if len(rows) else rows
    return first, last, 1 + (last - first + 1) // LONG


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else math.nan
