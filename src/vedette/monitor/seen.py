"""Which series were heard when: those that a model was trained on, and those that it never saw."""

from typing import Any, Final

import numpy as np

from vedette.core.types import State
from vedette.monitor.hours import places, starts

Array = np.ndarray[Any, Any]

#: Unknown series that are remembered at most.
_MOST: Final = 1_000_000


class Seen:
    """The last time, UTC microseconds, that each series was heard; 0 for never.

    >>> seen = Seen(np.array([1, 2]))
    >>> seen.hear(np.array([2, 2, 9]), np.array([5, 6, 7]))
    >>> seen.last.tolist(), seen.known(6), seen.unknown(6)
    ([0, 6], 1, 1)
    """

    def __init__(self, ids: Array) -> None:
        self.ids = ids
        self.last = np.zeros(len(ids), np.int64)
        self._other = np.zeros(0, np.int64)
        self._other_last = np.zeros(0, np.int64)

    def hear(self, series: Array, at: Array) -> None:
        """Points sorted by (series, at)."""
        begin = starts(series)
        if len(begin) == 0:
            return
        ids, last = series[begin], at[np.append(begin[1:], len(series)) - 1].astype(np.int64)
        place = places(self.ids, ids)
        known = place >= 0
        self.last[place[known]] = np.maximum(self.last[place[known]], last[known])
        merged = np.concatenate([self._other, ids[~known]])
        times = np.concatenate([self._other_last, last[~known]])
        order = np.lexsort((-times, merged))[:_MOST]
        first = order[starts(merged[order])]
        self._other, self._other_last = merged[first], times[first]

    def known(self, since: int) -> int:
        """Series of training heard at `since` or later."""
        return int((self.last >= since).sum())

    def unknown(self, since: int) -> int:
        """Other series heard at `since` or later; older ones are forgotten."""
        keep = self._other_last >= since
        self._other, self._other_last = self._other[keep], self._other_last[keep]
        return len(self._other)

    def state(self) -> State:
        """Three arrays."""
        return {"seen_last": self.last, "seen_other": self._other, "seen_other_last": self._other_last}

    def load(self, state: State) -> None:
        """Become exactly what `state` was taken from."""
        self.last, self._other, self._other_last = (state[f"seen_{name}"].copy() for name in ("last", "other", "other_last"))
