import json
from datetime import UTC, datetime

import pytest

from vedette.collect.cloudevents import BATCHED, STRUCTURED, decode
from vedette.core.errors import BadRecord

NOW = 1_767_225_600_000_000
DATA = {"title": "checkout v42", "status": "succeeded", "labels": {"service": "checkout"}, "commit": "1a2b3c", "steps": [1, 2]}
EVENT = {
    "specversion": "1.0",
    "id": "run-17",
    "source": "/ci/checkout",
    "type": "dev.cdevents.service.deployed.0.1.1",
    "time": "2025-12-31T23:59:00Z",
    "subject": "checkout",
    "datacontenttype": "application/json",
    "traceid": "abc",
    "data": DATA,
}
BINARY = {f"ce-{name}": str(value) for name, value in EVENT.items() if name not in ("data", "datacontenttype")}


def rows(body, kind, headers=None):
    return decode(body, NOW, kind, headers or {}).frames["events"].to_dicts()


def test_structured_batched_and_binary_are_the_same_event():
    (structured,) = rows(json.dumps(EVENT).encode(), STRUCTURED)
    batched = rows(json.dumps([EVENT, EVENT]).encode(), BATCHED)
    (binary,) = rows(json.dumps(DATA).encode(), "application/json", BINARY)
    assert batched == [structured, structured]
    assert binary == structured


def test_what_an_event_says():
    (row,) = rows(json.dumps(EVENT).encode(), STRUCTURED)
    assert (row["kind"], row["title"], row["status"]) == ("change", "checkout v42", "succeeded")
    assert row["key"] == "run-17 /ci/checkout"
    assert row["labels"] == {"service": "checkout", "traceid": "abc"}
    assert row["annotations"]["commit"] == "1a2b3c"
    assert row["annotations"]["steps"] == "[1,2]"
    assert row["annotations"]["type"] == EVENT["type"]
    assert row["starts_at"] == datetime(2025, 12, 31, 23, 59, tzinfo=UTC)
    assert row["at"] == datetime(2026, 1, 1, tzinfo=UTC)


def test_a_ticket_in_plain_text():
    headers = {**BINARY, "ce-type": "com.example.ticket.opened", "ce-subject": "Disk%20full", "ce-time": "2026-01-01T00:00:00Z"}
    (row,) = rows(b"please look, caf\xe9", "text/plain", headers)
    assert (row["kind"], row["title"]) == ("ticket", "Disk full")
    assert row["annotations"]["data"] == "please look, caf\\xe9"


def test_an_empty_batch_is_taken_and_holds_nothing():
    assert rows(b"[]", BATCHED) == []


@pytest.mark.parametrize("field", ["specversion", "id", "source", "type"])
def test_a_required_attribute_that_is_missing_is_named(field):
    event = {key: value for key, value in EVENT.items() if key != field}
    with pytest.raises(BadRecord) as refused:
        rows(json.dumps([EVENT, event]).encode(), BATCHED)
    assert (refused.value.field, refused.value.position) == (field, 1)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"id": 7}, "id"),
        ({"time": "soon"}, "time"),
        ({"time": "1999-01-01T00:00:00Z"}, "time"),
        ({"data": {"labels": {"a": 1}}}, "data.labels.a"),
    ],
)
def test_an_attribute_that_is_wrong_is_named(change, field):
    with pytest.raises(BadRecord) as refused:
        rows(json.dumps({**EVENT, **change}).encode(), STRUCTURED)
    assert refused.value.field == field


@pytest.mark.parametrize(("body", "kind"), [(b"{}", "application/json"), (b"x", "text/plain"), (b"", "")])
def test_what_is_no_event_at_all_is_415(body, kind):
    with pytest.raises(BadRecord) as refused:
        rows(body, kind)
    assert refused.value.status == 415
