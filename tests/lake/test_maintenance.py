"""Housekeeping takes away what is old and puts together what is small, beside writers and readers, and loses no row."""

from pathlib import Path
from threading import Thread

import polars as pl
import pytest
from deltalake import DeltaTable

from vedette.core.frames import AT
from vedette.lake import TABLES, Lake, LakeSettings, Retention

NOW = 1_700_000_000_000_000
DAY = 86_400_000_000


def open_lake(root: Path, **declared) -> Lake:
    return Lake(root, LakeSettings(sync=False, **declared), lambda: NOW)


def row(value: float, at: int = NOW) -> pl.DataFrame:
    frame = pl.DataFrame({"series": [7], "at": [at], "value": [value], "source": ["host"]})
    return frame.with_columns(pl.col("at").cast(AT))


def fill(lake: Lake, count: int, at: int = NOW, first: int = 1) -> None:
    for offset in range(first, first + count):
        lake.write("metrics", row(float(offset), at), offset)
        lake.flush(offset)


def values(lake: Lake) -> list[float]:
    return sorted(lake.scan("metrics").collect()["value"].to_list())


def test_days_beyond_retention_go_and_the_others_stay(tmp_path):
    lake = open_lake(tmp_path, retention_days=Retention(metrics=2))
    for offset, age in enumerate((5, 3, 2, 0), start=1):
        lake.write("metrics", row(float(age), NOW - age * DAY), offset)
    lake.flush(4)
    done = lake.maintain(NOW)
    assert (done.expired_days, done.deferred) == (2, ())
    assert values(lake) == [0.0, 2.0]
    assert lake.maintain(NOW).expired_days == 0


def test_small_files_become_one_and_the_mark_of_the_log_stays(tmp_path):
    lake = open_lake(tmp_path, compact_files=4, checkpoint_commits=5)
    fill(lake, 6)
    done = lake.maintain(NOW)
    assert (done.compacted_files, done.written_files, done.checkpoints, done.deferred) == (6, 1, 1, ())
    assert values(lake) == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    assert open_lake(tmp_path).committed("metrics") == 6
    fill(lake, 1, first=7)
    assert len(values(lake)) == 7


def test_a_reader_from_before_compaction_still_reads(tmp_path):
    lake = open_lake(tmp_path, compact_files=2)
    fill(lake, 4)
    before = lake.scan("metrics")
    assert lake.maintain(NOW).vacuumed_files == 0
    assert before.collect().height == 4


def test_appends_and_readers_go_on_through_rounds_of_maintenance(tmp_path):
    lake = open_lake(tmp_path, compact_files=2, checkpoint_commits=3, retention_days=Retention(metrics=1))
    lake.write("metrics", row(-1.0, NOW - 5 * DAY), 1)
    lake.flush(1)
    writer = Thread(target=fill, args=(lake, 25, NOW, 2))
    writer.start()
    rounds = []
    while writer.is_alive():
        rounds.append(lake.maintain(NOW))
        seen = lake.scan("metrics").filter(pl.col("value") > 0).collect()["value"]
        assert seen.n_unique() == seen.len()
    writer.join()
    rounds.append(lake.maintain(NOW))
    assert rounds[-1].deferred == ()
    assert sum(done.compacted_files for done in rounds) > 0
    assert values(lake) == [float(offset) for offset in range(2, 27)]
    assert all(finding.passed for finding in lake.verify())


def test_a_fresh_lake_is_verified_whole(tmp_path):
    findings = open_lake(tmp_path).verify()
    assert len(findings) == 4 * len(TABLES)
    assert [finding for finding in findings if not finding.passed] == []


@pytest.mark.parametrize("harm", ["remove", "cut"])
def test_verify_names_the_file_that_is_missing_or_cut(tmp_path, harm):
    lake = open_lake(tmp_path)
    fill(lake, 2)
    file = next((tmp_path / "metrics").glob("day=*/*.parquet"))
    if harm == "remove":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:20])
    (failed,) = [finding for finding in lake.verify() if not finding.passed]
    assert failed.check == "lake.metrics.files"
    assert file.name in failed.measured


def test_verify_tells_of_another_schema_and_of_no_table(tmp_path):
    lake = open_lake(tmp_path)
    (tmp_path / "logs").rename(tmp_path / "elsewhere")
    DeltaTable(tmp_path / "feedback").alter.add_columns(DeltaTable(tmp_path / "templates").schema().fields[0])
    failed = [finding.check for finding in lake.verify() if not finding.passed]
    assert failed == ["lake.logs.opens", "lake.feedback.schema"]


@pytest.mark.parametrize("harm", ["entry", "file"])
def test_a_commit_torn_by_a_power_cut_is_taken_off_and_replayed(tmp_path, harm):
    lake = open_lake(tmp_path)
    fill(lake, 3)
    log = tmp_path / "metrics" / "_delta_log"
    if harm == "entry":
        (log / f"{3:020}.json").write_bytes(b"")
    else:
        newest = max((tmp_path / "metrics").glob("day=*/*.parquet"), key=lambda path: path.stat().st_mtime_ns)
        newest.write_bytes(b"")
    again = open_lake(tmp_path)
    assert again.committed("metrics") == 2
    fill(again, 1, first=3)
    assert values(again) == [1.0, 2.0, 3.0]
