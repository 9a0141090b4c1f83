"""Where a table says that something was wrong: from a mark at each point to spans of each series."""

from typing import Final

import polars as pl

#: Rows that are held before they become runs.
HELD: Final = 1_000_000
#: How long a mark lasts where a series has one point only.
ALONE: Final = 60_000_000


class Truth:
    """Runs of marks. What is held grows with how often a mark changes, not with the rows.

    >>> from datetime import UTC, datetime, timedelta
    >>> from vedette.core.frames import AT
    >>> at = pl.Series([datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=i) for i in range(5)], dtype=AT)
    >>> truth = Truth()
    >>> truth.add(pl.Series([7] * 5), at, pl.Series([False, True, True, False, False]))
    >>> [(series, end - start) for series, start, end in truth.spans().rows()]
    [(7, 120000000)]
    """

    def __init__(self) -> None:
        self._parts: list[pl.DataFrame] = []
        self._held = 0
        self._most = HELD

    def add(self, series: pl.Series, at: pl.Series, wrong: pl.Series) -> None:
        """Take marks: Int64 identities, UTC microseconds, and Boolean whether something was wrong; in any order."""
        moment = at.to_physical()
        part = pl.DataFrame({"series": series, "wrong": wrong, "first": moment, "last": moment})
        self._parts.append(part.with_columns(step=pl.lit(None, pl.Float64)))
        self._held += part.height
        if self._held > self._most:
            self._parts = [_runs(pl.concat(self._parts))]
            self._held = self._parts[0].height
            self._most = max(HELD, 2 * self._held)

    def spans(self) -> pl.DataFrame:
        """`series, start, end` (UTC microseconds) of each run of marks: up to the last marked point and the series' usual step."""
        if not self._parts:
            return pl.DataFrame(schema={"series": pl.Int64, "start": pl.Int64, "end": pl.Int64})
        step = pl.col("step").median().over("series").fill_null(ALONE).round().cast(pl.Int64)
        return (
            _runs(pl.concat(self._parts))
            .with_columns(step)
            .filter("wrong")
            .select("series", start="first", end=pl.col("last") + pl.col("step"))
        )


def _runs(rows: pl.DataFrame) -> pl.DataFrame:
    """Neighbours of one series with the same mark as one row, with the usual distance between its points."""
    rows = rows.sort("series", "first", "last", "wrong")
    fresh = pl.col("series") != pl.col("series").shift(1)
    gap = pl.col("first") - pl.col("last").shift(1)
    step = pl.coalesce("step", pl.when(~fresh & (gap > 0)).then(gap.cast(pl.Float64)))
    run = (fresh | (pl.col("wrong") != pl.col("wrong").shift(1))).fill_null(value=False).cum_sum()
    grouped = rows.with_columns(step=step, run=run).group_by("run", maintain_order=True)
    return grouped.agg(
        pl.col("series", "wrong").first(), pl.col("first").min(), pl.col("last").max(), pl.col("step").median()
    ).drop("run")
