"""Points on the step of a forecaster, and what its path says of a limit."""

from typing import Any, Final

import polars as pl

from vedette.core.frames import AT, POINTS

KEPT: Final = list(POINTS)


def stepped(points: pl.DataFrame, step_seconds: int) -> pl.DataFrame:
    """Means over whole steps, at the end of each; POINTS with whatever further columns (of a series) there are."""
    step = step_seconds * 1_000_000
    others = [pl.col(name).first() for name in points.columns if name not in KEPT]
    at = (((pl.col("at").dt.timestamp("us") // step) + 1) * step).cast(AT)
    sound = points.filter(pl.col("value").is_finite())
    return sound.group_by("series", at.alias("at"), maintain_order=True).agg(pl.col("value").mean(), *others).sort("series", "at")


def crossing(forecast: pl.DataFrame, limit: float, side: str) -> pl.DataFrame:
    """When each series first crosses `limit`: `series, at`, and `soonest`, `latest` by the bounds of 80 per cent (null: never).

    Args:
        forecast: `series, at, yhat, yhat_lower_80, yhat_upper_80`, by series and time.
        limit: what must not be crossed.
        side: `above` or `below`.
    """
    near, far = ("yhat_upper_80", "yhat_lower_80") if side == "above" else ("yhat_lower_80", "yhat_upper_80")

    def first(name: str) -> Any:  # noqa: ANN401 -- an expression
        over = pl.col(name) >= limit if side == "above" else pl.col(name) <= limit
        return pl.col("at").filter(over).first()

    found = forecast.group_by("series", maintain_order=True).agg(at=first("yhat"), soonest=first(near), latest=first(far))
    return found.filter(pl.col("at").is_not_null())
