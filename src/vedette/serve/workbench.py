"""The live detector over a plain table: what `vedette score FILE` does."""

import polars as pl

from vedette.core.errors import BadRecord
from vedette.core.frames import AT
from vedette.core.ports import Model

ANSWERS = ("yhat", "yhat_lower", "yhat_upper", "anomaly_score")


def score_frame(frame: pl.DataFrame, model: Model) -> pl.DataFrame:
    """Score every row of a long table causally: by that row and earlier rows of its series alone.

    Args:
        frame: columns `series` (any type), `timestamp` (a date or a datetime; without a zone it is
            taken as UTC), `value` (a number); others are kept out.
        model: a detector that has seen nothing yet.

    Returns:
        `series, timestamp, value` as they came, row for row, with `yhat, yhat_lower, yhat_upper, anomaly_score`;
        null while learning.

    Raises:
        BadRecord: naming the column that is missing or of another type.
    """
    asked = frame.select(column(frame, name) for name in ("series", "timestamp", "value"))
    points = asked.select(
        series=pl.col("series").cast(pl.String).rank("dense").cast(pl.Int64),
        at=in_utc(asked["timestamp"]),
        value=pl.col("value").cast(pl.Float64, strict=False).fill_null(float("nan")),
    )
    order = points.select(pl.arg_sort_by("series", maintain_order=True)).to_series()
    verdicts = model.score(points[order], 0)
    return asked.with_columns(verdicts.select(ANSWERS)[order.arg_sort()].get_columns())


def column(frame: pl.DataFrame, name: str) -> pl.Series:
    """The column of that name; BadRecord names it where it is missing, and those that are there."""
    if name not in frame.columns:
        raise BadRecord(f"expected a column of this name, got {frame.columns}", field=name)
    return frame[name]


def in_utc(times: pl.Series) -> pl.Series:
    """Dates and datetimes as UTC microseconds; without a zone they are taken as UTC. BadRecord where they are neither."""
    if times.dtype == pl.Date:
        times = times.cast(pl.Datetime("us"))
    dtype = times.dtype
    if isinstance(dtype, pl.Datetime):
        return times.dt.replace_time_zone("UTC").cast(AT) if dtype.time_zone is None else times.dt.convert_time_zone("UTC").cast(AT)
    raise BadRecord(f"expected a datetime, got {dtype}", field=times.name)
