"""OTLP over gRPC: durable when the call returns; its bombs (R30) and cut requests (R31) are refused whole."""

import asyncio
import socket
import sys
import time
from concurrent.futures import Future
from contextlib import closing

import grpc
import grpc.aio
import numpy as np
import pytest
from google.protobuf import any_pb2, duration_pb2
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest, ExportMetricsServiceResponse

from vedette import config
from vedette.app.stream import App
from vedette.collect.grpc import OtlpGrpc
from vedette.collect.intake import Intake
from vedette.collect.limits import Limits
from vedette.collect.otlp import Otlp
from vedette.collect.series import SeriesTable
from vedette.collect.wire import fields
from vedette.core.errors import ConfigError, Transient
from vedette.log import LogSettings, SqliteLog
from vedette.security import Redaction, RedactionSettings

NOW = 1_767_225_600_000_000
METRICS = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
LOGS = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"


class Full:
    """A journal that takes nothing now."""

    def append(self, delivery, position=None):
        future = Future()
        future.set_exception(Transient("the log is full", retry_after=2.5))
        return future

    def positions(self, source):
        return ()

    def note(self, source, **counts):
        pass


def metrics(*points):
    request = ExportMetricsServiceRequest()
    scope = request.resource_metrics.add().scope_metrics.add()
    for name, value in points:
        metric = scope.metrics.add(name=name)
        metric.gauge.data_points.add(time_unix_nano=NOW * 1000, as_double=value)
    return request.SerializeToString()


def logs(*bodies):
    request = ExportLogsServiceRequest()
    resource = request.resource_logs.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "checkout"
    scope = resource.scope_logs.add()
    for body in bodies:
        scope.log_records.add(time_unix_nano=NOW * 1000, severity_number=17).body.string_value = body
    return request.SerializeToString()


def exported(journal, *calls, limits=None, token="", metadata=()):
    """The answers to `calls` (method, bytes, compression): bytes, or the error."""
    table = SeriesTable()
    limits = limits or Limits()
    otlp = Otlp(table, limits)
    intake = Intake(journal, table, Redaction(RedactionSettings()))

    async def run():
        answers = []
        server = OtlpGrpc("127.0.0.1:0", intake, otlp.metrics, otlp.logs, limits=limits, clock=lambda: NOW, token=token)
        async with server, grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            for method, body, compression in calls:
                try:
                    answers.append(await channel.unary_unary(method)(body, compression=compression, metadata=metadata, timeout=20))
                except grpc.aio.AioRpcError as error:
                    answers.append(error)
        return answers

    return asyncio.run(run())


@pytest.fixture
def log(tmp_path):
    with closing(SqliteLog(tmp_path / "log.db", LogSettings(), clock=lambda: NOW)) as made:
        yield made


def beat(log):
    log.tick().result()
    with closing(log.reader(0)) as reader:
        return reader.poll(1000).items.frames


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_metrics_and_logs_are_durable_when_the_call_returns(log, compression):
    calls = [(METRICS, metrics(("a", 1.0), ("b", 2.0)), compression), (LOGS, logs("mail of ann@example.org"), compression)]
    answers = exported(log, *calls)
    assert not ExportMetricsServiceResponse.FromString(answers[0]).HasField("partial_success")
    assert not ExportLogsServiceResponse.FromString(answers[1]).HasField("partial_success")
    frames = beat(log)
    assert sorted(frames["metrics"]["value"]) == [1.0, 2.0]
    assert frames["logs"]["body"].to_list() == ["mail of [email]"]
    assert log.books()["otlp"]["received"] == 3


def test_what_was_refused_is_told_as_partial_success(log):
    request = ExportMetricsServiceRequest.FromString(metrics(("good", 1.0), ("old", 2.0)))
    request.resource_metrics[0].scope_metrics[0].metrics[1].gauge.data_points[0].time_unix_nano = 1
    (answer,) = exported(log, (METRICS, request.SerializeToString(), None))
    success = ExportMetricsServiceResponse.FromString(answer).partial_success
    assert success.rejected_data_points == 1
    assert "time" in success.error_message
    books = log.books()["otlp"]
    assert (books["received"], books["rejected"], books["in_log"]) == (2, 1, 1)


