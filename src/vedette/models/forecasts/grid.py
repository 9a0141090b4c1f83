"""From points as they come to one regular grid a series: the step is the usual distance, gaps are filled along a line."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl

from vedette.core.frames import POINTS, conform

Array = np.ndarray[Any, Any]

DAY_US: Final = 86_400_000_000
#: Values of a series that are looked at: four weeks of minutes.
MOST: Final = 40_320
#: A gap longer than this share of the series is not filled: the series begins behind it.
_GAP: Final = 0.1
_SEASONS: Final = (24, 7, 12, 168, 288, 144, 96, 48, 1440, 30, 4, 10, 60)


@dataclass(frozen=True, slots=True)
class Grid:
    """One series on a regular grid.

    Attributes:
        series: who it is.
        step: microseconds between values.
        end: the time of the last value, UTC microseconds.
        values: float64 of shape (n,), no NaN.
        day, week: steps in a season and in seven of them; 1 where there is none.
    """

    series: int
    step: int
    end: int
    values: Array
    day: int
    week: int


def grids(points: pl.DataFrame) -> list[Grid]:
    """One grid a series of POINTS sorted by (series, at); series of fewer than four values are left out.

    Raises:
        TypeError: where the columns are not those of POINTS.
    """
    conform(points, POINTS)
    found = []
    columns = points["series"].to_numpy(), points["at"].to_physical().to_numpy(), points["value"].to_numpy()
    edges = np.flatnonzero(np.diff(columns[0])) + 1 if points.height else np.zeros(0, np.int64)
    for series, at, value in zip(*(np.split(each, edges) for each in columns), strict=True):
        known = np.isfinite(value)
        if known.sum() >= 4:
            found.append(_grid(int(series[0]), at[known], value[known].astype(np.float64)))
    return found


def _grid(series: int, at: Array, value: Array) -> Grid:
    step = max(int(np.median(np.diff(at))), 1)
    first = max(at[0], at[-1] - (MOST - 1) * step)
    breaks = np.flatnonzero(np.diff(at) > max(_GAP * (at[-1] - at[0]), 3 * step))
    if len(breaks) and len(at) - breaks[-1] - 1 >= 4:
        first = max(first, at[breaks[-1] + 1])
    moments = np.arange(at[-1], first - step // 2, -step)[::-1]
    values = np.interp(moments, at, value)
    day = _day(values, step)
    return Grid(series, step, int(at[-1]), values, day, 7 * day if day > 1 and _worth(values, 7 * day, day) else 1)


def _day(values: Array, step: int) -> int:
    """A day where a day is a whole number of steps and shows; else the season of well-known lengths that shows best."""
    if DAY_US % step == 0 and 2 <= DAY_US // step <= len(values) // 2:
        day = DAY_US // step
        if _agreement(values, day) > 0.1 or len(values) >= 3 * day:
            return int(day)
    fitting = [(_agreement(values, each), -each) for each in _SEASONS if len(values) >= 3 * each]
    best = max(fitting, default=(0.0, -1))
    return -best[1] if best[0] > 0.3 else 1


def _worth(values: Array, week: int, day: int) -> bool:
    return len(values) >= week + day + 1 and len(values) >= 8 * day


def _agreement(values: Array, lag: int) -> float:
    """The autocorrelation at `lag`, of the values without a straight line."""
    here = values - np.polyval(np.polyfit(np.arange(len(values)), values, 1), np.arange(len(values)))
    power = float(np.dot(here, here))
    return float(np.dot(here[lag:], here[:-lag])) / power if power > 0 else 0.0
