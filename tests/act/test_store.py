"""Incidents in SQL."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vedette.act import Incident, IncidentStore, Notice, Window
from vedette.core.errors import BadRecord, NotFound, Transient

ONE = Incident("a", "open", "warning", "x", 10, 20, None, {"host": "web-1"}, {"members": [{"value": 0.97, "yhat": None}]})


@pytest.fixture
def store(tmp_path):
    with IncidentStore(f"sqlite:///{tmp_path}/vedette.db") as opened:
        yield opened


def test_what_is_kept_comes_back_after_a_restart(tmp_path):
    url = f"sqlite:///{tmp_path}/vedette.db"
    with IncidentStore(url) as store:
        store.upsert([ONE])
    with IncidentStore(url) as store:
        assert store.get("a") == ONE


def test_an_older_state_never_comes_back(store):
    closed = replace(ONE, status="closed", updated_at=30, ended_at=25)
    store.upsert([closed])
    store.upsert([ONE])
    assert store.get("a") == closed
    assert store.open() == ()


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(5)))
def test_upserts_in_any_order_end_with_the_newest(order):
    with IncidentStore("sqlite://") as store:
        for at in order:
            store.upsert([replace(ONE, updated_at=at, title=str(at))])
        assert store.get("a").title == "4"


def test_lists_are_bounded_and_the_newest_come_first(store):
    store.upsert([replace(ONE, id=str(n), started_at=n, status="open" if n % 2 else "closed") for n in range(6)])
    assert [each.id for each in store.list(limit=2)] == ["5", "4"]
    assert [each.id for each in store.list(status="closed")] == ["4", "2", "0"]
    assert [each.id for each in store.open()] == ["1", "3", "5"]


def test_an_answer_stays_with_its_incident_whatever_comes_later(store):
    store.upsert([ONE])
    store.answer("a", "real", "ann", "", 21)
    said = store.answer("a", "false", "bob", "a test", 22)
    store.upsert([replace(ONE, updated_at=40)])
    assert store.get("a").verdict == "false"
    assert [each.actor for each in store.answers("a")] == ["ann", "bob"]
    assert said.note == "a test"


def test_an_answer_must_be_about_something_and_a_known_word(store):
    store.upsert([ONE])
    with pytest.raises(NotFound):
        store.answer("b", "real", "ann", "", 1)
    with pytest.raises(BadRecord, match="real, false, known"):
        store.answer("a", "maybe", "ann", "", 1)
    assert store.answers("a") == ()
    with pytest.raises(NotFound):
        store.get("b")


def test_many_windows_are_added_at_once_and_each_only_once(store):
    day = [Window(0, "outage", at, at + 10, {"host": "a"}, "labelled") for at in range(0, 100, 20)]
    assert store.add_windows(day[:3]) == 3
    assert store.add_windows([*day, day[0]]) == 2
    assert [(each.start, each.end) for each in store.windows()] == [(each.start, each.end) for each in day]
    assert store.add_windows([replace(day[0], labels={"host": "b"}), replace(day[0], kind="maintenance")]) == 2
    assert store.add_windows([]) == 0
    with pytest.raises(BadRecord):
        store.add_windows([Window(0, "outage", 200, 210), Window(0, "outage", 5, 5)])
    assert len(store.windows()) == 7


def test_windows_are_added_listed_and_dropped(store):
    night = store.add_window(Window(0, "maintenance", 10, 20, {"host": "web-*"}, "kernel"))
    down = store.add_window(Window(0, "outage", 5, 15))
    assert store.windows() == (down, night)
    assert store.windows("maintenance", since=20) == (night,)
    store.drop_window(down.id)
    assert store.windows() == (night,)
    with pytest.raises(NotFound):
        store.drop_window(down.id)
    with pytest.raises(BadRecord):
        store.add_window(Window(0, "outage", 5, 5))


def test_the_last_notice_counts(store):
    store.note(Notice("a", "pager", "firing:warning", 1, "sent", {"alertname": "x"}))
    assert store.unresolved("pager") == ("a",)
    last = Notice("a", "pager", "resolved", 2, "sent")
    store.note(last)
    assert store.notices("pager", ["a", "b"]) == {"a": last}
    assert store.unresolved("pager") == ()


def test_what_is_long_over_is_forgotten(store):
    store.upsert([ONE, replace(ONE, id="b", status="closed", ended_at=15)])
    store.note(Notice("b", "pager", "resolved", 2, "sent"))
    assert store.forget(100) == 1
    assert [each.id for each in store.list()] == ["a"]
    assert store.notices("pager", ["b"]) == {}


def test_a_database_that_cannot_be_opened_is_said_to_be_so(tmp_path):
    with pytest.raises(Transient, match="cannot be used now"):
        IncidentStore(f"sqlite:///{tmp_path}/missing/vedette.db")