def test_a_full_log_is_unavailable_and_says_when_to_come_back():
    (error,) = exported(Full(), (METRICS, metrics(("a", 1.0)), None))
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    status = {tag >> 3: raw for tag, raw in parts(dict(error.trailing_metadata())["grpc-status-details-bin"])}
    detail = any_pb2.Any.FromString(status[3])
    assert detail.type_url == "type.googleapis.com/google.rpc.RetryInfo"
    ((_, delay),) = parts(detail.value)
    assert duration_pb2.Duration.FromString(delay).ToNanoseconds() == 3_000_000_000


def parts(raw):
    buffer = np.frombuffer(raw, np.uint8)
    return [(tag, buffer[begin:stop].tobytes()) for tag, _, begin, stop in fields(buffer, 0, len(buffer))]


def test_garbage_is_an_invalid_argument_and_the_next_call_is_served(log):
    broken, good = exported(log, (METRICS, b"\x0a\xff\xff", None), (METRICS, metrics(("a", 1.0)), None))
    assert broken.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert good == b""
    assert log.books()["otlp"]["rejected"] == 1


def test_a_bomb_is_refused_by_its_size_unpacked(log):
    small, bomb = exported(
        log,
        (METRICS, bytes(1000), grpc.Compression.Gzip),
        (METRICS, bytes(50_000_000), grpc.Compression.Gzip),
        limits=Limits(body_bytes=1_000_000),
    )
    assert small.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert bomb.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_truncated_request_is_never_half_stored(log):
    whole = metrics(("a", 1.0), ("b", 2.0))
    calls = [(METRICS, whole[:end], None) for end in range(1, len(whole))]
    answers = exported(log, *calls)
    assert {answer.code() for answer in answers} == {grpc.StatusCode.INVALID_ARGUMENT}
    log.tick().result()
    assert "in_log" not in log.books().get("otlp", {}) or log.books()["otlp"]["in_log"] == 0


def test_an_address_in_use_is_a_fault_of_the_configuration(log):
    async def run():
        def server(port):
            table = SeriesTable()
            otlp = Otlp(table, Limits())
            intake = Intake(log, table, Redaction(RedactionSettings()))
            return OtlpGrpc(f"127.0.0.1:{port}", intake, otlp.metrics, otlp.logs, limits=Limits(), clock=lambda: NOW)

        async with server(0) as first:
            with pytest.raises(ConfigError, match="in use"):
                await server(first.port).__aenter__()

    asyncio.run(run())


@pytest.mark.parametrize("given", ["", "Bearer", "Bearer wrong", "Basic right", "right"])
def test_without_the_token_nothing_is_taken(log, given):
    (error,) = exported(log, (METRICS, metrics(("a", 1.0)), None), token="right", metadata=(("authorization", given),))
    assert error.code() is grpc.StatusCode.UNAUTHENTICATED
    assert not log.books()
    (answer,) = exported(log, (METRICS, metrics(("a", 1.0)), None), token="right", metadata=(("authorization", "Bearer right"),))
    assert answer == b""


def test_without_the_extra_the_fault_names_the_setting_and_what_to_install(log, monkeypatch):
    monkeypatch.setitem(sys.modules, "grpc", None)
    with pytest.raises(ConfigError, match=r"web\.grpc.*vedette\[grpc\]"):
        exported(log)


def test_a_whole_pipeline_listens_where_web_grpc_says(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    declared = config.Config.model_validate({"web": {"grpc": address}})

    async def run(app):
        async with app.listeners(), grpc.aio.insecure_channel(address) as channel:
            now = time.time_ns()
            request = ExportMetricsServiceRequest()
            metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="a")
            metric.gauge.data_points.add(time_unix_nano=now, as_double=1.0)
            return await channel.unary_unary(METRICS)(request.SerializeToString(), timeout=20)

    with App(declared, tmp_path / "home", lambda: time.time_ns() // 1000) as app:
        assert asyncio.run(run(app)) == b""
        assert app.log.books()["otlp"]["received"] == 1
