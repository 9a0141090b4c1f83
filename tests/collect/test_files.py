"""Log files through rotation, copies and restarts (R21, R26, R32): each line comes once, giant and broken ones marked."""

import os
import random
import shutil
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vedette.collect.files import FileSettings, FileSource, default_logs
from vedette.collect.jsonlines import restore
from vedette.collect.limits import Limits
from vedette.collect.series import SeriesTable
from vedette.core.document import read
from vedette.core.errors import ConfigError
from vedette.log import LogSettings, SqliteLog

SECOND = 1_000_000


class World:
    """A folder of logs, a clock, and what was read of it so far, through any number of restarts."""

    def __init__(self, folder, **options):
        self.folder = folder
        self.options = {"paths": (f"{folder}/*",), "from_start": True, **options}
        self.now = 1_700_000_000 * SECOND
        self.positions = {}
        self.rows = []
        self.line_bytes = 4096
        self.table = SeriesTable()
        self.start()

    def start(self):
        self.source = FileSource(
            FileSettings(**self.options),
            self.table,
            lambda: self.now,
            Limits(line_bytes=self.line_bytes),
            host="h",
            zone="America/New_York",
        )
        for position in self.positions.values():
            self.source.seek(position)

    def restart(self):
        self.source.close()
        self.start()

    def poll(self, limit=1000):
        self.now += 5 * SECOND
        batch = self.source.poll(limit)
        if batch is not None:
            self.positions[batch.position.partition] = batch.position
            if "logs" in batch.items.frames:
                self.rows += batch.items.frames["logs"].rows(named=True)
        return batch is not None

    def drain(self, limit=1000):
        for _ in range(3):
            while self.poll(limit):
                pass
        return [row["body"] for row in self.rows]


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.source.close()


def test_a_partial_last_line_waits(world, tmp_path):
    (tmp_path / "a.log").write_text("one\ntw")
    assert world.drain() == ["one"]
    with (tmp_path / "a.log").open("a") as file:
        file.write("o\n")
    assert world.drain() == ["one", "two"]


def test_the_old_file_is_finished_after_a_rename_and_the_new_one_read_from_its_beginning(world, tmp_path):
    (tmp_path / "a.log").write_text("one\n")
    world.drain()
    (tmp_path / "a.log").rename(tmp_path / "a.log.1")
    with (tmp_path / "a.log.1").open("a") as file:
        file.write("two\n")
    (tmp_path / "a.log").write_text("three\n")
    assert sorted(world.drain()) == ["one", "three", "two"]


@pytest.mark.parametrize("way", ["renamed", "copied"])
def test_what_was_written_before_a_rotation_stays_in_the_stream_of_its_file(world, tmp_path, way):
    log = tmp_path / "a.log"
    log.write_text("one\n")
    world.drain()
    with log.open("a") as file:
        file.write("two\n")
    if way == "renamed":
        log.rename(tmp_path / "a.log.1")
        log.write_text("three\n")
    else:
        shutil.copy(log, tmp_path / "a.log.1")
        os.truncate(log, 0)
        with log.open("a") as file:
            file.write("three\n")
    assert sorted(world.drain()) == ["one", "three", "two"]
    files = {row["labels"]["file"] for row in world.table.definitions({row["series"] for row in world.rows}).rows(named=True)}
    assert files == {str(log)}


def test_what_is_left_of_a_file_renamed_out_of_sight_or_deleted_is_read(tmp_path):
    world = World(tmp_path, paths=(f"{tmp_path}/*.log",))
    for name in ("a", "b"):
        (tmp_path / f"{name}.log").write_text(f"{name}1\n{name}2\n")
    world.poll(limit=1)
    world.poll(limit=1)
    (tmp_path / "a.log").rename(tmp_path / "a.old")
    (tmp_path / "b.log").unlink()
    assert sorted(world.drain()) == ["a1", "a2", "b1", "b2"]
    assert len(world.source._files) == 0
    world.source.close()


def test_a_copy_is_not_read_again_and_a_truncated_file_begins_anew(world, tmp_path):
    log = tmp_path / "a.log"
    log.write_text("one\ntwo\n")
    world.drain()
    shutil.copy(log, tmp_path / "a.log.1")
    assert world.drain() == ["one", "two"]
    os.truncate(log, 0)
    with log.open("a") as file:
        file.write("three\n")
    assert world.drain() == ["one", "two", "three"]


def test_what_only_the_copy_holds_is_read_from_the_copy(world, tmp_path):
    log = tmp_path / "a.log"
    log.write_text("one\n")
    world.drain()
    with log.open("a") as file:
        file.write("two\n")
    shutil.copy(log, tmp_path / "a.log.1")
    log.write_text("three\n")
    assert sorted(world.drain()) == ["one", "three", "two"]


