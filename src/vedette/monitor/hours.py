"""Points by the hour: one hour of the week is compared with the same one, so the week is the ring in which all is kept."""

from typing import Any, Final

import numpy as np
import polars as pl

Array = np.ndarray[Any, Any]

HOUR_US: Final = 3_600_000_000
DAY: Final = 24
WEEK: Final = 168
#: 1970 began on a Thursday; weeks begin on Monday.
_MONDAY: Final = 72


def hour_of(at: Array | int) -> Any:  # noqa: ANN401 -- an int of an int, an array of an array
    """Hours since the Monday before 1970, UTC.

    >>> hour_of(0) % WEEK == 3 * DAY
    True
    """
    return at // HOUR_US + _MONDAY


def columns(points: pl.DataFrame) -> tuple[Array, Array, Array]:
    """`series`, `at` in UTC microseconds and `value` of POINTS as arrays; missing values are NaN."""
    value = points["value"].fill_null(float("nan")).to_numpy()
    return points["series"].to_numpy(), points["at"].dt.timestamp("us").to_numpy(), value


def starts(*keys: Array) -> Array:
    """Where a new combination of the sorted keys begins.

    >>> starts(np.array([1, 1, 2]), np.array([5, 6, 6])).tolist()
    [0, 1, 2]
    """
    if len(keys[0]) == 0:
        return np.zeros(0, np.int64)
    new = np.ones(len(keys[0]), np.bool_)
    new[1:] = np.logical_or.reduce([key[1:] != key[:-1] for key in keys])
    return np.flatnonzero(new)


def places(ids: Array, wanted: Array) -> Array:
    """Where each of `wanted` is in the sorted `ids`; -1 where it is not.

    >>> places(np.array([3, 5]), np.array([5, 4])).tolist()
    [1, -1]
    """
    if len(ids) == 0:
        return np.full(len(wanted), -1)
    found = np.minimum(np.searchsorted(ids, wanted), len(ids) - 1)
    return np.where(ids[found] == wanted, found, -1)
