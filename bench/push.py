"""What `/push/NAME` takes a second and core: text lines, JSON lines, JSON samples, syslog; and the memory of a 64 MiB body."""

import json
import resource
import time
from collections.abc import Callable, Iterator
from statistics import median

from vedette.collect.limits import Limits
from vedette.collect.pieces import Cutter, Piece, cutter
from vedette.collect.push import Push, PushSettings
from vedette.collect.series import SeriesTable
from vedette.collect.syslog import Messages
from vedette.collect.syslog_server import Framing

NOW = 1_767_225_600_000_000
RECORDS = 50_000
CHUNK = 64 << 10
LIMITS = Limits()


def chunks(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), CHUNK):
        yield body[start : start + CHUNK]


def pieces(cut: Cutter, body: Iterator[bytes]) -> Iterator[Piece]:
    for chunk in body:
        yield from cut.feed(chunk)
    yield from cut.finish()


def pushed(settings: PushSettings, body: bytes, *, as_json: bool) -> Callable[[], int]:
    push = Push("bench", settings, SeriesTable(), LIMITS)

    def work() -> int:
        cut = cutter(body[:1000], as_json=as_json, limit=LIMITS.line_bytes, depth=LIMITS.depth)
        taken = 0
        for piece in pieces(cut, chunks(body)):
            delivery = push.json(piece, NOW, first=taken) if as_json else push.text(piece, NOW)
            taken += delivery.records
        return taken

    return work


def syslog(body: bytes) -> Callable[[], int]:
    messages = Messages("bench", SeriesTable(), {})

    def work() -> int:
        framing = Framing(LIMITS.line_bytes)
        taken = 0
        for chunk in chunks(body):
            found = framing.feed(chunk)
            taken += messages.rows([each.text for each in found], [each.cut for each in found], NOW).height
        return taken

    return work


def rate(work: Callable[[], int]) -> float:
    work()
    took = []
    for _ in range(7):
        begin = time.process_time()
        if work() != RECORDS:
            raise SystemExit("a record was lost: the figures mean nothing")
        took.append(time.process_time() - begin)
    return RECORDS / median(took)


def sample(n: int) -> bytes:
    labels = {"instance": f"web-{n % 1000}.example.org:9100", "job": "node", "mode": "system"}
    return json.dumps({"name": "node_cpu", "labels": labels, "timestamp": NOW // 1000 + n % 60, "value": n / 7}).encode()


def memory(lines: int) -> float:
    """Growth of the peak of resident memory, in MiB, while `lines` lines of 64 bytes go through, made as they are read."""
    push = Push("bench", PushSettings(), SeriesTable(), LIMITS)
    line = b"2026-01-01T00:00:00Z ERROR the disk of web-1 is full, code 1234\n"
    block = line * 1024
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for piece in pieces(cutter(line, as_json=False, limit=LIMITS.line_bytes, depth=8), (block for _ in range(lines // 1024))):
        push.text(piece, NOW)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def main() -> None:
    text = b"".join(b"2026-01-01T00:00:00Z ERROR the disk of web-%d is full, code %d\n" % (n % 9, n) for n in range(RECORDS))
    objects = b"".join(
        b'{"time":"2026-01-01T00:00:00Z","level":"warn","msg":"hot %d","core":%d}\n' % (n, n % 9) for n in range(RECORDS)
    )
    samples = b"\n".join(sample(n) for n in range(RECORDS))
    array = b"[" + b",".join(sample(n) for n in range(RECORDS)) + b"]"
    old = b"".join(b"<34>Jan  1 00:00:00 web-%d su[230]: 'su root' failed for user %d\n" % (n % 9, n) for n in range(RECORDS))
    new = b"".join(
        b"<34>1 2026-01-01T00:00:00.003Z web-%d su 230 - - 'su root' failed for %d\n" % (n % 9, n) for n in range(RECORDS)
    )
    numbers = PushSettings(records="metrics", time_unit="ms")
    print(f"{'warm-up':32}{memory(64 << 10):10.1f} MiB more at the peak, 4 MiB body")
    print(f"{'text, 64 MiB body':32}{memory(1 << 20):10.1f} MiB more at the peak")
    for name, work in {
        "text lines": pushed(PushSettings(), text, as_json=False),
        "JSON lines, logs": pushed(PushSettings(), objects, as_json=True),
        "JSON lines, samples": pushed(numbers, samples, as_json=True),
        "JSON array, samples": pushed(numbers, array, as_json=True),
        "syslog RFC 3164": syslog(old),
        "syslog RFC 5424": syslog(new),
    }.items():
        print(f"{name:32}{rate(work):10,.0f} records/s of CPU")


if __name__ == "__main__":
    main()
