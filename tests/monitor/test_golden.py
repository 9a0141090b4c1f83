import numpy as np
import polars as pl

from vedette.core.frames import POINTS, empty
from vedette.monitor import Golden


def test_it_knows_the_weekend_after_four_weeks(simulated):
    x = simulated.values(1, series=3, weeks=4)
    x[:, np.arange(672) % 168 >= 120] += 20.0
    golden = Golden.of(simulated.points(x))
    assert np.all(golden.mean[:, 121] - golden.mean[:, 1] > 15)
    assert np.all((golden.count == 4.0) & (golden.spread > 0.2) & (golden.spread < 3.0))
    assert np.all(np.abs(golden.level - x.mean(axis=1)) < 1e-6)


def test_an_hour_of_the_week_never_seen_is_that_of_the_day(simulated):
    x = simulated.values(1, series=1, weeks=1)[:, :72]
    golden = Golden.of(simulated.points(x))
    assert golden.mean[0, 120:144].tolist() == golden.mean[0, 144:].tolist()
    assert np.abs(golden.mean[0, 120:144] - x.reshape(3, 24).mean(axis=0)).max() < 1e-9


def test_constant_series_holes_and_no_numbers(simulated):
    x = np.full((2, 336), 5.0)
    x[1, ::3] = np.nan
    x[0, 7] = np.inf
    golden = Golden.of(simulated.points(x))
    assert np.all(np.isfinite(np.concatenate([array.ravel() for array in golden.state().values()])))
    assert np.abs(golden.mean - 5.0).max() < 1e-9
    assert golden.spread.min() > 0


def test_state_is_plain_arrays_and_returns(simulated):
    golden = Golden.of(simulated.points(simulated.values(1, series=5, weeks=2)))
    again = Golden.of_state(golden.state())
    assert all(np.array_equal(array, again.state()[name]) for name, array in golden.state().items())
    assert Golden.of(empty(POINTS)).mean.shape == (0, 168)


def test_a_retrained_model_keeps_what_its_parent_held_golden(simulated):
    x = simulated.values(1, series=4, weeks=2)
    parent = Golden.of(simulated.points(x[:3]))
    child = Golden.of(simulated.points(x * 1.2)).inherit(parent)
    assert child.ids.tolist() == [0, 1, 2, 3]
    assert np.array_equal(child.mean[:3], parent.mean)
    assert child.level[3] > 1.1 * x[3].mean()
    assert Golden.of(empty(POINTS)).inherit(parent).ids.tolist() == [0, 1, 2]


def test_many_series_are_the_same_in_chunks(simulated):
    x = simulated.values(2, series=1100, weeks=1)[:, :48]
    frame = simulated.points(x)
    golden = Golden.of(frame)
    alone = Golden.of(frame.filter(pl.col("series") == 1050))
    assert np.array_equal(golden.mean[1050], alone.mean[0])
    assert golden.deviation[1050] == alone.deviation[0]
