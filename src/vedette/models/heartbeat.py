"""Heartbeat: a series that reported regularly and fell silent."""

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import polars as pl

from vedette.core.frames import POINTS, VERDICTS, conform, empty
from vedette.core.types import State
from vedette.models.envelope import runs
from vedette.models.slots import SlotTable

Array = np.ndarray[Any, Any]

LAST, INTERVAL, POINTS_SEEN, REPORTED, HEARD = 0, 1, 2, 3, 4
COLUMNS: Final = 5


@dataclass
class Heartbeat:
    """One verdict for each series that is silent for too long, again only after it has returned.

    Silence is counted while we listen: from the beat in which a point arrived, whatever its own time says, and without
    the time between beats in which we were not running. So neither our own absence nor a sender that catches up looks like silence.

    A verdict's value is the silence in seconds, its yhat the usual interval, its upper bound the silence allowed,
    its score value over bound.

    Attributes:
        points: points of a series before its silence means anything.
        intervals: usual intervals of silence that are too many.
        least_seconds: silence that is never too long.
        pause_seconds: time between two beats of which more was not spent listening.
        forget_seconds: silence after which a series is forgotten.
        max_series: series watched at most.

    >>> from datetime import UTC, datetime, timedelta
    >>> at = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=15 * i) for i in range(30)]
    >>> heart = Heartbeat()
    >>> now = int(at[-1].timestamp() * 1e6)
    >>> heart.score(pl.DataFrame({"series": [1] * 30, "at": at, "value": [1.0] * 30}, schema=POINTS), now).height
    0
    >>> [heart.score(empty(POINTS), now + step * 20_000_000)["value"].to_list() for step in range(1, 7)]
    [[], [], [], [80.0], [], []]
    >>> heart.score(empty(POINTS), now + 86_400_000_000).height
    0
    """

    points: int = 20
    intervals: float = 5.0
    least_seconds: float = 60.0
    pause_seconds: float = 30.0
    forget_seconds: float = 7 * 86_400.0
    max_series: int = 1_000_000
    version: str = "1"
    _table: SlotTable = field(init=False, repr=False, default_factory=SlotTable)
    _rows: Array = field(init=False, repr=False, default_factory=lambda: np.zeros((0, COLUMNS)))
    _clock: Array = field(init=False, repr=False, default_factory=lambda: np.zeros(2))  # listened so far, time of the last beat

    def score(self, frame: pl.DataFrame, at: int) -> pl.DataFrame:
        """POINTS sorted by (series, at) in, a VERDICTS row out for each series found silent at `at` (UTC microseconds)."""
        conform(frame, POINTS)
        listened, before = self._clock
        passed = min(max(at - before, 0.0), self.pause_seconds * 1e6) if before else 0.0
        self._clock = np.array([listened + passed, float(at)])
        if not frame.is_empty():
            self._hear(frame, at)
        rows = self._rows[: self._table.used]
        silence = self._clock[0] - rows[:, HEARD]
        limit = np.maximum(self.intervals * rows[:, INTERVAL], self.least_seconds * 1e6)
        alive = (rows[:, POINTS_SEEN] >= self.points) & (silence < self.forget_seconds * 1e6)
        late = np.flatnonzero(alive & (silence > limit) & (rows[:, REPORTED] == 0.0))
        if len(late) == 0:
            return empty(VERDICTS)
        self._rows[late, REPORTED] = 1.0
        return self._verdicts(late, silence[late], limit[late], at)

    def learning(self, at: int) -> tuple[int, int, str]:
        """Series heard within `forget_seconds` before `at` (UTC microseconds), those too new to miss, and why in words."""
        rows = self._rows[: self._table.used]
        alive = (rows[:, POINTS_SEEN] > 0) & (rows[:, LAST] >= at - self.forget_seconds * 1e6)
        young = alive & (rows[:, POINTS_SEEN] < self.points)
        return int(alive.sum()), int(young.sum()), f"a series is missed after {self.points} points"

    def state(self) -> State:
        """The memory of all series; views."""
        used = self._table.used
        return {"ids": self._table.ids[:used], "free": self._table.free, "rows": self._rows[:used], "clock": self._clock}

    def load(self, state: State) -> None:
        """Become exactly what `state` was taken from."""
        self._table = SlotTable.of(state["ids"], state["free"])
        self._rows = np.zeros((self._table.capacity, COLUMNS))
        self._rows[: self._table.used] = state["rows"]
        self._clock = state["clock"].copy()

    def _hear(self, frame: pl.DataFrame, now: int) -> None:
        series, times = frame["series"].to_numpy(), frame["at"].dt.timestamp("us").to_numpy().astype(np.float64)
        starts = runs(series)
        slots = self._slots(series[starts[:-1]], now)
        known = slots >= 0
        slots, first, last, count = slots[known], times[starts[:-1]][known], times[starts[1:] - 1][known], np.diff(starts)[known]
        rows = self._rows[slots]
        begun = rows[:, POINTS_SEEN] > 0
        span = last - np.where(begun, rows[:, LAST], first)
        gaps = np.where(begun, count, count - 1)
        gap = span / np.maximum(gaps, 1)
        # Many gaps at once weigh as much as they would have one by one; a hole is no new habit.
        usual = rows[:, INTERVAL]
        bounded = np.where(usual > 0, np.minimum(gap, 4.0 * usual), gap)
        weight = np.where(usual > 0, 1.0 - 0.9**gaps, 1.0)
        moved = (gaps > 0) & (gap > 0)
        rows[:, INTERVAL] = np.where(moved, usual + weight * (bounded - usual), usual)
        rows[:, LAST] = np.maximum(rows[:, LAST], last)
        rows[:, POINTS_SEEN] += count
        rows[:, REPORTED] = 0.0
        rows[:, HEARD] = self._clock[0]
        self._rows[slots] = rows

    def _slots(self, wanted: Array, now: int) -> Array:
        slots = self._table.find(wanted)
        unknown = np.unique(wanted[slots < 0])
        if len(unknown) == 0:
            return slots
        if self._table.room < len(unknown):
            gone = self._rows[: self._table.used, LAST] < now - self.forget_seconds * 1e6
            self._table.release(np.flatnonzero(gone))
            unknown = np.unique(wanted[self._table.find(wanted) < 0])
        taken = self._table.add(unknown, self.max_series)
        if len(self._rows) < self._table.capacity:
            bigger = np.zeros((self._table.capacity, COLUMNS))
            bigger[: len(self._rows)] = self._rows
            self._rows = bigger
        self._rows[taken] = 0.0
        return self._table.find(wanted)

    def _verdicts(self, late: Array, silence: Array, limit: Array, at: int) -> pl.DataFrame:
        usual = self._rows[late, INTERVAL]
        return pl.DataFrame(
            {
                "at": pl.Series(np.full(len(late), at, np.int64)).cast(VERDICTS["at"]),
                "series": self._table.ids[late],
                "model": ["heartbeat"] * len(late),
                "version": [self.version] * len(late),
                "value": silence / 1e6,
                "yhat": usual / 1e6,
                "yhat_lower": np.zeros(len(late)),
                "yhat_upper": limit / 1e6,
                "anomaly_score": silence / limit,
            },
            schema=VERDICTS,
        ).sort("series")
