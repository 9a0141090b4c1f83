"""Classic histograms to quantiles: from the rates of the buckets at one time, as `histogram_quantile` of Prometheus has it.

https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile
"""

from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from vedette.prepare.slots import Floats, Ints

QUANTILES: Final = (0.5, 0.9, 0.99)
#: What is kept of each histogram: how many buckets it has, the time of the last that was answered, the series of its quantiles.
HISTOGRAMS: Final[dict[str, tuple[type[np.generic], Any]]] = {
    "buckets": (np.int32, 0),
    "done": (np.int64, np.iinfo(np.int64).min),
    "q0": (np.int64, 0),
    "q1": (np.int64, 0),
    "q2": (np.int64, 0),
}


@njit(cache=True, nogil=True)
def quantile(q: float, bounds: Floats, rates: Floats) -> float:
    """The value below which a share `q` of what was observed lies; NaN where nothing was, or the +Inf bucket is missing.

    Args:
        q: between 0 and 1.
        bounds: upper bounds, ascending, the last of them +Inf.
        rates: cumulative rates of the buckets; a bucket below the one before counts as equal to it.

    >>> quantile(0.5, np.array([1.0, 2.0, np.inf]), np.array([1.0, 3.0, 3.0]))
    1.25
    """
    last = len(bounds) - 1
    if last < 1 or not np.isinf(bounds[last]):
        return np.nan
    total = rates.max()
    if not total > 0.0:
        return np.nan
    rank = q * total
    below, start = 0.0, 0.0
    for place in range(last):
        level = max(below, rates[place])
        if level >= rank and level > below:
            if place == 0 and bounds[0] <= 0.0:
                return float(bounds[0])
            return float(start + (bounds[place] - start) * (rank - below) / (level - below))
        below, start = level, bounds[place]
    return float(bounds[last - 1])


@njit(cache=True, nogil=True)
def answer(
    histogram: Ints, at: Ints, bound: Floats, rate: Floats, buckets: NDArray[np.int32], done: Ints, horizon: int,
    quantiles: Floats, kept: NDArray[np.bool_], out_histogram: Ints, out_at: Ints, out_value: Floats,
) -> int:  # fmt: skip
    """Answer every (histogram, at) that is whole; rows sorted by (histogram, at, bound). Returns the answers written.

    It is whole when all known buckets are there, a later time of the same histogram follows, or `at` <= `horizon`.
    Rows of the others are marked in `kept`; rows no later than the last answer are dropped.
    """
    written, begin = 0, 0
    while begin < len(at):
        end = begin
        which, now = histogram[begin], at[begin]
        while end < len(at) and histogram[end] == which and at[end] == now:
            end += 1
        followed = end < len(at) and histogram[end] == which
        if now > done[which]:
            if end - begin >= buckets[which] or followed or now <= horizon:
                done[which] = now
                for number in range(len(quantiles)):
                    value = quantile(quantiles[number], bound[begin:end], rate[begin:end])
                    if not np.isnan(value):
                        out_histogram[written], out_at[written] = which * len(quantiles) + number, now
                        out_value[written] = value
                        written += 1
            else:
                kept[begin:end] = True
        begin = end
    return written
