"""Receivers are told what is, until they know."""

import json
from dataclasses import replace

import pytest

from vedette.act import Incident, IncidentStore, Notifier, ReceiverSettings, Reply, Window, signature
from vedette.core.errors import ConfigError, Transient

SECOND = 1_000_000
START = 1_750_000_000 * SECOND
ONE = Incident(
    "a1", "open", "warning", "CPU of host web-1 above expected", START, START, None, {"host": "web-1"}, {"first": ["CPU", "load"]}
)
PAGER = ReceiverSettings(kind="alertmanager", url="http://pager.example:9093/", name="pager")
HOOK = ReceiverSettings(kind="webhook", url="http://hook.example/x", name="hook", secret="s3cret", per_minute=3)


class Desk:
    """A store, a clock and a network under one's control."""

    def __init__(self, *receivers):
        self.store = IncidentStore("sqlite://")
        self.now = START
        self.sent = []
        self.counts = []
        self.replies = []
        self.notifier = Notifier(
            self.store,
            receivers,
            clock=lambda: self.now,
            post=self._post,
            random=lambda: 0.5,
            count=lambda *outcome: self.counts.append(outcome),
            address="http://127.0.0.1:4680",
        )

    def _post(self, request):
        self.sent.append(request)
        reply = self.replies.pop(0) if self.replies else Reply(200)
        if isinstance(reply, Exception):
            raise reply
        return reply

    def step(self, seconds=1.0, *incidents):
        self.now += int(seconds * SECOND)
        self.store.upsert(replace(each, updated_at=self.now) for each in incidents)
        self.sent.clear()
        self.notifier.step()
        return [json.loads(request.body) for request in self.sent]


@pytest.fixture
def desk(request):
    made = Desk(PAGER)
    yield made
    made.store.close()


@pytest.fixture
def hooked():
    made = Desk(HOOK)
    yield made
    made.store.close()


def test_an_alertmanager_is_told_again_while_it_fires_and_once_when_it_is_over(desk):
    ((alert,),) = desk.step(1, ONE)
    assert desk.sent[0].url == "http://pager.example:9093/api/v2/alerts"
    assert alert["labels"] == {"alertname": "VedetteIncident", "incident": "a1", "severity": "warning", "host": "web-1"}
    assert alert["annotations"] == {"summary": ONE.title, "description": "CPU\nload"}
    assert alert["startsAt"] == "2025-06-15T15:06:40Z"
    assert alert["endsAt"] == "2025-06-15T15:10:41Z"
    assert alert["generatorURL"] == "http://127.0.0.1:4680/incidents/a1"
    assert desk.step(30) == []
    assert len(desk.step(30)) == 1
    ((over,),) = desk.step(5, replace(ONE, status="closed", ended_at=desk.now))
    assert over["endsAt"] < alert["endsAt"]
    assert over["labels"] == alert["labels"]
    assert desk.step(500) == []
    assert set(desk.counts) == {("pager", "sent")}


def test_an_alert_keeps_its_labels_and_a_new_severity_resolves_the_old(desk):
    ((first,),) = desk.step(1, ONE)
    ((new, old),) = desk.step(1, replace(ONE, severity="critical", labels={}))
    assert new["labels"] == {**first["labels"], "severity": "critical"}
    assert old["labels"] == first["labels"]
    assert old["endsAt"] < new["endsAt"]


def test_a_restart_tells_nothing_twice_and_forgets_nothing(desk):
    desk.step(1, ONE)
    again = Desk(PAGER)
    again.store, again.notifier._store, again.now = desk.store, desk.store, desk.now
    assert again.step(1) == []
    assert len(again.step(1, replace(ONE, status="closed", ended_at=again.now))) == 1


def test_a_receiver_that_fails_is_tried_again_ever_later_and_then_told_how_things_are(desk):
    desk.replies = [Reply(503), Transient("no route"), Reply(500)]
    assert len(desk.step(1, ONE)) == 1
    assert desk.step(0.9) == []
    assert len(desk.step(0.2)) == 1
    assert desk.step(1.9) == []
    assert len(desk.step(0.2)) == 1
    assert desk.step(3.9) == []
    assert len(desk.step(0.2)) == 1
    assert [outcome for _, outcome in desk.counts] == ["failed", "failed", "failed", "sent"]
    assert desk.step(1) == []


