"""From a series' identity to its place in the arrays: an open-addressing table walked by compiled code."""

from typing import Any, Final, Self

import numpy as np
from numba import njit

Array = np.ndarray[Any, Any]

LEAST: Final = 1024


@njit(cache=True, nogil=True, inline="always")
def _home(key: int, mask: int) -> int:
    """Identities are hashes already; a multiplication spreads those that are small numbers."""
    mixed = np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)
    return np.int64(mixed >> np.uint64(20)) & mask  # type: ignore[return-value]


@njit(cache=True, nogil=True)
def _find(keys: Array, places: Array, wanted: Array, found: Array) -> None:
    mask = len(keys) - 1
    for i in range(len(wanted)):
        key = wanted[i]
        home = _home(key, mask)
        while places[home] >= 0 and keys[home] != key:
            home = (home + 1) & mask
        found[i] = places[home]


@njit(cache=True, nogil=True)
def _insert(keys: Array, places: Array, ids: Array, slots: Array) -> None:
    mask = len(keys) - 1
    for i in range(len(slots)):
        home = _home(ids[i], mask)
        while places[home] >= 0:
            home = (home + 1) & mask
        keys[home] = ids[i]
        places[home] = slots[i]


class SlotTable:
    """Gives each identity a slot: known ones by hash, new ones a free slot or the next unused one.

    The capacity is a power of two that follows from how many slots were ever used, so a table that is loaded
    goes on exactly as the one that was saved. 24 to 48 bytes an identity.

    >>> table = SlotTable()
    >>> table.add(np.array([7, -7]), 10).tolist()
    [0, 1]
    >>> table.find(np.array([-7, 9])).tolist()
    [1, -1]
    >>> table.release(np.array([0]))
    >>> table.add(np.array([9]), 10).tolist(), table.find(np.array([7, 9])).tolist()
    ([0], [-1, 0])
    """

    def __init__(self) -> None:
        self.used = 0
        self.ids: Array = np.zeros(LEAST, np.int64)
        self.free: Array = np.zeros(0, np.int64)
        self._rehash()

    @classmethod
    def of(cls, ids: Array, free: Array) -> Self:
        """The table whose used slots hold `ids`, of which `free` may be given away."""
        table = cls()
        table.used = len(ids)
        table.ids = np.zeros(max(LEAST, _power(len(ids))), np.int64)
        table.ids[: len(ids)] = ids
        table.free = np.array(free, np.int64)
        table._rehash()
        return table

    @property
    def capacity(self) -> int:
        """Slots there is memory for."""
        return len(self.ids)

    @property
    def room(self) -> int:
        """Identities that can be added before the table must grow."""
        return self.capacity - self.used + len(self.free)

    def find(self, wanted: Array) -> Array:
        """The slot of each identity, -1 where it has none."""
        found = np.empty(len(wanted), np.int32)
        _find(self._keys, self._places, wanted, found)
        return found

    def add(self, ids: Array, most: int) -> Array:
        """Slots for distinct unknown `ids`, as many as fit below `most` series in all."""
        reused = self.free[: len(ids)]
        fresh = min(len(ids) - len(reused), most - self.used)
        slots = np.concatenate((reused, np.arange(self.used, self.used + max(fresh, 0))))
        self.free = self.free[len(reused) :]
        self.used += max(fresh, 0)
        added = ids[: len(slots)]
        if self.used > self.capacity:
            grown = np.zeros(_power(self.used), np.int64)
            grown[: self.capacity] = self.ids
            self.ids = grown
            self.ids[slots] = added
            self._rehash()
        else:
            self.ids[slots] = added
            _insert(self._keys, self._places, added, slots)
        return slots

    def release(self, slots: Array) -> None:
        """Let `slots` be given to others; their identities are forgotten."""
        self.free = np.union1d(self.free, slots)
        self._rehash()

    def _rehash(self) -> None:
        self._keys: Array = np.zeros(2 * self.capacity, np.int64)
        self._places: Array = np.full(2 * self.capacity, -1, np.int32)
        taken = np.setdiff1d(np.arange(self.used), self.free)
        _insert(self._keys, self._places, self.ids[taken], taken)


def _power(count: int) -> int:
    return 1 << max(count - 1, 0).bit_length()
