import numpy as np
import polars as pl
import pytest

from vedette.core.frames import SERIES, empty, from_rows
from vedette.monitor import Golden, MonitorSettings, QualityMonitor, StalenessMonitor

TRAIN = 2 * 168


@pytest.fixture(scope="module")
def world(simulated):
    x = np.repeat(simulated.values(7, series=20, weeks=3), 6, axis=1)
    return x, Golden.of(points(simulated, x[:, : TRAIN * 6]))


def points(simulated, x, hour=0):
    """Six points an hour."""
    frame = simulated.points(x)
    at = simulated.MONDAY + hour * simulated.HOUR + np.arange(x.shape[1]) * simulated.HOUR // 6
    return frame.with_columns(at=pl.Series(np.tile(at, len(x))).cast(frame.schema["at"]))


def run(simulated, monitor, x, hours, change=lambda frame: frame, begin=TRAIN):
    told = []
    for hour in range(begin, begin + hours):
        frame = change(points(simulated, x[:, hour * 6 : hour * 6 + 6], hour))
        told += monitor.update(frame, empty(SERIES), simulated.MONDAY + (hour + 1) * simulated.HOUR - 1)
    return told


def names(told):
    return {each.monitor for each in told}


def test_sound_data_says_nothing(simulated, world):
    monitor = QualityMonitor(world[1])
    assert run(simulated, monitor, world[0], 60) == []
    assert monitor.gauges()["cardinality"] == 1.0


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("freshness", lambda frame: frame.filter(pl.col("series") > 6)),
        ("missing", lambda frame: frame.filter(pl.col("at").dt.minute() < 30)),
        ("missing", lambda frame: frame.with_columns(value=pl.when(pl.col("at").dt.minute() < 30).then("value"))),
        ("range", lambda frame: frame.with_columns(pl.col("value") * 1000)),
        ("cardinality", lambda frame: pl.concat([frame, frame.with_columns(pl.col("series") + 100)])),
        ("cardinality", lambda frame: frame.filter(pl.col("series") % 10 == 0)),
    ],
)
def test_what_is_wrong_is_named(simulated, world, what, change):
    monitor = QualityMonitor(world[1], MonitorSettings(stale_share=0.3), "cpu@1")
    told = run(simulated, monitor, world[0], 6, begin=TRAIN - 6)
    told += run(simulated, monitor, world[0], 40, change)
    assert what in names(told)
    assert all(each.subject == "cpu@1" and each.advice for each in told)


def test_a_changed_kind_or_unit_is_told_at_once_and_no_statement_contradicts_nothing(simulated, world):
    monitor = QualityMonitor(world[1])
    none = points(simulated, world[0][:, :0])

    def said(kind, unit, at=simulated.MONDAY):
        rows = [(i, "cpu", {}, kind, unit) for i in (3, 4, 999)]
        return monitor.update(none, from_rows(rows, SERIES), at)

    assert said("unknown", "") == said("gauge", "s") == said("unknown", "") == said("gauge", "s") == ()
    (told,) = said("gauge", "ms")
    assert told.monitor == "schema"
    assert told.severity == "critical"
    assert "cpu was a gauge, is a gauge in 'ms'" in told.reason


def test_a_restart_changes_nothing(simulated, world):
    def change(frame):
        return frame.filter(pl.col("series") > 6)

    whole, first, second = (QualityMonitor(world[1]) for _ in range(3))
    all_told = run(simulated, whole, world[0], 12, change)
    told = run(simulated, first, world[0], 3, change)
    second.load({name: array.copy() for name, array in first.state().items()})
    assert told + run(simulated, second, world[0], 9, change, TRAIN + 3) == all_told
    assert second.gauges() == whole.gauges()


def test_series_never_trained_on_and_age(simulated, world):
    monitor = StalenessMonitor(world[1], simulated.MONDAY)
    frame = points(simulated, world[0][:, :6], TRAIN)
    known = monitor.update(frame, simulated.MONDAY + (TRAIN + 1) * simulated.HOUR)
    twice = pl.concat([frame, frame.with_columns(pl.col("series") + 100)])
    unseen = monitor.update(twice, simulated.MONDAY + (TRAIN + 2) * simulated.HOUR)
    old = monitor.update(frame[:0], simulated.MONDAY + 29 * 24 * simulated.HOUR)
    assert known == ()
    assert [each.monitor for each in (*unseen, *old)] == ["unseen", "age"]
    assert "20 of 40 series" in unseen[0].reason
    assert monitor.gauges() == {"age_seconds": 29 * 86_400.0, "unseen": 0.0}
