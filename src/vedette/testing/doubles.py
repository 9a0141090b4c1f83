"""Ports in memory. Crash and pause are items of test data."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import polars as pl

from vedette.core.types import Batch, Beat, Checkpoint, Position


class Aborted(BaseException):
    """The item ABORT was reached: the process is to be thought of as killed."""


ABORT: Final = "abort"
PAUSE: Final = "pause"


class ListSource:
    """Gives the beats of a list after an offset; PAUSE gives None once, ABORT raises `Aborted` once.

    >>> source = ListSource([Beat(1, 1, {}), PAUSE, Beat(2, 2, {})])
    >>> source.poll(1).position.offset, source.poll(1), source.poll(1).position.offset, source.poll(1)
    (1, None, 2, None)
    """

    def __init__(self, items: Sequence[Beat | str], spent: set[int] | None = None) -> None:
        self._items = items
        self._spent = set() if spent is None else spent
        self._at = 0
        self._after = 0

    def seek(self, position: Position) -> None:
        """Give the beats after `position`, from the first of them on."""
        self._after, self._at = position.offset, 0

    def poll(self, limit: int) -> Batch[Beat] | None:  # noqa: ARG002 -- a beat is given whole
        """The next beat, or None at a PAUSE and at the end."""
        while self._at < len(self._items):
            index, item = self._at, self._items[self._at]
            self._at += 1
            if isinstance(item, Beat):
                if item.last > self._after:
                    return Batch(item, Position("log", "0", item.last))
            elif index not in self._spent:
                self._spent.add(index)
                if item == ABORT:
                    raise Aborted
                return None
        return None

    def close(self) -> None:
        """Nothing to let go of."""


class RowStore:
    """Tables in memory that hold each offset once, as the lake does."""

    def __init__(self) -> None:
        self.tables: dict[str, list[pl.DataFrame]] = {}
        self.committed: dict[str, int] = {}
        self._waiting: dict[str, list[tuple[int, pl.DataFrame]]] = {}

    def write(self, table: str, frame: pl.DataFrame, offset: int) -> None:
        """Take rows into memory, but those that the table holds already."""
        if self.committed.get(table, 0) < offset:
            self._waiting.setdefault(table, []).append((offset, frame))

    def flush(self, offset: int) -> Mapping[str, int]:
        """Keep what was written."""
        added = {}
        for table, rows in self._waiting.items():
            frames = [frame for _, frame in rows]
            self.tables.setdefault(table, []).extend(frames)
            self.committed[table] = offset
            added[table] = sum(frame.height for frame in frames)
        self._waiting = {}
        return added

    def forget(self, after: int) -> None:
        """Let go of rows that wait of beats behind `after`."""
        self._waiting = {
            table: [(offset, frame) for offset, frame in rows if offset <= after] for table, rows in self._waiting.items()
        }

    def restart(self) -> None:
        """What a kill leaves: the tables, not what waited."""
        self._waiting = {}

    def rows(self, table: str) -> list[tuple[object, ...]]:
        """All rows of `table`, in the order in which they came."""
        return [row for frame in self.tables.get(table, []) for row in frame.rows()]


class Tried:
    """How often each beat was begun and failed, in memory."""

    def __init__(self) -> None:
        self.failures: Counter[int] = Counter()
        self._working = 0

    def begin(self, last: int) -> int:
        """How often the beat failed."""
        self._working = last
        return self.failures[last]

    def end(self) -> None:
        """It went well."""
        self._working = 0

    def fail(self, last: int) -> None:
        """It did not."""
        self.failures[last] += 1
        self._working = 0

    def restart(self) -> None:
        """What a kill leaves: the beat at work counts as one that failed."""
        if self._working:
            self.fail(self._working)


class SavedMemory:
    """Checkpoints as copies in memory."""

    def __init__(self) -> None:
        self.saved: list[Checkpoint] = []

    def save(self, checkpoint: Checkpoint) -> None:
        """Keep a copy."""
        state = {key: np.array(value, copy=True) for key, value in checkpoint.state.items()}
        self.saved.append(Checkpoint(checkpoint.offset, checkpoint.at, state))

    def latest(self) -> Checkpoint | None:
        """The newest."""
        return self.saved[-1] if self.saved else None
