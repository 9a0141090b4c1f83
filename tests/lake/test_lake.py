"""Rows go in once, whatever is replayed, and come out as they went in."""

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
import pytest
from deltalake import DeltaTable
from hypothesis import given, settings
from hypothesis import strategies as st

from vedette.core.errors import BadRecord, NotFound, Transient
from vedette.core.frames import AT
from vedette.lake import TABLES, Lake, LakeSettings
from vedette.lake.tables import delta_schema

NOW = 1_700_000_000_000_000
DAY = 86_400_000_000


def clock() -> int:
    return NOW


def open_lake(root: Path, **declared) -> Lake:
    return Lake(root, LakeSettings(sync=False, **declared), clock)


def metrics(values, at=NOW, series=7, source="host") -> pl.DataFrame:
    times = [at + index for index in range(len(values))]
    return pl.DataFrame(
        {"series": [series] * len(values), "at": times, "value": values, "source": [source] * len(values)},
        schema={"series": pl.Int64, "at": pl.Int64, "value": pl.Float64, "source": pl.String},
    ).with_columns(pl.col("at").cast(AT))


def feedback(note: str) -> pl.DataFrame:
    return pl.DataFrame(
        {"at": [NOW], "incident": ["i1"], "verdict": ["real"], "actor": ["ana"], "note": [note]},
        schema={"at": pl.Int64, "incident": pl.String, "verdict": pl.String, "actor": pl.String, "note": pl.String},
    ).with_columns(pl.col("at").cast(AT))


def one_of_each() -> dict[str, pl.DataFrame]:
    cell = {pl.Int64: 1, pl.Int32: 9, pl.Float64: 1.5, pl.String: "text", pl.Binary: b"\x00\xff"}
    frames = {}
    for table in TABLES.values():
        if table.name != "feedback":
            row = {name: NOW if dtype == AT else cell.get(dtype, {"k": "v"}) for name, dtype in table.columns.items()}
            frames[table.name] = pl.DataFrame([row], schema={n: pl.Int64 if d == AT else d for n, d in table.columns.items()}).cast(
                {name: AT for name, dtype in table.columns.items() if dtype == AT}
            )
    return frames


def values(lake: Lake, table: str = "metrics", column: str = "value") -> list:
    return sorted(lake.scan(table).collect()[column].to_list())


def test_every_table_has_the_columns_and_partitions_of_the_contract(tmp_path):
    lake = open_lake(tmp_path)
    for table in TABLES.values():
        handle = DeltaTable(tmp_path / table.name)
        assert handle.schema() == delta_schema(table)
        assert handle.metadata().partition_columns == (["day"] if table.daily else [])
        assert lake.scan(table.name).collect_schema() == table.schema


def test_one_row_of_every_table_comes_back_as_it_was_with_its_day(tmp_path):
    lake = open_lake(tmp_path)
    frames = one_of_each()
    for table, frame in frames.items():
        lake.write(table, frame, 1)
    assert lake.buffered_bytes > 0
    assert lake.flush(1) == dict.fromkeys(frames, 1)
    assert lake.buffered_bytes == 0
    for table, frame in frames.items():
        back = lake.scan(table).collect()
        assert back.select(frame.columns).equals(frame)
        if "day" in back.columns:
            assert back["day"].to_list() == [frame["at"].dt.date()[0]]


def test_nothing_is_visible_before_the_flush_and_an_empty_flush_commits_nothing(tmp_path):
    lake = open_lake(tmp_path)
    lake.write("metrics", metrics([1.0]), 4)
    assert values(lake) == []
    assert lake.flush(4) == {"metrics": 1}
    assert lake.flush(5) == {}
    assert (lake.committed("metrics"), lake.committed("logs"), lake.floor()) == (4, -1, 4)


def test_a_replay_with_flushes_elsewhere_adds_nothing_twice(tmp_path):
    lake = open_lake(tmp_path)
    for offset in (1, 2):
        lake.write("metrics", metrics([float(offset)]), offset)
    lake.flush(2)
    again = open_lake(tmp_path)
    for offset in (1, 2, 3):
        again.write("metrics", metrics([float(offset)]), offset)
    assert again.flush(3) == {"metrics": 1}
    assert values(again) == [1.0, 2.0, 3.0]


def test_the_stale_marker_becomes_null_and_another_nan_stays(tmp_path):
    lake = open_lake(tmp_path)
    column = np.array([0x7FF0000000000002, 0x7FF8000000000001, 0], dtype=np.int64).view(np.float64)
    lake.write("metrics", metrics([0.0, 0.0, 0.0]).with_columns(value=pl.Series(column)), 1)
    lake.flush(1)
    back = lake.scan("metrics").sort("at").collect()["value"]
    assert back.is_null().to_list() == [True, False, False]
    assert back.is_nan().to_list() == [None, True, False]


def test_late_rows_land_in_their_day_and_windows_are_half_open(tmp_path):
    lake = open_lake(tmp_path)
    lake.write("metrics", metrics([1.0, 2.0, 3.0]), 1)
    lake.write("metrics", metrics([9.0], at=NOW - 3 * DAY), 2)
    lake.flush(2)
    assert sorted(path.name for path in (tmp_path / "metrics").glob("day=*")) == ["day=2023-11-11", "day=2023-11-14"]
    assert lake.series_window([7], NOW, NOW + 2).collect()["value"].to_list() == [1.0, 2.0]
    assert lake.series_window([8], NOW, NOW + 2).collect().is_empty()


