"""How time is cut: train, a gap, validation, a gap, holdout; and folds for cross-validation. Nothing later is learnt before."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from vedette.core.errors import Rejected

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Cuts:
    """Half-open stretches of time, UTC microseconds: `train`, then `validation`, then `holdout`, with gaps between."""

    train: tuple[int, int]
    validation: tuple[int, int]
    holdout: tuple[int, int]

    def part(self, rows: pl.DataFrame, name: str) -> pl.DataFrame:
        """The rows of one part; `seen` is everything before the holdout's gap, `learnt` everything before validation's."""
        start, end = self._stretch(name)
        at = pl.col("at").to_physical()
        return rows.filter((at >= start) & (at < end))

    def _stretch(self, name: str) -> tuple[int, int]:
        match name:
            case "train":
                return self.train
            case "validation":
                return self.validation
            case "holdout":
                return self.holdout
            case _:
                return self.train[0], self.validation[1]


def by_time(start: int, end: int, validation: float, holdout: float, gap: int) -> Cuts:
    """Cut [start, end) by shares of the time that is left without two gaps.

    Raises:
        Rejected: the gaps and parts do not fit.

    >>> by_time(0, 120, 0.2, 0.2, 10)
    Cuts(train=(0, 60), validation=(70, 90), holdout=(100, 120))
    """
    room = end - start - 2 * gap
    last = int(room * holdout)
    middle = int(room * validation)
    if min(last, middle, room - last - middle) <= 0:
        raise Rejected(f"the window of {(end - start) / 3.6e9:.1f} h is too short to be split with gaps of {gap / 3.6e9:.1f} h")
    holdout_start = end - last
    validation_start = holdout_start - gap - middle
    return Cuts((start, validation_start - gap), (validation_start, validation_start + middle), (holdout_start, end))


def folds(start: int, end: int, count: int, gap: int, *, rolling: bool) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """`count` pairs of (train, test), each test after its train with a gap; a rolling train forgets, an expanding one does not.

    Raises:
        Rejected: the gap leaves nothing to train on.

    >>> list(folds(0, 100, 2, 5, rolling=False))
    [((0, 28), (33, 66)), ((0, 61), (66, 99))]
    """
    width = (end - start) // (count + 1)
    if width <= gap:
        raise Rejected(f"a fold of {width / 3.6e9:.1f} h is too short for a gap of {gap / 3.6e9:.1f} h")
    for i in range(count):
        test = start + (i + 1) * width
        first = test - width if rolling else start
        yield (first, test - gap), (test, test + width)


def group_folds(groups: Sequence[int] | Array, at: Array, count: int) -> Iterator[tuple[Array, Array]]:
    """At most `count` pairs of (train rows, test rows): a test is a stretch of time, no group is on both sides, none is empty.

    Args:
        groups: which rows belong together, such as twins of a ticket or alerts of one incident.
        at: times, any order.
        count: of folds.
    """
    groups = np.asarray(groups)
    order = np.argsort(at, kind="stable")
    for part in np.array_split(order, count + 1)[1:]:
        if len(part) == 0:
            continue
        train = np.flatnonzero((at < at[part].min()) & ~np.isin(groups, groups[part]))
        if len(train):
            yield train, np.sort(part)
