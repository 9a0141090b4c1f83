"""What is never learnt, what one source may be, and what the digest of a dataset is of."""

from dataclasses import asdict, replace
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vedette.core.frames import AT
from vedette.train import SPANS, Dataset, Manifest, capped, inside, merged, without
from vedette.train.dataset import identify

ROWS = {"series": pl.Int64, "at": AT, "value": pl.Float64}
times = st.integers(0, 30)
rows = st.lists(st.tuples(st.integers(1, 4), times, st.just(0.0)), max_size=40)
spans = st.lists(
    st.tuples(st.one_of(st.none(), st.integers(1, 4)), times, times, st.sampled_from(["declared", "alert"])), max_size=8
)


def frame(tuples, schema):
    return pl.DataFrame(tuples, schema=schema, orient="row")


def read_slowly(row, all_spans):
    series, at, _ = row
    return any(whose in {None, series} and start <= at < end for whose, start, end, _ in all_spans)


@given(rows, spans)
def test_what_lies_in_a_span_of_its_series_or_of_all_is_never_learnt_and_everything_else_is(some, left_out):
    points = frame(some, ROWS)
    expected = [not read_slowly(row, left_out) for row in some]
    kept = without(points.with_row_index("place"), frame(left_out, SPANS))
    assert kept["place"].to_list() == [place for place, learnt in enumerate(expected) if learnt]
    assert inside(points, frame(left_out, SPANS)).to_list() == [not learnt for learnt in expected]
    manifest = Manifest("web", 0, "anomalies", {}, 0, 30, {}, "", (), 0, 0, 0, 0, {}, "")
    assert Dataset(manifest, points, frame(left_out, SPANS)).clean().equals(points.filter(pl.Series(expected, dtype=pl.Boolean)))


@given(spans)
def test_merged_spans_are_in_order_never_touch_and_cover_the_same(left_out):
    found = merged(frame([each for each in left_out if each[1] <= each[2]], SPANS))
    assert all(one[1] < other[0] for one, other in pairwise(found))
    for at in range(31):
        covered = any(start <= at < end for _, start, end, _ in left_out)
        assert any(start <= at < end for start, end in found) == covered


def of_sources(counts, series_each=4):
    """Rows of each source, a quarter of them to each of its series."""
    parts = []
    for place, (source, count) in enumerate(counts.items()):
        ids = np.sort(10 * place + np.arange(count) % series_each)
        parts.append(pl.DataFrame({"series": ids, "at": np.arange(count), "value": 0.0, "source": source}))
    return pl.concat(parts).cast({"series": pl.Int64, "at": AT}).sort("series", "at")


def loud(total=10_000, others=29):
    quiet = int(0.2 * total / others)
    return of_sources({"loud": int(0.8 * total)} | {f"quiet {i:02}": quiet for i in range(others)})


def test_one_source_of_thirty_with_four_fifths_of_the_rows_ends_at_a_twentieth():
    before = loud()
    after = capped(before, 0.05)
    shares = {source: count / after.height for source, count in after["source"].value_counts().iter_rows()}
    assert shares["loud"] <= 0.05 < shares["loud"] + 0.001
    assert after.filter(pl.col("source") != "loud").equals(before.filter(pl.col("source") != "loud"))


def test_of_a_source_that_is_cut_whole_series_stay_and_of_one_the_latest_rows():
    before = of_sources({"loud": 800, "other": 190})
    after = capped(before, 0.5).filter(pl.col("source") == "loud")
    whole = before.filter(pl.col("source") == "loud").partition_by("series")
    assert after.height == 190
    assert after.equals(whole[0][-190:])
    several = capped(of_sources({"loud": 800, "other": 500}), 0.5)
    assert several.filter(pl.col("source") == "loud")["series"].value_counts(sort=True).rows() == [(0, 200), (1, 200), (2, 100)]
    assert (
        several.filter(pl.col("series") == 2)["at"].to_physical().min()
        == before.filter(pl.col("series") == 2)["at"].to_physical()[100]
    )


def test_with_too_few_sources_or_none_too_large_nothing_is_done():
    few = of_sources({"loud": 800, "other": 10})
    assert capped(few, 0.05) is few
    even = of_sources({f"source {i}": 40 for i in range(20)})
    assert capped(even, 0.05).equals(even)


def test_rows_of_no_known_source_are_one_source_more():
    before = loud()
    unknown = before.with_columns(source=pl.when(pl.col("source") != "quiet 03").then("source"))
    assert capped(unknown, 0.05)["source"].null_count() == before.filter(pl.col("source") == "quiet 03").height
    many = before.with_columns(source=pl.when(pl.col("source") != "loud").then("source"))
    assert capped(many, 0.05)["source"].null_count() == capped(before, 0.05).filter(pl.col("source") == "loud").height


@given(st.lists(st.integers(1, 60), min_size=1, max_size=12), st.sampled_from([0.1, 0.2, 0.25, 1 / 3, 0.5, 0.9]))
def test_the_cap_holds_wherever_it_can_hold(counts, cap):
    before = of_sources({f"source {place}": count for place, count in enumerate(counts)})
    after = capped(before, cap)
    if len(counts) * cap < 1:
        assert after is before
    else:
        largest = int(after["source"].value_counts()["count"].max())
        assert largest <= max(cap * after.height + 1e-9, min(counts))
        assert after.join(before, on=before.columns, how="anti").is_empty()


MANIFEST = Manifest(
    "web", 1, "anomalies", {"name": ".*"}, 0, 9, {"metrics": 7}, "recipe", ({"start": 1, "end": 2, "why": "alert", "series": 3},),
    5, 2, 1, 0, {"a": 1.0}, "rows",
)  # fmt: skip
MATTERS = {
    "name": "shop", "family": "forecasts", "selection": {"name": "up"}, "start": 1, "end": 10, "recipe": "other",
    "left_out": (), "rows": 6, "series": 3, "removed": 2, "thinned": 1, "sources": {"b": 1.0}, "rows_digest": "others",
}  # fmt: skip
IS_NOTHING = {"version": 2, "tables": {"metrics": 8}, "digest": "x", "made_at": 5}


@pytest.mark.parametrize("name", MATTERS)
def test_the_digest_changes_with_everything_that_is_learnt(name):
    assert identify(asdict(replace(MANIFEST, **{name: MATTERS[name]}))) != identify(asdict(MANIFEST))


@pytest.mark.parametrize("name", IS_NOTHING)
def test_the_digest_does_not_change_with_when_and_how_it_was_read(name):
    assert identify(asdict(replace(MANIFEST, **{name: IS_NOTHING[name]}))) == identify(asdict(MANIFEST))


def test_every_field_of_a_manifest_is_one_or_the_other():
    assert set(asdict(MANIFEST)) == set(MATTERS) | set(IS_NOTHING)


def test_a_thousand_spans_of_a_series_cost_no_pair_of_a_row_and_a_span_each():
    # Pairs of them would be 400 million rows, 10 GB.
    rows = pl.DataFrame({"series": 1, "at": pl.int_range(400_000, eager=True), "value": 0.0}).cast(ROWS)
    spans = pl.DataFrame({"series": 1, "start": pl.int_range(0, 400_000, 400, eager=True), "why": "declared"})
    assert without(rows, spans.with_columns(end=pl.col("start") + 40).select(list(SPANS)).cast(SPANS)).height == 360_000