def test_the_receiver_may_ask_for_patience(desk):
    desk.replies = [Reply(429, retry_after=120.0)]
    desk.step(1, ONE)
    assert desk.step(119) == []
    assert len(desk.step(2)) == 1


def test_what_will_never_be_taken_is_not_sent_over_and_over(hooked):
    hooked.replies = [Reply(400), ConfigError(["10.0.0.1 is private"])]
    assert len(hooked.step(1, ONE)) == 1
    assert hooked.step(1000) == []
    assert len(hooked.step(1, replace(ONE, severity="critical"))) == 1
    assert hooked.step(1000) == []
    assert hooked.counts == [("hook", "refused")] * 2


def test_one_receiver_that_fails_does_not_hold_up_the_other():
    desk = Desk(PAGER, HOOK)
    desk.replies = [Transient("down")]
    assert len(desk.step(1, ONE)) == 2
    assert desk.counts == [("pager", "failed"), ("hook", "sent")]
    desk.store.close()


def test_a_webhook_is_told_of_beginning_change_and_end_as_signed_events(hooked):
    (opened,) = hooked.step(1, ONE)
    (request,) = hooked.sent
    assert opened["specversion"] == "1.0"
    assert (opened["type"], opened["subject"], opened["data"]["title"]) == ("dev.vedette.incident.opened", "a1", ONE.title)
    assert request.headers["Content-Type"] == "application/cloudevents+json"
    assert request.headers["Vedette-Signature"] == signature("s3cret", request.headers["Vedette-Timestamp"], request.body)
    assert b"s3cret" not in request.body
    assert hooked.step(1000) == []
    (updated,) = hooked.step(1, replace(ONE, severity="critical"))
    (closed,) = hooked.step(1, replace(ONE, status="closed", severity="critical", ended_at=hooked.now))
    assert [updated["type"][-7:], closed["type"][-6:]] == ["updated", "closed"]
    assert hooked.step(1000) == []


def test_the_same_state_sent_again_has_the_same_id(hooked):
    hooked.replies = [Reply(500)]
    (first,) = hooked.step(1, ONE)
    (second,) = hooked.step(5)
    assert first["id"] == second["id"]


def test_too_many_at_once_are_held_back_summed_up_and_told_later(hooked):
    many = [replace(ONE, id=f"n{each}", severity="critical" if each == 7 else "warning") for each in range(8)]
    told = hooked.step(1, *many)
    assert [each["subject"] for each in told] == ["n7", "n0", "n1", "held-back"]
    assert told[-1]["data"]["incidents"] == ["n2", "n3", "n4", "n5", "n6"]
    assert hooked.step(1) == []
    later = [hooked.step(61), hooked.step(61)]
    assert [[each["subject"] for each in told] for told in later] == [["n2", "n3", "n4", "held-back"], ["n5", "n6"]]


def test_maintenance_mutes_and_what_outlasts_it_is_told_then(desk):
    desk.store.add_window(Window(0, "maintenance", START, START + 600 * SECOND, {"host": "web-*"}))
    assert desk.step(1, ONE) == []
    assert desk.step(100) == []
    assert desk.counts == [("pager", "muted")]
    assert len(desk.step(600)) == 1


@pytest.mark.parametrize("verdict", ["false", "known"])
def test_who_said_false_alarm_is_heard(desk, verdict):
    ((alert,),) = desk.step(1, ONE)
    desk.store.answer("a1", verdict, "ann", "", desk.now)
    ((over,),) = desk.step(1)
    assert over["endsAt"] < alert["endsAt"]
    assert desk.step(1000) == []


def test_what_is_not_bad_enough_is_not_told(desk):
    assert desk.step(1, replace(ONE, severity="info")) == []
    assert len(desk.step(1, ONE)) == 1


def test_a_receiver_named_twice_is_refused():
    with pytest.raises(ConfigError, match="'pager' is given twice"):
        Desk(PAGER, PAGER)


def test_it_runs_until_it_is_told_to_stop(desk):
    desk.store.upsert([ONE])
    waits = []
    desk.notifier.run(lambda seconds: waits.append(seconds) or len(waits) > 3)
    assert waits == [0.0, 2.0, 2.0, 2.0]
    assert len(desk.sent) == 1


def test_no_secret_shows_in_a_dump():
    assert "s3cret" not in repr(HOOK)
    assert "s3cret" not in HOOK.model_dump_json()
