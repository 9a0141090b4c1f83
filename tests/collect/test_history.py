"""History from files: once (R21), in bounded memory (R30), odd times and numbers set aside (R27, R28)."""

import bz2
import gzip
import lzma
import os
import tracemalloc
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import cramjam
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vedette.collect.columns import Columns
from vedette.collect.history import read
from vedette.collect.limits import Limits
from vedette.collect.records import TextSettings
from vedette.collect.series import SeriesTable
from vedette.collect.truth import Truth
from vedette.core.errors import BadRecord, ConfigError, NotFound
from vedette.core.identity import series_id

FRAME = pl.DataFrame({"series": ["a", "b"], "timestamp": [1_400_000_000, 1_400_000_060], "value": [1.0, 2.5]})
DATA = Path(os.environ.get("VEDETTE_DATA") or Path(__file__).parents[2] / "../shared/data")


def load(path, **options):
    limits = Limits(**{key: options.pop(key) for key in ("line_bytes", "decoded_bytes") if key in options})
    return list(read(path, limits=limits, table=SeriesTable(), **options))


def metrics(path, **options):
    return pl.concat([each.frames["metrics"] for each in load(path, **options)])


@pytest.mark.parametrize("ending", ["parquet", "csv", "tsv", "jsonl", "csv.gz"])
def test_tables_of_every_form_give_the_same_rows_and_keys(tmp_path, ending):
    path = tmp_path / f"x.{ending}"
    writers = {
        "parquet": FRAME.write_parquet,
        "csv": FRAME.write_csv,
        "tsv": lambda file: FRAME.write_csv(file, separator="\t"),
        "jsonl": FRAME.write_ndjson,
        "csv.gz": lambda file: file.write_bytes(gzip.compress(FRAME.write_csv().encode())),
    }
    writers[ending](path)
    (one,) = load(path)
    assert one.frames["metrics"].rows() == [
        (series_id("a", {}), datetime(2014, 5, 13, 16, 53, 20, tzinfo=UTC), 1.0),
        (series_id("b", {}), datetime(2014, 5, 13, 16, 54, 20, tzinfo=UTC), 2.5),
    ]
    assert one.key == "71201971940a0fc010cb295d25d40102"


