"""How good forecasts are: errors against what a series' own season would have said, and bounds that hold what they promise."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

Array = np.ndarray[Any, Any]


def mase(actual: Array, yhat: Array, history: Array, season: int = 1) -> float:
    """Mean absolute error in units of what repeating the last season missed by in the history.

    Below 1 is better than that (Hyndman and Koehler, *Another look at measures of forecast accuracy*, 2006). NaN where the history
    has no two seasons, or repeats itself exactly.

    >>> mase(np.array([3.0, 4.0]), np.array([3.0, 5.0]), np.array([1.0, 2.0, 3.0]))
    0.5
    """
    scale = seasonal_scale(history, season)
    return _mean(np.abs(actual - yhat)) / scale if scale > 0 else math.nan


def seasonal_scale(history: Array, season: int = 1) -> float:
    """The mean absolute difference of values one season apart: the unit of `mase`; NaN where there are none."""
    return _mean(np.abs(history[season:] - history[:-season])) if len(history) > season else math.nan


def smape(actual: Array, yhat: Array) -> float:
    """Symmetric mean absolute percentage error, as a share: 0 is perfect, 2 is the worst (Makridakis 1993). Both zero is no error.

    >>> smape(np.array([1.0, 0.0]), np.array([3.0, 0.0]))
    0.5
    """
    size = np.abs(actual) + np.abs(yhat)
    return _mean(np.where(size > 0, 2.0 * np.abs(actual - yhat) / np.where(size > 0, size, 1.0), 0.0 * size))


def pinball(actual: Array, said: Array, quantile: float) -> float:
    """Mean loss of a forecast of a quantile: being below costs `quantile` a unit, being above the rest (Koenker and Bassett 1978).

    >>> round(pinball(np.array([10.0, 10.0]), np.array([8.0, 12.0]), 0.9), 6)
    1.0
    """
    off = actual - said
    return _mean(np.maximum(quantile * off, (quantile - 1.0) * off))


def wql(actual: Array, said: Array, quantiles: Sequence[float]) -> float:
    """Weighted quantile loss: twice the pinball loss by the mean size of what was seen, in the mean of the quantiles.

    `actual` has shape (n,), `said` (quantiles, n). NaN where all that was seen is zero.

    >>> round(wql(np.array([10.0, 10.0]), np.array([[8.0, 12.0]]), [0.5]), 6)
    0.2
    """
    size = _mean(np.abs(actual))
    losses = [pinball(actual, row, quantile) for row, quantile in zip(said, quantiles, strict=True)]
    return 2.0 * float(np.mean(losses)) / size if size > 0 else math.nan


def coverage(actual: Array, lower: Array, upper: Array) -> float:
    """The share of what was seen that lies within the bounds, among points that have both.

    >>> coverage(np.array([1.0, 5.0]), np.array([0.0, 0.0]), np.array([2.0, 2.0]))
    0.5
    """
    known = ~(np.isnan(lower) | np.isnan(upper) | np.isnan(actual))
    return _mean(((actual >= lower) & (actual <= upper))[known])


def forecast_metrics(seen: pl.DataFrame, scales: pl.DataFrame) -> dict[str, float]:
    """All figures of forecasts from rolling origins, by the names that gates know.

    Args:
        seen: a row a step: `series`, `made_at` (the origin), `value` (what came), `yhat`, and for any level `yhat_lower_80`,
            `yhat_upper_80`, ... Steps without `yhat` are the `null_share`, and left out of the rest.
        scales: `series, scale`: the unit of each series (`seasonal_scale` of its history).

    Returns:
        `mase` (the median over series and origins), `smape`, `wql`, `pinball`, `null_share`, and `coverage_80`, ... a level.

    >>> seen = pl.DataFrame({"series": [1, 1], "made_at": [0, 0], "value": [3.0, 4.0], "yhat": [3.0, 5.0]})
    >>> forecast_metrics(seen, pl.DataFrame({"series": [1], "scale": [1.0]}))["mase"]
    0.5
    """
    seen = seen.filter(pl.col("value").is_finite())
    said = seen.filter(pl.col("yhat").is_finite())
    actual, yhat = said["value"].to_numpy(), said["yhat"].to_numpy()
    levels = sorted(name.removeprefix("yhat_lower_") for name in seen.columns if name.startswith("yhat_lower_"))
    bounds = {level: tuple(_floats(said[f"yhat_{side}_{level}"]) for side in ("lower", "upper")) for level in levels}
    tails = [(0.5, yhat), *(tail for level in levels for tail in zip(_quantiles(level), bounds[level], strict=True))]
    quantiles, answers = [quantile for quantile, _ in tails], np.array([answer for _, answer in tails])
    return {
        "mase": _median_mase(said, scales),
        "smape": smape(actual, yhat),
        "wql": wql(actual, answers, quantiles),
        "pinball": float(np.mean([pinball(actual, row, q) for row, q in zip(answers, quantiles, strict=True)])),
        "null_share": 1.0 - said.height / seen.height if seen.height else math.nan,
        **{f"coverage_{level}": coverage(actual, *bounds[level]) for level in levels},
    }


def _median_mase(said: pl.DataFrame, scales: pl.DataFrame) -> float:
    """The median, since one series that hardly moves would drown a mean."""
    errors = said.group_by("series", "made_at").agg((pl.col("value") - pl.col("yhat")).abs().mean().alias("error"))
    scaled = errors.join(scales.filter(pl.col("scale") > 0), on="series").select(pl.col("error") / pl.col("scale")).to_series()
    middle = scaled.median()
    return float(middle) if isinstance(middle, float) else math.nan


def _quantiles(level: str) -> tuple[float, float]:
    share = float(level) / 100.0
    return 0.5 - share / 2.0, 0.5 + share / 2.0


def _floats(column: pl.Series) -> Array:
    return column.cast(pl.Float64).to_numpy()


def _mean(values: Array) -> float:
    known = values[~np.isnan(values)] if values.dtype.kind == "f" else values
    return float(known.mean()) if len(known) else math.nan
