"""R18: whatever is done to the file, the log starts, hands out nothing that was not written, and takes more."""

import os
import random
import shutil
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from vedette.core.frames import METRICS
from vedette.core.telemetry import BOOKS
from vedette.core.types import Delivery
from vedette.log import LogSettings, SqliteLog

QUICK = LogSettings(group_seconds=0)
ROUNDS = int(os.environ.get("VEDETTE_CORRUPTIONS", "300"))
DELIVERIES = 40
VALUES_OF_20 = struct.pack("<d", 20.0) * 20


@pytest.fixture
def swift() -> Iterator[Path]:
    """A folder in memory where there is one, since hundreds of fsyncs are not what is tested."""
    memory = Path("/dev/shm")  # noqa: S108 -- a folder of a random name within it
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


def delivery(number: int) -> Delivery:
    rows = 1 + number * 17 % 900
    frame = pl.DataFrame({"series": [number] * rows, "at": range(rows), "value": [float(number)] * rows}, schema=METRICS)
    return Delivery(f"source-{number % 3}", {"metrics": frame}, key=f"key-{number}")


def fill(path: Path) -> None:
    log = SqliteLog(path, QUICK, clock=lambda: 1_000_000)
    for number in range(1, DELIVERIES + 1):
        log.append(delivery(number)).result()
    log.close()


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("good") / "log.db"
    fill(path)
    return path


def found(log: SqliteLog) -> list[pl.DataFrame]:
    """The deliveries that come out, by number."""
    log.tick().result()
    batch = log.reader(0).poll(1)
    assert batch is not None
    assert batch.items.last == log.last
    frames = batch.items.frames
    return frames["metrics"].partition_by("series", maintain_order=True) if "metrics" in frames else []


def check(path: Path, corrupt: list[int]) -> set[int]:
    """Start on whatever is there; the numbers of the deliveries that survived."""
    log = SqliteLog(path, QUICK, clock=lambda: 2_000_000, floor=DELIVERIES, corrupt=corrupt.append)
    survived = set()
    for frame in found(log):
        number = frame["series"][0]
        wanted = delivery(number)
        assert frame.drop("source").equals(wanted.frames["metrics"])
        assert set(frame["source"]) == {wanted.source}
        survived.add(number)
    assert log.append(delivery(99)).result().offset > DELIVERIES
    for book in log.books().values():
        assert book["received"] == sum(book[name] for name in (*BOOKS[1:], "in_log"))
    log.close()
    return survived


def damage(data: bytearray, dice: random.Random) -> bytearray:
    where, size = dice.randrange(len(data)), dice.choice((1, 16, 512, 8192, 40_000))
    match dice.choice(("cut", "flip", "zero", "noise")):
        case "cut":
            return data[:where]
        case "flip":
            data[where] ^= 1 << dice.randrange(8)
        case "zero":
            data[where : where + size] = bytes(len(data[where : where + size]))
        case _:
            data[where : where + size] = dice.randbytes(len(data[where : where + size]))
    return data


@pytest.mark.parametrize("part", range(10))
def test_any_damage_leaves_a_log_that_starts_and_hands_out_only_what_was_written(good, swift, part):
    whole = good.read_bytes()
    for number in range(ROUNDS // 10):
        dice = random.Random(part * 100_000 + number)
        path = swift / f"{number}" / "log.db"
        path.parent.mkdir()
        path.write_bytes(damage(bytearray(whole), dice))
        corrupt: list[int] = []
        survived = check(path, corrupt)
        assert survived == set(range(1, DELIVERIES + 1)) or corrupt, f"seed {part * 100_000 + number}: lost and not counted"
        assert bool(corrupt) == (path.parent / "quarantine").exists()
        shutil.rmtree(path.parent)


def test_what_is_before_a_damaged_row_and_behind_it_is_kept(good, tmp_path):
    path = tmp_path / "log.db"
    data = bytearray(good.read_bytes())
    data[data.find(VALUES_OF_20) + 60] ^= 1
    path.write_bytes(data)
    corrupt: list[int] = []
    assert check(path, corrupt) == set(range(1, DELIVERIES + 1)) - {20}
    assert sum(corrupt) > 0
    assert [each.name for each in (tmp_path / "quarantine").iterdir()]


def test_rows_that_were_lost_are_booked_as_shed(good, tmp_path):
    path = tmp_path / "log.db"
    data = bytearray(good.read_bytes())
    data[data.find(VALUES_OF_20) + 60] ^= 1
    path.write_bytes(data)
    log = SqliteLog(path, QUICK, clock=lambda: 0)
    assert log.books()["source-2"]["shed"] == delivery(20).records
    log.close()


@pytest.mark.parametrize("content", [b"", b"no database at all", bytes(8192)])
def test_a_file_that_is_no_database_is_put_aside(tmp_path, content):
    path = tmp_path / "log.db"
    path.write_bytes(content)
    assert check(path, []) == set()


def test_a_missing_write_ahead_file_and_foreign_files_beside_it_do_no_harm(good, tmp_path):
    path = tmp_path / "log.db"
    shutil.copy(good, path)
    path.with_name("log.db-wal").write_bytes(b"not ours" * 100)
    path.with_name("log.db-shm").write_bytes(b"nor this")
    path.with_name("stray").write_bytes(b"?")
    assert check(path, []) == set(range(1, DELIVERIES + 1))


def test_a_salvage_that_was_killed_before_its_last_step_is_finished(good, tmp_path):
    path = tmp_path / "log.db"
    path.write_bytes(b"the bad one")
    shutil.copy(good, tmp_path / "log.db.whole")
    (tmp_path / "log.db.building").write_bytes(b"half of another")
    assert check(path, []) == set(range(1, DELIVERIES + 1))
    assert not (tmp_path / "log.db.building").exists()
