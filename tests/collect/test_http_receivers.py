import asyncio
import gzip
import json
from concurrent.futures import Future
from hashlib import sha256

import httpx
import polars as pl
import pytest
from starlette.applications import Starlette

from vedette.collect.http import Codecs, Receivers
from vedette.collect.intake import Intake
from vedette.collect.limits import Limits
from vedette.collect.otlp_answers import export_response
from vedette.collect.pieces import Elements, Lines
from vedette.collect.push import Push, PushSettings
from vedette.collect.series import SeriesTable
from vedette.core.errors import BadRecord, Transient
from vedette.core.frames import METRICS
from vedette.core.types import Delivery, Fault, Receipt

NOW = 1_767_225_600_000_000


class MemoryJournal:
    """Keeps what is appended; `full` makes it refuse."""

    def __init__(self, *, full=False):
        self.full = full
        self.kept: list[Delivery] = []
        self.keys = set()
        self.rejected = 0

    def append(self, delivery, position=None):
        future: Future[Receipt] = Future()
        if self.full:
            future.set_exception(Transient("the log is full", retry_after=2.5))
        else:
            seen = delivery.key is not None and (delivery.source, delivery.key) in self.keys
            self.keys.add((delivery.source, delivery.key))
            if not seen:
                self.kept.append(delivery)
            self.rejected += delivery.rejected
            future.set_result(Receipt(len(self.kept), duplicate=seen))
        return future

    def positions(self, source):
        return ()

    def note(self, source, *, rejected=0, shed=0, duplicate=0):
        self.rejected += rejected


class Hush:
    """Takes the word hunter2 out."""

    def column(self, text):
        return text.str.replace_all("hunter2", "***")

    def text(self, text):
        return text.replace("hunter2", "***")


def decompress(body, encoding, limit):
    if encoding == "gzip":
        try:
            body = gzip.decompress(body)
        except (OSError, EOFError) as error:
            raise BadRecord(str(error)) from error
    elif encoding not in ("identity", "snappy"):
        raise BadRecord("unknown coding", status=415)
    if len(body) > limit:
        raise BadRecord("too large", status=413)
    return body


def samples(body, *, now, version=1, json=False):
    if body == b"bad":
        raise BadRecord("not what it says, hunter2", field="timeseries", position=4)
    frame = pl.DataFrame({"series": [1], "at": [now], "value": [1.0]}, schema=METRICS)
    partly = {"rejected": 2, "faults": (Fault(1, "value", "hunter2"),)} if body == b"partly" else {}
    return Delivery("remote_write" if version == 2 else "otlp", {"metrics": frame}, written=(1, 2, 3), **partly)


PUSHES = {
    "lines": PushSettings(),
    "numbers": PushSettings(records="metrics", labels={"site": "a"}, time_unit="ms"),
    "changes": PushSettings(records="events"),
}


def post(path, body=b"", headers=None, journal=None, limits=None, **options):
    """One request to all receivers over a journal in memory: the answer and the journal."""
    return post_all([(path, body, headers)], journal, limits, **options)[0]


def post_all(requests, journal=None, limits=None, **options):
    """Many requests, each over a journal of its own where none is given."""
    limits = limits or Limits()
    journals = [journal or MemoryJournal() for _ in requests]

    async def send(kept, path, body, headers):
        table = SeriesTable()
        pushes = {name: Push(name, settings, table, limits) for name, settings in PUSHES.items()}
        codecs = Codecs(decompress, samples, samples, samples)
        receivers = Receivers(Intake(kept, table, Hush()), codecs, limits, lambda: NOW, pushes, **options)
        transport = httpx.ASGITransport(Starlette(routes=receivers.routes()))
        async with httpx.AsyncClient(transport=transport, base_url="http://vedette") as client:
            return await client.post(path, content=body, headers=headers or {})

    async def send_each():
        return [await send(kept, *request) for kept, request in zip(journals, requests, strict=True)]

    return list(zip(asyncio.run(send_each()), journals, strict=True))


PROTOBUF = {"content-type": "application/x-protobuf"}
V2 = {"content-type": "application/x-protobuf;proto=io.prometheus.write.v2.Request"}
JSON = {"content-type": "application/json"}
TEXT = {"content-type": "text/plain; charset=utf-8"}


@pytest.mark.parametrize("path", ["/api/v1/write", "/v1/metrics", "/v1/logs"])
def test_a_body_that_comes_before_its_kernels_are_compiled_waits_for_them(path):
    asked = []
    journal = MemoryJournal()

    def compiled():
        asked.append(len(journal.kept))
        return len(asked) == 3

    headers = {"content-type": "application/x-protobuf"} | ({"content-encoding": "snappy"} if path == "/api/v1/write" else {})
    answer, _ = post(path, b"x", headers, journal, compiled=compiled)
    assert answer.status_code in {200, 204}
    assert asked == [0, 0, 0]
    assert len(journal.kept) == 1


