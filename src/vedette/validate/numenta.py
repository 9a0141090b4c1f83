"""The score of the Numenta Anomaly Benchmark: an early detection within a window is worth most, noise costs.

After Lavin and Ahmad, *Evaluating Real-time Anomaly Detection Algorithms*, 2015, with the rules of the benchmark's own scorer: the
first 15 per cent of a series (at most 750 points) count for nothing, of a window the best detection counts, and one threshold holds
for all series. Silence is 0, perfection 100.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any, Final

import numpy as np
import polars as pl

from vedette.validate.counting import edges_of, places

Array = np.ndarray[Any, Any]

#: Profile -> what a false detection costs, and what a missed window does, where the best detection is worth 1.
PROFILES: Final = {"standard": (0.11, 1.0), "low_fp": (0.22, 1.0), "low_fn": (0.11, 2.0)}
PROBATION: Final = 0.15
LONGEST: Final = 750
_BEST: Final = 2.0 / (1.0 + np.exp(-5.0)) - 1.0


def nab(at: Array, series: Array, score: Array, windows: pl.DataFrame, threshold: float = 1.0, profile: str = "standard") -> float:
    """The score at one threshold; NaN where there is no window. Arguments and errors as for `nab_curve`.

    >>> at, score = np.arange(1000), np.zeros(1000)
    >>> score[500] = 2.0
    >>> windows = pl.DataFrame({"series": [1], "start": [500], "end": [599]})
    >>> nab(at, np.ones(1000, np.int64), score, windows)
    100.0
    """
    return nab_curve(at, series, score, windows, profile)(threshold)


def nab_curve(at: Array, series: Array, score: Array, windows: pl.DataFrame, profile: str = "standard") -> Callable[[float], float]:
    """The score as a function of the threshold above which a point is a detection.

    Args:
        at: int64 of shape (n,), UTC microseconds, ascending within a series.
        series: int64 of shape (n,), ascending.
        score: float64 of shape (n,); NaN detects nothing.
        windows: `series, start, end` in UTC microseconds, both ends within. Those of series without points are left out.
        profile: a key of `PROFILES`.

    Raises:
        ValueError: where the points are not sorted.
    """
    penalty, miss = PROFILES[profile]
    edges = edges_of(at, series, score)
    owner, worth = _worth(edges, *_ranges(at, series, edges, windows), penalty)
    late = np.concatenate([np.arange(high - low) >= min(int(PROBATION * (high - low)), LONGEST) for low, high in pairwise(edges)])
    free, inside = late & (owner < 0), late & (owner >= 0)
    count = len(np.unique(owner[owner >= 0]))
    noise_score, noise_worth = score[free], worth[free]
    hit_score, hit_worth, hit_owner = score[inside], worth[inside], owner[inside]

    def at_threshold(threshold: float) -> float:
        if count == 0:
            return float("nan")
        told = hit_score > threshold
        best = np.full(int(owner.max()) + 1, -np.inf)
        np.maximum.at(best, hit_owner[told], hit_worth[told])
        found = best[np.isfinite(best)]
        total = noise_worth[noise_score > threshold].sum() + found.sum() - miss * (count - len(found))
        return float(100.0 * (total + miss * count) / (count * (1.0 + miss)))

    return at_threshold


def sigmoid(position: Array) -> Array:
    """What a detection is worth by its position: 1 at the left end of a window (-1), 0 at its right end (0), -1 far beyond.

    >>> sigmoid(np.array([0.0, 9.0])).tolist()
    [0.0, -1.0]
    """
    return np.where(position > 3.0, -1.0, 2.0 / (1.0 + np.exp(5.0 * np.minimum(position, 3.0))) - 1.0)


def _ranges(at: Array, series: Array, edges: Array, windows: pl.DataFrame) -> tuple[Array, Array]:
    known = windows.select(pl.col("series", "start", "end").cast(pl.Int64)).sort("series", "start", "end")
    begins, ends = places(at, series, edges, known)
    return begins[ends > begins], ends[ends > begins]


def _worth(edges: Array, begins: Array, ends: Array, penalty: float) -> tuple[Array, Array]:
    """For each point, the window it is in (-1: none) and what a detection there is worth."""
    owner, worth = np.full(int(edges[-1]), -1), np.full(int(edges[-1]), -penalty)
    for number, (begin, end) in enumerate(zip(begins, ends, strict=True)):
        length, limit = end - begin, edges[np.searchsorted(edges, begin, "right")]
        owner[begin:end] = number
        worth[begin:end] = sigmoid(-np.arange(length, 0, -1) / length) / _BEST
        if length > 1:
            worth[end:limit] = sigmoid(np.arange(1, limit - end + 1) / (length - 1)) * penalty
    return owner, worth