@pytest.mark.parametrize("at", [253_370_764_800_000_000, -1, NOW + 601_000_000])
def test_history_of_an_impossible_day_is_refused_by_name_and_makes_no_directory(tmp_path, at):
    lake = open_lake(tmp_path)
    with pytest.raises(BadRecord, match="record 0: field 'at'"):
        lake.bring("metrics", {"a": metrics([1.0], at=at)})
    assert not list((tmp_path / "metrics").glob("day=*"))


def test_what_is_forgotten_is_not_flushed(tmp_path):
    lake = open_lake(tmp_path)
    lake.write("metrics", metrics([1.0]), 1)
    lake.write("metrics", metrics([2.0]), 2)
    lake.forget(1)
    lake.flush(2)
    assert values(lake) == [1.0]


def test_a_row_without_a_time_is_refused(tmp_path):
    frame = metrics([1.0, 2.0]).with_columns(at=pl.Series([NOW, None]).cast(AT))
    with pytest.raises(BadRecord, match="record 1: field 'at'"):
        open_lake(tmp_path).write("metrics", frame, 1)


def test_wrong_columns_and_tables_are_named(tmp_path):
    lake = open_lake(tmp_path)
    with pytest.raises(TypeError, match=r"metrics: missing columns \['source'\]"):
        lake.write("metrics", metrics([1.0]).drop("source"), 1)
    with pytest.raises(NotFound, match="no table 'nope'"):
        lake.scan("nope")


def test_feedback_is_appended_at_once_beside_the_log(tmp_path):
    lake = open_lake(tmp_path)
    lake.append_now("feedback", feedback("first"))
    open_lake(tmp_path).append_now("feedback", feedback("second"))
    assert values(lake, "feedback", "note") == ["first", "second"]
    assert lake.committed("feedback") == -1


def test_another_writer_does_not_break_the_kept_handle(tmp_path):
    lake = open_lake(tmp_path)
    for offset in range(1, 6):
        open_lake(tmp_path).append_now("metrics", metrics([100.0 + offset]))
        lake.write("metrics", metrics([float(offset)]), offset)
        lake.flush(offset)
    assert len(values(lake)) == 10
    assert lake.committed("metrics") == 5


def test_a_flush_that_fails_keeps_its_rows_and_completes_later(tmp_path):
    lake = open_lake(tmp_path)
    log = tmp_path / "logs" / "_delta_log"
    hidden = log.rename(tmp_path / "hidden")
    log.write_text("in the way")
    for table in ("metrics", "logs"):
        lake.write(table, one_of_each()[table], 1)
    with pytest.raises(Transient, match="logs"):
        lake.flush(1)
    log.unlink()
    hidden.rename(log)
    lake.write("metrics", metrics([5.0]), 2)
    assert lake.flush(2) == {"metrics": 1, "logs": 1}
    assert (len(values(lake)), lake.scan("logs").collect().height) == (2, 1)


CHILD = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_lake import Lake, LakeSettings, clock, one_of_each
from vedette.core.errors import Transient
lake = Lake(Path(sys.argv[1]), LakeSettings(), clock)
for offset in range(1, 4):
    for table, frame in one_of_each().items():
        lake.write(table, frame, offset)
    try:
        lake.flush(offset)
    except Transient:
        continue
lake.flush(3)
"""


@pytest.mark.parametrize("armed", ["lake.before_commit=kill:5", "lake.after_commit=kill:9", "lake.after_commit=fail:4"])
def test_killed_or_failing_between_any_two_tables_each_row_is_there_once(tmp_path, armed):
    def run(failpoints: str) -> int:
        environment = {**os.environ, "VEDETTE_FAILPOINTS": failpoints, "POLARS_MAX_THREADS": "1"}
        return subprocess.run(
            [sys.executable, "-c", CHILD, str(tmp_path), str(Path(__file__).parent)], env=environment, check=False
        ).returncode

    assert run(armed) == (-9 if "kill" in armed else 0)
    assert run("") == 0
    lake = open_lake(tmp_path)
    assert {table: lake.scan(table).collect().height for table in one_of_each()} == dict.fromkeys(one_of_each(), 3)


@settings(max_examples=6, deadline=None)
@given(st.lists(st.sampled_from(["beat", "flush", "crash", "checkpoint"]), max_size=14))
def test_any_sequence_of_writes_flushes_crashes_and_replays_gives_the_rows_once(steps):
    with TemporaryDirectory() as root:
        lake, offset, saved, last = open_lake(Path(root)), 0, 0, 0
        for step in [*steps, "crash"]:
            if step == "crash":
                lake, offset = open_lake(Path(root)), saved
            elif step == "beat":
                offset += 1
                last = max(last, offset)
                lake.write("metrics", metrics([float(offset)]), offset)
            elif offset:
                lake.flush(offset)
                saved = offset if step == "checkpoint" else saved
        while offset < last:
            offset += 1
            lake.write("metrics", metrics([float(offset)]), offset)
        lake.flush(last)
        assert values(lake) == [float(each) for each in range(1, last + 1)]
