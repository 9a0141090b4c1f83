import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from vedette.validate import DEFAULT_GATES, Gate, gates_for, judge

NUMBERS = st.floats(-1e6, 1e6)


def one(value, champion=None, **gate):
    (finding,) = judge({gate["metric"]: value}, champion, [Gate(**gate)])
    return finding


def test_bounds_hold_on_both_sides():
    for value, passed in ((0.6, False), (0.65, True), (0.95, True), (0.96, False)):
        assert one(value, metric="coverage_80", min_absolute=0.65, max_absolute=0.95).passed is passed


@given(NUMBERS, NUMBERS)
def test_a_tolerated_loss_is_counted_in_the_better_direction(value, champion):
    higher = one(value, {"event_f1": champion}, metric="event_f1", min_relative_change=-0.05)
    assert higher.passed is (value >= champion - 0.05 * abs(champion))
    lower = one(value, {"mase": champion}, metric="mase", min_absolute_change=0.1)
    assert lower.passed is (value <= champion - 0.1)


@pytest.mark.parametrize("value", [math.nan, math.inf, None])
def test_what_is_not_measured_fails_in_words(value):
    (finding,) = judge({} if value is None else {"mase": value}, None, [Gate(metric="mase", max_absolute=1.0)])
    assert not finding.passed
    assert finding.measured == "not measured"
    assert "was not measured" in finding.why


def test_without_a_champion_nothing_is_compared():
    gate = {"metric": "event_f1", "min_relative_change": 0.1}
    assert one(0.1, None, **gate).passed
    assert one(0.1, {}, **gate).passed
    assert one(0.1, {"event_f1": math.nan}, **gate).passed
    assert "there is none" in one(0.1, None, **gate).required
    assert not one(math.nan, None, **gate).passed


def test_a_finding_says_metric_measured_required_and_why():
    finding = one(2.4, {"false_alarms_per_series_week": 1.0}, metric="false_alarms_per_series_week", min_relative_change=-0.2)
    assert finding.check == "false_alarms_per_series_week"
    assert finding.measured == "2.4"
    assert finding.required == "at most 1.2 (the champion has 1)"
    assert finding.why.startswith("False alarms a series-week is 2.4, worse than the 1.2 asked against the champion's 1.")
    both = one(0.3, {"macro_f1": 0.9}, metric="macro_f1", min_absolute=0.5, min_absolute_change=-0.1)
    assert "less than the 0.5 required and worse than the 0.8 asked" in both.why


def test_a_gate_that_asks_for_nothing_or_does_not_know_the_way_is_refused():
    with pytest.raises(ValidationError, match="asks for nothing"):
        Gate(metric="mase")
    with pytest.raises(ValidationError, match="which way is better"):
        Gate(metric="cache_hits", min_relative_change=0.0)
    with pytest.raises(ValidationError, match="minimum"):
        Gate(metric="mase", minimum=0.0)
    assert one(9.0, {"cache_hits": 8.0}, metric="cache_hits", min_absolute_change=1.0, higher_is_better=True).passed


@pytest.mark.parametrize("family", DEFAULT_GATES)
def test_a_declared_gate_takes_the_place_of_the_usual_one(family):
    usual = DEFAULT_GATES[family]
    own = Gate(metric=usual[0].metric, max_absolute=123.0)
    more = Gate(metric="cache_hits", min_absolute=1.0)
    assert gates_for(family, [own, more]) == (own, *usual[1:], more)
    assert gates_for(family) == usual
