"""What is never learnt, from what people and alerts said; and whose a series is."""

from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vedette.act import Incident, Window
from vedette.app.ground import AFTER, BEFORE, DAY, MINUTE, OPEN, kept_apart, spans
from vedette.app.ownership import Ownership, owns
from vedette.core.catalogue import Catalogue, SeriesInfo
from vedette.core.frames import AT, EVENTS, SERIES, empty, from_rows
from vedette.core.selection import Selection
from vedette.train import SPANS

HOUR = 60 * MINUTE
NAMES = {
    1: ("node_load1", {"instance": "web-1", "job": "node"}),
    2: ("node_load1", {"instance": "web-2", "job": "node"}),
    3: ("requests", {"service": "pay", "job": "app"}),
    4: ("temperature", {}),
}
INFOS = {series: SeriesInfo(series, name, labels, "gauge", "") for series, (name, labels) in NAMES.items()}
INCIDENT = Incident(
    "a", "closed", "warning", "web-1 is odd", 10 * HOUR, 11 * HOUR, 11 * HOUR, {}, {"members": [{"series": 1}, {"series": 99}]}
)


def alert(key, start, end=None, at=None, **labels):
    """A row of EVENTS; one without an end still fires."""
    stamps = pl.Series([at or end or start, start, end], dtype=pl.Int64).cast(AT).to_list()
    status = "firing" if end is None else "resolved"
    return (stamps[0], "alert", key, status, key, labels, {}, stamps[1], stamps[2])


def left_out(*, windows=(), incidents=(), alerts=(), whole=28 * DAY):
    found = spans(INFOS, windows, incidents, from_rows(list(alerts), EVENTS) if alerts else empty(EVENTS), whole)
    assert dict(found.schema) == SPANS
    return found.rows()


def test_where_nothing_was_said_everything_is_learnt():
    assert left_out() == []


def test_a_declared_outage_is_left_out_of_what_its_labels_match_and_without_labels_of_all():
    host = Window(1, "outage", 5, 9, {"instance": "web-*"})
    name = Window(2, "outage", 6, 9, {"__name__": "requests"})
    assert left_out(windows=[host, name]) == [(1, 5, 9, "declared"), (2, 5, 9, "declared"), (3, 6, 9, "declared")]
    assert left_out(windows=[Window(3, "outage", 5, 9)]) == [(None, 5, 9, "declared")]
    assert left_out(windows=[Window(4, "maintenance", 5, 9), Window(5, "outage", 5, 9, {"instance": "db-*"})]) == []


@pytest.mark.parametrize(("verdict", "learnt"), [("", False), ("real", False), ("false", True), ("known", True)])
def test_an_incident_is_left_out_with_its_edges_unless_people_said_it_was_none(verdict, learnt):
    found = left_out(incidents=[replace(INCIDENT, verdict=verdict)])
    assert found == ([] if learnt else [(1, 10 * HOUR - BEFORE, 11 * HOUR + AFTER, "incident")])


def test_an_incident_that_is_open_is_not_over():
    still = replace(INCIDENT, status="open", ended_at=None)
    assert left_out(incidents=[still]) == [(1, 10 * HOUR - BEFORE, OPEN, "incident")]


def test_an_alert_is_left_out_of_its_own_thing():
    own = alert("x", HOUR, 2 * HOUR, instance="web-1", job="node", severity="page")
    assert left_out(alerts=[own]) == [(1, HOUR, 2 * HOUR + MINUTE, "alert")]
    assert [row[0] for row in left_out(alerts=[alert("x", HOUR, 2 * HOUR, job="node")])] == [1, 2]
    assert left_out(alerts=[alert("x", HOUR, 2 * HOUR, service="mail"), alert("y", HOUR, 2 * HOUR, team="sre")]) == []


def test_an_alert_that_still_fires_is_left_out_until_it_was_last_told():
    sent = [alert("x", HOUR, at=HOUR + each * 5 * MINUTE, service="pay") for each in range(60)]
    assert left_out(alerts=sent) == [(3, HOUR, HOUR + 296 * MINUTE, "alert")]
    twice = [*sent, alert("x", HOUR, 7 * HOUR, service="pay"), alert("x", 20 * HOUR, 21 * HOUR, service="pay")]
    assert left_out(alerts=twice) == [(3, HOUR, 7 * HOUR + MINUTE, "alert"), (3, 20 * HOUR, 21 * HOUR + MINUTE, "alert")]


def test_an_alert_that_fires_a_fifth_of_the_time_is_noise():
    noise = alert("noise", HOUR, 6 * HOUR, service="pay")
    flapping = [alert("flapping", n * HOUR, n * HOUR + 20 * MINUTE, service="pay") for n in range(24)]
    sound = alert("sound", 3 * HOUR, 4 * HOUR, service="pay")
    found = left_out(alerts=[noise, *flapping, sound], whole=DAY)
    assert found == [(3, 3 * HOUR, 4 * HOUR + MINUTE, "alert")]


def test_what_people_confirmed_is_kept_to_be_asked_for():
    named = Window(7, "outage", 5, 9, {"service": "pay"}, "database down")
    found = kept_apart(INFOS, [replace(INCIDENT, verdict="real"), INCIDENT], [named, Window(8, "maintenance", 1, 2)])
    assert found == [
        {"name": "web-1 is odd", "start": 10 * HOUR, "end": 11 * HOUR, "series": [1]},
        {"name": "database down", "start": 5, "end": 9, "series": [3]},
    ]


@given(st.randoms(use_true_random=False))
def test_the_order_in_which_it_is_told_does_not_matter(chance):
    windows = [Window(n, "outage", n, n + 2, labels) for n, labels in enumerate([{}, {"service": "pay"}, {"job": "node"}])]
    incidents = [replace(INCIDENT, id=str(n), started_at=n * HOUR) for n in range(3)]
    alerts = [alert(f"{n}", n * HOUR, (n + 1) * HOUR, job="node") for n in range(3)]
    expected = left_out(windows=windows, incidents=incidents, alerts=alerts)
    for each in (windows, incidents, alerts):
        chance.shuffle(each)
    assert left_out(windows=windows, incidents=incidents, alerts=alerts) == expected


def test_a_series_is_of_the_first_model_that_selects_it():
    catalogue = Catalogue()
    named = {**NAMES, 5: ("log_severity_lines", {"service": "pay"}), 6: ("log_template_lines", {})}
    catalogue.add(from_rows([(series, name, labels, "gauge", "") for series, (name, labels) in named.items()], SERIES))
    models = {"pay": Selection(labels={"service": "pay"}), "nodes": Selection(name="node_.*"), "rest": Selection()}
    assert Ownership(catalogue, models)([3, 2, 1, 4, 5, 6, 77]) == ["pay", "nodes", "nodes", "rest", "", "", ""]
    assert Ownership(catalogue, {})([1]) == [""]


def test_counts_of_log_lines_are_of_a_model_only_where_they_are_named():
    assert owns(Selection(name="log_.*"), "log_severity_lines", {})
    assert not owns(Selection(labels={"service": "pay"}), "log_severity_lines", {"service": "pay"})
