import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from vedette.validate import forecast_metrics, seasonal_scale
from vedette.validate.forecasts import coverage, mase, pinball, smape, wql

VALUES = arrays.arrays(np.float64, 30, elements=st.floats(-1e6, 1e6))


@given(VALUES)
def test_a_perfect_forecast_has_no_error(values):
    assert smape(values, values) == 0.0
    assert pinball(values, values, 0.3) == 0.0
    assert coverage(values, values, values) == 1.0


@given(VALUES, VALUES)
def test_smape_is_symmetric_and_at_most_two(one, other):
    assert smape(one, other) == smape(other, one) <= 2.0 + 1e-12


@given(VALUES, VALUES)
def test_the_median_loss_is_half_the_absolute_error(one, other):
    assert pinball(one, other, 0.5) == pytest.approx(np.abs(one - other).mean() / 2)


def test_repeating_the_season_has_a_mase_of_one():
    history = np.array([1.0, 5.0, 2.0, 7.0, 3.0, 9.0])
    assert seasonal_scale(history, 2) == 1.5
    assert mase(np.array([4.0, 11.0]), np.array([3.0, 9.0]), history, 2) == 1.0
    assert math.isnan(mase(history, history, np.ones(9), 1))
    assert math.isnan(seasonal_scale(np.ones(2), 2))


def test_quantile_loss_by_hand():
    actual = np.array([10.0, 20.0])
    said = np.array([[8.0, 22.0], [9.0, 25.0]])
    low, high = (0.1 * 2 + 0.9 * 2) / 2, (0.9 * 1 + 0.1 * 5) / 2
    assert wql(actual, said, [0.1, 0.9]) == pytest.approx(2 * ((low + high) / 2) / 15.0)
    assert math.isnan(wql(np.zeros(2), said, [0.1, 0.9]))


def test_figures_of_a_frame():
    rng = np.random.default_rng(0)
    count = 4000
    value = rng.normal(10, 1, count)
    seen = pl.DataFrame(
        {
            "series": np.repeat([1, 2], count // 2),
            "made_at": np.tile(np.repeat(np.arange(20), count // 40), 2),
            "value": value,
            "yhat": np.full(count, 10.0),
            "yhat_lower_80": np.full(count, 10 - 1.2816),
            "yhat_upper_80": np.full(count, 10 + 1.2816),
        }
    )
    figures = forecast_metrics(seen, pl.DataFrame({"series": [1, 2], "scale": [1.0, 1.0]}))
    assert figures["coverage_80"] == pytest.approx(0.8, abs=0.02)
    assert figures["mase"] == pytest.approx(0.8, abs=0.03)
    assert figures["null_share"] == 0.0
    wider = seen.with_columns(pl.col("yhat_lower_80") - 3, pl.col("yhat_upper_80") + 3)
    assert forecast_metrics(wider, pl.DataFrame({"series": [1, 2], "scale": [1.0, 1.0]}))["wql"] > figures["wql"]


def test_steps_without_a_forecast_are_told_and_left_out():
    seen = pl.DataFrame({"series": 1, "made_at": 0, "value": [1.0, 2.0, None, 4.0], "yhat": [1.0, None, 3.0, math.inf]})
    figures = forecast_metrics(seen, pl.DataFrame({"series": [1], "scale": [1.0]}))
    assert figures["null_share"] == pytest.approx(2 / 3)
    assert figures["mase"] == figures["smape"] == 0.0


def test_nothing_measured_is_not_a_number():
    seen = pl.DataFrame(schema={"series": pl.Int64, "made_at": pl.Int64, "value": pl.Float64, "yhat": pl.Float64})
    assert all(map(math.isnan, forecast_metrics(seen, pl.DataFrame({"series": [1], "scale": [1.0]})).values()))
