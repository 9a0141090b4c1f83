"""Records a second and core of the wire codecs, each beside a peer in the same run: the usual parser, its objects walked in Python.

Bodies are of 1,000 records of known series, as senders make them. Time is that of the process's CPU, pinned to one core; medians.
"""

import os
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import cramjam
from figures import at_least
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from traffic import field, label_pairs, labels_of, sample, value_of

from vedette.collect.limits import Limits
from vedette.collect.otlp import Otlp
from vedette.collect.remote_write import RemoteWrite
from vedette.collect.series import SeriesTable
from vedette.core.types import Delivery

NOW = 1_760_000_000_000_000
RECORDS = 1000
RESOURCE = {"service.name": "checkout", "service.namespace": "shop", "host.name": "web-1"}


def rate(work: Callable[[], object], seconds: float = 2.0) -> float:
    """Median records a second of `work`, over many runs."""
    work()
    took = []
    stop = time.perf_counter() + seconds
    while time.perf_counter() < stop or len(took) < 5:
        begin = time.process_time_ns()
        work()
        took.append(time.process_time_ns() - begin)
    return RECORDS * 1e9 / median(took)


def write_request() -> bytes:
    """A remote write 1.0 request, decompressed."""
    at = NOW // 1000
    return b"".join(field(1, label_pairs(labels_of(index)) + sample(value_of(index, at), at)) for index in range(RECORDS))


def metrics_request() -> bytes:
    """An ExportMetricsServiceRequest: 20 counters of 50 points with three attributes each."""
    message = ExportMetricsServiceRequest()
    group = message.resource_metrics.add()
    attach(group.resource.attributes, RESOURCE)
    scope = group.scope_metrics.add()
    for index in range(RECORDS):
        if index % 50 == 0:
            metric = scope.metrics.add(name=f"http.server.requests.{index}", unit="1")
            metric.sum.aggregation_temporality, metric.sum.is_monotonic = 2, True
        times = {"start_time_unix_nano": NOW * 1000 - 10**12, "time_unix_nano": NOW * 1000}
        made = metric.sum.data_points.add(as_double=index * 0.5, **times)
        attach(made.attributes, {"http.route": f"/items/{index}", "http.method": "GET", "http.status_code": "200"})
    return bytes(message.SerializeToString())


def logs_request() -> bytes:
    """An ExportLogsServiceRequest: lines of some 50 letters with three attributes and both ids each."""
    message = ExportLogsServiceRequest()
    group = message.resource_logs.add()
    attach(group.resource.attributes, RESOURCE)
    scope = group.scope_logs.add()
    for index in range(RECORDS):
        ids = {"trace_id": index.to_bytes(16, "big"), "span_id": index.to_bytes(8, "big")}
        times = {"time_unix_nano": NOW * 1000, "observed_time_unix_nano": NOW * 1000}
        record = scope.log_records.add(severity_number=9, severity_text="INFO", **ids, **times)
        record.body.string_value = f"GET /api/v1/items/{index} took {index % 70} ms for user {index * 7}"
        attach(record.attributes, {"http.route": "/items/{id}", "thread.name": f"worker-{index % 16}", "status": "200"})
    return bytes(message.SerializeToString())


def attach(attributes: Any, pairs: dict[str, str]) -> None:  # noqa: ANN401 -- a repeated field of a generated message
    """Add attributes that are texts."""
    for key, value in pairs.items():
        attributes.add(key=key).value.string_value = value


def message(file: FileDescriptorProto, named: str, /, **fields: tuple[int, int, str]) -> None:
    """Declare a message: name of a field -> number, type, and the message or nothing where it is not repeated."""
    made = file.message_type.add(name=named)
    for key, (number, kind, inner) in fields.items():
        one = made.field.add(name=key, number=number, type=kind, label=3 if inner else 1)  # type: ignore[arg-type]
        if inner:
            one.type_name = f".prometheus.{inner}"


