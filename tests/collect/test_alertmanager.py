import json
from datetime import UTC, datetime

import pytest

from vedette.collect.alertmanager import decode
from vedette.collect.limits import Limits
from vedette.core.errors import BadRecord

NOW = 1_767_225_600_000_000
FIRING = {
    "status": "firing",
    "labels": {"alertname": "DiskFull", "instance": "web-1:9100", "severity": "critical"},
    "annotations": {"summary": "The disk of web-1 is full", "runbook": "https://example.org/disk"},
    "startsAt": "2025-12-31T23:58:00.123456789Z",
    "endsAt": "0001-01-01T00:00:00Z",
    "generatorURL": "http://prometheus.example.org/graph",
    "fingerprint": "1d2f3a4b5c6d7e8f",
}
RESOLVED = {**FIRING, "status": "resolved", "endsAt": "2026-01-01T00:00:00+01:00", "annotations": {}}


def webhook(*alerts, **changes):
    document = {
        "version": "4",
        "groupKey": '{}:{alertname="DiskFull"}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "vedette",
        "groupLabels": {"alertname": "DiskFull"},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager.example.org",
        "alerts": list(alerts),
    }
    return json.dumps({**document, **changes}).encode()


def test_an_alert_that_fires_and_one_that_is_resolved():
    firing, resolved = decode(webhook(FIRING, RESOLVED), NOW).frames["events"].to_dicts()
    assert firing["kind"] == "alert"
    assert firing["key"] == resolved["key"] == "1d2f3a4b5c6d7e8f"
    assert (firing["status"], resolved["status"]) == ("firing", "resolved")
    assert firing["title"] == "The disk of web-1 is full"
    assert resolved["title"] == "DiskFull"
    assert firing["labels"] == FIRING["labels"]
    assert firing["annotations"]["runbook"] == "https://example.org/disk"
    assert firing["starts_at"] == datetime(2025, 12, 31, 23, 58, 0, 123456, tzinfo=UTC)
    assert firing["ends_at"] is None
    assert resolved["ends_at"] == datetime(2025, 12, 31, 23, tzinfo=UTC)
    assert firing["at"] == datetime(2026, 1, 1, tzinfo=UTC)


def test_a_group_without_alerts_is_taken_and_holds_nothing():
    assert decode(webhook(), NOW).records == 0


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"status": "on fire"}, "status"),
        ({"fingerprint": ""}, "fingerprint"),
        ({"fingerprint": 7}, "fingerprint"),
        ({"labels": ["a"]}, "labels"),
        ({"labels": {"severity": 1}}, "labels.severity"),
        ({"labels": {str(n): "x" for n in range(100)}}, "labels"),
        ({"annotations": {"summary": None}}, "annotations.summary"),
        ({"startsAt": "yesterday"}, "startsAt"),
        ({"startsAt": 1_767_225_600}, "startsAt"),
        ({"endsAt": "2026-01-01T00:00:00"}, "endsAt"),
    ],
)
def test_one_bad_alert_refuses_the_whole_and_is_named(change, field):
    with pytest.raises(BadRecord) as refused:
        decode(webhook(FIRING, {**FIRING, **change}), NOW)
    assert (refused.value.field, refused.value.position, refused.value.status) == (field, 1, 400)


@pytest.mark.parametrize(
    ("change", "field"), [({"version": "3"}, "version"), ({"version": 4}, "version"), ({"alerts": {}}, "alerts")]
)
def test_another_document_is_refused_by_name(change, field):
    with pytest.raises(BadRecord) as refused:
        decode(webhook(FIRING, **change), NOW)
    assert refused.value.field == field


def test_labels_have_bounds():
    with pytest.raises(BadRecord, match="at most 10 bytes"):
        decode(webhook({**FIRING, "labels": {"alertname": "é" * 6}}), NOW, Limits(label_bytes=10))
