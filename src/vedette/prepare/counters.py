"""Values to points: one kernel walks a beat's rows in the order of (series, time) and says what became of each.

Rates follow what `rate()` of Prometheus means between two neighbouring samples, without extrapolation: a value
below the last one is a restart from zero. https://prometheus.io/docs/prometheus/latest/querying/functions/#rate
"""

from enum import IntEnum
from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from vedette.prepare.kinds import Kind
from vedette.prepare.slots import Floats, Ints

#: The NaN by which Prometheus says that a series has ended (model/value/value.go, StaleNaN).
STALE: Final = np.int64(0x7FF0000000000002)
SMALLEST: Final = 2.2250738585072014e-308
NEVER: Final = np.iinfo(np.int64).min
SECOND: Final = 1e6
#: A counter that lost less than a tenth did not restart: two replicas answer for it, or it was rounded. No rate then.
RESTART: Final = 0.9


class Fate(IntEnum):
    """What became of a row. The values from LATE on are counted as kept out of the models."""

    POINT = 0
    WAITING = 1
    SKIPPED = 2
    STALE = 3
    LATE = 4
    NAN = 5
    INFINITE = 6
    SUBNORMAL = 7
    ABSURD = 8


INVALID: Final = {Fate.NAN: "nan", Fate.INFINITE: "infinite", Fate.SUBNORMAL: "subnormal", Fate.ABSURD: "absurd"}
#: What is kept of each series: time and value last seen, and its usual interval in microseconds.
COLUMNS: Final[dict[str, tuple[type[np.generic], Any]]] = {
    "kind": (np.int8, int(Kind.SKIP)),
    "target": (np.int32, -1),
    "last_at": (np.int64, NEVER),
    "last_value": (np.float64, np.nan),
    "interval": (np.float64, 0.0),
    "seen": (np.int64, NEVER),
}

_POINT, _WAITING, _SKIPPED, _STALE, _LATE = map(int, (Fate.POINT, Fate.WAITING, Fate.SKIPPED, Fate.STALE, Fate.LATE))
_NAN, _INFINITE, _SUBNORMAL, _ABSURD = map(int, (Fate.NAN, Fate.INFINITE, Fate.SUBNORMAL, Fate.ABSURD))
_SKIP, _GAUGE, _COUNTER, _DELTA, _BUCKET = map(int, (Kind.SKIP, Kind.GAUGE, Kind.COUNTER, Kind.DELTA, Kind.BUCKET))


#: Below this share of rows in all series, comparing rows is cheaper than counting series.
SPARSE: Final = 16


def order_of(slots: Ints, at: Ints, capacity: int) -> Ints:
    """Row numbers by (slot, at), rows of equal time in order of arrival."""
    if len(slots) * SPARSE < capacity:
        return np.lexsort((at, slots))
    return _counted_order(slots, at, capacity)


@njit(cache=True, nogil=True)
def _counted_order(slots: Ints, at: Ints, capacity: int) -> Ints:
    """A counting sort by slot, then insertion within a slot."""
    begin = np.zeros(capacity + 1, np.int64)
    for slot in slots:
        begin[slot + 1] += 1
    for slot in range(capacity):
        begin[slot + 1] += begin[slot]
    order = np.empty(len(slots), np.int64)
    filled = begin.copy()
    for row in range(len(slots)):
        slot = slots[row]
        place = filled[slot]
        filled[slot] += 1
        while place > begin[slot] and at[order[place - 1]] > at[row]:
            order[place] = order[place - 1]
            place -= 1
        order[place] = row
    return order


@njit(cache=True, nogil=True)
def _judge(value: float, bits: int, largest: float) -> int:
    if np.isnan(value):
        return _STALE if bits == STALE else _NAN
    if np.isinf(value):
        return _INFINITE
    if value != 0.0 and abs(value) < SMALLEST:
        return _SUBNORMAL
    return _ABSURD if abs(value) > largest else _POINT


@njit(cache=True, nogil=True)
def _per_second(kind: int, value: float, last: float, elapsed: float) -> float:
    """The rate of a counter or a delta over `elapsed` microseconds, NaN where there is none."""
    if kind == _DELTA:
        return value / elapsed * SECOND
    if np.isnan(last) or value < 0.0:
        return np.nan
    if value >= last:
        return (value - last) / elapsed * SECOND
    return value / elapsed * SECOND if value <= RESTART * last else np.nan


@njit(cache=True, nogil=True)
def walk(
    order: Ints,
    slots: Ints,
    at: Ints,
    value: Floats,
    kind: NDArray[np.int8],
    last_at: Ints,
    last_value: Floats,
    interval: Floats,
    target: NDArray[np.int32],
    closed: Ints,
    grid: int,
    widest: float,
    largest: float,
    points: Floats,
    fates: NDArray[np.int8],
) -> int:
    """Fill `points` and `fates` (one a row) and move the state of each series on; returns how many gaps were seen.

    `target` is the workload of each series (-1: none) and `closed` the first cell of the `grid` (microseconds) that each
    workload has not given out; a row before it is late, and so is one no later than the last of its series. `widest`
    is the longest distance, in usual intervals of a series, that is no gap; `largest` the greatest magnitude
    believed. A late or invalid row leaves the state as it was; a stale marker ends the run of a counter.
    """
    bits = value.view(np.int64)
    gaps = 0
    for row in order:
        slot = slots[row]
        fate = _judge(value[row], bits[row], largest)
        if fate <= _STALE and (at[row] <= last_at[slot] or (target[slot] >= 0 and at[row] // grid < closed[target[slot]])):
            fate = _LATE
        if fate <= _STALE:
            known = last_at[slot] != NEVER
            elapsed = np.float64(at[row] - last_at[slot]) if known else 0.0
            usual = interval[slot]
            gap = known and usual > 0.0 and elapsed > widest * usual
            gaps += gap
            last = last_value[slot]
            last_at[slot] = at[row]
            last_value[slot] = value[row]
            if fate == _STALE:
                last_value[slot] = np.nan
            elif kind[slot] == _SKIP:
                fate = _SKIPPED
            elif kind[slot] == _GAUGE:
                points[row] = value[row] + 0.0
            elif not known or gap:
                fate = _WAITING
            else:
                points[row] = _per_second(kind[slot], value[row], last, elapsed)
                fate = _WAITING if np.isnan(points[row]) else _POINT
            if known:
                # A gap doubles what is usual, so that a series that has become slower is believed within a few points.
                interval[slot] = elapsed if usual == 0.0 else usual * 2.0 if gap else usual + 0.125 * (elapsed - usual)
        fates[row] = fate
    return gaps
