"""Envelope: the streaming detector. Every series has an envelope of expected values; what falls outside is anomalous.

Several predictors run side by side (a level, a daily profile on a level), and a value is normal as long as one of them
expected it. How far off is far is learnt per series: a long-memory, unclipped RMS of each predictor's residuals, and a limit
that is the geometric mean of a fixed number of those and what the series' own block maxima reach, so that heavy tails
earn their own threshold.
"""

import math
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import polars as pl
from numba import njit

from vedette.core.frames import POINTS, VERDICTS, conform
from vedette.core.types import State
from vedette.models.slots import SlotTable

Array = np.ndarray[Any, Any]

DAY_US: Final = 86_400_000_000.0
PROFILE: Final = 72
BLOCK: Final = 120.0

# Columns of the record of a series.
ANCHOR, LAST, FIRST, COUNT, INTERVAL = 0, 1, 2, 3, 4
FAST, LEVEL, DAY_LEVEL, OFFSET, SPREAD, MEAN = 5, 6, 7, 8, 9, 10
VAR_LEVEL, VAR_DAY, DAYS_SEEN = 11, 12, 13
BLOCK_MAX, BLOCK_FILL, BLOCKS, LOG_MEAN, LOG_VAR = 14, 15, 16, 17, 18
RUN, PEAK, QUIET, FAST_OFFSET = 19, 20, 21, 22
HEAD: Final = 24

# Columns of what the kernel answers, beside one another in memory.
YHAT, LOWER, UPPER, POINT, ALARM = 0, 1, 2, 3, 4
ANSWERS: Final = 5


@njit(cache=True, nogil=True, inline="always")
def _limit(head: Array, sigmas: float, warmup: float) -> float:
    """How many RMS residuals are too many for this series now."""
    own = sigmas
    if head[BLOCKS] >= 3.0:
        own = math.exp(head[LOG_MEAN] + 2.0 * math.sqrt(head[LOG_VAR]))
    limit: float = max(math.sqrt(sigmas * max(own, 1.0)), 0.6 * sigmas) * (1.0 + warmup / head[COUNT])
    return limit


@njit(cache=True, nogil=True, inline="always")
def _block(head: Array, z: float) -> None:
    """Remember the largest residual of each block, as the mean and variance of its logarithm."""
    head[BLOCK_MAX] = max(head[BLOCK_MAX], z)
    head[BLOCK_FILL] += 1.0
    if head[BLOCK_FILL] < BLOCK:
        return
    head[BLOCKS] += 1.0
    weight = 1.0 / min(head[BLOCKS], 60.0)
    off = math.log(max(head[BLOCK_MAX], 1e-3)) - head[LOG_MEAN]
    head[LOG_MEAN] += weight * off
    head[LOG_VAR] = (1.0 - weight) * (head[LOG_VAR] + weight * off * off)
    head[BLOCK_MAX] = 0.0
    head[BLOCK_FILL] = 0.0


@njit(cache=True, nogil=True, inline="always")
def _alarm(head: Array, score: float, refractory: float) -> float:
    """The worth of waking somebody: the first of an episode counts, and what passes its peak by a third."""
    if head[QUIET] < refractory:
        score /= max(1.0, 1.3 * head[PEAK])
    if score > 1.0:
        head[PEAK] = score * (max(1.0, 1.3 * head[PEAK]) if head[QUIET] < refractory else 1.0)
        head[QUIET] = 0.0
    else:
        head[QUIET] += 1.0
    return score


@njit(cache=True, nogil=True, inline="always")
def _begin(head: Array, profile: Array, at: float, value: float) -> None:
    head[:] = 0.0
    profile[:] = np.nan
    head[ANCHOR] = value
    head[FIRST] = at
    head[LAST] = at
    head[COUNT] = 1.0
    head[QUIET] = 1e9