def remote_write_parser() -> Callable[[bytes], Any]:
    """The parser of WriteRequest that protobuf makes of Prometheus' own declaration (types.proto, remote.proto)."""
    file = FileDescriptorProto(name="remote.proto", package="prometheus", syntax="proto3")
    message(file, "Label", name=(1, 9, ""), value=(2, 9, ""))
    message(file, "Sample", value=(1, 1, ""), timestamp=(2, 3, ""))
    message(file, "TimeSeries", labels=(1, 11, "Label"), samples=(2, 11, "Sample"))
    message(file, "WriteRequest", timeseries=(1, 11, "TimeSeries"))
    pool = DescriptorPool()
    pool.Add(file)
    parse: Callable[[bytes], Any] = GetMessageClass(pool.FindMessageTypeByName("prometheus.WriteRequest")).FromString
    return parse


def walk(request: Any) -> list[tuple[tuple[tuple[str, str], ...], float, int]]:  # noqa: ANN401 -- a generated message
    """A parsed remote write request, walked in Python."""
    rows = []
    for series in request.timeseries:
        pairs = tuple((each.name, each.value) for each in series.labels)
        rows += [(pairs, each.value, each.timestamp) for each in series.samples]
    return rows


def walk_metrics(raw: bytes) -> list[tuple[str, tuple[tuple[str, str], ...], float, int]]:
    """OTLP metrics, parsed and walked."""
    rows = []
    for group in ExportMetricsServiceRequest.FromString(raw).resource_metrics:
        resource = tuple((each.key, each.value.string_value) for each in group.resource.attributes)
        for scope in group.scope_metrics:
            for metric in scope.metrics:
                for each in metric.sum.data_points:
                    own = tuple((pair.key, pair.value.string_value) for pair in each.attributes)
                    rows.append((metric.name, resource + own, each.as_double, each.time_unix_nano // 1000))
    return rows


def walk_logs(raw: bytes) -> list[tuple[int, int, str, dict[str, str]]]:
    """OTLP logs, parsed and walked."""
    rows = []
    for group in ExportLogsServiceRequest.FromString(raw).resource_logs:
        for scope in group.scope_logs:
            for each in scope.log_records:
                pairs = {pair.key: pair.value.string_value for pair in each.attributes}
                ids = {"trace_id": each.trace_id.hex(), "span_id": each.span_id.hex()}
                rows.append((each.time_unix_nano // 1000, each.severity_number, each.body.string_value, pairs | ids))
    return rows


def main() -> None:
    """Print the table."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    table = SeriesTable()
    remote, otlp, parse = RemoteWrite(table, Limits()), Otlp(table, Limits()), remote_write_parser()
    block = bytes(cramjam.snappy.compress_raw(write_request()))
    points, lines = metrics_request(), logs_request()
    rows: list[tuple[str, float, Callable[[], Delivery], Callable[[], object]]] = [
        (
            "remote write body to columns, snappy included",
            4e6,
            lambda: remote.decode(block, now=NOW, version=1),
            lambda: walk(parse(bytes(cramjam.snappy.decompress_raw(block)))),
        ),
        ("OTLP metrics body to columns", 4e6, lambda: otlp.metrics(points, now=NOW), lambda: walk_metrics(points)),
        ("OTLP logs body to columns", 0.5e6, lambda: otlp.logs(lines, now=NOW), lambda: walk_logs(lines)),
    ]
    for name, bar, ours, peer in rows:
        made = ours()
        table.confirm(made.frames["series"]["series"].to_list())
        if made.records != RECORDS:
            raise SystemExit(f"{name}: {made.records} of {RECORDS} records: the figures mean nothing")
        said = f"protobuf, parsed and walked in Python: {rate(peer) / 1e6:.2f} M"
        at_least(name, rate(ours) / 1e6, "M records/s/core", bar / 1e6, said)


if __name__ == "__main__":
    main()
