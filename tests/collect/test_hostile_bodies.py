"""Bodies meant to break a receiver, against every route with the codecs and the log that it really has.

Sent twice (R21), garbage among good ones (R23), bombs (R30), cut at any byte (R31), amplified (R33).
"""

import asyncio
import gzip
import json
import random
import struct
import tracemalloc
import zlib
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import cramjam
import httpx
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from starlette.applications import Starlette

from vedette.collect import compression
from vedette.collect.http import Codecs, Receivers
from vedette.collect.intake import Intake
from vedette.collect.limits import Limits
from vedette.collect.otlp import Otlp
from vedette.collect.push import Push, PushSettings
from vedette.collect.remote_write import RemoteWrite
from vedette.collect.series import SeriesTable
from vedette.log import LogSettings, SqliteLog
from vedette.security import Redaction, RedactionSettings

NOW = 1_767_225_600_000_000


def metrics():
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="up")
    for value in (1.0, 2.0):
        metric.gauge.data_points.add(time_unix_nano=NOW * 1000 + int(value), as_double=value)
    return request.SerializeToString()


def logs():
    request = ExportLogsServiceRequest()
    scope = request.resource_logs.add().scope_logs.add()
    for body in ("one", "two"):
        scope.log_records.add(time_unix_nano=NOW * 1000).body.string_value = body
    return request.SerializeToString()


def part(field, raw):
    return bytes([field << 3 | 2, len(raw)]) + raw


def varint(number):
    return bytes([number & 127 | 128, *varint(number >> 7)]) if number > 127 else bytes([number])


