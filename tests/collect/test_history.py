import gzip
from datetime import UTC, datetime

import polars as pl
import pytest

from vedette.collect.history import read
from vedette.collect.limits import Limits
from vedette.collect.series import SeriesTable
from vedette.core.errors import BadRecord, NotFound
from vedette.core.identity import series_id

FRAME = pl.DataFrame({"series": ["a", "b"], "timestamp": [1_400_000_000, 1_400_000_060], "value": [1.0, 2.5]})


def load(path, **options):
    return list(read(path, limits=Limits(**options), table=SeriesTable()))


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_tables_of_every_form_give_the_same_rows(tmp_path, ending):
    path = tmp_path / f"x.{ending}"
    {"parquet": FRAME.write_parquet, "csv": FRAME.write_csv, "jsonl": FRAME.write_ndjson}[ending](path)
    (one,) = load(path)
    assert one.frames["metrics"].rows() == [
        (series_id("a", {}), datetime(2014, 5, 13, 16, 53, 20, tzinfo=UTC), 1.0),
        (series_id("b", {}), datetime(2014, 5, 13, 16, 54, 20, tzinfo=UTC), 2.5),
    ]


def test_the_same_file_has_the_same_keys(tmp_path):
    path = tmp_path / "x.csv.gz"
    path.write_bytes(gzip.compress(b"kpi,timestamp,value,host\nk,2014-01-01 00:00:00,1,h\n"))
    assert [each.key for each in load(path)] == [each.key for each in load(path)]
    assert load(path)[0].frames["metrics"]["series"].to_list() == [series_id("k", {"host": "h"})]


def test_pieces_are_bounded(tmp_path):
    path = tmp_path / "x.parquet"
    pl.DataFrame({"series": "a", "timestamp": range(60_000), "value": 0.0}).write_parquet(path)
    assert [each.records for each in load(path)] == [50_000, 10_000]


def test_missing_columns_and_wrong_numbers_are_named(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(BadRecord, match=r"found the columns \['a', 'b'\], expected series, timestamp, value"):
        load(path)
    path.write_text("series,timestamp,value\na,1,2\na,2,x\n")
    with pytest.raises(BadRecord, match="record 1: field 'value'"):
        load(path)
    with pytest.raises(NotFound):
        load(tmp_path / "none.csv")


def test_log_files_are_lines_with_their_times(tmp_path):
    path = tmp_path / "x.log"
    path.write_bytes(b"2014-01-01 00:00:00 ERROR a\n" + b"x" * 50 + b"\nlast \xff")
    (one,) = load(path, line_bytes=32)
    logs = one.frames["logs"]
    assert logs["body"].to_list() == ["2014-01-01 00:00:00 ERROR a", "x" * 32, "last \\xff"]
    assert logs["at"][0] == datetime(2014, 1, 1, tzinfo=UTC)
    assert logs["attributes"].to_list() == [{}, {"vedette.truncated": "51"}, {}]
