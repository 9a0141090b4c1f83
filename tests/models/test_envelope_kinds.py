"""Series of every kind that a detector is fooled by: what must stay quiet, and what must not."""

import numpy as np
import polars as pl
import pytest

from vedette.core.frames import POINTS
from vedette.models import Envelope, workbench

MINUTE = 60_000_000
START = 1_699_999_200_000_000


def points(values, step=MINUTE, at=None):
    at = START + step * np.arange(len(values)) if at is None else at
    return pl.DataFrame({"series": np.ones(len(values), int), "at": at, "value": np.asarray(values, float)}).cast(POINTS)


def scores(values, step=MINUTE, model=None):
    return (model or Envelope()).score(points(values, step), 0)["anomaly_score"].to_numpy()


def alarms(odd, apart=5):
    """Runs of odd points; those within a few points of each other are one."""
    where = np.flatnonzero(odd)
    return 0 if len(where) == 0 else 1 + int((np.diff(where) > apart).sum())


def normal(count, seed=0):
    return np.random.default_rng(seed).normal(size=count)


def workdays(weeks, step_seconds=300, seed=0):
    t = np.arange(weeks * 604_800 // step_seconds) * step_seconds
    busy = (t % 86_400 // 3600 >= 9) & (t % 86_400 // 3600 < 17) & (t // 86_400 % 7 < 5)
    return 5.0 + 5.0 * busy + 0.3 * normal(len(t), seed)


def test_it_is_silent_for_thirty_points_and_then_wide_bounds_tighten():
    verdicts = Envelope().score(points(normal(3000)), 0)
    width = (verdicts["yhat_upper"] - verdicts["yhat_lower"]).to_numpy()
    assert verdicts["anomaly_score"].null_count() == 30
    assert np.median(width[30:60]) > 1.3 * np.median(width[2000:]) > 0


def test_up_that_falls_is_anomalous_at_the_first_point_even_when_young():
    got = scores(np.r_[np.ones(100), np.zeros(3)], step=10_000_000)
    assert (got[30:100] == 0).all()
    assert got[100] > 1


def test_up_that_stays_down_stays_anomalous():
    got = scores(np.r_[np.ones(2000), np.zeros(300)], step=10_000_000)
    assert (got[2000:2300] > 1).all()


def test_a_constant_series_stays_quiet_for_ever():
    assert (scores(np.full(5000, 3.7))[30:] == 0).all()


def test_sparse_events_are_news_for_a_while_only():
    values = (np.random.default_rng(3).random(40_000) < 0.002).astype(float)
    odd = scores(values) > 1
    assert alarms(odd) <= 4
    assert not odd[20_000:].any()


def test_a_bounded_series_that_often_rests_at_its_bound_is_left_alone():
    values = np.minimum(100.0, 99.0 + normal(20_000, 4))
    assert alarms(scores(values) > 1) <= 1


def test_a_steady_counter_is_left_alone_and_its_reset_is_not():
    values = np.cumsum(50.0 + 5.0 * normal(6000, 5))
    values[5000:] -= values[5000]
    odd = scores(values) > 1
    assert not odd[:5000].any()
    assert odd[5000]


def test_heavy_tails_earn_their_own_threshold():
    values = np.exp(0.8 * normal(60_000, 6))
    odd = scores(values) > 1
    assert alarms(odd[30_000:]) <= 10
    values[50_000:50_003] = values.max() * 20
    assert scores(values)[50_001] > 1


def test_a_slight_excess_must_last_longer_than_one_minute():
    values = normal(4002, 7)
    upper = Envelope(young_seconds=0).score(points(values), 0)["yhat_upper"][4000]
    values[4000] = 1.05 * upper
    assert scores(values, model=Envelope(young_seconds=0))[4000] == pytest.approx(0.999)
    values[4000] = 2.0 * upper
    assert scores(values, model=Envelope(young_seconds=0))[4000] > 1


def test_office_hours_are_learnt_by_the_weekday():
    odd = scores(workdays(5), step=5 * MINUTE) > 1
    assert alarms(odd[3 * 2016 :]) <= 1


def test_a_workday_without_its_rise_is_anomalous():
    values = workdays(5)
    morning = 4 * 2016 + 2 * 288 + 108
    values[morning : morning + 96] -= 5.0
    got = scores(values, step=5 * MINUTE)
    assert (got[morning : morning + 12] > 1).any()


@pytest.mark.parametrize("change", [6.0, -5.0, 3.0])
def test_a_level_that_stays_is_one_alarm_and_is_accepted_after_about_an_hour(change):
    count = 12 * 1440
    values = 10 + 2 * np.sin(2 * np.pi * np.arange(count) / 1440) + 0.3 * normal(count, 8) + change * (np.arange(count) >= 14_932)
    odd = scores(values) > 1
    assert alarms(odd[:14_932]) <= 1
    assert odd[14_932]
    assert alarms(odd[14_932:]) == 1
    assert not odd[14_932 + 60 :].any()


def test_acceptance_goes_by_the_clock_of_the_series_not_by_points_alone():
    values = np.r_[normal(10_000, 9), 40.0 + normal(1000, 10)]
    odd = scores(values, step=10_000_000) > 1
    assert odd[10_010:10_300].mean() > 0.9
    assert not odd[10_400:].any()


def test_onboarding_is_one_alarm():
    count = 12 * 1440
    busy = 10 + 3 * np.sin(2 * np.pi * np.arange(count) / 1440) + 0.3 * normal(count, 11)
    odd = scores(np.where(np.arange(count) >= 14_932, busy, 0.0)) > 1
    assert odd[14_932]
    assert alarms(odd) <= 2


def busy_host(seed=12):
    """CPU of a host at 10 s: half a minute of work every hour, three minutes of it in the night."""
    rng = np.random.default_rng(seed)
    cpu = 2 + 0.5 * rng.gamma(2, 1, 8640)
    for start in range(102, 8640, 360):
        cpu[start : start + 3] += 45
    cpu[2310:2328] += 70
    return cpu


def test_of_the_bursts_of_a_first_day_only_what_is_new_is_odd():
    odd = scores(busy_host(), step=10_000_000) > 1
    assert alarms(odd) <= 2
    assert odd.sum() <= 3 + 18


def test_a_burn_is_odd_within_a_minute_as_long_as_it_lasts_and_its_end_is_not():
    cpu = busy_host()
    cpu[5000:5090] += 90
    odd = scores(cpu, step=10_000_000) > 1
    assert odd[5006:5090].all()
    assert not odd[5090:5400].any()


def test_what_bursts_may_reach_nothing_may_hold():
    rng = np.random.default_rng(3)
    cpu = 15 + 5 * rng.gamma(2, 1, 720)
    for start in range(30, 340, 20):
        cpu[start : start + 2] += 40
    cpu[400:500] = 75 + rng.normal(size=100)
    odd = scores(cpu, step=5_000_000) > 1
    assert not odd[:400].any()
    assert odd[430:500].all()


@pytest.mark.parametrize("seconds", [1, 5, 60, 300, 3600, 86_400])
@pytest.mark.parametrize("kind", ["spike", "dip", "shift"])
def test_in_a_short_file_without_a_past_what_anybody_sees_is_told(kind, seconds):
    off = (-1.0 if kind == "dip" else 1.0) * (20.0 if seconds >= 60 else 50.0)
    for base in (10 + normal(300, 15), 10 + 0.3 * normal(300, 16).cumsum(), 0.4 * (np.arange(300) % 7) + 0.2 * normal(300, 17)):
        values = base.copy()
        values[240 : None if kind == "shift" else 241] += off
        odd = scores(values, step=seconds * 1_000_000) > 1
        assert not odd[:240].any()
        assert odd[240:242].any()


def test_a_slight_excess_of_a_young_series_must_last():
    values = normal(700, 18)
    upper = Envelope().score(points(values), 0)["yhat_upper"][600]
    values[600] = 1.2 * upper
    assert scores(values)[600] == pytest.approx(0.999)
    values[600] = 2.0 * upper
    assert scores(values)[600] > 1


def test_a_bounded_series_at_its_other_bound_is_odd():
    values = np.clip(97.0 + 2.0 * normal(3000, 19), 0, 100)
    values[2500:2510] = 0.0
    odd = scores(values) > 1
    assert odd[2500:2510].all()
    assert alarms(odd) <= 2


def test_integers_that_move_by_one_are_left_alone_and_a_jump_is_not():
    values = 230.0 + np.round(0.6 * normal(5000, 20))
    values[4000] += 25
    odd = scores(values) > 1
    assert odd[4000]
    assert alarms(odd) == 1


def test_the_first_error_after_long_silence_is_news_by_the_second_minute():
    values = np.zeros(3000)
    values[2500:2504] = 3.0
    assert (scores(values)[2500:2502] > 1).any()


def test_a_point_older_than_the_last_gets_no_score_and_teaches_nothing():
    values = normal(300, 13)
    at = START + MINUTE * np.arange(300)
    model, other = Envelope(), Envelope()
    model.score(points(values[:200], at=at[:200]), 0)
    late = model.score(points([1e6], at=at[50:51]), 0)
    other.score(points(values[:200], at=at[:200]), 0)
    assert late["anomaly_score"].null_count() == late["yhat"].null_count() == 1
    rest = points(values[200:], at=at[200:])
    assert model.score(rest, 0).equals(other.score(rest, 0))


def test_the_workbench_calls_an_episode_once():
    values = normal(5000, 14)
    values[4000:4008] += 40.0
    point, alarm = scores(values), scores(values, model=workbench())
    assert (point[4000:4008] > 1).all()
    assert (alarm[4000:4008] > 1).sum() == 1
    assert alarm[4000] == point[4000]
    assert (alarm[4001:4008] > 0.9).all()