@njit(cache=True, nogil=True, inline="always")
def _learn(
    head: Array,
    profile: Array,
    slot: int,
    x: float,
    usual: float,
    residual: float,
    day_residual: float,
    reach: float,
    flagged: bool,  # noqa: FBT001 -- a kernel has no keywords
    known_day: bool,  # noqa: FBT001
    hold: float,
) -> None:
    n = head[COUNT]
    memory = 1.0 / min(n, 4000.0)
    head[FAST] += max(0.3, 1.0 / n) * (x - head[FAST])
    head[MEAN] += memory * (x - head[MEAN])
    head[SPREAD] += memory * ((x - head[MEAN]) ** 2 - head[SPREAD])
    head[VAR_LEVEL] += memory * (residual * residual - head[VAR_LEVEL])
    head[RUN] = head[RUN] + 1.0 if flagged else 0.0
    if flagged and head[RUN] >= hold:
        head[LEVEL] = head[FAST]
        head[OFFSET] = head[FAST_OFFSET]
        head[RUN] = 0.0
    pull = max(0.1, 1.0 / n)
    head[LEVEL] += pull * min(max(residual, -reach), reach) if flagged else pull * residual
    day_points = DAY_US / max(head[INTERVAL], 1e5)
    head[DAY_LEVEL] += max(1.0 / n, min(0.1, 1.0 / day_points)) * (x - head[DAY_LEVEL])
    if known_day:
        head[DAYS_SEEN] += 1.0
        head[VAR_DAY] += (day_residual * day_residual - head[VAR_DAY]) / min(head[DAYS_SEEN], 4000.0)
        head[FAST_OFFSET] += 0.3 * (x - usual - head[FAST_OFFSET])
        head[OFFSET] += 0.1 * (min(max(day_residual, -reach), reach) if flagged else day_residual)
    # A third of a day's news enters the profile, spread over the points that share a slot.
    rate = min(0.3, 0.3 * PROFILE / day_points)
    target = x - head[DAY_LEVEL]
    if math.isnan(profile[slot]):
        profile[slot] = target
    else:
        # What was odd enters half as fast: an outage hardly marks the profile, a job that runs every night soon does.
        profile[slot] += (0.5 * rate if flagged else rate) * (target - profile[slot])


@njit(cache=True, nogil=True, inline="always")
def _interval(head: Array, gap: float) -> None:
    """The usual gap between points: moves slowly, and hardly for a hole or a burst."""
    if gap <= 0.0:
        return
    usual = head[INTERVAL]
    if usual == 0.0:
        head[INTERVAL] = gap
    else:
        head[INTERVAL] = usual + max(0.05, 1.0 / head[COUNT]) * (min(max(gap, 0.25 * usual), 4.0 * usual) - usual)


@njit(cache=True, nogil=True, inline="always")
def _usual(profile: Array, slot: int, x: float) -> float:
    """What the slot or a neighbour expects, whichever is nearer: an edge within a slot is blurred there, but sharp beside it."""
    usual = float(profile[slot])
    for beside in ((slot + 1) % PROFILE, (slot + PROFILE - 1) % PROFILE):
        other = float(profile[beside])
        if abs(x - other) < abs(x - usual):
            usual = other
    return usual


