"""`vedette import`: killed anywhere and repeated it adds each record once; what is old stays; canary rides on the same ledger."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from vedette.act import Window
from vedette.app import home as at_home
from vedette.app.history import columns
from vedette.core.errors import ConfigError
from vedette.core.failpoints import NAMES
from vedette.lake import Lake
from vedette.testing.process import Process

VEDETTE = Path(sys.executable).with_name("vedette")
DATA = Path(os.environ.get("VEDETTE_DATA", Path(__file__).parents[3] / "shared" / "data"))
OLD = datetime(2014, 7, 1, tzinfo=UTC)


def run(home, *arguments, place=""):
    return subprocess.run(
        [VEDETTE, *arguments, "--home", home, "--json"],
        env={**os.environ, "VEDETTE_FAILPOINTS": place},
        capture_output=True,
        text=True,
        check=False,
    )


def tables(folder):
    """Three files of numbers and one of lines, twelve years old."""
    for number in range(3):
        at = [OLD + timedelta(minutes=minute) for minute in range(500)]
        frame = pl.DataFrame({"timestamp": at, "value": [float(number)] * 500, "vm": [f"vm-{number}"] * 500})
        frame.write_parquet(folder / f"cpu-{number}.parquet")
    lines = [f"{OLD + timedelta(seconds=second):%Y-%m-%dT%H:%M:%SZ} user {second} logged in" for second in range(300)]
    (folder / "auth.log").write_text("\n".join(lines))
    return sorted(folder.iterdir())


@pytest.mark.xdist_group("processes")
@pytest.mark.parametrize("place", ["lake.before_commit=kill:4", "lake.after_commit=kill:4"])
def test_an_import_that_was_killed_is_completed_by_the_same_command(tmp_path, place):
    assert place.partition("=")[0] in NAMES
    (tmp_path / "files").mkdir()
    files, home = tables(tmp_path / "files"), tmp_path / "home"
    assert run(home, "import", *files, place=place).returncode == -9
    answers = json.loads(run(home, "import", *files).stdout)
    assert [each["stored"] + each["duplicate"] for each in answers] == [300, 500, 500, 500]
    assert sum(each["duplicate"] for each in answers)
    again = json.loads(run(home, "import", *files).stdout)
    assert {each["stored"] for each in again} == {0}
    metrics, logs = (at_home.scan(home, table).collect() for table in ("metrics", "logs"))
    assert metrics.height == 1500
    assert metrics.select("series", "at").is_unique().all()
    assert metrics["value"].sum() == 1500
    assert (logs.height, logs["template"].n_unique(), logs["template"].null_count()) == (300, 1, 0)
    names = at_home.scan(home, "series").collect()
    assert names["series"].is_unique().all()
    # What was brought in on purpose outlives the retention.
    Lake(home / "lake").maintain(int(datetime.now(UTC).timestamp() * 1e6))
    assert at_home.scan(home, "metrics").collect().height == 1500
    assert at_home.scan(home, "logs").collect().height == 300


def test_events_and_truth_come_once_and_the_outages_are_of_their_series_only(tmp_path):
    home, at = tmp_path / "home", [OLD + timedelta(minutes=minute) for minute in range(10)]
    marks = [0, 1, 1, 0, 0, 0, 1, 1, 1, 1]
    pl.DataFrame({"timestamp": at, "value": 1.0, "host": "web-[1]*", "label": marks}).write_csv(tmp_path / "cpu.csv")
    pl.DataFrame({"opened": at, "title": "no printer", "team": ["desk", None] * 5}).write_csv(tmp_path / "tickets.csv")
    for windows, stored in ((2, 10), (0, 0)):
        (cpu,) = json.loads(run(home, "import", tmp_path / "cpu.csv", "--column", "truth=label").stdout)
        told = run(home, "import", tmp_path / "tickets.csv", "--column", "events=ticket", "time=opened", "labels=team")
        (tickets,) = json.loads(told.stdout)
        assert (cpu["stored"], cpu["windows"]) == (stored, windows)
        assert (tickets["stored"], tickets["windows"]) == (stored, None)
    with at_home.store(home) as store:
        first, last = store.windows()
    start = int(OLD.timestamp() * 1e6)
    assert first == Window(first.id, "outage", start + 60_000_000, start + 180_000_000, first.labels, "labelled")
    assert (last.start, last.end) == (start + 360_000_000, start + 600_000_000)
    assert last.covers(last.start, {"__name__": "cpu", "host": "web-[1]*"})
    assert not last.covers(last.start, {"__name__": "cpu", "host": "web-1x"})
    rows = at_home.scan(home, "events").collect().sort("at")
    assert rows["at"].to_list() == at
    assert rows["labels"].to_list() == [{"team": "desk"}, {}] * 5


def test_every_fault_of_the_words_about_columns_is_told_at_once():
    with pytest.raises(ConfigError) as told:
        columns(["events=fire", "start=soon", "step=60", "colour=red", "time", "unit=s", "unit=ms"])
    assert [fault.partition(":")[0] for fault in told.value.faults] == [
        "--column time", "--column unit", "--column start", "--column events", "--column colour"
    ]  # fmt: skip
    assert "'alert', 'ticket' or 'change'" in str(told.value)
    assert "expected a time such as 2026-01-01T00:00Z, got 'soon'" in str(told.value)
    with pytest.raises(ConfigError, match="series, truth: an event has none"):
        columns(["events=alert", "series=a", "truth=b"])
    with pytest.raises(ConfigError, match="status: only events have it"):
        columns(["status=a"])


@pytest.mark.xdist_group("processes")
def test_the_canary_rides_through_a_running_process_and_finds_nothing_wrong(tmp_path):
    with Process(tmp_path, "sources: {}\nflow: {flush_seconds: 0.5}\n") as vedette:
        vedette.start()
        answer = run(vedette.home, "canary", "--rate", "50", "--seconds", "2")
        assert answer.returncode == 0, answer.stderr
        found = json.loads(answer.stdout)
        assert (found["sent"], found["acknowledged"], found["stored"]) == (100, 100, 100)
        assert {found[fault] for fault in ("lost", "duplicated", "damaged", "disordered", "late")} == {0}
        vedette.end()
        stopped = run(vedette.home, "canary", "--seconds", "1")
        assert stopped.returncode == 1
        assert "it does not run" in stopped.stderr


@pytest.mark.skipif(not (DATA / "nab.parquet").exists(), reason=f"no data in {DATA}; name its folder with VEDETTE_DATA")
@pytest.mark.parametrize(
    ("name", "words", "table"),
    [
        ("nab.parquet", [], "metrics"),
        ("loghub_2k_10systems.parquet", ["text=content", "labels=system"], "logs"),
        ("google_cluster_1600vm.parquet", ["start=2026-01-01T00:00Z", "step=300"], "metrics"),
        ("worldcup98_minutes.csv.gz", [], "metrics"),
        ("it_tickets_47k.parquet", ["events=ticket", "text=Document", "start=2026-01-01T00:00Z", "step=60"], "events"),
    ],
)
def test_real_files_go_through_with_one_command_each(tmp_path, name, words, table):
    answer = run(tmp_path / "home", "import", DATA / name, *(["--column"] if words else []), *words)
    assert answer.returncode == 0, answer.stderr
    (found,) = json.loads(answer.stdout)
    assert found["stored"] == found["received"] == at_home.scan(tmp_path / "home", table).select(pl.len()).collect().item()
    if table == "logs":
        rows = at_home.scan(tmp_path / "home", "logs").collect()
        assert rows["template"].null_count() == 0
        assert rows["series"].n_unique() == 10
