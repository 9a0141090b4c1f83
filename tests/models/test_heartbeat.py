import numpy as np
import polars as pl
import pytest

from vedette.core.frames import POINTS, VERDICTS, empty
from vedette.models import Heartbeat

SECOND = 1_000_000
START = 1_700_000_000 * SECOND


def beat(series, at):
    return pl.DataFrame({"series": series, "at": at, "value": [1.0] * len(series)}).cast(POINTS)


def steady(model, count=40, step=30):
    for i in range(count):
        model.score(beat([1, 2], [START + i * step * SECOND] * 2), START + i * step * SECOND)
    return START + (count - 1) * step * SECOND


def test_silence_is_told_once_until_the_series_returns():
    model = Heartbeat(pause_seconds=1000)
    now = steady(model)
    quiet = empty(POINTS)
    assert model.score(quiet, now + 149 * SECOND).is_empty()
    told = model.score(beat([2], [now + 160 * SECOND]), now + 160 * SECOND)
    assert told["series"].to_list() == [1]
    assert told["value"].to_list() == [160.0]
    assert told["yhat"].to_list() == [30.0]
    assert told["anomaly_score"][0] > 1
    assert model.score(beat([2], [now + 200 * SECOND]), now + 200 * SECOND).is_empty()
    model.score(beat([1, 2], [now + 210 * SECOND] * 2), now + 210 * SECOND)
    assert model.score(quiet, now + 900 * SECOND)["series"].to_list() == [1, 2]


def test_a_series_that_spoke_only_a_few_times_is_not_missed():
    model = Heartbeat(points=20, pause_seconds=10_000)
    now = steady(model, count=10)
    assert model.score(empty(POINTS), now + 3600 * SECOND).is_empty()


def test_a_resumed_heartbeat_goes_on_the_same():
    model, resumed = Heartbeat(pause_seconds=1000), Heartbeat(pause_seconds=1000)
    now = steady(model)
    resumed.load({name: array.copy() for name, array in model.state().items()})
    assert resumed.score(empty(POINTS), now + 400 * SECOND).equals(model.score(empty(POINTS), now + 400 * SECOND))
    assert np.array_equal(resumed.state()["rows"], model.state()["rows"])


def test_our_own_absence_is_nobodys_silence():
    model = Heartbeat()
    now = steady(model)
    back = now + 7200 * SECOND
    assert model.score(empty(POINTS), back).is_empty()
    assert model.score(beat([1, 2], [back + 10 * SECOND] * 2), back + 10 * SECOND).is_empty()


def test_a_sender_that_catches_up_is_not_silent():
    model = Heartbeat()
    now = steady(model)
    for step in range(1, 100):
        late = beat([1, 2], [now + step * 30 * SECOND] * 2)
        assert model.score(late, now + 7200 * SECOND + step * SECOND).is_empty()


@pytest.mark.parametrize("interval", [5, 15, 60, 300, 3600])
def test_silence_is_measured_by_the_series_own_interval(interval):
    model, listening, told = Heartbeat(), 5, []
    end = 40 * interval
    for second in range(0, end + 12 * max(interval, 60), listening):
        now = START + second * SECOND
        sent = second % interval == 0 and second <= end
        verdicts = model.score(beat([1], [now]) if sent else empty(POINTS), now)
        told += [(second - end, row["series"]) for row in verdicts.iter_rows(named=True)]
    allowed = max(5 * interval, 60)
    assert len(told) == 1
    assert allowed < told[0][0] <= 1.2 * allowed + 2 * listening


def test_thousands_that_vanish_at_once_are_told_in_one_beat_and_only_once():
    model, series = Heartbeat(), list(range(5000))
    for i in range(30):
        now = START + i * 15 * SECOND
        model.score(beat(series, [now] * 5000), now)
    told = [model.score(beat([0], [now + i * 15 * SECOND]), now + i * 15 * SECOND)["series"].to_list() for i in range(1, 20)]
    assert [each for each in told if each] == [series[1:]]
    assert dict(model.score(empty(POINTS), now).schema) == VERDICTS
