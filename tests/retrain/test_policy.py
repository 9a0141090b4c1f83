"""When a model is trained anew, and what holds it back."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vedette.core.types import Signal
from vedette.retrain import Known, RetrainSettings, reasons, wish
from vedette.retrain.policy import DAY, HOUR

SETTINGS = RetrainSettings()
NOW = 100 * DAY
CALM = Known(at=NOW, data_days=28.0, trained_at=NOW - 2 * DAY, tried_at=NOW - 2 * DAY)


def told(monitor):
    return (Signal(NOW, monitor, "web", "warning", f"{monitor} was seen", "look"),)


def test_nothing_is_wished_for_where_nothing_happened():
    assert wish(CALM, SETTINGS) is None
    assert list(reasons(CALM, SETTINGS)) == []


REASONS = {
    "schedule: the champion was trained 7.0 days ago": replace(CALM, trained_at=NOW - 7 * DAY),
    "drift: drift was seen": replace(CALM, signals=told("drift")),
    "drift: joint was seen": replace(CALM, signals=told("joint")),
    "decay: precision was seen": replace(CALM, signals=told("precision")),
    "decay: scores was seen": replace(CALM, signals=told("scores")),
    "verdicts: operators answered 5 times since the last training": replace(CALM, verdicts=5),
    "new series: the champion never saw 25% of the live ones": replace(CALM, unseen_share=0.25),
    "there is no version yet, and there are 7.0 days of data": Known(at=NOW, data_days=7.0),
}


@pytest.mark.parametrize("words", REASONS)
def test_each_reason_opens_a_training_in_its_words(words):
    found = wish(REASONS[words], SETTINGS)
    assert (found.train, found.reason) == (True, words)


NO_REASONS = {
    "no version and little data": Known(at=NOW, data_days=6.9, signals=told("drift"), verdicts=50),
    "a signal that is none of ours": replace(CALM, signals=told("quality")),
    "few verdicts": replace(CALM, verdicts=4),
    "few new series": replace(CALM, unseen_share=0.19),
    "trained lately": replace(CALM, trained_at=NOW - 7 * DAY + 1),
}


@pytest.mark.parametrize("why", NO_REASONS)
def test_what_is_no_reason_opens_none(why):
    assert wish(NO_REASONS[why], SETTINGS) is None


def test_signals_that_are_not_listened_to_are_no_reason():
    deaf = RetrainSettings(drift=False, decay=False)
    assert wish(replace(CALM, signals=told("drift") + told("precision")), deaf) is None
    assert wish(replace(CALM, signals=told("drift") + told("precision")), RetrainSettings(drift=False)).reason == (
        "decay: precision was seen"
    )


HINDRANCES = {
    "a training or its candidate is on its way": {"running": True},
    "the last attempt was 23.0 h ago, and 24 h have to pass": {"tried_at": NOW - 23 * HOUR},
    "the week's 7200 s of training are spent": {"spent": 7200.0},
    "5 candidates were refused in a row: a person has to look": {"refused": 5},
}


@pytest.mark.parametrize("words", HINDRANCES)
def test_each_hindrance_holds_it_back_and_says_so(words):
    found = wish(replace(CALM, verdicts=5, **HINDRANCES[words]), SETTINGS)
    assert not found.train
    assert found.reason == f"verdicts: operators answered 5 times since the last training; but {words}"


def test_the_first_reason_is_told_and_the_others_are_counted():
    found = wish(replace(CALM, trained_at=NOW - 9 * DAY, verdicts=5, unseen_share=1.0), SETTINGS)
    assert found.reason == "schedule: the champion was trained 9.0 days ago (and 2 more)"


known = st.builds(
    Known,
    at=st.just(NOW),
    data_days=st.floats(0, 60),
    trained_at=st.one_of(st.just(0), st.integers(1, NOW)),
    tried_at=st.one_of(st.just(0), st.integers(1, NOW)),
    running=st.booleans(),
    refused=st.integers(0, 9),
    spent=st.floats(0, 9000),
    signals=st.sampled_from([(), told("drift"), told("quality")]),
    verdicts=st.integers(0, 9),
    unseen_share=st.floats(0, 1),
)


@given(known)
def test_a_training_is_begun_only_for_a_reason_and_with_nothing_in_its_way(case):
    found = wish(case, SETTINGS)
    assert (found is None) == (not list(reasons(case, SETTINGS)))
    if found and found.train:
        assert not case.running
        assert case.spent < SETTINGS.budget_seconds
        assert case.refused < SETTINGS.failures
        assert not case.tried_at or case.at - case.tried_at >= SETTINGS.cooldown_hours * HOUR
    assert wish(case, RetrainSettings(automatic=False)) is None
