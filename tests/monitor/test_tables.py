from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from scipy import stats

from vedette.monitor.columns import largest_gap
from vedette.monitor.page import page
from vedette.monitor.statistics import adjusted, chi_squared
from vedette.monitor.tables import DRIFT, JOINT, drift


def table(seed, rows=4000, dependence=0.8):
    rng = np.random.default_rng(seed)
    x, y, z = rng.normal(size=(3, rows))
    start = datetime(2026, 1, 1) + timedelta(days=seed)  # noqa: DTZ001 -- a column without a zone is a column too
    return pl.DataFrame(
        {
            "x": x,
            "y": dependence * x + np.sqrt(1 - dependence**2) * y,
            "z": z,
            "kind": rng.choice(["a", "b", "c"], rows, p=[0.5, 0.3, 0.2]),
            "flag": rng.random(rows) < 0.1,
            "line": [f"user {a} logged in from {b}" for a, b in rng.integers(0, 10**6, (rows, 2))],
            "at": [start + timedelta(minutes=int(m)) for m in rng.integers(0, 10_080, rows)],
        }
    )


def row(frame, name):
    return frame.row(by_predicate=pl.col("column") == name, named=True)


def test_nothing_moved_nothing_drifts():
    told = drift(table(1), table(2))
    assert dict(told.schema) == DRIFT
    assert told["drifted"].to_list() == [False] * 8
    assert dict(told.select("column", "kind").rows()) == {
        **dict.fromkeys(["x", "y", "z", JOINT], "number"),
        **dict.fromkeys(["kind", "flag"], "category"),
        "line": "text",
        "at": "time",
    }


def test_each_kind_of_change_is_found_and_told():
    before = table(1)
    after = table(2).with_columns(
        z=pl.col("z") * 2 + 3,
        kind=pl.when(pl.int_range(pl.len()) % 3 == 0).then(pl.lit("new one")).otherwise("kind"),
        flag=pl.when(pl.int_range(pl.len()) % 5 > 0).then("flag"),
        line=pl.lit("disk full on ") + pl.col("line").str.slice(0, 9),
        at=pl.col("at").dt.truncate("12h"),
    )
    told = drift(before, after)
    assert told.filter("drifted")["column"].to_list() == ["z", "kind", "flag", "line", "at"]
    assert "'new one'" in row(told, "kind")["why"]
    assert "missing 20.0%, was 0.0%" in row(told, "flag")["why"]
    assert "outside of" in row(told, "z")["why"]
    assert "of words are new" in row(told, "line")["why"]
    assert row(told, "z")["psi"] > 1


def test_a_change_of_dependence_alone_is_found():
    told = drift(table(1), table(2, dependence=0.0))
    assert told.filter("drifted")["column"].to_list() == [JOINT]
    assert row(told, JOINT)["why"].startswith("x and y: correlation")


def test_a_dependence_without_correlation_is_found():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 3000))
    told = drift(pl.DataFrame({"x": x, "y": y}), pl.DataFrame({"x": x, "y": np.abs(y) * np.where(np.abs(x) > 0.67, 1.0, -1.0)}))
    assert row(told, JOINT)["drifted"]


def test_a_sure_but_tiny_difference_is_no_drift():
    rng = np.random.default_rng(0)
    one, other = pl.DataFrame({"x": rng.normal(0, 1, 200_000)}), pl.DataFrame({"x": rng.normal(0.05, 1, 200_000)})
    told = row(drift(one, other), "x")
    assert told["adjusted_p"] < 1e-9
    assert not told["drifted"]
    assert "small one" in told["why"]


def test_columns_that_are_gone_new_renamed_or_retyped_are_rows_with_words():
    before = table(1).select("x", "z", "kind", nested=pl.concat_list("x", "y"))
    after = table(2).select("kind", z=pl.col("z").cast(pl.String), renamed="x", nested=pl.concat_list("x", "y"))
    told = drift(before, after)
    assert told["column"].to_list() == ["x", "z", "kind", "nested", "renamed", JOINT]
    assert row(told, "x")["why"] == "the column is gone; 'renamed' is new and looks the same: renamed?"
    assert row(told, "z")["why"] == "was Float64, is String: not comparable"
    assert row(told, "renamed")["why"] == "the column is new"
    assert "not compared" in row(told, "nested")["why"]
    assert told["drifted"].to_list() == [True, True, False, False, True, False]


def test_scans_and_frames_give_the_same(tmp_path):
    paths = [tmp_path / f"{seed}.parquet" for seed in (1, 2)]
    frames = [table(seed) for seed in (1, 2)]
    for path, frame in zip(paths, frames, strict=True):
        frame.write_parquet(path)
    assert drift(*(pl.scan_parquet(path) for path in paths)).equals(drift(*frames))


@pytest.mark.parametrize("values", [[], [None, None], [float("nan")] * 3, [1.0], [float("inf"), -float("inf"), 1.0]])
def test_columns_of_hardly_anything(values):
    frame = pl.DataFrame({"x": values, "y": values}, schema={"x": pl.Float64, "y": pl.Float64})
    told = drift(frame, frame)
    assert told["drifted"].to_list() == [False] * 3
    assert page(told)


def test_statistics_agree_with_scipy():
    rng = np.random.default_rng(0)
    one, other = np.sort(rng.integers(0, 50, 300).astype(float)), np.sort(rng.normal(25, 20, 500))
    assert abs(largest_gap(one, other) - stats.ks_2samp(one, other).statistic) < 1e-12
    counts = rng.integers(10, 60, (2, 6)).astype(float)
    chi, p, _ = chi_squared(counts)
    assert np.allclose((chi, p), stats.chi2_contingency(counts)[:2])
    many = rng.random(200) ** 2
    assert np.allclose(adjusted(many), stats.false_discovery_control(many))


def test_the_page_escapes_everything_and_needs_nothing_else():
    frame = pl.DataFrame({"<script>": ["<img src=x>", "b"] * 30})
    told = drift(frame, frame.with_columns(pl.lit("<svg onload=1>").alias("<script>")))
    text = page(told, "<title>")
    assert "<script>" not in text
    assert "<img" not in text
    assert "onload=1>" not in text
    assert "http" not in text
    assert text.count("<svg") == 1


def test_the_same_seed_gives_the_same_answer():
    assert drift(table(1), table(2)).equals(drift(table(1), table(2)))


def test_a_name_that_reads_like_a_pattern_is_a_name():
    rng = np.random.default_rng(0)
    one, other = (pl.DataFrame({"^.*$": rng.normal(size=500), "*": rng.normal(size=500), "": ["a"] * 500}) for _ in range(2))
    assert drift(one, other)["column"].to_list() == ["^.*$", "*", "", JOINT]