def test_remote_write_is_answered_204_and_its_second_version_counts_what_was_written():
    first, _ = post("/api/v1/write", b"x", PROTOBUF)
    second, journal = post("/api/v1/write", b"x", V2)
    assert (first.status_code, second.status_code) == (204, 204)
    written = [second.headers[f"x-prometheus-remote-write-{name}-written"] for name in ("samples", "histograms", "exemplars")]
    assert written == ["1", "2", "3"]
    assert "x-prometheus-remote-write-samples-written" not in first.headers
    assert journal.kept[0].records == 1


@pytest.mark.parametrize(
    ("path", "headers", "status"), [("/api/v1/write", PROTOBUF, 503), ("/v1/logs", JSON, 429), ("/push/lines", TEXT, 503)]
)
def test_a_full_log_is_answered_with_retry_after(path, headers, status):
    answer, _ = post(path, b"x", headers, MemoryJournal(full=True))
    assert answer.status_code == status
    assert answer.headers["retry-after"] == "3"


def test_a_bad_body_is_answered_with_field_and_position_and_without_secrets():
    answer, journal = post("/api/v1/write", b"bad", PROTOBUF)
    assert answer.status_code == 400
    assert answer.json() == {"error": "not what it says, ***", "field": "timeseries", "position": 4}
    assert journal.rejected == 1


def test_partial_success_is_said_in_the_encoding_that_was_sent():
    wire, _ = post("/v1/metrics", b"partly", PROTOBUF)
    words, journal = post("/v1/metrics", b"partly", JSON)
    assert wire.content == export_response(2, "record 1: field 'value': ***")
    assert words.json() == {"partialSuccess": {"rejectedDataPoints": "2", "errorMessage": "record 1: field 'value': ***"}}
    assert journal.rejected == 2


def test_too_large_a_body_is_refused_before_it_is_held():
    declared, _ = post("/push/lines", b"x" * 100, TEXT, limits=Limits(push_bytes=50))

    async def chunks():
        for _ in range(10):
            yield b"x" * 10

    streamed, _ = post("/push/lines", chunks(), TEXT, limits=Limits(push_bytes=50))
    assert (declared.status_code, streamed.status_code) == (413, 413)


def test_a_slow_body_is_timed_out():
    async def forever():
        await asyncio.sleep(30)
        yield b"x"

    answer, _ = post("/v1/logs", forever(), JSON, body_seconds=0.01)
    assert answer.status_code == 408


def test_secrets_never_reach_the_journal():
    body = b'{"message": "password hunter2", "why": "hunter2"}\n{"message": "x", "timestamp": "hunter2"}'
    answer, journal = post("/push/lines", body, JSON)
    assert (answer.json()["accepted"], answer.json()["dead_lettered"]) == (1, 1)
    kept = journal.kept[0].frames
    assert kept["logs"]["attributes"].to_list() == [{"why": "***"}]
    assert "hunter2" not in answer.text + repr({name: frame.rows() for name, frame in kept.items()})


def test_a_body_in_pieces_is_stored_whole_and_once(monkeypatch):
    monkeypatch.setattr("vedette.collect.http.cutter", lambda _begin, **_: Lines(1000, records=10))
    body = b"\n".join(b'{"message": "line %d"}' % n for n in range(95))
    journal = MemoryJournal()
    headers = {**JSON, "idempotency-key": "k"}

    async def chunks(step):
        for start in range(0, len(body), step):
            yield body[start : start + step]

    for step in (33, 50):
        answer, journal = post("/push/lines", chunks(step), headers, journal)
        assert answer.json() == {"accepted": 95, "dead_lettered": 0, "faults": []}
    stored = [text for delivery in journal.kept for text in delivery.frames["logs"]["body"].to_list()]
    assert stored == [f"line {n}" for n in range(95)]
    digest = sha256(b"k").hexdigest()
    assert journal.kept[0].key == f"{digest}/0"
    assert journal.kept[1].key == f"{digest}/1"


@pytest.mark.parametrize(("end", "full", "status"), [(b"[", None, 400), (b"", 1, 503)])
def test_a_push_that_ends_badly_says_how_much_of_it_is_durable(monkeypatch, end, full, status):
    monkeypatch.setattr("vedette.collect.http.cutter", lambda _begin, **_: Elements(1000, 8, records=2))
    journal = MemoryJournal()
    append = journal.append

    def until_full(delivery, position=None):
        journal.full = full is not None and len(journal.kept) >= full
        return append(delivery, position)

    journal.append = until_full
    answer, _ = post("/push/lines", b'[{"message": "a"}, 7, {"message": "b"}, {"message": "c"}, 8]' + end, JSON, journal)
    assert answer.status_code == status
    durable = [sum(row.height for table, row in kept.frames.items() if table != "series") for kept in journal.kept]
    assert answer.json()["accepted"] + answer.json()["dead_lettered"] == sum(durable) > 0
    assert answer.json()["dead_lettered"] == 1


