"""The books for other processes: as of the last commit, whether somebody holds the log or nobody does, and without a trace."""

import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from vedette.core.errors import Transient
from vedette.core.frames import METRICS
from vedette.core.types import Delivery
from vedette.log import LogSettings, SqliteLog, read_books

CHILD = "import sys; from pathlib import Path; from vedette.log import read_books; print(read_books(Path(sys.argv[1])))"


def opened(path: Path) -> SqliteLog:
    return SqliteLog(path, LogSettings(group_seconds=0), clock=lambda: 1_000_000)


def fill(log: SqliteLog) -> None:
    points = pl.DataFrame({"series": [1, 2, 3], "at": [1, 2, 3], "value": [0.5] * 3}, schema=METRICS)
    for _ in range(4):
        log.append(Delivery("push", {"metrics": points}, rejected=1)).result()
    log.release(2, {"push": {"duplicate": 1}})


def test_another_process_reads_the_books_of_a_log_in_use_and_takes_nothing_from_it(tmp_path):
    path = tmp_path / "log.db"
    log = opened(path)
    fill(log)
    answer = subprocess.run([sys.executable, "-c", CHILD, str(path)], capture_output=True, text=True, check=True).stdout
    assert answer.strip() == str(log.books())
    fill(log)
    assert read_books(path) == log.books()
    log.close()


def test_the_books_of_a_closed_log_are_read_without_leaving_a_trace(tmp_path):
    path = tmp_path / "log.db"
    log = opened(path)
    fill(log)
    books = log.books()
    log.close()
    before = sorted(tmp_path.iterdir())
    assert read_books(path) == books
    assert books["push"]["in_log"] == 6
    assert sorted(tmp_path.iterdir()) == before


def test_the_books_of_a_log_that_was_killed_are_those_of_its_last_commit(tmp_path):
    log = opened(tmp_path / "log.db")
    fill(log)
    left = tmp_path / "left"
    left.mkdir()
    for name in ("log.db", "log.db-wal"):
        shutil.copy(tmp_path / name, left / name)
    assert read_books(left / "log.db") == log.books()
    log.close()


def test_without_a_log_there_are_no_books(tmp_path):
    assert read_books(tmp_path / "log.db") == {}


def test_a_damaged_log_says_so_and_is_left_as_it_is(tmp_path):
    path = tmp_path / "log.db"
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(Transient, match="cannot be read"):
        read_books(path)
    assert path.read_bytes() == b"no database" * 1000
