"""Workloads and histograms through time: late pods, restarts, and what the digest of a recipe covers."""

from hashlib import blake2b

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from vedette.core.catalogue import Catalogue
from vedette.core.frames import LOGS, METRICS, SERIES
from vedette.core.identity import series_id
from vedette.core.types import Beat
from vedette.prepare import PrepareSettings, StandardRecipe, counters, masking
from vedette.prepare.recipe import VERSION
from vedette.prepare.rules import rules

SECOND = 1_000_000
PODS = ["web-7d9f8b6c5d-x2x4z", "web-7d9f8b6c5d-k7k7k", "db-0"]
DEFINED = {
    **{number: ("hits_total", {"pod": pod}) for number, pod in enumerate(PODS)},
    **{10 + number: ("heap", {"pod": pod}) for number, pod in enumerate(PODS)},
    **{20 + number: ("rpc_seconds_bucket", {"pod": PODS[0], "le": le}) for number, le in enumerate(("1", "2", "+Inf"))},
    **{30 + number: ("web_seconds_bucket", {"le": le}) for number, le in enumerate(("1", "+Inf"))},
}


def beat_of(rows, now):
    columns = {
        "series": list(DEFINED),
        "name": [name for name, _ in DEFINED.values()],
        "labels": [labels for _, labels in DEFINED.values()],
        "kind": ["unknown"] * len(DEFINED),
        "unit": [""] * len(DEFINED),
    }
    tag = pl.lit("s").alias("source")
    timed = [(series, second * SECOND, float(value)) for series, second, value in rows]
    metrics = pl.DataFrame(timed, schema={"series": pl.Int64, "at": pl.Int64, "value": pl.Float64}, orient="row").cast(METRICS)
    series = pl.DataFrame(columns, schema=SERIES)
    return Beat(at=now * SECOND, last=1, frames={"metrics": metrics.with_columns(tag), "series": series.with_columns(tag)})


def points_of(prepared, series):
    rows = prepared["points"].filter(pl.col("series") == series)
    return rows.select(pl.col("at").to_physical() // SECOND, "value").rows()


def test_a_late_sample_of_a_pod_leaves_its_counter_as_it_was():
    """Nothing of an increase is lost: the next rate is taken from the last sample that counted."""
    recipe = StandardRecipe(PrepareSettings(), Catalogue())
    merged = series_id("hits_total", {"pod": "web"})
    recipe(beat_of([(0, 10, 0), (0, 40, 30)], 41))
    assert points_of(recipe(beat_of([], 71)), merged) == [(60, 1.0)]
    late = recipe(beat_of([(0, 55, 1000)], 72))
    assert dict(late.late) == {"s": 1}
    recipe(beat_of([(0, 90, 130)], 91))
    assert points_of(recipe(beat_of([], 131)), merged) == [(120, 2.0)]


ROWS = st.lists(st.tuples(st.sampled_from(sorted(DEFINED)), st.integers(0, 400), st.integers(0, 50)), max_size=20)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(ROWS, st.integers(0, 90)), min_size=2, max_size=6), st.integers(0, 5))
def test_a_restart_between_any_two_beats_changes_nothing_for_workloads_and_histograms(beats, cut):
    catalogue, now = Catalogue(), 0
    whole, other = StandardRecipe(PrepareSettings(), Catalogue()), StandardRecipe(PrepareSettings(), catalogue)
    for number, (rows, later) in enumerate(beats):
        now += later
        if number == cut:
            state = {name: array.copy() for name, array in other.state().items()}
            other = StandardRecipe(PrepareSettings(), catalogue)
            other.load(state)
            assert all(np.array_equal(each, state[name], equal_nan=each.dtype.kind == "f") for name, each in other.state().items())
        one, two = whole(beat_of(rows, now)), other(beat_of(rows, now))
        assert (dict(one.late), one.gaps) == (dict(two.late), two.gaps)
        for name, frame in one.items():
            assert frame.equals(two[name]), name


@settings(max_examples=40, deadline=None)
@given(ROWS, st.lists(st.integers(0, 90), min_size=1, max_size=8))
def test_a_cell_comes_with_the_first_beat_after_its_patience_and_never_before(rows, steps):
    recipe, now = StandardRecipe(PrepareSettings(), Catalogue()), 0
    merged = series_id("heap", {"pod": "web"})
    recipe(beat_of([(10, 5, 7), *rows], now))
    latest = max([5, *(second for series, second, _ in rows if series in {10, 11})])
    given_out = [] if latest < 120 else [(60, None)]
    for step in steps:
        now += step
        given_out += points_of(recipe(beat_of([], now)), merged)
    assert any(at == 60 for at, _ in given_out) == (now >= 70 or latest >= 120)


def test_what_comes_out_of_known_beats_is_known():
    """Where this fails on purpose: raise `VERSION` in `recipe`, and write down the new answer beside it."""
    recipe, digest = StandardRecipe(PrepareSettings(), Catalogue()), blake2b(digest_size=8)
    at = [(1 + number) * 20 * SECOND for number in range(6)]
    bodies = ["took 12 ms", "took 7 ms", "done", "took 9 ms", "disk /dev/sda full", "done"]
    columns = {"at": at, "observed_at": at, "series": [5] * 6, "severity": [9, 9, 9, 17, 17, 0], "body": bodies}
    logs = pl.DataFrame(columns | {"attributes": [{}] * 6}, schema=LOGS).with_columns(source=pl.lit("app"))
    for number in range(6):
        rows = [(series, number * 20 + 1 + series % 3, number * (series % 7) * 5) for series in DEFINED]
        beat = beat_of(rows, 20 + number * 20)
        prepared = recipe(Beat(at=beat.at, last=number, frames={**beat.frames, "logs": logs.slice(number, 1)}))
        digest.update(prepared["points"].write_csv().encode() + prepared["templates"].write_csv().encode())
    digest.update(recipe(Beat(at=10**9, last=9, frames={}))["points"].write_csv().encode())
    assert (VERSION, digest.hexdigest()) == (2, "8e2f0d87453f180f")


def test_every_constant_of_a_stage_is_part_of_the_digest():
    words = rules([counters, masking])
    assert "counters.RESTART=0.9" in words
    assert "masking._MASKS=(" in words
    assert words == rules([counters, masking])
