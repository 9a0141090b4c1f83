"""The faults of data that end at the recipe: out of order, late, odd values, changed units, too many kinds."""

import math
from collections import Counter

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vedette.core.catalogue import Catalogue
from vedette.core.frames import LOGS, METRICS, SERIES
from vedette.core.identity import series_id
from vedette.core.types import Beat
from vedette.prepare import PrepareSettings, StandardRecipe
from vedette.prepare.log_counts import LogCountSettings
from vedette.prepare.templates import OVERFLOW, TemplateSettings

SECOND = 1_000_000
WEEK = 7 * 86_400
PODS = ["web-7d9f8b6c5d-x2x4z", "web-7d9f8b6c5d-k7k7k", "web-7d9f8b6c5d-9q9q9"]
STALE = float(np.array([0x7FF0000000000002], np.int64).view(np.float64)[0])
ODD = [math.nan, math.inf, -math.inf, float("1e400"), -0.0, 5e-324, 2.3e-308, 2.0**63, 1e300, STALE, 1e100, -1e100, 3.0]


def definitions(named):
    """`named`: series -> name, labels, unit."""
    names, labels, units = map(list, zip(*named.values(), strict=True))
    columns = {"series": list(named), "name": names, "labels": labels, "kind": ["unknown"] * len(named), "unit": units}
    return pl.DataFrame(columns, schema=SERIES)


def beat_of(rows, now, named=None, logs=None):
    """`rows`: (series, second, value); `now` in seconds."""
    tag = pl.lit("s").alias("source")
    timed = [(series, round(second * SECOND), value) for series, second, value in rows]
    metrics = pl.DataFrame(timed, schema={"series": pl.Int64, "at": pl.Int64, "value": pl.Float64}, orient="row").cast(METRICS)
    frames = {"metrics": metrics.with_columns(tag)}
    if named:
        frames["series"] = definitions(named).with_columns(tag)
    if logs is not None:
        frames["logs"] = logs
    return Beat(at=round(now * SECOND), last=1, frames=frames)


def lines(bodies, second):
    count = len(bodies)
    columns = {"at": [second * SECOND] * count, "observed_at": [second * SECOND] * count, "series": [5] * count}
    columns |= {"severity": [9] * count, "body": bodies, "attributes": [{}] * count}
    return pl.DataFrame(columns, schema=LOGS).with_columns(source=pl.lit("app"))


def points_of(prepared):
    return prepared["points"].select("series", pl.col("at").to_physical() // SECOND, "value").rows()


HEAP = {number: ("heap", {"pod": pod}, "") for number, pod in enumerate(PODS)}
SAMPLES = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 239), st.floats(-1e9, 1e9).filter(lambda value: abs(value) > 1e-9)),
    min_size=1, max_size=40, unique_by=lambda row: row[:2],
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(SAMPLES, st.lists(st.floats(0, 9), min_size=3, max_size=3))
def test_pods_that_come_late_within_the_patience_give_bit_for_bit_what_all_at_once_gives(samples, delays):
    live, batch = StandardRecipe(PrepareSettings(), Catalogue()), StandardRecipe(PrepareSettings(), Catalogue())
    found, late = [], 0
    for now in range(320):
        come = [row for row in samples if now - 1 < row[1] + delays[row[0]] <= now]
        prepared = live(beat_of(come, now, HEAP if now == 0 else None))
        found += points_of(prepared)
        late += sum(prepared.late.values())
    expected = points_of(batch(beat_of(samples, 320, HEAP)))
    assert sorted(found) == expected
    assert late == 0


def test_what_comes_a_week_late_is_stored_counted_to_the_row_and_leaves_no_trace():
    named = {1: ("temperature", {}, ""), 2: ("hits_total", {}, ""), **{10 + key: row for key, row in HEAP.items()}}
    recipe, untouched = StandardRecipe(PrepareSettings(), Catalogue()), StandardRecipe(PrepareSettings(), Catalogue())
    now = 10 * WEEK
    first = beat_of([(series, now, 5.0) for series in named], now + 80, named)
    for made in (recipe, untouched):
        made(first)
        made(beat_of([], now + 80, logs=lines(["alpha beta"], now)))
        made(beat_of([], now + 300))
    bodies = ["alpha beta"] * 7
    prepared = recipe(beat_of([(series, now - WEEK, 1e6) for series in named], now + 301, logs=lines(bodies, now - WEEK)))
    assert dict(prepared.late) == {"app": 7, "s": len(named)}
    assert prepared["metrics"].height == len(named)
    assert prepared["logs"].height == 7
    assert prepared["points"].is_empty()
    after = beat_of([(series, now + 302, 11.0) for series in named], now + 400)
    assert points_of(recipe(after)) == points_of(untouched(after))


ROWS = st.lists(st.tuples(st.sampled_from([1, 2, 3, 4, 5, 6]), st.integers(0, 100), st.sampled_from(ODD)), max_size=40)
EVERY = {
    1: ("temperature", {}, ""),
    2: ("hits_total", {}, ""),
    3: ("heap", {"pod": PODS[0]}, ""),
    4: ("heap", {"pod": PODS[1]}, ""),
    5: ("rpc_bucket", {"le": "1"}, ""),
    6: ("rpc_bucket", {"le": "+Inf"}, ""),
}


