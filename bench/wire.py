"""Records a second and core of the wire codecs, each beside a peer in the same run: the usual parser, its objects walked in Python.

Bodies are of 1,000 records of known series, as senders make them. Time is that of the process's CPU, pinned to one core; medians.
"""

import os
import struct
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import cramjam
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

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


def number(value: int) -> bytes:
    """A varint."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def part(field: int, content: bytes | str) -> bytes:
    """A field of bytes."""
    raw = content.encode() if isinstance(content, str) else content
    return number(field << 3 | 2) + number(len(raw)) + raw


def labels(index: int) -> dict[str, str]:
    """Six labels, as Prometheus sends them."""
    return {
        "__name__": "node_cpu_seconds_total",
        "cpu": str(index % 8),
        "instance": f"web-{index // 8}.example.org:9100",
        "job": "node",
        "mode": "system",
        "region": "eu-west-1",
    }


def write_request() -> bytes:
    """A remote write 1.0 request, decompressed."""
    out = b""
    for index in range(RECORDS):
        pairs = b"".join(part(1, part(1, key) + part(2, value)) for key, value in labels(index).items())
        out += part(1, pairs + part(2, b"\x09" + struct.pack("<d", index * 0.5) + b"\x10" + number(NOW // 1000)))
    return out


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


def walk(raw: bytes) -> list[tuple[tuple[tuple[str, str], ...], float, int]]:
    """A remote write request walked in Python."""

    def fields(begin: int, end: int) -> list[tuple[int, int, int]]:
        found = []
        while begin < end:
            tag = raw[begin]
            begin += 1
            size = shift = 0
            if tag & 7 == 1:
                found.append((tag, begin, begin + 8))
                begin += 8
                continue
            while True:
                byte = raw[begin]
                begin += 1
                size |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    break
            found.append((tag, begin, begin + size) if tag & 7 == 2 else (tag, size, 0))
            begin += size if tag & 7 == 2 else 0
        return found

    rows = []
    for _, begin, stop in fields(0, len(raw)):
        pairs = []
        for tag, first, last in fields(begin, stop):
            if tag == 10:
                pairs.append(tuple(raw[a:b].decode() for _, a, b in fields(first, last)))
            else:
                (_, place, _), (_, at, _) = fields(first, last)
                rows.append((tuple(pairs), struct.unpack_from("<d", raw, place)[0], at))
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
    remote, otlp = RemoteWrite(table, Limits()), Otlp(table, Limits())
    block = bytes(cramjam.snappy.compress_raw(write_request()))
    points, lines = metrics_request(), logs_request()
    rows: list[tuple[str, float, Callable[[], Delivery], Callable[[], object]]] = [
        (
            "remote write, snappy",
            4e6,
            lambda: remote.decode(block, now=NOW, version=1),
            lambda: walk(bytes(cramjam.snappy.decompress_raw(block))),
        ),
        ("OTLP metrics", 4e6, lambda: otlp.metrics(points, now=NOW), lambda: walk_metrics(points)),
        ("OTLP logs", 0.5e6, lambda: otlp.logs(lines, now=NOW), lambda: walk_logs(lines)),
    ]
    print(f"{'body of 1,000 records':24}{'M records/s/core':>18}{'bar':>8}{'peer':>8}")
    for name, bar, ours, peer in rows:
        table.confirm(ours().frames["series"]["series"].to_list())
        print(f"{name:24}{rate(ours) / 1e6:18.2f}{bar / 1e6:8.1f}{rate(peer) / 1e6:8.3f}")


if __name__ == "__main__":
    main()
