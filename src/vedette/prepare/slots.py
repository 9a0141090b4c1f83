"""Dense slots for 64-bit identities: the state of all series is columns, and a hash table says which row is whose."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
#: name -> dtype, value of a new row.
Columns = Mapping[str, tuple[type[np.generic], Any]]
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
SHIFT = np.uint64(20)


@njit(cache=True, nogil=True)
def _find(ids: Ints, keys: Ints, table: NDArray[np.int32], slots: Ints) -> int:
    """Write the slot of each identity, -1 where there is none; returns how many there are none for."""
    mask = len(table) - 1
    missing = 0
    for row in range(len(ids)):
        place = np.int64((np.uint64(ids[row]) * GOLDEN) >> SHIFT) & mask
        while table[place] >= 0 and keys[table[place]] != ids[row]:
            place = (place + 1) & mask
        slots[row] = table[place]
        missing += table[place] < 0
    return missing


@njit(cache=True, nogil=True)
def _insert(begin: int, end: int, keys: Ints, table: NDArray[np.int32]) -> None:
    mask = len(table) - 1
    for slot in range(begin, end):
        place = np.int64((np.uint64(keys[slot]) * GOLDEN) >> SHIFT) & mask
        while table[place] >= 0:
            place = (place + 1) & mask
        table[place] = slot


class Slots:
    """Rows by identity: open addressing over a power of two, never more than half full; rows are never moved.

    Args:
        columns: name -> (dtype, value of a new row) of what is kept for each identity.

    >>> slots = Slots({"last": (np.float64, np.nan)})
    >>> slots.add(np.array([7, -3]))
    >>> slots.find(np.array([-3, 5, 7])).tolist(), len(slots)
    ([1, -1, 0], 2)
    """

    def __init__(self, columns: Columns) -> None:
        self._columns = dict(columns)
        self.keys = np.zeros(256, np.int64)
        self._table = np.full(512, -1, np.int32)
        self._count = 0
        self.column: dict[str, NDArray[Any]] = {name: np.full(256, value, kind) for name, (kind, value) in columns.items()}

    def __len__(self) -> int:
        return self._count

    def find(self, ids: Ints) -> Ints:
        """The slot of each identity, -1 where it has none."""
        slots = np.empty(len(ids), np.int64)
        _find(ids, self.keys, self._table, slots)
        return slots

    def add(self, ids: Ints) -> None:
        """Give each of `ids` a slot; they must be distinct and have none yet."""
        end = self._count + len(ids)
        if end > len(self.keys):
            self._grow(1 << (end - 1).bit_length())
        self.keys[self._count : end] = ids
        _insert(self._count, end, self.keys, self._table)
        self._count = end

    def slot(self, identity: int) -> int:
        """The slot of one identity, given now where it had none."""
        ids = np.array([identity], np.int64)
        slot = int(self.find(ids)[0])
        if slot < 0:
            self.add(ids)
            slot = self._count - 1
        return slot

    def state(self) -> dict[str, NDArray[Any]]:
        """The rows in use: `key` and every column."""
        return {"key": self.keys[: self._count], **{name: column[: self._count] for name, column in self.column.items()}}

    def load(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Become what `state` was taken from."""
        fresh = Slots(self._columns)
        self.keys, self._table, self._count, self.column = fresh.keys, fresh._table, 0, fresh.column
        self.add(state["key"])
        for name, column in self.column.items():
            column[: self._count] = state[name]

    def _grow(self, capacity: int) -> None:
        def wider(column: NDArray[Any], value: object) -> NDArray[Any]:
            wide = np.full(capacity, value, column.dtype)
            wide[: self._count] = column[: self._count]
            return wide

        self.keys = wider(self.keys, 0)
        self.column = {name: wider(column, self._columns[name][1]) for name, column in self.column.items()}
        self._table = np.full(2 * capacity, -1, np.int32)
        _insert(0, self._count, self.keys, self._table)