@settings(max_examples=100, deadline=None)
@given(st.lists(ROWS, min_size=1, max_size=4))
def test_whatever_comes_only_ordinary_numbers_reach_a_model_and_the_rest_is_counted_by_reason(beats):
    recipe = StandardRecipe(PrepareSettings(), Catalogue())
    reasons = {"nan": math.isnan, "infinite": math.isinf, "subnormal": lambda x: 0 < abs(x) < 2.2e-308}
    for number, rows in enumerate(beats):
        prepared = recipe(beat_of(rows, 200 * (number + 1), EVERY))
        values = prepared["points"]["value"].to_numpy()
        assert np.isfinite(values).all()
        assert not ((values != 0) & (np.abs(values) < 2.2250738585072014e-308)).any()
        assert not np.signbit(values[values == 0]).any()
        told = Counter(reason for _, _, value in rows for reason, holds in reasons.items() if holds(value) and not _stale(value))
        told["absurd"] = sum(value == 1e300 for _, _, value in rows)
        assert prepared.invalid == {reason: count for reason, count in told.items() if count}
        assert prepared["metrics"].height == len(rows)


def _stale(value):
    return np.float64(value).view(np.int64) == np.float64(STALE).view(np.int64)


@pytest.mark.parametrize("restart", [False, True])
def test_a_unit_that_changes_is_never_mixed_in_and_the_finding_names_field_expected_and_got(restart):
    catalogue = Catalogue()
    recipe = StandardRecipe(PrepareSettings(), catalogue)
    recipe(beat_of([(1, 1, 9.0)], 1, {1: ("latency", {}, "ms")}))
    if restart:
        state = recipe.state()
        recipe = StandardRecipe(PrepareSettings(), catalogue)
        recipe.load(state)
    changed = recipe(beat_of([(1, 2, 0.009)], 2, {1: ("latency", {}, "s")}))
    assert points_of(changed) == []
    assert changed["metrics"].height == 1
    (finding,) = changed.findings
    assert "field 'unit': expected ms got s" in finding.why
    assert (finding.required, finding.measured) == ("ms", "s")
    assert points_of(recipe(beat_of([(1, 3, 0.009)], 3))) == []
    assert points_of(recipe(beat_of([(1, 4, 8.0)], 4, {1: ("latency", {}, "ms")}))) == [(1, 4, 8.0)]


def test_odd_times_do_not_disturb_other_series():
    named = {1: ("temperature", {}, ""), 2: ("humidity", {}, ""), 3: ("hits_total", {}, "")}
    recipe = StandardRecipe(PrepareSettings(), Catalogue())
    rows = [(1, -1, 4.0), (1, 0, 5.0), (1, 4e9, 6.0), (2, 100, 7.0), (3, -5, 1.0), (3, 5, 21.0)]
    assert points_of(recipe(beat_of(rows, 101, named))) == [(1, -1, 4.0), (1, 0, 5.0), (1, 4e9, 6.0), (2, 100, 7.0), (3, 5, 2.0)]


def test_a_flood_of_templates_and_of_label_sets_leaves_what_is_known_alone_and_is_counted_exactly():
    tight = PrepareSettings(templates=TemplateSettings(limit=50), log_counts=LogCountSettings(limit=40))
    recipe = StandardRecipe(tight, Catalogue())
    other = {7: ("__other__", {"source": "s"}, ""), 1: ("temperature", {}, "")}
    known = recipe(beat_of([(1, 1, 20.0)], 30, other, lines(["service started well"] * 3, 30)))["logs"]["template"][0]
    letters = np.random.default_rng(3).integers(97, 123, (20_000, 40)).astype(np.uint8)
    letters[:, 7::8] = 32
    strange = letters.view("S40").ravel().astype(str).tolist()
    flooded = recipe(beat_of([(7, 31, 1.0), (1, 31, 21.0)], 31, logs=lines([*strange, "service started well"], 31)))
    kinds = flooded["logs"]["template"]
    assert points_of(flooded) == [(1, 31, 21.0)]
    assert flooded["templates"].height <= 51
    assert kinds[-1] == known
    assert (kinds == OVERFLOW).sum() >= 20_000 - 50
    own = kinds.unique(maintain_order=True).to_list()[: 40 - 3]  # one template and two severities have a series already
    assert dict(flooded.limited) == {"app": int((~kinds.is_in([known, *own])).sum())}
    closed = recipe(beat_of([], 300))["points"]
    label = {"stream": f"{5:016x}", "template": f"{known & (2**64 - 1):016x}"}
    mine = closed.filter(pl.col("series") == series_id("log_template_lines", label))
    assert mine["value"].to_list()[0] == 4.0
    lines_of_templates = closed.filter(pl.col("at").to_physical() == 60 * SECOND)["value"].sum()
    assert lines_of_templates == 2 * 20_004  # once by template, once by severity
