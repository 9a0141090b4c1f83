import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vedette.collect.jsonlines import restore
from vedette.collect.limits import Limits
from vedette.collect.push import Elements, Lines, Push, PushSettings, Record
from vedette.collect.series import SeriesTable
from vedette.core.errors import BadRecord

NOW = 1_767_225_600_000_000


def push(kind, *records, **settings):
    source = Push("p", PushSettings(records=kind, **settings), SeriesTable(), Limits())
    return source.json([Record(raw, len(raw)) for raw in records], NOW)


@given(st.binary(), st.integers(1, 9))
def test_lines_do_not_depend_on_how_the_body_is_chunked(body, step):
    lines = Lines(limit=1000)
    found = [record for at in range(0, len(body), step) for record in lines.feed(body[at : at + step])] + lines.finish()
    whole = [line.removesuffix(b"\r") for line in body.split(b"\n")]
    assert [record.raw for record in found] == [line for line in whole if line]


JSON = st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))


@given(st.lists(JSON), st.integers(1, 9))
def test_elements_do_not_depend_on_how_the_body_is_chunked(values, step):
    body = json.dumps(values).encode()
    elements = Elements(limit=100_000, depth=100)
    found = [record for at in range(0, len(body), step) for record in elements.feed(body[at : at + step])] + elements.finish()
    assert [json.loads(record.raw) for record in found] == values


@given(st.binary().filter(lambda raw: b"\n" not in raw))
def test_text_of_any_bytes_can_be_restored(raw):
    frame = Push("p", PushSettings(), SeriesTable(), Limits()).text([Record(raw, len(raw))], NOW).frames["logs"]
    body, attributes = frame["body"][0], frame["attributes"].to_list()[0]
    assert (restore(body) if "vedette.encoding" in attributes else body.encode()) == raw


@pytest.mark.parametrize("value", ["1e400", "-1e400", "NaN", '"1"', "null", "true", "1" + "0" * 400])
def test_a_value_that_is_no_finite_number_is_set_aside_by_name(value):
    delivery = push("metrics", b'{"name": "m", "timestamp": "2026-01-01T00:00:00Z", "value": %s}' % value.encode())
    assert delivery.faults[0].field == "value"
    assert "expected a finite number, got" in delivery.frames["dead_letters"]["reason"][0]


@pytest.mark.parametrize(
    "time", ["-1", "0", str(2**64 - 1), '"2026-01-01T00:00:00"', '"9999-01-01T00:00:00Z"', '"2026-01-01T00:00:60Z"', "null"]
)
def test_a_time_that_cannot_be_believed_is_set_aside_by_name(time):
    delivery = push("metrics", b'{"name": "m", "value": 1, "timestamp": %s}' % time.encode(), time_unit="ms")
    assert [fault.field for fault in delivery.faults] == ["timestamp"]


def test_a_log_object_keeps_what_it_says():
    line = b'{"time": "2026-01-01T00:00:00Z", "level": "warn", "msg": "hot", "core": 3, "bad": "\\ud800"}'
    row = push("logs", line).frames["logs"].to_dicts()[0]
    assert (row["severity"], row["body"], row["attributes"]["core"]) == (13, "hot", "3")
    assert row["attributes"]["vedette.encoding"] == "backslashreplace"


def test_nothing_but_garbage_is_refused():
    with pytest.raises(BadRecord, match="record 0"):
        push("logs", b"}{", b"nope")
