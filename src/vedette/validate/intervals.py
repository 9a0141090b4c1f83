"""How sure a figure is: intervals for shares, for rates, and for whatever is computed from blocks of time."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy import special

Array = np.ndarray[Any, Any]


class Interval(NamedTuple):
    """Where the true value lies, at the level that was asked for."""

    lower: float
    upper: float


def wilson(hits: int, count: int, level: float = 0.95) -> Interval:
    """The interval of a share (Wilson, *Probable inference, the law of succession, and statistical inference*, 1927).

    It holds its level for shares near 0 and 1, where the usual one collapses. Without a single trial it is all of [0, 1].

    >>> [round(bound, 3) for bound in wilson(9, 10)]
    [0.596, 0.982]
    """
    if count == 0:
        return Interval(0.0, 1.0)
    z = float(special.ndtri(0.5 + level / 2.0))
    share, weight = hits / count, z * z / count
    middle = (share + weight / 2.0) / (1.0 + weight)
    reach = z / (1.0 + weight) * math.sqrt(share * (1.0 - share) / count + weight / (4.0 * count))
    return Interval(max(middle - reach, 0.0), min(middle + reach, 1.0))


def poisson(count: int, exposure: float, level: float = 0.95) -> Interval:
    """The exact interval of a rate (Garwood, *Fiducial limits for the Poisson distribution*, 1936).

    Args:
        count: of what happened, independently of each other.
        exposure: how long was looked at, in the unit the rate is told per; without any, nothing is known.
        level: the share of such intervals that hold the true rate, at least.

    >>> [round(bound, 2) for bound in poisson(0, 2.0)]
    [0.0, 1.84]
    """
    if exposure <= 0.0:
        return Interval(0.0, math.inf)
    tail = (1.0 - level) / 2.0
    lower = float(special.gammaincinv(count, tail)) if count else 0.0
    return Interval(lower / exposure, float(special.gammaincinv(count + 1, 1.0 - tail)) / exposure)


def block_bootstrap(
    blocks: Array,
    statistic: Callable[[Array], float],
    rng: np.random.Generator,
    *,
    length: int | None = None,
    draws: int = 1000,
    level: float = 0.95,
) -> Interval:
    """The percentile interval of a statistic by the moving block bootstrap.

    Neighbouring blocks of time resemble each other, so runs of `length` of them are drawn, not single ones (Künsch, *The jackknife
    and the bootstrap for general stationary observations*, 1989). Draws whose statistic is undefined (NaN) are left out.

    Args:
        blocks: of shape (n, k), in order of time: what was counted in each block.
        statistic: from any (n, k) of them to a number.
        rng: where the draws come from.
        length: blocks in a run; the cube root of n where none is given.
        draws: how many.
        level: the share of the draws that the interval holds.

    >>> rng = np.random.default_rng(0)
    >>> found = block_bootstrap(rng.normal(4.5, 1.0, (60, 1)), lambda rows: float(rows.mean()), rng)
    >>> found.lower < 4.5 < found.upper
    True
    """
    count = len(blocks)
    if count == 0:
        return Interval(math.nan, math.nan)
    run = min(length or math.ceil(count ** (1.0 / 3.0)), count)
    begins = rng.integers(0, count - run + 1, (draws, math.ceil(count / run)))
    rows = (begins[:, :, None] + np.arange(run)).reshape(draws, -1)[:, :count]
    drawn = np.array([statistic(blocks[each]) for each in rows])
    drawn = drawn[~np.isnan(drawn)]
    if len(drawn) == 0:
        return Interval(math.nan, math.nan)
    lower, upper = np.quantile(drawn, [0.5 - level / 2.0, 0.5 + level / 2.0])
    return Interval(float(lower), float(upper))
