"""Envelope: the streaming detector. Every series has an envelope of expected values; what falls outside is anomalous.

Three predictors run side by side: recursive least squares on the last values, the level and the seasons; a daily profile on a
level; the same with what each weekday differs by. The one with the smallest residuals speaks. How far off is far is learnt per
series: a long-memory, unclipped RMS of its residuals, and on either side a limit that is the geometric mean of a fixed number of
those and what the series' own block maxima reach, so that heavy tails earn their own threshold.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from vedette.core.frames import POINTS, VERDICTS, conform, empty
from vedette.core.types import State
from vedette.models import rls, seasons
from vedette.models.record import ALARM, ANSWERS, COUNT, HEAD, LAST, POINT
from vedette.models.slots import SlotTable
from vedette.models.walk import walk

Array = np.ndarray[Any, Any]


def runs(series: Array) -> Array:
    """Where each run of equal neighbours begins, and the length at the end.

    >>> runs(np.array([5, 5, 7])).tolist()
    [0, 2, 3]
    """
    if len(series) == 0:
        return np.zeros(1, np.int64)
    return np.concatenate(([0], np.flatnonzero(series[1:] != series[:-1]) + 1, [len(series)])).astype(np.int64)


@dataclass
class Envelope:
    """Scores points as they come, one record of under a KiB a series.

    Attributes:
        sigmas: RMS residuals that are too many for a well-behaved series.
        warmup: points of a series before its first score.
        hold: odd points in a row after which a new level is accepted, once they last for `hold_seconds`.
        hold_seconds: how long they last at least, by the clock of the series.
        young_seconds: age of a series below which only what lasts ten minutes is odd: its habits are not known yet.
        refractory: points after an alarm in which only a higher peak is an alarm again; 0 lets every odd point be one.
        forget_seconds: a series silent for longer gives its place to a new one when places are short.
        max_series: series known at most; a newcomer beyond them is not scored.

    >>> from datetime import UTC, datetime, timedelta
    >>> start = datetime(2026, 1, 1, tzinfo=UTC)
    >>> at = [start + timedelta(minutes=i) for i in range(200)]
    >>> frame = pl.DataFrame({"series": [1] * 200, "at": at, "value": [1.0] * 199 + [0.0]}, schema=POINTS)
    >>> verdicts = Envelope().score(frame, 0)
    >>> verdicts["anomaly_score"][0] is None, verdicts["anomaly_score"][198], verdicts["anomaly_score"][199] > 1
    (True, 0.0, True)
    """

    sigmas: float = 5.0
    warmup: int = 30
    hold: int = 20
    hold_seconds: float = 3300.0
    young_seconds: float = 86_400.0
    refractory: int = 0
    forget_seconds: float = 7 * 86_400.0
    max_series: int = 1_000_000
    version: str = "1"
    _table: SlotTable = field(init=False, repr=False, default_factory=SlotTable)
    _heads: Array = field(init=False, repr=False, default_factory=lambda: np.zeros((0, HEAD)))
    _seasons: Array = field(init=False, repr=False, default_factory=lambda: np.zeros((0, seasons.SIZE), np.float32))
    _linears: Array = field(init=False, repr=False, default_factory=lambda: np.zeros((0, rls.SIZE), np.float32))

    def score(self, frame: pl.DataFrame, at: int) -> pl.DataFrame:
        """POINTS sorted by (series, at) -> VERDICTS, one row a row, each scored before it is learnt.

        Args:
            frame: the points; NaN, infinite values and those beyond 1e37 get null and are not learnt.
            at: now, UTC microseconds: which series count as gone.

        Raises:
            TypeError: where the columns are not those of POINTS.
        """
        conform(frame, POINTS)
        if frame.is_empty():
            return empty(VERDICTS)
        answers = self.walk(
            frame["series"].to_numpy(), frame["at"].dt.timestamp("us").to_numpy(), frame["value"].to_numpy().astype(np.float64), at
        )
        columns = {
            name: pl.Series(name, np.ascontiguousarray(answers[:, i]), nan_to_null=True)
            for i, name in enumerate(("yhat", "yhat_lower", "yhat_upper"))
        }
        chosen = ALARM if self.refractory else POINT
        score = pl.Series("anomaly_score", np.ascontiguousarray(answers[:, chosen]), nan_to_null=True)
        return frame.with_columns(model=pl.lit("envelope"), version=pl.lit(self.version), **columns, anomaly_score=score).select(
            list(VERDICTS)
        )

    def walk(self, series: Array, at: Array, value: Array, now: int) -> Array:
        """The kernel on plain columns: float64 of shape (rows, 5): yhat, lower, upper, point score, alarm score; NaN is null."""
        starts = runs(series)
        slots = self._slots(series[starts[:-1]], now)
        answers = np.empty((len(series), ANSWERS))
        parameters = np.array(
            [self.sigmas, self.warmup, self.hold, self.hold_seconds * 1e6, self.young_seconds * 1e6, self.refractory], np.float64
        )
        walk(starts, slots, at, value, self._heads, self._seasons, self._linears, answers, parameters)
        return answers

    def learning(self, at: int) -> tuple[int, int, str]:
        """Series seen within `forget_seconds` before `at` (UTC microseconds), those without a score yet, and why in words."""
        rows = self._heads[: self._table.used]
        alive = (rows[:, COUNT] > 0) & (rows[:, LAST] >= at - self.forget_seconds * 1e6)
        young = alive & (rows[:, COUNT] < self.warmup)
        return int(alive.sum()), int(young.sum()), f"a series is scored after {self.warmup} points"

    def state(self) -> State:
        """The records of all series; views, to be written before the next beat."""
        used = self._table.used
        return {
            "ids": self._table.ids[:used],
            "free": self._table.free,
            "heads": self._heads[:used],
            "seasons": self._seasons[:used],
            "linears": self._linears[:used],
        }

    def load(self, state: State) -> None:
        """Become exactly what `state` was taken from."""
        self._table = SlotTable.of(state["ids"], state["free"])
        self._heads = _grown(state["heads"], self._table.capacity)
        self._seasons = _grown(state["seasons"], self._table.capacity)
        self._linears = _grown(state["linears"], self._table.capacity)

    def _slots(self, wanted: Array, now: int) -> Array:
        slots = self._table.find(wanted)
        unknown = np.unique(wanted[slots < 0])
        if len(unknown) == 0:
            return slots
        if self._table.room < len(unknown):
            gone = self._heads[: self._table.used, LAST] < now - self.forget_seconds * 1e6
            self._table.release(np.flatnonzero(gone))
            unknown = np.unique(wanted[self._table.find(wanted) < 0])
        taken = self._table.add(unknown, self.max_series)
        self._heads = _grown(self._heads, self._table.capacity)
        self._seasons = _grown(self._seasons, self._table.capacity)
        self._linears = _grown(self._linears, self._table.capacity)
        self._heads[taken] = 0.0
        return self._table.find(wanted)


def _grown(rows: Array, capacity: int) -> Array:
    """`rows` with space for `capacity` of them; memory that was never touched is not resident."""
    if len(rows) >= capacity and rows.flags.writeable:
        return rows
    bigger = np.zeros((capacity, rows.shape[1]), rows.dtype)
    bigger[: len(rows)] = rows
    return bigger
