"""The alert path over history: what the live one would have raised, and nothing else."""

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from vedette.act import ActSettings
from vedette.app.replaying import replayed
from vedette.core.catalogue import Catalogue
from vedette.core.frames import SERIES, VERDICTS, from_rows

MINUTE = 60_000_000
START = 1_750_000_020_000_000
SETTINGS = ActSettings()


def catalogue():
    known = Catalogue()
    names = {1: "queue_length", 2: "latency_seconds", 3: "requests_waiting"}
    known.add(from_rows([(series, name, {"service": "pay"}, "gauge", "") for series, name in names.items()], SERIES))
    known.add(from_rows([(9, "queue_length", {"service": "mail"}, "gauge", "")], SERIES))
    return known


def verdicts(odd, minutes=24 * 60, series=(1, 2, 3, 9)):
    """A verdict a minute and series; `odd` holds (series, first minute, last minute)."""
    ids, at = np.repeat(series, minutes), np.tile(np.arange(minutes), len(series))
    hit = np.zeros(len(ids), bool)
    for each, first, last in odd:
        hit |= (ids == each) & (at >= first) & (at < last)
    columns = {
        "at": START + at * MINUTE, "series": ids, "model": "envelope", "version": "1", "value": np.where(hit, 9.0, 1.0),
        "yhat": 1.0, "yhat_lower": 0.5, "yhat_upper": 1.5, "anomaly_score": np.where(hit, 16.0, 0.1),
    }  # fmt: skip
    return pl.DataFrame(columns).cast(VERDICTS)


def raised(frame, **more):
    return replayed(frame, catalogue(), SETTINGS, **more)


def test_where_nothing_is_odd_nothing_is_raised():
    assert raised(verdicts([])) == ()
    assert raised(verdicts([]).clear()) == ()


def test_an_outage_is_one_incident_from_its_start_to_its_end():
    (found,) = raised(verdicts([(each, 600, 660) for each in (1, 2, 3)]))
    assert found.status == "closed"
    assert abs(found.started_at - (START + 600 * MINUTE)) <= MINUTE
    assert abs(found.ended_at - (START + 660 * MINUTE)) <= 10 * MINUTE
    assert {each["series"] for each in found.explanation["members"]} == {1, 2, 3}


def test_two_outages_are_two_and_a_blip_is_none():
    twice = [(each, first, first + 45) for each in (1, 2, 3) for first in (200, 900)]
    found = raised(verdicts([*twice, (9, 400, 401)]))
    assert [round((each.started_at - START) / MINUTE / 100) for each in found] == [2, 9]


def test_what_lasts_until_the_end_comes_to_rest():
    (found,) = raised(verdicts([(each, 1380, 1440) for each in (1, 2, 3)]))
    assert found.status == "closed"


def test_scores_that_are_missing_say_nothing():
    frame = verdicts([(1, 600, 660)]).with_columns(anomaly_score=pl.lit(None, pl.Float64))
    assert raised(frame) == ()


def test_it_says_how_far_it_is():
    told = []
    raised(verdicts([(1, 600, 660)]), tell=told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0


@settings(max_examples=8)
@given(
    st.integers(0, 10**6), st.lists(st.tuples(st.sampled_from([1, 2, 3, 9]), st.integers(0, 1300), st.integers(1, 90)), max_size=4)
)
def test_neither_the_order_of_rows_nor_series_that_are_always_calm_change_what_is_raised(seed, drawn):
    frame = verdicts([(series, first, first + length) for series, first, length in drawn])
    expected = raised(frame)
    assert raised(frame.sample(fraction=1.0, shuffle=True, seed=seed)) == expected
    only = pl.col("anomaly_score").max().over("series") > 1
    assert raised(frame.filter(only)) == expected
