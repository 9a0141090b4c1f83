from itertools import pairwise

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from vedette.core.frames import POINTS, VERDICTS
from vedette.models import Envelope

MINUTE = 60_000_000
START = 1_700_000_000_000_000


def points(values, series=1, step=MINUTE, start=START):
    count = len(values)
    return pl.DataFrame(
        {"series": np.full(count, series), "at": start + step * np.arange(count), "value": np.asarray(values, float)}
    ).cast(POINTS)


def scores(model, frame):
    return model.score(frame, 0)["anomaly_score"].to_numpy()


def daily(days, seed=0, noise=0.1):
    turn = 2 * np.pi * np.arange(days * 1440) / 1440
    return 10 + np.sin(turn) * 3 + np.random.default_rng(seed).normal(0, noise, len(turn))


def test_verdicts_have_their_schema_and_are_null_while_learning():
    verdicts = Envelope(warmup=60).score(points(np.random.default_rng(1).normal(size=100)), 0)
    assert dict(verdicts.schema) == VERDICTS
    assert verdicts["anomaly_score"].null_count() == verdicts["yhat"].null_count() == 60


def test_quiet_noise_is_left_alone():
    assert np.nansum(scores(Envelope(), points(np.random.default_rng(2).normal(size=20_000))) > 1) <= 1


def test_a_spike_is_anomalous_and_outside_its_bounds():
    values = daily(5)
    values[6000] += 5
    row = Envelope().score(points(values), 0)[6000]
    assert row["anomaly_score"][0] > 1
    assert row["value"][0] > row["yhat_upper"][0]


def test_a_daily_rise_is_expected_from_its_profile():
    values = 1 + np.tile(np.r_[np.zeros(600), np.ones(60), np.zeros(780)], 8) * 10.0
    values += np.random.default_rng(3).normal(0, 0.1, len(values))
    odd = scores(Envelope(), points(values)) > 1
    assert odd[5 * 1440 :].sum() <= 4


def test_a_change_after_long_constancy_is_anomalous_at_once():
    got = scores(Envelope(), points(np.r_[np.ones(2000), np.zeros(5)]))
    assert got[1999] == 0
    assert got[2000] > 1


def test_a_level_that_stays_is_accepted_within_an_hour_of_points():
    noise = np.random.default_rng(4).normal(size=6000)
    got = scores(Envelope(), points(noise + np.r_[np.zeros(3000), np.full(3000, 40.0)]))
    assert got[3000] > 1
    assert (got[3060:] <= 1).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(-60, 60), st.integers(0, 2**32 - 1))
def test_scale_changes_no_score(power, seed):
    values = np.random.default_rng(seed).standard_t(3, 500)
    assert np.array_equal(scores(Envelope(), points(values)), scores(Envelope(), points(values * 2.0**power)), equal_nan=True)


@settings(max_examples=20, deadline=None)
@given(st.floats(-1e3, 1e3), st.floats(0.1, 1e3), st.integers(0, 2**32 - 1))
def test_shift_and_scale_change_no_score(shift, scale, seed):
    values = np.random.default_rng(seed).standard_t(3, 500)
    assert np.allclose(
        scores(Envelope(), points(values)), scores(Envelope(), points(values * scale + shift)), rtol=1e-3, atol=1e-2, equal_nan=True
    )


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 299), max_size=3), st.integers(0, 2**32 - 1))
def test_resumed_anywhere_it_gives_the_same(cuts, seed):
    rng = np.random.default_rng(seed)
    frames = [points(rng.normal(size=300), series) for series in (-5, 3, 2**60)]
    whole = scores(Envelope(warmup=20), pl.concat(frames)).reshape(3, -1)
    model, parts = Envelope(warmup=20), []
    edges = [0, *sorted(cuts), 300]
    for begin, end in pairwise(edges):
        state = {name: array.copy() for name, array in model.state().items()}
        model = Envelope(warmup=20)
        model.load(state)
        parts.append(scores(model, pl.concat([frame[begin:end] for frame in frames])).reshape(3, -1))
    assert np.array_equal(np.concatenate(parts, axis=1), whole, equal_nan=True)


def test_order_of_series_changes_nothing():
    rng = np.random.default_rng(5)
    frames = [points(rng.normal(size=300), series) for series in range(40)]
    forth = Envelope().score(pl.concat(frames), 0).sort("series", "at")
    back = Envelope().score(pl.concat(frames[::-1]), 0).sort("series", "at")
    assert forth.equals(back)


def test_what_is_not_a_number_gets_no_score_and_teaches_nothing():
    values = np.random.default_rng(6).normal(size=300)
    holes = np.insert(values, 150, [np.nan, np.inf, -np.inf])
    times = np.insert(START + MINUTE * np.arange(300), 150, [START + MINUTE * 150] * 3)
    frame = pl.DataFrame({"series": np.ones(303, int), "at": times, "value": holes}).cast(POINTS)
    got = scores(Envelope(), frame)
    assert np.isnan(got[150:153]).all()
    assert np.array_equal(np.delete(got, [150, 151, 152]), scores(Envelope(), points(values)), equal_nan=True)


def test_memory_is_under_a_kib_a_series_and_places_of_the_gone_are_reused():
    model = Envelope(max_series=2048, forget_seconds=3600)
    ids = np.arange(2048)
    at = np.full(2048, START)
    model.walk(ids, at, np.ones(2048), START)
    size = sum(array.nbytes for array in model.state().values())
    assert size / 2048 <= 1024 - 48
    later = START + 7200 * 1_000_000
    model.walk(ids + 5000, at + 7200 * 1_000_000, np.ones(2048), later)
    assert model.learning(later)[0] == 2048
    assert len(model.state()["ids"]) == 2048


def test_beyond_the_bound_a_newcomer_is_not_scored():
    model = Envelope(max_series=1, warmup=5)
    frame = pl.concat([points(np.arange(20.0), 1), points(np.arange(20.0), 2)])
    got = scores(model, frame)
    assert not np.isnan(got[19])
    assert np.isnan(got[20:]).all()
