"""What operators' answers change, how far, and how it is taken back."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vedette.act import Incident, IncidentStore
from vedette.act.hearing import DAY, ROWS, HearingSettings, tolerated
from vedette.act.store import Answer

SETTINGS = HearingSettings()


def incident(name, *members):
    """Members as (series, direction, score)."""
    told = [{"kind": "metric", "series": series, "direction": side, "score": score} for series, side, score in members]
    return Incident(name, "closed", "warning", name, 1, 2, 3, {}, {"members": told})


def answer(name, verdict="false", actor="ann", at=10):
    return Answer(at, name, verdict, actor)


UP = [incident(name, (7, "up", score)) for name, score in (("a", 2.0), ("b", 3.0), ("c", 1.5))]


def heard(*answers, incidents=UP, settings=SETTINGS):
    return tolerated(incidents, answers, settings)


def test_a_false_alarm_is_tolerated_when_it_was_confirmed_and_not_before():
    assert heard(answer("a")).is_empty()
    assert heard(answer("a"), answer("a", at=11)).is_empty()
    found = heard(answer("a"), answer("b", at=20))
    assert dict(found.schema) == ROWS
    assert found.rows() == [(7, 1, pytest.approx(1.3 * 3.0), 20 + 30 * DAY)]


def test_only_the_side_that_was_odd_in_both_is_tolerated():
    down = incident("d", (7, "down", 4.0), (8, "down", 4.0))
    assert heard(answer("a"), answer("d"), incidents=[*UP, down]).is_empty()
    other = incident("e", (7, "down", 2.0))
    found = heard(answer("d"), answer("e"), incidents=[*UP, down, other])
    assert found.select("series", "side").rows() == [(7, -1)]


def test_known_counts_as_false_and_the_last_word_on_an_incident_counts():
    assert heard(answer("a", "known"), answer("b", "known")).height == 1
    assert heard(answer("a"), answer("b"), answer("b", "real", at=11)).is_empty()
    assert heard(answer("a"), answer("b", "real"), answer("b", at=11)).height == 1


def test_real_ends_it_and_it_takes_two_to_begin_again():
    said = [answer("a", at=10), answer("b", at=20)]
    incidents = [*UP, incident("d", (7, "up", 2.0)), incident("e", (7, "up", 2.0))]
    assert heard(*said, answer("c", "real", at=30)).is_empty()
    assert heard(*said, answer("c", "real", at=30), answer("d", at=40), incidents=incidents).is_empty()
    again = heard(*said, answer("c", "real", at=30), answer("d", at=40), answer("e", at=50), incidents=incidents)
    assert again["factor"].to_list() == [pytest.approx(1.3 * 2.0)]
    assert heard(answer("c", "real", at=5), *said).height == 1


def test_what_is_far_beyond_is_raised_whatever_was_said():
    far = [incident(name, (7, "up", 500.0)) for name in "ab"]
    assert heard(answer("a"), answer("b"), incidents=far)["factor"].to_list() == [SETTINGS.most]


def test_what_was_not_odd_or_is_no_metric_is_not_tolerated():
    odd = {"kind": "metric", "series": 7, "direction": "up", "score": 2.0}
    others = [{"score": None}, {"score": 0.9}, {"kind": "logs"}, {"kind": "silence"}, {"series": None}]
    for other in others:
        mild = [replace(each, explanation={"members": [odd | other]}) for each in UP]
        assert heard(answer("a"), answer("b"), incidents=mild).is_empty()
    assert heard(answer("a"), answer("b"), incidents=[replace(each, explanation={}) for each in UP]).is_empty()


def clicks(actor, series, first=0):
    """Two false incidents of each series, and what `actor` says of them."""
    names = [(f"{actor}-{each}-{turn}", each) for each in series for turn in (1, 2)]
    incidents = [incident(name, (each, "up", 2.0)) for name, each in names]
    return incidents, [answer(name, actor=actor, at=first + place) for place, (name, _) in enumerate(names)]


def test_a_thousand_answers_of_one_person_move_a_few_series_and_are_taken_back():
    incidents, said = clicks("eve", range(1, 501))
    found = heard(*said, incidents=incidents)
    assert found["series"].to_list() == list(range(1, SETTINGS.per_person + 1))
    back = [answer(each.incident, "real", "ann", 5000 + place) for place, each in enumerate(said)]
    assert heard(*said, *back, incidents=incidents).is_empty()


def test_both_sides_of_a_series_are_one_series_of_a_person():
    both = [
        incident(f"{side}{turn}", (series, side, 2.0)) for turn in (1, 2) for side, series in (("up", 1), ("down", 1), ("mid", 2))
    ]
    said = [answer(each.id) for each in both]
    found = heard(*said, incidents=both, settings=HearingSettings(per_person=1))
    assert found.select("series", "side").rows() == [(1, -1), (1, 1)]


def test_answers_of_two_people_count_beyond_that():
    incidents, said = clicks("eve", range(1, 101))
    agreed = [replace(each, actor="ann") if place % 2 else each for place, each in enumerate(said)]
    assert heard(*agreed, incidents=incidents).height == 100
    others, more = clicks("bob", range(201, 301), first=1000)
    assert heard(*said, *more, incidents=[*incidents, *others]).height == 2 * SETTINGS.per_person


answers = st.lists(
    st.builds(
        Answer,
        at=st.integers(0, 30),
        incident=st.sampled_from([f"{number}" for number in range(8)]),
        verdict=st.sampled_from(["false", "known", "real"]),
        actor=st.sampled_from(["ann", "eve"]),
    ),
    unique_by=lambda said: (said.at, said.incident),
    max_size=25,
)


@given(answers, st.randoms(use_true_random=False))
def test_the_order_in_which_it_is_told_does_not_matter_and_the_bounds_hold(said, chance):
    incidents = [incident(f"{number}", (number % 3 + 1, "up", 1.5 + number), (9, "down", 2.0)) for number in range(8)]
    narrow = HearingSettings(per_person=1)
    found = heard(*said, incidents=incidents, settings=narrow)
    chance.shuffle(said)
    chance.shuffle(incidents)
    assert heard(*said, incidents=incidents, settings=narrow).equals(found)
    assert all(1.0 < each <= narrow.most for each in found["factor"])
    assert found["series"].is_sorted()


def test_the_store_hears_what_was_said_since_and_of_what(tmp_path):
    with IncidentStore(f"sqlite:///{tmp_path}/vedette.db") as store:
        store.upsert(UP)
        for place, name in enumerate("abca"):
            store.answer(name, "false", "ann", "", 10 + place)
        incidents, said = store.heard(12)
        assert [each.id for each in incidents] == ["a", "c"]
        assert [(each.incident, each.at) for each in said] == [("c", 12), ("a", 13)]
        assert store.heard(14) == ((), ())
        assert tolerated(*store.heard(0), SETTINGS)["series"].to_list() == [7]
