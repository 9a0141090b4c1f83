"""Levels that lasted: how far from the golden baseline any few days on end were, wherever in the data they lie."""

from typing import Any, Final

import numpy as np
import polars as pl

from vedette.core.frames import POINTS, conform
from vedette.monitor.drift import times
from vedette.monitor.golden import CLIP, Golden, hourly
from vedette.monitor.hours import WEEK, columns, places

Array = np.ndarray[Any, Any]

#: Hours after which a level is one, and no incident or weekend.
LASTS: Final = 72
#: Mean golden spreads by which it is off at least: what is restless by nature is now and then many times its level.
_EFFECT: Final = 1.0
_CHUNK: Final = 1024


def furthest(golden: Golden, points: pl.DataFrame, hours: int = LASTS) -> Array:
    """Times its golden level that each series of `golden` was in the `hours` on end that are furthest from it; (n,), 1 for nowhere.

    Each hour is compared with the same hour of the week, so that neither nights nor weekends are levels. Where less than half of
    the hours are known, nothing is said.

    Args:
        golden: what is known as normal.
        points: POINTS sorted by (series, at); what is no number is left out.
        hours: how long a level lasts at least.

    Raises:
        TypeError: the columns are not those of POINTS.

    >>> from datetime import UTC, datetime, timedelta
    >>> at = [datetime(2026, 1, 5, tzinfo=UTC) + timedelta(hours=hour) for hour in range(336)]
    >>> def frame(values): return pl.DataFrame({"series": [7] * 336, "at": at, "value": values}, schema=POINTS)
    >>> usual = Golden.of(frame([10.0] * 336))
    >>> furthest(usual, frame([10.0] * 100 + [30.0] * 72 + [10.0] * 164)).round(6).tolist()
    [3.0]
    """
    sound = conform(points, POINTS).filter(pl.col("value").is_finite())
    owner, hour, mean, _ = hourly(*columns(sound))
    found = np.ones(len(golden.ids))
    if len(hour) == 0:
        return found
    place = places(golden.ids, sound["series"].unique(maintain_order=True).to_numpy())[owner]
    first, count = int(hour.min()), int(hour.max() - hour.min()) + 1
    slots = (first + np.arange(count)) % WEEK
    for low in range(0, len(found), _CHUNK):
        mine = slice(low, low + _CHUNK)
        chosen = (place >= low) & (place < low + _CHUNK)
        seen = np.full((len(golden.ids[mine]), count), np.nan)
        seen[place[chosen] - low, hour[chosen] - first] = mean[chosen]
        found[mine] = _furthest(seen, golden.mean[mine][:, slots], golden.spread[mine][:, slots], golden.scale[mine], hours)
    return found


def _furthest(seen: Array, usual: Array, spread: Array, scale: Array, hours: int) -> Array:
    known = np.isfinite(seen)
    away = np.where(known, seen - usual, 0.0)
    number = _over(known.astype(np.float64), hours)
    enough = np.maximum(number, 1.0)
    level, off = _over(np.where(known, usual, 0.0), hours) / enough, _over(away, hours) / enough
    effect = _over(np.clip(away / spread, -CLIP, CLIP), hours) / enough
    counts = (number >= hours / 2) & (np.abs(effect) >= _EFFECT)
    growth: Array = np.where(counts, times(level, level + off, scale[:, None]), 1.0).max(axis=1)
    return growth


def _over(values: Array, hours: int) -> Array:
    """Sums over all stretches of so many hours; over everything where that is shorter."""
    sums = np.concatenate((np.zeros((len(values), 1)), values.cumsum(axis=1)), axis=1)
    width = min(hours, values.shape[1])
    over: Array = sums[:, width:] - sums[:, :-width]
    return over
