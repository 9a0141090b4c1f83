import numpy as np
import polars as pl
import pytest

from vedette.core.errors import BadRecord
from vedette.monitor import Estimate, PerformanceMonitor, Reliability, coverage, false_alarms, forecast_error, precision

HOUR = 3_600_000_000


def answers(rows):
    return pl.DataFrame(rows, schema=["at", "incident", "verdict", "actor"], orient="row")


def forecasts(noise, hours=240, rho=0.0, seed=0):
    rng = np.random.default_rng(seed)
    error = rng.normal(size=hours) * noise
    for i in range(1, hours):
        error[i] += rho * error[i - 1]
    at = pl.Series(np.arange(hours) * HOUR).cast(pl.Datetime("us", "UTC"))
    return pl.DataFrame({"at": at, "value": error, "yhat": 0.0, "yhat_lower": -1.96, "yhat_upper": 1.96})


def test_the_last_word_counts_and_known_says_nothing():
    said = answers([(2, "a", "real", "ann"), (1, "a", "false", "bob"), (3, "b", "known", "ann"), (4, "c", "false", "bob")])
    told = precision(said)
    assert (told.value, told.n) == (0.5, 2.0)
    assert false_alarms(said, 14 * 86_400.0).value == 0.5


def test_nobody_alone_makes_a_model_bad():
    crowd = [(i, f"r{i}", "real", f"person {i % 10}") for i in range(40)]
    one = [(100 + i, f"f{i}", "false", "mallory") for i in range(60)]
    assert precision(answers(crowd + one)).value == pytest.approx(40 / 90)
    assert precision(answers(crowd + one), actor_share=0.1).value == pytest.approx(0.8)


def test_no_answers_is_no_figure_but_no_failure():
    told = precision(answers([(1, "a", "known", "ann")]))
    assert np.isnan(told.value)
    assert (told.low, told.high, told.n) == (0.0, 1.0, 0.0)
    with pytest.raises(BadRecord, match="verdict"):
        precision(pl.DataFrame({"at": [1], "incident": ["a"], "actor": ["x"]}))


def test_forecasts_keep_or_break_their_promise():
    promised = PerformanceMonitor({"mae": 0.8, "coverage": 0.95})
    kept, broken = forecasts(1.0), forecasts(2.5)
    assert promised.update({"mae": forecast_error(kept), "coverage": coverage(kept)}, 0) == ()
    told = promised.update({"mae": forecast_error(broken), "coverage": coverage(broken)}, 1)
    assert [each.monitor for each in told] == ["mae", "coverage"]
    assert "promised 0.8" in told[0].reason
    assert promised.gauges()["mae"] > 2


def test_errors_that_last_are_fewer_cases():
    widths = [told.high - told.low for told in (forecast_error(forecasts(1.0, rho=rho)) for rho in (0.0, 0.95))]
    assert widths[1] > 3 * widths[0]
    assert forecast_error(forecasts(1.0)[:0]).n == 0


def test_confidence_tells_the_accuracy_of_a_shifted_input():
    rng = np.random.default_rng(0)
    chance = rng.beta(5, 2, 20_000) / 2 + 0.5
    known = Reliability.of(np.sqrt(chance), rng.random(20_000) < chance)
    live = rng.beta(2, 5, 5_000) / 2 + 0.5
    told = Reliability.of_state(known.state()).expected(np.sqrt(live))
    assert told.low < live.mean() < told.high
    assert told.high - told.low < 0.06
    assert known.expected(np.zeros(0)).n == 0
    with pytest.raises(ValueError, match="held-out"):
        Reliability.of(np.zeros(0), np.zeros(0))


@pytest.mark.parametrize(
    ("name", "told", "spoken"),
    [
        ("precision", Estimate(0.5, 0.4, 0.6, "operators' verdicts", 80), 1),
        ("precision", Estimate(0.5, 0.2, 0.9, "operators' verdicts", 80), 0),
        ("precision", Estimate(0.5, 0.4, 0.6, "operators' verdicts", 8), 0),
        ("false_alarms_week", Estimate(5, 3, 8, "operators' verdicts", 40), 1),
        ("false_alarms_week", Estimate(0.1, 0, 0.2, "operators' verdicts", 40), 0),
        ("never promised", Estimate(5, 3, 8, "operators' verdicts", 40), 0),
    ],
)
def test_it_speaks_only_when_the_whole_interval_is_worse(name, told, spoken):
    monitor = PerformanceMonitor({"precision": 0.85, "false_alarms_week": 1.0})
    first = monitor.update({name: told}, 0)
    again = PerformanceMonitor(monitor.promised)
    again.load(monitor.state())
    assert len(first) == spoken
    assert again.update({name: told}, HOUR) == ()
