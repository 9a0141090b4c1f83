"""What operators got used to is divided by a factor: only that, and only until its day."""

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from vedette.core.frames import VERDICTS, from_rows
from vedette.serve.tolerance import TOLERANCES, Tolerance

NOW = 1_000_000


def tolerance(*rows):
    made = Tolerance()
    made.set(pl.DataFrame(list(rows), schema=TOLERANCES, orient="row"))
    return made


def verdict(series, value, model="envelope", yhat=10.0, reach=2.0):
    """One row whose score is how many times the reach of its bounds it is off."""
    if yhat is None:
        return (NOW, series, model, "1", value, None, None, None, None)
    return (NOW, series, model, "1", value, yhat, yhat - reach, yhat + reach, abs(value - yhat) / reach)


values = st.floats(-100, 100, allow_nan=False)
rows = st.lists(st.tuples(st.integers(1, 4), values, st.sampled_from(["envelope", "web", "heartbeat"])), max_size=20)
held = st.lists(
    st.tuples(st.integers(1, 4), st.sampled_from([-1, 1]), st.floats(1, 10), st.sampled_from([NOW - 1, NOW, NOW + 1])),
    unique_by=lambda row: row[:2],
)


@given(rows, held)
def test_only_the_series_and_side_that_are_named_and_only_until_the_day(some, tolerated):
    before = from_rows([verdict(*row) for row in some], VERDICTS)
    after = tolerance(*tolerated)(before, NOW)
    factors = {row[:2]: row[2] for row in tolerated if row[3] > NOW}
    assert dict(after.schema) == VERDICTS
    untouched = ("at", "series", "model", "version", "value", "yhat")
    assert after.select(untouched).equals(before.select(untouched))
    for (series, value, model), was, now in zip(some, before.rows(), after.rows(), strict=True):
        side = 1 if value >= 10.0 else -1
        factor = factors.get((series, side), 1.0) if model != "heartbeat" else 1.0
        assert np.isclose(now[8], was[8] / factor)
        assert np.isclose(now[7] - 10.0, 2.0 * (factor if side == 1 else 1.0))
        assert np.isclose(10.0 - now[6], 2.0 * (factor if side == -1 else 1.0))


@given(rows, held)
def test_what_is_odd_is_out_of_the_bounds_that_are_shown(some, tolerated):
    after = tolerance(*tolerated)(from_rows([verdict(*row) for row in some], VERDICTS), NOW)
    for value, lower, upper, score in after.select("value", "yhat_lower", "yhat_upper", "anomaly_score").iter_rows():
        if abs(score - 1) > 1e-9:
            assert (score > 1) == (not lower <= value <= upper)


def test_a_series_that_has_no_score_yet_gets_none():
    before = from_rows([verdict(1, 5.0, yhat=None)], VERDICTS)
    assert tolerance((1, -1, 3.0, NOW + 1))(before, NOW).equals(before)


def test_where_nothing_is_tolerated_nothing_is_touched():
    before = from_rows([verdict(1, 50.0)], VERDICTS)
    assert Tolerance()(before, NOW) is before
    assert tolerance((2, 1, 3.0, NOW + 1))(before, NOW) is before
    assert tolerance((1, 1, 3.0, NOW))(before, NOW) is before


def test_it_is_saved_and_loaded_with_the_rest():
    kept, again = tolerance((1, 1, 3.0, NOW + 1), (1, -1, 2.0, NOW + 9)), tolerance((7, 1, 2.0, NOW + 1))
    again.load(kept.state())
    assert again.rows.equals(kept.rows)
    again.load(Tolerance().state())
    assert again.rows.is_empty()
