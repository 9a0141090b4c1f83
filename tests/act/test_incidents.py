"""From verdicts, log lines and events to few incidents."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vedette.act import ActSettings, Incidents, Rule
from vedette.core.catalogue import Catalogue
from vedette.core.frames import EVENTS, LOGS, SERIES, TEMPLATES, VERDICTS, empty, from_rows

SECOND = 1_000_000
START = 1_750_000_000 * SECOND
LOG_LINES = {**LOGS, "source": pl.String, "template": pl.Int64}
NAMES = {
    1: ("node_cpu_seconds_total", {"instance": "web-1:9100", "job": "node", "mode": "user"}, "counter"),
    2: ("node_load1", {"instance": "web-1:9100", "job": "node"}, "gauge"),
    3: ("queue_length", {"instance": "db-1:9100", "job": "node"}, "gauge"),
    4: ("up", {"instance": "web-1:9100", "job": "node"}, "gauge"),
    5: ("node_memory_MemAvailable_bytes", {"instance": "web-1:9100"}, "gauge"),
    6: ("log_stream", {"service": "pay", "host": "web-1"}, "stream"),
    7: ("log_severity_lines", {"service": "pay", "host": "web-1", "severity": "error"}, "gauge"),
    8: ("log_stream", {"service": "mail", "host": "mx-1"}, "stream"),
    9: ("latency_seconds", {"service": "pay", "instance": "db-1:80"}, "gauge"),
    10: ("go_gc_duration_seconds", {"instance": "web-1:9100", "job": "node"}, "gauge"),
}


def catalogue():
    known = Catalogue()
    known.add(from_rows([(series, name, labels, kind, "") for series, (name, labels, kind) in NAMES.items()], SERIES))
    return known


QUICK = {"points": 3, "alone_seconds": 120, "grace_seconds": 600}


class Drive:
    """Hands beats to an Incidents and keeps the last of what it said of each incident."""

    def __init__(self, declared=None):
        self.incidents = Incidents(declared or ActSettings(**QUICK), catalogue())
        self.now = START
        self.told = {}

    def beat(self, *points, seconds=10, logs=(), events=(), templates=()):
        """`points`: (series, score), perhaps with a value and a model's name; expected is 0.2 (0.15 to 0.31), of `up` 1."""
        self.now += seconds * SECOND
        rows = []
        for series, score, *more in points:
            value = more[0] if more else (0.97 if score is None or score > 1 else 0.2)
            model = more[1] if len(more) > 1 else "envelope"
            expected = (1.0, 1.0, 1.0) if series == 4 else (15.0, 0.0, 30.0) if model == "heartbeat" else (0.2, 0.15, 0.31)
            rows.append((self.now, series, model, "1", value, *expected, score))
        changed = self.incidents.observe(
            self.now,
            from_rows(rows, VERDICTS),
            from_rows(list(logs), LOG_LINES),
            from_rows(list(events), {**EVENTS, "source": pl.String}),
            from_rows(list(templates), TEMPLATES),
        )
        self.told.update({each.id: each for each in changed})
        return changed

    def begin(self):
        """Be there for a while before anything happens."""
        for _ in range(10):
            self.beat()

    def alert(self, status, key="a", labels=None, kind="alert"):
        labels = {"alertname": "HighLatency", "severity": "critical", "instance": "web-1:9100"} if labels is None else labels
        return (self.now, kind, key, status, "latency is high", labels, {}, self.now, None, "alertmanager")

    @property
    def open(self):
        return [each for each in self.told.values() if each.status == "open"]


def test_a_series_that_stays_odd_is_one_incident_that_explains_itself():
    drive = Drive()
    for _ in range(30):
        drive.beat((1, 5.0))
    (incident,) = drive.told.values()
    assert incident.title == "CPU (user) of host web-1 far above expected: 97 % against 20 % (15 % to 31 %)"
    assert (incident.status, incident.severity, incident.started_at) == ("open", "warning", START + 10 * SECOND)
    assert incident.labels == NAMES[1][1]
    member = incident.explanation["members"][0]
    assert (member["value"], member["yhat"], member["direction"]) == (0.97, 0.2, "up")
    assert incident.explanation["direction"] == "up"


def test_what_lasts_too_short_is_no_incident():
    drive = Drive()
    for _ in range(40):
        for score in (9.0, 9.0, 0.1, 0.1, 0.1):
            drive.beat((1, score))
    assert not drive.told


