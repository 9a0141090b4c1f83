"""What a Prometheus server makes of each answer (R36): 2xx done, 429 and 5xx again, any other 4xx dropped, and 2.0 counts.

The sender below does what `storage/remote/queue_manager.go` of Prometheus does with an answer.
"""

import asyncio
import random
import struct
from collections import Counter
from concurrent.futures import Future
from contextlib import closing
from functools import partial

import cramjam
import httpx
import pytest
from starlette.applications import Starlette

from vedette.collect import compression
from vedette.collect.http import Codecs, Receivers
from vedette.collect.intake import Intake
from vedette.collect.limits import Limits
from vedette.collect.otlp import Otlp
from vedette.collect.remote_write import RemoteWrite
from vedette.collect.series import SeriesTable
from vedette.core.errors import Transient
from vedette.log import LogSettings, SqliteLog
from vedette.security import Redaction, RedactionSettings

NOW = 1_767_225_600_000_000
MS = NOW // 1000
KINDS = {1: "application/x-protobuf", 2: "application/x-protobuf;proto=io.prometheus.write.v2.Request"}
WRITTEN = ("samples", "histograms", "exemplars")


class Unreliable:
    """A journal that now and then refuses, and now and then takes what it says it refused: the answer was lost."""

    def __init__(self, log, seed):
        self._log = log
        self._chance = random.Random(seed)
        self.note = log.note
        self.positions = log.positions

    def append(self, delivery, position=None):
        luck = self._chance.random()
        if luck < 0.3:
            return failed()
        done = self._log.append(delivery, position)
        if luck < 0.6:
            done.result()
            return failed()
        return done


def failed():
    future = Future()
    future.set_exception(Transient("not now", retry_after=0.5))
    return future


