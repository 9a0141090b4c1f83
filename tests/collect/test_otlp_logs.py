import json
from contextlib import suppress

import polars as pl
import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest as Request

from vedette.collect.limits import Limits
from vedette.collect.otlp import Otlp
from vedette.collect.series import SeriesTable
from vedette.core.errors import BadRecord
from vedette.core.frames import LOGS
from vedette.core.identity import series_id

NOW = 1_760_000_000_000_000
NS = NOW * 1000
RESOURCE = {"service.name": "checkout", "host.name": "web-1", "process.pid": "7"}
TRACE, SPAN = bytes(range(16)), bytes(range(8))


def request(*records, resource=RESOURCE):
    """Each record is a dictionary of fields; `text` is a body that is text, `pairs` are attributes that are texts."""
    message = Request()
    group = message.resource_logs.add()
    for key, value in resource.items():
        group.resource.attributes.add(key=key).value.string_value = value
    scope = group.scope_logs.add()
    for record in records:
        plain = {key: value for key, value in record.items() if key not in ("text", "pairs")}
        made = scope.log_records.add(**plain)
        if "text" in record:
            made.body.string_value = record["text"]
        for key, value in record.get("pairs", {}).items():
            made.attributes.add(key=key).value.string_value = value
    return message


def codec(**limits):
    bounds = Limits(**limits)
    return Otlp(SeriesTable(bounds.series_per_source), bounds)


def decode(message, door=None):
    return (door or codec()).logs(message.SerializeToString(), now=NOW)


def logs(message, door=None):
    return decode(message, door).frames["logs"]


def test_a_record_becomes_a_row_of_its_stream():
    record = {"time_unix_nano": NS - 5000, "observed_time_unix_nano": NS, "severity_number": 17, "text": "café failed"}
    got = decode(request(record | {"pairs": {"a": "b"}, "trace_id": TRACE, "span_id": SPAN, "event_name": "fault"}))
    stream = {"service.name": "checkout", "host.name": "web-1"}
    assert got.frames["series"].rows() == [(series_id("log_stream", stream), "log_stream", stream, "stream", "")]
    frame = got.frames["logs"]
    assert dict(frame.schema) == LOGS
    assert frame.select(pl.col("at", "observed_at").cast(pl.Int64)).rows() == [(NOW - 5, NOW)]
    assert frame.select("series", "severity", "body").rows() == [(series_id("log_stream", stream), 17, "café failed")]
    assert frame["attributes"].to_list() == [{"a": "b", "trace_id": TRACE.hex(), "span_id": SPAN.hex(), "event_name": "fault"}]


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
records = st.lists(st.tuples(words, st.dictionaries(words.filter(bool), words, max_size=4)), max_size=8)


@settings(max_examples=60, deadline=None)
@given(records)
def test_what_the_reference_encodes_is_decoded_twice_alike(given_records):
    message = request(*({"text": text, "pairs": pairs} for text, pairs in given_records))
    door = codec()
    for _ in range(2):
        frame = logs(message, door)
        assert frame["body"].to_list() == [text for text, _ in given_records]
        assert frame["attributes"].to_list() == [pairs for _, pairs in given_records]


@settings(max_examples=100, deadline=None)
@given(st.integers(-(2**63), 2**63 - 1))
def test_whole_numbers_are_written_in_decimal(number):
    message = request({"text": "x"})
    message.resource_logs[0].scope_logs[0].log_records[0].attributes.add(key="n").value.int_value = number
    assert logs(message)["attributes"].to_list() == [{"n": str(number)}]


def test_values_that_are_no_text_become_json():
    message = request({"time_unix_nano": NS}, {"time_unix_nano": NS}, {"text": "plain"})
    structured, counted, plain = message.resource_logs[0].scope_logs[0].log_records
    structured.body.kvlist_value.values.add(key="user").value.int_value = 3
    counted.body.int_value = 12
    plain.attributes.add(key="on").value.bool_value = True
    plain.attributes.add(key="share").value.double_value = 0.25
    plain.attributes.add(key="list").value.array_value.values.add(string_value="a")
    plain.attributes.add(key="raw").value.bytes_value = b"ab"
    plain.attributes.add(key="none")
    frame = logs(message)
    assert frame["body"].to_list() == ['{"user":3}', "12", "plain"]
    assert frame["attributes"].to_list()[2] == {"on": "true", "share": "0.25", "list": '["a"]', "raw": "YWI=", "none": ""}


@pytest.mark.parametrize(
    ("text", "number"), [("WARN", 13), ("Information", 9), ("error", 17), ("EMERGENCY", 21), ("odd", 0), ("", 0)]
)
def test_the_name_of_a_severity_counts_where_its_number_is_missing(text, number):
    both = {"severity_text": text, "severity_number": 5, "text": "x"}
    assert logs(request({"severity_text": text, "text": "x"}, both))["severity"].to_list() == [number, 5]


