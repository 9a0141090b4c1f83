import numpy as np
import polars as pl
import pytest

from vedette.core.frames import VERDICTS
from vedette.monitor import PredictionMonitor, ScoreBaseline

HOUR = 3_600_000_000
MONDAY = 1_767_571_200_000_000


def verdicts(hour, score):
    rows = len(score)
    made = {
        "at": np.full(rows, MONDAY + hour * HOUR),
        "series": np.arange(rows),
        "anomaly_score": pl.Series(score, dtype=pl.Float64),
    }
    return (
        pl.DataFrame(made)
        .with_columns(
            pl.lit("envelope").alias("model"),
            pl.lit("1").alias("version"),
            *(pl.lit(0.0).alias(name) for name in ("value", "yhat", "yhat_lower", "yhat_upper")),
        )
        .select(*VERDICTS)
        .cast(VERDICTS)
    )


def scores(rng, hour, share=0.01, rows=300):
    usual = rng.gamma(2.0, 0.05 + 0.1 * (hour % 24 > 12), rows)
    return np.where(rng.random(rows) < share, 1.5, np.minimum(usual, 0.99))


@pytest.fixture(scope="module")
def baseline():
    rng = np.random.default_rng(0)
    return ScoreBaseline.of(pl.concat([verdicts(hour, scores(rng, hour)) for hour in range(168)]))


def run(monitor, hours, change=lambda score: score, share=0.01, begin=0):
    rng = np.random.default_rng(begin + 1)
    return [
        each
        for hour in range(begin, begin + hours)
        for each in monitor.update(verdicts(hour, change(scores(rng, hour, share))), MONDAY + hour * HOUR + HOUR // 2)
    ]


def test_the_usual_says_nothing(baseline):
    monitor = PredictionMonitor(baseline)
    assert run(monitor, 24 * 14) == []
    assert 0.005 < monitor.gauges()["anomalies"] < 0.02


@pytest.mark.parametrize(
    ("what", "share", "change"),
    [
        ("anomalies", 0.1, lambda score: score),
        ("scores", 0.0, lambda score: np.minimum(score * 4, 0.99)),
        ("silence", 0.01, lambda score: [None] * len(score)),
        ("silence", 0.01, lambda score: score * np.nan),
        ("silence", 0.01, lambda score: score * 0.0),
    ],
)
def test_what_changed_is_named(baseline, what, share, change):
    monitor = PredictionMonitor(baseline)
    assert run(monitor, 48) == []
    told = run(monitor, 48, change, share, begin=48)
    assert what in {each.monitor for each in told}
    assert len(told) <= 6


def test_an_incident_of_three_hours_is_no_drift(baseline):
    monitor = PredictionMonitor(baseline)
    assert run(monitor, 48) + run(monitor, 3, share=0.5, begin=48) + run(monitor, 48, begin=51) == []


def test_a_restart_changes_nothing(baseline):
    whole, first, second = (PredictionMonitor(ScoreBaseline.of_state(baseline.state())) for _ in range(3))
    told = run(whole, 20, share=0.1) + run(whole, 20, share=0.1, begin=20)
    again = run(first, 20, share=0.1)
    second.load({name: array.copy() for name, array in first.state().items()})
    assert again + run(second, 20, share=0.1, begin=20) == told
    assert second.gauges() == whole.gauges()