def number(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def part(field, content):
    return number(field << 3 | 2) + number(len(content)) + content


def sample(value, at):
    return part(2, b"\x09" + struct.pack("<d", value) + b"\x10" + number(at))


def histogram(field, at):
    return part(field, b"\x08\x05\x19" + struct.pack("<d", 9.0) + b"\x20\x02\x30\x05\x78" + number(at))


def request(version, *series):
    """A body of series, each (name, parts of its time series)."""
    if version == 1:
        pairs = [(part(1, part(1, b"__name__") + part(2, name)), parts) for name, parts in series]
        return bytes(cramjam.snappy.compress_raw(b"".join(part(1, labels + parts) for labels, parts in pairs)))
    symbols = [b"", b"__name__", *(name for name, _ in series)]
    body = b"".join(part(4, each) for each in symbols)
    body += b"".join(part(5, part(1, b"\x01" + number(place)) + parts) for place, (_, parts) in enumerate(series, 2))
    return bytes(cramjam.snappy.compress_raw(body))


class Sender:
    """A queue of a Prometheus server: sends each body until it is taken or can never be."""

    def __init__(self, client, version):
        self._client = client
        self._headers = {"content-type": KINDS[version], "content-encoding": "snappy", "user-agent": "Prometheus/3.8"}
        self.outcomes = Counter()

    async def send(self, body):
        """The answer that ended it."""
        while True:
            answer = await self._client.post("/api/v1/write", content=body, headers=self._headers)
            if answer.status_code == 429 or answer.status_code >= 500:
                assert answer.headers["retry-after"] == "1"
                self.outcomes["again"] += 1
                continue
            self.outcomes["done" if answer.is_success else "dropped"] += 1
            return answer


@pytest.fixture
def log(tmp_path):
    with closing(SqliteLog(tmp_path / "log.db", LogSettings(), clock=lambda: NOW)) as made:
        yield made


def sent(log, version, bodies, journal=None):
    """The answers to `bodies`, and what became of each."""
    table, limits = SeriesTable(), Limits()
    otlp = Otlp(table, limits)
    codecs = Codecs(compression.decompress, RemoteWrite(table, limits).decode, otlp.metrics, otlp.logs)
    intake = Intake(journal or log, table, Redaction(RedactionSettings()))

    async def run():
        transport = httpx.ASGITransport(Starlette(routes=Receivers(intake, codecs, limits, lambda: NOW, {}).routes()))
        async with httpx.AsyncClient(transport=transport, base_url="http://vedette") as client:
            sender = Sender(client, version)
            return [await sender.send(body) for body in bodies], sender.outcomes

    return asyncio.run(run())


def written(answer):
    return tuple(int(answer.headers[f"x-prometheus-remote-write-{each}-written"]) for each in WRITTEN)


def books(log):
    return {name: count for name, count in log.books()["remote_write"].items() if count}


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("seed", range(3))
def test_whatever_fails_on_the_way_each_sample_is_kept_once(log, version, seed):
    bodies = [request(version, (b"up", sample(float(each), MS + each))) for each in range(60)]
    answers, outcomes = sent(log, version, bodies, Unreliable(log, seed))
    assert {answer.status_code for answer in answers} == {204}
    assert outcomes["again"] > 10
    counted = books(log)
    assert counted["in_log"] == 60
    assert counted["received"] == 60 + counted["duplicate"]
    log.tick().result()
    with closing(log.reader(0)) as reader:
        assert sorted(reader.poll(1000).items.frames["metrics"]["value"]) == [float(each) for each in range(60)]


@pytest.mark.parametrize("version", [1, 2])
def test_what_can_never_be_taken_is_said_once_and_the_rest_is_kept(log, version):
    body = request(version, (b"up", sample(1.0, MS) + sample(2.0, 5)), (b"old", sample(3.0, 7)), (b"down", sample(4.0, MS)))
    (answer,), outcomes = sent(log, version, [body])
    assert (answer.status_code, outcomes) == (400, Counter(dropped=1))
    assert answer.json()["error"].startswith("2 refused, 2 taken: record 1: field 'timestamp'")
    assert (answer.json()["field"], answer.json()["position"]) == ("timestamp", 1)
    assert books(log) == {"received": 4, "rejected": 2, "in_log": 2}


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("body", [b"", b"\x03abc", b"no snappy at all"])
def test_a_body_that_is_broken_is_dropped_and_not_sent_for_ever(log, version, body):
    (answer,), outcomes = sent(log, version, [body])
    assert (answer.status_code, outcomes) == (400, Counter(dropped=1))
    assert answer.json()["error"]


def test_2_0_counts_what_was_written_also_of_a_duplicate_and_of_a_part(log):
    whole = request(2, (b"up", sample(1.0, MS) + sample(2.0, MS + 1)), (b"lat", histogram(3, MS)))
    partly = request(2, (b"up", sample(1.0, MS + 2) + sample(2.0, 5)), (b"lat", histogram(3, MS + 1) + histogram(3, 5)))
    answers, _ = sent(log, 2, [whole, whole, partly])
    assert [(answer.status_code, written(answer)) for answer in answers] == [
        (204, (2, 1, 0)),
        (204, (2, 1, 0)),
        (400, (1, 1, 0)),
    ]


def test_1_0_is_told_no_counts(log):
    answers, _ = sent(log, 1, [request(1, (b"up", sample(1.0, MS) + sample(2.0, 5)))])
    assert not [name for name in answers[0].headers if name.endswith("-written")]


def test_a_request_of_2_0_that_says_it_is_1_0_is_not_taken_for_good(log):
    """The fields of the two do not meet: what is read as the other holds nothing, and nothing is made of it."""
    (answer,), _ = sent(log, 1, [request(2, (b"up", sample(1.0, MS)))])
    assert answer.status_code == 204
    assert not log.books().get("remote_write", {}).get("in_log")


def test_another_kind_of_message_or_coding_is_415(log):
    post = partial(refused, log)
    assert post({"content-type": "application/x-protobuf;proto=io.prometheus.write.v3.Request"}) == 415
    assert post({"content-type": KINDS[2], "content-encoding": "zstd"}) == 415
    assert post({"content-type": "application/json"}) == 415


def refused(log, headers):
    table, limits = SeriesTable(), Limits()
    otlp = Otlp(table, limits)
    codecs = Codecs(compression.decompress, RemoteWrite(table, limits).decode, otlp.metrics, otlp.logs)
    routes = Receivers(Intake(log, table, Redaction(RedactionSettings())), codecs, limits, lambda: NOW, {}).routes()

    async def run():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(Starlette(routes=routes)), base_url="http://vedette") as client:
            return await client.post("/api/v1/write", content=request(2, (b"up", sample(1.0, MS))), headers=headers)

    return asyncio.run(run()).status_code