def test_a_giant_line_is_cut_and_the_next_is_whole(world, tmp_path):
    with (tmp_path / "a.log").open("w") as file:
        for _ in range(100):
            file.write("x" * 10_000)
        file.write("\nnext\n")
    assert [len(body) for body in world.drain()] == [4096, 4]
    assert world.rows[0]["attributes"] == {"vedette.truncated": "1000000"}
    assert world.rows[1]["body"] == "next"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-8"])
def test_encodings_with_and_without_a_mark(world, tmp_path, encoding):
    (tmp_path / "a.log").write_bytes("grüße 🚀\nzwei\u2028halb\n".encode(encoding))
    assert world.drain() == ["grüße 🚀", "zwei\u2028halb"]


def test_bytes_that_are_no_text_are_kept_and_marked(world, tmp_path):
    (tmp_path / "a.log").write_bytes(b"ok\nbad \xff\xfe end\n")
    assert world.drain() == ["ok", "bad \\xff\\xfe end"]
    assert [row["attributes"] for row in world.rows] == [{}, {"vedette.encoding": "backslashreplace"}]


def test_a_stack_trace_is_one_record(tmp_path):
    world = World(tmp_path, multiline="stack")
    (tmp_path / "a.log").write_text("ERROR boom\n  at f(A.java:1)\nCaused by: x\n\tat g\nINFO fine\n")
    assert world.drain() == ["ERROR boom\n  at f(A.java:1)\nCaused by: x\n\tat g", "INFO fine"]
    assert [row["severity"] for row in world.rows] == [17, 9]
    world.source.close()


def test_the_first_start_begins_at_the_end_unless_told_otherwise(tmp_path):
    (tmp_path / "a.log").write_text("old\n")
    world = World(tmp_path, from_start=False)
    assert world.drain() == []
    with (tmp_path / "a.log").open("a") as file:
        file.write("new\n")
    world.restart()
    assert world.drain() == ["new"]
    world.source.close()


ACTIONS = st.sampled_from(["write", "partial", "rotate", "copytruncate", "poll", "restart"])


@settings(max_examples=20, deadline=None)
@given(actions=st.lists(ACTIONS, max_size=20), limit=st.integers(1, 5))
def test_each_line_comes_once_through_any_writing_rotating_and_restarting(tmp_path_factory, actions, limit):
    folder = tmp_path_factory.mktemp("logs")
    world = World(folder)
    log, written, partial = folder / "a.log", 0, False
    for step, action in enumerate(actions):
        if action in {"write", "partial"}:
            with log.open("a") as file:
                file.write("" if partial else f"line {written} ")
                written += not partial
                partial = action == "partial"
                file.write("" if partial else "end\n")
        elif action == "rotate" and log.exists() and not partial:
            log.rename(folder / f"a.log.{step}")
        elif action == "copytruncate" and log.exists() and not partial:
            shutil.copy(log, folder / f"a.log.{step}")
            os.truncate(log, 0)
        elif action == "poll":
            world.poll(limit)
        elif action == "restart":
            world.restart()
    seen = sorted(int(body.split()[1]) for body in world.drain(limit))
    world.source.close()
    assert seen == list(range(written - partial))


def test_lines_unread_when_the_file_is_copied_and_truncated_come_once(world, tmp_path):
    log = tmp_path / "a.log"
    log.write_text("".join(f"line {index}\n" for index in range(100)))
    world.poll(10)
    shutil.copy(log, tmp_path / "a.log.1")
    os.truncate(log, 0)
    log.write_text("line 100\n")
    assert sorted(world.drain(10), key=lambda body: int(body.split()[1])) == [f"line {index}" for index in range(101)]


def test_a_file_written_anew_at_the_same_length_is_read_again(world, tmp_path):
    log = tmp_path / "a.log"
    log.write_text("same head\n" * 200 + "end 1\n")
    world.drain()
    log.write_text("same head\n" * 200 + "end 2\n")
    os.utime(log, ns=(1, 1))
    assert world.drain()[-1] == "end 2"


def test_a_line_that_drips_in_byte_by_byte_comes_when_it_ends(world, tmp_path):
    log = tmp_path / "a.log"
    for byte in b"slow line":
        with log.open("ab") as file:
            file.write(bytes([byte]))
        world.poll()
    assert world.rows == []
    with log.open("ab") as file:
        file.write(b"\n")
    assert world.drain() == ["slow line"]


