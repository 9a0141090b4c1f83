"""R01, R03: killed anywhere, at any time, what was acknowledged is there once, and the books balance."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vedette.core.telemetry import BOOKS
from vedette.log import LogSettings, SqliteLog

CHILD = """
import sys, threading, time
from pathlib import Path
import polars as pl
from vedette.core.errors import Transient
from vedette.core.frames import METRICS
from vedette.core.types import Delivery
from vedette.log import LogSettings, SqliteLog

log = SqliteLog(Path(sys.argv[1]), LogSettings(group_seconds=0.0), clock=lambda: time.time_ns() // 1000)
first = int(sys.argv[2])
gate = threading.Lock()

def say(word, number):
    with gate:
        print(word, number, flush=True)

def send(lane):
    for number in range(first + lane, first + 100_000, 4):
        frame = pl.DataFrame({"series": [number], "at": [number], "value": [1.0]}, schema=METRICS)
        log.append(Delivery("child", {"metrics": frame}, key=str(number))).result()
        say("acked", number)

for lane in range(4):
    threading.Thread(target=send, args=(lane,), daemon=True).start()
reader = log.reader(0)
for round in range(1000):
    log.tick().result()
    batch = reader.poll(1)
    if batch is not None:
        for number in batch.items.frames["metrics"]["series"] if "metrics" in batch.items.frames else ():
            say("taken", number)
        if round % 3 == 2:
            log.release(batch.position.offset, {})
            say("released", batch.position.offset)
"""
#: 30 in all with the failpoints below where `VEDETTE_KILLS=30`; fewer by default, since each starts a process.
KILLS = int(os.environ.get("VEDETTE_KILLS", "8"))
FAILPOINTS = ("log.before_commit", "log.after_commit", "log.before_release", "log.after_release")


def run_and_kill(path: Path, first: int, *, failpoint: str = "", seconds: float = 0.0) -> tuple[set[int], set[int], int]:
    """What the child was told is safe, what its reader took, and how it ended."""
    environment = {**os.environ, "VEDETTE_FAILPOINTS": failpoint}
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path), str(first)], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    head = "" if failpoint else child.stdout.readline()
    if not failpoint:
        time.sleep(seconds)
        child.kill()
    lines = [line.split() for line in [head, *child.stdout.read().splitlines()]]
    child.stdout.close()
    said = [(line[0], int(line[1])) for line in lines if len(line) == 2]
    return {n for word, n in said if word == "acked"}, {n for word, n in said if word == "taken"}, child.wait(timeout=30)


def left(path: Path) -> list[int]:
    """What is in the log after the kill; the books must balance."""
    log = SqliteLog(path, LogSettings(group_seconds=0), clock=lambda: 0)
    for book in log.books().values():
        assert book["received"] == sum(book[name] for name in (*BOOKS[1:], "in_log"))
    log.tick().result()
    numbers: list[int] = []
    reader, last = log.reader(0), 0
    while last < log.last and (batch := reader.poll(1)) is not None:
        last = batch.position.offset
        if "metrics" in batch.items.frames:
            numbers += batch.items.frames["metrics"]["series"].to_list()
    assert len(numbers) == sum(book["in_log"] for book in log.books().values())
    log.close()
    return numbers


@pytest.mark.parametrize("place", FAILPOINTS)
def test_killed_at_a_failpoint_nothing_acknowledged_is_lost_or_doubled(tmp_path, place):
    path = tmp_path / "log.db"
    acked, taken, code = run_and_kill(path, 0, failpoint=f"{place}=kill:3")
    assert code == -9, "the failpoint was never reached"
    numbers = left(path)
    assert len(numbers) == len(set(numbers))
    assert acked <= taken | set(numbers)


def test_killed_at_random_times_again_and_again_on_the_same_log(tmp_path):
    path, dice = tmp_path / "log.db", random.Random(7)
    acked, taken = set(), set()
    for number in range(KILLS):
        now_acked, now_taken, _ = run_and_kill(path, number * 100_000, seconds=dice.uniform(0, 0.2))
        acked |= now_acked
        taken |= now_taken
        numbers = left(path)
        assert len(numbers) == len(set(numbers))
        assert acked <= taken | set(numbers)
    assert acked