def test_two_measures_of_a_host_are_one_incident_and_sooner():
    drive = Drive()
    for _ in range(4):
        drive.beat((1, 5.0), (2, 5.0, 4.0))
    (incident,) = drive.open
    assert incident.explanation["member_count"] == 2
    assert incident.title.endswith("(and 1 more)")


def test_what_was_a_little_odd_long_before_joins_and_does_not_say_when_it_began():
    drive = Drive()
    for _ in range(35):
        drive.beat((10, 5.0))
    for _ in range(20):
        drive.beat((10, 5.0), (1, 5.0))
    (incident,) = drive.told.values()
    assert incident.explanation["member_count"] == 2
    assert incident.started_at == START + 360 * SECOND
    assert incident.title.startswith("CPU (user)")


def test_two_things_of_a_host_that_are_each_enough_in_the_same_beat_are_one_incident():
    drive = Drive()
    for _ in range(36):
        drive.beat((10, 5.0))
    for _ in range(10):
        drive.beat((10, 5.0), (1, 5.0))
    assert len(drive.told) == 1


def test_two_hosts_are_two_incidents_until_something_ties_them():
    drive = Drive()
    for _ in range(15):
        drive.beat((1, 5.0), (3, 5.0))
    assert len(drive.open) == 2
    older = min(drive.open, key=lambda each: (each.started_at, each.id))
    both = {"alertname": "Slow", "host": "web-1", "service": "pay", "severity": "warning"}
    drive.beat((1, 5.0), (3, 5.0), events=[drive.alert("firing", "t", both)])
    for _ in range(15):
        drive.beat((1, 5.0), (3, 5.0), (9, 5.0))
    (left,) = drive.open
    assert left.id == older.id
    assert len(left.explanation["merged"]) == 1
    (gone,) = [each for each in drive.told.values() if each.status == "closed"]
    assert gone.explanation["merged_into"] == left.id


def test_what_is_at_a_loopback_address_is_this_host_where_only_this_host_can_send():
    local = from_rows(
        [
            (1, "node_cpu_seconds_total", {"instance": "127.0.0.1:9100", "mode": "user"}, "counter", ""),
            (2, "node_load1", {"host": "Web-1"}, "gauge", ""),
        ],
        SERIES,
    )
    for here, expected in (("web-1", 1), ("", 2)):
        known = Catalogue()
        known.add(local)
        drive = Drive()
        drive.incidents = Incidents(ActSettings(**QUICK), known, here)
        for _ in range(30):
            drive.beat((1, 5.0), (2, 5.0, 4.0))
        assert len(drive.open) == expected


def test_an_incident_is_closed_when_calm_for_long_enough_and_reopened_within_the_grace():
    drive = Drive()
    for _ in range(15):
        drive.beat((1, 5.0))
    end = drive.now
    for _ in range(29):
        drive.beat((1, 0.1))
    assert drive.open
    for _ in range(3):
        drive.beat((1, 0.1))
    (incident,) = drive.told.values()
    assert (incident.status, incident.ended_at) == ("closed", end)
    for _ in range(5):
        drive.beat((1, 5.0))
    (again,) = drive.told.values()
    assert (again.status, again.id, again.ended_at) == ("open", incident.id, None)


def test_after_the_grace_there_is_a_new_incident_and_nothing_is_remembered_of_the_old():
    drive = Drive()
    for _ in range(15):
        drive.beat((1, 5.0))
    for _ in range(120):
        drive.beat((1, 0.1))
    assert len(drive.incidents.state()["memory"]) < 100
    for _ in range(15):
        drive.beat((1, 5.0))
    assert len(drive.told) == 2


def test_a_level_that_the_model_accepts_is_over_only_when_it_is_back_or_has_settled():
    drive = Drive()
    for _ in range(15):
        drive.beat((1, 5.0))
    for _ in range(150):
        drive.beat((1, 0.1, 0.97))
    assert drive.open
    for _ in range(90):
        drive.beat((1, 0.1, 0.97))
    assert not drive.open


def test_a_level_that_the_model_accepts_soon_is_an_incident_all_the_same():
    drive = Drive(ActSettings())
    for _ in range(20):
        drive.beat((3, 2.0))
    assert not drive.told
    for _ in range(30):
        drive.beat((3, 0.1, 0.97))
    assert drive.open


def test_a_target_that_is_down_stays_an_incident_however_used_the_model_is_to_it():
    drive = Drive()
    for _ in range(4):
        drive.beat((4, 9.0, 0.0))
    for _ in range(10):
        drive.beat((4, 9.0, 0.0))
    for _ in range(500):
        drive.beat((4, 0.0, 0.0))
    (incident,) = drive.open
    assert incident.severity == "critical"
    assert incident.title == "Target is down: job node, instance web-1:9100"