def test_a_record_of_several_lines_survives_any_cut_between_polls(tmp_path):
    world = World(tmp_path, multiline="stack", quiet=60)
    record = "ERROR boom\n  at f(A.java:1)\n  at g(A.java:2)\n"
    text = (record * 3 + "INFO fine\n").encode()
    for byte in text:
        with (tmp_path / "a.log").open("ab") as file:
            file.write(bytes([byte]))
        world.now -= 4 * SECOND
        world.poll(limit=1)
    world.now += 60 * SECOND
    assert world.drain(limit=1) == [*[record.removesuffix("\n")] * 3, "INFO fine"]
    world.source.close()


def test_a_backlog_of_records_is_not_cut_where_a_piece_ends(tmp_path):
    world = World(tmp_path, multiline="stack")
    (tmp_path / "a.log").write_text("".join(f"ERROR {index}\n  at f\n" for index in range(2000)))
    world.now += 3600 * SECOND
    assert world.drain(limit=100) == [f"ERROR {index}\n  at f" for index in range(2000)]
    world.source.close()


@pytest.mark.parametrize(
    ("line", "odd"),
    [
        ("1969-12-31 23:59:59 a", "1969-12-31 23:59:59"),
        ("9999-12-31T23:59:59.999Z b", "9999-12-31T23:59:59.999Z"),
        ("2023-02-30 10:00:00 no such day", "2023-02-30 10:00:00"),
        ("2023-03-12 02:30:00 an hour that never was", "2023-03-12 02:30:00"),
        ('h - - [01/Jan/1970:00:00:01 +0000] "GET /"', "01/Jan/1970:00:00:01 +0000"),
        ("[Thu Jan 01 00:00:01 1970] [notice] c", "Thu Jan 01 00:00:01 1970"),
    ],
)
def test_a_time_that_is_not_believed_is_kept_in_words_and_the_line_has_that_of_its_reading(world, tmp_path, line, odd):
    (tmp_path / "a.log").write_text(f"{line}\n")
    world.drain()
    (row,) = world.rows
    assert row["at"] == row["observed_at"]
    assert row["attributes"] == {"vedette.time": odd}
    assert row["body"] == line


@pytest.mark.parametrize(
    ("line", "at"),
    [
        ("2023-11-05 01:30:00 the first of two such hours", datetime(2023, 11, 5, 5, 30, tzinfo=UTC)),
        ("2023-11-10T01:30:00,5 local", datetime(2023, 11, 10, 6, 30, 0, 500_000, tzinfo=UTC)),
        ("2023-11-10T01:30:00+05:30 says so", datetime(2023, 11, 9, 20, tzinfo=UTC)),
        ("Nov 10 01:30:00 host app: local", datetime(2023, 11, 10, 6, 30, tzinfo=UTC)),
    ],
)
def test_a_time_without_a_zone_is_of_the_zone_of_this_host(world, tmp_path, line, at):
    (tmp_path / "a.log").write_text(f"{line}\n")
    world.drain()
    (row,) = world.rows
    assert (row["at"], row["attributes"]) == (at, {})


@pytest.mark.parametrize(
    ("declared", "fault"),
    [
        ("zone: Mars/Base", "unknown time zone 'Mars/Base'"),
        ("encoding: utf-99", "unknown encoding 'utf-99'"),
        ("encoding: utf-32", "cannot be told apart"),
        ("encoding: hex", "unknown encoding 'hex'"),
        ("multiline: '^(x'", "unclosed group"),
    ],
)
def test_what_cannot_work_is_refused_before_it_starts(declared, fault):
    with pytest.raises(ConfigError, match=r"vedette\.yaml:2") as caught:
        read(f"paths: [x]\n{declared}", FileSettings)
    assert fault in str(caught.value)


def test_no_more_files_are_open_than_allowed_and_none_is_forgotten(tmp_path):
    world = World(tmp_path, open_files=3)
    for turn in range(3):
        for index in range(8):
            with (tmp_path / f"{index}.log").open("a") as file:
                file.write(f"{index} {turn}\n" * 5)
        world.drain(limit=2)
        assert len(world.source._files) == 3
    assert len(world.rows) == 8 * 3 * 5
    world.source.close()


def test_the_logs_of_a_host_are_those_that_hold_text_and_are_not_rotated(tmp_path):
    for name in ("app.log", "syslog", "app.log.1", "app.log.2.gz", "wtmp", "notes.txt"):
        (tmp_path / name).write_text("text\n")
    (tmp_path / "binary.log").write_bytes(b"\x7fELF\0\0")
    (tmp_path / "folder.log").mkdir()
    assert default_logs(tmp_path) == (str(tmp_path / "app.log"), str(tmp_path / "syslog"))


