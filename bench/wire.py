"""Points a second and core of the wire codecs, beside a peer that parses and walks objects, in the same run."""

import struct
import time
from collections.abc import Callable
from statistics import median

import cramjam

from vedette.collect.limits import Limits
from vedette.collect.remote_write import RemoteWrite
from vedette.collect.series import SeriesTable

NOW = 1_760_000_000_000_000
POINTS = 1000


def rate(work: Callable[[], object], records: int, seconds: float = 2.0) -> float:
    """Median records a second of `work`, over many runs."""
    work()
    took = []
    stop = time.perf_counter() + seconds
    while time.perf_counter() < stop or len(took) < 5:
        begin = time.perf_counter()
        work()
        took.append(time.perf_counter() - begin)
    return records / median(took)


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
    for index in range(POINTS):
        pairs = b"".join(part(1, part(1, key) + part(2, value)) for key, value in labels(index).items())
        out += part(1, pairs + part(2, b"\x09" + struct.pack("<d", index * 0.5) + b"\x10" + number(NOW // 1000)))
    return out


def walk(raw: bytes) -> list[tuple[tuple[tuple[str, str], ...], float, int]]:
    """The same request walked in Python."""

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


def main() -> None:
    """Print the table."""
    table = SeriesTable()
    raw = write_request()
    body = bytes(cramjam.snappy.compress_raw(raw))
    door = RemoteWrite(table, Limits())
    table.confirm(door.decode(body, now=NOW, version=1).frames["series"]["series"])
    ours = rate(lambda: door.decode(body, now=NOW, version=1), POINTS)
    peer = rate(lambda: walk(bytes(cramjam.snappy.decompress_raw(body))), POINTS)
    print(f"remote write, {POINTS} points: {ours / 1e6:.2f} M points/s; in Python {peer / 1e6:.3f} M")


if __name__ == "__main__":
    main()