def test_null_scores_neither_open_nor_close():
    drive = Drive()
    for _ in range(50):
        drive.beat((1, None))
    assert not drive.told
    for _ in range(15):
        drive.beat((1, 5.0))
    for _ in range(100):
        drive.beat((1, None))
    assert drive.open


@pytest.mark.parametrize(("value", "counts"), [(0.97, True), (0.05, False), (0.21, False)])
def test_direction_and_least_deviation_are_those_of_the_rule(value, counts):
    drive = Drive()
    for _ in range(20):
        drive.beat((1, 5.0, value))
    assert bool(drive.told) is counts


def test_what_says_little_must_last_longer_than_what_says_much():
    heavy, light = Drive(ActSettings()), Drive(ActSettings())
    for _ in range(30):
        heavy.beat((1, 2.0))
        light.beat((3, 2.0))
    assert heavy.told
    assert not light.told
    for _ in range(30):
        light.beat((3, 2.0))
    assert light.told


def test_a_target_is_down_with_its_second_failure():
    drive = Drive(ActSettings())
    drive.beat((4, 9.0, 0.0))
    assert not drive.told
    drive.beat((4, 9.0, 0.0))
    assert drive.open[0].severity == "critical"


def test_a_rule_of_the_user_comes_first():
    drive = Drive(ActSettings(**QUICK, rules=(Rule(name="node_cpu.*", direction="none"),)))
    for _ in range(30):
        drive.beat((1, 5.0))
    assert not drive.told


def test_a_silence_counts_at_once_and_ends_with_the_first_point():
    drive = Drive()
    drive.begin()
    drive.beat((3, 2.0, 75.0, "heartbeat"))
    (incident,) = drive.open
    assert incident.title == "No data from host db-1: queue length silent for 75 s, usually every 15 s"
    assert incident.started_at == drive.now - 75 * SECOND
    for _ in range(40):
        drive.beat((3, None))
    assert not drive.open


def test_a_vanished_target_is_one_incident_of_its_silent_series():
    drive = Drive()
    drive.begin()
    drive.beat((2, 2.0, 75.0, "heartbeat"), (4, 2.0, 75.0, "heartbeat"), (5, 2.0, 75.0, "heartbeat"))
    (incident,) = drive.open
    assert incident.severity == "critical"
    assert incident.title == "No data from host web-1: 3 series fell silent"


def test_what_seems_silent_because_we_were_away_is_given_its_time():
    drive = Drive()
    drive.beat()
    drive.beat((3, 40.0, 7200.0, "heartbeat"), (5, 40.0, 7200.0, "heartbeat"), seconds=7200)
    drive.beat((3, 0.1))
    assert not drive.told
    drive.beat(seconds=20)
    (incident,) = drive.open
    assert [each["series"] for each in incident.explanation["members"]] == [5]


def novel(drive, severity, body):
    now = drive.now + 10 * SECOND
    line = (now, now, 6, severity, body, {}, "app", 77)
    return drive.beat((6, 5.0, 2.0, "novelty"), logs=[line], templates=[(77, body, now, 6)])


def test_a_new_kind_of_error_is_an_incident_with_its_line():
    drive = Drive()
    (incident,) = novel(drive, 17, "cannot charge card: gateway unreachable")
    assert incident.title == "New kind of log line of service pay on host web-1: cannot charge card: gateway unreachable"
    assert incident.explanation["logs"][0]["body"] == "cannot charge card: gateway unreachable"


def test_a_new_kind_of_ordinary_line_only_joins_what_else_happens():
    drive = Drive()
    assert not novel(drive, 9, "cache warmed up")
    assert not drive.told
    for _ in range(15):
        drive.beat((1, 5.0))
    (incident,) = drive.open
    assert [each["kind"] for each in incident.explanation["members"]] == ["template", "metric"]


def test_a_burst_of_errors_is_an_incident_by_itself_with_sample_lines():
    drive = Drive()
    line = (drive.now, drive.now, 6, 17, "boom", {}, "app", 5)
    other = (drive.now, drive.now, 8, 17, "somewhere else", {}, "app", 6)
    drive.beat(logs=[line, other])
    drive.beat((7, 30.0, 500.0), seconds=60)
    (incident,) = drive.open
    assert [each["body"] for each in incident.explanation["logs"]] == ["boom"]