def write():
    sample = part(2, b"\x09" + struct.pack("<d", 1.0) + b"\x10" + varint(NOW // 1000))
    return b"".join(part(1, part(1, part(1, b"__name__") + part(2, name)) + sample) for name in (b"up", b"down"))


ALERT = {"version": "4", "alerts": [{"status": "firing", "fingerprint": "f", "labels": {"alertname": "Down"}}]}
EVENT = {"specversion": "1.0", "id": "1", "source": "ci", "type": "com.example.deployed", "data": {"title": "v2"}}
SAMPLE = {"name": "up", "value": 1, "timestamp": "2026-01-01T00:00:00Z"}
#: route -> a good body, its content type, and how many records it holds.
GOOD = {
    "/api/v1/write": (write(), "application/x-protobuf", 2),
    "/v1/metrics": (metrics(), "application/x-protobuf", 2),
    "/v1/logs": (logs(), "application/x-protobuf", 2),
    "/hooks/alertmanager": (json.dumps(ALERT).encode(), "application/json", 1),
    "/hooks/events": (json.dumps(EVENT).encode(), "application/cloudevents+json", 1),
    "/push/lines": (b'[{"message": "one"}, {"message": "two"}]', "application/json", 2),
    "/push/numbers": (json.dumps([SAMPLE, SAMPLE]).encode(), "application/json", 2),
}
PUSHES = {"lines": PushSettings(), "numbers": PushSettings(records="metrics"), "changes": PushSettings(records="events")}


@pytest.fixture
def log(tmp_path):
    with closing(SqliteLog(tmp_path / "log.db", LogSettings(), clock=lambda: NOW)) as made:
        yield made


def post(log, requests, limits=None, *, at_once=False, pushes=PUSHES):
    """Answers to (path, body, headers), one after the other or all at once."""
    limits = limits or Limits()
    table = SeriesTable()
    otlp = Otlp(table, limits)
    codecs = Codecs(compression.decompress, RemoteWrite(table, limits).decode, otlp.metrics, otlp.logs)
    pushes = {name: Push(name, settings, table, limits) for name, settings in pushes.items()}

    async def run():
        intake = Intake(log, table, Redaction(RedactionSettings()))
        routes = Receivers(intake, codecs, limits, lambda: NOW, pushes).routes()
        transport = httpx.ASGITransport(Starlette(routes=routes))
        async with httpx.AsyncClient(transport=transport, base_url="http://vedette", timeout=60) as client:
            sending = [client.post(path, content=body, headers=headers) for path, body, headers in requests]
            return await asyncio.gather(*sending) if at_once else [await each for each in sending]

    return asyncio.run(run())


def in_log(log):
    return sum(books.get("in_log", 0) for books in log.books().values())


def random_bytes(seed, size):
    return random.Random(seed).randbytes(size)


GARBAGE = [
    *(b"", b" ", b"\x00", b"\x00" * 999, b"\xff", b"\xff\xfe\x00d", b"\xef\xbb\xbf", b"\xef\xbb\xbf[]", b"[", b"]", b"{", b"}"),
    *(b"[[[]", b"[,]", b"[1,]", b"[1 2]", b"[]]", b"null", b"true", b"0", b"-", b"1e400", b"NaN", b"[NaN]", b'"', b'"\\ud800"'),
    *(b'{"a":"\\ud800"}', b'{"resourceMetrics":7}', b'{"resourceLogs":[{"scopeLogs":{}}]}', b'{"version":"4","alerts":[7]}'),
    *(b"[" * 5000, b'{"a":' * 5000, b"\x1f\x8b\x08", b"PK\x03\x04../../etc/passwd", b"GET / HTTP/1.1\r\n\r\n", b"\n\n\r\n"),
    *(b"\x0a\xff\xff\xff\xff\x0f", b"\x0a" * 300, b"\x80" * 20, b"\xff" * 12 + b"\x01", b"9" * 6000),
    *(b'{"timestamp":18446744073709551615,"name":"x","value":1}', b'{"name":"m","value":1e400,"timestamp":1}'),
    *(random_bytes(seed, size) for seed, size in ((1, 7), (2, 64), (3, 300), (4, 5000))),
]


@pytest.mark.parametrize("path", [*GOOD, "/push/changes", "/push/none"])
def test_garbage_of_forty_kinds_is_answered_and_what_follows_is_served(log, path):
    types = ["text/plain", "application/json", "application/cloudevents-batch+json", "application/x-protobuf"]
    zipped = {"content-type": types[3], "content-encoding": "gzip"}
    requests = [(path, body, {"content-type": kind}) for body in GARBAGE for kind in types]
    requests += [(path, gzip.compress(body), zipped) for body in GARBAGE]
    requests += [(path, bytes(cramjam.snappy.compress_raw(body)), {"content-type": types[3]}) for body in GARBAGE]
    for answer in post(log, requests):
        assert answer.status_code < 500
        if answer.status_code >= 400:
            assert {"error", "field", "position"} <= set(answer.json())
    before = in_log(log)
    if path in GOOD:
        body, kind, records = GOOD[path]
        if path == "/api/v1/write":
            body = squeezed(body, "snappy")
        assert post(log, [(path, body, {"content-type": kind})])[0].status_code in (200, 204)
        assert in_log(log) == before + records
    for books in log.books().values():
        counted = sum(books.get(name, 0) for name in ("stored", "duplicate", "dead_lettered", "rejected", "shed", "in_log"))
        assert books["received"] == counted


def test_one_in_a_hundred_is_garbage_the_others_are_stored_and_it_is_set_aside_by_digest(log):
    poison = [each for each in GARBAGE if each.strip() and b"\n" not in each]
    good = [json.dumps({**SAMPLE, "labels": {"n": str(n)}}).encode() for n in range(99 * len(poison))]
    lines = [line for n, bad in enumerate(poison) for line in (*good[99 * n : 99 * n + 98], bad, good[99 * n + 98])]
    (answer,) = post(log, [("/push/numbers", b"\n".join(lines), {"content-type": "application/x-ndjson"})])
    assert answer.status_code == 200
    assert (answer.json()["accepted"], answer.json()["dead_lettered"]) == (len(good), len(poison))
    log.tick().result()
    with closing(log.reader(0)) as reader:
        frames = reader.poll(100_000).items.frames
    assert frames["metrics"].height == len(good)
    assert frames["dead_letters"]["digest"].to_list() == [sha256(bad.strip()).hexdigest() for bad in poison]
    assert frames["dead_letters"]["offset"].to_list() == [100 * n + 98 for n in range(len(poison))]


def squeezed(body, coding):
    made = {"gzip": gzip.compress, "zstd": cramjam.zstd.compress, "identity": bytes, "snappy": cramjam.snappy.compress_raw}
    return bytes(made[coding](body))


CODED = [(path, coding) for path in GOOD for coding in ("gzip", "zstd", "identity") if path != "/api/v1/write"]


@pytest.mark.parametrize(("path", "coding"), [*CODED, ("/api/v1/write", "snappy")])
def test_a_body_cut_at_any_byte_is_refused_whole(log, path, coding):
    body, kind, records = GOOD[path]
    whole = squeezed(body, coding)
    headers = {"content-type": kind, "content-encoding": coding}
    answers = post(log, [(path, whole[:end], headers) for end in range(1, len(whole))])
    # The last bytes of a cut gzip member are taken for the size it claims, which may be beyond what is taken.
    refusals = {400, 413} if coding == "gzip" else {400}
    assert {answer.status_code for answer in answers} <= refusals
    assert in_log(log) == 0
    assert post(log, [(path, whole, headers)])[0].status_code in (200, 204)
    assert in_log(log) == records


def bombs():
    """Bodies that are small as sent and claim to be, or become, far more than is taken."""
    zeros = bytes(8 << 20)
    gzipped = gzip.compress(zeros)
    return {
        "gzip": ("gzip", gzipped),
        "gzip that lies": ("gzip", gzipped[:-4] + (100).to_bytes(4, "little")),
        "gzip in gzip": ("gzip", gzip.compress(gzipped)),
        "many members": ("gzip", gzip.compress(b"{}") * 1000),
        "zstd": ("zstd", bytes(cramjam.zstd.compress(zeros))),
        "zstd that lies": ("zstd", b"\x28\xb5\x2f\xfd\xe0" + (2**50).to_bytes(8, "little") + b"\x01\x00\x00"),
        "two codings": ("gzip, gzip", gzip.compress(gzipped)),
        "zip": ("identity", b"PK\x03\x04" + b"../../etc/cron.d/x" * 10),
    }


@pytest.mark.parametrize("path", GOOD)
def test_a_hundred_bombs_at_once_are_refused_in_bounded_memory(log, path):
    limits = Limits(body_bytes=1 << 20, decoded_bytes=4 << 20, push_bytes=1 << 20)
    kind = GOOD[path][1]
    kinds = list(bombs().values())
    if path == "/api/v1/write":
        kinds = [("snappy", b"\xff\xff\xff\xff\x0f\x00"), ("snappy", bytes(cramjam.snappy.compress_raw(bytes(8 << 20))))]
    requests = [(path, body, {"content-type": kind, "content-encoding": coding}) for coding, body in kinds]
    requests = (requests * 100)[:100]
    tracemalloc.start()
    answers = post(log, requests, limits, at_once=True)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert {answer.status_code for answer in answers} <= {400, 413, 415}
    assert peak < 100 << 20
    assert in_log(log) == 0


def frames_of(log):
    log.tick().result()
    with closing(log.reader(0)) as reader:
        return reader.poll(1_000_000).items.frames


@pytest.mark.parametrize("seed", range(3))
def test_thirty_percent_sent_again_are_duplicates_to_the_record(log, seed):
    """(R21) A retry carries the same key, or is the same body; what it holds is stored once and counted as what it is."""
    chance = random.Random(seed)
    lines = [[f"{body} {line}" for line in range(chance.randint(1, 5))] for body in range(100)]
    keyed = [
        ("/push/lines", "\n".join(each).encode(), {"content-type": "text/plain", "idempotency-key": f"k{number}"})
        for number, each in enumerate(lines)
    ]
    again = chance.sample(range(100), 30)
    sent = keyed + [keyed[each] for each in again]
    chance.shuffle(sent)
    answers = post(log, sent)
    assert {answer.status_code for answer in answers} == {200}
    assert sum(answer.json()["accepted"] for answer in answers) == sum(len(lines[n]) for n in [*range(100), *again])
    books = log.books()["lines"]
    assert books["duplicate"] == sum(len(lines[each]) for each in again)
    assert books["received"] == books["duplicate"] + books["in_log"]
    assert sorted(frames_of(log)["logs"]["body"]) == sorted(line for each in lines for line in each)


@pytest.mark.parametrize("path", ["/api/v1/write", "/v1/metrics", "/v1/logs", "/hooks/events"])
def test_a_body_sent_again_is_a_duplicate_without_any_key(log, path):
    body, kind, records = GOOD[path]
    body = squeezed(body, "snappy") if path == "/api/v1/write" else body
    assert {each.status_code for each in post(log, [(path, body, {"content-type": kind})] * 3)} <= {200, 204}
    (books,) = log.books().values()
    assert (books["in_log"], books["duplicate"], books["received"]) == (records, 2 * records, 3 * records)


def test_what_was_set_aside_is_taken_once_after_the_fix(log):
    """(R23) The fix is a unit in the configuration; what was set aside is sent again as `deadletters --replay` does."""
    unread = [json.dumps({"name": "up", "value": n, "timestamp": NOW // 1000}).encode() for n in range(5)]
    good = json.dumps(SAMPLE).encode()
    kind = {"content-type": "application/x-ndjson"}
    (answer,) = post(log, [("/push/numbers", b"\n".join([good, *unread]), kind)])
    assert (answer.json()["accepted"], answer.json()["dead_lettered"]) == (1, 5)
    letters = frames_of(log)["dead_letters"]
    assert letters["payload"].to_list() == unread
    again = [
        ("/push/numbers", row["payload"], kind | {"idempotency-key": f"deadletter/{row['digest']}/1"})
        for row in letters.iter_rows(named=True)
    ]
    fixed = {"numbers": PushSettings(records="metrics", time_unit="ms")}
    before = in_log(log)
    for _ in range(2):
        assert [each.json()["accepted"] for each in post(log, again, pushes=fixed)] == [1] * 5
    assert in_log(log) == before + 5
    assert log.books()["numbers"]["duplicate"] == 5


def test_a_dead_letter_keeps_its_reason_its_digest_and_its_first_kilobyte_without_secrets(log):
    """(R23) So that it can be found, judged and sent again."""
    bad = b'{"name": "m", "value": "x", "note": "password=hunter2", "more": "' + b"y" * 3000 + b'"}'
    post(log, [("/push/numbers", json.dumps(SAMPLE).encode() + b"\n" + bad, {"content-type": "application/x-ndjson"})])
    (letter,) = frames_of(log)["dead_letters"].to_dicts()
    assert (letter["offset"], letter["digest"]) == (1, sha256(bad).hexdigest())
    assert "expected a finite number" in letter["reason"]
    assert letter["payload"].startswith(b'{"name": "m", "value": "x", "note": "password=[secret]"')
    assert len(letter["payload"]) == 1024


def test_one_in_a_hundred_points_of_otlp_is_refused_and_the_others_are_stored(log):
    """(R23) OTLP says itself what is refused, so that nothing of it is set aside."""
    request = ExportMetricsServiceRequest()
    scope = request.resource_metrics.add().scope_metrics.add()
    records = ExportLogsServiceRequest()
    lines = records.resource_logs.add().scope_logs.add()
    for each in range(1000):
        time = (1, 2**63, 2**64 - 1)[each // 100 % 3] if each % 100 == 99 else NOW * 1000 + each
        scope.metrics.add(name=f"m{each % 7}").gauge.data_points.add(time_unix_nano=time, as_double=each)
        lines.log_records.add(time_unix_nano=NOW * 1000).body.string_value = f"line {each}"
    kind = {"content-type": "application/x-protobuf"}
    points, _ = post(log, [("/v1/metrics", request.SerializeToString(), kind), ("/v1/logs", records.SerializeToString(), kind)])
    assert b"timeUnixNano" in points.content
    books = log.books()["otlp"]
    assert (books["received"], books["rejected"], books["in_log"]) == (2000, 10, 1990)
    assert sorted(frames_of(log)["metrics"]["value"]) == [float(each) for each in range(1000) if each % 100 != 99]


def gibibyte(claimed):
    """A gzip member of 1 GiB of zeros, in 1 MiB, whose trailer claims what it likes."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, 31)
    head = deflate.compress(b"")
    raw = zlib.compressobj(9, zlib.DEFLATED, -15)
    piece = raw.compress(bytes(1 << 20)) + raw.flush(zlib.Z_FULL_FLUSH)
    return (head or b"\x1f\x8b\x08\0\0\0\0\0\x02\xff") + piece * 1024 + b"\x03\0" + bytes(4) + claimed.to_bytes(4, "little")


def peak():
    """KiB that this process has held at most since the last call."""
    text = Path("/proc/self/status").read_text()
    Path("/proc/self/clear_refs").write_text("5")
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("VmHWM"))


@pytest.mark.parametrize("path", [each for each in GOOD if each != "/api/v1/write"])
@pytest.mark.parametrize("claimed", [1 << 30, 100, (64 << 20) - 1])
def test_a_gibibyte_in_a_mebibyte_is_refused_and_costs_no_memory(log, path, claimed):
    """(R30) Also where its trailer lies: it costs what an honest body of that claim would, and no more is claimed than is taken."""
    requests = [(path, gibibyte(claimed), {"content-type": GOOD[path][1], "content-encoding": "gzip"})]
    post(log, requests)
    peak()
    before = peak()
    (answer,) = post(log, requests)
    assert answer.status_code == 413
    assert peak() - before < (16 << 10) + (2 * claimed >> 10 if claimed < 1 << 30 else 0)
    assert in_log(log) == 0


def amplified():
    """Bodies of some megabytes that are nothing but structure."""
    empty = b"\x0a\x00" * (2 << 20)
    deep = b"\x0a\x00"
    for _ in range(300):
        deep = b"\x0a" + varint(len(deep)) + deep
    keys = b'{"resourceMetrics":[],' + b",".join(b'"a%d":1' % (n % 7) for n in range(400_000)) + b"}"
    return {
        "empty messages": ("application/x-protobuf", empty),
        "messages in messages": ("application/x-protobuf", deep),
        "the same key again": ("application/json", keys),
        "brackets": ("application/json", b"[" * 100_000 + b"]" * 100_000),
        "braces": ("application/json", b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    }


@pytest.mark.parametrize("what", amplified())
@pytest.mark.parametrize("path", GOOD)
def test_structure_without_content_is_answered_in_bounded_memory(log, path, what):
    """(R33) What is nothing but structure."""
    kind, body = amplified()[what]
    if path == "/api/v1/write":
        kind, body = "application/x-protobuf", squeezed(body, "snappy")
    peak()
    before = peak()
    (answer,) = post(log, [(path, body, {"content-type": kind})])
    assert answer.status_code < 500
    assert peak() - before < 160 << 10
    for books in log.books().values():
        assert books.get("in_log", 0) <= 1
