"""Compile every kernel before the first record comes, in processes that end: a compiler never gives its memory back.

The first time on a machine, and after an upgrade, this takes some ten seconds; later the compiled code is read from Numba's cache.
"""

import subprocess
import sys
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from threading import Thread
from typing import Any, Final

import cramjam
import numba
import polars as pl

from vedette.collect import remote_write_wire
from vedette.collect.limits import Limits
from vedette.collect.otlp import Otlp
from vedette.collect.remote_write import RemoteWrite
from vedette.collect.series import SeriesTable
from vedette.core.catalogue import Catalogue
from vedette.core.frames import INBOUND, POINTS, from_rows
from vedette.core.types import Beat
from vedette.models import standard, walk
from vedette.prepare import PrepareSettings, StandardRecipe, counters
from vedette.serve.scorer import Scorer

STAMP: Final = "vedette-kernels"
NOW: Final = 1_767_225_600_000_000
MINUTE: Final = 60_000_000
#: A WriteRequest with one sample of the series `up`.
SAMPLE: Final = b"\n\x1b\n\x0e\n\x08__name__\x12\x02up\x12\t\t\0\0\0\0\0\0\0\0"
METRICS: Final = b"""{"resourceMetrics": [{"resource": {"attributes": [{"key": "host.name", "value": {"stringValue": "a"}}]},
"scopeMetrics": [{"metrics": [{"name": "up", "gauge": {"dataPoints": [
{"timeUnixNano": "1767225600000000000", "asDouble": 1}]}}]}]}]}"""
LOGS: Final = b"""{"resourceLogs": [{"resource": {"attributes": [{"key": "host.name", "value": {"stringValue": "a"}}]},
"scopeLogs": [{"logRecords": [{"timeUnixNano": "1767225600000000000", "body": {"stringValue": "started"},
"attributes": [{"key": "a", "value": {"stringValue": "b"}}]}]}]}]}"""


def receive() -> None:
    """Run the kernels of the receivers, over bodies of one record."""
    table = SeriesTable()
    remote, otlp = RemoteWrite(table, Limits()), Otlp(table, Limits())
    block = bytes(cramjam.snappy.compress_raw(SAMPLE))
    remote.decode(block, now=NOW, version=1)
    remote.decode(block, now=NOW, version=2)
    otlp.metrics(METRICS, now=NOW, json=True)
    otlp.logs(LOGS, now=NOW, json=True)


def prepare() -> None:
    """Run the kernels of the recipe, over beats with a series of every kind and a few lines."""
    series: list[tuple[object, ...]] = [
        (1, "load", {}, "gauge", ""),
        (2, "hits_total", {"pod": "web-7d9f8b6c5d-x2x4z"}, "counter", ""),
        (3, "wait_seconds_bucket", {"le": "1"}, "bucket", ""),
        (4, "wait_seconds_bucket", {"le": "+Inf"}, "bucket", ""),
    ]
    recipe = StandardRecipe(PrepareSettings(), Catalogue())
    for number in range(3):
        at = NOW + number * MINUTE
        rows: dict[str, list[tuple[object, ...]]] = {
            "series": series,
            "metrics": [(each[0], at, float(number)) for each in series],
            "logs": [(at, at, 5, 9, f"worker {word} took {number} ms", {}) for word in ("alpha", "beta")],
        }
        frames = {name: from_rows(each, INBOUND[name]) for name, each in rows.items()}
        recipe(Beat(at, number + 1, {name: each.with_columns(pl.lit("x").alias("source")) for name, each in frames.items()}))


def score() -> None:
    """Run the kernels of the models, over beats of two series."""
    scorer = Scorer(standard())
    for number in range(3):
        at = NOW + number * MINUTE
        scorer.score({"points": from_rows([(1, at, 1.0), (2, at, 1.0)], POINTS)}, at)


#: What is run, and a kernel of the room whose kernels it runs: Numba keeps them in one folder a room.
PARTS: Final[dict[str, tuple[Callable[[], None], Any]]] = {
    "prepare": (prepare, counters.walk),
    "score": (score, walk.walk),
    "receive": (receive, remote_write_wire.walk),
}


def ensure(say: Callable[[str], None]) -> Callable[[], bool]:
    """Return once every kernel behind the log is compiled, which is at once where it was done before; `say` is told otherwise.

    Those of the receivers are compiled meanwhile: they take the longest, and who watches one host needs none of them. The
    answer tells whether they are.
    A part that fails, or is not there in time, is compiled where it is needed; nothing is lost by it but time and memory.
    """
    missing = stale()
    if missing:
        say("Compiling, this once; it takes some fifteen seconds.")
    running = [subprocess.Popen(_command(name)) for name in missing if name != "receive"]  # noqa: S603 -- ourselves
    for process in running:
        process.wait()
    if "receive" not in missing:
        return lambda: True
    thread = Thread(target=subprocess.run, args=(_command("receive"),), name="compile", daemon=True)
    thread.start()
    return lambda: not thread.is_alive()


def stale() -> list[str]:
    """The parts whose kernels are not compiled as they are now."""
    return [name for name in PARTS if not _is_compiled(name)]


def _command(name: str) -> list[str]:
    return [sys.executable, "-m", "vedette.app.kernels", name]


def _is_compiled(name: str) -> bool:
    stamp = _stamp(name)
    return stamp.exists() and stamp.read_text("ascii") == _digest(name)


def _stamp(name: str) -> Path:
    return Path(PARTS[name][1].stats.cache_path) / STAMP


def _digest(name: str) -> str:
    """Of all that the compiled kernels of a part depend on."""
    digest = blake2b(numba.__version__.encode(), digest_size=16)
    for path in sorted(Path(PARTS[name][1].py_func.__code__.co_filename).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def compile_part(name: str) -> None:
    """Compile one part in this process, and leave word of it.

    What Numba kept of other code goes first: it looks only at the file of a kernel, not at what that calls.
    """
    digest = _digest(name)
    if _stamp(name).exists() and name in stale():
        for kept in _stamp(name).parent.glob("*.nb[ci]"):
            kept.unlink(missing_ok=True)
    PARTS[name][0]()
    _stamp(name).write_text(digest, "ascii")


if __name__ == "__main__":
    compile_part(sys.argv[1])
