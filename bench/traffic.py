"""Made-up telemetry: what a fleet of hosts sends by remote write, and what a dozen services write to their logs."""

import struct
from collections.abc import Iterator, Mapping
from typing import Final

import cramjam

STEP_MS: Final = 15_000
SAMPLES: Final = 1000
REMOTE_WRITE: Final = {
    "content-type": "application/x-protobuf",
    "content-encoding": "snappy",
    "x-prometheus-remote-write-version": "0.1.0",
}
#: Of each 20 series 10 are gauges, 6 counters, and 4 the buckets of a histogram.
BUCKETS: Final = {16: "0.1", 17: "0.5", 18: "2.5", 19: "+Inf"}
SHAPES: Final = (
    "2026-11-02T03:04:{s:02d}.{n:03d}Z INFO [worker-{w}] GET /api/v1/items/{i} 200 {n}ms user=u{u} trace={h}",
    "2026-11-02T03:04:{s:02d}.{n:03d}Z WARN [pool-{w}] connection to 10.1.{a}.{b}:5432 took {n} ms, {w} of 40 in use",
    "Nov  2 03:04:{s:02d} web-{w} sshd[{i}]: Failed password for invalid user u{u} from 10.2.{a}.{b} port {n} ssh2",
    "Nov  2 03:04:{s:02d} web-{w} kernel: [{i}.{n}] eth0: link is up at {n} Mbps, full duplex, flow control rx/tx",
    '10.3.{a}.{b} - - [02/Nov/2026:03:04:{s:02d} +0000] "POST /cart/{u}/checkout HTTP/1.1" 201 {n} "-" "okhttp/4.{w}"',
    "dfs.DataNode$PacketResponder: PacketResponder {w} for block blk_{i}{n} terminating after {n} packets",
    "Receiving block blk_-{i} src: /10.4.{a}.{b}:{n} dest: /10.4.{b}.{a}:50010",
    'level=info ts=2026-11-02T03:04:{s:02d}Z caller=compact.go:{n} component=tsdb msg="write block" duration={n}.{w}ms ulid={h}',
    "ERROR c.e.shop.OrderService - order {i} of customer {u} failed: stock of sku-{n} is {w}, {s} wanted",
    "INFO org.apache.spark.executor.Executor: Finished task {n}.0 in stage {w}.0 (TID {i}). {u} bytes result sent to driver",
    "session {h} opened for user u{u} by (uid=0) on tty{w}",
    "cache: evicted {n} entries ({i} bytes) from shard {w} after {s} s",
)  # fmt: skip


def varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first."""
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes((*out, number))


def field(number: int, content: bytes | str) -> bytes:
    """A field of bytes or of a message."""
    raw = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | 2) + varint(len(raw)) + raw


def label_pairs(labels: Mapping[str, str]) -> bytes:
    """The labels of a TimeSeries."""
    return b"".join(field(1, field(1, key) + field(2, value)) for key, value in labels.items())


def sample(value: float, at_ms: int) -> bytes:
    """The sample of a TimeSeries."""
    return field(2, b"\x09" + struct.pack("<d", value) + b"\x10" + varint(at_ms))


def labels_of(index: int) -> dict[str, str]:
    """Six or seven labels, sorted as Prometheus sends them."""
    place = index % 20
    name = f"app_size_{place}" if place < 10 else f"app_done_{place}_total" if place < 16 else "app_wait_seconds_bucket"
    labels = {
        "__name__": name,
        "cluster": "main",
        "instance": f"10.0.{index // 5000 % 250}.{index // 20 % 250}:9100",
        "job": "app",
        "namespace": f"team-{index // 20 % 7}",
        "shard": str(index // 20),
    }
    return {**labels, "le": BUCKETS[place]} if place in BUCKETS else labels


def value_of(index: int, at_ms: int) -> float:
    """What a series reads at a time: a noisy level, or what grew since long at a noisy pace."""
    noise = (index * 7919 + at_ms // STEP_MS * 104_729) % 1000
    if index % 20 < 10:
        return 50 + noise / 100
    share = (index % 20 - 15) / 4 if index % 20 in BUCKETS else 1.0
    return float(int((at_ms + 10 * noise) * share))


class Bodies:
    """Remote write bodies of 1,000 samples, all series in turn, time moving on by 15 s a round."""

    def __init__(self, series: int, start: float) -> None:
        self._prefixes = [label_pairs(labels_of(index)) for index in range(series)]
        self._at = int(start * 1000)
        self._next = 0

    def one(self, at_ms: int | None = None) -> bytes:
        """The next body; `at_ms` puts another time on it."""
        at = at_ms or self._at
        names = range(self._next, self._next + SAMPLES)
        body = b"".join(field(1, self._prefixes[index] + sample(value_of(index, at), at)) for index in names)
        self._next += SAMPLES
        if self._next >= len(self._prefixes):
            self._next = 0
            self._at += STEP_MS
        return bytes(cramjam.snappy.compress_raw(body))


def lines(start: int, count: int) -> Iterator[str]:
    """Log lines of twelve shapes in turn, hardly two of them alike."""
    for i in range(start, start + count):
        mixed = i * 2_654_435_761 % 2**32
        yield SHAPES[i % len(SHAPES)].format(
            i=i,
            s=mixed % 60,
            n=mixed % 997,
            w=mixed % 37,
            u=mixed % 4999,
            a=mixed % 250,
            b=mixed // 250 % 250,
            h=f"{mixed * i:016x}",
        )
