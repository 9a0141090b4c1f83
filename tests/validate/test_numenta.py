import math

import numpy as np
import polars as pl
import pytest

from vedette.validate import nab, nab_curve
from vedette.validate.numenta import PROFILES

COUNT = 4000


def world():
    at = np.tile(np.arange(COUNT) * 300_000_000, 2)
    series = np.repeat([3, 8], COUNT)
    rows = [(3, 1000, 1199), (3, 3000, 3099), (8, 2000, 2399)]
    windows = pl.DataFrame(
        [(s, a * 300_000_000, b * 300_000_000) for s, a, b in rows], schema=["series", "start", "end"], orient="row"
    )
    places = [a + (s == 8) * COUNT for s, a, _ in rows]
    return at, series, windows, places


def told(places):
    score = np.zeros(2 * COUNT)
    score[places] = 2.0
    return score


@pytest.mark.parametrize("profile", PROFILES)
def test_the_begin_of_every_window_is_perfection_and_silence_is_nothing(profile):
    at, series, windows, places = world()
    assert nab(at, series, told(places), windows, profile=profile) == pytest.approx(100.0)
    assert nab(at, series, told([]), windows, profile=profile) == 0.0
    assert nab(at, series, np.full(2 * COUNT, np.nan), windows, profile=profile) == 0.0


def test_later_is_worth_less_and_the_best_detection_counts():
    at, series, windows, places = world()
    later = [nab(at, series, told([each + shift for each in places]), windows) for shift in (0, 30, 60, 90)]
    assert later == sorted(later, reverse=True)
    assert later[-1] > 0
    both = told(places + [each + 50 for each in places])
    assert nab(at, series, both, windows) == pytest.approx(100.0)


def test_a_false_detection_costs_its_weight():
    at, series, windows, places = world()
    for profile, (penalty, miss) in PROFILES.items():
        got = nab(at, series, told([*places, 800]), windows, profile=profile)
        assert got == pytest.approx(100.0 - 100.0 * penalty / (3 * (1 + miss)))


def test_shortly_after_a_window_a_detection_costs_little():
    at, series, windows, places = world()
    near, far = (nab(at, series, told([*places, row]), windows) for row in (1201, 2500))
    assert 98.0 < far < near < 100.0


def test_probation_counts_for_nothing():
    at, series, windows, places = world()
    early = told([*places, *range(599)])
    assert nab(at, series, early, windows) == pytest.approx(100.0)
    assert nab(at, series, told([*places, 600]), windows) < 100.0


def test_the_curve_is_the_score_at_each_threshold():
    at, series, windows, places = world()
    curve = nab_curve(at, series, told(places), windows)
    assert curve(1.0) == pytest.approx(100.0)
    assert curve(2.0) == 0.0


def test_without_windows_there_is_no_score():
    at, series, windows, _ = world()
    assert math.isnan(nab(at, series, told([]), windows.clear()))
