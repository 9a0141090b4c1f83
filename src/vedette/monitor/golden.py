"""The golden baseline: what every series was like, hour by hour of the week, in the data that a model was trained on."""

from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import polars as pl

from vedette.core.frames import POINTS, conform
from vedette.core.types import State
from vedette.monitor.hours import DAY, WEEK, columns, hour_of, places, starts
from vedette.monitor.statistics import echo

Array = np.ndarray[Any, Any]

#: No hour is further from its golden one than this many spreads: one odd hour must not make a day.
CLIP: Final = 10.0
#: No day is further from the golden ones than this, squared, when all series are summed.
JOINT_CLIP: Final = 25.0
#: Hours of the same hour of the day that a spread is worth, before its own hour of the week is believed.
_SPREAD_PRIOR: Final = 4.0
_CHUNK: Final = 1024
#: All series together are never taken to be quieter than this: constant ones would make any whisper unheard of.
LEAST_SQUARE: Final = 0.1


@dataclass(frozen=True, eq=False)
class Golden:
    """Frozen arrays over the `n` series of a training set, in the order of `ids`; they travel with the model.

    The mean of an hour of the week is drawn to that of its hour of the day as far as the series' own weeks ask for it (empirical
    Bayes; Morris, *JASA* 1983). Spreads and all that a live day is compared with come from residuals of which the week itself was
    left out, so a short training set promises no more than it can keep.

    Attributes:
        ids: identities, sorted.
        level, scale: mean and root mean square spread of all hours.
        mean, spread, count: (n, 168) by hour of the week from Monday 00:00 UTC; the spread of single points, and hours seen.
        lowest, low, high, highest: range, and the quantiles 0.01 and 0.99.
        interval: usual time between points, seconds. `hours`: hours of a day in which there are points.
        deviation, echo, days: of the mean residual of a day in spreads: its deviation, its autocorrelation, days it rests on.
        joint: mean and deviation of the logarithm of the mean squared day over all series, and days it rests on.

    >>> from datetime import UTC, datetime, timedelta
    >>> at = [datetime(2026, 1, 5, tzinfo=UTC) + timedelta(hours=hour) for hour in range(336)]
    >>> golden = Golden.of(pl.DataFrame({"series": [7] * 336, "at": at, "value": [float(each.hour) for each in at]}, schema=POINTS))
    >>> golden.mean[0, :3].round(6).tolist(), golden.count[0, 0].item(), golden.interval.tolist()
    ([0.0, 1.0, 2.0], 2.0, [3600.0])
    """

    ids: Array
    level: Array
    scale: Array
    mean: Array
    spread: Array
    count: Array
    lowest: Array
    low: Array
    high: Array
    highest: Array
    interval: Array
    hours: Array
    deviation: Array
    echo: Array
    days: Array
    joint: Array

    @classmethod
    def of(cls, points: pl.DataFrame) -> "Golden":
        """Of POINTS sorted by (series, at); values that are no number are left out.

        Raises:
            TypeError: the columns are not those of POINTS.
        """
        sound = conform(points, POINTS).filter(pl.col("value").is_finite())
        ranges = sound.group_by("series", maintain_order=True).agg(
            lowest=pl.col("value").min(),
            low=pl.col("value").quantile(0.01, "linear"),
            high=pl.col("value").quantile(0.99, "linear"),
            highest=pl.col("value").max(),
            interval=pl.col("at").diff().dt.total_microseconds().median() / 1e6,
        )
        parts, days = _parts(*hourly(*columns(sound)), ranges.height)
        overall = {name: ranges[name].fill_null(0.0).to_numpy() for name in ("lowest", "low", "high", "highest", "interval")}
        return cls(ids=ranges["series"].to_numpy(), joint=_joint(days, parts["deviation"]), **parts, **overall)

    def inherit(self, older: "Golden") -> "Golden":
        """This baseline, but every series that `older` knows stays as it was there: how a retrained model keeps the frozen one.

        What is known of all series together stays that of `older`, unless it knew none.
        """
        if len(older.ids) == 0:
            return self
        new = places(older.ids, self.ids) < 0
        order = np.argsort(np.concatenate([older.ids, self.ids[new]]), kind="stable")
        names = [each.name for each in fields(self) if each.name != "joint"]
        merged = {name: np.concatenate([getattr(older, name), getattr(self, name)[new]])[order] for name in names}
        return Golden(joint=older.joint, **merged)

    def state(self) -> State:
        """The arrays by name."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    @classmethod
    def of_state(cls, state: State) -> "Golden":
        """What `state` was taken from.

        Raises:
            KeyError: an array is missing.
        """
        return cls(**{each.name: state[each.name] for each in fields(cls)})


def hourly(series: Array, at: Array, value: Array) -> tuple[Array, Array, Array, Array]:
    """Place of the series, hour, mean and variance of the points of each hour that has some."""
    hour = hour_of(at)
    begin = starts(series, hour)
    count = np.diff(np.append(begin, len(series)))
    # Polars and NumPy sum in another order; reduceat of nothing is an error.
    mean = np.add.reduceat(value, begin) / count if len(begin) else np.zeros(0)
    off = value - np.repeat(mean, count)
    variance = np.add.reduceat(off * off, begin) / count if len(begin) else np.zeros(0)
    owner = np.cumsum(np.isin(begin, starts(series))) - 1
    return owner, hour[begin], mean, variance


def _parts(owner: Array, hour: Array, mean: Array, variance: Array, n: int) -> tuple[dict[str, Array], Array]:
    """Everything that is known by series, a chunk of series at a time, and their days (n, days)."""
    first = int(hour.min()) // WEEK if len(hour) else 0
    weeks = (int(hour.max()) // WEEK - first + 1) if len(hour) else 1
    chunks = []
    for low in range(0, max(n, 1), _CHUNK):
        size = min(_CHUNK, n - low)
        rows = slice(*np.searchsorted(owner, [low, low + size]))
        x, within = np.full((2, size, weeks, WEEK), np.nan)
        where = (owner[rows] - low, hour[rows] // WEEK - first, hour[rows] % WEEK)
        x[where], within[where] = mean[rows], variance[rows]
        chunks.append(_season(x, within))
    merged = {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}
    return merged, merged.pop("_days")


def _season(x: Array, within: Array) -> dict[str, Array]:
    """Of hourly means and variances (n, weeks, 168), NaN where there was nothing."""
    known = np.isfinite(x)
    weeks = known.sum(axis=1).astype(np.float64)
    total = np.where(known, x, 0.0).sum(axis=1)
    level = _ratio(total.sum(axis=1), weeks.sum(axis=1), 0.0)
    habit = _by_day(total, weeks, level)
    own = _ratio(total, weeks, habit)
    prior = _prior(np.where(known, x - own[:, None], 0.0), own - habit, weeks)
    mean = (total + prior * habit) / (weeks + prior)
    rest = ((total[:, None] - np.where(known, x, 0.0)) + (prior * habit)[:, None]) / np.maximum(weeks - 1.0 + prior, 1e-12)[:, None]
    residual = np.where(known, x - rest, 0.0)
    squares = (np.where(known, within, 0.0) + residual**2).sum(axis=1)
    overall = _ratio(squares.sum(axis=1), weeks.sum(axis=1), 0.0)
    variance = (squares + _SPREAD_PRIOR * _by_day(squares, weeks, overall)) / (weeks + _SPREAD_PRIOR)
    scale = np.maximum(np.sqrt(overall), np.maximum(1e-3 * np.abs(level), 1e-12))
    spread = np.maximum(np.sqrt(variance), 0.25 * scale[:, None])
    days, hours = _days(np.where(known, np.clip(residual / spread[:, None], -CLIP, CLIP), np.nan))
    number = np.isfinite(days).sum(axis=1)
    deviation = np.sqrt(np.nansum(days**2, axis=1) / np.maximum(number, 1))
    return {
        "level": level,
        "scale": scale,
        "mean": mean,
        "spread": spread.astype(np.float32),
        "count": weeks.astype(np.float32),
        "hours": hours,
        "deviation": np.maximum(deviation, 0.05),
        "echo": echo(days),
        "days": number.astype(np.float64),
        "_days": days,
    }


def _ratio(total: Array, count: Array, otherwise: Array | float) -> Array:
    return np.where(count > 0, total / np.maximum(count, 1.0), otherwise)


def _by_day(total: Array, count: Array, otherwise: Array) -> Array:
    """The mean by hour of the day, laid out over the week: (n, 168) -> (n, 168)."""
    shape = (len(total), 7, DAY)
    day = _ratio(total.reshape(shape).sum(axis=1), count.reshape(shape).sum(axis=1), otherwise[:, None])
    return np.tile(day, 7)


def _prior(off: Array, differs: Array, weeks: Array) -> Array:
    """Hours that the hour of the day is worth: variance within hours of the week over that between them; (n, 1).

    With hardly two weeks the variance within is that of neighbouring hours.
    """
    seen = weeks > 0
    freedom = np.maximum(weeks - 1.0, 0.0).sum(axis=1)
    steps = np.where(seen[:, 1:] & seen[:, :-1], np.diff(differs, axis=1) ** 2 / 2.0, 0.0)
    neighbours = steps.sum(axis=1) / np.maximum((seen[:, 1:] & seen[:, :-1]).sum(axis=1), 1)
    noise = np.where(freedom >= WEEK / 2, (off**2).sum(axis=(1, 2)) / np.maximum(freedom, 1.0), neighbours)
    slots = np.maximum(seen.sum(axis=1), 1)
    blur = noise * (1.0 / np.maximum(weeks, 1.0) * seen).sum(axis=1) / slots
    between = np.maximum(np.where(seen, differs**2, 0.0).sum(axis=1) / slots - blur, 0.0)
    return np.asarray(np.clip(noise / np.maximum(np.maximum(between, 1e-6 * noise), 1e-300), 1e-3, 1e6))[:, None]


def _days(z: Array) -> tuple[Array, Array]:
    """Mean residual of each day (n, days), NaN where less than half of its usual hours is known; and those usual hours."""
    days = z.reshape(len(z), z.shape[1] * 7, DAY)
    known = np.isfinite(days).sum(axis=2)
    active = (known > 0).sum(axis=1)
    hours = np.maximum(known.sum(axis=1) / np.maximum(active, 1), 1.0)
    mean = np.nansum(days, axis=2) / np.maximum(known, 1)
    return np.where(known >= 0.5 * hours[:, None], np.where(known > 0, mean, np.nan), np.nan), hours


def _joint(days: Array, deviation: Array) -> Array:
    """Mean and deviation of the logarithm of the mean squared day over all series, and of how many days."""
    squares = np.minimum((days / deviation[:, None]) ** 2, JOINT_CLIP)
    known = np.isfinite(squares)
    whole = known.sum(axis=0) >= max(0.5 * len(days), 1.0)
    if whole.sum() < 2:
        return np.array([0.0, 1.0, 1.0])
    logs = np.log(np.maximum(np.nansum(squares, axis=0)[whole] / known.sum(axis=0)[whole], LEAST_SQUARE))
    return np.array([logs.mean(), max(float(logs.std(ddof=1)), 0.1), float(whole.sum())])