def test_text_columns_of_a_long_table_are_labels_and_numbers_where_they_are_named(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("kpi,timestamp,value,host,shard,label\nk,2014-01-01 00:00:00,1,h,7,0\n")
    assert metrics(path)["series"].to_list() == [series_id("k", {"host": "h"})]
    assert metrics(path, mapping=Columns(labels=("shard",)))["series"].to_list() == [series_id("k", {"shard": "7"})]


def test_each_column_of_numbers_of_a_wide_table_is_a_metric(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("vm,at,cpu,mem,is_anomaly\na,1998-04-30 21:30,1,2,0\nb,1998-04-30 21:31,3,,1\n")
    assert sorted(metrics(path).rows()) == sorted(
        [
            (series_id("cpu", {"vm": "a"}), datetime(1998, 4, 30, 21, 30, tzinfo=UTC), 1.0),
            (series_id("cpu", {"vm": "b"}), datetime(1998, 4, 30, 21, 31, tzinfo=UTC), 3.0),
            (series_id("mem", {"vm": "a"}), datetime(1998, 4, 30, 21, 30, tzinfo=UTC), 2.0),
        ]
    )


def test_a_lone_column_of_values_is_called_like_its_file(tmp_path):
    path = tmp_path / "ec2_cpu.csv"
    path.write_text("timestamp,value\n2014-01-01,1\n")
    assert metrics(path)["series"].to_list() == [series_id("ec2_cpu", {})]


def test_steps_need_a_start_and_a_length(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("vm,t,cpu\na,0,1\na,2,1\n")
    with pytest.raises(BadRecord, match="count steps: say the time of step 0"):
        load(path)
    found = metrics(path, mapping=Columns(start=datetime(2020, 1, 1, tzinfo=UTC), step=300))
    assert found["at"].to_list() == [datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 1, 1, 0, 10, tzinfo=UTC)]


@pytest.mark.parametrize("factor", [1, 1000, 1_000_000, 1_000_000_000])
def test_the_unit_of_whole_numbers_is_told_by_their_size_and_kept(tmp_path, factor):
    path = tmp_path / "x.csv"
    path.write_text(f"series,timestamp,value\na,{1_400_000_000 * factor},1\na,{1_400_000_060 * factor},1\n")
    assert metrics(path)["at"].to_list() == [datetime(2014, 5, 13, 16, minute, 20, tzinfo=UTC) for minute in (53, 54)]


@pytest.mark.parametrize("time", ["", "-5", "18446744073709551615", "9999-12-31 00:00:00", "soon", "1400000000000"])
def test_a_time_that_is_not_believed_is_set_aside_by_name_and_place(tmp_path, time):
    path = tmp_path / "x.csv"
    stamp = "2014-05-13 16:53:20" if "-" in time[1:] or time == "soon" else "1400000000"
    path.write_text(f"series,timestamp,value\na,{stamp},1\na,{time},2\n")
    (one,) = load(path, mapping=Columns(unit="s"))
    assert one.frames["metrics"]["value"].to_list() == [1.0]
    (letter,) = one.frames["dead_letters"].rows(named=True)
    assert (letter["offset"], letter["partition"]) == (1, "x.csv")
    assert letter["reason"].startswith("record 1: field 'timestamp': expected a time")
    assert one.records == 2


def events(path, **mapping):
    return pl.concat([each.frames["events"] for each in load(path, mapping=Columns(**mapping))])


def test_each_row_of_a_table_of_events_is_one(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text('time,name,host,nr,state,until\n1400000000,disk full,db-1,7,open,1400000060\n1400000001,"x",,8,,\n')
    found = events(path, events="alert", id="nr", status="state", ends_at="until")
    assert found.drop("at", "annotations", "starts_at").rows() == [
        ("alert", "7", "open", "disk full", {"host": "db-1"}, datetime(2014, 5, 13, 16, 54, 20, tzinfo=UTC)),
        ("alert", "8", "", "x", {}, None),
    ]
    assert found["at"].to_list() == [datetime(2014, 5, 13, 16, 53, second, tzinfo=UTC) for second in (20, 21)]


def test_what_an_event_says_is_its_key_in_every_form_of_file(tmp_path):
    frame = pl.DataFrame(
        {"when": [1_400_000_000] * 3, "what": ["a", "a", "b"], "team": ["x", "x", "x"], "rest": ["1n", "2n", "3n"]}
    )
    frame.write_parquet(tmp_path / "x.parquet")
    frame.write_csv(tmp_path / "x.csv")
    told = {"events": "ticket", "time": "when", "text": "what", "labels": ("team",)}
    one, other = events(tmp_path / "x.parquet", **told), events(tmp_path / "x.csv", **told)
    assert one.equals(other)
    assert one["key"].to_list()[0] == one["key"].to_list()[1] != one["key"].to_list()[2]
    assert one["annotations"].to_list() == [{"rest": "1n"}, {"rest": "2n"}, {"rest": "3n"}]
    assert [len({each.key for each in load(tmp_path / name, mapping=Columns(**told))}) for name in ("x.csv", "x.parquet")] == [1, 1]


def test_rows_without_times_lie_in_their_order_across_pieces(tmp_path):
    path = tmp_path / "x.parquet"
    pl.DataFrame({"Document": ["x"] * 60_000}).write_parquet(path)
    with pytest.raises(BadRecord, match="lay the rows out"):
        events(path, events="ticket")
    found = events(path, events="ticket", start=datetime(2026, 1, 1, tzinfo=UTC), step=1)
    assert found["at"].is_sorted()
    assert found["at"][-1] == datetime(2026, 1, 1, 16, 39, 59, tzinfo=UTC)
    assert found["key"].n_unique() == 60_000


def test_an_event_whose_time_cannot_be_read_is_set_aside(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("time,title,until\n2014-01-01,a,2014-01-02\nsoon,b,2014-01-02\n2014-01-03,c,later\n")
    (one,) = load(path, mapping=Columns(events="change", ends_at="until"))
    assert one.frames["events"]["title"].to_list() == ["a"]
    assert [str(each).partition(": expected")[0] for each in one.faults] == ["record 1: field 'time'", "record 2: field 'until'"]


def spans(path, **mapping):
    truth, table = Truth(), SeriesTable()
    for _ in read(path, limits=Limits(), table=table, mapping=Columns(truth="bad", **mapping), truth=truth):
        pass
    return truth.spans().sort("series", "start").select("start", "end").rows()


@pytest.mark.parametrize("marks", [("0", "1", "2"), ("0.0", "1.0", "-3"), ("false", "True", "TRUE"), ("", "1", "1")])
def test_where_a_table_says_that_something_was_wrong_is_told_in_spans_and_is_no_value(tmp_path, marks):
    path = tmp_path / "x.csv"
    no, *yes = marks
    flags = [no, *yes, no, yes[0], no]
    rows = [f"k,{1_400_000_000 + 60 * index},5,{flag}\n" for index, flag in enumerate(flags)]
    path.write_text("series,timestamp,value,bad\n" + "".join(rows))
    second = 1_000_000
    start = 1_400_000_000 * second
    assert spans(path) == [(start + 60 * second, start + 180 * second), (start + 240 * second, start + 300 * second)]
    assert metrics(path, mapping=Columns(truth="bad"))["value"].to_list() == [5.0] * 6


def test_spans_do_not_depend_on_where_a_file_is_cut_or_in_which_order_it_lies(tmp_path, monkeypatch):
    path = tmp_path / "x.parquet"
    times = list(range(1_400_000_000, 1_400_000_000 + 300 * 60_000, 300))
    marks = [index // 700 % 5 == 3 for index in range(60_000)]
    frame = pl.DataFrame({"at": times, "a": 0.0, "b": 1.0, "bad": marks})
    frame.write_parquet(path)
    whole = spans(path)
    assert len(whole) == 2 * 17
    assert {end - start for start, end in whole} == {700 * 300 * 1_000_000}
    frame.reverse().write_parquet(path)
    assert spans(path) == whole
    monkeypatch.setattr("vedette.collect.truth.HELD", 1000)
    assert spans(path) == whole


def test_a_mark_that_is_none_is_told(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("series,timestamp,value,bad\nk,1400000000,5,perhaps\n")
    with pytest.raises(BadRecord, match=r"field 'bad'.*expected a number, true or false, got 'perhaps'"):
        spans(path)


def test_the_window_is_the_callers(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("series,timestamp,value\na,1000000000,1\na,1400000000,2\n")
    found = metrics(path, window=(1_300_000_000_000_000, 1_500_000_000_000_000))
    assert found["value"].to_list() == [2.0]


def test_a_number_that_is_none_is_set_aside_and_a_gap_is_nothing(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("series,timestamp,value\na,1400000000,1\na,1400000060,x\na,1400000120,\na,1400000180,NaN\n")
    (one,) = load(path)
    assert one.frames["metrics"].height == 2
    assert one.frames["dead_letters"]["payload"].to_list() == [b'{"series":"a","timestamp":"1400000060","value":"x"}']


def test_pieces_are_bounded(tmp_path):
    path = tmp_path / "x.parquet"
    times = range(1_400_000_000, 1_400_060_000)
    pl.DataFrame({"series": "a", "timestamp": times, "value": 0.0}).write_parquet(path)
    assert [each.records for each in load(path)] == [50_000, 10_000]
    pl.DataFrame({"at": times, **{f"m{index}": 0.0 for index in range(10)}}).write_parquet(path)
    assert {each.records for each in load(path)} == {50_000}


def test_missing_columns_are_named(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(BadRecord, match=r"found the columns \['a', 'b'\], expected series, timestamp, value"):
        load(path)
    with pytest.raises(ConfigError) as told:
        load(path, mapping=Columns(time="z", labels=("a", "y")))
    assert [fault.removeprefix(f"{path}: ") for fault in told.value.faults] == [
        "time: there is no column 'z'; there are: a, b",
        "labels: there is no column 'y'; there are: a, b",
    ]
    path.write_text("series,timestamp,value\na,soon,1\n")
    with pytest.raises(BadRecord, match=r"record 0: field 'timestamp'.*'soon'; no row could be taken"):
        load(path)
    with pytest.raises(NotFound):
        load(tmp_path / "none.csv")
    (tmp_path / "x.parquet").write_text("no parquet")
    with pytest.raises(BadRecord, match="cannot be read as a table"):
        load(tmp_path / "x.parquet")


def test_quoted_line_feeds_end_no_row_and_an_open_quote_is_told(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text('series,timestamp,value\n"a\nb",1400000000,1\n')
    assert metrics(path)["series"].to_list() == [series_id("a\nb", {})]
    path.write_text("series,timestamp,value\n" + '"' + "a,1,1\n" * 1000)
    with pytest.raises(BadRecord, match="is a quote not closed"):
        load(path, decoded_bytes=1000)


def test_a_file_that_grew_by_whole_pieces_gives_the_keys_of_before(tmp_path):
    path = tmp_path / "x.log"
    lines = "".join(f"2014-01-01 00:00:00 line {index}\n" for index in range(100_000))
    path.write_text(lines)
    before = [each.key for each in load(path)]
    path.write_text(lines + "2014-01-02 00:00:00 more\n")
    after = [each.key for each in load(path)]
    assert after[:2] == before
    assert (len(before), len(set(after))) == (2, 3)


def test_progress_tells_rows_and_bytes(tmp_path):
    path = tmp_path / "x.csv"
    FRAME.write_csv(path)
    seen = []
    load(path, progress=lambda rows, read: seen.append((rows, read)))
    assert seen == [(2, path.stat().st_size)]


def test_log_files_are_lines_with_their_times(tmp_path):
    path = tmp_path / "x.log"
    path.write_bytes(b"begin\n2014-01-01 00:00:00 ERROR a\n" + b"x" * 50 + b"\n2014-01-02 00:00:00 b\nlast \xff")
    (one,) = load(path, line_bytes=32)
    logs = one.frames["logs"]
    assert logs["body"].to_list() == ["begin", "2014-01-01 00:00:00 ERROR a", "x" * 32, "2014-01-02 00:00:00 b", "last \\xff"]
    assert [at.day for at in logs["at"]] == [1, 1, 1, 2, 2]
    odd = [{}, {}, {"vedette.truncated": "50"}, {}, {"vedette.encoding": "backslashreplace"}]
    assert logs["attributes"].to_list() == odd


def test_log_files_may_be_archives_of_records_in_another_encoding_and_zone(tmp_path):
    path = tmp_path / "x.log.gz"
    path.write_bytes(gzip.compress("2014-01-01 00:00:00 ERROR grüße\n  at f\n2014-07-01 00:00:00 b\n".encode("cp1252")))
    (one,) = load(path, text=TextSettings(encoding="cp1252", multiline="stack", zone="Europe/Zurich"))
    assert one.frames["logs"]["body"].to_list() == ["2014-01-01 00:00:00 ERROR grüße\n  at f", "2014-07-01 00:00:00 b"]
    assert [at.hour for at in one.frames["logs"]["at"]] == [23, 22]


def test_an_archive_that_breaks_off_is_told_after_what_it_held(tmp_path):
    path = tmp_path / "x.log.gz"
    raw = gzip.compress(os.urandom(1000).hex().encode() + b"\n" + os.urandom(100_000).hex().encode())
    path.write_bytes(raw[:-1000])
    found = read(path, limits=Limits(), table=SeriesTable())
    assert next(found).records == 2
    with pytest.raises(BadRecord, match="the archive cannot be read beyond line 2"):
        next(found)


def test_a_table_of_lines_is_a_log(tmp_path):
    path = tmp_path / "x.parquet"
    pl.DataFrame(
        {"system": ["A", "B"], "line": [0, 1], "raw": ["2014-01-01 00:00:00 ERROR x", "y"], "event": ["E1", None]}
    ).write_parquet(path)
    (one,) = load(path, mapping=Columns(labels=("system",)))
    logs = one.frames["logs"]
    assert logs["series"].to_list() == [series_id("log_stream", {"file": "x.parquet", "system": name}) for name in "AB"]
    assert logs["severity"].to_list() == [17, 0]
    assert logs["attributes"].to_list() == [{"event": "E1"}, {}]


@settings(max_examples=15, deadline=None)
@given(rows=st.integers(1, 300), block=st.integers(40, 4000))
def test_where_a_file_is_cut_into_blocks_does_not_change_its_rows(tmp_path_factory, rows, block):
    path = tmp_path_factory.mktemp("x") / "x.csv"
    path.write_text(
        "series,timestamp,value\n" + "".join(f'"a\n{index}",{1_400_000_000 + index},{index}\n' for index in range(rows))
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vedette.collect.history.BLOCK", block)
        assert metrics(path)["value"].to_list() == [float(index) for index in range(rows)]


@pytest.mark.parametrize(
    ("name", "mapping", "rows", "series"),
    [
        ("nab.parquet", Columns(), 365_558, 58),
        ("aiops2018_kpi.parquet", Columns(), 3_073_567, 29),
        ("worldcup98_minutes.csv.gz", Columns(), 2 * 125_300, 2),
        ("google_cluster_1600vm.parquet", Columns(start=datetime(2020, 1, 1, tzinfo=UTC), step=300), 2 * 460_800, 3200),
        ("ETTh1.csv.gz", Columns(), 7 * 17_420, 7),
        ("loghub_2k_10systems.parquet", Columns(labels=("system",)), 20_000, 10),
    ],
)
def test_real_files_of_history_go_in_whole(name, mapping, rows, series):
    if not (DATA / name).exists():
        pytest.skip(f"{DATA / name} is not there: point VEDETTE_DATA at the folder of real data")
    table, seen, count = SeriesTable(), set(), 0
    for each in read(DATA / name, limits=Limits(), table=table, mapping=mapping):
        assert "dead_letters" not in each.frames
        count += each.records
        seen.update(each.frames["logs" if "logs" in each.frames else "metrics"]["series"].unique().to_list())
    assert (count, len(seen)) == (rows, series)


@pytest.mark.parametrize("ending", ["gz", "bz2", "xz", "zst"])
def test_a_table_that_unpacks_to_more_than_a_row_may_hold_is_refused_before_it_is_whole(tmp_path, ending):
    pack = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zst": cramjam.zstd.compress}[ending]
    path = tmp_path / f"a.csv.{ending}"
    path.write_bytes(bytes(pack(b"series,timestamp,value\n" + bytes(32 << 20))))
    tracemalloc.start()
    with pytest.raises(BadRecord, match=r"longer than|at most"):
        list(read(path, limits=Limits(decoded_bytes=1 << 20), table=SeriesTable()))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 32 << 20


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.tgz", "A.ZIP"])
def test_an_archive_of_several_files_is_not_opened(tmp_path, name):
    path = tmp_path / name
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../../canary", "x")
    with pytest.raises(BadRecord, match="unpack it"):
        list(read(path, limits=Limits(), table=SeriesTable()))
    assert [each.name for each in tmp_path.iterdir()] == [name]