def test_a_time_that_is_missing_is_that_of_observation_or_now():
    frame = logs(request({"text": "x", "observed_time_unix_nano": NS - 1000}, {"text": "y"}))
    assert frame.select(pl.col("at", "observed_at").cast(pl.Int64)).rows() == [(NOW - 1, NOW - 1), (NOW, NOW)]


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        ({"time_unix_nano": 1000, "text": "x"}, "timeUnixNano"),
        ({"time_unix_nano": 2**64 - 1, "text": "x"}, "timeUnixNano"),
        ({"text": "x", "pairs": {"": "x"}}, "attributes"),
        ({"text": "x", "pairs": {"k" * 5000: "x"}}, "attributes"),
        ({"text": "x", "pairs": {str(each): "x" for each in range(200)}}, "attributes"),
        ({"time_unix_nano": NS}, "body"),
    ],
)
def test_a_record_that_cannot_be_taken_is_refused_alone(bad, field):
    got = decode(request({"text": "a"}, bad, {"text": "b", "pairs": {"c": "d"}}))
    assert got.frames["logs"]["body"].to_list() == ["a", "b"]
    assert got.frames["logs"]["attributes"].to_list() == [{}, {"c": "d"}]
    assert (got.rejected, [(fault.position, fault.field) for fault in got.faults]) == (1, [(1, field)])


def test_a_resource_that_cannot_be_taken_refuses_all_its_records():
    message = request({"text": "a", "pairs": {"k": "v"}}, {"text": "b"}, resource={"": "x"})
    message.MergeFrom(request({"text": "c"}, {"text": "d", "pairs": {"e": "f"}}))
    got = decode(message)
    assert got.frames["logs"].select("body", "attributes").rows() == [("c", {}), ("d", {"e": "f"})]
    assert (got.rejected, [(fault.position, fault.field) for fault in got.faults]) == (2, [(0, "resource"), (1, "resource")])


def test_a_long_body_is_cut_between_characters_and_says_so():
    message = request({"text": "xx" + "é" * 10, "pairs": {"a": "b"}}, {"time_unix_nano": NS})
    message.resource_logs[0].scope_logs[0].log_records[1].body.array_value.values.add(string_value="y" * 30)
    frame = logs(message, codec(line_bytes=9))
    assert frame["body"].to_list() == ["xxééé", '["yyyyyyy']
    assert frame["attributes"].to_list() == [{"a": "b", "vedette.truncated": "22"}, {"vedette.truncated": "34"}]


def test_the_last_of_two_attributes_of_one_name_counts():
    message = request({"text": "x", "pairs": {"a": "1", "trace_id": "own"}, "trace_id": TRACE})
    message.resource_logs[0].scope_logs[0].log_records[0].attributes.add(key="a").value.string_value = "2"
    assert logs(message)["attributes"].to_list() == [{"a": "2", "trace_id": TRACE.hex()}]


def test_text_that_is_not_utf8_is_kept_and_marked():
    raw = request({"text": "a_b", "pairs": {"k": "c_d"}}, {"text": "fine"}).SerializeToString()
    garbled = raw.replace(b"a_b", b"a\xffb").replace(b"c_d", b"c\xfed")
    frame = codec().logs(garbled, now=NOW).frames["logs"]
    assert frame["body"].to_list() == ["a\\xffb", "fine"]
    assert frame["attributes"].to_list() == [{"k": "c\\xfed", "vedette.encoding": "backslashreplace"}, {}]


def golden():
    message = request(
        {"text": "a", "pairs": {"k": "v"}, "trace_id": TRACE, "span_id": SPAN}, {"time_unix_nano": NS, "severity_text": "WARN"}
    )
    other = message.resource_logs[0].scope_logs[0].log_records[1]
    other.body.kvlist_value.values.add(key="n").value.int_value = -5
    other.attributes.add(key="d").value.double_value = 1.5
    return message


def test_a_body_cut_anywhere_is_refused():
    whole = golden().SerializeToString()
    door = codec()
    for cut in range(1, len(whole)):
        with pytest.raises(BadRecord) as refused:
            door.logs(whole[:cut], now=NOW)
        assert refused.value.status == 400


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_garbled_bytes_never_raise_anything_else(data):
    raw = bytearray(golden().SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    with suppress(BadRecord):
        codec().logs(bytes(raw), now=NOW)


def test_json_is_the_same_as_protobuf():
    message = golden()
    written = MessageToDict(message)
    for record in written["resourceLogs"][0]["scopeLogs"][0]["logRecords"]:
        # OTLP writes ids in hex, where protobuf's own JSON has base64.
        record.update({"traceId": TRACE.hex(), "spanId": SPAN.hex()} if "traceId" in record else {})
    plain, other = decode(message), codec().logs(json.dumps(written).encode(), now=NOW, json=True)
    assert other.frames["logs"].equals(plain.frames["logs"])
    assert other.key == plain.key


def test_json_takes_a_severity_by_name_or_number():
    def body(severity):
        record = {"body": {"stringValue": "x"}, "severityNumber": severity, "unknown": [1]}
        return json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}).encode()

    for severity in (14, "14", "SEVERITY_NUMBER_WARN2"):
        assert codec().logs(body(severity), now=NOW, json=True).frames["logs"]["severity"].to_list() == [14]


def test_more_records_than_there_was_room_for():
    message = request(*({"text": f"line {each}", "pairs": {f"k{each % 3000}": str(each)}} for each in range(6000)))
    frame = logs(message)
    assert frame["body"].to_list() == [f"line {each}" for each in range(6000)]
    assert frame["attributes"].to_list() == [{f"k{each % 3000}": str(each)} for each in range(6000)]


def test_a_retry_has_the_same_key_and_another_body_another():
    door = codec()
    keys = [decode(request({"text": text}), door).key for text in ("a", "a", "b")]
    assert keys[0] == keys[1] != keys[2]
