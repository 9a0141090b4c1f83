"""What was told of whom: a monitor that repeats itself is switched off."""

from collections.abc import Iterable
from hashlib import blake2b

import numpy as np

from vedette.core.types import Signal, State


class Told:
    """Lets each (monitor, subject) through once in `seconds`, after an eighth of them only where it is worse by the factor `worse`.

    >>> told = Told(60, 1.5)
    >>> says = lambda at, size: len(told.new([(Signal(at, "drift", "cpu@1", "warning", "", ""), size)]))
    >>> [says(0, 1.0), says(1_000_000, 2.0), says(9_000_000, 1.2), says(10_000_000, 1.6), says(70_000_000, 1.0)]
    [1, 0, 0, 1, 1]
    """

    def __init__(self, seconds: float, worse: float) -> None:
        self.pause = int(seconds * 1e6)
        self.worse = worse
        self._last: dict[int, tuple[int, float]] = {}

    def new(self, found: Iterable[tuple[Signal, float]]) -> tuple[Signal, ...]:
        """Of signals and how large each is, in any unit of its monitor, those that are news."""
        fresh = []
        for signal, size in found:
            key = _key(signal)
            at, largest = self._last.get(key, (signal.at - self.pause, 0.0))
            since = signal.at - at
            # What grows by the hour would otherwise be told by the hour.
            if since >= self.pause or (since >= self.pause // 8 and size >= self.worse * largest):
                self._last[key] = signal.at, size
                fresh.append(signal)
        return tuple(fresh)

    def state(self) -> State:
        """What was told, as three arrays."""
        keys = sorted(self._last)
        return {
            "told_key": np.array(keys, np.int64),
            "told_at": np.array([self._last[key][0] for key in keys], np.int64),
            "told_size": np.array([self._last[key][1] for key in keys], np.float64),
        }

    def load(self, state: State) -> None:
        """Become exactly what `state` was taken from."""
        rows = zip(*(state[name].tolist() for name in ("told_key", "told_at", "told_size")), strict=True)
        self._last = {key: (at, size) for key, at, size in rows}


def _key(signal: Signal) -> int:
    raw = f"{signal.monitor}\0{signal.subject}".encode()
    return int.from_bytes(blake2b(raw, digest_size=8).digest(), "little", signed=True)