def test_a_pretty_printed_object_is_one_record():
    answer, journal = post("/push/lines", json.dumps({"message": "one", "more": {"a": 1}}, indent=2).encode(), JSON)
    assert answer.json()["accepted"] == 1
    assert journal.kept[0].frames["logs"]["body"].to_list() == ["one"]


@pytest.mark.parametrize(
    "coding", [[("content-encoding", "gzip, gzip")], [("content-encoding", "gzip"), ("content-encoding", "gzip")]]
)
@pytest.mark.parametrize("path", ["/push/lines", "/v1/logs", "/api/v1/write", "/hooks/events"])
def test_more_than_one_coding_is_refused(path, coding):
    kind = "application/x-protobuf" if path == "/api/v1/write" else "application/json"
    answer, journal = post(path, gzip.compress(gzip.compress(b"{}")), [*coding, ("content-type", kind)])
    assert answer.status_code == 415
    assert not journal.kept


ALERT = {"version": "4", "alerts": [{"status": "firing", "fingerprint": "f", "labels": {"alertname": "Down"}}]}
EVENT = {"specversion": "1.0", "id": "1", "source": "ci", "type": "com.example.deployed", "data": {"title": "v2"}}
GOLDEN = {
    "/hooks/alertmanager": (json.dumps(ALERT).encode(), JSON),
    "/hooks/events": (json.dumps(EVENT).encode(), {"content-type": "application/cloudevents+json"}),
    "/push/lines": (b'[{"message": "one"}, {"message": "two"}]', JSON),
}


@pytest.mark.parametrize("path", GOLDEN)
def test_a_truncated_document_is_refused_whole_at_every_offset(path):
    body, headers = GOLDEN[path]
    cut = [body[:end] for end in range(1, len(body))]
    for answer, journal in post_all([(path, part, headers) for part in cut]):
        assert answer.status_code == 400
        assert not journal.kept
    answer, journal = post(path, body, headers)
    assert answer.status_code == 200
    assert len(journal.kept) == 1


GARBAGE = [
    b"",
    b" ",
    b"\x00",
    b"\x00" * 999,
    b"\xff",
    b"\xff\xfe\x00d",
    b"\xef\xbb\xbf",
    b"\xef\xbb\xbf[]",
    b"[",
    b"]",
    b"{",
    b"}",
    b"[[[]",
    b"[,]",
    b"[1,]",
    b"[1 2]",
    b"[]]",
    b"null",
    b"true",
    b"0",
    b"-",
    b"1e400",
    b"NaN",
    b"[NaN]",
    b'"',
    b'"\\ud800"',
    b'{"a":"\\ud800"}',
    b'{"message":"\xff"}',
    b'{"message":{"a":[1]}}',
    b'{"version":"4","alerts":[7]}',
    b'{"version":4}',
    b'{"specversion":"1.0"}',
    b'[{"name":"m","value":"1","timestamp":1}]',
    b'{"name":"m","value":1e400,"timestamp":1}',
    b"[" * 5000,
    b'{"a":' * 5000,
    b"\x1f\x8b\x08",
    b"PK\x03\x04",
    b"GET / HTTP/1.1\r\n\r\n",
    b"\n\n\r\n",
    b"a\x1b[31m\xe2\x80\xae\xe2\x80\xa8\xf0\x9f\x90\x8e",
    b'{"timestamp":18446744073709551615,"message":"x"}',
    b'{"timestamp":"9999-12-31T23:59:60Z","message":"x"}',
    b'{"message":"' + b"9" * 6000 + b'"}',
    b"9" * 6000,
]


@pytest.mark.parametrize("path", [*GOLDEN, "/push/numbers", "/push/changes", "/push/none", "/v1/logs", "/api/v1/write"])
def test_garbage_of_forty_kinds_never_breaks_a_receiver(path):
    kinds = ["json", "cloudevents+json", "cloudevents-batch+json", "x-protobuf"]
    types = ["text/plain", "a/b", *(f"application/{kind}" for kind in kinds)]
    requests = [(path, body, {"content-type": kind}) for body in GARBAGE for kind in types]
    for answer, journal in post_all(requests):
        assert answer.status_code < 500
        if answer.status_code >= 400:
            assert {"error", "field", "position"} <= set(answer.json())
            assert not journal.kept
