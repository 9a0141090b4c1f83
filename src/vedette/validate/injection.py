"""Known anomalies laid into clean points, so that recall can be estimated where nobody has labelled anything.

Sizes are drawn in units of the series' own robust spread. Each anomaly has its stretch of the series to itself, with room on either
side, and the series is back to its own values behind it. What would not show (a flat line in a flat series, a dip below a floor) is
not laid, and not claimed.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import numpy as np
import polars as pl

from vedette.core.frames import POINTS, conform
from vedette.validate.counting import WINDOWS

Array = np.ndarray[Any, Any]

DAY: Final = 86_400_000_000
#: Spreads by which an anomaly is off, at least and at most.
SIZES: Final = (4.0, 10.0)
#: The first share of a series is left alone: detectors learn there.
CLEAN: Final = 0.3
#: Spreads that a change must reach somewhere to be an anomaly.
SHOWS: Final = 2.0
#: Points of a series that one anomaly needs at least, room included.
ROOM: Final = 60
#: Points behind a hole in which one may still tell that there was one.
AFTERWARDS: Final = 3


class Place(NamedTuple):
    """Where an anomaly goes: the values of its series, where it begins, and what it may do there.

    Attributes:
        values: float64 of shape (n,), the clean series.
        begin: the first point of it.
        longest: points it may last at most.
        size: how far it goes off, in the unit of the values; `spread` is one robust spread.
        day: points in a day; 0 where the series has less than two of them before `begin`.
    """

    values: Array
    begin: int
    longest: int
    size: float
    spread: float
    day: int


Kind = Callable[[Place, np.random.Generator], Array]
"""From a place to what the values become from its begin on, no longer than `longest`; empty where it has none."""


def _spike(place: Place, rng: np.random.Generator) -> Array:
    return _clean(place, int(rng.integers(1, 4))) + place.size


def _dip(place: Place, rng: np.random.Generator) -> Array:
    return _clean(place, int(rng.integers(1, 6))) - place.size


def _level_shift(place: Place, rng: np.random.Generator) -> Array:
    return _clean(place, _long(place, rng)) + _sign(rng) * place.size


def _trend_change(place: Place, rng: np.random.Generator) -> Array:
    length = _long(place, rng)
    return _clean(place, length) + _sign(rng) * place.size * np.arange(1, length + 1) / length


def _variance_change(place: Place, rng: np.random.Generator) -> Array:
    length = _long(place, rng)
    return _clean(place, length) + rng.normal(0.0, place.size / 2.0, length)


def _flat_line(place: Place, rng: np.random.Generator) -> Array:
    """A sensor that is stuck at its last value."""
    return np.full(_long(place, rng), place.values[place.begin - 1])


def _missing(place: Place, rng: np.random.Generator) -> Array:
    return np.full(_long(place, rng), np.nan)


def _slow_leak(place: Place, rng: np.random.Generator) -> Array:  # noqa: ARG001 -- a leak takes all the time there is
    """Memory that is never given back: it rises a little faster all the time, and never jumps."""
    share = np.arange(1, place.longest + 1) / place.longest
    return _clean(place, place.longest) + place.size * (0.7 * share + 0.3 * share * share)


def _season_break(place: Place, rng: np.random.Generator) -> Array:  # noqa: ARG001 -- half a day is half a day
    """Day and night change places: the values of half a day ago come again, for half a day."""
    half = min(place.day // 2, place.longest)
    past = place.values[: place.begin]
    if half < 1 or _likeness(past, place.day) - _likeness(past, place.day // 2) < 0.5:
        return np.zeros(0)
    return past[place.begin - place.day // 2 :][:half]


KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "spike": _spike,
        "dip": _dip,
        "level_shift": _level_shift,
        "trend_change": _trend_change,
        "variance_change": _variance_change,
        "flat_line": _flat_line,
        "missing": _missing,
        "slow_leak": _slow_leak,
        "season_break": _season_break,
    }
)

#: The kinds that no detector of single series may miss; the others are judged against the champion only.
MUST_CATCH: Final = ("spike", "dip", "level_shift", "variance_change")


def inject(
    points: pl.DataFrame, rng: np.random.Generator, kinds: Sequence[str] = tuple(KINDS), per_series: int = 3
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Lay anomalies into points.

    Args:
        points: POINTS sorted by series and time, taken as clean.
        rng: where places, sizes and lengths come from; the same state gives the same anomalies.
        kinds: keys of `KINDS`; they take turns, so that each is laid about as often.
        per_series: anomalies in each series; fewer where it is short.

    Returns:
        POINTS with the anomalies (and without what is missing), and `series, start, end` (UTC microseconds, both ends within) with
        their `kind`.

    Raises:
        TypeError: where the columns are not those of POINTS.

    >>> at = pl.Series(range(2000)) * 60_000_000
    >>> clean = pl.DataFrame({"series": 7, "at": at, "value": np.sin(np.arange(2000.0))}).cast(POINTS)
    >>> points, windows = inject(clean, np.random.default_rng(0), ["spike", "missing"], per_series=2)
    >>> (windows.height, points.height < clean.height)
    (2, True)
    """
    conform(points, POINTS)
    values, keep = points["value"].fill_null(np.nan).to_numpy().copy(), np.ones(points.height, np.bool_)
    series, at = points["series"].to_numpy(), points["at"].to_physical().to_numpy()
    edges = np.concatenate([[0], np.flatnonzero(np.diff(series)) + 1, [len(series)]]) if len(series) else np.zeros(1, np.int64)
    turns, rows = _turns(kinds, rng), []
    for low, high in pairwise(edges):
        clean = values[low:high].copy()
        for place in _places(clean, at[low:high], rng, per_series):
            kind = next(turns)
            changed = _laid(kind, place, rng)
            if len(changed):
                first = low + place.begin
                last = first + len(changed) - 1
                values[first : last + 1] = changed
                keep[first : last + 1] = kind != "missing"
                shown = min(last + AFTERWARDS * (kind == "missing"), high - 1)
                rows.append((int(series[low]), int(at[first]), int(at[shown]), kind))
    laid = points.with_columns(value=pl.Series(values).fill_nan(None)).filter(pl.Series(keep))
    return laid, pl.DataFrame(rows, schema=WINDOWS, orient="row").sort("series", "start")


