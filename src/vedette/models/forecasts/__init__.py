"""Forecasts: where series go, with bounds that hold. Each series is put on a grid, ten methods compete in its own past, those that
did well speak together, and their errors there make the bounds. What was learnt (who speaks, how wide) is a few numbers a series,
so a forecast from fresh values takes well under a millisecond.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import polars as pl

from vedette.core.frames import AT
from vedette.core.types import State
from vedette.models.forecasts.combine import ORIGINS, answer, learn, widths
from vedette.models.forecasts.grid import Grid, grids
from vedette.models.forecasts.methods import METHODS, NAMES

Array = np.ndarray[Any, Any]

LEVELS: Final = (0.8, 0.95)


@dataclass
class Outlook:
    """The combination, for any number of series.

    Attributes:
        horizon: steps ahead.
        levels: shares of what is seen that the bounds should hold.

    >>> from datetime import UTC, datetime, timedelta
    >>> from vedette.core.frames import POINTS
    >>> at = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=i) for i in range(240)]
    >>> value = [float(i % 24) for i in range(240)]
    >>> points = pl.DataFrame({"series": [1] * 240, "at": at, "value": value}, schema=POINTS)
    >>> outlook = Outlook(horizon=3)
    >>> outlook.fit(points)
    >>> outlook.predict(points)["yhat"].round(3).to_list()
    [0.0, 1.0, 2.0]
    """

    horizon: int = 24
    levels: tuple[float, ...] = LEVELS
    _ids: Array = field(init=False, repr=False, default_factory=lambda: np.zeros(0, np.int64))
    _weights: Array = field(init=False, repr=False, default_factory=lambda: np.zeros((0, METHODS)))
    _widths: Array = field(init=False, repr=False, default_factory=lambda: np.zeros((0, 0, 0)))
    _seasons: Array = field(init=False, repr=False, default_factory=lambda: np.zeros((0, 3), np.int64))

    def fit(self, points: pl.DataFrame) -> None:
        """Learn, of every series of POINTS (sorted by series and time), who speaks and how wide the bounds are."""
        found = grids(points)
        self._ids = np.array([each.series for each in found], np.int64)
        self._seasons = np.array([[each.step, each.day, each.week] for each in found], np.int64).reshape(-1, 3)
        self._weights = np.zeros((len(found), METHODS))
        self._widths = np.full((len(found), len(self.levels), self.horizon), np.nan)
        levels, errors = np.array(self.levels), np.empty((ORIGINS, self.horizon))
        for i, each in enumerate(found):
            origins = learn(each.values, each.day, each.week, self.horizon, self._weights[i], errors)
            widths(errors, origins, levels, self._widths[i])

    @property
    def series(self) -> Sequence[int]:
        """The series it has learnt."""
        return [int(each) for each in self._ids]

    def speakers(self, series: int) -> dict[str, float]:
        """The methods that speak for a series, with their weights, the heaviest first."""
        place = int(np.flatnonzero(self._ids == series)[0])
        pairs = sorted(zip(NAMES, self._weights[place], strict=True), key=lambda pair: -pair[1])
        return {name: round(float(weight), 3) for name, weight in pairs if weight > 0}

    def predict(self, points: pl.DataFrame) -> pl.DataFrame:
        """The continuation of every known series in POINTS (sorted by series and time).

        Returns:
            `series, at, yhat` and `yhat_lower_80, yhat_upper_80, ...` a level; `horizon` rows a series. Series that were not
            learnt are left out.
        """
        places = {int(series): place for place, series in enumerate(self._ids)}
        known = [(places[each.series], each) for each in grids(points) if each.series in places]
        size = len(known) * self.horizon
        series, at = np.empty(size, np.int64), np.empty(size, np.int64)
        yhat, reach = np.empty(size), np.empty((len(self.levels), size))
        levels, fresh, errors = np.array(self.levels), np.empty(METHODS), np.empty((ORIGINS, self.horizon))
        wide = np.empty((len(self.levels), self.horizon))
        for i, (place, each) in enumerate(known):
            rows = slice(i * self.horizon, (i + 1) * self.horizon)
            _, day, week = (int(number) for number in self._seasons[place])
            # Half of what was learnt, half of what its latest past says: a disk that begins to fill is no more what it was.
            origins = learn(each.values, day, week, self.horizon, fresh, errors)
            widths(errors, origins, levels, wide)
            answer(each.values, day, week, 0.5 * (self._weights[place] + fresh), yhat[rows])
            series[rows] = each.series
            at[rows] = each.end + each.step * np.arange(1, self.horizon + 1)
            now = np.where(np.isnan(wide), self._widths[place], wide)
            reach[:, rows] = np.where(np.isnan(self._widths[place]), now, 0.5 * (self._widths[place] + now))
        bounds: dict[str, Array] = {}
        for level, width in zip(self.levels, reach, strict=True):
            name = f"{100 * level:g}"
            bounds |= {f"yhat_lower_{name}": yhat - width, f"yhat_upper_{name}": yhat + width}
        frame = pl.DataFrame({"series": series, "at": pl.Series(at).cast(AT), "yhat": yhat, **bounds})
        return frame.with_columns(pl.col(name).fill_nan(None) for name in bounds)

    def state(self) -> State:
        """The arrays."""
        return {
            "ids": self._ids,
            "weights": self._weights,
            "widths": self._widths,
            "seasons": self._seasons,
            "levels": np.array(self.levels),
            "horizon": np.array([self.horizon]),
        }

    def load(self, state: State) -> None:
        """Become exactly what `state` was taken from."""
        self.horizon = int(state["horizon"][0])
        self.levels = tuple(float(each) for each in state["levels"])
        self._ids, self._weights = np.array(state["ids"]), np.array(state["weights"])
        self._widths, self._seasons = np.array(state["widths"]), np.array(state["seasons"])


__all__ = ["LEVELS", "NAMES", "Grid", "Outlook", "grids"]
