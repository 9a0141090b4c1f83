import numpy as np
import polars as pl
import pytest

from vedette.core.frames import POINTS, empty
from vedette.monitor import DriftMonitor, Golden, MonitorSettings
from vedette.monitor.drift import times

TRAIN = 4 * 168


@pytest.fixture(scope="module")
def world(simulated):
    x = simulated.values(7, rho=0.7)
    return x, Golden.of(simulated.points(x[:, :TRAIN]))


def test_eight_quiet_weeks_raise_no_signal(simulated):
    spoke = 0
    for seed in range(6):
        x = simulated.values(seed, rho=0.7)
        spoke += bool(simulated.live(DriftMonitor(Golden.of(simulated.points(x[:, :TRAIN]))), x, TRAIN, step=6))
    assert spoke == 0


def test_three_deviations_in_a_third_of_the_series_are_noticed_within_a_day(simulated, world):
    x, golden = world
    moved, since = x[:, : TRAIN + 240].copy(), TRAIN + 200
    moved[:30, since:] += 3.0
    told = simulated.live(DriftMonitor(golden, subject="cpu@1"), moved, TRAIN)
    assert 0 < (told[0].at - simulated.MONDAY) / simulated.HOUR - since <= 24
    assert {each.subject for each in told} == {"cpu@1"}
    assert all(each.advice for each in told)
    drifted = next(each for each in told if each.monitor == "drift")
    assert "of 100 series" in drifted.reason


@pytest.mark.parametrize("noise", [0.5, 5.0])
def test_a_boiling_frog_is_called_critical_before_it_passes_the_cap(simulated, noise):
    x = simulated.values(3, series=20, weeks=13, noise=noise)[:, : TRAIN + 60 * 24]
    frog = 5
    x[frog] += 100.0
    growth = 1.02 ** np.maximum((np.arange(x.shape[1]) - TRAIN) / 24, 0.0)
    x[frog] *= growth
    monitor = DriftMonitor(Golden.of(simulated.points(x[:, :TRAIN])))
    told = [each for each in simulated.live(monitor, x, TRAIN, step=2) if each.monitor == "cap"]
    assert told[0].severity == "critical"
    assert f"series {frog} " in told[0].reason
    reached = growth[int((told[0].at - simulated.MONDAY) // simulated.HOUR)]
    assert 1.2 < reached < 1.5
    assert monitor.gauges()["cap"] > 1.5


def test_only_a_person_raises_the_cap_and_it_stays_raised_after_a_restart(simulated):
    x = simulated.values(3, series=4, weeks=6)
    x[2] += 100.0
    golden = Golden.of(simulated.points(x[:, :TRAIN]))
    x[2, TRAIN:] *= 1.4
    strict, allowed = DriftMonitor(golden), DriftMonitor(golden)
    allowed.allow([2], 3.0)
    restarted = DriftMonitor(golden)
    restarted.load(allowed.state())
    caps = [{each.monitor for each in simulated.live(monitor, x, TRAIN, step=4)} for monitor in (strict, restarted)]
    assert "cap" in caps[0]
    assert "cap" not in caps[1]
    with pytest.raises(ValueError, match="above 1"):
        allowed.allow([2], 1.0)


def test_many_small_moves_are_noticed_together(simulated, world):
    x, golden = world
    moved = x[:, : TRAIN + 72] + 1.2
    told = simulated.live(DriftMonitor(golden), moved, TRAIN)
    assert {each.monitor for each in told} == {"joint"}


def test_the_same_is_told_once_in_two_days(simulated, world):
    x, golden = world
    moved = x[:, : TRAIN + 96].copy()
    moved[:50] += 4.0
    told = [each.at for each in simulated.live(DriftMonitor(golden), moved, TRAIN) if each.monitor == "drift"]
    assert 1 <= len(told) <= 4
    assert np.diff(told).min(initial=10**18) >= 3 * simulated.HOUR


def test_a_restart_anywhere_changes_nothing(simulated, world):
    x, golden = world
    moved = x[:, : TRAIN + 48].copy()
    moved[:50] += 4.0
    whole, first, second = (DriftMonitor(golden) for _ in range(3))
    all_told = simulated.live(whole, moved, TRAIN)
    told = simulated.live(first, moved[:, : TRAIN + 17], TRAIN)
    second.load({name: array.copy() for name, array in first.state().items()})
    told += simulated.live(second, moved, TRAIN + 17)
    assert told == all_told
    assert second.effects().equals(whole.effects())
    with pytest.raises(ValueError, match="memory of 0 series"):
        DriftMonitor(Golden.of(empty(POINTS))).load(whole.state())


def test_late_split_unknown_and_future_points(simulated, world):
    x, golden = world
    now = simulated.MONDAY + (TRAIN + 1) * simulated.HOUR
    hour = simulated.points(x[:, TRAIN : TRAIN + 1], TRAIN)
    whole, parts = DriftMonitor(golden), DriftMonitor(golden)
    whole.update(hour, now)
    for part in (hour.head(40), hour.tail(60)):
        parts.update(part, now)
    strange = pl.concat([hour.with_columns(series=pl.col("series") + 1000), hour.with_columns(pl.col("at").dt.offset_by("5h"))])
    parts.update(strange, now)
    parts.update(hour.with_columns(value=pl.lit(None, pl.Float64)), now)
    assert all(np.allclose(array, parts.state()[name], rtol=1e-6, equal_nan=True) for name, array in whole.state().items())


def test_an_empty_baseline_says_nothing():
    monitor = DriftMonitor(Golden.of(empty(POINTS)))
    assert [monitor.update(empty(POINTS), hour * 3_600_000_000) for hour in range(3)] == [(), (), ()]
    assert monitor.effects().height == 0
    assert monitor.gauges() == {"drift": 0.0, "joint": 1.0, "cap": 1.0}


def test_effects_are_a_row_a_series(simulated, world):
    x, golden = world
    monitor = DriftMonitor(golden)
    moved = x[:, : TRAIN + 30].copy()
    moved[:5, TRAIN:] -= 5.0
    simulated.live(monitor, moved, TRAIN)
    told = monitor.effects()
    assert told.columns == ["series", "effect_day", "effect_week", "growth", "p", "drifted"]
    assert told["drifted"].to_list() == [True] * 5 + [False] * 95
    assert told["effect_week"].null_count() == 100
    assert told["effect_day"][:5].max() < -2


def test_the_warning_comes_before_the_cap():
    with pytest.raises(ValueError, match="below cap"):
        MonitorSettings(cap=1.2)


def test_times_is_the_same_both_ways():
    assert times(np.array([10.0]), np.array([5.0]), np.ones(1)) == times(np.array([5.0]), np.array([10.0]), np.ones(1))
