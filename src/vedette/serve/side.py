"""What is seen of one version while two score the same points: sums that a checkpoint keeps as one small array."""

from typing import Any, Final

import numpy as np
import polars as pl

Array = np.ndarray[Any, Any]

#: points, nulls, broken, least, largest, alarms, error, errors, seconds
FIELDS: Final = 9
POINTS, NULLS, BROKEN, LEAST, LARGEST, ALARMS, ERROR, ERRORS, SECONDS = range(FIELDS)


class Tally:
    """Sums over the scores of one version.

    Attributes:
        sums: float64 of shape (FIELDS,).
        odd: int64, the series whose last score was above 1.
    """

    def __init__(self) -> None:
        self.sums: Array = np.zeros(FIELDS)
        self.odd: Array = np.zeros(0, np.int64)

    def add(self, verdicts: pl.DataFrame, widths: Array, seconds: float) -> None:
        """Take in VERDICTS, sorted by (series, at).

        Args:
            verdicts: what the version answered.
            widths: half widths of the champion's bounds, row for row; NaN where it gave none.
            seconds: how long the answer took.
        """
        score = verdicts["anomaly_score"].to_numpy()
        known = np.isfinite(score)
        missing = verdicts["anomaly_score"].null_count()
        sums = self.sums
        if known.any():
            least, largest = float(score[known].min()), float(score[known].max())
            first = sums[POINTS] == sums[NULLS]
            sums[LEAST] = least if first else min(sums[LEAST], least)
            sums[LARGEST] = largest if first else max(sums[LARGEST], largest)
        sums[POINTS] += len(score)
        sums[NULLS] += missing
        sums[BROKEN] += len(score) - missing - int(known.sum())
        sums[SECONDS] += seconds
        off = np.abs(verdicts["value"].to_numpy() - verdicts["yhat"].to_numpy()) / widths
        usable = np.isfinite(off)
        sums[ERROR] += np.minimum(off[usable], 10.0).sum()
        sums[ERRORS] += usable.sum()
        self._alarms(verdicts["series"].to_numpy(), score > 1.0)

    def fail(self, rows: int) -> None:
        """The version could not answer for `rows` points, or answered for others."""
        self.sums[POINTS] += rows
        self.sums[BROKEN] += rows

    def _alarms(self, series: Array, odd: Array) -> None:
        """An alarm is the first odd score of a series after one that was not."""
        if not odd.any() and not len(self.odd):
            return
        first = np.concatenate(([True], series[1:] != series[:-1])) if len(series) else np.zeros(0, bool)
        before = np.concatenate(([False], odd[:-1])) if len(odd) else odd
        before = np.where(first, np.isin(series, self.odd), before)
        self.sums[ALARMS] += int((odd & ~before).sum())
        last = np.concatenate((first[1:], [True]))
        self.odd = np.union1d(np.setdiff1d(self.odd, series[last]), series[last & odd])
