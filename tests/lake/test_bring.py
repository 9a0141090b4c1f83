from datetime import UTC, datetime

import polars as pl

from vedette.core.frames import METRICS
from vedette.lake import Lake, LakeSettings

OLD = datetime(2014, 7, 1, tzinfo=UTC)
NOW = int(datetime(2026, 11, 24, tzinfo=UTC).timestamp() * 1e6)


def history(value):
    return pl.DataFrame({"series": [1], "at": [OLD], "value": [value]}, schema=METRICS).with_columns(source=pl.lit("import"))


def test_a_piece_of_history_is_added_once(tmp_path):
    lake = Lake(tmp_path, LakeSettings(), clock=lambda: NOW)
    assert lake.bring("metrics", {"a": history(1.0), "b": history(2.0)}) == {"a": 1, "b": 1}
    assert lake.bring("metrics", {"b": history(2.0), "c": history(3.0)}) == {"c": 1}
    assert sorted(lake.scan("metrics").collect()["value"]) == [1.0, 2.0, 3.0]


def test_history_outlives_the_retention(tmp_path):
    lake = Lake(tmp_path, LakeSettings(), clock=lambda: NOW)
    lake.bring("metrics", {"a": history(1.0)})
    assert lake.maintain(NOW).expired_days == 0
    assert lake.scan("metrics").collect().height == 1
