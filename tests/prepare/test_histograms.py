"""Quantiles of classic histograms against a plain oracle, and their series."""

import math

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from vedette.core.catalogue import Catalogue
from vedette.core.frames import METRICS, SERIES
from vedette.core.identity import series_id
from vedette.core.types import Beat
from vedette.prepare import PrepareSettings, StandardRecipe
from vedette.prepare.histograms import quantile

SECOND = 1_000_000
BOUNDS = ["0.1", "0.5", "1", "+Inf"]


def oracle(q, bounds, rates):
    """Linear search, written after the words of Prometheus' documentation."""
    if max(rates) <= 0:
        return math.nan
    rank = q * max(rates)
    highest, levels = 0.0, []
    for rate in rates:
        highest = max(highest, rate)
        levels.append(highest)
    place = next(number for number, level in enumerate(levels) if level >= rank)
    if place == len(levels) - 1:
        return bounds[-2]
    if place == 0 and bounds[0] <= 0:
        return bounds[0]
    low, below = (bounds[place - 1], levels[place - 1]) if place else (0.0, 0.0)
    return low + (bounds[place] - low) * (rank - below) / (levels[place] - below)


@given(
    st.lists(st.integers(-5, 50), min_size=1, max_size=8, unique=True).map(sorted),
    st.lists(st.integers(0, 20), min_size=9, max_size=9),
    st.sampled_from([0.5, 0.9, 0.99]),
)
@settings(max_examples=200, deadline=None)
def test_a_quantile_is_that_of_the_oracle(bounds, rates, q):
    edges = [float(bound) for bound in bounds] + [math.inf]
    levels = [float(rate) for rate in rates[: len(edges)]]
    assert np.isclose(quantile(q, np.array(edges), np.array(levels)), oracle(q, edges, levels), equal_nan=True)


def test_without_the_infinite_bucket_there_is_no_quantile():
    assert math.isnan(quantile(0.5, np.array([1.0, 2.0]), np.array([1.0, 2.0])))


def beat_of(samples, now, *, bounds=BOUNDS, labels=None):
    """`samples`: (bound, second, value)."""
    labels = labels or {"job": "web"}
    ids = {le: series_id("rpc_bucket", {**labels, "le": le}) for le in bounds}
    columns = {
        "series": list(ids.values()),
        "name": ["rpc_bucket"] * len(ids),
        "labels": [{**labels, "le": le} for le in ids],
        "kind": ["counter"] * len(ids),
        "unit": [""] * len(ids),
    }
    tag = pl.lit("s").alias("source")
    rows = [(ids[le], second * SECOND, float(value)) for le, second, value in samples]
    metrics = pl.DataFrame(rows, schema={"series": pl.Int64, "at": pl.Int64, "value": pl.Float64}, orient="row").cast(METRICS)
    series = pl.DataFrame(columns, schema=SERIES)
    return Beat(at=now * SECOND, last=1, frames={"metrics": metrics.with_columns(tag), "series": series.with_columns(tag)})


def points_of(prepared):
    return dict(prepared["points"].select("series", "value").rows())


def scrape(second, counts):
    return [(le, second, count) for le, count in zip(BOUNDS, counts, strict=True)]


def test_a_histogram_becomes_three_series_and_its_buckets_are_not_scored():
    recipe = StandardRecipe(PrepareSettings(), Catalogue())
    prepared = recipe(beat_of(scrape(10, [0, 0, 0, 0]) + scrape(20, [10, 80, 100, 100]), now=21))
    named = {q: series_id("rpc", {"job": "web", "quantile": q}) for q in ("0.5", "0.9", "0.99")}
    assert set(named.values()) <= set(prepared["series"]["series"].to_list())
    found = points_of(prepared)
    assert set(found) == set(named.values())
    assert math.isclose(found[named["0.5"]], 0.1 + 0.4 * 40 / 70)
    assert math.isclose(found[named["0.9"]], 0.75)


def test_buckets_that_come_in_two_beats_are_answered_once_they_are_whole():
    recipe = StandardRecipe(PrepareSettings(), Catalogue())
    recipe(beat_of(scrape(10, [0, 0, 0, 0]), now=11))
    assert points_of(recipe(beat_of(scrape(20, [10, 80, 100, 100])[:2], now=21))) == {}
    restarted = StandardRecipe(PrepareSettings(), Catalogue())
    restarted.load(recipe.state())
    for made in (recipe, restarted):
        assert len(points_of(made(beat_of(scrape(20, [10, 80, 100, 100])[2:], now=22)))) == 3


def test_a_missing_bucket_is_waited_for_no_longer_than_patience():
    recipe = StandardRecipe(PrepareSettings(), Catalogue())
    recipe(beat_of(scrape(10, [0, 0, 0, 0]), now=11))
    recipe(beat_of(scrape(20, [10, 80, 100, 100])[1:], now=21))
    assert len(points_of(recipe(Beat(at=31 * SECOND, last=1, frames={})))) == 3


def test_the_buckets_of_two_pods_are_answered_together_on_the_grid():
    recipe = StandardRecipe(PrepareSettings(), Catalogue())
    for pod in ("web-7d9f8b6c5d-x2x4z", "web-7d9f8b6c5d-k7k7k"):
        recipe(beat_of(scrape(1, [0, 0, 0, 0]) + scrape(31, [10, 80, 100, 100]), now=40, labels={"pod": pod}))
    found = points_of(recipe(Beat(at=75 * SECOND, last=1, frames={})))
    assert math.isclose(found[series_id("rpc", {"pod": "web", "quantile": "0.9"})], 0.75)