def _laid(kind: str, place: Place, rng: np.random.Generator) -> Array:
    """What the values become; empty where nobody could tell it from what they were."""
    changed = KINDS[kind](place, rng)
    clean = _clean(place, len(changed))
    if kind == "missing" or len(changed) == 0:
        return changed
    if np.nanmin(place.values) >= 0.0:
        changed = np.maximum(changed, 0.0)
    changed = np.where(np.isnan(clean), np.nan, changed)
    off = np.abs(changed - clean)
    if np.isnan(off).all():
        return np.zeros(0)
    least = 0.3 if kind == "flat_line" else SHOWS
    shows = np.nanmean(off) if kind in {"flat_line", "season_break"} else np.nanmax(off)
    return changed if shows >= least * place.spread * (0.5 if kind == "season_break" else 1.0) else np.zeros(0)


def _places(values: Array, at: Array, rng: np.random.Generator, count: int) -> list[Place]:
    """So many places, one in each equal part of the series behind its clean beginning, the outer fifths of a part left free."""
    begin = max(int(CLEAN * len(values)), 2)
    count = min(count, (len(values) - begin) // ROOM)
    spread = _spread(values)
    if count < 1 or not spread > 0.0:
        return []
    part = (len(values) - begin) // count
    day = int(DAY // max(np.median(np.diff(at)), 1))
    places = []
    for number in range(count):
        low = begin + number * part + part // 5
        first = low + int(rng.integers(0, max(part // 5, 1)))
        size = spread * rng.uniform(*SIZES)
        places.append(Place(values, first, part * 2 // 5, size, spread, day if first >= 2 * day else 0))
    return places


def _spread(values: Array) -> float:
    """The robust deviation of the values; of a series that is nearly always the same, a share of its level."""
    known = values[np.isfinite(values)]
    if len(known) == 0:
        return 0.0
    middle = np.median(known)
    spread = 1.4826 * float(np.median(np.abs(known - middle)))
    return spread or float(known.std()) or 0.01 * float(np.abs(middle)) or 1.0


def _turns(kinds: Sequence[str], rng: np.random.Generator) -> Any:  # noqa: ANN401 -- an endless generator of names
    while True:
        yield from (kinds[each] for each in rng.permutation(len(kinds)))


def _clean(place: Place, length: int) -> Array:
    return place.values[place.begin : place.begin + length]


def _long(place: Place, rng: np.random.Generator) -> int:
    return int(rng.integers(place.longest // 2, place.longest + 1))


def _sign(rng: np.random.Generator) -> float:
    return 1.0 if rng.random() < 0.5 else -1.0


def _likeness(values: Array, lag: int) -> float:
    """The correlation of the values with those `lag` points before; 0 where it is not defined."""
    one, other = values[lag:], values[:-lag]
    known = np.isfinite(one) & np.isfinite(other)
    one, other = one[known] - one[known].mean() if known.any() else one[known], other[known]
    size = float(np.sqrt((one * one).sum() * ((other - other.mean()) ** 2).sum())) if known.any() else 0.0
    return float((one * other).sum()) / size if size > 0.0 else 0.0
