"""Rates against a plain-Python oracle, under resets, duplicates, shuffles and late rows."""

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vedette.core.catalogue import Catalogue
from vedette.core.frames import METRICS, SERIES
from vedette.core.types import Beat
from vedette.prepare import Prepared, PrepareSettings, StandardRecipe

COUNTERS = {1: "a_total", 2: "b_total", 3: "temperature", 4: "work"}
KINDS = {1: "unknown", 2: "counter", 3: "gauge", 4: "delta"}
SECOND = 1_000_000


def beat_of(rows, *, defined=True, source="s"):
    metrics = pl.DataFrame(rows, schema={"series": pl.Int64, "at": pl.Int64, "value": pl.Float64}, orient="row").cast(METRICS)
    known = [(key, name, {}, KINDS[key], "") for key, name in COUNTERS.items()] if defined else []
    series = pl.DataFrame(dict(zip(SERIES, map(list, zip(*known, strict=True)), strict=False)), schema=SERIES)
    tag = pl.lit(source).alias("source")
    return Beat(at=10**15, last=1, frames={"metrics": metrics.with_columns(tag), "series": series.with_columns(tag)})


def recipe():
    return StandardRecipe(PrepareSettings(), Catalogue())


def points_of(prepared: Prepared):
    return prepared["points"].select("series", pl.col("at").to_physical(), "value").rows()


def oracle(beats):
    """Per beat: its points and how many rows were late, computed one row at a time."""
    memory, answers = {}, []
    for rows in beats:
        points, late = [], 0
        for series, at, value in sorted(rows, key=lambda row: row[:2]):
            last_at, last, usual = memory.get(series, (None, math.nan, 0.0))
            if last_at is not None and at <= last_at:
                late += 1
                continue
            elapsed = float(at - last_at) if last_at is not None else 0.0
            gap = usual > 0 and elapsed > 5.0 * usual
            if last_at is not None:
                usual = elapsed if usual == 0 else usual * 2 if gap else usual + 0.125 * (elapsed - usual)
            memory[series] = (at, value, usual)
            if KINDS[series] == "gauge":
                points.append((series, at, value))
            elif last_at is not None and not gap:
                if KINDS[series] == "delta":
                    points.append((series, at, value / elapsed * 1e6))
                elif value >= last:
                    points.append((series, at, (value - last) / elapsed * 1e6))
                elif value <= 0.9 * last:
                    points.append((series, at, value / elapsed * 1e6))
        answers.append((sorted(points, key=lambda row: row[:2]), late))
    return answers


row = st.tuples(st.sampled_from([1, 2, 3, 4]), st.integers(1, 60).map(lambda n: n * SECOND), st.integers(0, 50).map(float))


@given(st.lists(st.lists(row, max_size=30), min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_points_and_late_counts_are_those_of_the_oracle(beats):
    made = recipe()
    for rows, (points, late) in zip(beats, oracle(beats), strict=True):
        prepared = made(beat_of(rows))
        assert points_of(prepared) == points
        assert sum(prepared.late.values()) == late
        assert prepared["metrics"].height == len(rows)


@given(st.lists(st.lists(row, max_size=20), min_size=2, max_size=5), st.integers(0, 4))
@settings(max_examples=40, deadline=None)
def test_a_restart_between_any_two_beats_changes_nothing(beats, cut):
    whole, first, catalogue = recipe(), recipe(), Catalogue()
    first = StandardRecipe(PrepareSettings(), catalogue)
    for number, rows in enumerate(beats):
        if number == cut:
            state = {name: array.copy() for name, array in first.state().items()}
            first = StandardRecipe(PrepareSettings(), catalogue)
            first.load(state)
            assert all(
                np.array_equal(array, state[name], equal_nan=array.dtype.kind == "f") for name, array in first.state().items()
            )
        one, two = whole(beat_of(rows)), first(beat_of(rows))
        assert dict(one.late) == dict(two.late)
        for name, frame in one.items():
            assert frame.equals(two[name]), name


def test_a_restart_counts_from_zero_and_a_small_step_back_is_no_restart():
    rows = [(1, 10 * SECOND, 100.0), (1, 20 * SECOND, 30.0), (1, 30 * SECOND, 29.5), (1, 40 * SECOND, 49.5)]
    assert points_of(recipe()(beat_of(rows))) == [(1, 20 * SECOND, 3.0), (1, 40 * SECOND, 2.0)]


def test_no_rate_is_taken_over_a_long_gap_and_the_gap_is_marked():
    rows = [(1, 10 * SECOND, 0.0), (1, 20 * SECOND, 10.0), (1, 200 * SECOND, 10_000.0), (1, 210 * SECOND, 10_010.0)]
    prepared = recipe()(beat_of(rows))
    assert points_of(prepared) == [(1, 20 * SECOND, 1.0), (1, 210 * SECOND, 1.0)]
    assert prepared.gaps == 1


def test_late_rows_are_counted_by_source_and_stored():
    made = recipe()
    made(beat_of([(3, 10 * SECOND, 1.0)]))
    prepared = made(beat_of([(3, 10 * SECOND, 1.0), (3, 9 * SECOND, 1.0), (3, 11 * SECOND, 2.0)], source="other"))
    assert dict(prepared.late) == {"other": 2}
    assert prepared["metrics"].height == 3
    assert points_of(prepared) == [(3, 11 * SECOND, 2.0)]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (math.nan, "nan"),
        (math.inf, "infinite"),
        (-math.inf, "infinite"),
        (5e-324, "subnormal"),
        (-1e-310, "subnormal"),
        (1e300, "absurd"),
    ],
)
def test_what_no_model_may_see_is_counted_by_reason_and_leaves_no_trace(value, reason):
    rows = [(1, 10 * SECOND, 0.0), (1, 20 * SECOND, value), (1, 30 * SECOND, 20.0)]
    prepared = recipe()(beat_of(rows))
    assert dict(prepared.invalid) == {reason: 1}
    assert points_of(prepared) == [(1, 30 * SECOND, 1.0)]


def test_minus_zero_becomes_zero_and_two_to_the_63_is_a_number():
    points = points_of(recipe()(beat_of([(3, SECOND, -0.0), (3, 2 * SECOND, 2.0**63)])))
    assert points == [(3, SECOND, 0.0), (3, 2 * SECOND, 2.0**63)]
    assert math.copysign(1, points[0][2]) == 1


def test_a_stale_marker_ends_the_run_of_a_counter_and_is_not_invalid():
    stale = np.array([0x7FF0000000000002], np.int64).view(np.float64)[0]
    rows = [(1, 10 * SECOND, 5.0), (1, 20 * SECOND, stale), (1, 30 * SECOND, 7.0), (1, 40 * SECOND, 17.0)]
    prepared = recipe()(beat_of(rows))
    assert points_of(prepared) == [(1, 40 * SECOND, 1.0)]
    assert dict(prepared.invalid) == {}


def test_a_series_nobody_defined_is_a_gauge():
    assert points_of(recipe()(beat_of([(99, SECOND, 4.0)], defined=False))) == [(99, SECOND, 4.0)]
