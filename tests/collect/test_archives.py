"""Rotated and packed logs: once (R21), and never more unpacked than is held (R30)."""

import bz2
import gzip
import lzma
from pathlib import Path

import cramjam
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vedette.collect.files import FileSettings, FileSource
from vedette.collect.limits import Limits
from vedette.collect.readers import Unpacked
from vedette.collect.series import SeriesTable

SECOND = 1_000_000
TEXT = "".join(f"line {index}\n" for index in range(3000))
PACK = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zst": lambda raw: bytes(cramjam.zstd.compress(raw))}


class Reading:
    """What a source read of a folder, through restarts."""

    def __init__(self, folder, **limits):
        self.folder, self.limits, self.positions, self.bodies, self.letters = folder, limits, {}, [], []
        self.now = 1_000_000_000 * SECOND

    def __call__(self, polls=200, limit=1000):
        settings = FileSettings(paths=(f"{self.folder}/*",), from_start=True, compressed=True, zone="UTC")
        source = FileSource(settings, SeriesTable(), lambda: self.now, Limits(line_bytes=4096, **self.limits), host="h")
        for position in self.positions.values():
            source.seek(position)
        for _ in range(polls):
            self.now += SECOND
            batch = source.poll(limit)
            if batch is not None:
                self.positions[batch.position.partition] = batch.position
                frames = batch.items.frames
                self.bodies += frames["logs"]["body"].to_list() if "logs" in frames else []
                self.letters += frames["dead_letters"].rows(named=True) if "dead_letters" in frames else []
        source.close()
        return self


@pytest.mark.parametrize("ending", PACK)
def test_an_archive_is_read_once_through_restarts(tmp_path, ending):
    (tmp_path / f"a.log.1.{ending}").write_bytes(PACK[ending](TEXT.encode()))
    reading = Reading(tmp_path)(polls=3)
    assert 0 < len(reading.bodies) < 3000
    assert reading()().bodies == TEXT.splitlines()
    assert reading.letters == []


def test_an_archive_of_a_file_that_was_read_adds_only_what_was_not(tmp_path):
    (tmp_path / "a.log").write_text(TEXT)
    reading = Reading(tmp_path)()
    (tmp_path / "a.log").unlink()
    (tmp_path / "a.log.1.gz").write_bytes(gzip.compress((TEXT + "more\n").encode()))
    assert reading().bodies == [*TEXT.splitlines(), "more"]


@pytest.mark.parametrize("ending", PACK)
def test_a_broken_archive_is_set_aside_once_and_what_it_still_holds_is_read(tmp_path, ending):
    raw = PACK[ending](TEXT.encode())
    (tmp_path / f"a.{ending}").write_bytes(raw[: len(raw) // 2])
    (tmp_path / "b.log").write_text("after\n")
    reading = Reading(tmp_path)()()
    assert len(reading.letters) == 1
    assert f"a.{ending}: the archive cannot be read beyond byte" in reading.letters[0]["reason"]
    assert "after" in reading.bodies
    whole = [body for body in reading.bodies if body != "after"]
    assert whole[:-1] == TEXT.splitlines()[: len(whole) - 1] if whole else True


def test_what_is_no_archive_is_set_aside(tmp_path):
    (tmp_path / "a.gz").write_text("not packed at all")
    reading = Reading(tmp_path)()
    assert (len(reading.letters), reading.bodies) == (1, [])


def test_a_zstandard_archive_beyond_the_limit_is_set_aside(tmp_path):
    (tmp_path / "a.zst").write_bytes(PACK["zst"](TEXT.encode()))
    reading = Reading(tmp_path, decoded_bytes=10_000)()
    assert (len(reading.letters), reading.bodies) == (1, [])


def test_a_bomb_is_read_piece_by_piece(tmp_path):
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"\0" * 50_000_000 + b"\nend\n"))
    reading = Reading(tmp_path)()
    assert [len(body) for body in reading.bodies] == [4096, 3]


def test_an_archive_that_is_being_written_waits(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"one\n"))
    reading = Reading(tmp_path)
    reading.now = int(path.stat().st_mtime * SECOND)
    assert reading(polls=5).bodies == []
    assert reading(polls=20).bodies == ["one"]


@settings(max_examples=30, deadline=None)
@given(places=st.lists(st.tuples(st.integers(0, 200_000), st.integers(1, 70_000)), max_size=10))
def test_reading_an_archive_anywhere_is_reading_the_file(tmp_path_factory, places):
    content = bytes(range(256)) * 700
    path: Path = tmp_path_factory.mktemp("archives") / "a.gz"
    path.write_bytes(gzip.compress(content))
    with path.open("rb") as file:
        reader = Unpacked(file, ".gz", 0)
        for at, size in places:
            while not reader.reach(at, 50_000):
                pass
            assert reader.read(at, size) == content[at : at + size]
