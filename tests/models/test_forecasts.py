"""Known shapes go on as they must, and the bounds hold what they say."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vedette.core.frames import POINTS
from vedette.models.forecasts import Outlook, grids

HOUR = 3_600_000_000
START = 1_749_600_000_000_000
HORIZON = 24


def points(values, series=1, step=HOUR, at=None):
    at = START + step * np.arange(len(values)) if at is None else at
    return pl.DataFrame({"series": [series] * len(values), "at": at, "value": np.asarray(values, float)}).cast(POINTS)


def learnt(frame, horizon=HORIZON):
    outlook = Outlook(horizon=horizon)
    outlook.fit(frame)
    return outlook


def continued(frame, horizon=HORIZON):
    return learnt(frame, horizon).predict(frame)


def season(count, period=24):
    return 10 + 3 * np.sin(2 * np.pi * np.arange(count) / period) + 0.5 * (np.arange(count) % period == 7)


def test_a_pure_season_goes_on_with_narrow_bounds():
    whole = season(15 * 24)
    found = continued(points(whole[:-HORIZON]))
    assert np.allclose(found["yhat"], whole[-HORIZON:], atol=1e-6)
    assert (found["yhat_upper_95"] - found["yhat_lower_95"]).max() < 1e-6
    assert found["at"].to_physical().to_list() == list(range(START + 336 * HOUR, START + 360 * HOUR, HOUR))


def test_a_week_that_differs_is_known_as_a_week():
    days = np.repeat(np.arange(42) % 7 < 5, 24)
    whole = season(42 * 24) * np.where(days, 1.0, 0.3)
    found = continued(points(whole[: 36 * 24]), 48)
    assert np.allclose(found["yhat"], whole[36 * 24 : 38 * 24], atol=0.3)


@pytest.mark.parametrize("slope", [2.0, -0.01, 1e6])
def test_a_line_goes_on_as_a_line(slope):
    whole = 5 + slope * np.arange(264)
    found = continued(points(whole[:240]))
    assert np.allclose(found["yhat"], whole[240:], atol=0.05 * abs(slope) * HORIZON)


@pytest.mark.parametrize("level", [0.0, 7.5, -1e9])
def test_a_constant_stays_with_bounds_of_no_width(level):
    found = continued(points(np.full(200, level)))
    for name in ("yhat", "yhat_lower_95", "yhat_upper_95", "yhat_lower_80", "yhat_upper_80"):
        assert np.allclose(found[name], level, rtol=1e-9, atol=1e-9)


def test_a_random_walk_stays_near_where_it_is_and_its_bounds_open():
    walk = np.cumsum(np.random.default_rng(3).normal(size=600))
    found = continued(points(walk, step=60_000_000))
    assert (found["yhat"] - walk[-1]).abs().max() < 5
    width = (found["yhat_upper_80"] - found["yhat_lower_80"]).to_numpy()
    assert (np.diff(width) >= -1e-9).all()
    assert width[-1] > 2 * width[0]


@pytest.mark.parametrize("count", [4, 5, 9, 20])
def test_a_short_series_has_an_expectation_and_no_bounds_until_it_can_be_judged(count):
    found = continued(points(np.arange(count) % 3))
    assert found.height == HORIZON
    assert found["yhat"].is_finite().all()
    assert found["yhat_lower_80"].null_count() == (HORIZON if count < 8 + HORIZON else 0)


def test_what_is_too_short_or_was_not_learnt_is_left_out():
    outlook = learnt(pl.concat([points([1, 2, 3], 1), points(season(100), 2)]))
    assert outlook.series == [2]
    assert outlook.predict(pl.concat([points(season(100), 2), points(season(100), 3)]))["series"].unique().to_list() == [2]
    assert outlook.predict(points([])).is_empty()
    assert learnt(points([])).predict(points(season(100))).is_empty()


def test_holes_and_what_is_no_number_are_bridged():
    whole = season(14 * 24)
    keep = np.ones(13 * 24, bool)
    keep[100:106] = keep[200] = False
    at = START + HOUR * np.flatnonzero(keep)
    holed = points(whole[: 13 * 24][keep], at=at)
    holed[50, "value"] = float("nan")
    found = continued(holed)
    assert np.abs(found["yhat"].to_numpy() - whole[-24:]).max() < 0.5
    assert found["at"].to_physical()[0] == START + 13 * 24 * HOUR


def test_behind_a_long_hole_it_begins_anew():
    values = np.concatenate((np.full(100, 500.0), season(200)))
    at = START + HOUR * np.concatenate((np.arange(100), 1000 + np.arange(200)))
    (grid,) = grids(points(values, at=at))
    assert len(grid.values) == 200
    assert continued(points(values, at=at))["yhat"].max() < 20


def mixed(seed, count=5):
    rng = np.random.default_rng(seed)
    return [points(season(240) * rng.gamma(2) + rng.normal(size=240) * rng.gamma(1), series) for series in range(1, count + 1)]


def test_the_same_points_give_the_same_bytes():
    frame = pl.concat(mixed(1))
    first, second = learnt(frame), learnt(frame)
    assert all(array.tobytes() == second.state()[name].tobytes() for name, array in first.state().items())
    assert first.predict(frame).equals(second.predict(frame))


@settings(max_examples=10)
@given(st.integers(0, 1000), st.permutations(range(5)))
def test_neighbours_and_their_order_change_nothing(seed, order):
    frames = mixed(seed)
    alone = pl.concat([continued(each) for each in frames])
    together = continued(pl.concat([frames[place] for place in order]))
    assert together.sort("series", "at").equals(alone)


def test_what_was_learnt_is_saved_and_loaded_to_the_bit():
    frame = pl.concat(mixed(2))
    outlook, again = learnt(frame, 12), Outlook()
    again.load({name: array.copy() for name, array in outlook.state().items()})
    assert again.horizon == 12
    assert again.predict(frame).equals(outlook.predict(frame))
    assert again.speakers(3) == outlook.speakers(3)
    assert sum(again.speakers(3).values()) == pytest.approx(1.0, abs=0.01)


def simulated(kind, rng, count):
    noise = rng.normal(size=count)
    return {
        "noise": noise,
        "season": season(count) + 0.5 * noise,
        "walk": np.cumsum(noise),
        "habit": np.convolve(np.concatenate((np.zeros(50), noise)), 0.7 ** np.arange(50))[50 : count + 50],
        "counts": rng.poisson(3 * season(count)),
    }[kind]


@pytest.mark.parametrize("kind", ["noise", "season", "walk", "habit", "counts"])
def test_the_bounds_hold_what_they_say(kind):
    rng = np.random.default_rng(8)
    wholes = [simulated(kind, rng, 15 * 24) for _ in range(60)]
    frame = pl.concat([points(whole[:-HORIZON], series) for series, whole in enumerate(wholes)])
    came = np.concatenate([whole[-HORIZON:] for whole in wholes])
    found = continued(frame)
    for level in (80, 95):
        held = (found[f"yhat_lower_{level}"].to_numpy() <= came) & (came <= found[f"yhat_upper_{level}"].to_numpy())
        assert abs(100 * held.mean() - level) <= 8
