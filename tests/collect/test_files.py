import os
import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vedette.collect.files import FileSettings, FileSource
from vedette.collect.limits import Limits
from vedette.collect.series import SeriesTable

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
        self.start()

    def start(self):
        self.source = FileSource(
            FileSettings(**self.options), SeriesTable(), lambda: self.now, Limits(line_bytes=self.line_bytes), host="h"
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
    assert world.rows[0]["attributes"] == {"vedette.truncated": "1000001"}
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
            world.drain(limit)
            shutil.copy(log, folder / f"a.log.{step}")
            os.truncate(log, 0)
        elif action == "poll":
            world.poll(limit)
        elif action == "restart":
            world.restart()
    seen = sorted(int(body.split()[1]) for body in world.drain(limit))
    world.source.close()
    assert seen == list(range(written - partial))