GIANT = """
import sys
from pathlib import Path
from vedette.collect.files import FileSettings, FileSource
from vedette.collect.limits import Limits
from vedette.collect.series import SeriesTable

def read(path):
    source = FileSource(FileSettings(paths=(path,), from_start=True), SeriesTable(), lambda: 10**15, Limits())
    found = [batch.items.frames["logs"] for batch in iter(lambda: source.poll(1000) or source.poll(1000), None)]
    source.close()
    return [(len(body), marks) for logs in found for body, marks in zip(logs["body"], logs["attributes"], strict=True)]

def resident(what):
    return next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(what))

for _ in range(25):
    read(sys.argv[1])
Path("/proc/self/clear_refs").write_text("5")
before = resident("VmRSS")
rows = read(sys.argv[2])
print(resident("VmHWM") - before)
print(rows)
"""


def test_a_line_of_100_megabytes_is_cut_in_bounded_memory(tmp_path):
    for name, megabytes in (("small", 1), ("giant", 100)):
        with (tmp_path / name).open("w") as file:
            for _ in range(megabytes):
                file.write("x" * 1_000_000)
            file.write("\nnext\n")
    command = [sys.executable, "-c", GIANT, str(tmp_path / "small"), str(tmp_path / "giant")]
    grown, rows = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert rows == "[(262144, {'vedette.truncated': '100000000'}), (4, {})]"
    assert int(grown) < 2 * 256, "KiB beyond what reading a line of 1 MB takes"


@given(
    st.lists(
        st.sampled_from([b"a", b"\\", b"\\xff", b"\xff", b"\xc3\xa9", b"\xed\xa0\x80", b"\x00", b"\x1b[31m", b"\xe2\x80\xae"]),
        max_size=12,
    )
)
def test_bytes_that_are_no_text_come_back_as_they_were(tmp_path_factory, parts):
    raw = b"x" + b"".join(parts)
    world = World(tmp_path_factory.mktemp("bytes"))
    (world.folder / "a.log").write_bytes(raw + b"\n")
    world.drain()
    row = world.rows[0]
    body = row["body"]
    assert (restore(body) if "vedette.encoding" in row["attributes"] else body.encode()) == raw
    world.source.close()


def test_a_giant_line_is_cut_between_two_characters(world, tmp_path):
    (tmp_path / "a.log").write_text("x" + "\u00e9" * 5000 + "\nnext\n")
    world.drain()
    assert [(len(row["body"]), row["attributes"]) for row in world.rows] == [(2048, {"vedette.truncated": "10001"}), (4, {})]


LINES = [f"{n:04d} line" for n in range(400)]


@pytest.mark.parametrize("seed", range(4))
def test_with_thirty_percent_offered_again_each_line_is_stored_once_and_the_books_say_so(tmp_path, seed):
    """(R21) Restarts from older positions are what a source does when its log lost the last of them: none is taken twice."""
    chance = random.Random(seed)
    folder = tmp_path / "logs"
    folder.mkdir()
    log = folder / "a.log"
    with closing(SqliteLog(tmp_path / "log.db", LogSettings(), clock=lambda: 1_700_000_000 * SECOND)) as journal:
        now, table = 1_700_000_000 * SECOND, SeriesTable()
        written = copies = 0

        def source():
            made = FileSource(
                FileSettings(paths=(f"{folder}/*",), from_start=True), table, lambda: now, Limits(), name="files", zone="UTC"
            )
            for position in journal.positions("files"):
                made.seek(position)
            return made

        reading = source()
        for _ in range(60):
            now += 5 * SECOND
            act = chance.random()
            if act < 0.5 and written < len(LINES):
                some = LINES[written : written + chance.randint(1, 20)]
                written += len(some)
                with log.open("a") as file:
                    file.write("".join(line + "\n" for line in some))
            elif act < 0.6 and log.exists():
                copies += 1
                log.rename(folder / f"a.log.{copies}")
            elif act < 0.7 and log.exists() and log.stat().st_size:
                while batch := reading.poll(1000):
                    journal.append(batch.items, batch.position).result()
                copies += 1
                shutil.copy(log, folder / f"a.log.{copies}")
                os.truncate(log, 0)
            elif act < 0.85:
                reading.close()
                reading = source()
            batch = reading.poll(chance.randint(1, 30))
            if batch is not None and chance.random() < 0.7:
                journal.append(batch.items, batch.position).result()
            elif batch is not None:  # killed before it was durable: the next start offers it again
                reading.close()
                reading = source()
        for _ in range(20):
            now += 5 * SECOND
            while batch := reading.poll(1000):
                journal.append(batch.items, batch.position).result()
        reading.close()
        journal.tick().result()
        with closing(journal.reader(0)) as beats:
            bodies = beats.poll(10_000).items.frames["logs"]["body"].to_list()
        assert sorted(bodies) == LINES[:written]
        books = journal.books()["files"]
        assert (books["received"], books["in_log"], books.get("duplicate", 0)) == (written, written, 0)
