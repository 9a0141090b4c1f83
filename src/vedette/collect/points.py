"""Where the kernels of the wire formats leave the samples of a body, and the frame made of them."""

from typing import Final

import numpy as np
import polars as pl

from vedette.collect.wire import UNKNOWN, Ints
from vedette.core.frames import AT

_START: Final = 4096
#: Room beyond this many rows is given back after the body that needed it.
_KEPT: Final = 1 << 17


class Points:
    """Room for samples and for strangers (records of `width` numbers), kept from body to body and grown where one does not fit.

    Attributes:
        series: identities, int64; UNKNOWN where the labels cannot be taken.
        at: UTC microseconds, int64.
        bits: values as the bits of a float64, so that no bit of a staleness marker is lost.
        strangers: what a kernel says of series that it did not know, int64, one row each.

    >>> points = Points(width=2)
    >>> points.fits(10, 1), points.fits(5000, 1), points.series.size >= 5000
    (True, False, True)
    """

    def __init__(self, width: int) -> None:
        self._width = width
        self._make(_START, _START)

    def _make(self, rows: int, strangers: int) -> None:
        self.series = np.empty(rows, np.int64)
        self.at = np.empty(rows, np.int64)
        self.bits = np.empty(rows, np.int64)
        self.strangers = np.empty((strangers, self._width), np.int64)

    def fits(self, rows: int, strangers: int) -> bool:
        """Whether so many were written; where not, there is room for them now, and it is for the kernel to walk again."""
        if rows <= self.series.size and strangers <= len(self.strangers):
            return True
        self._make(max(rows, self.series.size), max(strangers, len(self.strangers)))
        return False

    def take(self, rows: int, *, strange: bool) -> tuple[pl.DataFrame, int]:
        """METRICS of the first `rows` samples, and how many are left out because their series is UNKNOWN.

        Args:
            rows: how many a kernel wrote.
            strange: whether any of them may be UNKNOWN.
        """
        series, at, bits = self.series[:rows], self.at[:rows], self.bits[:rows]
        known = series != UNKNOWN if strange else slice(None)
        # Polars keeps what it is handed: the room is written again, so it gets copies.
        frame = metrics(series[known].copy(), at[known].copy(), bits[known].copy())
        if rows > _KEPT:
            self._make(_START, _START)
        return frame, rows - frame.height


def metrics(series: Ints, at: Ints, bits: Ints) -> pl.DataFrame:
    """METRICS of three arrays, which are the frame's own from then on."""
    values = bits.view(np.float64)
    return pl.DataFrame([pl.Series("series", series), pl.Series("at", at).cast(AT), pl.Series("value", values)])