def test_an_alert_and_the_metrics_of_its_host_are_one_incident():
    drive = Drive()
    drive.beat(events=[drive.alert("firing")])
    for _ in range(6):
        drive.beat((1, 5.0))
    (incident,) = drive.open
    assert incident.severity == "critical"
    assert {each["kind"] for each in incident.explanation["members"]} == {"alert", "metric"}
    drive.beat((1, 0.1), events=[drive.alert("resolved")])
    for _ in range(40):
        drive.beat((1, 0.1))
    assert not drive.open


def test_our_own_alerts_and_minor_ones_open_nothing():
    drive = Drive()
    own = {"alertname": "VedetteIncident", "severity": "critical"}
    minor = {"alertname": "Watchdog", "severity": "none"}
    for _ in range(10):
        drive.beat(events=[drive.alert("firing", "o", own), drive.alert("firing", "w", minor)])
    assert not drive.told


def test_changes_before_it_on_the_same_labels_are_told():
    drive = Drive()
    mine = {"host": "web-1"}
    drive.beat(events=[drive.alert("", "d1", mine, "change"), drive.alert("", "d2", {"host": "other"}, "change")])
    for _ in range(15):
        drive.beat((1, 5.0))
    (incident,) = drive.open
    assert [each["key"] for each in incident.explanation["changes"]] == ["d1"]


def test_history_wakes_nobody():
    drive = Drive()
    for _ in range(20):
        drive.now += 10 * SECOND
        rows = [(drive.now - 7200 * SECOND, 1, "envelope", "1", 0.97, 0.2, 0.1, 0.3, 5.0)]
        assert not drive.incidents.observe(drive.now, from_rows(rows, VERDICTS), empty(LOG_LINES), empty(EVENTS), empty(TEMPLATES))


def test_a_storm_is_few_incidents():
    known = Catalogue()
    known.add(from_rows([(each, "load", {"host": f"h{each}"}, "gauge", "") for each in range(200)], SERIES))
    incidents = Incidents(ActSettings(**QUICK), known)
    told = {}
    for step in range(20):
        at = START + step * 10 * SECOND
        rows = [(at, each, "envelope", "1", 9.0, 1.0, 0.5, 1.5, 5.0) for each in range(200)]
        changed = incidents.observe(at, from_rows(rows, VERDICTS), empty(LOG_LINES), empty(EVENTS), empty(TEMPLATES))
        told.update({each.id: each for each in changed})
    assert len(told) == 11
    assert sum(each.explanation["member_count"] for each in told.values()) == 200


def test_what_is_watched_is_bounded():
    drive = Drive(ActSettings(**QUICK, max_members=2))
    for _ in range(15):
        drive.beat((1, 5.0), (2, 5.0, 9.0), (3, 5.0))
    assert sum(each.explanation["member_count"] for each in drive.open) <= 2


POINT = st.tuples(st.integers(1, 5), st.sampled_from([None, 0.1, 0.8, 2.0, 9.0]))
BEATS = st.lists(
    st.tuples(
        st.lists(
            st.tuples(st.integers(1, 5), st.sampled_from([None, 0.1, 0.8, 2.0, 9.0])), max_size=6, unique_by=lambda each: each[0]
        ),
        st.sampled_from([None, "firing", "resolved", "change"]),
        st.sampled_from([10, 10, 10, 60, 400]),
    ),
    min_size=5,
    max_size=40,
)


def run(drive, beats):
    said = []
    for points, event, seconds in beats:
        events = []
        if event:
            events = [drive.alert(event, kind="change" if event == "change" else "alert")]
        said.append(drive.beat(*points, seconds=seconds, events=events))
    return said


@settings(max_examples=40, deadline=None)
@given(BEATS, st.data())
def test_resumed_anywhere_it_says_the_same(beats, data):
    whole = Drive()
    cut = data.draw(st.integers(0, len(beats)))
    before, after = run(whole, beats[:cut]), run(whole, beats[cut:])
    broken = Drive()
    assert run(broken, beats[:cut]) == before
    saved = {key: np.array(value) for key, value in broken.incidents.state().items()}
    resumed = Drive()
    resumed.now = broken.now
    resumed.incidents.load(saved)
    assert run(resumed, beats[cut:]) == after
    assert resumed.incidents.state()["memory"].tobytes() == whole.incidents.state()["memory"].tobytes()


@settings(max_examples=30, deadline=None)
@given(BEATS, st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(beats, random):
    shuffled = [(random.sample(points, len(points)), event, seconds) for points, event, seconds in beats]
    assert run(Drive(), beats) == run(Drive(), shuffled)
