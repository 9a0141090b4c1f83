"""The scripted month: what a model goes through, by itself and with people, and that it goes so each time."""

import pytest

from vedette.testing.simulation import DAY
from vedette.testing.story import Story

pytestmark = pytest.mark.xdist_group("month")


def played(folder, days):
    story = Story(folder, days=days)
    for _ in story.play():
        pass
    return story.told


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    return played(tmp_path_factory.mktemp("month"), 24.0)


def of(told, kind, *words):
    return [each for each in told if each.kind == kind and all(word in each.text for word in words)]


def test_drift_a_refusal_a_promotion_decay_and_a_roll_back_in_that_order(told):
    first = of(told, "decision", "services@1 PROMOTE -> champion")
    noticed = of(told, "signal", "services, joint")
    refused = of(told, "decision", "services", "refused", "golden_baseline", "http_request_errors_per_second")
    marked = of(told, "operator", "marks them as an outage")
    better = of(told, "decision", "services", "-> shadow")
    steps = [of(told, "decision", better[0].text.split()[0], "PROMOTE", stage) for stage in ("-> canary", "-> champion")]
    by_hand = of(told, "decision", "PROMOTE", "an experiment")
    back = of(told, "decision", by_hand[0].text.split()[0], "ROLL_BACK -> retired", "alarms")
    moments = [each[0].at for each in (first, noticed, refused, marked, better, *steps, by_hand, back)]
    assert moments == sorted(moments)
    assert of(told, "training", "services: drift")
    assert back[0].at - by_hand[0].at <= DAY


def test_what_was_called_false_twice_is_not_raised_a_third_time(told):
    false = of(told, "operator", "a false alarm: that is the batch")
    heard = of(told, "heard", "queue_length", "orders")
    assert len(false) == 2
    assert heard[0].at > false[1].at
    # The job runs once more after that, nearly as strong.
    assert not [each for each in of(told, "incident", "orders") if each.at > heard[0].at]


def test_an_outage_is_one_incident_and_a_disk_that_fills_is_told_days_ahead(told):
    assert len(of(told, "incident", "checkout")) == 1
    assert " d, about" in of(told, "incident", "disk_used_ratio", "expected to cross 0.9")[0].text


def test_the_same_weeks_again_have_the_same_decisions(told, tmp_path):
    again = played(tmp_path / "again", 16.0)
    until = again[-1].at - DAY
    assert len(of(again, "decision")) >= 3
    assert [each for each in again if each.at < until] == [each for each in told if each.at < until]