@njit(cache=True, nogil=True, inline="always")
def _step(
    head: Array,
    profile: Array,
    at: float,
    value: float,
    answer: Array,
    sigmas: float,
    warmup: float,
    hold: float,
    refractory: float,
) -> None:
    if head[COUNT] == 0.0:
        _begin(head, profile, at, value)
        return
    x = value - head[ANCHOR]
    gap = at - head[LAST]
    hole = 1.0
    if head[INTERVAL] > 0.0:
        hole = math.sqrt(min(max(gap / head[INTERVAL], 1.0), 16.0))
    slot = int((at % DAY_US) / DAY_US * PROFILE) % PROFILE
    known_day = at - head[FIRST] > DAY_US and not math.isnan(profile[slot])
    usual = _usual(profile, slot, x - head[OFFSET]) if known_day else 0.0
    residual = x - head[LEVEL]
    day_residual = x - usual - head[OFFSET] if known_day else 0.0
    # Below the noise of the number itself, and below a fiftieth of the spread, nothing is odd.
    floor = max(0.02 * math.sqrt(head[SPREAD]), 1e-9 * max(abs(value), abs(head[ANCHOR])))
    level_scale = max(math.sqrt(head[VAR_LEVEL]), floor) * hole
    scale, z, yhat = level_scale, abs(residual) / max(level_scale, 1e-300), head[LEVEL]
    limit = _limit(head, sigmas, warmup)
    lower, upper = yhat - limit * scale, yhat + limit * scale
    if known_day and head[DAYS_SEEN] > warmup:
        day_scale = max(math.sqrt(head[VAR_DAY]), floor) * hole
        day_yhat = usual + head[OFFSET]
        z = min(z, abs(day_residual) / max(day_scale, 1e-300))
        lower, upper = min(lower, day_yhat - limit * day_scale), max(upper, day_yhat + limit * day_scale)
        if day_scale < scale:
            scale, yhat = day_scale, day_yhat
    z = min(z, 1e6)
    flagged = False
    if head[COUNT] >= warmup:
        score = z / limit
        flagged = score > 1.0
        answer[YHAT] = yhat + head[ANCHOR]
        answer[LOWER] = lower + head[ANCHOR]
        answer[UPPER] = upper + head[ANCHOR]
        answer[POINT] = score
        answer[ALARM] = _alarm(head, score, refractory)
        _block(head, z)
    _interval(head, gap)
    head[COUNT] += 1.0
    head[LAST] = max(head[LAST], at)
    _learn(head, profile, slot, x, usual, residual, day_residual, limit * scale, flagged, known_day, hold)


@njit(cache=True, nogil=True)
def _walk(
    starts: Array,
    slots: Array,
    at: Array,
    value: Array,
    heads: Array,
    profiles: Array,
    answers: Array,
    sigmas: float,
    warmup: float,
    hold: float,
    refractory: float,
) -> None:
    """Score and learn every point; series i owns rows starts[i] to starts[i + 1]."""
    for series in range(len(slots)):
        slot = slots[series]
        for row in range(starts[series], starts[series + 1]):
            answers[row, :] = np.nan
            if slot >= 0 and math.isfinite(value[row]):
                _step(heads[slot], profiles[slot], float(at[row]), value[row], answers[row], sigmas, warmup, hold, refractory)


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
        hold: odd points in a row after which a new level is accepted.
        refractory: points after an alarm in which only a higher peak is an alarm again.
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
    warmup: int = 60
    hold: int = 20
    refractory: int = 0
    forget_seconds: float = 7 * 86_400.0
    max_series: int = 1_000_000
    version: str = "1"
    _table: SlotTable = field(init=False, repr=False, default_factory=SlotTable)
    _heads: Array = field(init=False, repr=False, default_factory=lambda: np.zeros((0, HEAD)))
    _profiles: Array = field(init=False, repr=False, default_factory=lambda: np.zeros((0, PROFILE), np.float32))

    def score(self, frame: pl.DataFrame, at: int) -> pl.DataFrame:
        """POINTS sorted by (series, at) -> VERDICTS, one row a row, each scored before it is learnt.

        Args:
            frame: the points; NaN and infinite values get null and are not learnt.
            at: now, UTC microseconds: which series count as gone.

        Raises:
            TypeError: where the columns are not those of POINTS.
        """
        conform(frame, POINTS)
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
        _walk(
            starts,
            slots,
            at,
            value,
            self._heads,
            self._profiles,
            answers,
            self.sigmas,
            float(self.warmup),
            float(self.hold),
            float(self.refractory),
        )
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
            "profiles": self._profiles[:used],
        }

    def load(self, state: State) -> None:
        """Become exactly what `state` was taken from."""
        self._table = SlotTable.of(state["ids"], state["free"])
        self._heads = _grown(state["heads"], self._table.capacity)
        self._profiles = _grown(state["profiles"], self._table.capacity)

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
        self._profiles = _grown(self._profiles, self._table.capacity)
        self._heads[taken] = 0.0
        return self._table.find(wanted)


def _grown(rows: Array, capacity: int) -> Array:
    """`rows` with space for `capacity` of them; memory that was never touched is not resident."""
    if len(rows) >= capacity and rows.flags.writeable:
        return rows
    bigger = np.zeros((capacity, rows.shape[1]), rows.dtype)
    bigger[: len(rows)] = rows
    return bigger
