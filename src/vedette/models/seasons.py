"""A day in 66 slots, then a week in 70, what each weekday differs by: learnt a point at a time, in compiled code."""

import math
from typing import Any, Final

import numpy as np
from numba import njit

Array = np.ndarray[Any, Any]

DAY_US: Final = 86_400_000_000.0
DAY_SLOTS: Final = 66
WEEK_SLOTS: Final = 70
SIZE: Final = DAY_SLOTS + WEEK_SLOTS
#: The share of a day's news that enters the day, and of a week's that enters the week.
DAY_SHARE: Final = 0.3
WEEK_SHARE: Final = 0.4


@njit(cache=True, nogil=True, inline="always")
def begin(season: Array) -> None:
    """No slot of the day is known, and no weekday differs."""
    season[:DAY_SLOTS] = np.nan
    season[DAY_SLOTS:] = 0.0


@njit(cache=True, nogil=True, inline="always")
def day_slot(at: float) -> int:
    """The slot of the day at `at`, UTC microseconds."""
    return int((at % DAY_US) / DAY_US * DAY_SLOTS) % DAY_SLOTS


@njit(cache=True, nogil=True, inline="always")
def week_slot(at: float) -> int:
    """The slot of the week at `at`, from 0."""
    return int((at % (7.0 * DAY_US)) / (7.0 * DAY_US) * WEEK_SLOTS) % WEEK_SLOTS


@njit(cache=True, nogil=True, inline="always")
def nearest_day(season: Array, slot: int, x: float) -> float:
    """What the slot or a neighbour expects, whichever is nearer: an edge within a slot is blurred there, but sharp beside it."""
    usual = float(season[slot])
    for step in (1, DAY_SLOTS - 1):
        other = float(season[(slot + step) % DAY_SLOTS])
        if abs(x - other) < abs(x - usual):
            usual = other
    return usual


@njit(cache=True, nogil=True, inline="always")
def nearest_week(season: Array, slot: int, week: int, x: float) -> float:
    """As `nearest_day`, of all sums of a slot of the day and a slot of the week around now."""
    usual = float(season[slot] + season[DAY_SLOTS + week])
    for i in (0, 1, DAY_SLOTS - 1):
        day = float(season[(slot + i) % DAY_SLOTS])
        for j in (0, 1, WEEK_SLOTS - 1):
            other = day + float(season[DAY_SLOTS + (week + j) % WEEK_SLOTS])
            if abs(x - other) < abs(x - usual):
                usual = other
    return usual


@njit(cache=True, nogil=True, inline="always")
def learn(season: Array, slot: int, week: int, target: float, interval: float, share: float, known: bool) -> None:  # noqa: FBT001 -- a kernel has no keywords
    """Move the slots by a `share` of a point's news, which is spread over the points that come in the time of a slot."""
    points = DAY_US / interval
    if known:
        pull = min(WEEK_SHARE, WEEK_SHARE * WEEK_SLOTS / 7.0 / points)
        season[DAY_SLOTS + week] += share * pull * (target - season[slot] - season[DAY_SLOTS + week])
    if math.isnan(season[slot]):
        season[slot] = target
    else:
        season[slot] += share * min(DAY_SHARE, DAY_SHARE * DAY_SLOTS / points) * (target - season[slot])
